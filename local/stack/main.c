/* stack - runs the whole product on this machine: `stack demo` shows it, `stack up` keeps it
 * running. */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "local/stack/demo.h"
#include "local/stack/screen.h"
#include "local/stack/up.h"
#include "shared/base/opts.h"
#include "shared/base/signals.h"

struct config {
    char *bin_dir;
    char *state_dir;
    char *no_color;
    int64_t http_port, callbacks_port, ops_port, aws_port;
};

/* The folder that this program is in. */
static char *own_folder(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (n < 0)
        return mem_dup(".");
    path[n] = '\0';
    return mem_dup(dirname(path));
}

static int run(const struct config *c, const char *command, struct error *err)
{
    if (strcmp(command, "demo") == 0)
        return demo_run(c->bin_dir, err);
    if (strcmp(command, "up") == 0) {
        const struct stack_options options = {
            .bin_dir = c->bin_dir,
            .state_dir = c->state_dir,
            .http_port = (int)c->http_port,
            .callbacks_port = (int)c->callbacks_port,
            .ops_port = (int)c->ops_port,
            .aws_port = (int)c->aws_port,
            .events = true,
        };
        return up_run(&options, err);
    }
    return error_set(err, ERR_INVALID, 0, "unknown command %s; there are demo and up", command);
}

int main(int argc, char **argv)
{
    struct config c = { 0 };
    struct error err = { 0 };
    const struct opt table[] = {
        { "bin-dir", "BIN_DIR", OPT_STR, &c.bin_dir, NULL, 0, 0, "DIR", "folder of the programs" },
        { "state-dir", "STATE_DIR", OPT_STR, &c.state_dir, "build/state", 0, 0, "DIR",
          "folder that `up` keeps its state in" },
        { "http-port", "HTTP_PORT", OPT_INT, &c.http_port, "8080", 0, 65535, "PORT",
          "port of the HTTP API; 0: a free one" },
        { "callbacks-port", "CALLBACKS_PORT", OPT_INT, &c.callbacks_port, "8081", 0, 65535, "PORT",
          "port of the callback receiver" },
        { "ops-port", "OPS_PORT", OPT_INT, &c.ops_port, "9091", 0, 65535, "PORT",
          "port of the receiver's operations" },
        { "aws-port", "AWS_PORT", OPT_INT, &c.aws_port, "4566", 0, 65535, "PORT",
          "port of the AWS APIs" },
        { NULL, "NO_COLOR", OPT_STR, &c.no_color, NULL, 0, 0, NULL, "no colours" },
    };
    const struct opts opts = { "stack", "[options] demo | up",
                               "Runs the whole product on this machine.", table, ARRAY_LEN(table) };
    int first = opts_load(&opts, argc, argv, environ, &err);
    int status = first == OPTS_DONE ? 0 : -1;
    if (first >= 0 && first != argc - 1)
        error_set(&err, ERR_INVALID, 0, "one command is needed: demo or up");
    else if (first >= 0) {
        if (!c.bin_dir)
            c.bin_dir = own_folder();
        screen_colour(isatty(STDOUT_FILENO) && !c.no_color);
        signals_block();
        http_global_init();
        status = run(&c, argv[first], &err);
        http_global_cleanup();
    }
    if (status < 0 && err.code)
        fprintf(stderr, "stack: %s\n", err.msg);
    opts_release(&opts);
    return status < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

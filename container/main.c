/* callback-run: the program inside the task. See README.md, and --help. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "container/calls.h"
#include "container/config.h"
#include "container/environment.h"
#include "container/exits.h"
#include "container/fds.h"
#include "container/run.h"
#include "container/sample.h"
#include "shared/aws/http.h"
#include "shared/base/opts.h"

/* The command has this process's user and may look into it: at its environment in /proc, and at its
 * memory as a debugger. */
static void hide_token(void)
{
    environment_wipe(environ, "CALLBACK_TOKEN");
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int with_network(const struct config *cfg, const struct fds *fds, struct log *log,
                        struct error *err)
{
    bool abandoned = false;
    int status;
    if (cfg->hide_token)
        hide_token();
    if (!cfg->no_callback)
        http_global_init();
    if (cfg->action == ACTION_RUN) {
        status = run(cfg, environ, fds, log, &abandoned);
    } else {
        status = calls_make(cfg, err);
        if (status != 0)
            log_error(log, log_event("call_failed"), log_err(err));
    }
    if (abandoned)
        _exit(status);
    if (!cfg->no_callback)
        http_global_cleanup();
    return status;
}

int main(int argc, char **argv)
{
    struct config cfg = { 0 };
    struct error err = { 0 };
    struct log *log = NULL;
    int status = EXIT_USAGE;

    struct fds fds;
    if (fds_note(&fds) < 0)
        return EXIT_START_FAILED;
    int rc = config_load(&cfg, argc, argv, environ, &err);
    if (rc == OPTS_DONE) {
        status = EXIT_SUCCESS;
    } else if (rc == 0) {
        log = log_open(STDERR_FILENO, cfg.log_level, "callback-run");
        if (cfg.action != ACTION_SAMPLE)
            status = with_network(&cfg, &fds, log, &err);
        else if (sample_run(cfg.arg_count + 1, cfg.args - 1, environ, STDOUT_FILENO, &err) >= 0)
            status = EXIT_SUCCESS;
        else
            rc = -1;
    }
    if (rc == -1)
        fprintf(stderr, "callback-run: %s\n", err.msg);
    log_close(log);
    config_release(&cfg);
    return status;
}

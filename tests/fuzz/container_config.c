/* callback-run's environment and arguments: parts of the input, variables (NAME=VALUE) up to an
 * empty one, then arguments. Refused without repeating a secret, or all that others rely on is
 * there. */
#include <string.h>

#include "container/config.h"
#include "shared/base/opts.h"
#include "tests/fuzz/parts.h"

#define WORDS 64

static void check(const struct config *c)
{
    FUZZ_MUST(c->arg_count >= 0 && c->args[c->arg_count] == NULL);
    FUZZ_MUST(c->heartbeat_s >= 0 && c->stop_timeout_s > 0 && c->input_timeout_s > 0);
    FUZZ_MUST(c->stderr_tail >= 0 && c->stderr_tail <= 20000 && c->max_output >= 0);
    FUZZ_MUST(c->temp_dir && c->log_level <= LOG_ERROR);
    if (c->action != ACTION_RUN || c->no_callback)
        return;
    FUZZ_MUST(c->url && c->token && !strpbrk(c->url, " \r\n?#") && !strpbrk(c->token, " \r\n"));
    FUZZ_MUST(c->url[strlen(c->url) - 1] != '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parts p = { data, size };
    struct config c = { 0 };
    struct error err = { 0 };
    char *env[WORDS + 1] = { NULL }, *argv[WORDS + 2] = { NULL };
    size_t variables = 0, words = 0, len;
    int argc = 1;
    char *part;
    argv[0] = mem_dup("callback-run");
    while (variables < WORDS && (part = parts_next(&p, &len)) != NULL && part[0])
        env[variables++] = part;
    if (variables < WORDS && part)
        free(part);
    while (words < WORDS && (part = parts_next(&p, &len)) != NULL) {
        bool prints = strcmp(part, "--help") == 0 || strcmp(part, "--version") == 0;
        if (prints) { /* to standard output, which is a lot */
            free(part);
            continue;
        }
        argv[argc++] = part;
        words++;
    }
    int rc = config_load(&c, argc, argv, env, &err);
    if (rc == 0)
        check(&c);
    else if (rc == -1)
        FUZZ_MUST(err.msg[0]);
    config_release(&c);
    for (size_t i = 0; i < variables; i++)
        free(env[i]);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return 0;
}

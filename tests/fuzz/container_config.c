/* callback-run's environment and arguments: refused, or all that others rely on is there. */
#include <string.h>

#include "container/config.h"
#include "tests/fuzz/words.h"

static void check(const struct config *c)
{
    FUZZ_MUST(c->arg_count >= 0 && c->args[c->arg_count] == NULL);
    FUZZ_MUST(c->heartbeat_s >= 0 && c->stop_timeout_s > 0 && c->input_timeout_s > 0);
    FUZZ_MUST(c->stderr_tail >= 0 && c->stderr_tail <= 20000 && c->max_output >= 0);
    FUZZ_MUST(c->temp_dir && c->log_level <= LOG_ERROR);
    if (c->action != ACTION_RUN || c->no_callback)
        return;
    FUZZ_MUST(c->url && c->token && !strpbrk(c->url, " \r\n?#") && !strpbrk(c->token, " \r\n"));
    FUZZ_MUST(strstr(c->url, "://"));
    FUZZ_MUST(c->url[strlen(c->url) - 1] != '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct words w;
    struct config c = { 0 };
    struct error err = { 0 };
    words_read(&w, "callback-run", data, size);
    int rc = config_load(&c, w.argc, w.argv, w.env, &err);
    if (rc == 0)
        check(&c);
    else if (rc == -1)
        FUZZ_MUST(err.msg[0]);
    config_release(&c);
    words_release(&w);
    return 0;
}

/* The receiver's environment and arguments: refused, or all that others rely on is there. */
#include "callback-receiver/config.h"
#include "tests/fuzz/words.h"

static void check(const struct config *c)
{
    FUZZ_MUST(c->listen && c->ops_listen && c->store && (c->token_keys || c->token_keys_secret));
    FUZZ_MUST(c->max_connections > 0 && c->delivery_calls >= 0 && c->retry_base_ms > 0);
    FUZZ_MUST(c->retry_cap_ms > 0 && c->drain_s >= 0 && c->log_level <= LOG_ERROR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct words w;
    struct config c = { 0 };
    struct error err = { 0 };
    words_read(&w, "callback-receiver", data, size);
    int rc = config_load(&c, w.argc, w.argv, w.env, &err);
    if (rc == 0)
        check(&c);
    else if (rc == -1)
        FUZZ_MUST(err.msg[0]);
    config_release(&c);
    words_release(&w);
    return 0;
}

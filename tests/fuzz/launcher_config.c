/* The launcher's environment and arguments: refused, or all that its handler relies on is there. */
#include <string.h>

#include "launcher/config.h"
#include "tests/fuzz/words.h"

static void check_list(char *const *list)
{
    FUZZ_MUST(list);
    for (; *list; list++)
        FUZZ_MUST((*list)[0]);
}

static void check_url(const char *url)
{
    FUZZ_MUST(url && strncmp(url, "http", 4) == 0 && strstr(url, "://"));
    FUZZ_MUST(url[strlen(url) - 1] != '/' && !strpbrk(url, "?# \r\n"));
}

static void check(const struct config *c)
{
    check_list(c->allowed);
    check_list(c->subnets);
    check_list(c->security_groups);
    check_list(c->capacity_providers);
    FUZZ_MUST(c->handler <= CONFIG_EVENTS && c->log_level <= LOG_ERROR);
    FUZZ_MUST(c->handler != CONFIG_WORKFLOW || (c->task_definition && c->cluster && c->container));
    if (c->token_keys || c->token_keys_secret)
        check_url(c->receiver_url);
    if (c->task_definition)
        FUZZ_MUST(config_allows((const char *const *)c->allowed, c->task_definition));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct words w;
    struct config c = { .handler = CONFIG_WORKFLOW };
    struct error err = { 0 };
    words_read(&w, "bootstrap", data, size);
    int rc = config_load(&c, w.argc, w.argv, w.env, &err);
    if (rc == 0)
        check(&c);
    else if (rc == -1)
        FUZZ_MUST(err.msg[0]);
    config_release(&c);
    words_release(&w);
    return 0;
}

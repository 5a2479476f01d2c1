/* local-aws's configuration: refused with the place, or everything that others rely on is there. */
#include <string.h>

#include "local/aws/ecs_request.h"
#include "local/config.h"
#include "local/gateway_event.h"
#include "tests/fuzz/fuzz.h"

static void check_function(const struct config *c, const struct config_function *f)
{
    FUZZ_MUST(config_function(c, f->name) == f);
    FUZZ_MUST(f->command && (f->command[0] != NULL) != (f->runtime_api != NULL));
    FUZZ_MUST(f->environment && f->version && f->timeout_s > 0 && f->memory_mb > 0);
    FUZZ_MUST(f->max_concurrency > 0 && f->retry.first_delay_s >= 0 && f->retry.max_delay_s >= 0);
    FUZZ_MUST(!f->durable || (f->execution_timeout_s > 0 && f->retention_s > 0));
    for (char **e = f->environment; *e; e++)
        FUZZ_MUST(strchr(*e, '='));
}

static void check_definition(const struct config_task_definition *d)
{
    struct error err = { 0 };
    FUZZ_MUST(d->family && d->revision > 0 && d->container_count > 0);
    for (size_t i = 0; i < d->container_count; i++) {
        const struct config_container *k = &d->containers[i];
        FUZZ_MUST(k->name && k->entry_point && k->command && k->environment);
    }
    auto_json struct json_object *spec = ecs_spec(d, NULL, "/bin", "/", &err);
    FUZZ_MUST(spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    struct config *c = config_parse((const char *)data, size, "f", &err);
    if (!c) {
        FUZZ_MUST(err.code == ERR_INVALID && strncmp(err.msg, "f: ", 3) == 0);
        return 0;
    }
    FUZZ_MUST(c->region && c->account_id && c->cluster && c->credential_count > 0);
    for (size_t i = 0; i < c->function_count; i++)
        check_function(c, &c->functions[i]);
    for (size_t i = 0; i < c->task_definition_count; i++)
        check_definition(&c->task_definitions[i]);
    for (size_t i = 0; i < c->route_count; i++) {
        const struct config_route *r = &c->routes[i];
        FUZZ_MUST(r->path && (r->function != NULL) != (r->proxy != NULL));
        FUZZ_MUST(!r->function || config_function(c, r->function));
    }
    FUZZ_MUST(!c->events.function || (c->events.ecs && c->events.executions));
    config_free(c);
    return 0;
}

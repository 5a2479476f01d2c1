/* RunTask's request, as local-aws checks it: refused by the exception's name, or its task can be
 * made. */
#include <string.h>

#include "local/aws/ecs_request.h"
#include "tests/fuzz/fuzz.h"

static const struct config *config(void)
{
    static const char text[] =
        "{\"credentials\":{\"k\":\"s\"},\"taskDefinitions\":{\"job\":{\"containers\":[{\"name\":"
        "\"job\",\"command\":[\"/x\"],\"environment\":{\"A\":\"b\"}},{\"name\":\"side\"}]}}}";
    static struct config *c;
    struct error err;
    if (!c)
        c = config_parse(text, strlen(text), "fuzz", &err);
    FUZZ_MUST(c);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json struct json_object *body = NULL;
    auto_json struct json_object *spec = NULL;
    struct ecs_run run;
    struct error err = { 0 };
    if (json_parse((const char *)data, size, JSON_DEPTH, &body, &err) < 0)
        return 0;
    if (ecs_run_parse(body, &run, &err) < 0) {
        FUZZ_MUST(err.type[0] && err.msg[0]);
        return 0;
    }
    FUZZ_MUST(run.count >= 1 && run.count <= ECS_COUNT_MAX && run.task_definition);
    FUZZ_MUST(strlen(run.fingerprint) == sizeof(run.fingerprint) - 1);
    (void)!ecs_cluster(config(), run.cluster, &err);
    const struct config_task_definition *d = ecs_definition(config(), run.task_definition, &err);
    if (!d)
        return 0;
    spec = ecs_spec(d, run.overrides, "/bin", NULL, &err);
    FUZZ_MUST(spec || err.type[0]);
    FUZZ_MUST(!spec || json_object_array_length(json_get_arr(spec, "containers")) == 2);
    return 0;
}

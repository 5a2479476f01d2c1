#include "local/aws/bridge.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"

static struct config *config(void)
{
    static const char text[] = "{\"credentials\":{\"k\":\"s\"},\"region\":\"eu-west-1\"}";
    struct error err;
    return config_parse(text, strlen(text), "test", &err);
}

static struct json_object *parse(const char *text)
{
    struct json_object *o = NULL;
    cr_assert_eq(json_parse_str(text, &o, NULL), 0, "%s", text);
    return o;
}

static void envelope(struct json_object *o, const char *source, const char *type,
                     const char *resource)
{
    cr_assert_str_eq(json_get_str(o, "version"), "0");
    cr_assert_eq(strlen(json_get_str(o, "id")), RANDOM_UUID - 1);
    cr_assert_str_eq(json_get_str(o, "source"), source);
    cr_assert_str_eq(json_get_str(o, "detail-type"), type);
    cr_assert_str_eq(json_get_str(o, "account"), "123456789012");
    cr_assert_str_eq(json_get_str(o, "region"), "eu-west-1");
    cr_assert_str_eq(json_get_str(o, "time"), "2025-12-02T16:00:00Z");
    struct json_object *resources = json_get_arr(o, "resources");
    cr_assert_eq(json_object_array_length(resources), 1);
    cr_assert_str_eq(json_object_get_string(json_object_array_get_idx(resources, 0)), resource);
}

Test(bridge, tells_of_a_task_with_texts_for_times_and_without_health)
{
    struct config *c = config();
    struct ecs_task *t = ecs_task_new(1764691190103);
    t->cluster = mem_dup("local");
    t->family = mem_dup("job");
    t->started_by = mem_dup("durable/e1");
    t->state = ECS_STOPPED;
    t->version = 6;
    t->stopped_ms = 1764691200500;
    t->overrides = parse("{\"containerOverrides\":[{\"name\":\"app\",\"environment\":[{\"name\":"
                         "\"A\",\"value\":\"b\"}]}]}");
    t->container_count = 1;
    t->containers = mem_array(1, sizeof(*t->containers));
    t->containers[0] = (struct ecs_container){ .name = mem_dup("app"), .ended = true };
    auto_free char *text = bridge_task(t, c, 1764691200500);
    auto_free char *arn = ecs_task_arn(t, "eu-west-1", "123456789012");
    auto_json struct json_object *o = parse(text);
    envelope(o, "aws.ecs", "ECS Task State Change", arn);
    struct json_object *d = json_get_obj(o, "detail");
    cr_assert_str_eq(json_get_str(d, "lastStatus"), "STOPPED");
    cr_assert_str_eq(json_get_str(d, "createdAt"), "2025-12-02T15:59:50.103Z");
    cr_assert_str_eq(json_get_str(d, "stoppedAt"), "2025-12-02T16:00:00.500Z");
    cr_assert_str_eq(json_get_str(d, "updatedAt"), "2025-12-02T16:00:00.500Z");
    cr_assert_null(json_get(d, "startedAt"));
    cr_assert_null(strstr(text, "healthStatus"));
    cr_assert_eq(json_get_int(d, "version", 0), 6);
    cr_assert_str_eq(json_get_str(d, "startedBy"), "durable/e1");
    cr_assert_not_null(strstr(text, "\"overrides\":{\"containerOverrides\":[{\"name\":\"app\","
                                    "\"environment\":[{\"name\":\"A\",\"value\":\"b\"}]}]"));
    ecs_task_free(t);
    config_free(c);
}

Test(bridge, tells_of_an_execution)
{
    struct config *c = config();
    struct execution *e = execution_new();
    e->arn = mem_dup("arn:x");
    e->name = mem_dup("n");
    e->function_name = mem_dup("f");
    e->version = mem_dup("3");
    e->start_ms = 1764691190103;
    auto_free char *begun = bridge_execution(e, c, 1764691200500);
    e->status = EX_TIMED_OUT;
    e->end_ms = 1764691200500;
    auto_free char *ended = bridge_execution(e, c, 1764691200500);
    auto_json struct json_object *a = parse(begun);
    auto_json struct json_object *b = parse(ended);
    envelope(a, "aws.lambda", "Durable Execution Status Change", "arn:x");
    struct json_object *d = json_get_obj(a, "detail");
    cr_assert_str_eq(json_get_str(d, "status"), "RUNNING");
    cr_assert_str_eq(json_get_str(d, "startTimestamp"), "2025-12-02T15:59:50.103Z");
    cr_assert_null(json_get(d, "endTimestamp"));
    d = json_get_obj(b, "detail");
    cr_assert_str_eq(json_get_str(d, "durableExecutionArn"), "arn:x");
    cr_assert_str_eq(json_get_str(d, "durableExecutionName"), "n");
    cr_assert_str_eq(json_get_str(d, "functionArn"),
                     "arn:aws:lambda:eu-west-1:123456789012:function:f:3");
    cr_assert_str_eq(json_get_str(d, "status"), "TIMED_OUT");
    cr_assert_str_eq(json_get_str(d, "endTimestamp"), "2025-12-02T16:00:00.500Z");
    execution_free(e);
    config_free(c);
}

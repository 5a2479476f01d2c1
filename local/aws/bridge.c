#include "local/aws/bridge.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/digest.h"
#include "shared/base/json.h"

static void add_time(struct json_object *o, const char *key, int64_t ms)
{
    char text[CLOCK_TEXT];
    if (!ms)
        return;
    clock_format(ms, text);
    json_add_str(o, key, text);
}

/* The envelope around `detail`, which it consumes, as text. */
static char *wrap(const struct config *c, const char *source, const char *type,
                  const char *resource, struct json_object *detail, int64_t now_ms)
{
    auto_json struct json_object *o = json_object_new_object();
    struct json_object *resources = json_object_new_array();
    char id[RANDOM_UUID], time[CLOCK_TEXT];
    random_uuid(id);
    clock_format(now_ms, time);
    char *dot = strchr(time, '.'); /* the envelope's time has whole seconds */
    if (dot)
        memcpy(dot, "Z", 2);
    json_push(resources, json_new_str(resource));
    json_add_str(o, "version", "0");
    json_add_str(o, "id", id);
    json_add_str(o, "detail-type", type);
    json_add_str(o, "source", source);
    json_add_str(o, "account", c->account_id);
    json_add_str(o, "time", time);
    json_add_str(o, "region", c->region);
    json_add(o, "resources", resources);
    json_add(o, "detail", detail);
    return mem_dup(json_text(o, NULL));
}

char *bridge_task(const struct ecs_task *t, const struct config *c, int64_t now_ms)
{
    struct json_object *detail = ecs_task_json(t, c->region, c->account_id, false);
    struct json_object *containers = json_get_arr(detail, "containers");
    add_time(detail, "createdAt", t->created_ms);
    add_time(detail, "connectivityAt", t->started_ms);
    add_time(detail, "startedAt", t->started_ms);
    add_time(detail, "stoppingAt", t->stopping_ms);
    add_time(detail, "executionStoppedAt", t->execution_stopped_ms);
    add_time(detail, "stoppedAt", t->stopped_ms);
    add_time(detail, "updatedAt", now_ms);
    json_object_object_del(detail, "healthStatus");
    for (size_t i = 0; i < json_object_array_length(containers); i++)
        json_object_object_del(json_object_array_get_idx(containers, i), "healthStatus");
    auto_free char *arn = ecs_task_arn(t, c->region, c->account_id);
    return wrap(c, BRIDGE_ECS, "ECS Task State Change", arn, detail, now_ms);
}

char *bridge_execution(const struct execution *e, const struct config *c, int64_t now_ms)
{
    struct json_object *detail = json_object_new_object();
    auto_free char *function = mem_printf("arn:aws:lambda:%s:%s:function:%s:%s", c->region,
                                          c->account_id, e->function_name, e->version);
    json_add_str(detail, "durableExecutionArn", e->arn);
    json_add_str(detail, "durableExecutionName", e->name);
    json_add_str(detail, "functionArn", function);
    json_add_str(detail, "status", execution_status_name(e->status));
    add_time(detail, "startTimestamp", e->start_ms);
    add_time(detail, "endTimestamp", e->end_ms);
    return wrap(c, BRIDGE_LAMBDA, "Durable Execution Status Change", e->arn, detail, now_ms);
}

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local/aws/ecs_task.h"

/* ---- as ECS tells it --------------------------------------------------------------------------*/

char *ecs_arn(const char *region, const char *account, const char *kind, const char *path)
{
    return mem_printf("arn:aws:ecs:%s:%s:%s/%s", region, account, kind, path);
}

char *ecs_task_arn(const struct ecs_task *t, const char *region, const char *account)
{
    auto_free char *path = mem_printf("%s/%s", t->cluster, t->id);
    return ecs_arn(region, account, "task", path);
}

/* Epoch seconds with milliseconds, as all timestamps of JSON 1.1 answers. */
static void add_time(struct json_object *o, const char *key, int64_t ms)
{
    char text[32];
    if (!ms)
        return;
    snprintf(text, sizeof(text), "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
    json_add(o, key, json_object_new_double_s((double)ms / 1000.0, text));
}

static struct json_object *container_json(const struct ecs_task *t, const struct ecs_container *c,
                                          const char *task_arn, const char *region,
                                          const char *account)
{
    auto_free char *path = mem_printf("%s/%s/%s", t->cluster, t->id, c->id);
    auto_free char *arn = ecs_arn(region, account, "container", path);
    struct json_object *o = json_object_new_object();
    json_add_str(o, "containerArn", arn);
    json_add_str(o, "taskArn", task_arn);
    json_add_str(o, "name", c->name);
    if (c->pid) {
        auto_free char *runtime = mem_printf("%s-%ld", t->id, (long)c->pid);
        json_add_str(o, "runtimeId", runtime);
    }
    bool running = t->state >= ECS_RUNNING && t->state <= ECS_STOPPING;
    json_add_str(o, "lastStatus",
                 t->state > ECS_STOPPING ? "STOPPED" : (running ? "RUNNING" : "PENDING"));
    if (c->ended)
        json_add_int(o, "exitCode", c->exit_code);
    json_add_str(o, "reason", c->reason);
    json_add(o, "networkBindings", json_object_new_array());
    json_add(o, "networkInterfaces", json_object_new_array());
    json_add_str(o, "healthStatus", "UNKNOWN");
    json_add_str(o, "cpu", "0");
    return o;
}

/* The overrides as they were asked for; ECS names the containers where nothing was. */
static struct json_object *overrides_json(const struct ecs_task *t)
{
    struct json_object *o = NULL;
    if (t->overrides)
        json_object_deep_copy(t->overrides, &o, NULL);
    if (!o)
        o = json_object_new_object();
    if (!json_get_arr(o, "containerOverrides")) {
        struct json_object *list = json_object_new_array();
        for (size_t i = 0; i < t->container_count; i++) {
            struct json_object *item = json_object_new_object();
            json_add_str(item, "name", t->containers[i].name);
            json_push(list, item);
        }
        json_add(o, "containerOverrides", list);
    }
    if (!json_get_arr(o, "inferenceAcceleratorOverrides"))
        json_add(o, "inferenceAcceleratorOverrides", json_object_new_array());
    return o;
}

static void add_times(struct json_object *o, const struct ecs_task *t)
{
    add_time(o, "createdAt", t->created_ms);
    if (t->started_ms) {
        json_add_str(o, "connectivity", "CONNECTED");
        add_time(o, "connectivityAt", t->started_ms);
    }
    add_time(o, "startedAt", t->started_ms);
    add_time(o, "stoppingAt", t->stopping_ms);
    add_time(o, "executionStoppedAt", t->execution_stopped_ms);
    add_time(o, "stoppedAt", t->stopped_ms);
}

struct json_object *ecs_task_json(const struct ecs_task *t, const char *region, const char *account,
                                  bool with_tags)
{
    struct json_object *o = json_object_new_object();
    struct json_object *containers = json_object_new_array();
    auto_free char *arn = ecs_task_arn(t, region, account);
    auto_free char *cluster = ecs_arn(region, account, "cluster", t->cluster);
    auto_free char *named = mem_printf("%s:%lld", t->family, (long long)t->revision);
    auto_free char *definition = ecs_arn(region, account, "task-definition", named);
    json_add_str(o, "taskArn", arn);
    json_add_str(o, "clusterArn", cluster);
    json_add_str(o, "taskDefinitionArn", definition);
    json_add_str(o, "lastStatus", ecs_state_name(t->state));
    json_add_str(o, "desiredStatus", t->stop_wanted ? "STOPPED" : "RUNNING");
    json_add_str(o, "startedBy", t->started_by);
    json_add_str(o, "group", t->group);
    json_add_str(o, "launchType", t->launch_type);
    json_add_str(o, "capacityProviderName", t->capacity_provider);
    json_add_str(o, "cpu", t->cpu);
    json_add_str(o, "memory", t->memory);
    add_times(o, t);
    json_add_str(o, "stopCode", t->stop_code);
    json_add_str(o, "stoppedReason", t->stopped_reason);
    json_add_int(o, "version", t->version);
    json_add_str(o, "healthStatus", "UNKNOWN");
    json_add_bool(o, "enableExecuteCommand", false);
    json_add(o, "overrides", overrides_json(t));
    json_add(o, "attachments", json_object_new_array());
    json_add(o, "attributes", json_object_new_array());
    json_add(o, "inferenceAccelerators", json_object_new_array());
    json_add(o, "containers", containers);
    bool lost = t->fate == ECS_FATE_NO_CONTAINER && t->fate_struck;
    for (size_t i = 0; i < t->container_count && !lost; i++)
        json_push(containers, container_json(t, &t->containers[i], arn, region, account));
    if (with_tags)
        json_add(o, "tags", t->tags ? json_object_get(t->tags) : json_object_new_array());
    return o;
}

/* ---- as the store keeps it --------------------------------------------------------------------*/

/* The members that are texts and times, by name: one table for both directions. */
#define AT(member)                                                                                 \
    {                                                                                              \
#member, offsetof(struct ecs_task, member)                                                 \
    }
struct member {
    const char *name;
    size_t at;
};
static const struct member TEXTS[] = {
    AT(cluster),           AT(family),      AT(started_by), AT(group),     AT(launch_type),
    AT(capacity_provider), AT(cpu),         AT(memory),     AT(stop_code), AT(stopped_reason),
    AT(fate_code),         AT(fate_reason),
};
static const struct member NUMBERS[] = {
    AT(number),     AT(revision),    AT(version),    AT(created_ms),
    AT(started_ms), AT(stopping_ms), AT(stopped_ms), AT(execution_stopped_ms),
    AT(fate_ms),
};
static const struct member OBJECTS[] = { AT(overrides), AT(tags), AT(spec) };

static const void *member_of(const struct ecs_task *t, const struct member *m)
{
    return (const char *)t + m->at;
}

static void *member_in(struct ecs_task *t, const struct member *m)
{
    return (char *)t + m->at;
}

char *ecs_task_save(const struct ecs_task *t)
{
    auto_json struct json_object *o = json_object_new_object();
    struct json_object *list = json_object_new_array();
    json_add_str(o, "id", t->id);
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++)
        json_add_str(o, TEXTS[i].name, *(char *const *)member_of(t, &TEXTS[i]));
    for (size_t i = 0; i < ARRAY_LEN(NUMBERS); i++)
        json_add_int(o, NUMBERS[i].name, *(const int64_t *)member_of(t, &NUMBERS[i]));
    for (size_t i = 0; i < ARRAY_LEN(OBJECTS); i++) {
        struct json_object *const *p = member_of(t, &OBJECTS[i]);
        if (*p)
            json_add(o, OBJECTS[i].name, json_object_get(*p));
    }
    json_add_int(o, "state", t->state);
    json_add_bool(o, "stop_wanted", t->stop_wanted);
    if (t->fate != ECS_FATE_NONE) {
        json_add_str(o, "fate", ecs_fate_word(t->fate));
        json_add_bool(o, "fate_struck", t->fate_struck);
    }
    json_add(o, "containers", list);
    for (size_t i = 0; i < t->container_count; i++) {
        const struct ecs_container *c = &t->containers[i];
        struct json_object *item = json_object_new_object();
        json_add_str(item, "name", c->name);
        json_add_str(item, "id", c->id);
        json_add_int(item, "pid", c->pid);
        if (c->ended)
            json_add_int(item, "exit_code", c->exit_code);
        json_add_str(item, "reason", c->reason);
        json_push(list, item);
    }
    return mem_dup(json_text(o, NULL));
}

static void load_container(struct ecs_container *c, struct json_object *o)
{
    const char *id = json_get_str(o, "id");
    c->name = mem_dup(json_get_str(o, "name"));
    snprintf(c->id, sizeof(c->id), "%s", id ? id : "");
    c->pid = (pid_t)json_get_int(o, "pid", 0);
    c->ended = json_get(o, "exit_code") != NULL;
    c->exit_code = (int)json_get_int(o, "exit_code", 0);
    c->reason = mem_dup(json_get_str(o, "reason"));
}

struct ecs_task *ecs_task_load(const char *text, struct error *err)
{
    auto_json struct json_object *o = NULL;
    if (json_parse_str(text, &o, err) < 0)
        return NULL;
    const char *id = json_get_str(o, "id");
    int64_t state = json_get_int(o, "state", -1);
    struct json_object *list = json_get_arr(o, "containers");
    if (!id || strlen(id) != ECS_TASK_ID - 1 || state < ECS_PROVISIONING || state > ECS_STOPPED ||
        !list || !json_get_obj(o, "spec") || !json_get_str(o, "cluster") ||
        !json_get_str(o, "family")) {
        error_set(err, ERR_INVALID, 0, "not a stored task");
        return NULL;
    }
    struct ecs_task *t = mem_alloc(sizeof(*t));
    memcpy(t->id, id, ECS_TASK_ID);
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++)
        *(char **)member_in(t, &TEXTS[i]) = mem_dup(json_get_str(o, TEXTS[i].name));
    for (size_t i = 0; i < ARRAY_LEN(NUMBERS); i++)
        *(int64_t *)member_in(t, &NUMBERS[i]) = json_get_int(o, NUMBERS[i].name, 0);
    for (size_t i = 0; i < ARRAY_LEN(OBJECTS); i++)
        *(struct json_object **)member_in(t, &OBJECTS[i]) =
            json_object_get(json_get(o, OBJECTS[i].name));
    t->state = (enum ecs_state)state;
    t->stop_wanted = json_get_bool(o, "stop_wanted", false);
    t->fate_struck = json_get_bool(o, "fate_struck", false);
    const char *fate =
        json_get_str(o, "fate"); /* absent in what was stored before there were any */
    if (fate && ecs_fate_parse(fate, &t->fate) < 0)
        t->fate = ECS_FATE_NONE;
    t->container_count = json_object_array_length(list);
    t->containers = mem_array(t->container_count + 1, sizeof(*t->containers));
    for (size_t i = 0; i < t->container_count; i++)
        load_container(&t->containers[i], json_object_array_get_idx(list, i));
    return t;
}

#include <math.h>
#include <string.h>

#include "launcher/api.h"
#include "launcher/log_stream.h"
#include "launcher/reason.h"
#include "shared/aws/ecs_client.h"
#include "shared/base/json.h"

#define TASKS_MAX 100 /* tasks that are shown: what one DescribeTasks takes */

static void copy_str(struct json_object *to, const char *name, struct json_object *from,
                     const char *member)
{
    json_add_str(to, name, json_get_str(from, member));
}

/* ECS's times are seconds since 1970. */
static void copy_time(struct json_object *to, struct json_object *task, const char *member)
{
    char text[CLOCK_TEXT];
    double seconds = json_get_double(task, member, -1);
    if (seconds < 0 || seconds > 253402300799.0)
        return;
    clock_format((int64_t)llround(seconds * 1000), text);
    json_add_str(to, member, text);
}

static struct json_object *find_container(struct json_object *task, const char *name)
{
    struct json_object *containers = json_get_arr(task, "containers");
    for (size_t i = 0; containers && i < json_object_array_length(containers); i++) {
        struct json_object *container = json_object_array_get_idx(containers, i);
        const char *its = json_get_str(container, "name");
        if (its && strcmp(its, name) == 0)
            return container;
    }
    return NULL;
}

/* What a client may want to know of a task; its overrides hold a token and are left out. */
static struct json_object *task_doc(struct json_object *task, const struct config *cfg)
{
    struct json_object *container = find_container(task, cfg->container);
    struct json_object *doc = json_object_new_object();
    auto_free char *stream = log_stream_of(cfg, json_get_str(task, "taskArn"));
    copy_str(doc, "taskArn", task, "taskArn");
    json_add_str(doc, "logGroup", stream ? cfg->log_group : NULL);
    json_add_str(doc, "logStream", stream);
    copy_str(doc, "taskDefinitionArn", task, "taskDefinitionArn");
    copy_str(doc, "lastStatus", task, "lastStatus");
    copy_str(doc, "desiredStatus", task, "desiredStatus");
    copy_str(doc, "stopCode", task, "stopCode");
    copy_str(doc, "stoppedReason", task, "stoppedReason");
    if (json_get(container, "exitCode"))
        json_add_int(doc, "exitCode", json_get_int(container, "exitCode", 0));
    copy_str(doc, "containerReason", container, "reason");
    copy_time(doc, task, "createdAt");
    copy_time(doc, task, "startedAt");
    copy_time(doc, task, "stoppedAt");
    return doc;
}

static int read_tasks(struct api_call *c, struct json_object **out, struct error *err)
{
    static const char *const states[] = { "RUNNING", "STOPPED" };
    const char *cluster = c->tools->cfg->cluster;
    char started_by[WORKFLOW_STARTED];
    auto_json struct json_object *arns = json_object_new_array();
    auto_json struct json_object *tasks = NULL;
    workflow_id_started_by(&c->id, started_by);
    for (size_t s = 0; s < ARRAY_LEN(states); s++) {
        auto_json struct json_object *some = NULL;
        if (ecs_list_tasks(c->tools->aws, cluster, started_by, states[s], &some, err) < 0)
            return -1;
        for (size_t i = 0; i < json_object_array_length(some); i++)
            if (json_object_array_length(arns) < TASKS_MAX)
                json_push(arns, json_object_get(json_object_array_get_idx(some, i)));
    }
    if (ecs_describe_tasks(c->tools->aws, cluster, arns, &tasks, err) < 0)
        return -1;
    *out = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(tasks); i++)
        json_push(*out, task_doc(json_object_array_get_idx(tasks, i), c->tools->cfg));
    return 0;
}

void api_include_add(struct api_call *c, const struct api_include *include, bool closed,
                     struct json_object *doc)
{
    struct error err = { 0 };
    struct json_object *part = NULL;
    struct json_object *unavailable = json_object_new_array();
    if (include->tasks && read_tasks(c, &part, &err) == 0) {
        json_add(doc, "tasks", MOVE(part));
    } else if (include->tasks) {
        log_warn(c->tools->log, log_event("tasks_not_read"), log_err(&err));
        json_push(unavailable, json_new_str("tasks"));
    }
    struct json_object *jobs = NULL;
    if (include->progress && api_past_progress(c, closed, &part, &jobs, &err) == 0) {
        json_add(doc, "progress", MOVE(part));
        if (jobs)
            json_add(doc, "jobs", jobs);
    } else if (include->progress) {
        log_warn(c->tools->log, log_event("progress_not_read"), log_err(&err));
        json_push(unavailable, json_new_str("progress"));
    }
    if (json_object_array_length(unavailable) > 0)
        json_add(doc, "unavailable", unavailable);
    else
        json_object_put(unavailable);
}

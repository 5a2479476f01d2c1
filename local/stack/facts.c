#include "local/stack/facts.h"

#include <stdlib.h>
#include <string.h>

#include "shared/aws/ecs_client.h"

void facts_release(struct facts *f)
{
    free(f->status);
    free(f->reason);
    free(f->type);
    free(f->result);
    *f = (struct facts){ 0 };
}

/* The last part of a workflow's id ('.') or of an execution's ARN ('/'). */
static const char *execution_of(const char *id, char separator)
{
    const char *last = strrchr(id, separator);
    return last ? last + 1 : id;
}

/* The launcher starts tasks by this name, so that they can be found by it. */
static char *started_by(const char *id)
{
    return mem_printf("durable/%s", execution_of(id, '.'));
}

static int64_t time_ms(const struct json_object *o, const char *key)
{
    const char *text = json_get_str(o, key);
    int64_t ms = 0;
    if (text && clock_parse(text, &ms) == 0)
        return ms;
    return (int64_t)(json_get_double(o, key, 0) * 1000);
}

/* Adds to *count. */
static int count_tasks(struct aws *aws, const char *cluster, const char *id, int *count,
                       struct error *err)
{
    static const char *const states[] = { "RUNNING", "STOPPED" };
    auto_free char *by = mem_printf("durable/%s", id);
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        auto_json struct json_object *arns = NULL;
        if (ecs_list_tasks(aws, cluster, by, states[i], &arns, err) < 0)
            return -1;
        *count += (int)json_object_array_length(arns);
    }
    return 0;
}

static void add_invocation(struct facts *out, struct json_object *details)
{
    out->invocations++;
    out->launcher_ms += time_ms(details, "EndTimestamp") - time_ms(details, "StartTimestamp");
}

/* The invocations, and the tasks of the workflows that it has invoked. */
static int read_history(struct api *api, struct aws *aws, const char *cluster, const char *id,
                        struct facts *out, struct error *err)
{
    auto_answer struct api_answer answer = { 0 };
    auto_free char *path = mem_printf("/workflows/%s/history", id);
    if (api_send(api, "GET", path, NULL, NULL, &answer, err) < 0)
        return -1;
    struct json_object *events = json_get_arr(answer.json, "events");
    if (answer.status != 200 || !events)
        return error_set(err, ERR_PROTOCOL, answer.status, "GET %s: %d %.200s", path, answer.status,
                         answer.text);
    for (size_t i = 0; i < json_object_array_length(events); i++) {
        struct json_object *event = json_object_array_get_idx(events, i);
        struct json_object *details = json_get_obj(event, "InvocationCompletedDetails");
        const char *child =
            json_get_str(json_get_obj(event, "ChainedInvokeStartedDetails"), "DurableExecutionArn");
        if (details)
            add_invocation(out, details);
        if (child && count_tasks(aws, cluster, execution_of(child, '/'), &out->tasks, err) < 0)
            return -1;
    }
    return 0;
}

int facts_read(struct api *api, struct aws *aws, const char *cluster, const char *id,
               struct json_object *ended, struct facts *out, struct error *err)
{
    struct json_object *error = json_get_obj(ended, "error");
    struct json_object *result = json_get(ended, "result");
    facts_release(out);
    out->status = mem_dup(json_get_str(ended, "status"));
    out->took_ms = time_ms(ended, "endedAt") - time_ms(ended, "startedAt");
    if (error) {
        const char *type = json_get_str(error, "type");
        const char *message = json_get_str(error, "message");
        out->type = mem_dup(type ? type : "");
        out->reason = mem_printf("%s: %s", out->type, message ? message : "");
    }
    if (result)
        out->result = mem_dup(json_text(result, NULL));
    if (count_tasks(aws, cluster, execution_of(id, '.'), &out->tasks, err) < 0)
        return -1;
    return read_history(api, aws, cluster, id, out, err);
}

int facts_invocations(struct api *api, const char *id)
{
    auto_answer struct api_answer answer = { 0 };
    auto_free char *path = mem_printf("/workflows/%s/history", id);
    if (api_send(api, "GET", path, NULL, NULL, &answer, NULL) < 0)
        return 0;
    struct json_object *events = json_get_arr(answer.json, "events");
    int ended = 0;
    for (size_t i = 0; events && i < json_object_array_length(events); i++)
        ended += json_get_obj(json_object_array_get_idx(events, i), "InvocationCompletedDetails") !=
                 NULL;
    return ended;
}

int facts_task_pid(struct api *local_aws, const char *id)
{
    auto_answer struct api_answer answer = { 0 };
    auto_free char *by = started_by(id);
    if (api_send(local_aws, "GET", "/_local/tasks", NULL, NULL, &answer, NULL) < 0)
        return 0;
    struct json_object *tasks = json_get_arr(answer.json, "tasks");
    for (size_t i = 0; tasks && i < json_object_array_length(tasks); i++) {
        struct json_object *task = json_object_array_get_idx(tasks, i);
        const char *task_by = json_get_str(task, "startedBy");
        const char *status = json_get_str(task, "lastStatus");
        if (task_by && status && strcmp(task_by, by) == 0 && strcmp(status, "RUNNING") == 0)
            return (int)json_get_int(task, "pid", 0);
    }
    return 0;
}

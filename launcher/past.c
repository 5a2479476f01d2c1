#include "launcher/past.h"

#include <stdlib.h>
#include <string.h>

#include "launcher/workflow_id.h"
#include "shared/aws/ecs_client.h"
#include "shared/aws/lambda_client.h"
#include "shared/base/json.h"

#define PAGE_EVENTS 1000
#define PAGES_MAX   20
#define STOPPED     "Workflow.Stopped"
#define CHAINED     "ChainedInvoke"

void past_release(struct past *past)
{
    json_object_put(past->callbacks);
    json_object_put(past->children);
    *past = (struct past){ .callbacks = NULL };
}

static bool is(const char *type, const char *word)
{
    return type && strcmp(type, word) == 0;
}

/* An event of an invoke: "Started" with the execution's ARN, or how it ended. */
static void read_chained(const char *id, const char *what, const char *arn, struct past *past)
{
    if (strcmp(what, "Started") == 0) {
        past->begun++;
        json_add_str(past->children, id, arn);
        return;
    }
    json_object_object_del(past->children, id);
    if (strcmp(what, "Succeeded") == 0)
        past->succeeded++;
    else
        past->failed++;
}

/* Steps that have begun and not ended are counted by their beginnings and ends: a step begins once
 * an attempt, and each attempt ends, unless the execution was closed over it. */
static void read_events(struct json_object *events, struct past *past, int *open)
{
    for (size_t i = 0; i < json_object_array_length(events); i++) {
        struct json_object *event = json_object_array_get_idx(events, i);
        const char *type = json_get_str(event, "EventType");
        const char *id = json_get_str(event, "Id");
        const char *callback =
            json_get_str(json_get_obj(event, "CallbackStartedDetails"), "CallbackId");
        const char *child =
            json_get_str(json_get_obj(event, "ChainedInvokeStartedDetails"), "DurableExecutionArn");
        if (callback)
            json_push(past->callbacks, json_new_str(callback));
        else if (is(type, "StepStarted"))
            (*open)++;
        else if (is(type, "StepSucceeded") || is(type, "StepFailed"))
            (*open)--;
        else if (type && id && strncmp(type, CHAINED, strlen(CHAINED)) == 0)
            read_chained(id, type + strlen(CHAINED), child, past);
    }
}

int past_read(struct aws *aws, const char *arn, struct past *out, struct error *err)
{
    auto_free char *marker = NULL;
    int open = 0;
    *out =
        (struct past){ .callbacks = json_object_new_array(), .children = json_object_new_object() };
    for (unsigned n = 0; n == 0 || (marker && n < PAGES_MAX); n++) {
        auto_json struct json_object *page = NULL;
        if (lambda_get_history(aws, arn, true, marker, PAGE_EVENTS, &page, err) < 0)
            return -1;
        struct json_object *events = json_get_arr(page, "Events");
        if (events)
            read_events(events, out, &open);
        const char *next = json_get_str(page, "NextMarker");
        mem_free_ptr(&marker);
        marker = next && *next ? mem_dup(next) : NULL;
    }
    out->step_open = open > 0;
    return 0;
}

static bool is_gone(const struct error *err)
{
    return err->code == ERR_NOT_FOUND ||
           (err->code == ERR_INVALID && strcasestr(err->msg, "not found"));
}

int past_stop_tasks(struct aws *aws, const char *cluster, const char *started_by,
                    const char *reason, int64_t *count, struct error *err)
{
    auto_json struct json_object *arns = NULL;
    int rc = 0;
    if (ecs_list_tasks(aws, cluster, started_by, "RUNNING", &arns, err) < 0)
        return error_wrap(err, "list the tasks");
    for (size_t i = 0; i < json_object_array_length(arns); i++) {
        const char *arn = json_object_get_string(json_object_array_get_idx(arns, i));
        struct error why = { 0 };
        if (ecs_stop_task(aws, cluster, arn, reason, &why) < 0 && !is_gone(&why)) {
            *err = why;
            rc = error_wrap(err, "stop the task");
        } else {
            (*count)++;
        }
    }
    return rc;
}

static int stop_child(struct aws *aws, const char *cluster, const char *arn, bool tasks,
                      const char *reason, int64_t *count, struct error *err)
{
    struct workflow_id id;
    char started_by[WORKFLOW_STARTED];
    /* What AWS answers to stopping a closed execution is not documented: a refusal of the request
     * itself means that there is nothing to stop. */
    if (lambda_stop(aws, arn, STOPPED, reason, err) < 0 && err->code != ERR_NOT_FOUND &&
        err->code != ERR_INVALID && err->code != ERR_CONFLICT)
        return error_wrap(err, "stop %.300s", arn);
    if (!tasks || workflow_id_from_arn(&id, NULL, arn) < 0)
        return 0;
    workflow_id_started_by(&id, started_by);
    return past_stop_tasks(aws, cluster, started_by, reason, count, err);
}

int past_stop_children(struct aws *aws, const char *cluster, struct past *past, bool tasks,
                       const char *reason, int64_t *count, struct error *err)
{
    struct json_object *left = json_object_new_object();
    int rc = 0;
    json_object_object_foreach(past->children, id, child)
    {
        if (stop_child(aws, cluster, json_object_get_string(child), tasks, reason, count, err) == 0)
            continue;
        rc = -1;
        json_add(left, id, json_object_get(child));
    }
    json_object_put(past->children);
    past->children = left;
    return rc;
}

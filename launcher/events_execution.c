#include <stdio.h>
#include <string.h>

#include "launcher/events.h"
#include "launcher/workflow_id.h"
#include "shared/aws/ecs_client.h"
#include "shared/aws/lambda_client.h"
#include "shared/base/json.h"

#define PAGE_EVENTS 1000
#define PAGES_MAX   20

/* An execution that ended other than well. */
struct ended {
    const struct events_tools *tools;
    const char *arn;
    const char *status;
    char workflow[WORKFLOW_ID_TEXT];
    char started_by[WORKFLOW_STARTED];
};

static bool is_end_to_clean(const char *status)
{
    static const char *const ends[] = { "FAILED", "STOPPED", "TIMED_OUT" };
    for (size_t i = 0; status && i < ARRAY_LEN(ends); i++)
        if (strcmp(status, ends[i]) == 0)
            return true;
    return false;
}

/* ---- registrations --------------------------------------------------------------------------- */

static int close_one(const struct ended *e, const char *callback_id, struct error *err)
{
    char id[TOKEN_PUBLIC_ID];
    auto_secret char *token = events_seal(e->tools, callback_id, id, err);
    if (!token)
        return -1;
    return receiver_close(e->tools->receiver, id, token, e->status, err);
}

static int close_page(const struct ended *e, struct json_object *page, struct error *err)
{
    struct json_object *events = json_get_arr(page, "Events");
    int rc = 0;
    for (size_t i = 0; events && i < json_object_array_length(events); i++) {
        struct json_object *event = json_object_array_get_idx(events, i);
        const char *id = json_get_str(json_get_obj(event, "CallbackStartedDetails"), "CallbackId");
        if (id && close_one(e, id, err) < 0)
            rc = -1;
    }
    return rc;
}

/* All that the execution's history names. */
static int close_registrations(const struct ended *e, struct error *err)
{
    auto_free char *marker = NULL;
    int rc = 0;
    for (unsigned n = 0; n == 0 || (marker && n < PAGES_MAX); n++) {
        auto_json struct json_object *page = NULL;
        if (lambda_get_history(e->tools->aws, e->arn, true, marker, PAGE_EVENTS, &page, err) < 0)
            return err->code == ERR_NOT_FOUND ? rc : error_wrap(err, "read the history");
        if (close_page(e, page, err) < 0)
            rc = -1;
        const char *next = json_get_str(page, "NextMarker");
        mem_free_ptr(&marker);
        marker = next && *next ? mem_dup(next) : NULL;
    }
    return rc < 0 ? error_wrap(err, "close the registration") : 0;
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static int stop_tasks(const struct ended *e, int64_t *count, struct error *err)
{
    const struct events_tools *t = e->tools;
    char reason[96];
    auto_json struct json_object *arns = NULL;
    int rc = 0;
    snprintf(reason, sizeof(reason), "the workflow has ended: %s", e->status);
    if (ecs_list_tasks(t->aws, t->cfg->cluster, e->started_by, "RUNNING", &arns, err) < 0)
        return error_wrap(err, "list the tasks");
    for (size_t i = 0; i < json_object_array_length(arns); i++) {
        const char *arn = json_object_get_string(json_object_array_get_idx(arns, i));
        struct error why = { 0 };
        if (ecs_stop_task(t->aws, t->cfg->cluster, arn, reason, &why) == 0) {
            log_info(t->log, log_event("task_stopped"), log_str("workflow", e->workflow),
                     log_str("task", arn));
            (*count)++;
        } else if (why.code != ERR_NOT_FOUND && !strcasestr(why.msg, "not found")) {
            *err = why;
            rc = error_wrap(err, "stop the task");
        }
    }
    return rc;
}

/* Closed first, so that a container that says something while it is stopped is told that nobody
 * waits, and leaves no undeliverable report. Both are tried, whatever becomes of the other. */
int events_execution(const struct events_tools *t, struct json_object *event, struct error *err)
{
    struct json_object *detail = json_get_obj(event, "detail");
    struct ended e = {
        .tools = t,
        .arn = json_get_str(detail, "durableExecutionArn"),
        .status = json_get_str(detail, "status"),
    };
    struct workflow_id id;
    if (!is_end_to_clean(e.status) || !e.arn || workflow_id_from_arn(&id, NULL, e.arn) < 0)
        return 0;
    if (t->cfg->function_name[0] && strcmp(t->cfg->function_name, id.function) != 0)
        return 0; /* another durable function of this account */
    workflow_id_text(&id, e.workflow);
    workflow_id_started_by(&id, e.started_by);
    struct error closing = { 0 };
    int64_t count = 0;
    int closed = close_registrations(&e, &closing);
    int stopped = stop_tasks(&e, &count, err);
    log_info(t->log, log_event("execution_ended"), log_str("workflow", e.workflow),
             log_str("status", e.status), log_int("tasks", count));
    if (closed < 0)
        *err = closing;
    return closed < 0 || stopped < 0 ? -1 : 0;
}

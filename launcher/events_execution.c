#include <stdio.h>
#include <string.h>

#include "launcher/events.h"
#include "launcher/past.h"
#include "launcher/workflow_id.h"
#include "shared/base/json.h"

#define IN_FLIGHT_MS       3000 /* how long a task is looked for that a step may yet start */
#define IN_FLIGHT_PAUSE_MS 300

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

static int close_registrations(const struct ended *e, const struct past *past, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; i < json_object_array_length(past->callbacks); i++) {
        struct json_object *id = json_object_array_get_idx(past->callbacks, i);
        if (close_one(e, json_object_get_string(id), err) < 0)
            rc = error_wrap(err, "close the registration");
    }
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Closes, stops, and looks again for what a step that was under way may have started since. What
 * goes wrong is tried to the end, and told last. */
static int clean(const struct ended *e, struct past *past, int64_t *count, struct error *err)
{
    const struct events_tools *t = e->tools;
    char reason[96];
    int64_t until_ms = clock_mono_ms(t->clock) + IN_FLIGHT_MS;
    snprintf(reason, sizeof(reason), "the workflow has ended: %s", e->status);
    receiver_client_halve_deadline(t->receiver);
    int rc = close_registrations(e, past, err);
    /* Their own ends come as events too, and stop their tasks. */
    if (past_stop_children(t->aws, t->cfg->cluster, past, false, reason, count, err) < 0)
        rc = -1;
    for (;;) {
        if (past_stop_tasks(t->aws, t->cfg->cluster, e->started_by, reason, count, err) < 0)
            return -1;
        if (rc < 0 || !past->step_open || *count > 0 || clock_mono_ms(t->clock) >= until_ms)
            return rc;
        clock_sleep_ms(t->clock, IN_FLIGHT_PAUSE_MS);
    }
}

/* One that failed has counted itself; the other two ends come from outside. */
static void count_end(const struct ended *e, const char *function)
{
    const struct metrics_of of = {
        .function = function,
        .error_type = strcmp(e->status, "STOPPED") == 0 ? "Workflow.Stopped" : "Workflow.Timeout",
        .workflow = e->workflow,
    };
    if (strcmp(e->status, "FAILED") != 0)
        metrics_count(e->tools->metrics, "WorkflowsFailed", &of);
}

/* Closed first, so that a container that says something while it is stopped is told that nobody
 * waits, and leaves no undeliverable report. Both are tried, whatever becomes of the other. */
int events_execution(const struct events_tools *t, struct json_object *event, bool again,
                     struct error *err)
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
    if (!again)
        count_end(&e, id.function);
    auto_past struct past past = { .callbacks = NULL };
    int64_t count = 0;
    int rc = past_read(t->aws, e.arn, &past, err);
    if (rc < 0 && err->code != ERR_NOT_FOUND)
        error_wrap(err, "read the history");
    struct error unread = *err;
    bool known = rc == 0 || err->code == ERR_NOT_FOUND;
    rc = clean(&e, &past, &count, err);
    log_info(t->log, log_event("execution_ended"), log_str("workflow", e.workflow),
             log_str("status", e.status), log_int("tasks", count));
    if (!known)
        *err = unread;
    return known ? rc : -1;
}

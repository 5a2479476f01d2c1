#include <string.h>

#include "launcher/api.h"
#include "shared/aws/lambda_client.h"
#include "shared/base/json.h"

#define STOPPED      "Workflow.Stopped"
#define IN_FLIGHT_MS 3000  /* how long a task is looked for that a step may yet start */
#define CLOSE_MS     10000 /* for how long a receiver whose store is away is asked again */
#define PAUSE_MS     300

#define REASON "the workflow was stopped"

/* Stops what runs of the execution itself; the number of tasks is added to *count. */
static int stop_tasks(struct api_call *c, int64_t *count, struct error *err)
{
    char started_by[WORKFLOW_STARTED];
    workflow_id_started_by(&c->id, started_by);
    return past_stop_tasks(c->tools->aws, c->tools->cfg->cluster, started_by, REASON, count, err);
}

/* What AWS answers to stopping a closed execution is not documented; it is stopped either way.
 * *text is the status afterwards, in new memory. */
static int stop_execution(struct api_call *c, char **text, struct error *err)
{
    bool closed = false;
    int rc = lambda_stop(c->tools->aws, c->arn, STOPPED, "stopped by a client of the API", err);
    if (rc < 0 && err->code != ERR_INVALID && err->code != ERR_CONFLICT)
        return -1;
    struct error why = *err;
    *text = api_status(c, true, &closed, err);
    if (!*text)
        return -1;
    if (rc == 0 || closed)
        return 0;
    mem_free_ptr(text);
    *err = why;
    return -1;
}

static bool succeeded(const char *text)
{
    struct error not_json;
    auto_json struct json_object *doc = NULL;
    if (json_parse_str(text, &doc, &not_json) < 0)
        return false;
    const char *status = json_get_str(doc, "status");
    return status && strcmp(status, "SUCCEEDED") == 0;
}

/* The workflows of a batch, as many as there is time for: the handler `events` stops them too. */
static void stop_children(struct api_call *c, struct past *past, int64_t *tasks)
{
    struct error err = { 0 };
    if (past_stop_children(c->tools->aws, c->tools->cfg->cluster, past, true, REASON, tasks, &err) <
        0)
        log_warn(c->tools->log, log_event("jobs_not_stopped"), log_str("workflow", c->id_text),
                 log_int("count", json_object_object_length(past->children)), log_err(&err));
}

/* Stops what the execution has started. Where it was stopped in the middle of a step, that step may
 * start a task even now: it is looked for a while longer, and its registration is closed once more.
 * A task that comes later still is told to stop by the receiver when it asks. Registrations that
 * could not be closed are tried again: what such a job says while it is stopped would be accepted,
 * and never be delivered. */
static int stop_jobs(struct api_call *c, int64_t *tasks, struct error *err)
{
    const struct clock *clock = c->tools->clock;
    auto_past struct past past = { .callbacks = NULL };
    struct error unread = { 0 };
    int64_t began_ms = clock_wall_ms(clock);
    bool known = past_read(c->tools->aws, c->arn, &past, &unread) == 0;
    if (!known)
        log_warn(c->tools->log, log_event("history_not_read"), log_err(&unread));
    stop_children(c, &past, tasks);
    if (c->tools->receiver)
        receiver_client_halve_deadline(c->tools->receiver);
    for (;;) {
        size_t open = c->tools->receiver ? api_past_close(c, &past) : 0;
        if (stop_tasks(c, tasks, err) < 0)
            return -1;
        int64_t now_ms = clock_wall_ms(clock);
        bool in_flight = past.step_open && *tasks == 0 && now_ms - began_ms < IN_FLIGHT_MS;
        bool closing = open > 0 && now_ms - began_ms < CLOSE_MS;
        if ((!in_flight && !closing) || now_ms >= c->deadline_ms)
            return 0;
        clock_sleep_ms(clock, PAUSE_MS);
    }
}

void api_delete(struct api_call *c)
{
    struct error err = { 0 };
    int64_t tasks = 0;
    auto_free char *text = NULL;
    if (*c->req->query) {
        api_reply_problem(c->reply, 400, NULL, "there are no query parameters here");
        return;
    }
    /* Whatever ended the workflow: a task may have outlived it. Only after a success nothing is
     * closed, since a repeated report must still be answered as delivered. */
    if (stop_execution(c, &text, &err) < 0 ||
        (succeeded(text) ? stop_tasks(c, &tasks, &err) : stop_jobs(c, &tasks, &err)) < 0) {
        api_upstream_problem(c, &err);
        return;
    }
    log_info(c->tools->log, log_event("workflow_stopped"), log_str("workflow", c->id_text),
             log_int("tasks", tasks));
    api_reply_text(c->reply, 200, text);
}

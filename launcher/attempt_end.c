#include "launcher/attempt.h"

#include <stdio.h>
#include <string.h>

#include "launcher/failure.h"
#include "launcher/log_stream.h"
#include "launcher/workflow_id.h"

static const char *const again_only[] = { ATTEMPT_AGAIN, NULL };

/* The receiver may be away: about eight minutes of durable waits. */
static const struct durable_retry ask_patience = { .max_attempts = 12,
                                                   .first_delay_s = 2,
                                                   .max_delay_s = 60,
                                                   .rate = 2,
                                                   .jitter = DURABLE_JITTER_HALF,
                                                   .only_types = again_only };
/* ECS is asked again while a task is on its way to its end: about half a minute. */
static const struct durable_retry describe_patience = { .max_attempts = 6,
                                                        .first_delay_s = 2,
                                                        .max_delay_s = 10,
                                                        .rate = 1.5,
                                                        .jitter = DURABLE_JITTER_NONE,
                                                        .only_types = again_only };
static const struct durable_retry cleanup_patience = { .max_attempts = 8,
                                                       .first_delay_s = 1,
                                                       .max_delay_s = 30,
                                                       .rate = 2,
                                                       .jitter = DURABLE_JITTER_HALF,
                                                       .only_types = again_only };

/* ---- outcome --------------------------------------------------------------------------------- */

/* {"held":REPORT or null} from the receiver's state. */
static struct json_object *held_record(struct json_object *status)
{
    struct json_object *report = json_get_obj(status, "report");
    struct json_object *o = json_object_new_object();
    json_add(o, "held", json_object_get(report));
    json_add_str(o, "state", json_get_str(status, "state"));
    return o;
}

/* 1: a report is held, *record tells it. 0: none is. */
static int ask(const struct attempt *a, struct json_object **record, struct error *err)
{
    auto_json struct json_object *status = NULL;
    if (receiver_status(a->tools->receiver, a->public_id, a->launcher_token, &status, err) < 0)
        return -1;
    json_object_put(*record);
    *record = held_record(status);
    return json_get_obj(*record, "held") ? 1 : 0;
}

static int outcome_body(struct durable_step *step, void *arg, struct json_object **out,
                        struct durable_error *err)
{
    struct attempt *a = arg;
    struct error why = { 0 };
    auto_json struct json_object *record = NULL;
    attempt_step_begin(step, a->tools);
    int held = ask(a, &record, &why);
    if (held > 0) {
        /* It needs no more delivering, and is no dead letter. */
        struct error ignored;
        (void)!receiver_close(a->tools->receiver, a->public_id, a->launcher_token,
                              "held report used", &ignored);
    }
    /* Closed first and asked again: what was accepted before counts, later reports get 410. */
    if (held == 0)
        held = receiver_close(a->tools->receiver, a->public_id, a->launcher_token, "Task.Timeout",
                              &why);
    if (held == 0)
        held = ask(a, &record, &why);
    if (held < 0 && (why.retryable || why.code == ERR_PROTOCOL))
        return attempt_step_error(err, true, "ask the receiver for a report", &why);
    if (held < 0)
        attempt_say(a, LOG_WARN, "no_report_held", "outcome", "%s", why.msg);
    *out = record ? MOVE(record) : json_object_new_object();
    return 0;
}

/* A held success as the callback would have given it: text as a string, anything else as JSON. */
static struct json_object *held_value(struct json_object *held)
{
    const char *media = json_get_str(held, "mediaType");
    const char *body = json_get_str(held, "body");
    struct error not_json;
    struct json_object *value = NULL;
    if (!body)
        return NULL;
    if (media && strncmp(media, "text/plain", 10) == 0)
        return json_new_str(body);
    return json_parse_str(body, &value, &not_json) == 0 ? value : json_new_str(body);
}

/* After the engine's own timeout. DURABLE_OK: a held success, in *out. DURABLE_FAILED: no success;
 * *own is a held failure, where there is one. */
static enum durable_rc find_outcome(struct durable_ctx *ctx, struct attempt *a,
                                    struct json_object **out, struct durable_error *own)
{
    const struct durable_step_opts opts = { .retry = ask_patience };
    auto_json struct json_object *record = NULL;
    auto_durable_error struct durable_error err = { 0 };
    enum durable_rc rc = durable_step(ctx, "outcome", outcome_body, a, &opts, &record, &err);
    if (rc == DURABLE_FAILED && !durable_is_replaying(ctx))
        attempt_say(a, LOG_WARN, "receiver_away", "outcome", "%s", err.message);
    if (rc != DURABLE_OK)
        return rc;
    struct json_object *held = json_get_obj(record, "held");
    const char *kind = json_get_str(held, "kind");
    if (!kind)
        return DURABLE_FAILED;
    if (strcmp(kind, "success") == 0) {
        *out = held_value(held);
        return DURABLE_OK;
    }
    const char *body = json_get_str(held, "body");
    failure_from_report(body ? body : "{}", own);
    return DURABLE_FAILED;
}

/* ---- describe -------------------------------------------------------------------------------- */

struct describe {
    struct attempt *attempt;
    bool patient; /* how the task ended is what the failure is about */
};

static int describe_body(struct durable_step *step, void *arg, struct json_object **out,
                         struct durable_error *err)
{
    const struct describe *d = arg;
    const struct attempt *a = d->attempt;
    const struct config *cfg = a->tools->cfg;
    struct error why = { 0 };
    struct reason r;
    auto_json struct json_object *task = NULL;
    attempt_step_begin(step, a->tools);
    if (ecs_describe_task(a->tools->aws, cfg->cluster, a->task_arn, &task, &why) < 0)
        return attempt_step_error(err, why.retryable || why.code == ERR_PROTOCOL,
                                  "describe the task", &why);
    if (!task)
        return 0; /* ECS has forgotten it */
    reason_judge(task, cfg->container, &r);
    if (r.state == REASON_ENDING && d->patient) {
        durable_error_set(err, ATTEMPT_AGAIN, "the task is %s", r.status);
        return -1;
    }
    *out = failure_record(&r);
    return 0;
}

/* *record stays NULL where ECS does not say. */
static enum durable_rc describe(struct durable_ctx *ctx, struct attempt *a, bool patient,
                                struct json_object **record)
{
    const struct durable_step_opts opts = { .retry = describe_patience };
    struct describe d = { .attempt = a, .patient = patient };
    auto_durable_error struct durable_error err = { 0 };
    if (!a->task_arn)
        return DURABLE_OK;
    enum durable_rc rc = durable_step(ctx, "describe", describe_body, &d, &opts, record, &err);
    if (rc != DURABLE_FAILED)
        return rc;
    if (!durable_is_replaying(ctx))
        attempt_say(a, LOG_WARN, "reason_not_known", "describe", "%s", err.message);
    return DURABLE_OK;
}

/* ---- cleanup --------------------------------------------------------------------------------- */

struct cleanup {
    struct attempt *attempt;
    const char *outcome;
    bool stop_task;
};

/* Stops one task; a task that ECS does not know is stopped. */
static int stop(const struct attempt *a, const char *task, const char *outcome, struct error *err)
{
    char reason[WORKFLOW_ID_TEXT];
    snprintf(reason, sizeof(reason), "the workflow has ended: %.100s", outcome);
    if (ecs_stop_task(a->tools->aws, a->tools->cfg->cluster, task, reason, err) == 0)
        return 0;
    bool gone = err->code == ERR_NOT_FOUND ||
                (err->code == ERR_INVALID && strcasestr(err->msg, "not found"));
    return gone ? 0 : -1;
}

/* Where no ARN is known, something may run all the same. */
static int stop_unknown(const struct attempt *a, const char *outcome, struct error *err)
{
    auto_json struct json_object *arns = NULL;
    if (ecs_list_tasks(a->tools->aws, a->tools->cfg->cluster, a->started_by, "RUNNING", &arns,
                       err) < 0)
        return -1;
    for (size_t i = 0; i < json_object_array_length(arns); i++)
        if (stop(a, json_object_get_string(json_object_array_get_idx(arns, i)), outcome, err) < 0)
            return -1;
    return 0;
}

static int cleanup_body(struct durable_step *step, void *arg, struct json_object **out,
                        struct durable_error *err)
{
    (void)out;
    const struct cleanup *c = arg;
    const struct attempt *a = c->attempt;
    struct error closing = { 0 };
    struct error stopping = { 0 };
    char word[65];
    snprintf(word, sizeof(word), "%s", c->outcome);
    attempt_step_begin(step, a->tools);
    /* Both are tried, whatever becomes of the other. */
    int closed = 0;
    if (c->stop_task)
        receiver_client_halve_deadline(a->tools->receiver);
    if (a->launcher_token)
        closed =
            receiver_close(a->tools->receiver, a->public_id, a->launcher_token, word, &closing);
    int stopped = 0;
    if (c->stop_task)
        stopped = a->task_arn ? stop(a, a->task_arn, c->outcome, &stopping)
                              : stop_unknown(a, c->outcome, &stopping);
    if (stopped < 0)
        return attempt_step_error(err, stopping.retryable, "stop the task", &stopping);
    if (closed < 0)
        return attempt_step_error(err, closing.retryable, "close the registration", &closing);
    attempt_say(a, LOG_INFO, c->stop_task ? "task_stopped" : "registration_closed", "cleanup", "%s",
                c->outcome);
    return 0;
}

enum durable_rc attempt_cleanup(struct durable_ctx *ctx, struct attempt *a, const char *outcome,
                                bool stop_task)
{
    const struct durable_step_opts opts = { .retry = cleanup_patience };
    struct cleanup c = { .attempt = a, .outcome = outcome, .stop_task = stop_task };
    auto_durable_error struct durable_error err = { 0 };
    enum durable_rc rc = durable_step(ctx, "cleanup", cleanup_body, &c, &opts, NULL, &err);
    if (rc != DURABLE_FAILED)
        return rc;
    if (!durable_is_replaying(ctx))
        attempt_say(a, LOG_ERROR, "cleanup_incomplete", "cleanup", "%s", err.message);
    return DURABLE_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool has_ended(struct json_object *record)
{
    const char *status = json_get_str(record, "lastStatus");
    return status && (strcmp(status, "STOPPED") == 0 || strcmp(status, "DELETED") == 0);
}

void attempt_failure(const struct attempt *a, const struct durable_error *own,
                     struct json_object *record, struct durable_error *err)
{
    auto_free char *stream = log_stream_of(a->tools->cfg, a->task_arn);
    const struct failure_place place = { .task_arn = a->task_arn,
                                         .log_group = stream ? a->tools->cfg->log_group : NULL,
                                         .log_stream = stream };
    failure_compose(own, record, &place, err);
}

enum durable_rc attempt_end(struct durable_ctx *ctx, struct attempt *a, struct json_object **out,
                            struct durable_error *err)
{
    auto_durable_error struct durable_error own = { 0 };
    auto_json struct json_object *record = NULL;
    bool by_engine = err->type && strcmp(err->type, "CallbackTimeoutError") == 0;
    failure_from_callback(err, &own);
    if (by_engine) {
        enum durable_rc rc = find_outcome(ctx, a, out, &own);
        if (rc != DURABLE_FAILED)
            return rc;
    }
    bool patient = failure_is_silence(own.type) || failure_is_signal(own.type);
    DURABLE_TRY(describe(ctx, a, patient, &record));
    DURABLE_TRY(attempt_cleanup(ctx, a, own.type, !has_ended(record)));
    attempt_failure(a, &own, record, err);
    return DURABLE_FAILED;
}

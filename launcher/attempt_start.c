#include "launcher/attempt.h"

#include <stdio.h>
#include <string.h>

#include "launcher/plan.h"
#include "launcher/policy.h"
#include "launcher/started.h"
#include "launcher/workflow_id.h"

/* Longer than any re-run takes that follows a crash at once. ECS remembers a clientToken for an
 * hour after its task at least, so that within this time RunTask itself finds what it started. */
#define TRUST_TOKEN_MS (10 * 60 * 1000)

/* How long an unknown outcome is asked for: about six minutes with the waits below. */
static const struct durable_retry patience = {
    .max_attempts = 18,
    .first_delay_s = 1,
    .max_delay_s = 30,
    .rate = 2,
    .jitter = DURABLE_JITTER_HALF,
    .only_types = (const char *const[]){ ATTEMPT_AGAIN, NULL },
};

/* ---- when, and in which trace ---------------------------------------------------------------- */

struct json_object *attempt_asked(const struct attempt *a)
{
    struct json_object *o = json_object_new_object();
    json_add_int(o, "atMs", clock_wall_ms(a->tools->clock));
    json_add_str(o, "traceparent", a->traceparent[0] ? a->traceparent : NULL);
    return o;
}

void attempt_take_asked(struct attempt *a, struct json_object *record)
{
    const char *trace = json_get_str(record, "traceparent");
    snprintf(a->traceparent, sizeof(a->traceparent), "%s", trace ? trace : "");
    a->asked_ms = json_get_int(record, "atMs", a->begin_ms);
}

/* ---- register -------------------------------------------------------------------------------- */

static void registration(const struct attempt *a, struct buf *body)
{
    struct workflow_id id;
    char workflow[WORKFLOW_ID_TEXT] = "";
    if (workflow_id_from_arn(&id, NULL, a->execution_arn) == 0)
        workflow_id_text(&id, workflow);
    size_t len;
    buf_add_str(body, "{\"input\":");
    const char *input = json_text(a->in->input, &len);
    buf_add(body, input, len);
    buf_printf(body, ",\"heartbeatSeconds\":%lld", (long long)a->in->heartbeat_s);
    if (a->in->start_timeout_s)
        buf_printf(body, ",\"startTimeoutSeconds\":%lld", (long long)a->in->start_timeout_s);
    if (a->in->engine_heartbeat_s)
        buf_printf(body, ",\"engineHeartbeatSeconds\":%lld", (long long)a->in->engine_heartbeat_s);
    buf_add_str(body, ",\"workflow\":");
    buf_add_json_str(body, workflow);
    buf_add_str(body, ",\"job\":");
    buf_add_json_str(body, a->job);
    buf_add_char(body, '}');
}

/* The result records when that was, and the trace of the invocation that registered: RunTask's
 * bytes follow from it. */
static int register_body(struct durable_step *step, void *arg, struct json_object **out,
                         struct durable_error *err)
{
    struct attempt *a = arg;
    struct error why = { 0 };
    attempt_step_begin(step, a->tools);
    auto_buf struct buf body = BUF_INIT(2 * INPUT_MAX);
    registration(a, &body);
    if (receiver_register(a->tools->receiver, a->public_id, a->launcher_token, buf_str(&body),
                          &why) < 0)
        return attempt_step_error(err, why.retryable || why.code == ERR_PROTOCOL,
                                  "register the job", &why);
    *out = attempt_asked(a);
    return 0;
}

/* ---- run-task -------------------------------------------------------------------------------- */

static bool is_other(const struct attempt *a, const char *arn)
{
    for (size_t i = 0; a->others && i < json_object_array_length(a->others); i++)
        if (strcmp(json_object_get_string(json_object_array_get_idx(a->others, i)), arn) == 0)
            return true;
    return false;
}

/* Looks for the task that an earlier try of this step started, running or stopped: 1 with *result,
 * 0 where there is none. */
static int find_task(const struct attempt *a, struct json_object **result, struct error *err)
{
    static const char *const states[] = { "RUNNING", "STOPPED" };
    for (size_t s = 0; s < ARRAY_LEN(states); s++) {
        auto_json struct json_object *arns = NULL;
        if (ecs_list_tasks(a->tools->aws, a->tools->cfg->cluster, a->started_by, states[s], &arns,
                           err) < 0)
            return -1;
        for (size_t i = 0; i < json_object_array_length(arns); i++) {
            const char *arn = json_object_get_string(json_object_array_get_idx(arns, i));
            if (is_other(a, arn))
                continue;
            *result = started_task(arn);
            return 1;
        }
    }
    return 0;
}

static void request(const struct attempt *a, const char *client_token, struct buf *body)
{
    auto_free char *url = NULL;
    if (a->job_token)
        url = mem_printf("%s/v1/callbacks/%s", a->tools->cfg->callback_base_url, a->public_id);
    const struct plan_job job = {
        .name = a->job,
        .callback_url = url,
        .token = a->job_token,
        .client_token = client_token,
        .started_by = a->started_by,
        .traceparent = a->traceparent,
    };
    plan_run_task(a->tools->cfg, a->in, &job, body);
}

/* The step's result, into the log. */
static void say_started(const struct attempt *a, struct json_object *result, const char *event)
{
    char operation[32];
    struct json_object *refused = json_get_obj(result, "refused");
    snprintf(operation, sizeof(operation), "run-task-%u", a->start_tries);
    if (refused)
        attempt_say(a, LOG_WARN, "task_refused", operation, "%s", json_get_str(refused, "reason"));
    else
        log_info(a->tools->log, log_event(event), log_str("operation", operation),
                 log_str("task", json_get_str(result, "taskArn")));
}

/* The first try goes straight to RunTask: with the same clientToken and the same bytes ECS gives
 * back what it started before. A repeated or a late try looks for the task first, since ECS forgets
 * tokens some time after the task has ended; so does each later step, which has another token:
 * where an answer was lost before ECS refused, something may run all the same. */
static int run_task_body(struct durable_step *step, void *arg, struct json_object **out,
                         struct durable_error *err)
{
    struct attempt *a = arg;
    struct error why = { 0 };
    attempt_step_begin(step, a->tools);
    bool late = clock_wall_ms(a->tools->clock) - a->begin_ms > TRUST_TOKEN_MS;
    if (durable_step_attempt(step) > 1 || a->start_tries > 1 || late) {
        int found = find_task(a, out, &why);
        if (found < 0)
            return attempt_step_error(err, true, "look for a started task", &why);
        if (found > 0) {
            json_add_int(*out, "atMs", clock_wall_ms(a->tools->clock));
            say_started(a, *out, "task_found");
            return 0;
        }
    }
    struct buf body = BUF_INIT(1U << 20);
    auto_json struct json_object *answer = NULL;
    request(a, durable_step_token(step), &body);
    int rc = ecs_run_task(a->tools->aws, buf_str(&body), &answer, &why);
    mem_wipe(body.data, body.len); /* it carries the job's token */
    buf_release(&body);
    if (started_judge(rc, answer, &why, out, &why) < 0)
        return attempt_step_error(err, true, "start the task", &why);
    struct json_object *refused = json_get_obj(*out, "refused");
    json_add_int(refused ? refused : *out, "atMs", clock_wall_ms(a->tools->clock));
    say_started(a, *out, "task_started");
    return 0;
}

/* Asks for the task, again and again while ECS has no room or no time, until the start deadline.
 * Each try is a step of its own with its own clientToken: a refusal is a result, which the next one
 * does not repeat. */
static enum durable_rc run_task(struct durable_ctx *ctx, struct attempt *a,
                                struct json_object **result, struct durable_error *err)
{
    const struct durable_step_opts opts = { .retry = patience };
    auto_free char *seed = mem_printf("%s %s", a->execution_arn, a->public_id);
    for (unsigned n = 1;; n++) {
        char name[32];
        a->start_tries = n;
        snprintf(name, sizeof(name), "run-task-%u", n);
        DURABLE_TRY(durable_step(ctx, name, run_task_body, a, &opts, result, err));
        struct json_object *refused = json_get_obj(*result, "refused");
        if (!json_get_bool(refused, "again", false))
            return DURABLE_OK;
        int64_t elapsed_s = (json_get_int(refused, "atMs", 0) - a->asked_ms) / 1000;
        int64_t delay_s = policy_start_delay_s(a->in, seed, n, elapsed_s);
        if (delay_s == 0) {
            json_add_int(refused, "waitedSeconds", elapsed_s);
            return DURABLE_OK;
        }
        snprintf(name, sizeof(name), "capacity-%u", n);
        if (!durable_is_replaying(ctx))
            attempt_say(a, LOG_INFO, "start_postponed", name, "%lld s: %s", (long long)delay_s,
                        json_get_str(refused, "reason"));
        json_put_ptr(result);
        DURABLE_TRY(durable_wait(ctx, name, delay_s, err));
    }
}

/* ---- both ------------------------------------------------------------------------------------ */

/* A failure after which nothing runs, or nobody knows: cleans up and gives it its type. */
static enum durable_rc give_up(struct durable_ctx *ctx, struct attempt *a, const char *type,
                               const char *message, bool stop_task, struct durable_error *err)
{
    auto_free char *text = mem_dup(message);
    enum durable_rc rc = attempt_cleanup(ctx, a, type, stop_task);
    if (rc != DURABLE_OK)
        return rc;
    durable_error_set(err, type, "%s", text);
    return DURABLE_FAILED;
}

static enum durable_rc refused_start(struct durable_ctx *ctx, struct attempt *a,
                                     struct json_object *refused, struct durable_error *err)
{
    const char *type = json_get_str(refused, "type");
    const char *reason = json_get_str(refused, "reason");
    struct json_object *waited = json_get(refused, "waitedSeconds");
    auto_json struct json_object *data = json_object_new_object();
    auto_free char *text = NULL;
    json_add_str(data, "reason", reason);
    if (waited) {
        json_add(data, "waitedSeconds", json_object_get(waited));
        json_add_int(data, "tries", a->start_tries);
        text = mem_printf("no capacity until the start deadline, the last of %u refusals: %s",
                          a->start_tries, reason ? reason : "no reason given");
    }
    enum durable_rc rc = give_up(ctx, a, type ? type : "Task.StartFailed",
                                 text     ? text
                                 : reason ? reason
                                          : "refused",
                                 waited != NULL, err);
    if (rc == DURABLE_FAILED)
        durable_error_set_data(err, json_text(data, NULL));
    return rc;
}

enum durable_rc attempt_register(struct durable_ctx *ctx, struct attempt *a,
                                 struct durable_error *err)
{
    const struct durable_step_opts opts = { .retry = patience };
    auto_json struct json_object *registered = NULL;
    enum durable_rc rc = durable_step(ctx, "register", register_body, a, &opts, &registered, err);
    if (rc == DURABLE_FAILED)
        return give_up(ctx, a, "Workflow.RegistrationFailed", err->message, false, err);
    if (rc != DURABLE_OK)
        return rc;
    attempt_take_asked(a, registered);
    receiver_client_set_trace(a->tools->receiver, a->traceparent);
    return DURABLE_OK;
}

enum durable_rc attempt_start(struct durable_ctx *ctx, struct attempt *a, struct durable_error *err)
{
    auto_json struct json_object *result = NULL;
    enum durable_rc rc = run_task(ctx, a, &result, err);
    if (rc == DURABLE_FAILED)
        return give_up(ctx, a, "Task.StartFailed", err->message, true, err);
    if (rc != DURABLE_OK)
        return rc;
    struct json_object *refused = json_get_obj(result, "refused");
    if (refused)
        return refused_start(ctx, a, refused, err);
    a->task_arn = mem_dup(json_get_str(result, "taskArn"));
    a->started_ms = json_get_int(result, "atMs", a->begin_ms);
    return DURABLE_OK;
}

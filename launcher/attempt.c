#include "launcher/attempt.h"

#include <stdlib.h>
#include <string.h>

#include "launcher/workflow_id.h"
#include "shared/lambda/runtime.h"

#define HOUR_S    3600
#define RECORD_MS 3000 /* for the checkpoint behind a step */

int attempt_step_error(struct durable_error *err, bool again, const char *what,
                       const struct error *why)
{
    durable_error_set(err, again ? ATTEMPT_AGAIN : ATTEMPT_FINAL, "%s: %s%s%s", what, why->type,
                      why->type[0] ? ": " : "", why->msg);
    return -1;
}

void attempt_step_begin(const struct durable_step *step, const struct attempt_tools *tools)
{
    int64_t deadline_ms =
        lambda_call_deadline(tools->clock, durable_step_deadline_ms(step), RECORD_MS);
    aws_set_deadline(tools->aws, deadline_ms);
    receiver_client_set_deadline(tools->receiver, deadline_ms);
}

void attempt_say(const struct attempt *a, enum log_level level, const char *event,
                 const char *operation, const char *fmt, ...)
{
    if (!log_enabled(a->tools->log, level))
        return;
    va_list ap;
    va_start(ap, fmt);
    auto_free char *detail = mem_vprintf(fmt, ap);
    va_end(ap);
    LOG_AT(a->tools->log, level, log_event(event), log_str("operation", operation),
           log_str("task", a->task_arn), log_str("detail", detail));
}

/* A token for this callback. Its time is counted from a recorded moment, so that every run of the
 * handler seals the same bytes. */
static int seal(const struct attempt *a, enum token_scope scope, int64_t slack_s, char **out,
                struct error *err)
{
    struct token_content content = {
        .scope = scope,
        .expires_s = a->begin_ms / 1000 + a->in->timeout_s + slack_s,
    };
    size_t len = strlen(a->callback.id);
    if (len > TOKEN_CALLBACK_ID)
        return error_set(err, ERR_PROTOCOL, 0, "a callback id of %zu bytes", len);
    memcpy(content.callback_id, a->callback.id, len + 1);
    auto_buf struct buf token = BUF_INIT(TOKEN_MAX);
    int rc = token_seal(a->tools->keys, &content, &token, err);
    token_content_wipe(&content);
    if (rc == 0)
        *out = buf_take(&token, NULL);
    return rc;
}

static int make_names(struct attempt *a, struct error *err)
{
    struct workflow_id id;
    char started_by[WORKFLOW_STARTED];
    if (workflow_id_from_arn(&id, NULL, a->execution_arn) < 0)
        return error_set(err, ERR_PROTOCOL, 0, "not a durable execution's ARN: %.300s",
                         a->execution_arn);
    workflow_id_started_by(&id, started_by);
    a->started_by = mem_dup(started_by);
    token_public_id(a->callback.id, a->public_id);
    if (seal(a, TOKEN_SCOPE_JOB, HOUR_S, &a->job_token, err) < 0)
        return -1;
    return seal(a, TOKEN_SCOPE_LAUNCHER, 25 * HOUR_S, &a->launcher_token, err);
}

/* The callback's outcome is there for the first time. */
static void callback_came(const struct durable_ctx *ctx, const struct attempt *a,
                          const struct durable_error *failed)
{
    const char *type = failed ? (failed->cause_type ? failed->cause_type : failed->type) : NULL;
    int64_t ended_ms = durable_callback_ended_ms(ctx, &a->callback);
    int64_t latency_ms = clock_wall_ms(a->tools->clock) - ended_ms;
    attempt_say(a, LOG_INFO, "callback_came", "callback", "%s", type ? type : "success");
    if (ended_ms)
        metrics_time(a->tools->metrics, "CallbackLatency", latency_ms, &a->of);
}

enum durable_rc attempt_run(struct durable_ctx *ctx, struct attempt *a, struct json_object **out,
                            struct durable_error *err)
{
    const struct durable_callback_opts opts = { .timeout_s = a->in->timeout_s,
                                                .heartbeat_timeout_s = a->in->engine_heartbeat_s,
                                                .json = true };
    struct error why = { 0 };
    if (a->in->pattern == INPUT_SYNC)
        return attempt_sync(ctx, a, out, err);
    DURABLE_TRY(durable_callback_create(ctx, "callback", &opts, &a->callback, err));
    if (make_names(a, &why) < 0) {
        durable_error_set(err, "Workflow.RegistrationFailed", "%s", why.msg);
        return DURABLE_FAILED;
    }
    if (trace_from_xray(durable_trace_header(ctx), a->traceparent) < 0)
        a->traceparent[0] = '\0';
    receiver_client_set_trace(a->tools->receiver, a->traceparent);
    DURABLE_TRY(attempt_register(ctx, a, err));
    DURABLE_TRY(attempt_start(ctx, a, err));
    enum durable_rc rc = durable_callback_result(ctx, &a->callback, out, err);
    if ((rc == DURABLE_OK || rc == DURABLE_FAILED) && !durable_is_replaying(ctx))
        callback_came(ctx, a, rc == DURABLE_OK ? NULL : err);
    return rc == DURABLE_FAILED ? attempt_end(ctx, a, out, err) : rc;
}

void attempt_release(struct attempt *a)
{
    durable_callback_release(&a->callback);
    mem_free_secret(a->job_token);
    mem_free_secret(a->launcher_token);
    free(a->started_by);
    free(a->task_arn);
    *a = (struct attempt){ .tools = NULL };
}

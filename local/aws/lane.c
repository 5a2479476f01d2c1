#include "local/aws/lane.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "local/aws/chained.h"
#include "local/aws/error_object.h"
#include "local/aws/events.h"
#include "local/aws/invoke.h"
#include "local/aws/outbox.h"
#include "local/aws/outcome.h"
#include "local/aws/state.h"
#include "local/service_time.h"

static void queue(struct lambda *l, struct execution *e);

/* ---- time -------------------------------------------------------------------------------------
 */

void lane_close_operation(struct lambda *l, struct execution *e, struct operation *op,
                          enum operation_status status, int64_t now_ms)
{
    execution_touch(e, op);
    op->status = status;
    op->end_ms = now_ms;
    execution_changed(e, op);
    execution_store_operation(l->store, e, op);
    event_operation_closed(l->store, e, op, now_ms);
}

static void time_out_callback(struct lambda *l, struct execution *e, struct operation *op,
                              int64_t now_ms)
{
    bool heartbeat =
        op->heartbeat_at_ms && (!op->timeout_at_ms || op->heartbeat_at_ms < op->timeout_at_ms);
    op->error = heartbeat
                    ? error_object_make("Callback.Heartbeat", "Callback timed out on heartbeat")
                    : error_object_make("Callback.Timeout", "Callback timed out");
    lane_close_operation(l, e, op, OP_TIMED_OUT, now_ms);
}

bool lane_apply_due(struct lambda *l, struct execution *e, int64_t now_ms)
{
    bool changed = false;
    struct operation *op;
    while ((op = execution_due(e, now_ms))) {
        changed = true;
        if (op->type == OP_WAIT) {
            lane_close_operation(l, e, op, OP_SUCCEEDED, now_ms);
        } else if (op->type == OP_CALLBACK) {
            time_out_callback(l, e, op, now_ms);
        } else { /* a step: ready again, which is no event */
            execution_touch(e, op);
            op->status = OP_READY;
            op->due_ms = 0;
            execution_changed(e, op);
            execution_store_operation(l->store, e, op);
        }
    }
    return changed;
}

static void on_timer(void *arg);

void lane_set_timer(struct lambda *l, struct execution *e)
{
    loop_cancel(l->local->loop, MOVE(e->timer));
    if (e->status != EX_RUNNING)
        return;
    int64_t in_ms = service_time_real_ms(l->local->time, execution_due_ms(e) - lambda_now_ms(l));
    e->timer = loop_after(l->local->loop, in_ms, on_timer, e);
}

static void on_timer(void *arg)
{
    struct execution *e = arg;
    struct lambda *l = e->lambda;
    int64_t now = lambda_now_ms(l);
    e->timer = NULL;
    store_begin(l->local->store);
    if (lane_apply_due(l, e, now))
        lane_trigger(l, e);
    if (e->timeout_at_ms <= now) {
        auto_free char *message =
            mem_printf("Execution timed out after %" PRId64 " seconds.", e->timeout_s);
        auto_free char *error = error_object_make(NULL, message);
        lane_close(l, e, EX_TIMED_OUT, NULL, 0, error);
    } else if (e->lane == LANE_BACKOFF && e->retry_at_ms <= now) {
        queue(l, e);
    }
    lane_set_timer(l, e);
    store_commit(l->local->store);
}

/* ---- invocations ------------------------------------------------------------------------------
 */

static bool on_begin(void *arg, const char *request_id, int64_t now_ms, struct buf *event)
{
    struct execution *e = arg;
    struct lambda *l = e->lambda;
    store_begin(l->local->store);
    lane_apply_due(l, e, now_ms);
    e->lane = LANE_RUNNING;
    e->invocations++;
    e->invoked_ms = now_ms;
    memcpy(e->request_id, request_id, sizeof(e->request_id));
    checkpoint_token_make(e->token);
    state_write_event(event, e);
    execution_seen(e);
    execution_store_lane(l->store, e);
    lane_set_timer(l, e);
    store_commit(l->local->store);
    if (!store_failed(l->local->store))
        return true;
    e->invocation = NULL;
    return false;
}

static void forget_replay(struct execution *e)
{
    free(e->replay.answer);
    e->replay = (struct checkpoint_replay){ 0 };
}

/* What had to wait until the store has it and nobody on the stack uses the execution any more. */
static void settle(void *arg)
{
    struct lambda *l = arg;
    l->settle = NULL;
    while (l->closed_count > 0) {
        struct execution *e = l->closed[--l->closed_count];
        e->settling = false;
        invoke_answer_waiters(e);
        if (e->invocation)
            continue; /* its end will come here again */
        map_remove(&l->running, e->id);
        execution_free(e);
    }
}

static void settle_soon(struct lambda *l, struct execution *e)
{
    if (e->settling)
        return;
    e->settling = true;
    l->closed = mem_resize(l->closed, l->closed_count + 1, sizeof(struct execution *));
    l->closed[l->closed_count++] = e;
    if (!l->settle)
        l->settle = loop_after(l->local->loop, 0, settle, l);
}

static void back_off(struct lambda *l, struct execution *e, int64_t now_ms)
{
    const struct config_retry *retry = &function_config(e->function)->retry;
    int64_t delay = retry->first_delay_s * 1000, cap = retry->max_delay_s * 1000;
    for (unsigned i = 0; i < e->failures && delay < cap; i++)
        delay *= 2;
    delay = delay < cap ? delay : cap;
    e->failures++;
    e->lane = LANE_BACKOFF;
    e->retry_at_ms = now_ms + delay;
    execution_store_lane(l->store, e);
    log_warn(l->local->log, log_event("invocation_failed"), log_str("function", e->function_name),
             log_str("execution", e->id), log_int("failures", e->failures),
             log_int("retryInMs", delay));
}

static void suspend(struct lambda *l, struct execution *e)
{
    e->failures = 0;
    e->lane = LANE_IDLE;
    /* A step that is ready and was not taken up: the handler suspended before it could. */
    if (e->unseen_first || e->ready > 0)
        queue(l, e);
    else
        execution_store_lane(l->store, e);
}

static void conclude(struct lambda *l, struct execution *e, const struct invocation_outcome *o,
                     int64_t now_ms)
{
    struct envelope envelope = { 0 };
    if (e->status != EX_RUNNING) {
        auto_free char *error = o->end == INVOCATION_ERROR
                                    ? error_object_from_lambda(o->body, o->len, o->error_type)
                                    : NULL;
        event_invocation_completed(l->store, e, o->request_id, o->begun_ms, error, now_ms);
        settle_soon(l, e);
        return;
    }
    if (o->end == INVOCATION_ERROR) {
        auto_free char *error = error_object_from_lambda(o->body, o->len, o->error_type);
        event_invocation_completed(l->store, e, o->request_id, o->begun_ms, error, now_ms);
        int64_t most = function_config(e->function)->retry.max_attempts;
        if (most && e->failures + 1 >= most)
            lane_close(l, e, EX_FAILED, NULL, 0, error);
        else
            back_off(l, e, now_ms);
        return;
    }
    event_invocation_completed(l->store, e, o->request_id, o->begun_ms, NULL, now_ms);
    lane_apply_due(l, e, now_ms);
    envelope_read(&envelope, o->body, o->len, e->pending > 0 || e->unseen_first);
    if (envelope.status == EX_RUNNING)
        suspend(l, e);
    else
        lane_close(l, e, envelope.status, envelope.result, envelope.result_len, envelope.error);
    envelope_release(&envelope);
}

static void on_done(void *arg, const struct invocation_outcome *o)
{
    struct execution *e = arg;
    struct lambda *l = e->lambda;
    store_begin(l->local->store);
    e->invocation = NULL;
    e->token[0] = '\0';
    e->lane = LANE_IDLE;
    forget_replay(e);
    conclude(l, e, o, lambda_now_ms(l));
    lane_set_timer(l, e);
    store_commit(l->local->store);
}

static void queue(struct lambda *l, struct execution *e)
{
    const struct invocation_handler handler = { .begin = on_begin, .done = on_done, .arg = e };
    e->lane = LANE_QUEUED;
    const struct invocation_context context = { .version = e->version,
                                                .trace = e->trace,
                                                .tenant = e->tenant,
                                                .execution_arn = e->arn,
                                                .goes_on = e->invocations > 0 };
    e->invocation = function_invoke(e->function, &context, &handler);
    execution_store_lane(l->store, e);
}

void lane_trigger(struct lambda *l, struct execution *e)
{
    if (e->status == EX_RUNNING && e->lane == LANE_IDLE)
        queue(l, e);
}

/* ---- begin and end ----------------------------------------------------------------------------
 */

void lane_begin(struct lambda *l, struct execution *e)
{
    e->lambda = l;
    map_put(&l->running, e->id, e);
    queue(l, e);
    lane_set_timer(l, e);
}

void lane_resume(struct lambda *l, struct execution *e)
{
    static const char crash[] = "{\"ErrorType\":\"Runtime.ExitError\",\"ErrorMessage\":"
                                "\"Runtime exited with error: signal: killed\"}";
    int64_t now = lambda_now_ms(l);
    e->lambda = l;
    map_put(&l->running, e->id, e);
    if (e->lane == LANE_RUNNING)
        event_invocation_completed(l->store, e, e->request_id, e->invoked_ms, crash, now);
    if (e->lane == LANE_RUNNING || e->lane == LANE_QUEUED)
        queue(l, e);
    lane_set_timer(l, e);
}

void lane_close(struct lambda *l, struct execution *e, enum execution_status status,
                const char *result, size_t result_len, const char *error)
{
    int64_t now = lambda_now_ms(l);
    e->status = status;
    e->end_ms = now;
    e->result = result ? mem_dup_len(result, result_len) : NULL;
    e->result_len = result ? result_len : 0;
    e->error = mem_dup(error);
    e->token[0] = '\0';
    loop_cancel(l->local->loop, MOVE(e->timer));
    event_execution_closed(l->store, e, now);
    execution_store_close(l->store, e, now + function_config(e->function)->retention_s * 1000);
    outbox_execution(l->local->outbox, e);
    chained_ended(l, e);
    log_info(l->local->log, log_event("execution_closed"), log_str("execution", e->id),
             log_str("name", e->name), log_str("status", execution_status_name(status)));
    if (e->lane == LANE_QUEUED && e->invocation)
        function_cancel(MOVE(e->invocation));
    settle_soon(l, e);
}

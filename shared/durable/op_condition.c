#include "shared/base/digest.h"
#include "shared/base/json.h"
#include "shared/durable/error.h"
#include "shared/durable/payload.h"
#include "shared/durable/retry.h"
#include "shared/durable/step.h"

#define FAILED_TYPE "WaitForConditionError"

/* The defaults that AWS's SDKs share (durable-protocol 6.5). */
#define DEFAULT_POLLS   60
#define DEFAULT_FIRST_S 5
#define DEFAULT_MAX_S   300
#define DEFAULT_RATE    1.5

/* A call of durable_wait_for_condition. */
struct call {
    struct op *op;
    durable_check_fn *check;
    void *arg;
    const struct durable_condition_opts *opts;
    struct codec codec;
};

/* Whether to poll again after `attempt`. -1 with *err: the operation fails. */
static int decide(const struct durable_polling *p, struct json_object *state, bool done,
                  unsigned attempt, struct durable_decision *d, struct durable_error *err)
{
    if (p->decide) {
        if (p->decide(state, done, attempt, p->arg, d, err) == 0) {
            d->delay_s = retry_delay_limit((double)d->delay_s);
            return 0;
        }
        if (!err->type && !err->message)
            durable_error_set(err, FAILED_TYPE, "the wait strategy failed without an error");
        return -1;
    }
    unsigned polls = p->max_attempts ? p->max_attempts : DEFAULT_POLLS;
    if (done)
        return 0;
    if (attempt >= polls) {
        durable_error_set(err, FAILED_TYPE, "waitForCondition exceeded maximum attempts (%u)",
                          polls);
        return -1;
    }
    const struct durable_retry delays = {
        .first_delay_s = p->first_delay_s ? p->first_delay_s : DEFAULT_FIRST_S,
        .max_delay_s = p->max_delay_s ? p->max_delay_s : DEFAULT_MAX_S,
        .rate = p->rate != 0 ? p->rate : DEFAULT_RATE,
        .increment_s = p->increment_s,
        .jitter = p->jitter,
    };
    d->retry = true;
    d->delay_s = retry_delay_s(&delays, attempt, random_u64());
    return 0;
}

static enum durable_rc fail(struct call *call, struct durable_error *why, struct durable_error *err)
{
    op_send(call->op, UPDATE_FAIL, (struct update_fields){ .error = why });
    DURABLE_TRY(ctx_flush(call->op->ctx, err));
    error_round_trip(why);
    durable_error_copy(err, why);
    error_wrap_as(err, FAILED_TYPE, "Wait for condition failed");
    return DURABLE_FAILED;
}

/* What the poll before left. A null state is recorded as such, lest it read as the initial one. */
static int read_state(const struct call *call, struct json_object **state,
                      struct durable_error *err)
{
    const struct operation *r = call->op->record;
    if (r && r->payload)
        return payload_read(r->payload, r->payload_len, &call->codec, state, err);
    struct payload initial = { 0 };
    if (payload_write(call->opts->initial, &call->codec, &initial, err) < 0)
        return -1;
    int rc = payload_read(initial.text, initial.len, &call->codec, state, err);
    payload_release(&initial);
    return rc;
}

/* Runs the check: 0 with the state that it left, as recorded, and what follows. */
static int poll_once(struct call *call, struct json_object **state, struct payload *p,
                     struct durable_decision *next, struct durable_error *why)
{
    struct durable_step step;
    auto_json struct json_object *before = NULL;
    bool done = false;
    step_init(&step, call->op);
    if (read_state(call, &before, why) < 0)
        return -1;
    if (call->check(&step, before, call->arg, state, &done, why) < 0) {
        if (!why->type && !why->message)
            durable_error_set(why, "Error", "the check failed without an error");
        return -1;
    }
    durable_error_release(why);
    if (payload_round_trip(state, &call->codec, p, why) < 0)
        return -1;
    if (p->len > PAYLOAD_MAX) {
        durable_error_set(why, TOO_LARGE_TYPE, "the state has %zu bytes as text, more than %d",
                          p->len, PAYLOAD_MAX);
        return -1;
    }
    return decide(&call->opts->polling, *state, done, step.attempt, next, why);
}

/* One poll. 1: the operation has ended with DURABLE_OK and *value. 0: *rc says how it goes on;
 * DURABLE_OK: with the next poll. */
static int run_attempt(struct call *call, struct json_object **value, enum durable_rc *rc,
                       struct durable_error *err)
{
    struct op *op = call->op;
    auto_json struct json_object *state = NULL;
    auto_payload struct payload p = { 0 };
    auto_durable_error struct durable_error why = { 0 };
    struct durable_decision next = { 0 };

    if (poll_once(call, &state, &p, &next, &why) < 0) {
        *rc = fail(call, &why, err);
        return 0;
    }
    if (next.retry) {
        op_send(op, UPDATE_RETRY,
                (struct update_fields){ .payload = p.text ? p.text : "null",
                                        .payload_len = p.text ? p.len : 4,
                                        .next_attempt_s = next.delay_s });
        *rc = ctx_await(op->ctx, op->id, err);
        return 0;
    }
    op_send(op, UPDATE_SUCCEED, (struct update_fields){ .payload = p.text, .payload_len = p.len });
    *rc = ctx_flush(op->ctx, err);
    if (*rc != DURABLE_OK)
        return 0;
    *value = MOVE(state);
    return 1;
}

/* Not at its end yet: 1 with *value, or 0 with *rc, see run_attempt. */
static int advance(struct call *call, struct json_object **value, enum durable_rc *rc,
                   struct durable_error *err)
{
    struct op *op = call->op;
    enum op_status status = operation_status(op->record);
    if (op->ctx->rebuilding) {
        *rc = ctx_park(op->ctx);
        return 0;
    }
    if (status == OP_PENDING) {
        *rc = ctx_await(op->ctx, op->id, err);
        return 0;
    }
    *rc = ctx_recordable(op->ctx);
    if (*rc != DURABLE_OK)
        return 0;
    if (status != OP_STARTED)
        op_send(op, UPDATE_START, (struct update_fields){ 0 });
    return run_attempt(call, value, rc, err);
}

enum durable_rc durable_wait_for_condition(struct durable_ctx *ctx, const char *name,
                                           durable_check_fn *check, void *arg,
                                           const struct durable_condition_opts *opts,
                                           struct json_object **out, struct durable_error *err)
{
    static const struct durable_condition_opts defaults = { 0 };
    auto_op struct op op = { 0 };
    DURABLE_TRY(op_begin(ctx, OP_STEP, "WaitForCondition", name, &op, err));
    struct call call = { .op = &op, .check = check, .arg = arg, .opts = opts ? opts : &defaults };
    call.codec = op_codec(&op, call.opts->serdes);

    while (!operation_ended(op.record)) {
        auto_json struct json_object *value = NULL;
        enum durable_rc rc;
        if (advance(&call, &value, &rc, err)) {
            if (out)
                *out = MOVE(value);
            return DURABLE_OK;
        }
        if (rc != DURABLE_OK)
            return rc;
        op_reload(&op);
    }
    if (op.record->status != OP_SUCCEEDED) {
        durable_error_copy(err, &op.record->error);
        error_wrap_as(err, FAILED_TYPE, "Wait for condition failed");
        return DURABLE_FAILED;
    }
    return op_result(&op, &call.codec, out, err);
}

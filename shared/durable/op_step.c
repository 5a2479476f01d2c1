#include <string.h>

#include "shared/base/json.h"
#include "shared/durable/error.h"
#include "shared/durable/payload.h"
#include "shared/durable/retry.h"
#include "shared/durable/step.h"

#define INTERRUPTED_TEXT                                                                           \
    "The step execution process was initiated but failed to reach completion due to an "           \
    "interruption."

/* A call of durable_step. */
struct call {
    struct op *op;
    durable_step_fn *body;
    void *arg;
    const struct durable_step_opts *opts;
};

unsigned durable_step_attempt(const struct durable_step *step)
{
    return step->attempt;
}

const char *durable_step_token(const struct durable_step *step)
{
    return step->token;
}

const char *durable_step_execution_arn(const struct durable_step *step)
{
    return step->op->ctx->x->arn;
}

bool durable_step_abandoned(const struct durable_step *step)
{
    struct execution *x = step->op->ctx->x;
    monitor_lock(&x->monitor);
    bool yes = x->ended != CHECKPOINT_OK || strand_abandoned(step->op->ctx->strand);
    monitor_unlock(&x->monitor);
    return yes;
}

int64_t durable_step_deadline_ms(const struct durable_step *step)
{
    return step->op->ctx->x->deadline_ms;
}

static unsigned current_attempt(const struct op *op)
{
    return op->record ? op->record->attempts + 1 : 1;
}

void step_init(struct durable_step *step, const struct op *op)
{
    *step = (struct durable_step){ .op = op, .attempt = current_attempt(op) };
    auto_free char *text = mem_printf("%s\n%s", op->ctx->x->arn, op->id);
    digest_sha256_hex(text, strlen(text), step->token);
}

static enum durable_rc recorded_failure(const struct op *op, struct durable_error *err)
{
    durable_error_copy(err, &op->record->error);
    error_wrap_as(err, "StepError", "Step failed");
    return DURABLE_FAILED;
}

/* The attempt has failed with *why: RETRY or FAIL. Returns DURABLE_OK where the step's next attempt
 * is due already. */
static enum durable_rc attempt_failed(struct call *call, struct durable_error *why,
                                      struct durable_error *err)
{
    struct op *op = call->op;
    struct durable_decision d =
        retry_decide(&call->opts->retry, why, current_attempt(op), random_u64());
    if (d.retry) {
        op_send(op, UPDATE_RETRY,
                (struct update_fields){ .error = why, .next_attempt_s = d.delay_s });
        return ctx_await(op->ctx, op->id, err);
    }
    op_send(op, UPDATE_FAIL, (struct update_fields){ .error = why });
    DURABLE_TRY(ctx_flush(op->ctx, err));
    error_round_trip(why);
    durable_error_copy(err, why);
    error_wrap_as(err, "StepError", "Step failed");
    return DURABLE_FAILED;
}

/* A result that cannot be recorded: no further attempt can help. */
static enum durable_rc result_unusable(struct call *call, struct durable_error *why,
                                       struct durable_error *err)
{
    static const struct durable_step_opts never = { .retry = { .max_attempts = 1 } };
    struct call once = *call;
    once.opts = &never;
    return attempt_failed(&once, why, err);
}

/* Runs the body once. 1: the step has ended with DURABLE_OK and *value. 0: *rc says how it goes on;
 * DURABLE_OK: with the next attempt. */
static int run_attempt(struct call *call, struct json_object **value, enum durable_rc *rc,
                       struct durable_error *err)
{
    struct op *op = call->op;
    const struct codec codec = op_codec(op, call->opts->serdes);
    struct durable_step step;
    auto_durable_error struct durable_error why = { 0 };
    auto_payload struct payload payload = { 0 };

    step_init(&step, op);
    if (call->body(&step, call->arg, value, &why) < 0) {
        json_put_ptr(value);
        *rc = attempt_failed(call, &why, err);
        return 0;
    }
    durable_error_release(&why);
    if (payload_round_trip(value, &codec, &payload, &why) == 0 && payload.len > PAYLOAD_MAX)
        durable_error_set(&why, TOO_LARGE_TYPE,
                          "the step's result has %zu bytes as JSON, more than %d", payload.len,
                          PAYLOAD_MAX);
    if (why.type) {
        json_put_ptr(value);
        *rc = result_unusable(call, &why, err);
        return 0;
    }
    op_send(op, UPDATE_SUCCEED,
            (struct update_fields){ .payload = payload.text, .payload_len = payload.len });
    *rc = ctx_flush(op->ctx, err);
    if (*rc != DURABLE_OK) {
        json_put_ptr(value);
        return 0;
    }
    return 1;
}

/* START where it is due. The one of an at-least-once step travels together with its end. */
static enum durable_rc start(struct call *call, struct durable_error *err)
{
    struct op *op = call->op;
    DURABLE_TRY(ctx_recordable(op->ctx));
    if (operation_status(op->record) == OP_STARTED)
        return DURABLE_OK;
    op_send(op, UPDATE_START, (struct update_fields){ 0 });
    if (!call->opts->at_most_once)
        return DURABLE_OK;
    DURABLE_TRY(ctx_flush(op->ctx, err));
    op_reload(op);
    return DURABLE_OK;
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
    if (status == OP_STARTED && call->opts->at_most_once) {
        auto_durable_error struct durable_error why = { 0 };
        durable_error_set(&why, "StepInterruptedError", INTERRUPTED_TEXT);
        *rc = attempt_failed(call, &why, err);
        return 0;
    }
    *rc = start(call, err);
    return *rc == DURABLE_OK ? run_attempt(call, value, rc, err) : 0;
}

enum durable_rc durable_step(struct durable_ctx *ctx, const char *name, durable_step_fn *body,
                             void *arg, const struct durable_step_opts *opts,
                             struct json_object **out, struct durable_error *err)
{
    static const struct durable_step_opts defaults = { 0 };
    auto_op struct op op = { 0 };
    DURABLE_TRY(op_begin(ctx, OP_STEP, "Step", name, &op, err));
    struct call call = { .op = &op, .body = body, .arg = arg, .opts = opts ? opts : &defaults };

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
    if (op.record->status != OP_SUCCEEDED)
        return recorded_failure(&op, err);
    const struct codec codec = op_codec(&op, call.opts->serdes);
    return op_result(&op, &codec, out, err);
}

#include "shared/base/json.h"
#include "shared/durable/ctx.h"
#include "shared/durable/error.h"
#include "shared/durable/payload.h"

/* Runs the body in its own context. OK or FAILED is what the body came to; anything else has
 * latched the caller's context. */
static enum durable_rc run_body(struct op *op, bool rebuilding, durable_fn *body,
                                struct json_object *in, void *arg, struct json_object **value,
                                struct durable_error *why)
{
    struct durable_ctx *ctx = op->ctx;
    struct durable_ctx child;
    ctx_init_child(&child, op, rebuilding);

    ctx->busy = true;
    enum durable_rc rc = body(&child, in, arg, value, why);
    ctx->busy = false;
    if (ctx->x->ended || child.latch != DURABLE_OK) {
        json_put_ptr(value);
        if (rc == DURABLE_OK)
            execution_log(ctx->x, DURABLE_LOG_WARN, "handler_ignored_suspend",
                          "a child's body returned a value after it was suspended: dropped");
        if (ctx->x->ended)
            return ctx_enter(ctx, why);
        return ctx->latch = child.latch;
    }
    if (rc == DURABLE_OK || rc == DURABLE_FAILED)
        return rc;
    json_put_ptr(value);
    return ctx_fatal(ctx, CHECKPOINT_EXECUTION, why, "HandlerError",
                     "the body of the child context \"%s\" returned %s, but no operation in it did",
                     op->raw, rc == DURABLE_SUSPENDED ? "DURABLE_SUSPENDED" : "DURABLE_FATAL");
}

/* The context had succeeded with a result too large to be recorded: only the body knows it. */
static enum durable_rc rebuild(struct op *op, durable_fn *body, struct json_object *in, void *arg,
                               struct json_object **value, struct durable_error *err)
{
    auto_payload struct payload payload = { 0 };
    auto_durable_error struct durable_error why = { 0 };
    enum durable_rc rc = run_body(op, true, body, in, arg, value, &why);
    if (rc == DURABLE_OK && payload_encode(value, &payload, &why) < 0)
        rc = DURABLE_FAILED;
    if (rc == DURABLE_FAILED)
        return ctx_fatal(op->ctx, CHECKPOINT_EXECUTION, err, NON_DETERMINISM_TYPE,
                         "Non-deterministic execution detected: the child context \"%s\" succeeded "
                         "and now fails: %s: %s",
                         op->raw, why.type ? why.type : "Error", why.message ? why.message : "");
    if (rc == DURABLE_FATAL)
        durable_error_copy(err, &why);
    return rc;
}

static enum durable_rc run(struct op *op, durable_fn *body, struct json_object *in, void *arg,
                           struct json_object **value, struct durable_error *err)
{
    auto_payload struct payload payload = { 0 };
    auto_durable_error struct durable_error why = { 0 };
    enum durable_rc rc = run_body(op, false, body, in, arg, value, &why);
    if (rc == DURABLE_OK && payload_encode(value, &payload, &why) < 0)
        rc = DURABLE_FAILED;
    if (rc == DURABLE_OK) {
        bool too_large = payload.len > PAYLOAD_MAX;
        op_send(op, UPDATE_SUCCEED,
                (struct update_fields){ .payload = too_large ? "" : payload.text,
                                        .payload_len = too_large ? 0 : payload.len,
                                        .replay_children = too_large });
        rc = ctx_flush(op->ctx, err);
        if (rc != DURABLE_OK)
            json_put_ptr(value);
        return rc;
    }
    json_put_ptr(value);
    if (rc == DURABLE_FAILED) {
        op_send(op, UPDATE_FAIL, (struct update_fields){ .error = &why });
        DURABLE_TRY(ctx_flush(op->ctx, err));
        error_round_trip(&why);
        error_wrap_as(&why, "ChildContextError", "Child context failed");
    }
    if (rc != DURABLE_SUSPENDED)
        durable_error_copy(err, &why);
    return rc;
}

enum durable_rc durable_child(struct durable_ctx *ctx, const char *name, durable_fn *body,
                              struct json_object *in, void *arg, struct json_object **out,
                              struct durable_error *err)
{
    auto_op struct op op = { 0 };
    auto_json struct json_object *value = NULL;
    DURABLE_TRY(op_begin(ctx, OP_CONTEXT, "RunInChildContext", name, &op, err));
    const struct operation *record = op.record;

    if (operation_ended(record) && record->status != OP_SUCCEEDED) {
        durable_error_copy(err, &record->error);
        error_wrap_as(err, "ChildContextError", "Child context failed");
        return DURABLE_FAILED;
    }
    if (operation_ended(record) && !record->replay_children)
        return payload_decode(record->payload, record->payload_len, out, err) < 0 ? DURABLE_FAILED
                                                                                  : DURABLE_OK;
    if (operation_ended(record)) {
        DURABLE_TRY(rebuild(&op, body, in, arg, &value, err));
    } else if (ctx->rebuilding) {
        return ctx_park(ctx);
    } else {
        DURABLE_TRY(ctx_recordable(ctx));
        if (!record)
            op_send(&op, UPDATE_START, (struct update_fields){ 0 });
        DURABLE_TRY(run(&op, body, in, arg, &value, err));
    }
    if (out)
        *out = MOVE(value);
    return DURABLE_OK;
}

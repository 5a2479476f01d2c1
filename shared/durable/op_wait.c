#include "shared/durable/ctx.h"

enum durable_rc durable_wait(struct durable_ctx *ctx, const char *name, int64_t seconds,
                             struct durable_error *err)
{
    auto_op struct op op = { 0 };
    DURABLE_TRY(ctx_enter(ctx, err));
    if (seconds < 1 || seconds > DURATION_MAX_S)
        return op_invalid(err, "a wait of %lld seconds: it must be from 1 to %d",
                          (long long)seconds, DURATION_MAX_S);
    DURABLE_TRY(op_begin(ctx, OP_WAIT, "Wait", name, &op, err));
    if (operation_ended(op.record))
        return DURABLE_OK;
    if (ctx->rebuilding)
        return ctx_park(ctx);
    if (!op.record)
        op_send(&op, UPDATE_START, (struct update_fields){ .wait_s = seconds });
    return ctx_await(ctx, op.id, err);
}

#include <string.h>
#include <stdlib.h>
#include <strings.h>

#include "shared/base/json.h"
#include "shared/durable/ctx.h"
#include "shared/durable/error.h"
#include "shared/durable/payload.h"

void durable_callback_release(struct durable_callback *cb)
{
    mem_free_secret(cb->id);
    free(cb->operation_id);
    *cb = (struct durable_callback){ 0 };
}

static bool timeout_valid(int64_t seconds)
{
    return seconds >= 0 && seconds <= DURATION_MAX_S;
}

enum durable_rc callback_opts_check(const struct durable_callback_opts *opts,
                                    struct durable_error *err)
{
    if (timeout_valid(opts->timeout_s) && timeout_valid(opts->heartbeat_timeout_s))
        return DURABLE_OK;
    return op_invalid(err, "a callback's timeouts must be from 0 (none) to %d seconds",
                      DURATION_MAX_S);
}

enum durable_rc durable_callback_create(struct durable_ctx *ctx, const char *name,
                                        const struct durable_callback_opts *opts,
                                        struct durable_callback *cb, struct durable_error *err)
{
    static const struct durable_callback_opts defaults = { 0 };
    auto_op struct op op = { 0 };
    opts = opts ? opts : &defaults;
    DURABLE_TRY(ctx_enter(ctx, err));
    DURABLE_TRY(callback_opts_check(opts, err));
    DURABLE_TRY(op_begin(ctx, OP_CALLBACK, "Callback", name, &op, err));
    if (!op.record) {
        if (ctx->rebuilding)
            return ctx_park(ctx);
        op_send(&op, UPDATE_START,
                (struct update_fields){ .timeout_s = opts->timeout_s,
                                        .heartbeat_timeout_s = opts->heartbeat_timeout_s });
        DURABLE_TRY(ctx_flush(ctx, err));
        op_reload(&op);
    }
    const char *id = op.record ? op.record->callback_id : NULL;
    if (!id && !operation_ended(op.record))
        return ctx_fatal(ctx, CHECKPOINT_INVOCATION, err, "CheckpointError",
                         "the service gave no id for callback \"%s\"", op.raw);
    *cb = (struct durable_callback){ .id = mem_dup(id ? id : ""),
                                     .operation_id = mem_dup(op.id),
                                     .json = opts->json,
                                     .serdes = opts->serdes ? *opts->serdes
                                                            : (struct durable_serdes){ 0 } };
    return DURABLE_OK;
}

/* The two kinds of timeout have types of the service's own. */
static const char *timeout_type(const struct durable_error *e)
{
    if (e->type)
        return e->type;
    return e->message && strcasestr(e->message, "heartbeat") ? "Callback.Heartbeat"
                                                             : "Callback.Timeout";
}

static enum durable_rc failed(const struct operation *record, struct durable_error *err)
{
    auto_durable_error struct durable_error e = { 0 };
    durable_error_copy(&e, &record->error);
    if (record->status == OP_TIMED_OUT) {
        char *type = mem_dup(timeout_type(&e));
        free(e.type);
        e.type = type;
        error_wrap_as(&e, "CallbackTimeoutError", "Callback timed out");
    } else if (record->status == OP_FAILED) {
        error_wrap_as(&e, "CallbackExternalError", "Callback failed");
    } else {
        error_wrap_as(&e, "CallbackError", "Callback was cancelled");
    }
    durable_error_copy(err, &e);
    return DURABLE_FAILED;
}

enum durable_rc durable_callback_result(struct durable_ctx *ctx, const struct durable_callback *cb,
                                        struct json_object **out, struct durable_error *err)
{
    DURABLE_TRY(ctx_enter(ctx, err));
    if (!cb->operation_id)
        return op_invalid(err, "the result of a callback that was not created");
    const struct operation *record = execution_find(ctx->x, cb->operation_id);
    if (!operation_ended(record)) {
        DURABLE_TRY(ctx_await(ctx, cb->operation_id, err));
        record = execution_find(ctx->x, cb->operation_id);
    }
    if (record->status != OP_SUCCEEDED)
        return failed(record, err);
    const struct codec codec = { .serdes = cb->serdes.deserialise ? &cb->serdes : NULL,
                                 .of = { ctx->x->arn, cb->operation_id } };
    if (cb->json || codec.serdes || record->payload_len == 0)
        return payload_read(record->payload, record->payload_len, &codec, out, err) < 0
                   ? DURABLE_FAILED
                   : DURABLE_OK;
    if (out)
        *out = json_new_str_len(record->payload, record->payload_len);
    return DURABLE_OK;
}

int64_t durable_callback_ended_ms(const struct durable_ctx *ctx, const struct durable_callback *cb)
{
    const struct operation *record =
        cb->operation_id ? execution_find(ctx->x, cb->operation_id) : NULL;
    return record && operation_ended(record) ? record->end_ms : 0;
}

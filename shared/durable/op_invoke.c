#include <string.h>

#include "shared/durable/ctx.h"
#include "shared/durable/error.h"

#define FUNCTION_MAX     256
#define TENANT_MAX       256
#define INVOKE_INPUT_MAX 1048576

static bool tenant_valid(const char *s)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._:/=+-@ ";
    size_t len = strlen(s);
    return len > 0 && len <= TENANT_MAX && strspn(s, allowed) == len;
}

static bool function_valid(const char *s)
{
    size_t len = s ? strlen(s) : 0;
    for (size_t i = 0; i < len; i++)
        if (s[i] <= ' ' || s[i] > '~')
            return false;
    return len > 0 && len <= FUNCTION_MAX;
}

static enum durable_rc check(const char *function, const struct durable_invoke_opts *opts,
                             struct durable_error *err)
{
    if (!function_valid(function))
        return op_invalid(err,
                          "the function to invoke is a name or ARN of 1 to %d characters, "
                          "without spaces",
                          FUNCTION_MAX);
    if (opts->tenant_id && !tenant_valid(opts->tenant_id))
        return op_invalid(err,
                          "a tenant id has 1 to %d letters, digits and . _ : / = + - @ or spaces",
                          TENANT_MAX);
    return DURABLE_OK;
}

static const char *fallback(enum op_status status)
{
    switch (status) {
    case OP_TIMED_OUT:
        return "Invoke timed out";
    case OP_STOPPED:
        return "Invoke was stopped";
    case OP_CANCELLED:
        return "Invoke was cancelled";
    default:
        return "Invoke failed";
    }
}

static enum durable_rc outcome(const struct op *op, const struct durable_invoke_opts *opts,
                               struct json_object **out, struct durable_error *err)
{
    const struct codec codec = op_codec(op, opts->result);
    if (op->record->status == OP_SUCCEEDED)
        return op_result(op, &codec, out, err);
    durable_error_copy(err, &op->record->error);
    error_wrap_as(err, "InvokeError", fallback(op->record->status));
    return DURABLE_FAILED;
}

static enum durable_rc start(struct op *op, const char *function, struct json_object *payload,
                             const struct durable_invoke_opts *opts, struct durable_error *err)
{
    const struct codec codec = op_codec(op, opts->payload);
    auto_payload struct payload p = { 0 };
    if (payload_write(payload, &codec, &p, err) < 0)
        return DURABLE_FAILED;
    if (p.len > INVOKE_INPUT_MAX) {
        durable_error_set(err, TOO_LARGE_TYPE, "the payload has %zu bytes as text, more than %d",
                          p.len, INVOKE_INPUT_MAX);
        return DURABLE_FAILED;
    }
    op_send(op, UPDATE_START,
            (struct update_fields){ .payload = p.text ? p.text : "null",
                                    .payload_len = p.text ? p.len : 4,
                                    .function = function,
                                    .tenant_id = opts->tenant_id });
    return DURABLE_OK;
}

enum durable_rc durable_invoke(struct durable_ctx *ctx, const char *name, const char *function,
                               struct json_object *payload, const struct durable_invoke_opts *opts,
                               struct json_object **out, struct durable_error *err)
{
    static const struct durable_invoke_opts defaults = { 0 };
    auto_op struct op op = { 0 };
    opts = opts ? opts : &defaults;
    DURABLE_TRY(ctx_enter(ctx, err));
    DURABLE_TRY(check(function, opts, err));
    DURABLE_TRY(op_begin(ctx, OP_CHAINED_INVOKE, "ChainedInvoke", name, &op, err));
    if (!operation_ended(op.record)) {
        if (ctx->rebuilding)
            return ctx_park(ctx);
        if (!op.record)
            DURABLE_TRY(start(&op, function, payload, opts, err));
        /* The answer to START may be the end: an unknown function fails at once. */
        DURABLE_TRY(ctx_await(ctx, op.id, err));
        op_reload(&op);
    }
    return outcome(&op, opts, out, err);
}

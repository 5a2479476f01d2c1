#include "shared/durable/context.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"
#include "shared/base/utf8.h"
#include "shared/durable/error.h"

void context_wrap_child(struct durable_error *err)
{
    error_wrap_as(err, "ChildContextError", "Child context failed");
}

static void wrap(const struct context *c, struct durable_error *err)
{
    if (c->wrap)
        c->wrap(err);
    else
        context_wrap_child(err);
}

/* Runs the body. OK or FAILED is what it came to, *value being what will be read back; anything
 * else has latched the caller's context. */
static enum durable_rc run_body(struct context *c, bool rebuilding, struct json_object **value,
                                struct durable_error *why)
{
    struct durable_ctx *ctx = c->op->ctx;
    const struct codec codec = op_codec(c->op, c->opts.serdes);
    struct durable_ctx child;
    ctx_init_child(&child, c->op, rebuilding, c->opts.flat);

    ctx->busy = true;
    enum durable_rc rc = c->body(&child, c->in, c->arg, value, why);
    ctx->busy = false;
    bool ended = execution_ended(ctx->x, why);
    if (ended || child.latch != DURABLE_OK) {
        json_put_ptr(value);
        if (rc == DURABLE_OK)
            execution_log(ctx->x, DURABLE_LOG_WARN, "handler_ignored_suspend",
                          "a child's body returned a value after it was suspended: dropped");
        return ctx->latch = ended ? DURABLE_FATAL : child.latch;
    }
    if (rc == DURABLE_OK) {
        durable_error_release(why);
        if (payload_round_trip(value, &codec, &c->payload, why) == 0)
            return DURABLE_OK;
        rc = DURABLE_FAILED;
    }
    json_put_ptr(value);
    if (rc == DURABLE_FAILED) {
        if (!why->type && !why->message)
            durable_error_set(why, "Error", "the body of a child context failed without an error");
        return rc;
    }
    return ctx_fatal(ctx, CHECKPOINT_EXECUTION, why, "HandlerError",
                     "the body of the child context \"%s\" returned %s, but no operation in it did",
                     c->op->raw, rc == DURABLE_SUSPENDED ? "DURABLE_SUSPENDED" : "DURABLE_FATAL");
}

/* The context had succeeded with a result too large to be recorded: only the body knows it. */
static enum durable_rc rebuild(struct context *c, struct json_object **value,
                               struct durable_error *err)
{
    auto_durable_error struct durable_error why = { 0 };
    enum durable_rc rc = run_body(c, true, value, &why);
    if (rc == DURABLE_FAILED)
        return ctx_fatal(c->op->ctx, CHECKPOINT_EXECUTION, err, NON_DETERMINISM_TYPE,
                         "Non-deterministic execution detected: the child context \"%s\" succeeded "
                         "and now fails: %s: %s",
                         c->op->raw, why.type ? why.type : "Error", why.message ? why.message : "");
    if (rc == DURABLE_FATAL)
        durable_error_copy(err, &why);
    return rc;
}

/* A summary that is too long or not text is none. */
static void add_summary(const struct context *c, struct json_object *value, struct payload *p)
{
    char *text = c->opts.summary ? c->opts.summary(value, c->opts.summary_arg) : NULL;
    size_t len = text ? strlen(text) : 0;
    if (len > PAYLOAD_MAX || !utf8_valid(text ? text : "", len)) {
        free(text);
        text = NULL;
    }
    p->text = text ? text : mem_dup("");
    p->len = strlen(p->text);
}

static enum durable_rc succeeded(const struct context *c, struct json_object *value,
                                 struct durable_error *err)
{
    if (c->opts.flat)
        return DURABLE_OK;
    struct update_fields f = { .payload = c->payload.text, .payload_len = c->payload.len };
    auto_payload struct payload summary = { 0 };
    if (c->payload.len > PAYLOAD_MAX) {
        add_summary(c, value, &summary);
        f = (struct update_fields){ .payload = summary.text,
                                    .payload_len = summary.len,
                                    .replay_children = true };
    }
    op_send(c->op, UPDATE_SUCCEED, f);
    return ctx_flush(c->op->ctx, err);
}

static enum durable_rc failed(const struct context *c, struct durable_error *why,
                              struct durable_error *err)
{
    error_cause_to_stack(why);
    if (!c->opts.flat) {
        op_send(c->op, UPDATE_FAIL, (struct update_fields){ .error = why });
        DURABLE_TRY(ctx_flush(c->op->ctx, err));
    }
    error_round_trip(why);
    wrap(c, why);
    durable_error_copy(err, why);
    return DURABLE_FAILED;
}

static enum durable_rc run(struct context *c, struct json_object **value, struct durable_error *err)
{
    auto_durable_error struct durable_error why = { 0 };
    enum durable_rc rc = run_body(c, c->op->ctx->rebuilding, value, &why);
    if (rc == DURABLE_OK)
        rc = succeeded(c, *value, err);
    else if (rc == DURABLE_FAILED)
        rc = failed(c, &why, err);
    else if (rc == DURABLE_FATAL)
        durable_error_copy(err, &why);
    if (rc != DURABLE_OK)
        json_put_ptr(value);
    return rc;
}

static enum durable_rc recorded(struct context *c, struct json_object **value,
                                struct durable_error *err)
{
    const struct operation *r = c->op->record;
    const struct codec codec = op_codec(c->op, c->opts.serdes);
    if (r->status != OP_SUCCEEDED) {
        durable_error_copy(err, &r->error);
        wrap(c, err);
        return DURABLE_FAILED;
    }
    if (r->replay_children)
        return rebuild(c, value, err);
    c->payload = (struct payload){ mem_dup_len(r->payload ? r->payload : "", r->payload_len),
                                   r->payload_len };
    return c->text_only ? DURABLE_OK : op_result(c->op, &codec, value, err);
}

enum durable_rc context_run(struct context *c, struct json_object **value,
                            struct durable_error *err)
{
    struct durable_ctx *ctx = c->op->ctx;
    auto_json struct json_object *result = NULL;
    enum durable_rc rc;
    if (c->opts.flat) {
        rc = run(c, &result, err);
    } else if (operation_ended(c->op->record)) {
        rc = recorded(c, &result, err);
    } else if (ctx->rebuilding) {
        return ctx_park(ctx);
    } else {
        DURABLE_TRY(ctx_recordable(ctx));
        if (!c->op->record && !c->started)
            op_send(c->op, UPDATE_START, (struct update_fields){ 0 });
        rc = run(c, &result, err);
    }
    if (rc == DURABLE_OK && value)
        *value = MOVE(result);
    return rc;
}

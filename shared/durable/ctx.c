#include "shared/durable/ctx.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/durable/error.h"

#define NAME_MAX_BYTES 256

void ctx_init_root(struct durable_ctx *ctx, struct execution *x, struct strand *strand)
{
    *ctx = (struct durable_ctx){ .x = x, .strand = strand, .prefix = "" };
}

void ctx_init_child(struct durable_ctx *ctx, const struct op *parent, bool rebuilding, bool flat)
{
    *ctx = (struct durable_ctx){ .x = parent->ctx->x,
                                 .strand = parent->ctx->strand,
                                 .prefix = parent->raw,
                                 .rebuilding = rebuilding,
                                 .logs_replays = parent->ctx->logs_replays };
    memcpy(ctx->parent_id, flat ? parent->ctx->parent_id : parent->id, sizeof(ctx->parent_id));
}

/* ---- latching -------------------------------------------------------------------------------- */

static enum durable_rc latch(struct durable_ctx *ctx, enum durable_rc rc)
{
    if (ctx->latch == DURABLE_OK)
        ctx->latch = rc;
    return ctx->latch;
}

bool execution_ended(struct execution *x, struct durable_error *why)
{
    monitor_lock(&x->monitor);
    bool ended = x->ended != CHECKPOINT_OK;
    monitor_unlock(&x->monitor);
    if (ended) /* the reason does not change any more */
        durable_error_copy(why, &x->why);
    return ended;
}

enum durable_rc ctx_fatal(struct durable_ctx *ctx, enum checkpoint_result as,
                          struct durable_error *err, const char *type, const char *fmt, ...)
{
    struct execution *x = ctx->x;
    va_list ap;
    va_start(ap, fmt);
    auto_free char *text = mem_vprintf(fmt, ap);
    va_end(ap);
    monitor_lock(&x->monitor);
    if (!x->ended) {
        durable_error_set(&x->why, type, "%s", text);
        x->ended = as;
        monitor_changed(&x->monitor);
    }
    monitor_unlock(&x->monitor);
    durable_error_copy(err, &x->why);
    ctx->latch = DURABLE_FATAL;
    return DURABLE_FATAL;
}

static bool abandoned(const struct durable_ctx *ctx)
{
    monitor_lock(&ctx->x->monitor);
    bool yes = strand_abandoned(ctx->strand);
    monitor_unlock(&ctx->x->monitor);
    return yes;
}

enum durable_rc ctx_enter(struct durable_ctx *ctx, struct durable_error *err)
{
    if (execution_ended(ctx->x, err)) {
        ctx->latch = DURABLE_FATAL;
        return DURABLE_FATAL;
    }
    if (ctx->latch != DURABLE_OK)
        return ctx->latch;
    if (abandoned(ctx))
        return latch(ctx, DURABLE_SUSPENDED);
    if (ctx->busy)
        return ctx_fatal(ctx, CHECKPOINT_EXECUTION, err, "ContextValidationError",
                         "an operation was called on a context while the body of its child runs; "
                         "use the context that the body was given");
    return DURABLE_OK;
}

enum durable_rc ctx_park(struct durable_ctx *ctx)
{
    return latch(ctx, DURABLE_SUSPENDED);
}

enum durable_rc ctx_recordable(struct durable_ctx *ctx)
{
    monitor_lock(&ctx->x->monitor);
    bool closed = checkpoint_closed(ctx->x->checkpoint);
    monitor_unlock(&ctx->x->monitor);
    return closed ? latch(ctx, DURABLE_SUSPENDED) : DURABLE_OK;
}

enum durable_rc ctx_checkpointed(struct durable_ctx *ctx, enum checkpoint_result result,
                                 const struct error *why, struct durable_error *err)
{
    if (result == CHECKPOINT_OK)
        return abandoned(ctx) ? latch(ctx, DURABLE_SUSPENDED) : DURABLE_OK;
    if (result == CHECKPOINT_CLOSED)
        return latch(ctx, DURABLE_SUSPENDED); /* the service invokes again and then takes it */
    auto_durable_error struct durable_error text = { 0 };
    error_from(&text, "CheckpointError", why);
    return ctx_fatal(ctx, result, err, "CheckpointError", "checkpoint: %s", text.message);
}

enum durable_rc ctx_flush(struct durable_ctx *ctx, struct durable_error *err)
{
    struct error why = { 0 };
    enum checkpoint_result result = checkpoint_flush(ctx->x->checkpoint, &why);
    return ctx_checkpointed(ctx, result, &why, err);
}

enum durable_rc ctx_await(struct durable_ctx *ctx, const char *id, struct durable_error *err)
{
    struct execution *x = ctx->x;
    DURABLE_TRY(ctx_flush(ctx, err));
    int64_t now_ms = x->edge->now_ms(x->edge->arg);
    monitor_lock(&x->monitor);
    const struct operation *record = journal_find(x->journal, id);
    bool moved = operation_ended(record) || operation_status(record) == OP_READY;
    if (!moved && !ctx->rebuilding)
        strand_await(ctx->strand, id, record ? record->scheduled_ms : 0, now_ms);
    monitor_unlock(&x->monitor);
    return moved ? DURABLE_OK : latch(ctx, DURABLE_SUSPENDED);
}

const struct operation *execution_find(struct execution *x, const char *id)
{
    monitor_lock(&x->monitor);
    const struct operation *record = journal_find(x->journal, id);
    monitor_unlock(&x->monitor);
    return record;
}

/* ---- one operation --------------------------------------------------------------------------- */

bool op_name_valid(const char *name)
{
    if (!name)
        return true;
    size_t len = strnlen(name, NAME_MAX_BYTES + 1);
    if (len == 0 || len > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] < ' ' || name[i] > '~')
            return false;
    return true;
}

enum durable_rc op_invalid(struct durable_error *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    auto_free char *text = mem_vprintf(fmt, ap);
    va_end(ap);
    durable_error_set(err, VALIDATION_TYPE, "%s", text);
    return DURABLE_FAILED;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static enum durable_rc mismatch(const struct op *op, struct durable_error *err, const char *what,
                                const char *recorded, const char *called)
{
    return ctx_fatal(
        op->ctx, CHECKPOINT_EXECUTION, err, NON_DETERMINISM_TYPE,
        "Non-deterministic execution detected: Operation %s mismatch for step \"%s\". "
        "Expected %s \"%s\", but got \"%s\". The same operations must be called in the "
        "same order with the same names on each run.",
        what, op->raw, what, recorded ? recorded : "(none)", called ? called : "(none)");
}

static enum durable_rc check_record(const struct op *op, struct durable_error *err)
{
    const struct operation *r = op->record;
    if (!r)
        return DURABLE_OK;
    if (r->type != op->type)
        return mismatch(op, err, "type", op_type_name(r->type), op_type_name(op->type));
    if (!same_text(r->name, op->name))
        return mismatch(op, err, "name", r->name, op->name);
    if (!same_text(r->subtype, op->subtype))
        return mismatch(op, err, "subtype", r->subtype, op->subtype);
    return DURABLE_OK;
}

enum durable_rc op_begin(struct durable_ctx *ctx, enum op_type type, const char *subtype,
                         const char *name, struct op *op, struct durable_error *err)
{
    *op = (struct op){ .ctx = ctx, .type = type, .subtype = subtype, .name = name };
    DURABLE_TRY(ctx_enter(ctx, err));
    if (!op_name_valid(name))
        return op_invalid(err, "an operation's name has 1 to %d printable ASCII characters",
                          NAME_MAX_BYTES);
    op->raw = opid_raw(ctx->prefix, ++ctx->count);
    opid_wire(op->raw, op->id);
    op_reload(op);
    return check_record(op, err);
}

static void place(struct op *op, const char *raw)
{
    op->raw = mem_dup(raw);
    opid_wire(op->raw, op->id);
    op_reload(op);
}

enum durable_rc op_begin_at(struct durable_ctx *ctx, const char *raw, const char *subtype,
                            const char *name, struct op *op, struct durable_error *err)
{
    *op = (struct op){ .ctx = ctx, .type = OP_CONTEXT, .subtype = subtype, .name = name };
    place(op, raw);
    return check_record(op, err);
}

enum durable_rc op_begin_flat_at(struct durable_ctx *ctx, const char *raw, struct op *op,
                                 struct durable_error *err)
{
    *op = (struct op){ .ctx = ctx, .type = OP_CONTEXT };
    place(op, raw);
    if (!op->record)
        return DURABLE_OK;
    return mismatch(op, err, "type", op_type_name(op->record->type), "a flat context");
}

enum durable_rc op_begin_flat(struct durable_ctx *ctx, struct op *op, struct durable_error *err)
{
    *op = (struct op){ .ctx = ctx };
    DURABLE_TRY(ctx_enter(ctx, err));
    auto_free char *raw = opid_raw(ctx->prefix, ++ctx->count);
    return op_begin_flat_at(ctx, raw, op, err);
}

void op_release(struct op *op)
{
    free(op->raw);
    op->raw = NULL;
}

void op_reload(struct op *op)
{
    op->record = execution_find(op->ctx->x, op->id);
}

void op_send(const struct op *op, enum update_action action, struct update_fields f)
{
    f.id = op->id;
    f.parent_id = op->ctx->parent_id[0] ? op->ctx->parent_id : NULL;
    f.name = op->name;
    f.subtype = op->subtype;
    f.type = op->type;
    f.action = action;
    struct execution *x = op->ctx->x;
    struct update *u = update_new(&f);
    bool lingers = action == UPDATE_START && (op->type == OP_STEP || op->type == OP_CONTEXT);
    monitor_lock(&x->monitor);
    if (strand_abandoned(op->ctx->strand))
        update_free(u);
    else
        checkpoint_add(x->checkpoint, u, lingers);
    monitor_unlock(&x->monitor);
}

struct codec op_codec(const struct op *op, const struct durable_serdes *serdes)
{
    return (struct codec){ .serdes = serdes,
                           .of = { .execution_arn = op->ctx->x->arn, .operation_id = op->id } };
}

enum durable_rc op_result(const struct op *op, const struct codec *codec, struct json_object **out,
                          struct durable_error *err)
{
    const struct operation *r = op->record;
    return payload_read(r->payload, r->payload_len, codec, out, err) < 0 ? DURABLE_FAILED
                                                                         : DURABLE_OK;
}

/* ---- about the execution --------------------------------------------------------------------- */

const char *durable_execution_arn(const struct durable_ctx *ctx)
{
    return ctx->x->arn;
}

const char *durable_execution_name(const struct durable_ctx *ctx)
{
    return ctx->x->name;
}

int64_t durable_execution_start_ms(const struct durable_ctx *ctx)
{
    return ctx->x->start_ms;
}

const char *durable_trace_header(const struct durable_ctx *ctx)
{
    return ctx->x->trace_header ? ctx->x->trace_header : "";
}

const char *durable_request_id(const struct durable_ctx *ctx)
{
    return ctx->x->request_id;
}

bool durable_is_replaying(const struct durable_ctx *ctx)
{
    if (ctx->rebuilding)
        return true;
    char id[OPID_WIRE];
    auto_free char *raw = opid_raw(ctx->prefix, ctx->count + 1);
    opid_wire(raw, id);
    return execution_find(ctx->x, id) != NULL;
}

#include "local/aws/operation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const types[OPERATION_TYPES] = { "EXECUTION", "CONTEXT",  "STEP",
                                                    "WAIT",      "CALLBACK", "CHAINED_INVOKE" };
static const char *const statuses[OPERATION_STATUSES] = { "STARTED",   "PENDING", "READY",
                                                          "SUCCEEDED", "FAILED",  "CANCELLED",
                                                          "TIMED_OUT", "STOPPED" };

void operation_free(struct operation *op)
{
    if (!op)
        return;
    free(op->id);
    free(op->name);
    free(op->sub_type);
    mem_free_secret(op->callback_id);
    free(op->result);
    free(op->error);
    free(op);
}

const char *operation_type_name(enum operation_type type)
{
    return types[type];
}

const char *operation_status_name(enum operation_status status)
{
    return statuses[status];
}

int operation_type_parse(const char *word, enum operation_type *type)
{
    for (size_t i = 0; i < OPERATION_TYPES; i++)
        if (strcmp(types[i], word) == 0) {
            *type = (enum operation_type)i;
            return 0;
        }
    return -1;
}

bool operation_is_closed(const struct operation *op)
{
    return op->status >= OP_SUCCEEDED;
}

bool operation_is_pending(const struct operation *op)
{
    switch (op->type) {
    case OP_STEP:
        return op->status == OP_PENDING || op->status == OP_READY;
    case OP_WAIT:
    case OP_CALLBACK:
    case OP_CHAINED_INVOKE:
        return op->status == OP_STARTED;
    case OP_EXECUTION:
    case OP_CONTEXT:
        break;
    }
    return false;
}

int64_t operation_due_ms(const struct operation *op)
{
    if (!operation_is_pending(op))
        return 0;
    if (op->type != OP_CALLBACK)
        return op->due_ms;
    if (op->timeout_at_ms && op->heartbeat_at_ms)
        return op->timeout_at_ms < op->heartbeat_at_ms ? op->timeout_at_ms : op->heartbeat_at_ms;
    return op->timeout_at_ms ? op->timeout_at_ms : op->heartbeat_at_ms;
}

bool operation_is_pruned(const struct operation *op)
{
    for (const struct operation *p = op->parent; p; p = p->parent)
        if (operation_is_closed(p) && !p->replay_children)
            return true;
    return false;
}

void time_write(struct buf *out, int64_t wall_ms, enum time_format format)
{
    if (format == TIME_MILLISECONDS)
        buf_printf(out, "%" PRId64, wall_ms);
    else
        buf_printf(out, "%" PRId64 ".%03d", wall_ms / 1000, (int)(wall_ms % 1000));
}

static void write_str(struct buf *out, const char *key, const char *value)
{
    if (!value)
        return;
    buf_printf(out, ",\"%s\":", key);
    buf_add_json_str(out, value);
}

static void write_time(struct buf *out, const char *key, int64_t wall_ms, enum time_format format)
{
    if (!wall_ms)
        return;
    buf_printf(out, ",\"%s\":", key);
    time_write(out, wall_ms, format);
}

/* The members that most details have; each is preceded by a comma. */
static void write_outcome(struct buf *out, const struct operation *op)
{
    if (op->result) {
        buf_add_str(out, ",\"Result\":");
        buf_add_json(out, op->result, op->result_len);
    }
    if (op->error) {
        buf_add_str(out, ",\"Error\":");
        buf_add_str(out, op->error);
    }
}

static void write_members(struct buf *out, const struct operation *op, enum time_format format)
{
    switch (op->type) {
    case OP_CONTEXT:
        if (op->replay_children)
            buf_add_str(out, ",\"ReplayChildren\":true");
        write_outcome(out, op);
        break;
    case OP_STEP:
        buf_printf(out, ",\"Attempt\":%" PRId64, op->attempt);
        if (op->status == OP_PENDING)
            write_time(out, "NextAttemptTimestamp", op->due_ms, format);
        write_outcome(out, op);
        break;
    case OP_WAIT:
        write_time(out, "ScheduledEndTimestamp", op->due_ms, format);
        break;
    case OP_CALLBACK:
        write_str(out, "CallbackId", op->callback_id);
        write_outcome(out, op);
        break;
    case OP_CHAINED_INVOKE:
        write_outcome(out, op);
        break;
    case OP_EXECUTION:
        break;
    }
}

static void write_details(struct buf *out, const struct operation *op, enum time_format format)
{
    static const char *const names[OPERATION_TYPES] = {
        [OP_CONTEXT] = "ContextDetails",
        [OP_STEP] = "StepDetails",
        [OP_WAIT] = "WaitDetails",
        [OP_CALLBACK] = "CallbackDetails",
        [OP_CHAINED_INVOKE] = "ChainedInvokeDetails",
    };
    if (!names[op->type])
        return;
    buf_printf(out, ",\"%s\":{", names[op->type]);
    size_t at = out->len;
    write_members(out, op, format);
    if (out->len > at) { /* the first comma goes */
        memmove(out->data + at, out->data + at + 1, out->len - at);
        out->len--;
    }
    buf_add_char(out, '}');
}

void operation_write(struct buf *out, const struct operation *op, enum time_format format)
{
    buf_add_str(out, "{\"Id\":");
    buf_add_json_str(out, op->id);
    write_str(out, "ParentId", op->parent ? op->parent->id : NULL);
    write_str(out, "Name", op->name);
    buf_printf(out, ",\"Type\":\"%s\"", types[op->type]);
    write_str(out, "SubType", op->sub_type);
    buf_printf(out, ",\"Status\":\"%s\"", statuses[op->status]);
    write_time(out, "StartTimestamp", op->start_ms, format);
    write_time(out, "EndTimestamp", op->end_ms, format);
    write_details(out, op, format);
    buf_add_char(out, '}');
}

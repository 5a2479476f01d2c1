#include "local/aws/execution.h"

#include <stdlib.h>
#include <string.h>

static const char *const statuses[EXECUTION_STATUSES] = { "RUNNING", "SUCCEEDED", "FAILED",
                                                          "TIMED_OUT", "STOPPED" };

struct execution *execution_new(void)
{
    return mem_alloc(sizeof(struct execution));
}

void execution_free(struct execution *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->op_count; i++)
        operation_free(e->ops[i]);
    struct execution_waiter *next;
    for (struct execution_waiter *w = e->waiters; w; w = next) {
        next = w->next;
        free(w);
    }
    map_release(&e->by_id);
    free(e->ops);
    free(e->arn);
    free(e->name);
    free(e->version);
    free(e->function_name);
    free(e->input);
    free(e->result);
    free(e->error);
    free(e->trace);
    free(e->tenant);
    free(e->replay.answer);
    free(e);
}

const char *execution_status_name(enum execution_status status)
{
    return statuses[status];
}

int execution_status_parse(const char *word, enum execution_status *status)
{
    for (size_t i = 0; i < EXECUTION_STATUSES; i++)
        if (strcmp(statuses[i], word) == 0) {
            *status = (enum execution_status)i;
            return 0;
        }
    return -1;
}

struct operation *execution_find(const struct execution *e, const char *id)
{
    return map_get(&e->by_id, id);
}

struct operation *execution_operation(const struct execution *e, uint32_t number)
{
    return number >= 1 && number <= e->op_count ? e->ops[number - 1] : NULL;
}

struct operation *execution_add(struct execution *e, const char *id, enum operation_type type)
{
    struct operation *op = mem_alloc(sizeof(*op));
    if (e->op_count == e->op_cap) {
        e->op_cap = e->op_cap ? 2 * e->op_cap : 16;
        e->ops = mem_resize(e->ops, e->op_cap, sizeof(*e->ops));
    }
    e->ops[e->op_count++] = op;
    op->number = (uint32_t)e->op_count;
    op->id = mem_dup(id);
    op->type = type;
    op->status = OP_STARTED;
    map_put(&e->by_id, op->id, op);
    return op;
}

/* ---- the lists ------------------------------------------------------------------------------- */

static void unlink_unseen(struct execution *e, struct operation *op)
{
    if (!op->unseen)
        return;
    if (op->unseen_prev)
        op->unseen_prev->unseen_next = op->unseen_next;
    else
        e->unseen_first = op->unseen_next;
    if (op->unseen_next)
        op->unseen_next->unseen_prev = op->unseen_prev;
    else
        e->unseen_last = op->unseen_prev;
    op->unseen_prev = op->unseen_next = NULL;
    op->unseen = false;
}

static void link_unseen(struct execution *e, struct operation *op)
{
    unlink_unseen(e, op);
    op->unseen = true;
    op->unseen_prev = e->unseen_last;
    if (e->unseen_last)
        e->unseen_last->unseen_next = op;
    else
        e->unseen_first = op;
    e->unseen_last = op;
}

static void set_timed(struct execution *e, struct operation *op, bool timed)
{
    if (op->timed == timed)
        return;
    op->timed = timed;
    if (timed) {
        op->timed_next = e->timed;
        if (e->timed)
            e->timed->timed_prev = op;
        e->timed = op;
        return;
    }
    if (op->timed_prev)
        op->timed_prev->timed_next = op->timed_next;
    else
        e->timed = op->timed_next;
    if (op->timed_next)
        op->timed_next->timed_prev = op->timed_prev;
    op->timed_prev = op->timed_next = NULL;
}

void execution_touch(struct execution *e, struct operation *op)
{
    e->pending -= operation_is_pending(op);
    e->ready -= op->status == OP_READY;
}

void execution_changed(struct execution *e, struct operation *op)
{
    e->pending += operation_is_pending(op);
    e->ready += op->status == OP_READY;
    set_timed(e, op, operation_due_ms(op) != 0);
    link_unseen(e, op);
}

void execution_seen(struct execution *e)
{
    while (e->unseen_first)
        unlink_unseen(e, e->unseen_first);
}

int64_t execution_due_ms(const struct execution *e)
{
    int64_t due = e->timeout_at_ms;
    if (e->lane == LANE_BACKOFF && e->retry_at_ms < due)
        due = e->retry_at_ms;
    for (const struct operation *op = e->timed; op; op = op->timed_next)
        if (operation_due_ms(op) < due)
            due = operation_due_ms(op);
    return due;
}

struct operation *execution_due(const struct execution *e, int64_t now_ms)
{
    struct operation *first = NULL;
    for (struct operation *op = e->timed; op; op = op->timed_next) {
        int64_t due = operation_due_ms(op);
        if (due > now_ms)
            continue;
        /* Of two at the same time the one that was started earlier. */
        if (!first || due < operation_due_ms(first) ||
            (due == operation_due_ms(first) && op->number < first->number))
            first = op;
    }
    return first;
}

void execution_write_operation(struct buf *out, const struct execution *e, enum time_format format)
{
    static const enum operation_status of[EXECUTION_STATUSES] = { OP_STARTED, OP_SUCCEEDED,
                                                                  OP_FAILED, OP_TIMED_OUT,
                                                                  OP_STOPPED };
    buf_printf(out, "{\"Id\":\"%s\",\"Type\":\"EXECUTION\",\"Name\":\"%s\",\"Status\":\"%s\"",
               e->id, e->name, operation_status_name(of[e->status]));
    buf_add_str(out, ",\"StartTimestamp\":");
    time_write(out, e->start_ms, format);
    if (e->end_ms) {
        buf_add_str(out, ",\"EndTimestamp\":");
        time_write(out, e->end_ms, format);
    }
    buf_add_str(out, ",\"ExecutionDetails\":{");
    if (e->input) {
        buf_add_str(out, "\"InputPayload\":");
        buf_add_json(out, e->input, e->input_len);
    }
    buf_add_str(out, "}}");
}

#include "local/aws/checkpoint_apply.h"

#include <stdlib.h>

#include "local/aws/chained.h"
#include "local/aws/events.h"
#include "local/aws/lane.h"

static void set_outcome(struct operation *op, const struct update *u)
{
    free(op->result);
    free(op->error);
    op->result = u->payload ? mem_dup_len(u->payload, u->payload_len) : NULL;
    op->result_len = u->payload_len;
    op->error = mem_dup(u->error);
}

static void start_callback(const struct execution *e, struct operation *op, const struct update *u,
                           int64_t now_ms)
{
    op->callback_id = mem_alloc(CALLBACK_ID);
    callback_id_make(e->id, op->number, op->callback_id);
    op->timeout_s = u->timeout_s;
    op->heartbeat_s = u->heartbeat_s;
    op->timeout_at_ms = u->timeout_s ? now_ms + u->timeout_s * 1000 : 0;
    op->heartbeat_at_ms = u->heartbeat_s ? now_ms + u->heartbeat_s * 1000 : 0;
}

static void apply_start(const struct execution *e, struct operation *op, const struct update *u,
                        int64_t now_ms)
{
    op->status = OP_STARTED;
    op->due_ms = 0;
    if (op->type == OP_WAIT) {
        op->wait_s = u->wait_s;
        op->due_ms = now_ms + u->wait_s * 1000;
    } else if (op->type == OP_CALLBACK && !op->callback_id) {
        start_callback(e, op, u, now_ms);
    }
}

static void apply_end(struct operation *op, const struct update *u, enum operation_status status,
                      int64_t now_ms)
{
    op->status = status;
    op->end_ms = now_ms;
    op->due_ms = op->type == OP_WAIT ? op->due_ms : 0;
    op->replay_children = u->replay_children && op->type == OP_CONTEXT;
    op->attempt += op->type == OP_STEP;
    set_outcome(op, u);
}

static void apply_retry(struct operation *op, const struct update *u, int64_t now_ms)
{
    op->status = OP_PENDING;
    op->attempt++;
    op->due_ms = now_ms + u->delay_s * 1000;
    set_outcome(op, u);
}

static struct operation *add(struct execution *e, const struct update *u, int64_t now_ms)
{
    struct operation *op = execution_add(e, u->id, u->type);
    op->name = mem_dup(u->name);
    op->sub_type = mem_dup(u->sub_type);
    op->parent = u->parent_id ? execution_find(e, u->parent_id) : NULL;
    op->start_ms = now_ms;
    e->metered++;
    return op;
}

static void apply(struct lambda *l, struct execution *e, const struct update *u, int64_t now_ms)
{
    static const enum operation_status ends[] = {
        [ACTION_SUCCEED] = OP_SUCCEEDED, [ACTION_FAIL] = OP_FAILED, [ACTION_CANCEL] = OP_CANCELLED
    };
    struct operation *op = execution_find(e, u->id);
    if (op)
        execution_touch(e, op);
    else
        op = add(e, u, now_ms);
    if (u->action == ACTION_START)
        apply_start(e, op, u, now_ms);
    else if (u->action == ACTION_RETRY)
        apply_retry(op, u, now_ms);
    else
        apply_end(op, u, ends[u->action], now_ms);
    e->metered += u->action == ACTION_RETRY;
    execution_changed(e, op);
    execution_store_operation(l->store, e, op);
    if (u->action == ACTION_START && u->type == OP_CHAINED_INVOKE)
        chained_begin(l, e, op, u, now_ms);
    else if (u->action == ACTION_START)
        event_operation_started(l->store, e, op, now_ms);
    else if (u->action == ACTION_RETRY)
        event_step_retried(l->store, e, op, u->delay_s, now_ms);
    else
        event_operation_closed(l->store, e, op, now_ms);
}

void checkpoint_apply(struct lambda *l, struct execution *e, const struct update_list *updates,
                      int64_t now_ms)
{
    e->written += update_list_bytes(updates);
    for (size_t i = 0; i < updates->count; i++) {
        const struct update *u = &updates->items[i];
        if (u->type != OP_EXECUTION)
            apply(l, e, u, now_ms);
        else
            lane_close(l, e, u->action == ACTION_SUCCEED ? EX_SUCCEEDED : EX_FAILED, u->payload,
                       u->payload_len, u->error);
    }
}

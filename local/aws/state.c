#include "local/aws/state.h"

#include "local/aws/lambda_state.h"

uint32_t state_write_page(struct buf *out, const struct execution *e, uint32_t from,
                          size_t max_items, enum time_format format)
{
    size_t begin = out->len, items = 0;
    uint32_t next = 0;
    buf_add_char(out, '[');
    for (uint32_t number = from; number <= e->op_count; number++) {
        const struct operation *op = execution_operation(e, number);
        if (op && operation_is_pruned(op))
            continue;
        if (items == max_items || out->len - begin > PAGE_BYTES) {
            next = number;
            break;
        }
        if (items++)
            buf_add_char(out, ',');
        if (op)
            operation_write(out, op, format);
        else
            execution_write_operation(out, e, format);
    }
    buf_add_char(out, ']');
    return next;
}

void state_write_unseen(struct buf *out, const struct execution *e)
{
    buf_add_char(out, '[');
    for (const struct operation *op = e->unseen_first; op; op = op->unseen_next) {
        if (op != e->unseen_first)
            buf_add_char(out, ',');
        operation_write(out, op, TIME_SECONDS);
    }
    buf_add_char(out, ']');
}

void state_write_event(struct buf *out, const struct execution *e)
{
    buf_add_str(out, "{\"DurableExecutionArn\":");
    buf_add_json_str(out, e->arn);
    buf_printf(out, ",\"CheckpointToken\":\"%s\"", e->token);
    buf_add_str(out, ",\"InitialExecutionState\":{\"Operations\":");
    uint32_t next = state_write_page(out, e, 0, SIZE_MAX, TIME_MILLISECONDS);
    buf_add_str(out, ",\"NextMarker\":\"");
    if (next)
        buf_printf(out, "%u", next);
    buf_add_str(out, "\"},\"UpdatedOperationIds\":[");
    if (e->invocations == 1) /* the execution itself is what is new */
        buf_printf(out, "\"%s\"", e->id);
    for (const struct operation *op = e->unseen_first; op; op = op->unseen_next)
        buf_printf(out, "%s\"%s\"", op == e->unseen_first && e->invocations > 1 ? "" : ",", op->id);
    buf_add_str(out, "]}");
}

#include "local/aws/events.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EVENT (32U << 20)

/* {"EventType":..., up to the opening brace of its details. */
static void begin(struct buf *b, const struct execution *e, const char *type, int64_t now_ms)
{
    buf_printf(b, "{\"EventType\":\"%s\",\"EventId\":%" PRId64 ",\"EventTimestamp\":", type,
               e->events + 1);
    time_write(b, now_ms, TIME_SECONDS);
}

static void member(struct buf *b, const char *key, const char *value)
{
    if (!value)
        return;
    buf_printf(b, ",\"%s\":", key);
    buf_add_json_str(b, value);
}

static void begin_operation(struct buf *b, const struct execution *e, const char *type,
                            const struct operation *op, int64_t now_ms)
{
    begin(b, e, type, now_ms);
    member(b, "Id", op->id);
    member(b, "Name", op->name);
    member(b, "SubType", op->sub_type);
    member(b, "ParentId", op->parent ? op->parent->id : NULL);
    buf_printf(b, ",\"%sDetails\":{", type);
}

static void begin_execution(struct buf *b, const struct execution *e, const char *type,
                            int64_t now_ms)
{
    begin(b, e, type, now_ms);
    member(b, "Id", e->id);
    member(b, "Name", e->name);
    buf_printf(b, ",\"%sDetails\":{", type);
}

static void finish(struct execution_store *s, struct execution *e, struct buf *b)
{
    buf_add_str(b, "}}");
    if (buf_overflowed(b))
        abort(); /* its parts are limited to far less */
    e->events++;
    execution_store_event(s, e, e->events, b->data, b->len);
}

/* "KEY":{"Payload":...,"Truncated":false} */
static void wrap_text(struct buf *b, const char *key, const char *text, size_t len)
{
    buf_printf(b, "\"%s\":{", key);
    if (text) {
        buf_add_str(b, "\"Payload\":");
        buf_add_json(b, text, len);
        buf_add_char(b, ',');
    }
    buf_add_str(b, "\"Truncated\":false}");
}

static void wrap_error(struct buf *b, const char *error)
{
    buf_printf(b, "\"Error\":{\"Payload\":%s,\"Truncated\":false}", error ? error : "{}");
}

void event_execution_started(struct execution_store *s, struct execution *e, int64_t now_ms)
{
    auto_buf struct buf b = BUF_INIT(MAX_EVENT);
    begin_execution(&b, e, "ExecutionStarted", now_ms);
    wrap_text(&b, "Input", e->input, e->input_len);
    buf_printf(&b, ",\"ExecutionTimeout\":%" PRId64, e->timeout_s);
    finish(s, e, &b);
}

void event_execution_closed(struct execution_store *s, struct execution *e, int64_t now_ms)
{
    static const char *const types[EXECUTION_STATUSES] = {
        [EX_RUNNING] = "",
        [EX_SUCCEEDED] = "ExecutionSucceeded",
        [EX_FAILED] = "ExecutionFailed",
        [EX_TIMED_OUT] = "ExecutionTimedOut",
        [EX_STOPPED] = "ExecutionStopped",
    };
    auto_buf struct buf b = BUF_INIT(MAX_EVENT);
    begin_execution(&b, e, types[e->status], now_ms);
    if (e->status == EX_SUCCEEDED)
        wrap_text(&b, "Result", e->result, e->result_len);
    else
        wrap_error(&b, e->error);
    finish(s, e, &b);
}

static const char *type_stem(const struct operation *op)
{
    static const char *const stems[OPERATION_TYPES] = {
        [OP_EXECUTION] = "Execution", [OP_CONTEXT] = "Context",
        [OP_STEP] = "Step",           [OP_WAIT] = "Wait",
        [OP_CALLBACK] = "Callback",   [OP_CHAINED_INVOKE] = "ChainedInvoke",
    };
    return stems[op->type];
}

static void write_started(struct buf *b, const struct operation *op)
{
    switch (op->type) {
    case OP_WAIT:
        buf_printf(b, "\"Duration\":%" PRId64 ",\"ScheduledEndTimestamp\":", op->wait_s);
        time_write(b, op->due_ms, TIME_SECONDS);
        break;
    case OP_CALLBACK:
        buf_add_str(b, "\"CallbackId\":");
        buf_add_json_str(b, op->callback_id);
        if (op->timeout_s)
            buf_printf(b, ",\"Timeout\":%" PRId64, op->timeout_s);
        if (op->heartbeat_s)
            buf_printf(b, ",\"HeartbeatTimeout\":%" PRId64, op->heartbeat_s);
        break;
    case OP_STEP:
    case OP_CONTEXT:
    case OP_CHAINED_INVOKE:
    case OP_EXECUTION:
        break;
    }
}

void event_operation_started(struct execution_store *s, struct execution *e,
                             const struct operation *op, int64_t now_ms)
{
    auto_free char *type = mem_printf("%sStarted", type_stem(op));
    auto_buf struct buf b = BUF_INIT(MAX_EVENT);
    begin_operation(&b, e, type, op, now_ms);
    write_started(&b, op);
    finish(s, e, &b);
}

void event_chained_started(struct execution_store *s, struct execution *e,
                           const struct operation *op, const struct event_chained *details,
                           int64_t now_ms)
{
    auto_buf struct buf b = BUF_INIT(MAX_EVENT);
    begin_operation(&b, e, "ChainedInvokeStarted", op, now_ms);
    buf_add_str(&b, "\"FunctionName\":");
    buf_add_json_str(&b, details->function_name);
    member(&b, "TenantId", details->tenant);
    if (details->input) {
        buf_add_char(&b, ',');
        wrap_text(&b, "Input", details->input, details->input_len);
    }
    member(&b, "ExecutedVersion", details->version);
    member(&b, "DurableExecutionArn", details->execution_arn);
    finish(s, e, &b);
}

void event_operation_closed(struct execution_store *s, struct execution *e,
                            const struct operation *op, int64_t now_ms)
{
    static const char *const ends[OPERATION_STATUSES] = {
        [OP_STARTED] = "",
        [OP_PENDING] = "",
        [OP_READY] = "",
        [OP_SUCCEEDED] = "Succeeded",
        [OP_FAILED] = "Failed",
        [OP_CANCELLED] = "Cancelled",
        [OP_TIMED_OUT] = "TimedOut",
        [OP_STOPPED] = "Stopped",
    };
    auto_free char *type = mem_printf("%s%s", type_stem(op), ends[op->status]);
    auto_buf struct buf b = BUF_INIT(MAX_EVENT);
    begin_operation(&b, e, type, op, now_ms);
    if (op->type == OP_WAIT && op->status == OP_SUCCEEDED)
        buf_printf(&b, "\"Duration\":%" PRId64, op->wait_s);
    else if (op->status == OP_SUCCEEDED)
        wrap_text(&b, "Result", op->result, op->result_len);
    else if (op->type != OP_WAIT)
        wrap_error(&b, op->error);
    if (op->type == OP_STEP)
        buf_printf(&b, ",\"RetryDetails\":{\"CurrentAttempt\":%" PRId64 "}", op->attempt);
    finish(s, e, &b);
}

void event_step_retried(struct execution_store *s, struct execution *e, const struct operation *op,
                        int64_t delay_s, int64_t now_ms)
{
    auto_buf struct buf b = BUF_INIT(MAX_EVENT);
    begin_operation(&b, e, op->error ? "StepFailed" : "StepSucceeded", op, now_ms);
    if (op->error)
        wrap_error(&b, op->error);
    else
        wrap_text(&b, "Result", op->result, op->result_len);
    buf_printf(&b,
               ",\"RetryDetails\":{\"CurrentAttempt\":%" PRId64
               ",\"NextAttemptDelaySeconds\":%" PRId64 "}",
               op->attempt, delay_s);
    finish(s, e, &b);
}

void event_invocation_completed(struct execution_store *s, struct execution *e,
                                const char *request_id, int64_t begun_ms, const char *error,
                                int64_t now_ms)
{
    auto_buf struct buf b = BUF_INIT(MAX_EVENT);
    begin(&b, e, "InvocationCompleted", now_ms);
    buf_add_str(&b, ",\"InvocationCompletedDetails\":{\"StartTimestamp\":");
    time_write(&b, begun_ms, TIME_SECONDS);
    buf_add_str(&b, ",\"EndTimestamp\":");
    time_write(&b, now_ms, TIME_SECONDS);
    member(&b, "RequestId", request_id);
    if (error) {
        buf_add_char(&b, ',');
        wrap_error(&b, error);
    }
    finish(s, e, &b);
}

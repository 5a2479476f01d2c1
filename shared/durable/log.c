#include <stdarg.h>
#include <string.h>

#include "shared/base/buf.h"
#include "shared/base/clock.h"
#include "shared/base/utf8.h"
#include "shared/durable/ctx.h"
#include "shared/durable/step.h"

#define MESSAGE_MAX 65536
#define LINE_LIMIT  (8U * MESSAGE_MAX) /* a message of control characters grows sixfold */

static void add_str(struct buf *b, const char *key, const char *value)
{
    if (!value)
        return;
    buf_printf(b, ",\"%s\":", key);
    buf_add_json_str(b, value);
}

static void write_line(struct execution *x, enum durable_log_level level, const char *event,
                       const struct durable_step *step, const char *message)
{
    static const char *const levels[] = { "DEBUG", "INFO", "WARN", "ERROR" };
    if (level < x->edge->log_level)
        return;
    char now[CLOCK_TEXT];
    clock_format(x->edge->now_ms(x->edge->arg), now);
    auto_buf struct buf b = BUF_INIT(LINE_LIMIT);
    buf_printf(&b, "{\"timestamp\":\"%s\",\"level\":\"%s\",\"message\":", now, levels[level]);
    buf_add_json(&b, message, utf8_cut(message, strlen(message), MESSAGE_MAX));
    add_str(&b, "event", event);
    add_str(&b, "executionArn", x->arn);
    add_str(&b, "requestId", x->request_id);
    if (step) {
        add_str(&b, "operationId", step->op->id);
        add_str(&b, "operationName", step->op->name);
        buf_printf(&b, ",\"attempt\":%u", step->attempt);
    }
    buf_add_str(&b, "}\n");
    if (buf_overflowed(&b))
        return;
    pthread_mutex_lock(&x->log_lock);
    x->edge->log(x->edge->arg, buf_str(&b), b.len);
    pthread_mutex_unlock(&x->log_lock);
}

void execution_log(struct execution *x, enum durable_log_level level, const char *event,
                   const char *message)
{
    write_line(x, level, event, NULL, message);
}

void durable_log(struct durable_ctx *ctx, enum durable_log_level level, const char *fmt, ...)
{
    /* A body that runs again for its large result logs again, as in AWS's SDKs. */
    if (durable_is_replaying(ctx) && !ctx->rebuilding && !ctx->logs_replays)
        return;
    va_list ap;
    va_start(ap, fmt);
    auto_free char *message = mem_vprintf(fmt, ap);
    va_end(ap);
    write_line(ctx->x, level, NULL, NULL, message);
}

void durable_log_replays(struct durable_ctx *ctx, bool on)
{
    ctx->logs_replays = on;
}

void durable_step_log(struct durable_step *step, enum durable_log_level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    auto_free char *message = mem_vprintf(fmt, ap);
    va_end(ap);
    write_line(step->op->ctx->x, level, NULL, step, message);
}

#include "local/aws/async_record.h"

#include "shared/base/clock.h"
#include "shared/base/json.h"

static void add_response(struct buf *out, const struct async_record *r, bool whole)
{
    auto_json struct json_object *parsed = NULL;
    struct error not_json;
    buf_add_str(out, ",\"responseContext\":{\"statusCode\":200,\"executedVersion\":");
    buf_add_json_str(out, r->version);
    buf_add_str(out, ",\"functionError\":\"Unhandled\"},\"responsePayload\":");
    if (!whole)
        buf_add_str(out, "null");
    else if (json_parse(r->response, r->response_len, JSON_DEPTH, &parsed, &not_json) == 0)
        buf_add(out, r->response, r->response_len);
    else
        buf_add_json(out, r->response, r->response_len);
}

static void write(struct buf *out, const struct async_record *r, bool whole)
{
    char time[CLOCK_TEXT];
    clock_format(r->now_ms, time);
    auto_free char *arn = mem_printf("arn:aws:lambda:%s:%s:function:%s:%s", r->config->region,
                                     r->config->account_id, r->function, r->version);
    buf_printf(
        out, "{\"version\":\"1.0\",\"timestamp\":\"%s\",\"requestContext\":{\"requestId\":", time);
    buf_add_json_str(out, r->request_id);
    buf_add_str(out, ",\"functionArn\":");
    buf_add_json_str(out, arn);
    buf_printf(out, ",\"condition\":\"%s\",\"approximateInvokeCount\":%u},\"requestPayload\":",
               r->condition, r->tries);
    buf_add_str(out, whole ? r->payload : "null");
    if (r->response)
        add_response(out, r, whole);
    buf_add_char(out, '}');
}

void async_record_write(struct buf *out, const struct async_record *r)
{
    auto_buf struct buf text = BUF_INIT(ASYNC_RECORD_MAX);
    write(&text, r, true);
    if (buf_overflowed(&text)) {
        buf_release(&text);
        buf_init(&text, ASYNC_RECORD_MAX);
        write(&text, r, false);
    }
    buf_add(out, buf_str(&text), text.len);
}

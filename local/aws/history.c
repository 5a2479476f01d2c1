#include "local/aws/history.h"

#include <inttypes.h>
#include <string.h>

#include "local/aws/lambda_state.h"
#include "shared/base/json.h"

struct page {
    struct buf *out;
    const struct history_query *query;
    size_t begin;
    int64_t count;
    int64_t last; /* id of the last event written */
    bool more;
};

void history_strip(struct buf *out, const char *event, size_t len)
{
    static const char *const wrappers[] = { "Input", "Result", "Error" };
    struct error err;
    auto_json struct json_object *o = NULL;
    const char *type;
    if (json_parse(event, len, 2 * JSON_DEPTH, &o, &err) == 0 &&
        (type = json_get_str(o, "EventType"))) {
        auto_free char *key = mem_printf("%sDetails", type);
        struct json_object *details = json_get_obj(o, key);
        for (size_t i = 0; details && i < ARRAY_LEN(wrappers); i++) {
            if (!json_get_obj(details, wrappers[i]))
                continue;
            struct json_object *cut = json_object_new_object();
            json_add_bool(cut, "Truncated", true);
            json_add(details, wrappers[i], cut);
        }
    }
    buf_add_str(out, json_text(o, NULL));
}

void history_without_secrets(struct buf *out, const char *event, size_t len)
{
    static const char type[] = "{\"EventType\":\"CallbackStarted\"";
    struct error err;
    auto_json struct json_object *o = NULL;
    if (strncmp(event, type, sizeof(type) - 1) != 0 ||
        json_parse(event, len, 2 * JSON_DEPTH, &o, &err) < 0) {
        buf_add(out, event, len);
        return;
    }
    struct json_object *details = json_get_obj(o, "CallbackStartedDetails");
    if (details)
        json_object_object_del(details, "CallbackId");
    buf_add_str(out, json_text(o, NULL));
}

static bool write_event(void *arg, int64_t event_id, const char *body, size_t len)
{
    struct page *p = arg;
    if (p->count == p->query->max_items || p->out->len - p->begin > PAGE_BYTES) {
        p->more = true;
        return false;
    }
    if (p->count++)
        buf_add_char(p->out, ',');
    if (p->query->include_data)
        buf_add(p->out, body, len);
    else
        history_strip(p->out, body, len);
    p->last = event_id;
    return true;
}

void history_write(struct buf *out, struct execution_store *s, int64_t row,
                   const struct history_query *q)
{
    struct page p = { .out = out, .query = q, .begin = out->len };
    buf_add_str(out, "{\"Events\":[");
    execution_store_events(s, row, q->from, q->reverse, q->max_items + 1, write_event, &p);
    buf_add_char(out, ']');
    if (p.more)
        buf_printf(out, ",\"NextMarker\":\"%" PRId64 "\"", p.last);
    buf_add_char(out, '}');
}

#include "callback-receiver/view.h"

#include "shared/base/clock.h"

static void add_time(struct json_object *o, const char *key, int64_t ms)
{
    char text[CLOCK_TEXT];
    if (ms <= 0)
        return;
    clock_format(ms, text);
    json_add_str(o, key, text);
}

static void add_report(struct json_object *o, const struct callback *c,
                       const struct store_text *body)
{
    struct json_object *report = json_object_new_object();
    json_add_str(report, "kind", c->report_kind == CALLBACK_SUCCESS ? "success" : "failure");
    json_add_str(report, "mediaType", "application/json");
    json_add(report, "body", json_new_str_len(body->text, body->len));
    json_add(o, "report", report);
}

struct json_object *view_callback(const struct callback *c, const struct store_text *progress,
                                  const struct store_text *body)
{
    struct json_object *o = json_object_new_object();
    struct json_object *p = NULL;
    struct error err;
    json_add_str(o, "id", c->id);
    json_add_str(o, "state", callback_state_name(c->state));
    json_add_str(o, "workflow", c->workflow);
    json_add_str(o, "job", c->job);
    if (progress && progress->text &&
        json_parse(progress->text, progress->len, JSON_DEPTH, &p, &err) == 0)
        json_add(o, "progress", p);
    add_time(o, "createdAt", c->created_ms);
    add_time(o, "firstContactAt", c->first_contact_ms);
    add_time(o, "lastContactAt", c->last_contact_ms);
    add_time(o, "reportedAt", c->reported_ms);
    add_time(o, "deliveredAt", c->delivered_ms);
    if (c->state == CALLBACK_ACCEPTED)
        add_time(o, "nextAttemptAt", c->due_ms);
    json_add_int(o, "attempts", c->attempts);
    if (c->last_error[0])
        json_add_str(o, "lastError", c->last_error);
    if (c->outcome[0])
        json_add_str(o, "outcome", c->outcome);
    if (body && body->text)
        add_report(o, c, body);
    return o;
}

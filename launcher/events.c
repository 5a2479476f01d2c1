#include "launcher/events.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/json.h"

#define RESERVE_MS   1500 /* for the answer to Lambda */
#define TOKEN_LIFE_S 600

char *events_seal(const struct events_tools *t, const char *callback_id,
                  char public_id[TOKEN_PUBLIC_ID], struct error *err)
{
    struct buf token = BUF_INIT(TOKEN_MAX);
    struct token_content content = {
        .scope = TOKEN_SCOPE_LAUNCHER,
        .expires_s = clock_wall_ms(t->clock) / 1000 + TOKEN_LIFE_S,
    };
    if (strlen(callback_id) > TOKEN_CALLBACK_ID) {
        error_set(err, ERR_PROTOCOL, 0, "a callback id of %zu bytes", strlen(callback_id));
        return NULL;
    }
    snprintf(content.callback_id, sizeof(content.callback_id), "%s", callback_id);
    token_public_id(callback_id, public_id);
    int rc = token_seal(t->keys, &content, &token, err);
    token_content_wipe(&content);
    char *text = buf_take(&token, NULL);
    if (rc == 0)
        return text;
    mem_free_secret(text);
    return NULL;
}

static bool is(const char *text, const char *word)
{
    return text && strcmp(text, word) == 0;
}

/* Which of the two kinds it is, or neither. */
static bool of_kind(struct json_object *event, const char *source, const char *type)
{
    return is(json_get_str(event, "source"), source) &&
           is(json_get_str(event, "detail-type"), type);
}

static bool is_execution(struct json_object *event)
{
    return of_kind(event, "aws.lambda", "Durable Execution Status Change");
}

static int handle_event(const struct events_tools *t, struct json_object *event, bool again,
                        struct error *err)
{
    if (of_kind(event, "aws.ecs", "ECS Task State Change"))
        return events_task(t, event, err);
    if (is_execution(event))
        return events_execution(t, event, again, err);
    log_debug(t->log, log_event("event_ignored"),
              log_str("type", json_get_str(event, "detail-type")));
    return 0;
}

/* One message of a queue: 0, or -1 where it must come again. */
static int handle_record(const struct events_tools *t, struct json_object *record)
{
    struct error err = { 0 };
    auto_json struct json_object *event = NULL;
    const char *body = json_get_str(record, "body");
    const char *count = json_get_str(json_get_obj(record, "attributes"), "ApproximateReceiveCount");
    if (!body || json_parse_str(body, &event, &err) < 0) {
        log_error(t->log, log_event("event_unreadable"), log_err(&err));
        return -1; /* it ends where the queue puts what nobody can handle */
    }
    bool first = !count || is(count, "1");
    if (handle_event(t, event, !first, &err) < 0) {
        log_warn(t->log, log_event("event_postponed"),
                 log_str("type", json_get_str(event, "detail-type")), log_err(&err));
        return -1;
    }
    return is_execution(event) && is(count, "1") ? -1 : 0; /* once more, a minute later */
}

static void handle_batch(const struct events_tools *t, struct json_object *records,
                         int64_t deadline_ms, struct buf *response)
{
    auto_json struct json_object *answer = json_object_new_object();
    struct json_object *again = json_object_new_array();
    json_add(answer, "batchItemFailures", again);
    for (size_t i = 0; i < json_object_array_length(records); i++) {
        struct json_object *record = json_object_array_get_idx(records, i);
        bool late = deadline_ms && clock_mono_ms(t->clock) >= deadline_ms;
        receiver_client_set_deadline(t->receiver,
                                     deadline_ms); /* each record may bring it nearer */
        if (!late && handle_record(t, record) == 0)
            continue;
        struct json_object *item = json_object_new_object();
        json_add_str(item, "itemIdentifier", json_get_str(record, "messageId"));
        json_push(again, item);
    }
    size_t len;
    const char *text = json_text(answer, &len);
    buf_add(response, text, len);
}

int events_handle(const struct lambda_invocation *inv, void *arg, struct buf *response,
                  struct error *err)
{
    const struct events_tools *t = arg;
    auto_json struct json_object *payload = NULL;
    int64_t deadline_ms = lambda_call_deadline(t->clock, inv->deadline_ms, RESERVE_MS);
    if (json_parse(inv->payload, inv->payload_len, JSON_DEPTH, &payload, err) < 0)
        return -1;
    if (!json_object_is_type(payload, json_type_object))
        return error_set(err, ERR_INVALID, 0, "neither an event nor a batch of a queue");
    aws_set_deadline(t->aws, deadline_ms);
    receiver_client_set_deadline(t->receiver, deadline_ms);
    struct json_object *records = json_get_arr(payload, "Records");
    if (records) {
        handle_batch(t, records, deadline_ms, response);
        return 0;
    }
    if (!json_get_str(payload, "detail-type"))
        return error_set(err, ERR_INVALID, 0, "neither an event nor a batch of a queue");
    if (handle_event(t, payload, false, err) < 0)
        return -1;
    buf_add_str(response, "{}");
    return 0;
}

#include <stdio.h>
#include <string.h>

#include "launcher/api.h"
#include "shared/base/json.h"

#define SHOWN_MAX     20   /* jobs whose progress is shown, the latest of them */
#define KNOWN_MS      2000 /* how long the callbacks of a running workflow are taken as known */
#define TOKEN_LIFE_S  300
#define CLOSE_OUTCOME "Workflow.Stopped"

/* {"callbacks":[ID...]}, of a batch with "jobs":{"begun","succeeded","failed"}. */
static struct json_object *past_doc(const struct past *past)
{
    struct json_object *doc = json_object_new_object();
    json_add(doc, "callbacks", json_object_get(past->callbacks));
    if (past->begun > 0) {
        struct json_object *jobs = json_object_new_object();
        json_add_int(jobs, "begun", past->begun);
        json_add_int(jobs, "succeeded", past->succeeded);
        json_add_int(jobs, "failed", past->failed);
        json_add(doc, "jobs", jobs);
    }
    return doc;
}

/* That, from the cache or from Lambda. */
static int known_past(struct api_call *c, bool closed, struct json_object **out, struct error *err)
{
    struct api_cache *cache = c->tools->cache;
    auto_free char *key = mem_printf("past %s", c->arn);
    int64_t now_ms = clock_mono_ms(c->tools->clock);
    const char *known = api_cache_get(cache, key, now_ms);
    auto_past struct past past = { .callbacks = NULL };
    if (known)
        return json_parse_str(known, out, err);
    if (past_read(c->tools->aws, c->arn, &past, err) < 0)
        return -1;
    *out = past_doc(&past);
    api_cache_put(cache, key, json_text(*out, NULL), closed ? 0 : now_ms + KNOWN_MS);
    return 0;
}

/* The public id of a callback and a short-lived token for it, the caller's. */
static char *seal(struct api_call *c, const char *callback_id, char public_id[TOKEN_PUBLIC_ID],
                  struct error *err)
{
    struct buf token = BUF_INIT(TOKEN_MAX);
    struct token_content content = {
        .scope = TOKEN_SCOPE_LAUNCHER,
        .expires_s = clock_wall_ms(c->tools->clock) / 1000 + TOKEN_LIFE_S,
    };
    snprintf(content.callback_id, sizeof(content.callback_id), "%s", callback_id);
    token_public_id(callback_id, public_id);
    int rc = token_seal(c->tools->keys, &content, &token, err);
    token_content_wipe(&content);
    char *text = buf_take(&token, NULL);
    if (rc == 0)
        return text;
    mem_free_secret(text);
    return NULL;
}

/* What of the receiver's answer is for clients: the held report is what the status will show. */
static struct json_object *progress_doc(struct json_object *state)
{
    static const char *const members[] = { "job",        "state",          "progress",
                                           "createdAt",  "firstContactAt", "lastContactAt",
                                           "reportedAt", "deliveredAt",    "attempts",
                                           "lastError" };
    struct json_object *doc = json_object_new_object();
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        struct json_object *value = json_get(state, members[i]);
        if (value)
            json_add(doc, members[i], json_object_get(value));
    }
    return doc;
}

int api_past_progress(struct api_call *c, bool closed, struct json_object **out,
                      struct json_object **jobs, struct error *err)
{
    auto_json struct json_object *known = NULL;
    auto_json struct json_object *list = json_object_new_array();
    if (known_past(c, closed, &known, err) < 0)
        return -1;
    struct json_object *callbacks = json_get_arr(known, "callbacks");
    size_t count = json_object_array_length(callbacks);
    for (size_t i = count > SHOWN_MAX ? count - SHOWN_MAX : 0; i < count; i++) {
        const char *id = json_object_get_string(json_object_array_get_idx(callbacks, i));
        char public_id[TOKEN_PUBLIC_ID];
        auto_secret char *token = seal(c, id, public_id, err);
        auto_json struct json_object *state = NULL;
        if (!token)
            return -1;
        if (receiver_status(c->tools->receiver, public_id, token, &state, err) == 0)
            json_push(list, progress_doc(state));
        else if (err->code != ERR_NOT_FOUND) /* not registered yet, or no longer kept */
            return -1;
    }
    *out = MOVE(list);
    *jobs = json_object_get(json_get_obj(known, "jobs"));
    return 0;
}

size_t api_past_close(struct api_call *c, const struct past *past)
{
    size_t open = 0;
    for (size_t i = 0; i < json_object_array_length(past->callbacks); i++) {
        const char *id = json_object_get_string(json_object_array_get_idx(past->callbacks, i));
        char public_id[TOKEN_PUBLIC_ID];
        struct error err = { 0 };
        auto_secret char *token = seal(c, id, public_id, &err);
        if (token && receiver_close(c->tools->receiver, public_id, token, CLOSE_OUTCOME, &err) == 0)
            continue;
        open += token && err.retryable;
        log_warn(c->tools->log, log_event("registration_not_closed"),
                 log_str("workflow", c->id_text), log_err(&err));
    }
    return open;
}

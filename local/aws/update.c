#include "local/aws/update.h"

#include <stdlib.h>
#include <string.h>

#include "local/aws/error_object.h"
#include "local/aws/names.h"
#include "shared/base/json.h"

#define MAX_UPDATES  10000
#define MAX_PAYLOAD  (8U << 20) /* the request's own limit is the smaller one */
#define YEAR_S       31622400
#define MAX_CALLBACK 99999999

/* A member of the wrong type can't be read at all, a value against its pattern is another error. */
static int unreadable(struct error *err)
{
    error_set_type(err, "SerializationException");
    return -1;
}

static int impossible(struct error *err, const char *at, const char *key, const char *rule)
{
    error_set(err, ERR_INVALID, 0, "1 validation error detected: Value at '%s/%s' %s", at, key,
              rule);
    error_set_type(err, "ValidationException");
    return -1;
}

static int read_words(struct update *u, struct json_object *o, const char *at, struct error *err)
{
    const char *type = NULL, *action = NULL;
    static const char *const actions[] = { "START", "SUCCEED", "FAIL", "RETRY", "CANCEL" };
    if (json_field_str(o, at, "Id", 4096, &u->id, err) < 0 ||
        json_field_str(o, at, "Type", 64, &type, err) < 0 ||
        json_field_str(o, at, "Action", 64, &action, err) < 0 ||
        json_field_str(o, at, "ParentId", 4096, &u->parent_id, err) < 0 ||
        json_field_str(o, at, "Name", 4096, &u->name, err) < 0 ||
        json_field_str(o, at, "SubType", 4096, &u->sub_type, err) < 0)
        return unreadable(err);
    if (!u->id || !name_is_word(u->id, 64))
        return impossible(err, at, "Id", "must have 1 to 64 of A-Z a-z 0-9 - _");
    if (!type || operation_type_parse(type, &u->type) < 0)
        return impossible(err, at, "Type", "must be one of the operation types");
    size_t i = 0;
    while (action && i < ARRAY_LEN(actions) && strcmp(actions[i], action) != 0)
        i++;
    if (!action || i == ARRAY_LEN(actions))
        return impossible(err, at, "Action", "must be START, SUCCEED, FAIL, RETRY or CANCEL");
    u->action = (enum update_action)i;
    if (u->parent_id && !name_is_word(u->parent_id, 64))
        return impossible(err, at, "ParentId", "must have 1 to 64 of A-Z a-z 0-9 - _");
    if (u->name && !name_is_printable(u->name, 256))
        return impossible(err, at, "Name", "must have 1 to 256 printable ASCII characters");
    if (u->sub_type && !name_is_word(u->sub_type, 32))
        return impossible(err, at, "SubType", "must have 1 to 32 of A-Z a-z 0-9 - _");
    return 0;
}

static int read_content(struct update *u, struct json_object *o, const char *at, struct error *err)
{
    struct json_object *payload = json_get(o, "Payload"), *error = json_get(o, "Error");
    if (payload && !json_object_is_type(payload, json_type_string)) {
        error_set(err, ERR_INVALID, 0, "%s/Payload: must be a string", at);
        return unreadable(err);
    }
    if (payload) {
        u->payload = json_object_get_string(payload);
        u->payload_len = (size_t)json_object_get_string_len(payload);
        if (u->payload_len > MAX_PAYLOAD)
            return impossible(err, at, "Payload", "is too long");
    }
    if (!error)
        return 0;
    auto_free char *place = mem_printf("%s/Error", at);
    u->error = error_object_text(error, place, err);
    if (!u->error)
        error_set_type(err, strncmp(err->msg, place, strlen(place)) == 0
                                ? "SerializationException"
                                : "InvalidParameterValueException");
    return u->error ? 0 : -1;
}

/* An integer of the options object `key`, from min to max; 0 where it is not there. */
static int read_option(struct json_object *options, const char *at, const char *key, int64_t min,
                       int64_t max, int64_t *out, struct error *err)
{
    struct json_object *v = json_get(options, key);
    if (!v)
        return 0;
    if (!json_object_is_type(v, json_type_int)) {
        error_set(err, ERR_INVALID, 0, "%s/%s: must be an integer", at, key);
        return unreadable(err);
    }
    *out = json_object_get_int64(v);
    if (*out < min || *out > max)
        return impossible(err, at, key, "is out of range");
    return 0;
}

static int read_options(struct update *u, struct json_object *o, const char *at, struct error *err)
{
    struct json_object *context = NULL, *step = NULL, *wait = NULL, *callback = NULL,
                       *chained = NULL;
    if (json_field_obj(o, at, "ContextOptions", &context, err) < 0 ||
        json_field_obj(o, at, "StepOptions", &step, err) < 0 ||
        json_field_obj(o, at, "WaitOptions", &wait, err) < 0 ||
        json_field_obj(o, at, "CallbackOptions", &callback, err) < 0 ||
        json_field_obj(o, at, "ChainedInvokeOptions", &chained, err) < 0 ||
        (context && json_field_bool(context, at, "ReplayChildren", &u->replay_children, err) < 0) ||
        (chained &&
         (json_field_str(chained, at, "FunctionName", 4096, &u->function_name, err) < 0 ||
          json_field_str(chained, at, "TenantId", 4096, &u->tenant, err) < 0)))
        return unreadable(err);
    if (u->function_name && (!*u->function_name || strlen(u->function_name) > 256))
        return impossible(err, at, "FunctionName", "must have 1 to 256 characters");
    if (u->tenant && !name_is_tenant(u->tenant))
        return impossible(err, at, "TenantId",
                          "must have 1 to 256 of A-Z a-z 0-9 . _ : / = + - @ blank");
    u->has_step_options = step != NULL;
    u->has_wait_options = wait != NULL;
    u->has_chained_options = chained != NULL;
    if (read_option(step, at, "NextAttemptDelaySeconds", 1, YEAR_S, &u->delay_s, err) < 0 ||
        read_option(wait, at, "WaitSeconds", 1, YEAR_S, &u->wait_s, err) < 0 ||
        read_option(callback, at, "TimeoutSeconds", 0, MAX_CALLBACK, &u->timeout_s, err) < 0 ||
        read_option(callback, at, "HeartbeatTimeoutSeconds", 0, MAX_CALLBACK, &u->heartbeat_s,
                    err) < 0)
        return -1;
    return 0;
}

int update_list_parse(struct json_object *updates, struct update_list *out, struct error *err)
{
    *out = (struct update_list){ 0 };
    size_t n = updates ? json_object_array_length(updates) : 0;
    if (n > MAX_UPDATES)
        return impossible(err, "", "Updates", "has too many items");
    out->items = mem_array(n, sizeof(*out->items));
    for (size_t i = 0; i < n; i++) {
        struct json_object *o = json_object_array_get_idx(updates, i);
        struct update *u = &out->items[out->count++];
        auto_free char *at = mem_printf("/Updates/%zu", i);
        if (!json_object_is_type(o, json_type_object)) {
            error_set(err, ERR_INVALID, 0, "%s: must be an object", at);
            return unreadable(err);
        }
        if (read_words(u, o, at, err) < 0 || read_content(u, o, at, err) < 0 ||
            read_options(u, o, at, err) < 0)
            return -1;
    }
    return 0;
}

size_t update_list_bytes(const struct update_list *l)
{
    size_t bytes = 0;
    for (size_t i = 0; i < l->count; i++)
        bytes += l->items[i].payload_len + (l->items[i].error ? strlen(l->items[i].error) : 0);
    return bytes;
}

void update_list_release(struct update_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->items[i].error);
    free(l->items);
    *l = (struct update_list){ 0 };
}

#include "local/aws/error_object.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"
#include "shared/base/utf8.h"

#define MAX_MESSAGE 4096

static const char *const strings[] = { "ErrorMessage", "ErrorType", "ErrorData" };

/* Adds the member where it is there; -1 where it has another type. */
static int copy_member(struct json_object *to, struct json_object *from, const char *key,
                       enum json_type type, const char *at, struct error *err)
{
    struct json_object *v = json_get(from, key);
    if (!v)
        return 0;
    if (!json_object_is_type(v, type))
        return error_set(err, ERR_INVALID, 0, "%s/%s: must be %s", at, key,
                         type == json_type_string ? "a string" : "an array of strings");
    json_add(to, key, json_object_get(v));
    return 0;
}

char *error_object_text(struct json_object *o, const char *at, struct error *err)
{
    if (!json_object_is_type(o, json_type_object)) {
        error_set(err, ERR_INVALID, 0, "%s: must be an object", at);
        return NULL;
    }
    auto_json struct json_object *known = json_object_new_object();
    for (size_t i = 0; i < ARRAY_LEN(strings); i++)
        if (copy_member(known, o, strings[i], json_type_string, at, err) < 0)
            return NULL;
    if (copy_member(known, o, "StackTrace", json_type_array, at, err) < 0)
        return NULL;
    struct json_object *trace = json_get_arr(known, "StackTrace");
    for (size_t i = 0; trace && i < json_object_array_length(trace); i++)
        if (!json_object_is_type(json_object_array_get_idx(trace, i), json_type_string)) {
            error_set(err, ERR_INVALID, 0, "%s/StackTrace/%zu: must be a string", at, i);
            return NULL;
        }
    size_t len;
    const char *text = json_text(known, &len);
    if (len >= ERROR_OBJECT_MAX) {
        error_set(err, ERR_INVALID, 0, "Error object size must be less than %d bytes.",
                  ERROR_OBJECT_MAX);
        return NULL;
    }
    return mem_dup_len(text, len);
}

char *error_object_make(const char *type, const char *message)
{
    auto_json struct json_object *o = json_object_new_object();
    json_add_str(o, "ErrorType", type);
    json_add_str(o, "ErrorMessage", message);
    return mem_dup(json_text(o, NULL));
}

char *error_object_lambda(const char *text)
{
    static const struct {
        const char *from, *to;
    } names[] = {
        { "ErrorMessage", "errorMessage" },
        { "ErrorType", "errorType" },
        { "StackTrace", "stackTrace" },
    };
    struct error err;
    auto_json struct json_object *o = NULL;
    auto_json struct json_object *out = json_object_new_object();
    if (!text || json_parse_str(text, &o, &err) < 0)
        return mem_dup("{}");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct json_object *v = json_get(o, names[i].from);
        if (v)
            json_add(out, names[i].to, json_object_get(v));
    }
    return mem_dup(json_text(out, NULL));
}

/* At most `max` bytes of a member, without half a character. */
static void copy_text(struct json_object *to, const char *to_key, struct json_object *from,
                      const char *key, size_t max)
{
    struct json_object *v = json_get(from, key);
    if (!json_object_is_type(v, json_type_string))
        return;
    const char *s = json_object_get_string(v);
    size_t len = utf8_cut(s, (size_t)json_object_get_string_len(v), max);
    json_add(to, to_key, json_new_str_len(s, len));
}

char *error_object_from_lambda(const char *text, size_t len, const char *type)
{
    struct error err;
    auto_json struct json_object *o = NULL;
    if (type && !utf8_valid(type, strlen(type)))
        type = NULL; /* a header may hold any byte */
    if (json_parse(text, len, JSON_DEPTH, &o, &err) < 0 ||
        !json_object_is_type(o, json_type_object))
        return error_object_make(type ? type : "Runtime.Unknown", NULL);
    auto_json struct json_object *out = json_object_new_object();
    json_add_str(out, "ErrorType", json_get_str(o, "errorType") ? NULL : type);
    copy_text(out, "ErrorType", o, "errorType", 256);
    copy_text(out, "ErrorMessage", o, "errorMessage", MAX_MESSAGE);
    struct json_object *trace = json_get_arr(o, "stackTrace");
    if (trace && json_object_array_length(trace) <= 64)
        json_add(out, "StackTrace", json_object_get(trace));
    return mem_dup(json_text(out, NULL));
}

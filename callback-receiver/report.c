#include "callback-receiver/report.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "shared/base/mem.h"
#include "shared/base/utf8.h"

enum media {
    MEDIA_NONE, /* no Content-Type */
    MEDIA_JSON,
    MEDIA_FORM, /* what curl -d says without being asked */
    MEDIA_TEXT,
    MEDIA_OTHER
};

/* The value of the charset parameter in `params` (from the first ';'), or NULL. */
static bool charset_is_utf8(const char *params)
{
    const char *p = strcasestr(params, "charset=");
    if (!p)
        return true;
    p += strlen("charset=");
    p += *p == '"';
    size_t len = strcspn(p, "\"; \t");
    return (len == 5 && strncasecmp(p, "utf-8", 5) == 0) ||
           (len == 8 && strncasecmp(p, "us-ascii", 8) == 0);
}

static enum media media_of(const char *type)
{
    if (!type)
        return MEDIA_NONE;
    while (*type == ' ' || *type == '\t')
        type++;
    size_t len = strcspn(type, "; \t");
    auto_free char *name = mem_dup_len(type, len);
    if (!charset_is_utf8(type + len))
        return MEDIA_OTHER;
    if (strcasecmp(name, "application/json") == 0 ||
        (len > 17 && strncasecmp(name, "application/", 12) == 0 &&
         strcasecmp(name + len - 5, "+json") == 0))
        return MEDIA_JSON;
    if (strcasecmp(name, "application/x-www-form-urlencoded") == 0)
        return MEDIA_FORM;
    return strcasecmp(name, "text/plain") == 0 ? MEDIA_TEXT : MEDIA_OTHER;
}

static int unsupported(struct error *err, const char *text)
{
    error_set(err, ERR_INVALID, 0, "%s", text);
    error_set_type(err, REPORT_MEDIA);
    return -1;
}

static bool is_json(enum media m)
{
    return m == MEDIA_JSON || m == MEDIA_FORM || m == MEDIA_NONE;
}

/* Lambda keeps results and errors as text: a NUL, escaped or not, has no place there. */
static bool has_nul(const char *json, size_t len)
{
    if (memchr(json, '\0', len))
        return true;
    for (size_t i = 0; i + 5 < len; i++) {
        if (json[i] != '\\')
            continue;
        if (memcmp(json + i + 1, "u0000", 5) == 0)
            return true;
        i++; /* whatever is escaped */
    }
    return false;
}

static int parse(const struct report_body *body, struct json_object **out, struct error *err)
{
    if (body->len == 0)
        return error_set(err, ERR_INVALID, 0, "the body is empty where JSON is expected");
    if (!utf8_valid(body->text, body->len))
        return error_set(err, ERR_INVALID, 0, "the body is not UTF-8");
    if (has_nul(body->text, body->len))
        return error_set(err, ERR_INVALID, 0, "the body contains a NUL character");
    return json_parse(body->text, body->len, JSON_DEPTH, out, err);
}

static int parse_object(const struct report_body *body, const char *const *known,
                        struct json_object **out, struct error *err)
{
    if (parse(body, out, err) < 0)
        return -1;
    if (!json_object_is_type(*out, json_type_object))
        return error_set(err, ERR_INVALID, 0, "the body must be a JSON object");
    return json_field_known(*out, "", known, err);
}

static int too_large(struct error *err, const char *what, size_t max)
{
    return error_set(err, ERR_TOO_LARGE, 0, "%s may have at most %zu bytes", what, max);
}

static int text_result(const struct report_body *body, struct buf *out, struct error *err)
{
    if (!utf8_valid(body->text, body->len))
        return error_set(err, ERR_INVALID, 0, "the body is not UTF-8");
    if (memchr(body->text, '\0', body->len))
        return error_set(err, ERR_INVALID, 0, "the body contains a NUL character");
    buf_add_json(out, body->text, body->len);
    return 0;
}

int report_success(const struct report_body *body, struct callback_report *r, char **out,
                   size_t *out_len, struct error *err)
{
    enum media media = media_of(body->type);
    auto_buf struct buf text = BUF_INIT(REPORT_RESULT_MAX);
    auto_json struct json_object *o = NULL;
    if (body->len > REPORT_RESULT_MAX)
        return too_large(err, "a result", REPORT_RESULT_MAX);
    if (media == MEDIA_TEXT) {
        if (text_result(body, &text, err) < 0)
            return -1;
    } else if (is_json(media)) {
        if (parse(body, &o, err) < 0)
            return -1;
        buf_add(&text, body->text, body->len);
    } else {
        return unsupported(err, "a result must be application/json or text/plain, in UTF-8");
    }
    if (buf_overflowed(&text))
        return too_large(err, "a result as JSON", REPORT_RESULT_MAX);
    r->kind = CALLBACK_SUCCESS;
    r->media = media == MEDIA_TEXT ? CALLBACK_TEXT : CALLBACK_JSON;
    digest_sha256(body->text, body->len, r->sha);
    *out = buf_take(&text, out_len);
    return 0;
}

/* Copies member `from` of `o` into `to` of the ErrorObject. */
static int copy_text(struct json_object *o, const char *from, struct json_object *out,
                     const char *to, struct error *err)
{
    const char *s = NULL;
    if (json_field_str(o, "", from, REPORT_BODY_MAX, &s, err) < 0)
        return -1;
    json_add_str(out, to, s);
    return 0;
}

static int copy_trace(struct json_object *o, struct json_object *out, struct error *err)
{
    struct json_object *lines = NULL;
    int found = json_field_arr(o, "", "stackTrace", REPORT_ERROR_MAX, &lines, err);
    if (found <= 0)
        return found;
    struct json_object *copy = json_object_new_array();
    json_add(out, "StackTrace", copy);
    for (size_t i = 0; i < json_object_array_length(lines); i++) {
        struct json_object *line = json_object_array_get_idx(lines, i);
        if (!json_object_is_type(line, json_type_string))
            return error_set(err, ERR_INVALID, 0, "/stackTrace/%zu: must be a string", i);
        json_push(copy, json_object_get(line));
    }
    return 0;
}

int report_failure(const struct report_body *body, struct callback_report *r, char **out,
                   size_t *out_len, struct error *err)
{
    static const char *const known[] = { "errorType", "errorMessage", "errorData", "stackTrace",
                                         NULL };
    auto_json struct json_object *o = NULL;
    auto_json struct json_object *object = json_object_new_object();
    if (!is_json(media_of(body->type)))
        return unsupported(err, "a failure must be application/json, in UTF-8");
    if (parse_object(body, known, &o, err) < 0 ||
        copy_text(o, "errorType", object, "ErrorType", err) < 0 ||
        copy_text(o, "errorMessage", object, "ErrorMessage", err) < 0 ||
        copy_text(o, "errorData", object, "ErrorData", err) < 0 || copy_trace(o, object, err) < 0)
        return -1;
    size_t len;
    const char *text = json_text(object, &len);
    if (len > REPORT_ERROR_MAX)
        return too_large(err, "a failure as Lambda's ErrorObject", REPORT_ERROR_MAX);
    r->kind = CALLBACK_FAILURE;
    r->media = CALLBACK_JSON;
    digest_sha256(body->text, body->len, r->sha);
    *out = mem_dup_len(text, len);
    *out_len = len;
    return 0;
}

int report_heartbeat(const struct report_body *body, int64_t now_ms, char **out, size_t *out_len,
                     struct error *err)
{
    static const char *const known[] = { "progress", "message", "detail", NULL };
    auto_json struct json_object *o = NULL;
    const char *message = NULL;
    double progress;
    char at[CLOCK_TEXT];
    *out = NULL;
    *out_len = 0;
    if (body->len == 0)
        return 0;
    if (body->len > REPORT_PROGRESS_MAX)
        return too_large(err, "a heartbeat", REPORT_PROGRESS_MAX);
    if (!is_json(media_of(body->type)))
        return unsupported(err, "a heartbeat must be application/json, in UTF-8");
    if (parse_object(body, known, &o, err) < 0 ||
        json_field_double(o, "", "progress", 0, 1, &progress, err) < 0 ||
        json_field_str(o, "", "message", REPORT_MESSAGE_MAX, &message, err) < 0)
        return -1;
    if (json_object_object_length(o) == 0)
        return 0;
    clock_format(now_ms, at);
    json_add_str(o, "at", at);
    *out = mem_dup(json_text(o, out_len));
    return 0;
}

static int read_names(struct json_object *o, struct report_registration *out, struct error *err)
{
    const char *workflow = "", *job = "";
    if (json_field_str(o, "", "workflow", CALLBACK_NAME, &workflow, err) < 0 ||
        json_field_str(o, "", "job", CALLBACK_NAME, &job, err) < 0)
        return -1;
    memcpy(out->workflow, workflow, strlen(workflow) + 1);
    memcpy(out->job, job, strlen(job) + 1);
    out->r.workflow = out->workflow;
    out->r.job = out->job;
    return 0;
}

int report_registration(const struct report_body *body, struct report_registration *out,
                        struct error *err)
{
    static const char *const known[] = { "input",
                                         "heartbeatSeconds",
                                         "startTimeoutSeconds",
                                         "engineHeartbeatSeconds",
                                         "workflow",
                                         "job",
                                         NULL };
    auto_json struct json_object *o = NULL;
    memset(out, 0, sizeof(*out));
    out->r.heartbeat_s = CALLBACK_HEARTBEAT_S;
    if (media_of(body->type) != MEDIA_JSON)
        return unsupported(err, "a registration must be application/json, in UTF-8");
    if (parse_object(body, known, &o, err) < 0 || read_names(o, out, err) < 0 ||
        json_field_int(o, "", "heartbeatSeconds", 1, 31 * 86400, &out->r.heartbeat_s, err) < 0 ||
        json_field_int(o, "", "startTimeoutSeconds", 0, 366 * 86400, &out->r.start_timeout_s, err) <
            0 ||
        json_field_int(o, "", "engineHeartbeatSeconds", REPORT_BEAT_MIN_S, 31 * 86400,
                       &out->r.engine_heartbeat_s, err) < 0)
        return -1;
    size_t len;
    const char *input = json_text(json_get(o, "input"), &len);
    if (len > REPORT_INPUT_MAX)
        return too_large(err, "/input", REPORT_INPUT_MAX);
    out->input = mem_dup_len(input, len);
    out->input_len = len;
    auto_buf struct buf canonical = BUF_INIT(8 * REPORT_BODY_MAX); /* escapes may grow */
    json_canonical(&canonical, o);
    digest_sha256(buf_str(&canonical), canonical.len, out->r.sha);
    return 0;
}

int report_outcome(const struct report_body *body, char out[CALLBACK_OUTCOME + 1],
                   struct error *err)
{
    static const char *const known[] = { "outcome", NULL };
    auto_json struct json_object *o = NULL;
    const char *outcome = "";
    out[0] = '\0';
    if (body->len == 0)
        return 0;
    if (!is_json(media_of(body->type)))
        return unsupported(err, "the outcome must be application/json, in UTF-8");
    if (parse_object(body, known, &o, err) < 0 ||
        json_field_str(o, "", "outcome", CALLBACK_OUTCOME, &outcome, err) < 0)
        return -1;
    memcpy(out, outcome, strlen(outcome) + 1);
    return 0;
}

/* `len` lower-case hexadecimal digits; *zero tells whether all are 0. */
static bool hex(const char *s, size_t len, bool *zero)
{
    *zero = strspn(s, "0") >= len;
    return strspn(s, "0123456789abcdef") >= len;
}

bool report_traceparent(const char *s)
{
    bool zero_trace, zero_parent, ignored;
    return strlen(s) == CALLBACK_TRACEPARENT && strncmp(s, "00-", 3) == 0 &&
           hex(s + 3, 32, &zero_trace) && !zero_trace && s[35] == '-' &&
           hex(s + 36, 16, &zero_parent) && !zero_parent && s[52] == '-' &&
           hex(s + 53, 2, &ignored);
}

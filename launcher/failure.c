#include "launcher/failure.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"
#include "shared/base/utf8.h"

static bool is(const char *type, const char *what)
{
    return type && strcmp(type, what) == 0;
}

void failure_from_callback(const struct durable_error *callback, struct durable_error *own)
{
    durable_error_copy(own, callback);
    if (is(callback->type, "CallbackTimeoutError")) {
        if (is(callback->cause_type, "Callback.Heartbeat"))
            durable_error_set(own, "Task.HeartbeatLost", "no heartbeat in time");
        else
            durable_error_set(own, "Task.Timeout", "no report within timeoutSeconds");
    } else if (is(callback->type, "CallbackExternalError")) {
        const char *type = callback->cause_type;
        free(own->type);
        own->type = mem_dup(type && type[0] ? type : "Task.Failed");
    }
}

static void add_stack(struct durable_error *own, struct json_object *lines)
{
    size_t count = lines ? json_object_array_length(lines) : 0;
    if (count == 0)
        return;
    own->stack = mem_array(count, sizeof(*own->stack));
    for (size_t i = 0; i < count; i++) {
        struct json_object *line = json_object_array_get_idx(lines, i);
        if (json_object_is_type(line, json_type_string))
            own->stack[own->stack_count++] = mem_dup(json_object_get_string(line));
    }
}

void failure_from_report(const char *body, struct durable_error *own)
{
    struct error not_json;
    auto_json struct json_object *o = NULL;
    if (json_parse_str(body, &o, &not_json) < 0)
        o = NULL;
    const char *type = json_get_str(o, "ErrorType");
    const char *message = json_get_str(o, "ErrorMessage");
    const char *data = json_get_str(o, "ErrorData");
    durable_error_set(own, type && type[0] ? type : "Task.Failed", "%s",
                      message ? message : "the job reported a failure");
    if (data)
        durable_error_set_data(own, data);
    add_stack(own, json_get_arr(o, "StackTrace"));
}

static bool is_one_of(const char *type, const char *const *types)
{
    for (; *types; types++)
        if (strcmp(type, *types) == 0)
            return true;
    return false;
}

bool failure_is_silence(const char *type)
{
    static const char *const types[] = { "Task.HeartbeatLost", "Task.StartTimeout", "Task.Timeout",
                                         "Task.NoReport", NULL };
    return is_one_of(type, types);
}

bool failure_is_signal(const char *type)
{
    static const char *const types[] = { "Task.Stopped", "Task.Signal", NULL };
    return is_one_of(type, types);
}

/* Whether ECS knows better than the failure that was reported. */
static bool overrides(const char *true_type, const char *own_type)
{
    static const char *const senders[] = { "Task.SpotInterruption", "Task.StoppedByUser",
                                           "Task.Infrastructure", "Task.OutOfMemory", NULL };
    if (!true_type)
        return false;
    return failure_is_silence(own_type) ||
           (failure_is_signal(own_type) && is_one_of(true_type, senders));
}

struct json_object *failure_record(const struct reason *r)
{
    struct json_object *o = json_object_new_object();
    json_add_str(o, "lastStatus", r->status[0] ? r->status : NULL);
    json_add_str(o, "stopCode", r->stop_code[0] ? r->stop_code : NULL);
    if (r->exit_code >= 0)
        json_add_int(o, "exitCode", r->exit_code);
    if (r->signal)
        json_add_int(o, "signal", r->signal);
    json_add_str(o, "reason", r->text[0] ? r->text : NULL);
    json_add_str(o, "type", r->type);
    json_add_str(o, "message", r->type ? r->message : NULL);
    return o;
}

/* What `s` takes inside a JSON string. */
static size_t cost(const char *s, size_t len)
{
    auto_buf struct buf b = BUF_INIT(SIZE_MAX / 4);
    buf_add_json(&b, s, len);
    return b.len;
}

/* The job's own data as a member: the value where it is JSON (which costs no second escaping),
 * else the text, cut so that the whole of `data` takes at most `room`. */
static void add_job_data(struct json_object *data, const char *own, size_t room)
{
    struct error not_json;
    auto_json struct json_object *value = NULL;
    size_t len;
    if (json_parse_str(own, &value, &not_json) == 0) {
        json_add(data, "errorData", json_object_get(value));
        const char *text = json_text(data, &len);
        if (cost(text, len) <= room)
            return;
    }
    size_t keep = strlen(own);
    for (bool cut = false;; cut = true) {
        json_add(data, "errorData", json_new_str_len(own, keep));
        if (cut)
            json_add_bool(data, "errorDataTruncated", true);
        const char *text = json_text(data, &len);
        if (keep == 0 || cost(text, len) <= room)
            return;
        keep = utf8_cut(own, strlen(own), keep / 2);
    }
}

void failure_compose(const struct durable_error *own, struct json_object *record,
                     const struct failure_place *place, struct durable_error *err)
{
    static const char *const texts[] = { "lastStatus", "stopCode", "exitCode", "signal", "reason" };
    const char *true_type = json_get_str(record, "type");
    const char *true_message = json_get_str(record, "message");
    bool override = overrides(true_type, own->type);
    auto_json struct json_object *data = json_object_new_object();
    json_add_str(data, "taskArn", place->task_arn);
    json_add_str(data, "logGroup", place->log_group);
    json_add_str(data, "logStream", place->log_stream);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct json_object *v = json_get(record, texts[i]);
        if (v)
            json_add(data, texts[i], json_object_get(v));
    }
    if (override && strcmp(true_type, own->type) != 0)
        json_add_str(data, "noticedBy", own->type);
    durable_error_copy(err, own);
    if (override)
        durable_error_set(err, true_type, "%s", true_message ? true_message : own->message);
    const char *message = err->message ? err->message : "";
    size_t used = cost(message, strlen(message)) + strlen(err->type) + 100;
    if (own->data)
        add_job_data(data, own->data, used < FAILURE_MAX ? FAILURE_MAX - used : 0);
    durable_error_set_data(err, json_text(data, NULL));
    free(err->cause_type);
    err->cause_type = NULL;
}

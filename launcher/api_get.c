#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/api.h"
#include "shared/aws/lambda_client.h"
#include "shared/base/encode.h"
#include "shared/base/json.h"

#define WAIT_MAX_S    20
#define FIRST_WAIT_MS API_FRESH_MS
#define WAIT_CAP_MS   2000
#define PAGE_EVENTS   200
#define PAGE_BYTES    (4U << 20) /* Lambda's answers may have 6 MiB, escaped once more */

/* ---- status ---------------------------------------------------------------------------------- */

/* `text` as the JSON value that it is, or as a string where it is none. */
static struct json_object *value_of(const char *text)
{
    struct error not_json;
    struct json_object *value = NULL;
    return json_parse_str(text, &value, &not_json) == 0 ? value : json_new_str(text);
}

static void add_time(struct json_object *doc, const char *name, struct json_object *execution,
                     const char *member)
{
    char text[CLOCK_TEXT];
    double seconds = json_get_double(execution, member, -1);
    if (seconds < 0 || seconds > 253402300799.0)
        return;
    clock_format((int64_t)llround(seconds * 1000), text);
    json_add_str(doc, name, text);
}

static struct json_object *error_doc(struct json_object *error)
{
    struct json_object *doc = json_object_new_object();
    const char *data = json_get_str(error, "ErrorData");
    struct json_object *stack = json_get_arr(error, "StackTrace");
    json_add_str(doc, "type", json_get_str(error, "ErrorType"));
    json_add_str(doc, "message", json_get_str(error, "ErrorMessage"));
    if (data)
        json_add(doc, "data", value_of(data));
    if (stack && json_object_array_length(stack) > 0)
        json_add(doc, "stackTrace", json_object_get(stack));
    return doc;
}

struct json_object *api_status_doc(const char *id, struct json_object *execution)
{
    struct json_object *doc = json_object_new_object();
    const char *status = json_get_str(execution, "Status");
    const char *result = json_get_str(execution, "Result");
    struct json_object *error = json_get_obj(execution, "Error");
    json_add_str(doc, "id", id);
    json_add_str(doc, "status", status ? status : "UNKNOWN");
    add_time(doc, "startedAt", execution, "StartTimestamp");
    add_time(doc, "endedAt", execution, "EndTimestamp");
    if (result && *result)
        json_add(doc, "result", value_of(result));
    if (error)
        json_add(doc, "error", error_doc(error));
    else if (status && strcmp(status, "TIMED_OUT") == 0) {
        error = json_object_new_object();
        json_add_str(error, "type", "Workflow.Timeout");
        json_add_str(error, "message", "the execution timeout has passed");
        json_add(doc, "error", error);
    }
    return doc;
}

char *api_status(struct api_call *c, bool fresh, bool *closed, struct error *err)
{
    struct api_cache *cache = c->tools->cache;
    int64_t now_ms = clock_mono_ms(c->tools->clock);
    auto_free char *open_key = mem_printf("open %s", c->arn);
    const char *known = api_cache_get(cache, c->arn, now_ms);
    *closed = known != NULL;
    if (!known && !fresh)
        known = api_cache_get(cache, open_key, now_ms);
    if (known)
        return mem_dup(known);
    auto_json struct json_object *execution = NULL;
    if (lambda_get_execution(c->tools->aws, c->arn, &execution, err) < 0)
        return NULL;
    auto_json struct json_object *doc = api_status_doc(c->id_text, execution);
    const char *status = json_get_str(doc, "status");
    const char *text = json_text(doc, NULL);
    *closed = status && strcmp(status, "RUNNING") != 0 && strcmp(status, "UNKNOWN") != 0;
    if (*closed)
        api_cache_put(cache, c->arn, text, 0);
    else
        api_cache_put(cache, open_key, text, clock_mono_ms(c->tools->clock) + API_FRESH_MS);
    return mem_dup(text);
}

/* Reads "tasks,progress". Answers and returns -1 for anything else. */
static int read_include(struct api_call *c, const char *value, struct api_include *include)
{
    for (const char *p = value; *p || p == value;) {
        size_t len = strcspn(p, ",");
        if (len == 5 && strncmp(p, "tasks", len) == 0) {
            include->tasks = true;
        } else if (len == 8 && strncmp(p, "progress", len) == 0) {
            include->progress = true;
        } else {
            api_reply_problem(c->reply, 400, NULL,
                              "include must be tasks, progress or both with a comma between");
            return -1;
        }
        p += len + (p[len] == ',' && p[len + 1]);
    }
    if (!include->progress || c->tools->receiver)
        return 0;
    api_reply_problem(c->reply, 400, NULL,
                      "progress cannot be included: no receiver is configured");
    return -1;
}

/* Reads ?wait=N&include=LIST. Answers and returns -1 for anything else. */
static int read_query(struct api_call *c, int64_t *wait_s, struct api_include *include)
{
    const char *query = c->req->query;
    char *name;
    char *value;
    int got;
    *wait_s = 0;
    while ((got = api_query_next(&query, &name, &value)) > 0) {
        auto_free char *n = name;
        auto_free char *v = value;
        if (strcmp(n, "include") == 0) {
            if (read_include(c, v, include) < 0)
                return -1;
        } else if (strcmp(n, "wait") != 0) {
            api_reply_problem(c->reply, 400, NULL, "unknown query parameter %.64s", n);
            return -1;
        } else if (opts_int(v, 0, WAIT_MAX_S, wait_s) < 0) {
            api_reply_problem(c->reply, 400, NULL, "wait must be a whole number from 0 to %d",
                              WAIT_MAX_S);
            return -1;
        }
    }
    if (got < 0)
        api_reply_problem(c->reply, 400, NULL, "the query is not percent-encoded as it should be");
    return got;
}

/* The status's document once the workflow has ended or `wait_s` are over; NULL once answered. */
static char *await_end(struct api_call *c, int64_t wait_s, bool *closed)
{
    const struct clock *clock = c->tools->clock;
    struct error err = { 0 };
    auto_free char *text = NULL;
    int64_t until_ms = clock_wall_ms(clock) + wait_s * 1000;
    if (until_ms > c->deadline_ms)
        until_ms = c->deadline_ms;
    for (int64_t pause_ms = FIRST_WAIT_MS;; pause_ms = pause_ms * 3 / 2) {
        char *now = api_status(c, false, closed, &err);
        if (now) {
            free(text);
            text = now;
        } else if (!text || !err.retryable) { /* what was read before is still worth an answer */
            api_upstream_problem(c, &err);
            return NULL;
        }
        int64_t left_ms = until_ms - clock_wall_ms(clock);
        if (*closed || left_ms <= 0)
            return MOVE(text);
        if (pause_ms > WAIT_CAP_MS)
            pause_ms = WAIT_CAP_MS;
        clock_sleep_ms(clock, pause_ms < left_ms ? pause_ms : left_ms);
    }
}

void api_get(struct api_call *c)
{
    int64_t wait_s;
    bool closed = false;
    struct error not_json;
    struct api_include include = { .tasks = false };
    if (read_query(c, &wait_s, &include) < 0)
        return;
    auto_free char *text = await_end(c, wait_s, &closed);
    if (!text)
        return;
    auto_json struct json_object *doc = NULL;
    if ((include.tasks || include.progress) && json_parse_str(text, &doc, &not_json) == 0) {
        api_include_add(c, &include, closed, doc);
        api_reply_json(c->reply, 200, doc);
    } else {
        api_reply_text(c->reply, 200, text);
    }
}

/* ---- history --------------------------------------------------------------------------------- */

void api_strip_secrets(struct json_object *o)
{
    if (json_object_is_type(o, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(o); i++)
            api_strip_secrets(json_object_array_get_idx(o, i));
    } else if (json_object_is_type(o, json_type_object)) {
        json_object_object_del(o, "CallbackId");
        json_object_object_foreach(o, key, value)
        {
            (void)key;
            api_strip_secrets(value);
        }
    }
}

/* Reads ?marker=M, new memory in *marker or NULL; answers and returns -1 for anything else. */
static int read_marker(struct api_call *c, char **marker)
{
    const char *query = c->req->query;
    char *name;
    char *value;
    int got;
    *marker = NULL;
    while ((got = api_query_next(&query, &name, &value)) > 0) {
        auto_free char *n = name;
        auto_free char *v = value;
        if (strcmp(n, "marker") != 0) {
            api_reply_problem(c->reply, 400, NULL, "unknown query parameter %.64s", n);
            return -1;
        }
        free(*marker);
        *marker = MOVE(v);
    }
    if (got < 0)
        api_reply_problem(c->reply, 400, NULL, "the query is not percent-encoded as it should be");
    return got;
}

static void answer_history(struct api_call *c, struct json_object *page)
{
    struct json_object *events = json_get_arr(page, "Events");
    const char *marker = json_get_str(page, "NextMarker");
    auto_json struct json_object *doc = json_object_new_object();
    api_strip_secrets(events);
    json_add_str(doc, "id", c->id_text);
    json_add(doc, "events", events ? json_object_get(events) : json_object_new_array());
    if (marker && *marker) {
        auto_buf struct buf suffix = BUF_INIT(16384);
        buf_add_str(&suffix, "/history?marker=");
        encode_percent(&suffix, marker, strlen(marker));
        auto_free char *url = api_url(c, buf_str(&suffix));
        json_add_str(doc, "nextUrl", url);
    }
    api_reply_json(c->reply, 200, doc);
}

void api_history(struct api_call *c)
{
    struct error err = { 0 };
    auto_free char *marker = NULL;
    if (read_marker(c, &marker) < 0)
        return;
    /* With the data where the page fits an answer, else without. */
    for (int with_data = 1; with_data >= 0; with_data--) {
        auto_json struct json_object *page = NULL;
        size_t len = 0;
        if (lambda_get_history(c->tools->aws, c->arn, with_data, marker, PAGE_EVENTS, &page, &err) <
            0) {
            if (marker && err.code == ERR_INVALID)
                api_reply_problem(c->reply, 400, NULL, "marker must be one of a nextUrl");
            else
                api_upstream_problem(c, &err);
            return;
        }
        json_text(page, &len);
        if (len > PAGE_BYTES && with_data)
            continue;
        answer_history(c, page);
        return;
    }
}

#include "local/aws/lambda_people.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "local/aws/callback.h"
#include "local/aws/error_object.h"
#include "local/aws/history.h"
#include "local/aws/lambda_state.h"
#include "local/aws/lane.h"
#include "shared/base/json.h"

#define EVENTS_MAX 1000

static void add_str(struct buf *b, const char *key, const char *value)
{
    if (!value)
        return;
    buf_printf(b, ",\"%s\":", key);
    buf_add_json_str(b, value);
}

static void add_int(struct buf *b, const char *key, int64_t value)
{
    if (value)
        buf_printf(b, ",\"%s\":%" PRId64, key, value);
}

/* ---- lists -------------------------------------------------------------------------------------
 */

void people_counts(struct lambda *l, struct buf *out)
{
    const int64_t *counts = execution_store_counts(l->store);
    for (int i = 0; i < EXECUTION_STATUSES; i++)
        buf_printf(out, "%s\"%s\":%" PRId64, i ? "," : "{",
                   execution_status_name((enum execution_status)i), counts[i]);
    buf_add_char(out, '}');
}

static void write_summary(struct buf *b, const struct execution *e)
{
    buf_printf(b, "\"row\":%" PRId64, e->row);
    add_str(b, "arn", e->arn);
    add_str(b, "id", e->id);
    add_str(b, "name", e->name);
    add_str(b, "function", e->function_name);
    add_str(b, "version", e->version);
    add_str(b, "status", execution_status_name(e->status));
    add_int(b, "start", e->start_ms);
    add_int(b, "end", e->end_ms);
}

struct list {
    struct buf *out;
    int64_t count, limit;
};

static void list_one(struct execution *e, void *arg)
{
    struct list *list = arg;
    buf_add_str(list->out, list->count++ ? ",{" : "{");
    write_summary(list->out, e);
    buf_add_char(list->out, '}');
    execution_free(e);
}

int people_executions(struct lambda *l, const struct people_filter *f, struct buf *out,
                      struct error *err)
{
    enum execution_status status;
    struct list list = { .out = out };
    if (f->status && execution_status_parse(f->status, &status) < 0)
        return error_set(err, ERR_INVALID, 0, "there is no status %s", f->status);
    const struct execution_filter filter = { .function = f->function,
                                             .name = f->name,
                                             .statuses = f->status ? 1U << status : 0,
                                             .from = f->before,
                                             .limit = f->limit };
    buf_add_char(out, '[');
    execution_store_recent(l->store, &filter, list_one, &list);
    buf_add_char(out, ']');
    return 0;
}

static const char *name_of(const struct operation *op)
{
    return op->name || !op->parent ? op->name : op->parent->name;
}

static void list_callbacks(void *value, void *arg)
{
    const struct execution *e = value;
    struct list *list = arg;
    for (size_t i = 0; e->status == EX_RUNNING && e->pending > 0 && i < e->op_count; i++) {
        const struct operation *op = e->ops[i];
        if (op->type != OP_CALLBACK || operation_is_closed(op) || list->count == list->limit)
            continue;
        buf_add_str(list->out, list->count++ ? ",{\"arn\":" : "{\"arn\":");
        buf_add_json_str(list->out, e->arn);
        add_str(list->out, "execution", e->name);
        add_str(list->out, "function", e->function_name);
        add_str(list->out, "operation", op->id);
        add_str(list->out, "name", name_of(op));
        add_int(list->out, "since", op->start_ms);
        add_int(list->out, "timeoutAt", op->timeout_at_ms);
        add_int(list->out, "heartbeatAt", op->heartbeat_at_ms);
        buf_add_char(list->out, '}');
    }
}

void people_callbacks(struct lambda *l, int64_t limit, struct buf *out)
{
    struct list list = { .out = out, .limit = limit };
    buf_add_char(out, '[');
    map_each(&l->running, list_callbacks, &list);
    buf_add_char(out, ']');
}

/* ---- one execution -----------------------------------------------------------------------------
 */

/* In memory, or its record, which *loaded then owns; NULL with ERR_NOT_FOUND. */
static struct execution *find(struct lambda *l, const char *arn, struct execution **loaded,
                              struct error *err)
{
    struct execution_arn parsed;
    *loaded = NULL;
    if (execution_arn_parse(arn, &parsed, err) == 0) {
        struct execution *e = map_get(&l->running, parsed.id);
        if (!e)
            e = *loaded = execution_store_find(l->store, parsed.id);
        if (e && strcmp(e->arn, arn) == 0)
            return e;
        execution_free(MOVE(*loaded));
    }
    error_set(err, ERR_NOT_FOUND, 0, "There is no such execution.");
    return NULL;
}

struct events {
    struct buf *out;
    size_t begin;
    int64_t count, last;
    bool more;
};

static bool write_event(void *arg, int64_t event_id, const char *body, size_t len)
{
    struct events *ev = arg;
    if (ev->count == EVENTS_MAX || ev->out->len - ev->begin > PAGE_BYTES) {
        ev->more = true;
        return false;
    }
    if (ev->count++)
        buf_add_char(ev->out, ',');
    history_without_secrets(ev->out, body, len);
    ev->last = event_id;
    return true;
}

static void write_events(struct lambda *l, int64_t row, int64_t after, struct buf *out)
{
    struct events ev = { .out = out, .begin = out->len };
    buf_add_str(out, ",\"events\":[");
    execution_store_events(l->store, row, after, false, EVENTS_MAX + 1, write_event, &ev);
    buf_add_char(out, ']');
    if (ev.more)
        buf_printf(out, ",\"nextEvent\":%" PRId64, ev.last);
}

static void write_parent(struct lambda *l, const struct execution *e, struct buf *out)
{
    if (!e->parent[0])
        return;
    const struct execution *parent = map_get(&l->running, e->parent);
    struct execution *loaded = parent ? NULL : execution_store_find(l->store, e->parent);
    if (loaded)
        parent = loaded;
    add_str(out, "parent", parent ? parent->arn : NULL);
    execution_free(loaded);
}

static void add_text(struct buf *out, const char *key, const char *text, size_t len)
{
    if (!text)
        return;
    buf_printf(out, ",\"%s\":", key);
    buf_add_json(out, text, len);
}

int people_execution(struct lambda *l, const char *arn, int64_t after, struct buf *out,
                     struct error *err)
{
    static const char *const lanes[] = { "idle", "queued", "running", "retrying" };
    struct execution *loaded;
    const struct execution *e = find(l, arn, &loaded, err);
    if (!e)
        return -1;
    buf_add_char(out, '{');
    write_summary(out, e);
    add_int(out, "timeoutAt", e->timeout_at_ms);
    add_text(out, "input", e->input, e->input_len);
    add_text(out, "result", e->result, e->result_len);
    if (e->error)
        buf_printf(out, ",\"error\":%s", e->error);
    add_str(out, "tenant", e->tenant);
    write_parent(l, e, out);
    if (!loaded && e->status == EX_RUNNING) {
        add_str(out, "lane", lanes[e->lane]);
        add_int(out, "failures", e->failures);
        add_int(out, "invokedAt", e->lane == LANE_RUNNING ? e->invoked_ms : 0);
        add_int(out, "retryAt", e->lane == LANE_BACKOFF ? e->retry_at_ms : 0);
    }
    write_events(l, e->row, after, out);
    buf_add_char(out, '}');
    execution_free(loaded);
    return 0;
}

/* ---- buttons -----------------------------------------------------------------------------------
 */

/* The same where it still runs. */
static struct execution *find_running(struct lambda *l, const char *arn, struct error *err)
{
    struct execution *loaded, *e = find(l, arn, &loaded, err);
    if (e && !loaded && e->status == EX_RUNNING)
        return e;
    execution_free(loaded);
    if (e)
        error_set(err, ERR_GONE, 0, "The execution has ended.");
    return NULL;
}

/* An ErrorObject's text, the caller's. */
static int read_error(const char *text, char **out, struct error *err)
{
    auto_json struct json_object *o = NULL;
    *out = NULL;
    if (!text)
        return 0;
    if (json_parse_str(text, &o, err) < 0)
        return -1;
    return (*out = error_object_text(o, "", err)) ? 0 : -1;
}

int people_callback(struct lambda *l, const char *arn, const char *operation,
                    enum people_action action, const char *text, struct error *err)
{
    auto_free char *error = NULL;
    struct execution *e = find_running(l, arn, err);
    struct operation *op = e ? execution_find(e, operation) : NULL;
    if (!e)
        return -1;
    if (!op || op->type != OP_CALLBACK)
        return error_set(err, ERR_NOT_FOUND, 0, "There is no such callback.");
    if (!callback_is_open(l, e, op))
        return error_set(err, ERR_GONE, 0, "The callback is closed.");
    if (action == PEOPLE_HEARTBEAT) {
        callback_heartbeat(l, e, op);
        return 0;
    }
    if (action == PEOPLE_SUCCEED)
        return callback_succeed(l, e, op, text, text ? strlen(text) : 0, err);
    if (read_error(text, &error, err) < 0)
        return -1;
    callback_fail(l, e, op, error);
    return 0;
}

int people_stop(struct lambda *l, const char *arn, struct error *err)
{
    struct execution *e = find_running(l, arn, err);
    if (!e)
        return -1;
    auto_free char *why = error_object_make("Stopped", "Stopped at the console.");
    store_begin(l->local->store);
    lane_close(l, e, EX_STOPPED, NULL, 0, why);
    store_commit(l->local->store);
    return 0;
}

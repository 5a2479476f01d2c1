#include "local/aws/lambda_reads.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "local/aws/history.h"
#include "local/aws/invoke_target.h"
#include "local/aws/lambda_errors.h"
#include "local/aws/lane.h"
#include "shared/base/encode.h"
#include "shared/base/json.h"
#include "shared/base/opts.h"

#define MAX_ANSWER   (64U << 20)
#define STATUSES_MAX 10

/* The execution that the path names: in memory, or its record from the store, which *loaded then
 * owns. NULL after an answer. */
static struct execution *find(struct lambda *l, struct aws_request *r, struct execution **loaded)
{
    struct execution_arn arn;
    struct error err;
    *loaded = NULL;
    if (execution_arn_parse(r->segments[2], &arn, &err) < 0) {
        lambda_refuse_arn(r);
        return NULL;
    }
    struct execution *e = map_get(&l->running, arn.id);
    if (!e)
        e = *loaded = execution_store_find(l->store, arn.id);
    if (e && strcmp(e->arn, r->segments[2]) == 0)
        return e;
    execution_free(MOVE(*loaded));
    aws_error(r, 404, "ResourceNotFoundException", "Durable Execution does not exist");
    return NULL;
}

/* ---- GetDurableExecution -----------------------------------------------------------------------
 */

static void add_str(struct buf *b, const char *key, const char *value)
{
    buf_printf(b, ",\"%s\":", key);
    buf_add_json_str(b, value);
}

static void add_time(struct buf *b, const char *key, int64_t ms)
{
    if (!ms)
        return;
    buf_printf(b, ",\"%s\":", key);
    time_write(b, ms, TIME_SECONDS);
}

/* The members of an Execution in lists. */
static void write_summary(struct buf *b, const struct lambda *l, const struct execution *e)
{
    const struct config *c = l->local->config;
    buf_add_str(b, "\"DurableExecutionArn\":");
    buf_add_json_str(b, e->arn);
    add_str(b, "DurableExecutionName", e->name);
    buf_printf(b, ",\"FunctionArn\":\"arn:aws:lambda:%s:%s:function:%s:%s\"", c->region,
               c->account_id, e->function_name, e->version);
    add_str(b, "Status", execution_status_name(e->status));
    add_time(b, "StartTimestamp", e->start_ms);
    add_time(b, "EndTimestamp", e->end_ms);
}

static void write_data(struct buf *b, const struct execution *e)
{
    if (e->input) {
        buf_add_str(b, ",\"InputPayload\":");
        buf_add_json(b, e->input, e->input_len);
    }
    if (e->status == EX_SUCCEEDED && e->result) {
        buf_add_str(b, ",\"Result\":");
        buf_add_json(b, e->result, e->result_len);
    }
    if (e->status == EX_FAILED || e->status == EX_TIMED_OUT || e->status == EX_STOPPED)
        buf_printf(b, ",\"Error\":%s", e->error ? e->error : "{}");
}

void lambda_get_run(struct lambda *l, struct aws_request *r)
{
    struct execution *loaded;
    bool include = true;
    if (!lambda_read_bool(r, "IncludeExecutionData", &include))
        return;
    const struct execution *e = find(l, r, &loaded);
    if (!e)
        return;
    const struct config_function *f = config_function(l->local->config, e->function_name);
    auto_buf struct buf b = BUF_INIT(MAX_ANSWER);
    buf_add_char(&b, '{');
    write_summary(&b, l, e);
    add_str(&b, "Version", e->version);
    if (include)
        write_data(&b, e);
    if (e->trace) {
        buf_add_str(&b, ",\"TraceHeader\":{\"XAmznTraceId\":");
        buf_add_json_str(&b, e->trace);
        buf_add_char(&b, '}');
    }
    buf_printf(&b,
               ",\"ExecutionDataIncluded\":%s,\"DurableConfig\":{\"ExecutionTimeout\":%" PRId64
               ",\"RetentionPeriodInDays\":%" PRId64 "}}",
               include ? "true" : "false", e->timeout_s, f ? (f->retention_s + 86399) / 86400 : 14);
    aws_reply(r, 200, "application/json", b.data, b.len, NULL);
    execution_free(loaded);
}

/* ---- GetDurableExecutionHistory ----------------------------------------------------------------
 */

void lambda_history_run(struct lambda *l, struct aws_request *r)
{
    struct execution *loaded;
    struct history_query q = { .include_data = false };
    auto_free char *marker = httpd_query_get(r->http, "Marker");
    if (!lambda_read_bool(r, "IncludeExecutionData", &q.include_data) ||
        !lambda_read_bool(r, "ReverseOrder", &q.reverse) || !lambda_read_max_items(r, &q.max_items))
        return;
    q.from = q.reverse ? INT64_MAX : 0;
    if (marker && *marker && opts_int(marker, 1, INT64_MAX, &q.from) < 0) {
        aws_error(r, 400, "InvalidParameterValueException", "Invalid marker");
        return;
    }
    const struct execution *e = find(l, r, &loaded);
    if (!e)
        return;
    auto_buf struct buf b = BUF_INIT(MAX_ANSWER);
    history_write(&b, l->store, e->row, &q);
    aws_reply(r, 200, "application/json", b.data, b.len, NULL);
    execution_free(loaded);
}

/* ---- ListDurableExecutionsByFunction ------------------------------------------------------------
 */

struct listing {
    struct lambda *lambda;
    struct buf *out;
    int64_t count, max;
    int64_t last; /* row of the last one that was written */
    bool more;
};

static void list_one(struct execution *e, void *arg)
{
    struct listing *list = arg;
    if (list->count < list->max) {
        buf_add_str(list->out, list->count++ ? ",{" : "{");
        write_summary(list->out, list->lambda, e);
        buf_add_char(list->out, '}');
        list->last = e->row;
    } else {
        list->more = true;
    }
    execution_free(e);
}

/* The repeated Statuses parameter as bits; false for a word that is no status. */
static bool read_statuses(const char *query, unsigned *out)
{
    static const char key[] = "Statuses=";
    size_t count = 0;
    while (*query) {
        size_t len = strcspn(query, "&");
        if (strncmp(query, key, sizeof(key) - 1) == 0) {
            enum execution_status status;
            auto_free char *word = mem_dup_len(query + sizeof(key) - 1, len - (sizeof(key) - 1));
            if (execution_status_parse(word, &status) < 0 || ++count > STATUSES_MAX)
                return false;
            *out |= 1U << status;
        }
        query += len + (query[len] == '&');
    }
    return true;
}

static bool refuse_value(struct aws_request *r, const char *name, const char *what)
{
    aws_error(r, 400, "ValidationException",
              "1 validation error detected: Value at '%s' must be %s", name, what);
    return false;
}

static bool read_time(struct aws_request *r, const char *name, int64_t *out)
{
    auto_free char *text = httpd_query_get(r->http, name);
    if (!text || clock_parse(text, out) == 0)
        return true;
    return refuse_value(r, name, "a time like 2026-01-23T17:57:58Z");
}

static bool read_filter(struct aws_request *r, struct execution_filter *f)
{
    auto_free char *marker = httpd_query_get(r->http, "Marker");
    if (!lambda_read_bool(r, "ReverseOrder", &f->reverse) || !lambda_read_max_items(r, &f->limit))
        return false;
    if (!read_statuses(httpd_query(r->http), &f->statuses))
        return refuse_value(r, "Statuses", "RUNNING, SUCCEEDED, FAILED, TIMED_OUT or STOPPED");
    if (!read_time(r, "StartedAfter", &f->after_ms) ||
        !read_time(r, "StartedBefore", &f->before_ms))
        return false;
    if (marker && *marker && opts_int(marker, 1, INT64_MAX, &f->from) < 0)
        return refuse_value(r, "Marker", "the NextMarker of an earlier answer");
    return true;
}

void lambda_list_run(struct lambda *l, struct aws_request *r)
{
    struct error err;
    struct invoke_target target;
    struct execution_filter filter = { 0 };
    auto_free char *qualifier = httpd_query_get(r->http, "Qualifier");
    auto_free char *name = httpd_query_get(r->http, "DurableExecutionName");
    if (invoke_target_find(l, r->segments[2], qualifier, &target, &err) < 0) {
        if (err.code == ERR_NOT_FOUND)
            aws_error(r, 404, "ResourceNotFoundException", "%s", err.msg);
        else
            lambda_refuse(r, &err);
        return;
    }
    if (!read_filter(r, &filter))
        return;
    auto_buf struct buf b = BUF_INIT(MAX_ANSWER);
    struct listing list = { .lambda = l, .out = &b, .max = filter.limit };
    filter.function = target.config->name;
    filter.version = target.version;
    filter.name = name;
    filter.limit++; /* one more shows whether there are more */
    buf_add_str(&b, "{\"DurableExecutions\":[");
    execution_store_list(l->store, &filter, list_one, &list);
    buf_add_char(&b, ']');
    if (list.more)
        buf_printf(&b, ",\"NextMarker\":\"%" PRId64 "\"", list.last);
    buf_add_char(&b, '}');
    aws_reply(r, 200, "application/json", b.data, b.len, NULL);
}

/* ---- StopDurableExecution -----------------------------------------------------------------------
 */

void lambda_stop_run(struct lambda *l, struct aws_request *r)
{
    struct execution *loaded;
    auto_free char *error = NULL;
    if (!lambda_read_error(r, &error))
        return;
    struct execution *e = find(l, r, &loaded);
    if (!e)
        return;
    if (e->status == EX_RUNNING && !loaded) { /* one that has ended stays as it ended */
        store_begin(l->local->store);
        lane_close(l, e, EX_STOPPED, NULL, 0, error ? error : "{}");
        store_commit(l->local->store);
    }
    auto_buf struct buf b = BUF_INIT(256);
    buf_add_str(&b, "{\"StopTimestamp\":");
    time_write(&b, e->end_ms, TIME_SECONDS);
    buf_add_char(&b, '}');
    aws_reply(r, 200, "application/json", b.data, b.len, NULL);
    execution_free(loaded);
}

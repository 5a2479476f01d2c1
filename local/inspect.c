#include "local/inspect.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "local/aws/aws_api.h"
#include "local/aws/lambda.h"
#include "local/aws/names.h"
#include "local/faults.h"
#include "local/record.h"
#include "local/service_time.h"
#include "shared/base/json.h"

#define REQUESTS_MAX 2000
#define BYTES_MAX    (32U << 20)
#define BODY_MAX     (64U << 10)
#define ANSWER_MAX   (256U << 20) /* each byte of 32 MiB may need six */

struct record {
    int64_t time_ms;
    const char *service;   /* static */
    const char *operation; /* static */
    int status;
    char *body;
    size_t body_len;
};

struct delayed {
    struct inspect *inspect;
    struct aws_request *request;
    struct loop_timer *timer;
    struct delayed *next;
};

struct inspect {
    const struct local *local;
    struct ecs *ecs;
    struct delayed *delayed;
    struct record records[REQUESTS_MAX]; /* a ring */
    size_t first, count;
    size_t bytes; /* of all bodies */
};

/* ---- what was asked ---------------------------------------------------------------------------*/

static void forget_first(struct inspect *in)
{
    struct record *r = &in->records[in->first];
    in->bytes -= r->body_len;
    free(r->body);
    in->first = (in->first + 1) % REQUESTS_MAX;
    in->count--;
}

static void remember(struct inspect *in, const struct aws_request *r, int status)
{
    size_t len = r->body_len < BODY_MAX ? r->body_len : BODY_MAX;
    while (in->count > 0 && (in->count == REQUESTS_MAX || in->bytes + len > BYTES_MAX))
        forget_first(in);
    in->records[(in->first + in->count) % REQUESTS_MAX] =
        (struct record){ .time_ms = r->received_ms,
                         .service = r->service->name,
                         .operation = r->operation,
                         .status = status,
                         .body = mem_dup_len(r->body, len),
                         .body_len = len };
    in->count++;
    in->bytes += len;
}

/* ---- hooks ------------------------------------------------------------------------------------*/

static void run_delayed(void *arg)
{
    struct delayed *d = arg;
    struct aws_request *r = d->request;
    struct delayed **at = &d->inspect->delayed;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    free(d);
    aws_request_run(r);
}

static void delay(struct inspect *in, struct aws_request *r, int64_t ms)
{
    struct delayed *d = mem_alloc(sizeof(*d));
    aws_park(r);
    d->inspect = in;
    d->request = r;
    d->next = in->delayed;
    in->delayed = d;
    d->timer = loop_after(in->local->loop, ms, run_delayed, d);
}

static bool before(struct aws_request *r, void *arg)
{
    struct inspect *in = arg;
    struct execution_arn arn;
    struct error ignored;
    bool about = r->segment_count > 2 && execution_arn_parse(r->segments[2], &arn, &ignored) == 0;
    struct fault *fault = faults_take(in->local->faults, r->operation, about ? arn.function : NULL);
    if (!fault)
        return false;
    log_info(in->local->log, log_event("fault"), log_str("operation", r->operation),
             log_int("action", fault->action));
    if (fault->action == FAULT_DROP || fault->action == FAULT_TASK ||
        (fault->action == FAULT_KILL_FUNCTION && !fault->early)) {
        r->fault = fault;
        return false;
    }
    if (fault->action == FAULT_KILL_FUNCTION) {
        lambda_kill_function(in->local->lambda, fault->function);
        aws_drop(r);
    } else if (fault->action == FAULT_DELAY)
        delay(in, r, fault->delay_ms);
    else
        aws_error_with(r, (int)fault->status,
                       fault->code ? fault->code
                                   : (r->service->json11 ? "ServerException" : "ServiceException"),
                       fault->message ? fault->message : "A failure that was ordered.", NULL,
                       (int)fault->retry_after_s);
    fault_free(fault);
    return true;
}

static bool answer(struct aws_request *r, int status, void *arg)
{
    (void)status;
    struct inspect *in = arg;
    const struct fault *fault = r->fault;
    if (!fault || fault->action == FAULT_TASK)
        return true;
    if (fault->action == FAULT_KILL_FUNCTION && in->local->lambda)
        lambda_kill_function(in->local->lambda, fault->function);
    return false;
}

static void done(const struct aws_request *r, int status, void *arg)
{
    struct inspect *in = arg;
    remember(in, r, status);
    record_add(in->local->record, r, status);
    fault_free(r->fault);
}

/* ---- requests ---------------------------------------------------------------------------------*/

static bool is_json(struct httpd_request *req)
{
    const char *type = httpd_header(req, "Content-Type");
    size_t len = type ? strcspn(type, "; \t") : 0;
    return len == strlen("application/json") && strncasecmp(type, "application/json", len) == 0;
}

static void post_fault(struct httpd_request *req, void *arg)
{
    struct inspect *in = arg;
    auto_json struct json_object *o = NULL;
    struct error err = { 0 };
    size_t len;
    const char *body = httpd_body(req, &len);
    if (!is_json(req))
        httpd_problem(req, 415, NULL, "The body must be application/json.");
    else if (json_parse(body, len, JSON_DEPTH, &o, &err) < 0 ||
             faults_add(in->local->faults, o, &err) < 0)
        httpd_problem(req, 400, NULL, "%s", err.msg);
    else
        httpd_reply_json(req, 201, "{}", NULL);
}

static void post_time(struct httpd_request *req, void *arg)
{
    const struct inspect *in = arg;
    auto_json struct json_object *o = NULL;
    struct error err = { 0 };
    size_t len;
    const char *body = httpd_body(req, &len);
    if (!is_json(req)) {
        httpd_problem(req, 415, NULL, "The body must be application/json.");
    } else if (json_parse(body, len, JSON_DEPTH, &o, &err) < 0 ||
               service_time_set(in->local->time, o, &err) < 0) {
        httpd_problem(req, 400, NULL, "%s", err.msg);
    } else {
        lambda_time_changed(in->local->lambda);
        httpd_reply_json(req, 200, "{}", NULL);
    }
}

static void get_time(struct httpd_request *req, void *arg)
{
    const struct inspect *in = arg;
    auto_buf struct buf out = BUF_INIT(1024);
    service_time_describe(in->local->time, &out);
    httpd_reply_json(req, 200, buf_str(&out), NULL);
}

static void get_faults(struct httpd_request *req, void *arg)
{
    const struct inspect *in = arg;
    auto_buf struct buf out = BUF_INIT(4U << 20);
    buf_add_str(&out, "{\"faults\":");
    faults_describe(in->local->faults, &out);
    buf_add_char(&out, '}');
    httpd_reply_json(req, 200, buf_str(&out), NULL);
}

static void delete_faults(struct httpd_request *req, void *arg)
{
    struct inspect *in = arg;
    faults_clear(in->local->faults);
    httpd_reply(req, 204, NULL, NULL, 0, NULL);
}

static void add_record(struct buf *out, const struct record *r)
{
    char time[CLOCK_TEXT];
    clock_format(r->time_ms, time);
    buf_printf(out, "{\"time\":\"%s\",\"service\":\"%s\",\"operation\":\"%s\",\"status\":%d", time,
               r->service, r->operation, r->status);
    buf_add_str(out, ",\"body\":");
    buf_add_json(out, r->body, r->body_len);
    buf_add_str(out, "}");
}

static void get_requests(struct httpd_request *req, void *arg)
{
    struct inspect *in = arg;
    auto_free char *operation = httpd_query_get(req, "operation");
    auto_buf struct buf out = BUF_INIT(ANSWER_MAX);
    const char *comma = "";
    buf_add_str(&out, "{\"requests\":[");
    for (size_t i = 0; i < in->count; i++) {
        const struct record *r = &in->records[(in->first + i) % REQUESTS_MAX];
        if (operation && strcmp(operation, r->operation) != 0)
            continue;
        buf_add_str(&out, comma);
        add_record(&out, r);
        comma = ",";
    }
    buf_add_str(&out, "]}");
    httpd_reply_json(req, 200, buf_str(&out), NULL);
}

static void get_tasks(struct httpd_request *req, void *arg)
{
    struct inspect *in = arg;
    const struct config *config = in->local->config;
    auto_json struct json_object *o = json_object_new_object();
    struct json_object *list = json_object_new_array();
    json_add(o, "tasks", list);
    for (const struct ecs_task *t = ecs_tasks_first(ecs_tasks(in->ecs)); t; t = t->next) {
        struct json_object *item = json_object_new_object();
        auto_free char *arn = ecs_task_arn(t, config->region, config->account_id);
        bool runs = t->container_count > 0 && !t->containers[0].ended;
        json_add_str(item, "taskArn", arn);
        json_add_str(item, "lastStatus", ecs_state_name(t->state));
        json_add_int(item, "pid", runs ? t->containers[0].pid : 0);
        json_add_str(item, "startedBy", t->started_by);
        json_push(list, item);
    }
    httpd_reply_json(req, 200, json_text(o, NULL), NULL);
}

struct inspect *inspect_new(const struct local *local, struct ecs *ecs)
{
    struct inspect *in = mem_alloc(sizeof(*in));
    const struct aws_hooks hooks = { .before = before, .answer = answer, .done = done, .arg = in };
    in->local = local;
    in->ecs = ecs;
    aws_api_set_hooks(local->api, &hooks);
    aws_api_add_local(local->api, "POST", "/_local/faults", post_fault, in);
    aws_api_add_local(local->api, "GET", "/_local/faults", get_faults, in);
    aws_api_add_local(local->api, "DELETE", "/_local/faults", delete_faults, in);
    aws_api_add_local(local->api, "POST", "/_local/time", post_time, in);
    aws_api_add_local(local->api, "GET", "/_local/time", get_time, in);
    aws_api_add_local(local->api, "GET", "/_local/requests", get_requests, in);
    aws_api_add_local(local->api, "GET", "/_local/tasks", get_tasks, in);
    return in;
}

void inspect_free(struct inspect *in)
{
    if (!in)
        return;
    while (in->delayed) {
        struct delayed *d = in->delayed;
        in->delayed = d->next;
        loop_cancel(in->local->loop, d->timer);
        aws_drop(d->request);
        free(d);
    }
    static const struct aws_hooks none = { .before = NULL };
    aws_api_set_hooks(in->local->api, &none);
    while (in->count > 0)
        forget_first(in);
    free(in);
}

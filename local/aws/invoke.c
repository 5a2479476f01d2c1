#include "local/aws/invoke.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local/aws/async.h"
#include "local/aws/error_object.h"
#include "local/aws/function_log.h"
#include "local/aws/invoke_target.h"
#include "local/aws/lambda_errors.h"
#include "local/aws/start.h"
#include "shared/base/encode.h"
#include "shared/base/json.h"

#define SYNC_MAX         6291556 /* bytes of payload */
#define ASYNC_MAX        1048576
#define SYNC_TIMEOUT_MAX 900 /* seconds of an execution whose caller waits */

enum invocation_type {
    REQUEST_RESPONSE,
    EVENT,
    DRY_RUN,
};

/* What the request asks for. */
struct call {
    struct invoke_target target;
    enum invocation_type type;
    const char *name;   /* the execution's, or NULL */
    const char *tenant; /* or NULL */
    bool tail;          /* the end of the log is wanted */
};

/* ---- answers ----------------------------------------------------------------------------------
 */

/* How a synchronous caller sees the end of an execution. */
static void answer_end(struct aws_request *r, const struct execution *e)
{
    const struct httpd_header headers[] = {
        { "X-Amz-Durable-Execution-Arn", e->arn },
        { "X-Amz-Executed-Version", e->version },
        { e->status == EX_SUCCEEDED ? NULL : "X-Amz-Function-Error", "Unhandled" },
        { NULL, NULL },
    };
    if (e->status == EX_SUCCEEDED) {
        aws_reply(r, 200, "application/json", e->result ? e->result : "null",
                  e->result ? e->result_len : 4, headers);
        return;
    }
    auto_free char *body = error_object_lambda(e->error);
    aws_reply(r, 200, "application/json", body, strlen(body), headers);
}

void invoke_answer_waiters(struct execution *e)
{
    while (e->waiters) {
        struct execution_waiter *w = e->waiters;
        e->waiters = w->next;
        answer_end(w->request, e);
        free(w);
    }
}

void invoke_drop_waiters(struct execution *e)
{
    while (e->waiters) {
        struct execution_waiter *w = e->waiters;
        e->waiters = w->next;
        aws_drop(w->request);
        free(w);
    }
}

static void answer_accepted(struct aws_request *r, const struct execution *e)
{
    const struct httpd_header headers[] = {
        { "X-Amz-Durable-Execution-Arn", e->arn },
        { "X-Amz-Executed-Version", e->version },
        { NULL, NULL },
    };
    aws_reply(r, 202, NULL, NULL, 0, headers);
}

static void answer_throttled(struct aws_request *r)
{
    struct json_object *body = json_object_new_object();
    json_add_str(body, "Reason", "ConcurrentInvocationLimitExceeded");
    aws_error_with(r, 429, "TooManyRequestsException", "Rate Exceeded.", body, 1);
}

static void wait_for_end(struct aws_request *r, struct execution *e)
{
    struct execution_waiter *w = mem_alloc(sizeof(*w));
    w->request = r;
    w->next = e->waiters;
    e->waiters = w;
    aws_park(r);
}

/* ---- durable functions ------------------------------------------------------------------------
 */

static void answer_execution(struct aws_request *r, const struct call *c, struct execution *e)
{
    if (c->type == EVENT)
        answer_accepted(r, e);
    else if (e->status == EX_RUNNING)
        wait_for_end(r, e);
    else
        answer_end(r, e);
}

/* An execution of that name is there. */
static void meet_existing(struct lambda *l, struct aws_request *r, const struct call *c,
                          struct execution *stored)
{
    struct execution *running = map_get(&l->running, stored->id);
    bool same = strcmp(stored->function_name, c->target.config->name) == 0 &&
                strcmp(stored->version, c->target.version) == 0 &&
                stored->input_len == r->body_len &&
                (r->body_len == 0 || memcmp(stored->input, r->body, r->body_len) == 0);
    if (same)
        answer_execution(r, c, running ? running : stored);
    else
        aws_error(r, 409, "DurableExecutionAlreadyStartedException",
                  "Execution already started: %s", stored->arn);
}

static void run_durable(struct lambda *l, struct aws_request *r, const struct call *c)
{
    const struct config_function *f = c->target.config;
    if (!c->target.qualified) {
        aws_error(r, 400, "InvalidParameterValueException",
                  "You cannot invoke a durable function using an unqualified ARN.");
    } else if (c->type != EVENT && f->execution_timeout_s > SYNC_TIMEOUT_MAX) {
        aws_error(r, 400, "InvalidParameterValueException",
                  "You cannot synchronously invoke a durable function with an executionTimeout "
                  "greater than 15 minutes.");
    } else if (c->name && !name_is_word(c->name, 64)) {
        aws_error(r, 400, "ValidationException",
                  "1 validation error detected: Value at 'durableExecutionName' must have 1 to 64 "
                  "of A-Z a-z 0-9 - _");
    } else if (c->type == DRY_RUN) {
        aws_reply(r, 204, NULL, NULL, 0, NULL);
    } else {
        struct execution *stored = c->name ? start_find_name(l, c->name) : NULL;
        if (stored) {
            meet_existing(l, r, c, stored);
            execution_free(stored);
        } else if (start_is_full(c->target.function)) {
            answer_throttled(r);
        } else {
            const struct start s = { .function = c->target.function,
                                     .version = c->target.version,
                                     .name = c->name,
                                     .input = r->body_len ? r->body : NULL,
                                     .input_len = r->body_len,
                                     .trace = httpd_header(r->http, "X-Amzn-Trace-Id"),
                                     .tenant = c->tenant };
            answer_execution(r, c, start_execution(l, &s));
        }
    }
}

/* ---- plain functions --------------------------------------------------------------------------
 */

/* A synchronous caller; the version is borrowed from the configuration. */
struct plain_caller {
    struct aws_request *request;
    const char *version;
    bool tail;
};

static void on_plain_done(void *arg, const struct lambda_outcome *o)
{
    struct plain_caller *caller = arg;
    auto_buf struct buf log = BUF_INIT(2U * FUNCTION_LOG_TAIL);
    struct httpd_header headers[4] = { { "X-Amz-Executed-Version", caller->version } };
    size_t n = 1;
    if (o->failed)
        headers[n++] = (struct httpd_header){ "X-Amz-Function-Error", "Unhandled" };
    if (caller->tail && o->log_len > 0) {
        encode_base64(&log, o->log, o->log_len);
        headers[n++] = (struct httpd_header){ "X-Amz-Log-Result", buf_str(&log) };
    }
    aws_reply(caller->request, 200, "application/json", o->payload, o->len, headers);
    free(caller);
}

static void answer_event(struct aws_request *r, const struct call *c)
{
    const struct httpd_header headers[] = { { "X-Amz-Executed-Version", c->target.version },
                                            { NULL, NULL } };
    aws_reply(r, 202, NULL, NULL, 0, headers);
}

static void call_plain(struct lambda *l, struct aws_request *r, const struct call *c)
{
    struct error err;
    const struct lambda_request req = { .function = c->target.config->name,
                                        .version = c->target.version,
                                        .request_id = r->request_id,
                                        .payload = r->body_len ? r->body : "{}",
                                        .len = r->body_len ? r->body_len : 2,
                                        .trace = httpd_header(r->http, "X-Amzn-Trace-Id"),
                                        .tenant = c->tenant };
    struct plain_caller *caller = mem_alloc(sizeof(*caller));
    *caller = (struct plain_caller){ .request = r, .version = c->target.version, .tail = c->tail };
    if (lambda_call(l, &req, on_plain_done, caller, &err) == 0) {
        aws_park(r);
        return;
    }
    free(caller);
    answer_throttled(r);
}

static void call_event(struct lambda *l, struct aws_request *r, const struct call *c)
{
    const struct async_request req = { .function = c->target.config->name,
                                       .version = c->target.version,
                                       .request_id = r->request_id,
                                       .payload = r->body_len ? r->body : "{}",
                                       .len = r->body_len ? r->body_len : 2,
                                       .trace = httpd_header(r->http, "X-Amzn-Trace-Id"),
                                       .tenant = c->tenant };
    if (async_invoke(l->async, &req))
        answer_event(r, c);
    else
        answer_throttled(r);
}

static void run_plain(struct lambda *l, struct aws_request *r, const struct call *c)
{
    if (c->name)
        aws_error(r, 400, "InvalidParameterValueException",
                  "The function is not durable: it has no execution to be named.");
    else if (c->type == DRY_RUN)
        aws_reply(r, 204, NULL, NULL, 0, NULL);
    else if (c->type == EVENT)
        call_event(l, r, c);
    else
        call_plain(l, r, c);
}

/* ---- the request ------------------------------------------------------------------------------
 */

static bool read_type(struct aws_request *r, struct call *c)
{
    static const char *const types[] = { "RequestResponse", "Event", "DryRun" };
    const char *type = httpd_header(r->http, "X-Amz-Invocation-Type");
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (!type || strcmp(type, types[i]) == 0) {
            c->type = (enum invocation_type)i;
            return true;
        }
    aws_error(r, 400, "InvalidParameterValueException",
              "The invocation type must be RequestResponse, Event or DryRun.");
    return false;
}

static bool read_log_type(struct aws_request *r, struct call *c)
{
    const char *type = httpd_header(r->http, "X-Amz-Log-Type");
    c->tail = type && strcmp(type, "Tail") == 0;
    if (!type || c->tail || strcmp(type, "None") == 0)
        return true;
    aws_error(r, 400, "ValidationException",
              "1 validation error detected: Value at 'logType' must be None or Tail");
    return false;
}

static bool read_payload(struct aws_request *r, const struct call *c)
{
    struct error err;
    auto_json struct json_object *parsed = NULL;
    size_t max = c->type == EVENT ? ASYNC_MAX : SYNC_MAX;
    if (r->body_len > max) {
        aws_error(r, 413, "RequestTooLargeException",
                  "Request must be smaller than %zu bytes for the InvokeFunction operation", max);
        return false;
    }
    if (r->body_len == 0 || json_parse(r->body, r->body_len, JSON_DEPTH, &parsed, &err) == 0)
        return true;
    aws_error(r, 400, "InvalidRequestContentException",
              "Could not parse request body into json: %s", err.msg);
    return false;
}

void invoke_run(struct lambda *l, struct aws_request *r)
{
    struct error err;
    struct call c = { .name = httpd_header(r->http, "X-Amz-Durable-Execution-Name"),
                      .tenant = httpd_header(r->http, "X-Amz-Tenant-Id") };
    auto_free char *qualifier = httpd_query_get(r->http, "Qualifier");
    if (invoke_target_find(l, r->segments[2], qualifier, &c.target, &err) < 0) {
        if (err.code == ERR_NOT_FOUND)
            aws_error(r, 404, "ResourceNotFoundException", "%s", err.msg);
        else
            lambda_refuse(r, &err);
    } else if (c.tenant && !name_is_tenant(c.tenant)) {
        aws_error(r, 400, "ValidationException",
                  "1 validation error detected: Value at 'tenantId' must have 1 to 256 of A-Z a-z "
                  "0-9 . _ : / = + - @ and blank");
    } else if (read_type(r, &c) && read_log_type(r, &c) && read_payload(r, &c)) {
        if (c.target.config->durable)
            run_durable(l, r, &c);
        else
            run_plain(l, r, &c);
    }
}

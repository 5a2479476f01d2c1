#include "shared/aws/lambda_client.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/encode.h"
#include "shared/base/json.h"

/* Larger than any answer: payloads and pages of state go up to 6 MiB, and are JSON strings inside
 * JSON, whose quotes are escaped. */
#define ANSWER_MAX (16U << 20)
#define TEXT_MAX   (16U << 10)

#define EXECUTIONS "/2025-12-01/durable-executions/"
#define CALLBACKS  "/2025-12-01/durable-execution-callbacks/"

/* "PREFIX" + `label` as one segment + "SUFFIX". */
static char *path_of(const char *prefix, const char *label, const char *suffix)
{
    auto_buf struct buf b = BUF_INIT(TEXT_MAX);
    buf_reserve(&b, strlen(prefix) + 2 * strlen(label) + strlen(suffix));
    buf_add_str(&b, prefix);
    encode_percent(&b, label, strlen(label));
    buf_add_str(&b, suffix);
    return buf_take(&b, NULL);
}

static void query_add(struct buf *q, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(q, "%s%s=", q->len ? "&" : "", name);
    encode_percent(q, value, strlen(value));
}

static void query_add_max(struct buf *q, unsigned max_items)
{
    if (max_items)
        buf_printf(q, "%sMaxItems=%u", q->len ? "&" : "", max_items);
}

static int parse_answer(const struct http_response *resp, struct json_object **out,
                        struct error *err)
{
    if (json_parse(buf_str(&resp->body), resp->body.len, JSON_DEPTH, out, err) < 0) {
        *out = NULL;
        return error_set(err, ERR_PROTOCOL, resp->status, "the answer is not JSON");
    }
    if (json_object_is_type(*out, json_type_object))
        return 0;
    json_put_ptr(out);
    return error_set(err, ERR_PROTOCOL, resp->status, "the answer is not a JSON object");
}

static const struct http_header json_body[] = { { "Content-Type", "application/json" },
                                                { NULL, NULL } };
/* A payload of bytes that the service does not look into, as AWS's own clients send it. */
static const struct http_header raw_body[] = { { "Content-Type", "application/octet-stream" },
                                               { NULL, NULL } };

/* ---- invoke ---------------------------------------------------------------------------------- */

static char *header_dup(const struct http_response *resp, const char *name)
{
    char value[2048];
    return http_response_header(resp, name, value, sizeof(value)) ? mem_dup(value) : NULL;
}

static int invoke_send(struct aws *a, const struct lambda_invoke *req, struct http_response *resp,
                       struct error *err)
{
    struct http_header headers[5] = { raw_body[0], { "X-Amz-Invocation-Type", req->type } };
    size_t n = 2;
    if (req->execution_name)
        headers[n++] = (struct http_header){ "X-Amz-Durable-Execution-Name", req->execution_name };
    if (req->trace_header)
        headers[n++] = (struct http_header){ "X-Amzn-Trace-Id", req->trace_header };
    auto_free char *path = path_of("/2015-03-31/functions/", req->function, "/invocations");
    auto_buf struct buf query = BUF_INIT(TEXT_MAX);
    query_add(&query, "Qualifier", req->qualifier);
    bool repeatable = req->execution_name || strcmp(req->type, "DryRun") == 0;
    struct aws_call call = { .service = AWS_LAMBDA,
                             .method = "POST",
                             .path = path,
                             .query = buf_str(&query),
                             .headers = headers,
                             .body = req->payload,
                             .body_len = req->payload_len,
                             .max_response = ANSWER_MAX,
                             .attempts = repeatable ? 0 : 1 };
    return aws_send(a, &call, resp, err);
}

int lambda_invoke(struct aws *a, const struct lambda_invoke *req, struct lambda_invoked *out,
                  struct error *err)
{
    *out = (struct lambda_invoked){ 0 };
    auto_response struct http_response resp = { 0 };
    if (invoke_send(a, req, &resp, err) < 0)
        return error_wrap(err, "Invoke");
    out->status = resp.status;
    out->execution_arn = header_dup(&resp, "X-Amz-Durable-Execution-Arn");
    out->function_error = header_dup(&resp, "X-Amz-Function-Error");
    out->version = header_dup(&resp, "X-Amz-Executed-Version");
    out->payload = buf_take(&resp.body, &out->payload_len);
    return 0;
}

void lambda_invoked_release(struct lambda_invoked *r)
{
    free(r->execution_arn);
    free(r->function_error);
    free(r->version);
    free(r->payload);
    *r = (struct lambda_invoked){ 0 };
}

/* ---- executions ------------------------------------------------------------------------------ */

/* Each of them may arrive twice: a checkpoint has its ClientToken, the others read. */
static int execution_call(struct aws *a, const char *what, struct aws_call *call,
                          struct json_object **out, struct error *err)
{
    *out = NULL;
    call->service = AWS_LAMBDA;
    call->max_response = ANSWER_MAX;
    auto_response struct http_response resp = { 0 };
    if (aws_send(a, call, &resp, err) < 0 || parse_answer(&resp, out, err) < 0)
        return error_wrap(err, "%s", what);
    return 0;
}

int lambda_checkpoint(struct aws *a, const char *arn, const char *body, size_t len,
                      struct json_object **out, struct error *err)
{
    auto_free char *path = path_of(EXECUTIONS, arn, "/checkpoint");
    struct aws_call call = {
        .method = "POST", .path = path, .headers = json_body, .body = body, .body_len = len
    };
    return execution_call(a, "CheckpointDurableExecution", &call, out, err);
}

int lambda_get_state(struct aws *a, const char *arn, const char *checkpoint_token,
                     const char *marker, unsigned max_items, struct json_object **out,
                     struct error *err)
{
    auto_free char *path = path_of(EXECUTIONS, arn, "/state");
    auto_buf struct buf query = BUF_INIT(TEXT_MAX);
    query_add(&query, "CheckpointToken", checkpoint_token);
    query_add(&query, "Marker", marker);
    query_add_max(&query, max_items);
    struct aws_call call = { .method = "GET", .path = path, .query = buf_str(&query) };
    return execution_call(a, "GetDurableExecutionState", &call, out, err);
}

int lambda_get_execution(struct aws *a, const char *arn, struct json_object **out,
                         struct error *err)
{
    auto_free char *path = path_of(EXECUTIONS, arn, "");
    struct aws_call call = { .method = "GET", .path = path, .query = "IncludeExecutionData=true" };
    return execution_call(a, "GetDurableExecution", &call, out, err);
}

int lambda_get_history(struct aws *a, const char *arn, bool with_data, const char *marker,
                       unsigned max_items, struct json_object **out, struct error *err)
{
    auto_free char *path = path_of(EXECUTIONS, arn, "/history");
    auto_buf struct buf query = BUF_INIT(TEXT_MAX);
    query_add(&query, "IncludeExecutionData", with_data ? "true" : "false");
    query_add(&query, "Marker", marker);
    query_add_max(&query, max_items);
    struct aws_call call = { .method = "GET", .path = path, .query = buf_str(&query) };
    return execution_call(a, "GetDurableExecutionHistory", &call, out, err);
}

int lambda_stop(struct aws *a, const char *arn, const char *error_type, const char *error_message,
                struct error *err)
{
    auto_free char *path = path_of(EXECUTIONS, arn, "/stop");
    auto_json struct json_object *object = json_object_new_object();
    json_add_str(object, "ErrorType", error_type);
    json_add_str(object, "ErrorMessage", error_message);
    size_t len;
    const char *body = json_text(object, &len);
    struct aws_call call = { .service = AWS_LAMBDA,
                             .method = "POST",
                             .path = path,
                             .headers = json_body,
                             .body = body,
                             .body_len = len };
    auto_response struct http_response resp = { 0 };
    return aws_send(a, &call, &resp, err) < 0 ? error_wrap(err, "StopDurableExecution") : 0;
}

/* ---- callbacks ------------------------------------------------------------------------------- */

static const char success_what[] = "SendDurableExecutionCallbackSuccess";
static const char failure_what[] = "SendDurableExecutionCallbackFailure";

/* What a failed call means here. */
static int callback_error(const char *what, struct error *err)
{
    if (strcmp(err->type, "CallbackTimeoutException") == 0)
        err->code = ERR_GONE;
    return error_wrap(err, "%s", what);
}

/* The answer is `{}` or nothing: the status says it all. */
static int callback_call(struct aws *a, const char *what, struct aws_call *call,
                         const char *callback_id, const char *verb, struct error *err)
{
    struct error mine = { 0 };
    auto_secret char *path = path_of(CALLBACKS, callback_id, verb);
    call->service = AWS_LAMBDA;
    call->method = "POST";
    call->path = path;
    auto_response struct http_response resp = { 0 };
    if (aws_send(a, call, &resp, &mine) == 0)
        return 0;
    callback_error(what, &mine);
    if (err)
        *err = mine;
    return -1;
}

int lambda_callback_success(struct aws *a, const char *callback_id, const void *result, size_t len,
                            struct error *err)
{
    struct aws_call call = { .headers = raw_body, .body = result, .body_len = len, .attempts = 1 };
    return callback_call(a, success_what, &call, callback_id, "/succeed", err);
}

int lambda_callback_failure(struct aws *a, const char *callback_id, const char *error_object,
                            struct error *err)
{
    struct aws_call call = {
        .headers = json_body, .body = error_object, .body_len = strlen(error_object), .attempts = 1
    };
    return callback_call(a, failure_what, &call, callback_id, "/fail", err);
}

static void callback_ended(void *arg, int rc, struct http_response *resp, struct error *err)
{
    struct lambda_callback *c = arg;
    if (rc < 0)
        callback_error(c->failed ? failure_what : success_what, err);
    c->done(c->arg, rc, resp, err);
}

int lambda_callback_start(struct aws *a, struct http_pool *pool, struct lambda_callback *c,
                          struct error *err)
{
    auto_secret char *path = path_of(CALLBACKS, c->callback_id, c->failed ? "/fail" : "/succeed");
    struct aws_call call = { .service = AWS_LAMBDA,
                             .method = "POST",
                             .path = path,
                             .headers = c->failed ? json_body : raw_body,
                             .body = c->body,
                             .body_len = c->len,
                             .attempts = 1 };
    if (aws_start(a, pool, &call, &c->started, callback_ended, c, err) == 0)
        return 0;
    return error_wrap(err, "%s", c->failed ? failure_what : success_what);
}

int lambda_callback_heartbeat(struct aws *a, const char *callback_id, struct error *err)
{
    struct aws_call call = { .attempts = 0 };
    return callback_call(a, "SendDurableExecutionCallbackHeartbeat", &call, callback_id,
                         "/heartbeat", err);
}

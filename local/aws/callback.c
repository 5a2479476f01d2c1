#include "local/aws/callback.h"

#include <stdlib.h>
#include <string.h>

#include "local/aws/error_object.h"
#include "local/aws/events.h"
#include "local/aws/lambda_errors.h"
#include "local/aws/lane.h"
#include "shared/base/json.h"
#include "shared/base/utf8.h"

static void refuse_closed(struct aws_request *r)
{
    aws_error(r, 400, "CallbackTimeoutException",
              "The callback is either timed out or already completed");
}

static void refuse_id(struct aws_request *r)
{
    aws_error(r, 400, "InvalidParameterValueException", "Invalid callback id");
}

/* The callback of an execution that is not in memory: it has ended, or never was. */
static void refuse_absent(struct lambda *l, struct aws_request *r, const char *execution_id)
{
    struct execution *e = execution_store_find(l->store, execution_id);
    if (e)
        refuse_closed(r);
    else
        refuse_id(r);
    execution_free(e);
}

/* The open callback that the path names, or NULL after an answer. What is due is applied first:
 * deadlines count when the call arrives. */
static struct operation *find_open(struct lambda *l, struct aws_request *r, struct execution **out)
{
    char execution_id[RANDOM_UUID];
    uint32_t number;
    const char *id = r->segments[2];
    if (callback_id_parse(id, execution_id, &number) < 0) {
        refuse_id(r);
        return NULL;
    }
    struct execution *e = map_get(&l->running, execution_id);
    if (!e) {
        refuse_absent(l, r, execution_id);
        return NULL;
    }
    struct operation *op = execution_operation(e, number);
    if (!op || !op->callback_id || strlen(op->callback_id) != strlen(id) ||
        !digest_equal(op->callback_id, id, strlen(id))) {
        refuse_id(r);
        return NULL;
    }
    if (!callback_is_open(l, e, op)) {
        refuse_closed(r);
        return NULL;
    }
    *out = e;
    return op;
}

bool callback_is_open(struct lambda *l, struct execution *e, const struct operation *op)
{
    store_begin(l->local->store);
    if (e->status == EX_RUNNING && lane_apply_due(l, e, lambda_now_ms(l))) {
        lane_trigger(l, e);
        lane_set_timer(l, e);
    }
    store_commit(l->local->store);
    return e->status == EX_RUNNING && !operation_is_closed(op);
}

/* Takes over `result` and `error`. */
static void close_callback(struct lambda *l, struct execution *e, struct operation *op,
                           enum operation_status status, char *result, size_t len, char *error)
{
    int64_t now = lambda_now_ms(l);
    store_begin(l->local->store);
    execution_touch(e, op);
    op->status = status;
    op->end_ms = now;
    op->result = result;
    op->result_len = len;
    op->error = error;
    execution_changed(e, op);
    execution_store_operation(l->store, e, op);
    event_operation_closed(l->store, e, op, now);
    lane_trigger(l, e);
    lane_set_timer(l, e);
    store_commit(l->local->store);
}

int callback_succeed(struct lambda *l, struct execution *e, struct operation *op,
                     const char *result, size_t len, struct error *err)
{
    if (len > CALLBACK_RESULT_MAX) {
        error_set(err, ERR_INVALID, 0,
                  "1 validation error detected: Value at 'result' must have at most %d bytes",
                  CALLBACK_RESULT_MAX);
        error_set_type(err, "ValidationException");
        return -1;
    }
    /* The result becomes a string, and strings are UTF-8. */
    if (!utf8_valid(result, len))
        return error_set(err, ERR_INVALID, 0, "The result must be UTF-8");
    close_callback(l, e, op, OP_SUCCEEDED, len ? mem_dup_len(result, len) : NULL, len, NULL);
    return 0;
}

void callback_fail(struct lambda *l, struct execution *e, struct operation *op, const char *error)
{
    close_callback(l, e, op, OP_FAILED, NULL, 0, mem_dup(error));
}

void callback_heartbeat(struct lambda *l, struct execution *e, struct operation *op)
{
    if (!op->heartbeat_s)
        return;
    /* No event and no change that the handler could see. */
    store_begin(l->local->store);
    op->heartbeat_at_ms = lambda_now_ms(l) + op->heartbeat_s * 1000;
    execution_store_operation(l->store, e, op);
    lane_set_timer(l, e);
    store_commit(l->local->store);
}

void callback_succeed_run(struct lambda *l, struct aws_request *r)
{
    struct execution *e;
    struct error err;
    struct operation *op = find_open(l, r, &e);
    if (!op)
        return;
    if (callback_succeed(l, e, op, r->body, r->body_len, &err) < 0)
        lambda_refuse(r, &err);
    else
        aws_reply_json(r, NULL);
}

void callback_fail_run(struct lambda *l, struct aws_request *r)
{
    struct execution *e;
    auto_free char *error = NULL;
    if (!lambda_read_error(r, &error))
        return;
    struct operation *op = find_open(l, r, &e);
    if (!op)
        return;
    callback_fail(l, e, op, error);
    aws_reply_json(r, NULL);
}

void callback_heartbeat_run(struct lambda *l, struct aws_request *r)
{
    struct execution *e;
    struct operation *op = find_open(l, r, &e);
    if (!op)
        return;
    callback_heartbeat(l, e, op);
    aws_reply_json(r, NULL);
}

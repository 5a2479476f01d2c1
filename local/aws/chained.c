#include "local/aws/chained.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local/aws/error_object.h"
#include "local/aws/events.h"
#include "local/aws/invoke_target.h"
#include "local/aws/lane.h"
#include "local/aws/start.h"

#define OUTPUT_MAX 1048576 /* of a target, as the operation's result */

/* A call of a plain function that has not ended. */
struct chained_call {
    struct lambda *lambda;
    char execution[RANDOM_UUID]; /* it may end first */
    int64_t row;
    uint32_t number;
    char *payload;
    size_t len;
    struct chained_call *prev, *next;
};

/* ---- the end ----------------------------------------------------------------------------------
 */

/* Ends the operation where it still waits; result and error (NULL: none) are copied. */
static void end_operation(struct lambda *l, const char *execution, uint32_t number,
                          enum operation_status status, const char *result, size_t len,
                          const char *error)
{
    struct execution *e = map_get(&l->running, execution);
    struct operation *op = e ? execution_operation(e, number) : NULL;
    if (!op || e->status != EX_RUNNING || op->type != OP_CHAINED_INVOKE || op->status != OP_STARTED)
        return;
    auto_free char *too_long = NULL;
    if (result && len > OUTPUT_MAX) {
        too_long = error_object_make("Function.ResponseSizeTooLarge",
                                     "Response payload size exceeded maximum allowed payload size "
                                     "(1048576 bytes).");
        status = OP_FAILED;
        result = NULL;
        error = too_long;
    }
    op->result = result ? mem_dup_len(result, len) : NULL;
    op->result_len = result ? len : 0;
    op->error = mem_dup(error);
    lane_close_operation(l, e, op, status, lambda_now_ms(l));
    lane_trigger(l, e);
}

void chained_ended(struct lambda *l, const struct execution *child)
{
    static const enum operation_status of[EXECUTION_STATUSES] = { OP_STARTED, OP_SUCCEEDED,
                                                                  OP_FAILED, OP_TIMED_OUT,
                                                                  OP_STOPPED };
    if (!child->parent[0])
        return;
    auto_free char *timed_out = NULL;
    if (child->status == EX_TIMED_OUT) {
        auto_free char *message =
            mem_printf("CHAINED_INVOKE timed out after %" PRId64 " seconds.", child->timeout_s);
        timed_out = error_object_make("ChainedInvoke.Timeout", message);
    }
    end_operation(l, child->parent, child->parent_operation, of[child->status], child->result,
                  child->result_len, timed_out ? timed_out : child->error);
}

/* ---- plain targets ----------------------------------------------------------------------------
 */

static void call_free(struct chained_call *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        c->lambda->chained = c->next;
    if (c->next)
        c->next->prev = c->prev;
    free(c->payload);
    free(c);
}

static bool call_begin(void *arg, const char *request_id, int64_t now_ms, struct buf *event)
{
    (void)request_id, (void)now_ms;
    const struct chained_call *c = arg;
    buf_add(event, c->payload, c->len);
    return true;
}

static void call_done(void *arg, const struct invocation_outcome *o)
{
    struct chained_call *c = arg;
    struct lambda *l = c->lambda;
    auto_free char *error = o->end == INVOCATION_ERROR
                                ? error_object_from_lambda(o->body, o->len, o->error_type)
                                : NULL;
    store_begin(l->local->store);
    execution_store_forget_call(l->store, c->row, c->number);
    end_operation(l, c->execution, c->number, error ? OP_FAILED : OP_SUCCEEDED,
                  error ? NULL : o->body, o->len, error);
    store_commit(l->local->store);
    call_free(c);
}

static void call(struct lambda *l, const struct execution *e, uint32_t number, struct function *f,
                 const struct stored_call *stored)
{
    struct chained_call *c = mem_alloc(sizeof(*c));
    c->lambda = l;
    memcpy(c->execution, e->id, sizeof(c->execution));
    c->row = e->row;
    c->number = number;
    c->payload = mem_dup_len(stored->input, stored->input_len);
    c->len = stored->input_len;
    c->next = l->chained;
    if (c->next)
        c->next->prev = c;
    l->chained = c;
    const struct invocation_handler handler = { .begin = call_begin, .done = call_done, .arg = c };
    const struct invocation_context context = { .version = stored->version,
                                                .trace = e->trace,
                                                .tenant = stored->tenant };
    function_invoke(f, &context, &handler);
}

/* ---- the beginning ----------------------------------------------------------------------------
 */

/* Why the target can't be invoked, as an ErrorObject's text, the caller's; NULL where it can. */
static char *find_target(struct lambda *l, const struct update *u, struct invoke_target *target)
{
    struct error err;
    if (invoke_target_find(l, u->function_name, NULL, target, &err) < 0)
        return error_object_make(err.code == ERR_NOT_FOUND ? "ResourceNotFoundException"
                                                           : "InvalidParameterValueException",
                                 err.msg);
    if (target->config->durable && !target->qualified)
        return error_object_make("InvalidParameterValueException",
                                 "You cannot invoke a durable function using an unqualified ARN.");
    /* One that invokes itself without end must not take all memory. */
    if (start_is_full(target->function))
        return error_object_make("TooManyRequestsException", "Rate Exceeded.");
    return NULL;
}

void chained_begin(struct lambda *l, struct execution *e, struct operation *op,
                   const struct update *u, int64_t now_ms)
{
    struct invoke_target target = { 0 };
    struct event_chained details = { .function_name = u->function_name,
                                     .tenant = u->tenant,
                                     .input = u->payload,
                                     .input_len = u->payload_len };
    op->error = find_target(l, u, &target);
    if (op->error) {
        event_chained_started(l->store, e, op, &details, now_ms);
        lane_close_operation(l, e, op, OP_FAILED, now_ms);
        return;
    }
    details.version = target.version;
    if (target.config->durable) {
        const struct start s = { .function = target.function,
                                 .version = target.version,
                                 .input = u->payload,
                                 .input_len = u->payload_len,
                                 .trace = e->trace,
                                 .tenant = u->tenant,
                                 .parent = e,
                                 .parent_operation = op->number };
        details.execution_arn = start_execution(l, &s)->arn;
    } else {
        const struct stored_call stored = { .function = target.config->name,
                                            .version = target.version,
                                            .tenant = u->tenant,
                                            .input = u->payload ? u->payload : "{}",
                                            .input_len = u->payload ? u->payload_len : 2 };
        execution_store_call(l->store, e, op->number, &stored);
        call(l, e, op->number, target.function, &stored);
    }
    event_chained_started(l->store, e, op, &details, now_ms);
}

/* ---- after a crash ----------------------------------------------------------------------------
 */

/* A call that is not made again: nobody waits for it any more, or its function is gone. */
struct lost {
    int64_t row;
    char execution[RANDOM_UUID];
    uint32_t number;
    struct lost *next;
};

struct resume {
    struct lambda *lambda;
    struct lost *lost;
};

static void resume_call(void *arg, int64_t row, const char *execution_id, uint32_t number,
                        const struct stored_call *stored)
{
    struct resume *r = arg;
    const struct execution *e = map_get(&r->lambda->running, execution_id);
    struct function *f = map_get(&r->lambda->by_name, stored->function);
    if (e && f) {
        call(r->lambda, e, number, f, stored);
        return;
    }
    struct lost *lost = mem_alloc(sizeof(*lost));
    lost->row = row;
    snprintf(lost->execution, sizeof(lost->execution), "%s", execution_id);
    lost->number = number;
    lost->next = r->lost;
    r->lost = lost;
}

void chained_resume(struct lambda *l)
{
    struct resume r = { .lambda = l };
    execution_store_each_call(l->store, resume_call, &r);
    struct lost *next;
    for (struct lost *lost = r.lost; lost; lost = next) {
        next = lost->next;
        auto_free char *error =
            error_object_make("ResourceNotFoundException", "The function is not there any more.");
        execution_store_forget_call(l->store, lost->row, lost->number);
        end_operation(l, lost->execution, lost->number, OP_FAILED, NULL, 0, error);
        free(lost);
    }
}

void chained_free(struct lambda *l)
{
    while (l->chained)
        /* call_free() moves the head on. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        call_free(l->chained);
}

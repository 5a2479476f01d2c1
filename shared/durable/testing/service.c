#include "shared/durable/testing/service.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/base/json.h"

#define PAYLOAD_MAX      262144
#define INVOKE_INPUT_MAX 1048576
#define ERROR_MAX        32768

int64_t service_now_ms(const struct durable_test *t)
{
    return t->now_ms + (t->real_ms ? clock_mono_ms(clock_system()) - t->real_ms : 0);
}

struct test_operation *service_find(struct durable_test *t, const char *id)
{
    size_t at = index_find(&t->by_id, id);
    return at != INDEX_NONE ? t->op[at] : NULL;
}

void service_unseen(struct durable_test *t, struct test_operation *op)
{
    if (op->unseen)
        return;
    op->unseen = true;
    t->unseen = list_room(t->unseen, t->unseen_count, sizeof(*t->unseen));
    t->unseen[t->unseen_count++] = op->index;
}

uint64_t service_cost(const struct durable_test *t)
{
    return t->cost + t->by_id.cost + t->by_name.cost + t->by_callback_id.cost +
           t->list_by_name.cost + t->timers.cost;
}

void service_event(struct durable_test *t, const char *type, const char *name)
{
    buf_printf(&t->history, "%s%s%s\n", type, name ? " " : "", name ? name : "");
}

void operation_free_test(struct test_operation *op)
{
    free(op->id);
    free(op->parent_id);
    free(op->name);
    free(op->type);
    free(op->subtype);
    free(op->result);
    free(op->callback_id);
    free(op->function);
    free(op->tenant_id);
    free(op->payload);
    durable_error_release(&op->error);
    free(op);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static int refuse(struct error *err, const char *text)
{
    error_set(err, ERR_INVALID, 400, "%s", text);
    error_set_type(err, "InvalidParameterValueException");
    return -1;
}

static bool is(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool closed(const char *status)
{
    static const char *const ends[] = { "SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT",
                                        "STOPPED" };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (is(status, ends[i]))
            return true;
    return false;
}

/* The state that an action needs (durable-protocol 3.3). NULL: it is there. */
static const char *wrong_state(const struct test_operation *op, const char *type,
                               const char *action)
{
    const char *status = op ? op->view.status : NULL;
    bool start = is(action, "START");
    if (is(type, "STEP")) {
        if (start)
            return !op || is(status, "READY") ? NULL : "Invalid current STEP state to start.";
        if (!op || is(status, "STARTED") || is(status, "READY"))
            return NULL;
        return is(action, "RETRY") ? "Invalid current STEP state to re-attempt."
                                   : "Invalid current STEP state to close.";
    }
    if (start)
        return op ? "Cannot start an operation that already exist." : NULL;
    if (is(type, "CONTEXT") && (is(action, "SUCCEED") || is(action, "FAIL")))
        return op && is(status, "STARTED") ? NULL : "Invalid current CONTEXT state to close.";
    return "Invalid action for the given operation type.";
}

static const char *wrong_content(struct json_object *u, const char *type, const char *action)
{
    struct json_object *payload = json_get(u, "Payload");
    struct json_object *error = json_get(u, "Error");
    size_t len = payload ? (size_t)json_object_get_string_len(payload) : 0;
    size_t max = is(type, "CHAINED_INVOKE") ? INVOKE_INPUT_MAX : PAYLOAD_MAX;
    if (error && strlen(json_text(error, NULL)) >= ERROR_MAX)
        return "Error object size must be less than 32768 bytes.";
    if (error && is(action, "SUCCEED"))
        return "Cannot provide an Error for SUCCEED action.";
    if (payload && is(action, "FAIL"))
        return "Cannot provide a Payload for FAIL action.";
    if (payload && error)
        return "Cannot provide both error and payload to RETRY a STEP.";
    if (!is(type, "EXECUTION") && len > max)
        return "payload size must be less than or equal to the limit.";
    if (is(action, "RETRY") != (json_get(u, "StepOptions") != NULL))
        return "Invalid StepOptions for the given action.";
    if (is(type, "WAIT") && json_get_int(json_get(u, "WaitOptions"), "WaitSeconds", 0) < 1)
        return "Update for WAIT operation requires WaitOptions.";
    if (is(type, "CHAINED_INVOKE") &&
        !json_get_str(json_get(u, "ChainedInvokeOptions"), "FunctionName"))
        return "Update for CHAINED_INVOKE operation requires ChainedInvokeOptions.";
    return NULL;
}

static const char *inconsistent(const struct test_operation *op, struct json_object *u)
{
    if (!op)
        return NULL;
    if (!is(json_get_str(u, "Type"), op->type))
        return "Inconsistent operation type.";
    if (json_get(u, "SubType") && !same(json_get_str(u, "SubType"), op->subtype))
        return "Inconsistent operation subtype.";
    if (json_get(u, "Name") && !same(json_get_str(u, "Name"), op->name))
        return "Inconsistent operation name.";
    if (!same(json_get_str(u, "ParentId"), op->parent_id))
        return "Inconsistent parent operation id.";
    return NULL;
}

/* ---- updates --------------------------------------------------------------------------------- */

static void set_text(char **to, const char *text)
{
    char *copy = mem_dup(text);
    free(*to);
    *to = copy;
}

static void set_error(struct test_operation *op, const struct json_object *o)
{
    op->has_error = o != NULL;
    durable_error_release(&op->error);
    if (!o)
        return;
    durable_error_set(&op->error, json_get_str(o, "ErrorType"), "%s", "");
    free(op->error.message);
    op->error.message = mem_dup(json_get_str(o, "ErrorMessage"));
    op->error.data = mem_dup(json_get_str(o, "ErrorData"));
    struct json_object *stack = json_get_arr(o, "StackTrace");
    size_t n = stack ? json_object_array_length(stack) : 0;
    op->error.stack = mem_array(n ? n : 1, sizeof(char *));
    for (; op->error.stack_count < n; op->error.stack_count++)
        op->error.stack[op->error.stack_count] = mem_dup(
            json_object_get_string(json_object_array_get_idx(stack, op->error.stack_count)));
}

static struct test_operation *add_operation(struct durable_test *t, struct json_object *u)
{
    struct test_operation *op = mem_alloc(sizeof(*op));
    op->id = mem_dup(json_get_str(u, "Id"));
    op->parent_id = mem_dup(json_get_str(u, "ParentId"));
    op->name = mem_dup(json_get_str(u, "Name"));
    op->type = mem_dup(json_get_str(u, "Type"));
    op->subtype = mem_dup(json_get_str(u, "SubType"));
    op->view.started_ms = service_now_ms(t);
    op->index = t->op_count;
    t->op = list_room(t->op, t->op_count, sizeof(struct test_operation *));
    t->op[t->op_count++] = op;
    index_add(&t->by_id, op->id, op->index);
    index_add(&t->by_name, op->name, op->index);
    return op;
}

static void apply_step(struct durable_test *t, struct test_operation *op, struct json_object *u,
                       const char *action)
{
    if (is(action, "START")) {
        op->view.status = "STARTED";
        service_event(t, "StepStarted", op->name);
        return;
    }
    op->view.attempts++;
    set_text(&op->result, json_get_str(u, "Payload"));
    set_error(op, json_get_obj(u, "Error"));
    service_event(t, op->has_error ? "StepFailed" : "StepSucceeded", op->name);
    if (is(action, "RETRY")) {
        op->view.status = "PENDING";
        op->due_ms = service_now_ms(t) +
                     1000 * json_get_int(json_get(u, "StepOptions"), "NextAttemptDelaySeconds", 1);
        return;
    }
    op->view.status = is(action, "FAIL") ? "FAILED" : "SUCCEEDED";
    op->view.ended_ms = service_now_ms(t);
}

static void apply_context(struct durable_test *t, struct test_operation *op, struct json_object *u,
                          const char *action)
{
    if (is(action, "START")) {
        op->view.status = "STARTED";
        service_event(t, "ContextStarted", op->name);
        return;
    }
    set_text(&op->result, json_get_str(u, "Payload"));
    set_error(op, json_get_obj(u, "Error"));
    op->replay_children = json_get_bool(json_get(u, "ContextOptions"), "ReplayChildren", false);
    op->view.status = is(action, "FAIL") ? "FAILED" : "SUCCEEDED";
    op->view.ended_ms = service_now_ms(t);
    service_event(t, op->has_error ? "ContextFailed" : "ContextSucceeded", op->name);
}

static void start_callback(struct durable_test *t, struct test_operation *op, struct json_object *u)
{
    struct json_object *o = json_get(u, "CallbackOptions");
    auto_buf struct buf id = BUF_INIT(512);
    auto_free char *raw = mem_printf("?>callback %s", op->id); /* its base64 has / and + */
    encode_base64(&id, raw, strlen(raw));
    op->callback_id = mem_dup(buf_str(&id));
    index_add(&t->by_callback_id, op->callback_id, op->index);
    int64_t timeout_s = json_get_int(o, "TimeoutSeconds", 0);
    op->timeout_ms = timeout_s ? service_now_ms(t) + timeout_s * 1000 : 0;
    op->heartbeat_s = json_get_int(o, "HeartbeatTimeoutSeconds", 0);
    op->heartbeat_ms = op->heartbeat_s ? service_now_ms(t) + op->heartbeat_s * 1000 : 0;
    service_event(t, "CallbackStarted", op->name);
}

static void start_other(struct durable_test *t, struct test_operation *op, struct json_object *u)
{
    op->view.status = "STARTED";
    if (is(op->type, "WAIT")) {
        op->due_ms =
            service_now_ms(t) + 1000 * json_get_int(json_get(u, "WaitOptions"), "WaitSeconds", 1);
        service_event(t, "WaitStarted", op->name);
        return;
    }
    if (is(op->type, "CALLBACK")) {
        start_callback(t, op, u);
    } else {
        struct json_object *o = json_get(u, "ChainedInvokeOptions");
        op->function = mem_dup(json_get_str(o, "FunctionName"));
        op->tenant_id = mem_dup(json_get_str(o, "TenantId"));
        op->payload = mem_dup(json_get_str(u, "Payload"));
        service_event(t, "ChainedInvokeStarted", op->name);
    }
    world_started(t, t->op_count - 1);
}

static void close_execution(struct durable_test *t, struct json_object *u)
{
    bool failed = is(json_get_str(u, "Action"), "FAIL");
    t->status = failed ? DURABLE_TEST_FAILED : DURABLE_TEST_SUCCEEDED;
    set_text(&t->result, json_get_str(u, "Payload"));
    if (failed)
        durable_error_set(&t->error, json_get_str(json_get(u, "Error"), "ErrorType"), "%s",
                          json_get_str(json_get(u, "Error"), "ErrorMessage"));
    service_event(t, failed ? "ExecutionFailed" : "ExecutionSucceeded", NULL);
}

static const char *check(struct durable_test *t, struct json_object *u)
{
    const char *id = json_get_str(u, "Id");
    const char *type = json_get_str(u, "Type");
    const char *action = json_get_str(u, "Action");
    const char *parent = json_get_str(u, "ParentId");
    if (!id || !id[0] || !type || !action)
        return "Invalid operation id.";
    const char *wrong = wrong_content(u, type, action);
    if (wrong || is(type, "EXECUTION"))
        return wrong;
    const struct test_operation *op = service_find(t, id);
    const struct test_operation *up = service_find(t, parent);
    if (parent && (!up || !is(up->type, "CONTEXT")))
        return "Invalid parent operation id.";
    wrong = inconsistent(op, u);
    return wrong ? wrong : wrong_state(op, type, action);
}

static void apply(struct durable_test *t, struct json_object *u, bool *closes)
{
    const char *type = json_get_str(u, "Type");
    const char *action = json_get_str(u, "Action");
    if (is(type, "EXECUTION")) {
        close_execution(t, u);
        *closes = true;
        return;
    }
    struct test_operation *op = service_find(t, json_get_str(u, "Id"));
    if (!op)
        op = add_operation(t, u);
    service_unseen(t, op);
    if (is(type, "STEP"))
        apply_step(t, op, u, action);
    else if (is(type, "CONTEXT"))
        apply_context(t, op, u, action);
    else
        start_other(t, op, u);
    world_timed(t, op);
}

/* An id twice is START and end of a step or a context, and EXECUTION is the last. */
static const char *check_batch(struct json_object *updates)
{
    size_t n = json_object_array_length(updates);
    for (size_t i = 0; i < n; i++) {
        struct json_object *a = json_object_array_get_idx(updates, i);
        unsigned more = 0;
        if (is(json_get_str(a, "Type"), "EXECUTION") && i + 1 < n)
            return "EXECUTION checkpoint must be the last update.";
        for (size_t k = i + 1; k < n; k++) {
            struct json_object *b = json_object_array_get_idx(updates, k);
            if (!same(json_get_str(a, "Id"), json_get_str(b, "Id")))
                continue;
            if (more++ || !is(json_get_str(a, "Action"), "START") ||
                is(json_get_str(b, "Action"), "START"))
                return "Cannot update the same operation twice in a single request.";
        }
    }
    return NULL;
}

int service_apply(struct durable_test *t, struct json_object *updates, bool *closes,
                  struct error *err)
{
    size_t n = updates ? json_object_array_length(updates) : 0;
    const char *wrong = updates ? check_batch(updates) : NULL;
    *closes = false;
    /* What is refused ends the execution, so nobody sees that the updates before it were applied.
     */
    for (size_t i = 0; !wrong && i < n; i++) {
        struct json_object *u = json_object_array_get_idx(updates, i);
        wrong = check(t, u);
        if (!wrong)
            apply(t, u, closes);
    }
    return wrong ? refuse(err, wrong) : 0;
}

/* ---- records --------------------------------------------------------------------------------- */

static struct json_object *error_json(const struct durable_error *e)
{
    struct json_object *o = json_object_new_object();
    json_add_str(o, "ErrorType", e->type);
    json_add_str(o, "ErrorMessage", e->message);
    json_add_str(o, "ErrorData", e->data);
    if (e->stack_count) {
        struct json_object *stack = json_object_new_array();
        for (size_t i = 0; i < e->stack_count; i++)
            json_push(stack, json_new_str(e->stack[i]));
        json_add(o, "StackTrace", stack);
    }
    return o;
}

/* Milliseconds in an event, seconds elsewhere. */
static void add_time(struct json_object *o, const char *key, int64_t ms, bool event)
{
    if (ms)
        json_add(o, key,
                 event ? json_object_new_int64(ms) : json_object_new_double((double)ms / 1000));
}

static struct json_object *record(const struct test_operation *op, bool event)
{
    static const char *const details[][2] = { { "STEP", "StepDetails" },
                                              { "WAIT", "WaitDetails" },
                                              { "CONTEXT", "ContextDetails" },
                                              { "CALLBACK", "CallbackDetails" },
                                              { "CHAINED_INVOKE", "ChainedInvokeDetails" } };
    struct json_object *o = json_object_new_object();
    struct json_object *d = json_object_new_object();
    json_add_str(o, "Id", op->id);
    json_add_str(o, "ParentId", op->parent_id);
    json_add_str(o, "Name", op->name);
    json_add_str(o, "Type", op->type);
    json_add_str(o, "SubType", op->subtype);
    json_add_str(o, "Status", op->view.status);
    add_time(o, "StartTimestamp", op->view.started_ms, event);
    add_time(o, "EndTimestamp", op->view.ended_ms, event);
    json_add_str(d, "Result", op->result);
    json_add_str(d, "CallbackId", op->callback_id);
    if (op->has_error)
        json_add(d, "Error", error_json(&op->error));
    if (op->replay_children)
        json_add_bool(d, "ReplayChildren", true);
    if (is(op->type, "STEP")) {
        json_add_int(d, "Attempt", op->view.attempts);
        add_time(d, "NextAttemptTimestamp", op->due_ms, event);
    } else {
        add_time(d, "ScheduledEndTimestamp", op->due_ms, event);
    }
    for (size_t i = 0; i < ARRAY_LEN(details); i++)
        if (is(op->type, details[i][0]))
            json_add(o, details[i][1], json_object_get(d));
    json_object_put(d);
    return o;
}

/* Inside a context that has ended and is not to be run again. */
static bool pruned(struct durable_test *t, const struct test_operation *op)
{
    for (const struct test_operation *up = service_find(t, op->parent_id); up;
         up = service_find(t, up->parent_id))
        if (closed(up->view.status) && !up->replay_children)
            return true;
    return false;
}

static int by_number(const void *a, const void *b)
{
    const size_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static struct json_object *unseen_operations(struct durable_test *t, bool event)
{
    struct json_object *all = json_object_new_array();
    if (t->unseen_count)
        qsort(t->unseen, t->unseen_count, sizeof(*t->unseen), by_number);
    for (size_t i = 0; i < t->unseen_count; i++, t->cost++)
        json_push(all, record(t->op[t->unseen[i]], event));
    return all;
}

static struct json_object *all_operations(struct durable_test *t, bool event)
{
    struct json_object *all = json_object_new_array();
    for (size_t i = 0; i < t->op_count; i++, t->cost++)
        if (!pruned(t, t->op[i]))
            json_push(all, record(t->op[i], event));
    return all;
}

struct json_object *service_operations(struct durable_test *t, bool unseen, bool event)
{
    struct json_object *all = unseen ? unseen_operations(t, event) : all_operations(t, event);
    for (size_t i = 0; i < t->unseen_count; i++)
        t->op[t->unseen[i]]->unseen = false;
    free(t->unseen);
    t->unseen = NULL;
    t->unseen_count = 0;
    return all;
}

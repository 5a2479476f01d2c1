#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "shared/durable/invocation.h"
#include "shared/durable/testing/service.h"

#define START_MS        1767225600000 /* 2026-01-01T00:00:00Z */
#define YEAR_S          31622400
#define MAX_INVOCATIONS 10000
#define INVOCATION_MS   900000
#define ID              "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
#define RESPONSE_MAX    (8U << 20)
#define TEXT_MAX_BYTES  (256U << 20)
#define CRASH_PAUSE_MS  1000

struct durable_test *durable_test_new(const struct durable_test_opts *opts)
{
    struct durable_test *t = mem_alloc(sizeof(*t));
    if (opts)
        t->opts = *opts;
    t->execution_name = mem_dup(t->opts.execution_name ? t->opts.execution_name : "test");
    t->arn = mem_printf("arn:aws:lambda:us-east-1:123456789012:function:test:1/"
                        "durable-execution/%s/" ID,
                        t->execution_name);
    t->now_ms = t->opts.start_ms ? t->opts.start_ms : START_MS;
    if (!t->opts.execution_timeout_s)
        t->opts.execution_timeout_s = YEAR_S;
    if (!t->opts.max_invocations)
        t->opts.max_invocations = MAX_INVOCATIONS;
    buf_init(&t->history, TEXT_MAX_BYTES);
    buf_init(&t->log, TEXT_MAX_BYTES);
    return t;
}

void durable_test_free(struct durable_test *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->op_count; i++)
        operation_free_test(t->op[i]);
    for (size_t i = 0; i < t->script_count; i++) {
        free(t->script[i].name);
        free(t->script[i].text);
        free(t->script[i].message);
    }
    for (size_t i = 0; i < t->function_count; i++) {
        free(t->function[i].name);
        free(t->function[i].status);
        free(t->function[i].text);
        free(t->function[i].message);
    }
    for (size_t i = 0; i < t->happening_count; i++) {
        free(t->happening[i].status);
        free(t->happening[i].text);
        free(t->happening[i].message);
    }
    for (unsigned i = 0; i < t->requests; i++)
        free(t->request[i]);
    free(t->op);
    index_release(&t->by_id);
    index_release(&t->by_name);
    index_release(&t->by_callback_id);
    index_release(&t->list_by_name);
    timers_release(&t->timers);
    json_object_put(t->state);
    free(t->unseen);
    free(t->lists);
    free(t->script);
    free(t->function);
    free(t->happening);
    free(t->fault);
    free(t->request);
    free(t->execution_name);
    free(t->arn);
    free(t->input);
    free(t->result);
    durable_error_release(&t->error);
    buf_release(&t->history);
    buf_release(&t->log);
    free(t);
}

void durable_test_fault(struct durable_test *t, unsigned n, enum durable_test_fault fault)
{
    t->fault = list_room(t->fault, t->fault_count, sizeof(*t->fault));
    t->fault[t->fault_count++] = (struct fault){ .n = n, .fault = fault };
}

/* ---- the edge -------------------------------------------------------------------------------- */

static int lost(struct error *err)
{
    return error_set(err, ERR_NET, 0, "the process of the function has died");
}

static int refused(struct error *err, enum error_code code, int status, const char *type,
                   const char *text)
{
    error_set(err, code, status, "%s", text);
    error_set_type(err, type);
    return -1;
}

static const struct fault *fault_at(const struct durable_test *t, unsigned n)
{
    for (size_t i = 0; i < t->fault_count; i++)
        if (t->fault[i].n == n)
            return &t->fault[i];
    return NULL;
}

/* What meets the request before it is taken. 0: nothing. */
static int fault_before(struct durable_test *t, const struct fault *f, struct error *err)
{
    if (!f)
        return 0;
    switch (f->fault) {
    case DURABLE_TEST_LOST_REQUEST:
        t->dead = true;
        return lost(err);
    case DURABLE_TEST_REFUSED:
        return refused(err, ERR_INVALID, 400, "InvalidParameterValueException",
                       "refused, as the test has ordered");
    case DURABLE_TEST_THROTTLED:
        return refused(err, ERR_THROTTLED, 429, "TooManyRequestsException", "Rate exceeded");
    case DURABLE_TEST_STALE:
        return refused(err, ERR_INVALID, 400, "InvalidParameterValueException",
                       "Invalid checkpoint token");
    case DURABLE_TEST_LOST_ANSWER:
    case DURABLE_TEST_NO_TOKEN:
        break;
    }
    return 0;
}

static bool token_is_current(const struct durable_test *t, const char *token)
{
    char current[32];
    snprintf(current, sizeof(current), "T%u", t->token);
    return token && strcmp(token, current) == 0;
}

static void keep_request(struct durable_test *t, const char *body)
{
    t->request = list_room(t->request, t->requests, sizeof(*t->request));
    t->request[t->requests++] = mem_dup(body);
}

static struct json_object *answer(struct durable_test *t, bool closes)
{
    struct json_object *o = json_object_new_object();
    struct json_object *state = json_object_new_object();
    char token[32];
    if (!closes) {
        snprintf(token, sizeof(token), "T%u", ++t->token);
        json_add_str(o, "CheckpointToken", token);
    }
    json_add(state, "Operations", service_operations(t, true, false));
    json_add(o, "NewExecutionState", state);
    return o;
}

/* What pages are read of is out of date. */
static void drop_state(struct durable_test *t)
{
    json_object_put(t->state);
    t->state = NULL;
}

static int edge_checkpoint(void *arg, const char *arn, const char *body, size_t len,
                           struct json_object **out, struct error *err)
{
    struct durable_test *t = arg;
    auto_json struct json_object *request = NULL;
    bool closes;
    (void)arn;
    if (t->dead)
        return lost(err);
    keep_request(t, body);
    drop_state(t);
    const struct fault *fault = fault_at(t, t->requests);
    if (fault_before(t, fault, err) < 0 || json_parse(body, len, JSON_DEPTH, &request, err) < 0)
        return -1;
    if (!token_is_current(t, json_get_str(request, "CheckpointToken")))
        return refused(err, ERR_INVALID, 400, "InvalidParameterValueException",
                       "Invalid checkpoint token");
    world_pass(t, service_now_ms(t));
    if (service_apply(t, json_get_arr(request, "Updates"), &closes, err) < 0)
        return -1;
    if (fault && fault->fault == DURABLE_TEST_LOST_ANSWER) {
        t->dead = true;
        return lost(err);
    }
    t->withheld = fault && fault->fault == DURABLE_TEST_NO_TOKEN;
    *out = answer(t, closes || t->withheld);
    return 0;
}

/* Of `all`, the page that begins at `first`: {"Operations","NextMarker"}. */
static struct json_object *page(const struct durable_test *t, struct json_object *all, size_t first)
{
    size_t count = json_object_array_length(all);
    size_t end = t->opts.page && first + t->opts.page < count ? first + t->opts.page : count;
    struct json_object *o = json_object_new_object();
    struct json_object *ops = json_object_new_array();
    char marker[32] = "";
    for (size_t i = first; i < end; i++)
        json_push(ops, json_object_get(json_object_array_get_idx(all, i)));
    json_add(o, "Operations", ops);
    if (end < count)
        snprintf(marker, sizeof(marker), "%zu", end);
    json_add_str(o, "NextMarker", marker);
    return o;
}

static struct json_object *everything(struct durable_test *t, bool event)
{
    struct json_object *all = json_object_new_array();
    struct json_object *execution = json_object_new_object();
    struct json_object *details = json_object_new_object();
    struct json_object *ops = service_operations(t, false, event);
    json_add_str(execution, "Id", ID);
    json_add_str(execution, "Type", "EXECUTION");
    json_add_str(execution, "Name", t->execution_name);
    json_add_str(execution, "Status", "STARTED");
    json_add_int(execution, "StartTimestamp",
                 t->ends_ms - t->opts.execution_timeout_s * 1000); /* ms: above 1e11 either way */
    json_add_str(details, "InputPayload", t->input);
    json_add(execution, "ExecutionDetails", details);
    json_push(all, execution);
    for (size_t i = 0; i < json_object_array_length(ops); i++)
        json_push(all, json_object_get(json_object_array_get_idx(ops, i)));
    json_object_put(ops);
    return all;
}

static int edge_state(void *arg, const char *arn, const char *token, const char *marker,
                      unsigned max_items, struct json_object **out, struct error *err)
{
    struct durable_test *t = arg;
    (void)arn, (void)max_items;
    if (t->dead)
        return lost(err);
    if (!token_is_current(t, token))
        return refused(err, ERR_INVALID, 400, "InvalidParameterValueException",
                       "Invalid checkpoint token");
    if (!t->state)
        t->state = everything(t, false);
    *out = page(t, t->state, strtoul(marker, NULL, 10));
    return 0;
}

static int64_t edge_now(void *arg)
{
    return service_now_ms(arg);
}

static void edge_log(void *arg, const char *line, size_t len)
{
    buf_add(&((struct durable_test *)arg)->log, line, len);
}

/* ---- running --------------------------------------------------------------------------------- */

static char *event_text(struct durable_test *t)
{
    auto_json struct json_object *event = json_object_new_object();
    char token[32];
    snprintf(token, sizeof(token), "T%u", ++t->token);
    json_add_str(event, "DurableExecutionArn", t->arn);
    json_add_str(event, "CheckpointToken", token);
    auto_json struct json_object *all = everything(t, true);
    json_add(event, "InitialExecutionState", page(t, all, 0));
    return mem_dup(json_text(event, NULL));
}

static void fail_with(struct durable_test *t, const char *type, const char *message)
{
    t->status = DURABLE_TEST_FAILED;
    durable_error_set(&t->error, type, "%s", message ? message : "");
}

/* The envelope that the invocation has answered with. True: it has suspended. */
static bool take_envelope(struct durable_test *t, const struct buf *response)
{
    auto_json struct json_object *o = NULL;
    struct error err;
    const char *status = NULL;
    if (json_parse(buf_str(response), response->len, JSON_DEPTH, &o, &err) == 0)
        status = json_get_str(o, "Status");
    if (status && strcmp(status, "PENDING") == 0)
        return true;
    if (status && strcmp(status, "SUCCEEDED") == 0) {
        t->status = DURABLE_TEST_SUCCEEDED;
        t->result = mem_dup(json_get_str(o, "Result"));
        service_event(t, "ExecutionSucceeded", NULL);
    } else {
        struct json_object *e = json_get(o, "Error");
        fail_with(t, json_get_str(e, "ErrorType"), json_get_str(e, "ErrorMessage"));
        durable_error_set_data(&t->error, json_get_str(e, "ErrorData"));
        service_event(t, "ExecutionFailed", NULL);
    }
    return false;
}

/* One invocation. True: it has suspended; false: it has ended, in whatever way. */
static bool invoke(struct durable_test *t, durable_fn *handler, void *arg)
{
    const struct durable_edge edge = { .checkpoint = edge_checkpoint,
                                       .state = edge_state,
                                       .now_ms = edge_now,
                                       .log = edge_log,
                                       .log_level = DURABLE_LOG_DEBUG,
                                       .max_threads = t->opts.max_threads,
                                       .arg = t };
    drop_state(t);
    auto_free char *event = event_text(t);
    auto_buf struct buf response = BUF_INIT(RESPONSE_MAX);
    struct error err = { 0 };
    char request_id[32];
    t->invocations++;
    t->dead = false;
    t->withheld = false;
    if (t->opts.max_threads)
        t->real_ms = clock_mono_ms(clock_system());
    snprintf(request_id, sizeof(request_id), "request-%u", t->invocations);
    const struct invocation inv = { .event = event,
                                    .event_len = strlen(event),
                                    .request_id = request_id,
                                    .deadline_ms = service_now_ms(t) + INVOCATION_MS,
                                    .edge = &edge,
                                    .serdes = t->opts.serdes };
    int rc = invocation_run(&inv, handler, arg, &response, &err);
    t->now_ms = service_now_ms(t);
    t->real_ms = 0;
    service_event(t, "InvocationCompleted", NULL);
    if (t->status != DURABLE_TEST_RUNNING)
        return false;                 /* closed by its EXECUTION checkpoint */
    durable_error_release(&t->error); /* of an invocation before */
    if (rc == 0)
        return take_envelope(t, &response);
    durable_error_set(&t->error, err.type[0] ? err.type : "InvocationError", "%s", err.msg);
    t->now_ms += CRASH_PAUSE_MS; /* it is invoked again a little later */
    return false;
}

static bool has_pending(const struct durable_test *t)
{
    static const char *const waits[] = { "PENDING", "READY", "STARTED" };
    for (size_t i = 0; i < t->op_count; i++)
        for (size_t k = 0; k < ARRAY_LEN(waits); k++)
            if (strcmp(t->op[i]->view.status, waits[k]) == 0 &&
                strcmp(t->op[i]->type, "CONTEXT") != 0)
                return true;
    return t->unseen_count > 0;
}

/* A suspended execution: time goes to what is due next. False: nothing is. */
static bool sleep_until_woken(struct durable_test *t)
{
    world_pass(t, t->now_ms);
    while (t->unseen_count == 0) {
        int64_t next = world_next_ms(t);
        if (next == INT64_MAX)
            return false;
        if (next >= t->ends_ms) {
            t->now_ms = t->ends_ms;
            t->status = DURABLE_TEST_TIMED_OUT;
            service_event(t, "ExecutionTimedOut", NULL);
            return false;
        }
        if (next > t->now_ms)
            t->now_ms = next;
        world_pass(t, t->now_ms);
    }
    return true;
}

enum durable_test_status durable_test_run(struct durable_test *t, durable_fn *handler, void *arg,
                                          const char *input)
{
    if (!t->begun) {
        t->begun = true;
        t->input = mem_dup(input);
        t->ends_ms = t->now_ms + t->opts.execution_timeout_s * 1000;
        service_event(t, "ExecutionStarted", NULL);
    } else if (t->status == DURABLE_TEST_RUNNING && !sleep_until_woken(t)) {
        return t->status;
    }
    for (unsigned n = 0; n < t->opts.max_invocations && t->status == DURABLE_TEST_RUNNING; n++) {
        if (!invoke(t, handler, arg) || t->withheld)
            continue;
        if (!has_pending(t)) {
            fail_with(t, "InvalidParameterValueException",
                      "Cannot return PENDING status with no pending operations.");
            service_event(t, "ExecutionFailed", NULL);
        } else if (!sleep_until_woken(t)) {
            break;
        }
    }
    return t->status;
}

/* ---- looking --------------------------------------------------------------------------------- */

enum durable_test_status durable_test_status(const struct durable_test *t)
{
    return t->status;
}

const char *durable_test_result(const struct durable_test *t)
{
    return t->result;
}

const struct durable_error *durable_test_error(const struct durable_test *t)
{
    return &t->error;
}

/* True where it was open. */
static bool send(struct durable_test *t, const char *callback_id, const char *status,
                 const char *text, const char *message)
{
    size_t at = index_find(&t->by_callback_id, callback_id);
    return at != INDEX_NONE && world_callback_ends(t, t->op[at], status, text, message);
}

bool durable_test_send_success(struct durable_test *t, const char *callback_id, const char *result)
{
    return send(t, callback_id, "SUCCEEDED", result, NULL);
}

bool durable_test_send_failure(struct durable_test *t, const char *callback_id, const char *type,
                               const char *message)
{
    return send(t, callback_id, "FAILED", type, message);
}

size_t durable_test_count(const struct durable_test *t)
{
    return t->op_count;
}

const struct durable_test_operation *durable_test_operation(struct durable_test *t, size_t i)
{
    if (i >= t->op_count)
        return NULL;
    struct test_operation *op = t->op[i];
    op->view.id = op->id;
    op->view.parent_id = op->parent_id;
    op->view.name = op->name;
    op->view.type = op->type;
    op->view.subtype = op->subtype;
    op->view.result = op->result;
    op->view.error_type = op->has_error ? op->error.type : NULL;
    op->view.error_message = op->has_error ? op->error.message : NULL;
    op->view.callback_id = op->callback_id;
    op->view.function = op->function;
    op->view.payload = op->payload;
    return &op->view;
}

const struct durable_test_operation *durable_test_find(struct durable_test *t, const char *name)
{
    size_t at = index_find(&t->by_name, name);
    return at != INDEX_NONE ? durable_test_operation(t, at) : NULL;
}

const char *durable_test_history(const struct durable_test *t)
{
    return buf_str(&t->history);
}

const char *durable_test_log(const struct durable_test *t)
{
    return buf_str(&t->log);
}

int64_t durable_test_now_ms(const struct durable_test *t)
{
    return t->now_ms;
}

unsigned durable_test_invocations(const struct durable_test *t)
{
    return t->invocations;
}

unsigned durable_test_checkpoints(const struct durable_test *t)
{
    return t->requests;
}

const char *durable_test_request(const struct durable_test *t, unsigned n)
{
    return n >= 1 && n <= t->requests ? t->request[n - 1] : NULL;
}

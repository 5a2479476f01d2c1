/* Executions of the SDK with branches on threads, against a service in this process: nested
 * batches, waits, retries, callbacks and children go on while others run, losers are abandoned, the
 * number of threads is anything from one to many. For the thread sanitizer; on the way each request
 * is held against what the service demands, and each result against the one that is due. */
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/digest.h"
#include "shared/base/json.h"
#include "shared/durable/invocation.h"

#define ARN                                                                                        \
    "arn:aws:lambda:us-east-1:123456789012:function:fn:1/durable-execution/e1/"                    \
    "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
#define ID             "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
#define EXECUTIONS     16
#define INVOCATIONS    1000
#define SECOND_MS      20 /* of the service's, in real time */
#define RESPONSE_LIMIT (1U << 20)

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* ---- the service ----------------------------------------------------------------------------- */

struct service {
    struct json_object *operations; /* in start order; the first is EXECUTION */
    unsigned token;
    atomic_bool busy; /* a request is in flight: there must never be two */
    unsigned lost;    /* every so many-th request fails with a server error; 0: none */
    unsigned requests;
};

static int64_t now_ms(void *arg)
{
    (void)arg;
    return clock_wall_ms(clock_system());
}

static struct json_object *find(const struct service *s, const char *id)
{
    for (size_t i = 0; i < json_object_array_length(s->operations); i++) {
        struct json_object *o = json_object_array_get_idx(s->operations, i);
        if (strcmp(json_get_str(o, "Id"), id) == 0)
            return o;
    }
    return NULL;
}

static void set_status(struct json_object *op, const char *status)
{
    json_add_str(op, "Status", status);
}

static struct json_object *details(struct json_object *op)
{
    static const char *const keys[][2] = { { "STEP", "StepDetails" },
                                           { "WAIT", "WaitDetails" },
                                           { "CONTEXT", "ContextDetails" },
                                           { "CALLBACK", "CallbackDetails" } };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (strcmp(json_get_str(op, "Type"), keys[i][0]) == 0) {
            if (!json_get(op, keys[i][1]))
                json_add(op, keys[i][1], json_object_new_object());
            return json_get(op, keys[i][1]);
        }
    return NULL;
}

/* When the service itself changes the operation; 0: never. Not part of what it tells. */
static void set_due(struct json_object *op, int64_t seconds)
{
    json_add_int(op, "due", now_ms(NULL) + seconds * SECOND_MS);
}

static void start(struct service *s, struct json_object *op, struct json_object *update)
{
    const char *type = json_get_str(update, "Type");
    if (!op) {
        op = json_object_new_object();
        static const char *const copied[] = { "Id", "Type", "SubType", "Name", "ParentId" };
        for (size_t i = 0; i < ARRAY_LEN(copied); i++)
            json_add_str(op, copied[i], json_get_str(update, copied[i]));
        const char *parent = json_get_str(update, "ParentId");
        MUST(!parent || find(s, parent));
        json_object_array_add(s->operations, op);
    } else {
        MUST(strcmp(json_get_str(op, "Status"), "READY") == 0);
    }
    set_status(op, "STARTED");
    int64_t seconds = json_get_int(json_get_obj(update, "WaitOptions"), "WaitSeconds", 0);
    if (strcmp(type, "WAIT") == 0) {
        set_due(op, seconds);
        json_add_int(details(op), "ScheduledEndTimestamp", json_get_int(op, "due", 0));
    } else if (strcmp(type, "CALLBACK") == 0) {
        json_add_str(details(op), "CallbackId", "Y2FsbGJhY2s=");
        set_due(op, 2);
    }
}

static void end(struct json_object *op, struct json_object *update, const char *action)
{
    struct json_object *d = details(op);
    const char *status = json_get_str(op, "Status");
    MUST(strcmp(status, "STARTED") == 0 || strcmp(status, "READY") == 0);
    json_object_object_del(d, "Error");
    json_object_object_del(d, "Result");
    json_add_str(d, "Result", json_get_str(update, "Payload"));
    if (json_get(update, "Error"))
        json_add(d, "Error", json_object_get(json_get(update, "Error")));
    json_add_int(d, "Attempt", json_get_int(d, "Attempt", 0) + 1);
    if (json_get_bool(json_get_obj(update, "ContextOptions"), "ReplayChildren", false))
        json_add_bool(d, "ReplayChildren", true);
    if (strcmp(action, "RETRY") == 0) {
        set_status(op, "PENDING");
        set_due(op,
                json_get_int(json_get_obj(update, "StepOptions"), "NextAttemptDelaySeconds", 0));
        json_add_int(d, "NextAttemptTimestamp", json_get_int(op, "due", 0));
    } else {
        set_status(op, strcmp(action, "SUCCEED") == 0 ? "SUCCEEDED" : "FAILED");
    }
}

static void apply(struct service *s, struct json_object *update)
{
    const char *action = json_get_str(update, "Action");
    struct json_object *op = find(s, json_get_str(update, "Id"));
    if (strcmp(action, "START") == 0) {
        start(s, op, update);
        return;
    }
    MUST(op);
    end(op, update, action);
}

/* What is due happens. True: something has. */
static bool timers(struct service *s)
{
    bool any = false;
    for (size_t i = 0; i < json_object_array_length(s->operations); i++) {
        struct json_object *op = json_object_array_get_idx(s->operations, i);
        int64_t due = json_get_int(op, "due", 0);
        if (!due || due > now_ms(NULL))
            continue;
        json_object_object_del(op, "due");
        const char *type = json_get_str(op, "Type");
        set_status(op, strcmp(type, "STEP") == 0 ? "READY" : "SUCCEEDED");
        if (strcmp(type, "CALLBACK") == 0)
            json_add_str(details(op), "Result", "answered");
        any = true;
    }
    return any;
}

/* The whole state is told each time: merging must not mind. */
static struct json_object *answer_of(struct service *s)
{
    struct error err;
    struct json_object *o = NULL;
    auto_free char *text =
        mem_printf("{\"CheckpointToken\":\"T%u\",\"NewExecutionState\":{\"Operations\":%s}}",
                   ++s->token, json_text(s->operations, NULL));
    MUST(json_parse_str(text, &o, &err) == 0);
    return o;
}

static int checkpoint(void *arg, const char *arn, const char *body, size_t len,
                      struct json_object **answer, struct error *err)
{
    struct service *s = arg;
    auto_json struct json_object *request = NULL;
    auto_free char *token = mem_printf("T%u", s->token);
    MUST(!atomic_exchange(&s->busy, true));
    MUST(strcmp(arn, ARN) == 0);
    MUST(json_parse(body, len, JSON_DEPTH, &request, err) == 0);
    MUST(strcmp(json_get_str(request, "CheckpointToken"), token) == 0);
    struct json_object *updates = json_get_arr(request, "Updates");
    MUST(json_object_array_length(updates) <= 250);
    if (s->lost && ++s->requests % s->lost == 0) {
        atomic_store(&s->busy, false);
        error_set(err, ERR_UNAVAILABLE, 503, "not now");
        error_set_type(err, "ServiceException");
        return -1;
    }
    for (size_t i = 0; i < json_object_array_length(updates); i++)
        apply(s, json_object_array_get_idx(updates, i));
    timers(s);
    *answer = answer_of(s);
    atomic_store(&s->busy, false);
    return 0;
}

static int state(void *arg, const char *arn, const char *token, const char *marker,
                 unsigned max_items, struct json_object **page, struct error *err)
{
    (void)arg, (void)arn, (void)token, (void)max_items, (void)page, (void)err;
    MUST(!marker); /* there are no pages */
    return -1;
}

static void no_log(void *arg, const char *line, size_t len)
{
    (void)arg, (void)line;
    MUST(len > 0);
}

/* ---- the workflow ---------------------------------------------------------------------------- */

static void dawdle(void)
{
    clock_sleep_ms(clock_system(), (int64_t)(random_u64() % 4));
}

static int number(struct durable_step *step, void *arg, struct json_object **out,
                  struct durable_error *err)
{
    (void)err;
    dawdle();
    durable_step_log(step, DURABLE_LOG_INFO, "a step");
    *out = json_object_new_int(*(const int *)arg);
    return 0;
}

static int at_second(struct durable_step *step, void *arg, struct json_object **out,
                     struct durable_error *err)
{
    dawdle();
    if (durable_step_attempt(step) > 1)
        return number(step, arg, out, err);
    durable_error_set(err, "Once", "fails");
    return -1;
}

static int never(struct durable_step *step, void *arg, struct json_object **out,
                 struct durable_error *err)
{
    (void)arg, (void)out;
    dawdle();
    while (!durable_step_abandoned(step) && random_u64() % 50)
        clock_sleep_ms(clock_system(), 1);
    durable_error_set(err, "Never", "fails");
    return -1;
}

static enum durable_rc leaf(struct durable_ctx *ctx, int n, struct json_object **out,
                            struct durable_error *err)
{
    static const struct durable_step_opts soon = { .retry = DURABLE_RETRY_FIXED(3, 1) };
    static const struct durable_step_opts once = { .retry = DURABLE_RETRY_FIXED(3, 1),
                                                   .at_most_once = true };
    auto_durable_callback struct durable_callback cb = { 0 };
    durable_log(ctx, DURABLE_LOG_INFO, "leaf %d", n);
    switch (n % 5) {
    case 0:
        return durable_step(ctx, "plain", number, &n, NULL, out, err);
    case 1:
        DURABLE_TRY(durable_wait(ctx, "pause", 1 + n % 3, err));
        return durable_step(ctx, "after", number, &n, NULL, out, err);
    case 2:
        return durable_step(ctx, "retried", at_second, &n, &soon, out, err);
    case 3:
        DURABLE_TRY(durable_callback_create(ctx, "call", NULL, &cb, err));
        DURABLE_TRY(durable_callback_result(ctx, &cb, NULL, err));
        return durable_step(ctx, "called", number, &n, NULL, out, err);
    default:
        return durable_step(ctx, "once", number, &n, &once, out, err);
    }
}

static enum durable_rc leaf_body(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return leaf(ctx, json_object_get_int(in), out, err);
}

static enum durable_rc item(struct durable_ctx *ctx, struct json_object *in, size_t index,
                            void *arg, struct json_object **out, struct durable_error *err)
{
    (void)arg;
    if (index % 2)
        return leaf(ctx, json_object_get_int(in), out, err);
    return durable_child(ctx, "child", leaf_body, in, NULL, NULL, out, err);
}

static struct json_object *range(int n)
{
    struct json_object *items = json_object_new_array();
    for (int i = 0; i < n; i++)
        json_object_array_add(items, json_object_new_int(i));
    return items;
}

/* `arg` points to the options. */
static enum durable_rc tree(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    (void)in;
    auto_json struct json_object *items = range(10);
    auto_durable_batch struct durable_batch *batch = NULL;
    DURABLE_TRY(durable_map(ctx, "tree", items, item, NULL, arg, &batch, err));
    *out = durable_batch_values(batch);
    return DURABLE_OK;
}

static enum durable_rc failing(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    static const struct durable_step_opts patient = { .retry = DURABLE_RETRY_FIXED(100, 1) };
    return durable_step(ctx, "never", never, NULL, &patient, out, err);
}

static enum durable_rc winner(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    int n = 7;
    DURABLE_TRY(durable_wait(ctx, "head start", 1, err));
    return durable_step(ctx, "wins", number, &n, NULL, out, err);
}

static enum durable_rc race(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    static const struct durable_batch_opts first = { .completion = { .min_successful =
                                                                         DURABLE_LIMIT(1) } };
    static const struct durable_branch branches[] = { { NULL, failing, NULL },
                                                      { NULL, winner, NULL },
                                                      { NULL, failing, NULL } };
    auto_durable_batch struct durable_batch *batch = NULL;
    DURABLE_TRY(durable_parallel(ctx, "race", branches, 3, &first, &batch, err));
    *out = durable_batch_values(batch);
    return DURABLE_OK;
}

static enum durable_rc workflow(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    struct durable_batch_opts all = { 0 }, few = { .max_concurrency = DURABLE_LIMIT(3) };
    struct durable_batch_opts flat = { .flat = true };
    const struct durable_branch branches[] = { { "all", tree, &all },
                                               { "few", tree, &few },
                                               { "flat", tree, &flat },
                                               { "race", race, NULL } };
    auto_durable_batch struct durable_batch *batch = NULL;
    DURABLE_TRY(durable_parallel(ctx, "forest", branches, 4, NULL, &batch, err));
    DURABLE_TRY(durable_batch_check(batch, err));
    *out = durable_batch_values(batch);
    return DURABLE_OK;
}

#define TREE     "[0,1,2,3,4,5,6,7,8,9]"
#define EXPECTED "[" TREE "," TREE "," TREE ",[7]]"

/* ---- executions ------------------------------------------------------------------------------ */

static struct json_object *event_of(struct service *s)
{
    struct error err;
    struct json_object *o = NULL;
    auto_free char *text =
        mem_printf("{\"DurableExecutionArn\":\"" ARN "\",\"CheckpointToken\":\"T%u\","
                   "\"InitialExecutionState\":{\"Operations\":%s,\"NextMarker\":\"\"}}",
                   s->token, json_text(s->operations, NULL));
    MUST(json_parse_str(text, &o, &err) == 0);
    return o;
}

/* One invocation. True: the execution has ended, as it should. */
static bool invoke(struct service *s, unsigned max_threads)
{
    const struct durable_edge edge = { .checkpoint = checkpoint,
                                       .state = state,
                                       .now_ms = now_ms,
                                       .log = no_log,
                                       .log_level = DURABLE_LOG_INFO,
                                       .max_threads = max_threads,
                                       .arg = s };
    struct error err = { 0 }, why;
    auto_buf struct buf response = BUF_INIT(RESPONSE_LIMIT);
    auto_json struct json_object *event = event_of(s);
    auto_json struct json_object *envelope = NULL;
    size_t len;
    const char *text = json_text(event, &len);
    const struct invocation inv = { .event = text,
                                    .event_len = len,
                                    .request_id = "r",
                                    .deadline_ms = now_ms(NULL) + 600000,
                                    .edge = &edge };
    if (invocation_run(&inv, workflow, NULL, &response, &err) < 0) {
        MUST(s->lost); /* it is invoked again */
        return false;
    }
    MUST(json_parse(buf_str(&response), response.len, JSON_DEPTH, &envelope, &why) == 0);
    if (strcmp(json_get_str(envelope, "Status"), "PENDING") == 0)
        return false;
    if (strcmp(json_get_str(envelope, "Status"), "SUCCEEDED") != 0 ||
        strcmp(json_get_str(envelope, "Result"), EXPECTED) != 0) {
        fprintf(stderr, "%s\n", buf_str(&response));
        abort();
    }
    return true;
}

static bool pending(const struct service *s)
{
    for (size_t i = 0; i < json_object_array_length(s->operations); i++)
        if (json_get(json_object_array_get_idx(s->operations, i), "due"))
            return true;
    return false;
}

static int execute(unsigned max_threads, unsigned lost)
{
    struct service s = { .operations = json_object_new_array(), .lost = lost };
    struct json_object *execution = json_object_new_object();
    int n = 0;
    json_add_str(execution, "Id", ID);
    json_add_str(execution, "Type", "EXECUTION");
    json_add_str(execution, "Name", "e1");
    json_add_str(execution, "Status", "STARTED");
    json_object_array_add(s.operations, execution);
    while (!invoke(&s, max_threads)) {
        MUST(++n < INVOCATIONS);
        /* PENDING with nothing pending, and nothing that has just happened, is a lie. */
        bool moved = timers(&s);
        MUST(moved || lost || pending(&s));
        while (!moved && !lost && !timers(&s))
            clock_sleep_ms(clock_system(), 1);
        s.token++; /* a token of its own for each invocation */
    }
    json_object_put(s.operations);
    return n + 1;
}

int main(void)
{
    static const unsigned threads[] = { 1, 2, 4, 64 };
    int invocations = 0;
    for (unsigned i = 0; i < EXECUTIONS; i++)
        invocations += execute(threads[i % ARRAY_LEN(threads)], i % 8 < 4 ? 0 : 7 + i);
    printf("executions: %d executions in %d invocations\n", EXECUTIONS, invocations);
    return 0;
}

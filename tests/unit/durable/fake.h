/* fake.h - a small durable-execution service for the unit tests: no network, no clock.
 *
 * It keeps the operations as the service would, applies the updates that the core sends and checks
 * on the way what every request must hold: the current token, at most 250 updates, parents before
 * children, no id twice but START and end. fake_invoke runs a handler against it; between two
 * invocations a test changes the world (fake_wait_over, fake_step_ready, fake_callback). */
#ifndef TESTS_DURABLE_FAKE_H
#define TESTS_DURABLE_FAKE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "shared/durable/checkpoint.h"
#include "shared/durable/invocation.h"

#define FAKE_ARN                                                                                   \
    "arn:aws:lambda:us-east-1:123456789012:function:fn:1/durable-execution/e1/"                    \
    "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
#define FAKE_ID    "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
#define FAKE_CALLS 1200

struct fake {
    struct json_object *ops; /* Operation records in start order; the first is EXECUTION */
    char *request[FAKE_CALLS];
    size_t requests;
    size_t state_calls;
    unsigned token;       /* the current one is "T<token>" */
    size_t fail_at;       /* the checkpoint call (from 1) that fails with `failure`; 0: none */
    size_t state_fail_at; /* the same for state pages */
    struct error failure;
    size_t no_token_at; /* the checkpoint call whose answer has no token; 0: none */
    size_t page;        /* operations in the event and in a page; 0: all */
    bool silent;        /* answers have no NewExecutionState.Operations */
    bool tells_all;     /* each answer has all operations, as that to a poll */
    void (*on_checkpoint)(struct fake *f); /* after the updates, before the answer is written */
    enum durable_log_level log_level;
    unsigned max_threads; /* 0: everything on the caller's */
    int64_t now_ms;
    unsigned clock_reads;
    int64_t born_ms;
    struct buf log;
    /* what the last fake_invoke came to */
    int rc;
    struct buf response;
    struct error err;
};

static inline struct json_object *fake_json(const char *text)
{
    struct json_object *o = NULL;
    struct error err = { 0 };
    cr_assert_eq(json_parse_str(text, &o, &err), 0, "%s: %s", text, err.msg);
    return o;
}

/* `input` is the execution's input as JSON text, or NULL. */
static inline void fake_init(struct fake *f, const char *input)
{
    *f = (struct fake){ .now_ms = 1764700000123, .born_ms = clock_mono_ms(clock_system()) };
    buf_init(&f->log, 1 << 20);
    buf_init(&f->response, 16 << 20);
    f->ops = json_object_new_array();
    struct json_object *op =
        fake_json("{\"Id\":\"" FAKE_ID "\",\"Type\":\"EXECUTION\",\"Name\":\"e1\","
                  "\"Status\":\"STARTED\",\"StartTimestamp\":1795410283266,"
                  "\"ExecutionDetails\":{}}");
    json_add_str(json_get(op, "ExecutionDetails"), "InputPayload", input);
    json_object_array_add(f->ops, op);
}

static inline void fake_release(struct fake *f)
{
    json_object_put(f->ops);
    for (size_t i = 0; i < f->requests; i++)
        free(f->request[i]);
    buf_release(&f->log);
    buf_release(&f->response);
}
#define auto_fake __attribute__((cleanup(fake_release)))

/* Adds a record; `text` is the Operation's JSON. */
static inline void fake_record(struct fake *f, const char *text)
{
    json_object_array_add(f->ops, fake_json(text));
}

static inline struct json_object *fake_find(const struct fake *f, const char *id)
{
    for (size_t i = 0; i < json_object_array_length(f->ops); i++) {
        struct json_object *op = json_object_array_get_idx(f->ops, i);
        if (strcmp(json_get_str(op, "Id"), id) == 0)
            return op;
    }
    return NULL;
}

static inline struct json_object *fake_details(struct json_object *op, const char *name)
{
    struct json_object *d = json_get(op, name);
    if (!d) {
        d = json_object_new_object();
        json_add(op, name, d);
    }
    return d;
}

static inline void fake_status(struct fake *f, const char *id, const char *status)
{
    struct json_object *op = fake_find(f, id);
    cr_assert(op, "no operation %s", id);
    json_add_str(op, "Status", status);
}

/* ---- applying updates ------------------------------------------------------------------------ */

static inline void fake_copy(struct json_object *to, const char *key, struct json_object *from,
                             const char *from_key)
{
    struct json_object *v = json_get(from, from_key);
    if (v)
        json_add(to, key, json_object_get(v));
}

static inline void fake_apply_step(struct json_object *op, struct json_object *u,
                                   const char *action)
{
    struct json_object *d = fake_details(op, "StepDetails");
    if (strcmp(action, "START") == 0) {
        const char *status = json_get_str(op, "Status");
        cr_assert(!status || strcmp(status, "READY") == 0, "START of a step that is %s", status);
        json_add_str(op, "Status", "STARTED");
        return;
    }
    json_add_int(d, "Attempt", json_get_int(d, "Attempt", 0) + 1);
    json_object_object_del(d, "Error");
    fake_copy(d, "Result", u, "Payload");
    fake_copy(d, "Error", u, "Error");
    json_add_str(op, "Status",
                 strcmp(action, "RETRY") == 0     ? "PENDING"
                 : strcmp(action, "SUCCEED") == 0 ? "SUCCEEDED"
                                                  : "FAILED");
}

static inline void fake_apply_other(struct json_object *op, struct json_object *u, const char *type,
                                    const char *action)
{
    if (strcmp(action, "START") == 0) {
        cr_assert(!json_get(op, "Status"), "a second START of a %s", type);
        json_add_str(op, "Status", "STARTED");
    }
    if (strcmp(type, "CALLBACK") == 0)
        json_add_str(fake_details(op, "CallbackDetails"), "CallbackId", "Q0FMTEJBQ0s=");
    if (strcmp(type, "CONTEXT") == 0 && strcmp(action, "START") != 0) {
        struct json_object *d = fake_details(op, "ContextDetails");
        fake_copy(d, "Result", u, "Payload");
        fake_copy(d, "Error", u, "Error");
        fake_copy(d, "ReplayChildren", json_get(u, "ContextOptions"), "ReplayChildren");
        json_add_str(op, "Status", strcmp(action, "SUCCEED") == 0 ? "SUCCEEDED" : "FAILED");
    }
    if (strcmp(type, "EXECUTION") == 0)
        json_add_str(op, "Status", strcmp(action, "SUCCEED") == 0 ? "SUCCEEDED" : "FAILED");
}

static inline struct json_object *fake_apply(struct fake *f, struct json_object *u)
{
    static const char *const kept[] = { "Id", "Type", "SubType", "Name", "ParentId" };
    const char *id = json_get_str(u, "Id");
    const char *type = json_get_str(u, "Type");
    const char *parent = json_get_str(u, "ParentId");
    struct json_object *op = fake_find(f, id);
    cr_assert(!parent || fake_find(f, parent), "the parent %s was not started", parent);
    if (!op) {
        op = json_object_new_object();
        json_add_int(op, "StartTimestamp", 1764700000);
        json_object_array_add(f->ops, op);
    }
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        fake_copy(op, kept[i], u, kept[i]);
    if (strcmp(type, "STEP") == 0)
        fake_apply_step(op, u, json_get_str(u, "Action"));
    else
        fake_apply_other(op, u, type, json_get_str(u, "Action"));
    return op;
}

static inline void fake_check_batch(struct json_object *updates)
{
    size_t n = json_object_array_length(updates);
    cr_assert_leq(n, CHECKPOINT_UPDATES);
    for (size_t i = 0; i < n; i++) {
        struct json_object *a = json_object_array_get_idx(updates, i);
        unsigned same = 0;
        for (size_t k = i + 1; k < n; k++) {
            struct json_object *b = json_object_array_get_idx(updates, k);
            if (strcmp(json_get_str(a, "Id"), json_get_str(b, "Id")) != 0)
                continue;
            cr_assert_eq(++same, 1);
            cr_assert_str_eq(json_get_str(a, "Action"), "START");
            cr_assert_str_neq(json_get_str(b, "Action"), "START");
        }
    }
}

/* ---- the edge -------------------------------------------------------------------------------- */

static inline int fake_checkpoint(void *arg, const char *arn, const char *body, size_t len,
                                  struct json_object **answer, struct error *err)
{
    struct fake *f = arg;
    cr_assert_str_eq(arn, FAKE_ARN);
    cr_assert_eq(strlen(body), len);
    cr_assert_lt(f->requests, FAKE_CALLS);
    f->request[f->requests++] = mem_dup(body);
    if (f->fail_at == f->requests) {
        *err = f->failure;
        return -1;
    }
    auto_json struct json_object *o = fake_json(body);
    char token[32];
    snprintf(token, sizeof(token), "T%u", f->token);
    cr_assert_str_eq(json_get_str(o, "CheckpointToken"), token);
    cr_assert_eq(strlen(json_get_str(o, "ClientToken")), 36);
    struct json_object *updates = json_get_arr(o, "Updates");
    fake_check_batch(updates);

    struct json_object *touched = json_object_new_array();
    bool closed = f->no_token_at == f->requests;
    for (size_t i = 0; i < json_object_array_length(updates); i++) {
        struct json_object *u = json_object_array_get_idx(updates, i);
        json_object_array_add(touched, json_object_get(fake_apply(f, u)));
        closed = closed || strcmp(json_get_str(u, "Type"), "EXECUTION") == 0;
    }
    if (f->on_checkpoint)
        f->on_checkpoint(f);
    bool all = f->tells_all || json_object_array_length(updates) == 0;
    for (size_t i = 1; all && i < json_object_array_length(f->ops); i++)
        json_object_array_add(touched, json_object_get(json_object_array_get_idx(f->ops, i)));
    *answer = json_object_new_object();
    if (!closed) {
        snprintf(token, sizeof(token), "T%u", ++f->token);
        json_add_str(*answer, "CheckpointToken", token);
    }
    struct json_object *state = json_object_new_object();
    json_add(state, "Operations", f->silent ? json_object_new_array() : json_object_get(touched));
    json_add(*answer, "NewExecutionState", state);
    /* The core must not keep what is changed here later. */
    struct json_object *copy = fake_json(json_text(*answer, NULL));
    json_object_put(*answer);
    json_object_put(touched);
    *answer = copy;
    return 0;
}

/* Operations from `first` on, and the marker of what comes after. */
static inline struct json_object *fake_page(const struct fake *f, size_t first)
{
    size_t all = json_object_array_length(f->ops);
    size_t end = f->page && first + f->page < all ? first + f->page : all;
    struct json_object *page = json_object_new_object();
    struct json_object *ops = json_object_new_array();
    for (size_t i = first; i < end; i++)
        json_object_array_add(ops, json_object_get(json_object_array_get_idx(f->ops, i)));
    json_add(page, "Operations", ops);
    char marker[32] = "";
    if (end < all)
        snprintf(marker, sizeof(marker), "%zu", end);
    json_add_str(page, "NextMarker", marker);
    return page;
}

static inline int fake_state(void *arg, const char *arn, const char *token, const char *marker,
                             unsigned max_items, struct json_object **page, struct error *err)
{
    struct fake *f = arg;
    char current[32];
    snprintf(current, sizeof(current), "T%u", f->token);
    cr_assert_str_eq(arn, FAKE_ARN);
    cr_assert_str_eq(token, current);
    cr_assert_eq(max_items, 1000);
    if (++f->state_calls == f->state_fail_at) {
        *err = f->failure;
        return -1;
    }
    *page = fake_page(f, strtoul(marker, NULL, 10));
    return 0;
}

/* Stands still; with threads it goes, since they wait by it. */
static inline int64_t fake_now(void *arg)
{
    struct fake *f = arg;
    __atomic_add_fetch(&f->clock_reads, 1, __ATOMIC_RELAXED);
    return f->now_ms + (f->max_threads ? clock_mono_ms(clock_system()) - f->born_ms : 0);
}

static inline void fake_log(void *arg, const char *line, size_t len)
{
    cr_assert_eq(line[len - 1], '\n');
    buf_add(&((struct fake *)arg)->log, line, len);
}

static inline struct durable_edge fake_edge(struct fake *f)
{
    return (struct durable_edge){ .checkpoint = fake_checkpoint,
                                  .state = fake_state,
                                  .now_ms = fake_now,
                                  .log = fake_log,
                                  .log_level = f->log_level,
                                  .max_threads = f->max_threads,
                                  .arg = f };
}

/* ---- invocations and the world in between ---------------------------------------------------- */

static inline const char *fake_run(struct fake *f, const char *event, durable_fn *handler,
                                   void *arg)
{
    const struct durable_edge edge = fake_edge(f);
    const struct invocation inv = { .event = event,
                                    .event_len = strlen(event),
                                    .request_id = "req-1",
                                    .deadline_ms = 1764700060000,
                                    .edge = &edge };
    buf_reset(&f->response);
    f->err = (struct error){ 0 };
    f->rc = invocation_run(&inv, handler, arg, &f->response, &f->err);
    return f->rc == 0 ? buf_str(&f->response) : f->err.msg;
}

/* Invokes with all that is recorded; returns the answer, or the message of the failure. */
static inline const char *fake_invoke(struct fake *f, durable_fn *handler, void *arg)
{
    auto_json struct json_object *event = json_object_new_object();
    char token[32];
    snprintf(token, sizeof(token), "T%u", ++f->token);
    json_add_str(event, "DurableExecutionArn", FAKE_ARN);
    json_add_str(event, "CheckpointToken", token);
    json_add(event, "InitialExecutionState", fake_page(f, 0));
    auto_free char *text = mem_dup(json_text(event, NULL));
    return fake_run(f, text, handler, arg);
}

static inline void fake_wait_over(struct fake *f, const char *id)
{
    fake_status(f, id, "SUCCEEDED");
}

static inline void fake_step_ready(struct fake *f, const char *id)
{
    fake_status(f, id, "READY");
}

/* `status` SUCCEEDED with `result` as it was sent, or FAILED/TIMED_OUT with an ErrorObject's JSON.
 */
static inline void fake_callback(struct fake *f, const char *id, const char *status,
                                 const char *result)
{
    fake_status(f, id, status);
    struct json_object *d = fake_details(fake_find(f, id), "CallbackDetails");
    if (strcmp(status, "SUCCEEDED") == 0)
        json_add_str(d, "Result", result);
    else if (result)
        json_add(d, "Error", fake_json(result));
}

/* "START STEP 1, SUCCEED STEP 1": the updates of request `n` (from 1), by raw id where it is one of
 * the first of the root or of its first contexts, with what they carry left out. */
static inline const char *fake_raw(const char *wire)
{
    static const char *const known[][2] = {
        { "c4ca4238a0b92382", "1" },     { "c81e728d9d4c2f63", "2" },
        { "eccbc87e4b5ce2fe", "3" },     { "a87ff679a2f3e71d", "4" },
        { "2f221a18eb863803", "1-1-1" }, { "ea66c06c1e1c05fa", "1-1" },
        { "98c6f2c2287f4c73", "1-2" },   { "6151f5ab282d90e4", "1-2-1" }
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(wire, known[i][0]) == 0)
            return known[i][1];
    return wire;
}

static inline void fake_updates(const struct fake *f, size_t n, struct buf *out)
{
    buf_reset(out);
    cr_assert_leq(n, f->requests, "there are only %zu requests", f->requests);
    auto_json struct json_object *o = fake_json(f->request[n - 1]);
    struct json_object *updates = json_get_arr(o, "Updates");
    for (size_t i = 0; i < json_object_array_length(updates); i++) {
        struct json_object *u = json_object_array_get_idx(updates, i);
        buf_printf(out, "%s%s %s %s", i ? ", " : "", json_get_str(u, "Action"),
                   json_get_str(u, "Type"), fake_raw(json_get_str(u, "Id")));
    }
}

#define ID1  "c4ca4238a0b92382"
#define ID2  "c81e728d9d4c2f63"
#define ID3  "eccbc87e4b5ce2fe"
#define ID11 "ea66c06c1e1c05fa"
#define ID12 "98c6f2c2287f4c73"

#endif

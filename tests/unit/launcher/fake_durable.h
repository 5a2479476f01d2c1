/* fake_durable.h - for tests: the durable engine of Lambda as far as steps, waits, contexts
 * and callbacks go, in memory (protocol 3.3). A test drives it: fake_durable_run invokes the
 * handler again and again while steps or waits are due, which takes no time, until the execution
 * waits for a callback or is closed. */
#ifndef TESTS_UNIT_LAUNCHER_FAKE_DURABLE_H
#define TESTS_UNIT_LAUNCHER_FAKE_DURABLE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "shared/durable/invocation.h"

#define FAKE_CALLBACK "Ab9hZXjGYXJuOmF3czpsYW1iZGE6+/=="
#define FAKE_EXECUTION                                                                             \
    "arn:aws:lambda:us-east-1:123456789012:function:launcher:1/durable-execution/e1/"              \
    "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"

struct fake_durable {
    struct json_object *operations; /* array */
    struct durable_edge edge;
    unsigned invocations;
    unsigned checkpoints;
    unsigned lose_checkpoint; /* the n-th checkpoint from now ends the invocation unrecorded */
    char *answer;             /* the last invocation's */
    unsigned callbacks;
    int64_t offset_ms; /* how far waits have moved the time */
    struct clock clock;
};

static struct json_object *fake_operation_of(const struct fake_durable *d, const char *id)
{
    for (size_t i = 0; i < json_object_array_length(d->operations); i++) {
        struct json_object *o = json_object_array_get_idx(d->operations, i);
        if (strcmp(json_get_str(o, "Id"), id) == 0)
            return o;
    }
    return NULL;
}

static struct json_object *fake_details(struct json_object *op, const char *name)
{
    struct json_object *d = json_get_obj(op, name);
    if (!d) {
        d = json_object_new_object();
        json_add(op, name, d);
    }
    return d;
}

static void fake_apply_step(struct json_object *op, struct json_object *u, const char *action)
{
    struct json_object *d = fake_details(op, "StepDetails");
    if (strcmp(action, "START") == 0) {
        json_add_str(op, "Status", "STARTED");
        return;
    }
    json_add_int(d, "Attempt", json_get_int(d, "Attempt", 0) + 1);
    json_add_str(op, "Status",
                 strcmp(action, "SUCCEED") == 0 ? "SUCCEEDED"
                 : strcmp(action, "FAIL") == 0  ? "FAILED"
                                                : "PENDING");
    json_object_object_del(d, "Error");
    json_add_str(d, "Result", json_get_str(u, "Payload"));
    if (json_get_obj(u, "Error"))
        json_add(d, "Error", json_object_get(json_get_obj(u, "Error")));
    json_add_int(op, "DelaySeconds",
                 json_get_int(json_get_obj(u, "StepOptions"), "NextAttemptDelaySeconds", 0));
}

static void fake_apply_context(struct json_object *op, struct json_object *u, const char *action)
{
    struct json_object *d = fake_details(op, "ContextDetails");
    if (strcmp(action, "START") == 0)
        return;
    json_add_str(op, "Status", strcmp(action, "SUCCEED") == 0 ? "SUCCEEDED" : "FAILED");
    json_add_str(d, "Result", json_get_str(u, "Payload"));
    if (json_get_obj(u, "Error"))
        json_add(d, "Error", json_object_get(json_get_obj(u, "Error")));
}

/* Lambda's ids are hundreds of characters of base64; each is another. */
static void fake_apply_callback(struct fake_durable *d, struct json_object *op)
{
    char id[] = FAKE_CALLBACK;
    id[0] = (char)(id[0] + (int)d->callbacks++);
    json_add_str(fake_details(op, "CallbackDetails"), "CallbackId", id);
}

static void fake_apply(struct fake_durable *d, struct json_object *u)
{
    const char *id = json_get_str(u, "Id");
    const char *type = json_get_str(u, "Type");
    struct json_object *op = fake_operation_of(d, id);
    if (!op) {
        op = json_object_new_object();
        json_add_str(op, "Id", id);
        json_add_str(op, "Type", type);
        json_add_str(op, "Name", json_get_str(u, "Name"));
        json_add_str(op, "SubType", json_get_str(u, "SubType"));
        json_add_str(op, "Status", "STARTED");
        json_add_int(op, "StartTimestamp", 1790000000);
        json_object_array_add(d->operations, op);
    }
    if (strcmp(type, "STEP") == 0)
        fake_apply_step(op, u, json_get_str(u, "Action"));
    else if (strcmp(type, "CONTEXT") == 0)
        fake_apply_context(op, u, json_get_str(u, "Action"));
    else if (strcmp(type, "CALLBACK") == 0)
        fake_apply_callback(d, op);
    else if (strcmp(type, "WAIT") == 0)
        json_add_int(op, "DelaySeconds",
                     json_get_int(json_get_obj(u, "WaitOptions"), "WaitSeconds", 0));
}

static int fake_checkpoint(void *arg, const char *arn, const char *body, size_t len,
                           struct json_object **answer, struct error *err)
{
    struct fake_durable *d = arg;
    auto_json struct json_object *request = NULL;
    cr_assert_str_eq(arn, FAKE_EXECUTION);
    cr_assert_eq(json_parse(body, len, JSON_DEPTH, &request, err), 0);
    if (d->lose_checkpoint && --d->lose_checkpoint == 0) {
        *answer = NULL;
        return error_set(err, ERR_UNAVAILABLE, 500, "killed");
    }
    d->checkpoints++;
    struct json_object *updates = json_get_arr(request, "Updates");
    struct json_object *state = json_object_new_object();
    struct json_object *changed = json_object_new_array();
    for (size_t i = 0; updates && i < json_object_array_length(updates); i++) {
        struct json_object *u = json_object_array_get_idx(updates, i);
        fake_apply(d, u);
        json_object_array_add(changed,
                              json_object_get(fake_operation_of(d, json_get_str(u, "Id"))));
    }
    json_add(state, "Operations", changed);
    *answer = json_object_new_object();
    json_add_str(*answer, "CheckpointToken", "VDE=");
    json_add(*answer, "NewExecutionState", state);
    return 0;
}

static int fake_state(void *arg, const char *arn, const char *token, const char *marker,
                      unsigned max_items, struct json_object **page, struct error *err)
{
    (void)arg, (void)arn, (void)token, (void)marker, (void)max_items;
    *page = NULL;
    return error_set(err, ERR_INTERNAL, 0, "there is one page only");
}

static int64_t fake_now(void *arg)
{
    const struct fake_durable *d = arg;
    return clock_wall_ms(clock_system()) + d->offset_ms;
}

static int64_t fake_mono(void *arg)
{
    (void)arg;
    return clock_mono_ms(clock_system());
}

static void fake_log(void *arg, const char *line, size_t len)
{
    (void)arg, (void)line, (void)len;
}

/* An execution with `input` as its payload, started `age_ms` ago. */
static void fake_durable_init(struct fake_durable *d, const char *input, int64_t age_ms)
{
    *d = (struct fake_durable){ .operations = json_object_new_array() };
    d->edge = (struct durable_edge){ .checkpoint = fake_checkpoint,
                                     .state = fake_state,
                                     .now_ms = fake_now,
                                     .log = fake_log,
                                     .log_level = DURABLE_LOG_ERROR,
                                     .arg = d };
    d->clock = (struct clock){ .wall_ms = fake_now, .mono_ms = fake_mono, .arg = d };
    struct json_object *op = json_object_new_object();
    json_add_str(op, "Id", strrchr(FAKE_EXECUTION, '/') + 1);
    json_add_str(op, "Type", "EXECUTION");
    json_add_str(op, "Name", "e1");
    json_add_str(op, "Status", "STARTED");
    json_add_int(op, "StartTimestamp", clock_wall_ms(clock_system()) - age_ms);
    json_add_str(fake_details(op, "ExecutionDetails"), "InputPayload", input);
    json_object_array_add(d->operations, op);
}

static void fake_durable_release(struct fake_durable *d)
{
    json_object_put(d->operations);
    free(d->answer);
}

/* One invocation: its Status, borrowed until the next, or NULL where it ended in an error. */
static const char *fake_durable_invoke(struct fake_durable *d, durable_fn *handler, void *arg)
{
    struct error err = { 0 };
    auto_json struct json_object *event = json_object_new_object();
    struct json_object *state = json_object_new_object();
    auto_buf struct buf response = BUF_INIT(8U << 20);
    json_add_str(event, "DurableExecutionArn", FAKE_EXECUTION);
    json_add_str(event, "CheckpointToken", "VDA=");
    json_add(state, "Operations", json_object_get(d->operations));
    json_add_str(state, "NextMarker", "");
    json_add(event, "InitialExecutionState", state);
    size_t len;
    const char *text = json_text(event, &len);
    const struct invocation inv = { .event = text,
                                    .event_len = len,
                                    .request_id = "r",
                                    .deadline_ms = fake_now(d) + 60000,
                                    .edge = &d->edge };
    d->invocations++;
    free(d->answer);
    d->answer = NULL;
    if (invocation_run(&inv, handler, arg, &response, &err) < 0)
        return NULL;
    d->answer = mem_dup(buf_str(&response));
    return strstr(d->answer, "\"PENDING\"")  ? "PENDING"
           : strstr(d->answer, "\"FAILED\"") ? "FAILED"
                                             : "SUCCEEDED";
}

/* Makes the step or wait that is due first end its waiting, and moves the time there; false where
 * there is none. */
static bool fake_durable_advance(struct fake_durable *d)
{
    struct json_object *next = NULL;
    for (size_t i = 0; i < json_object_array_length(d->operations); i++) {
        struct json_object *o = json_object_array_get_idx(d->operations, i);
        const char *status = json_get_str(o, "Status");
        bool waits = strcmp(json_get_str(o, "Type"), "WAIT") == 0 && strcmp(status, "STARTED") == 0;
        if (!waits && strcmp(status, "PENDING") != 0)
            continue;
        if (!next || json_get_int(o, "DelaySeconds", 0) < json_get_int(next, "DelaySeconds", 0))
            next = o;
    }
    if (!next)
        return false;
    bool waits = strcmp(json_get_str(next, "Type"), "WAIT") == 0;
    json_add_str(next, "Status", waits ? "SUCCEEDED" : "READY");
    d->offset_ms += 1000 * json_get_int(next, "DelaySeconds", 0);
    return true;
}

/* Invokes until the execution is closed or waits for the callback; gives the last Status. */
static const char *fake_durable_run(struct fake_durable *d, durable_fn *handler, void *arg)
{
    const char *status;
    do
        status = fake_durable_invoke(d, handler, arg);
    while (!status || (strcmp(status, "PENDING") == 0 && fake_durable_advance(d)));
    return status;
}

/* Ends the callback: status SUCCEEDED with a result, or FAILED or TIMED_OUT with an ErrorObject. */
__attribute__((unused)) static void fake_durable_callback(struct fake_durable *d,
                                                          const char *status, const char *text)
{
    for (size_t i = 0; i < json_object_array_length(d->operations); i++) {
        struct json_object *o = json_object_array_get_idx(d->operations, i);
        if (strcmp(json_get_str(o, "Type"), "CALLBACK") != 0 ||
            strcmp(json_get_str(o, "Status"), "STARTED") != 0)
            continue;
        struct json_object *details = fake_details(o, "CallbackDetails");
        struct error err = { 0 };
        struct json_object *error = NULL;
        json_add_str(o, "Status", status);
        if (strcmp(status, "SUCCEEDED") == 0) {
            json_add_str(details, "Result", text);
        } else {
            cr_assert_eq(json_parse_str(text, &error, &err), 0);
            json_add(details, "Error", error);
        }
    }
}

#endif

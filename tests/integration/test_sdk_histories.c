/* Which events workflows leave, one by one: crashes in the middle of each kind of body, retries,
 * answers that come early, targets of invokes that end in every way. An event is told as
 *
 *     Type name #attempt +delay =payload !ErrorType <parent
 *
 * with what it has of these; the first and the last event, those of the execution, are left out. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/sdk_rig.h"

#define SPEED       10
#define PAYLOAD_MAX 40 /* of a payload that is told */

/* ---- bodies ---------------------------------------------------------------------------------- */

struct fragile {
    bool again; /* an earlier process has been here */
};

/* Ends the process the first time, once its START has had time to be recorded. */
static void crash_first(const struct fragile *f)
{
    if (f->again)
        return;
    clock_sleep_ms(clock_system(), 1500);
    _exit(3);
}

static int crashes(struct durable_step *step, void *arg, struct json_object **out,
                   struct durable_error *err)
{
    (void)step, (void)err;
    crash_first(arg);
    *out = json_object_new_int(1);
    return 0;
}

static int ok(struct durable_step *step, void *arg, struct json_object **out,
              struct durable_error *err)
{
    (void)step, (void)arg, (void)err;
    *out = json_object_new_int(1);
    return 0;
}

static int fails_twice(struct durable_step *step, void *arg, struct json_object **out,
                       struct durable_error *err)
{
    if (durable_step_attempt(step) > 2)
        return ok(step, arg, out, err);
    durable_error_set(err, durable_step_attempt(step) == 1 ? "First" : "Second", "not yet");
    return -1;
}

/* ---- crashes --------------------------------------------------------------------------------- */

static enum durable_rc at_most_once(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                    struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    static const struct durable_step_opts opts = { .retry = DURABLE_RETRY_FIXED(2, 3),
                                                   .at_most_once = true };
    struct fragile f = { durable_is_replaying(ctx) };
    return durable_step(ctx, "s", crashes, &f, &opts, out, err);
}

static enum durable_rc at_least_once(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                     struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    struct fragile f = { durable_is_replaying(ctx) };
    return durable_step(ctx, "s", crashes, &f, NULL, out, err);
}

static enum durable_rc crash_in_branch(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                       struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    static const struct durable_batch_opts alone = { .max_concurrency = DURABLE_LIMIT(1) };
    static const struct durable_branch branch = { "b", at_least_once, NULL };
    auto_durable_batch struct durable_batch *batch = NULL;
    DURABLE_TRY(durable_parallel(ctx, "p", &branch, 1, &alone, &batch, err));
    *out = durable_batch_values(batch);
    return DURABLE_OK;
}

static int submits(struct durable_step *step, const char *callback_id, void *arg,
                   struct durable_error *err)
{
    (void)step, (void)callback_id, (void)err;
    if (arg)
        crash_first(arg);
    return 0;
}

/* The context's first operation has a record in the second process. */
static enum durable_rc crash_in_submitter(struct durable_ctx *ctx, struct json_object *in,
                                          void *arg, struct json_object **out,
                                          struct durable_error *err)
{
    (void)in, (void)arg;
    struct fragile f = { durable_is_replaying(ctx) };
    return durable_wait_for_callback(ctx, "w", submits, &f, NULL, out, err);
}

static int polls(struct durable_step *step, struct json_object *state, void *arg,
                 struct json_object **next, bool *done, struct durable_error *err)
{
    (void)err;
    if (durable_step_attempt(step) == 2)
        crash_first(arg);
    int n = json_object_get_int(state) + 1;
    *next = json_object_new_int(n);
    *done = n == 3;
    return 0;
}

/* The second poll crashes, in the second invocation. */
static enum durable_rc crash_in_poll(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                     struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_condition_opts opts = {
        .polling = { .first_delay_s = 2, .rate = 2, .jitter = DURABLE_JITTER_NONE }
    };
    struct fragile f = { access(json_object_get_string(in), F_OK) == 0 };
    if (durable_is_replaying(ctx) && !f.again) {
        FILE *mark = fopen(json_object_get_string(in), "w");
        if (!mark || fclose(mark) != 0)
            return DURABLE_FATAL;
    }
    return durable_wait_for_condition(ctx, "c", polls, &f, &opts, out, err);
}

/* ---- retries --------------------------------------------------------------------------------- */

static enum durable_rc growing_delays(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                      struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    static const struct durable_step_opts opts = { .retry = { .max_attempts = 5,
                                                              .first_delay_s = 3,
                                                              .increment_s = 4,
                                                              .jitter = DURABLE_JITTER_NONE } };
    return durable_step(ctx, "s", fails_twice, NULL, &opts, out, err);
}

static struct durable_decision by_type(const struct durable_error *err, unsigned attempt, void *arg)
{
    (void)arg;
    return (struct durable_decision){ .retry = strcmp(err->type, "First") == 0,
                                      .delay_s = attempt * 7 };
}

static enum durable_rc decided(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    static const struct durable_step_opts opts = { .retry = { .decide = by_type } };
    return durable_step(ctx, "s", fails_twice, NULL, &opts, out, err);
}

static enum durable_rc attempt(struct durable_ctx *ctx, unsigned n, struct json_object *in,
                               void *arg, struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    DURABLE_TRY(durable_step(ctx, "s", ok, NULL, NULL, out, err));
    if (n > 1)
        return DURABLE_OK;
    json_object_put(*out);
    *out = NULL;
    durable_error_set(err, "Again", "once more");
    return DURABLE_FAILED;
}

static enum durable_rc retried_block(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                     struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    static const struct durable_retry retry = DURABLE_RETRY_FIXED(3, 2);
    return durable_with_retry(ctx, "block", attempt, NULL, NULL, &retry, out, err);
}

/* ---- answers --------------------------------------------------------------------------------- */

static int until_file(struct durable_step *step, void *arg, struct json_object **out,
                      struct durable_error *err)
{
    (void)step, (void)out, (void)err;
    for (int ms = 0; ms < 60000 && access(arg, F_OK) != 0; ms += 10)
        clock_sleep_ms(clock_system(), 10);
    return 0;
}

/* The answer comes while a step runs: nothing is left to wait for. */
static enum durable_rc early_answer(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                    struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_callback_opts opts = { .json = true };
    auto_durable_callback struct durable_callback cb = { 0 };
    auto_free char *path = mem_dup(json_object_get_string(in));
    DURABLE_TRY(durable_callback_create(ctx, "cb", &opts, &cb, err));
    DURABLE_TRY(durable_step(ctx, "s", until_file, path, NULL, NULL, err));
    return durable_callback_result(ctx, &cb, out, err);
}

static enum durable_rc item(struct durable_ctx *ctx, struct json_object *value, size_t index,
                            void *arg, struct json_object **out, struct durable_error *err)
{
    (void)index, (void)arg;
    static const struct durable_wait_for_callback_opts opts = { .callback = { .json = true } };
    return durable_wait_for_callback(ctx, json_object_get_string(value), submits, NULL, &opts, out,
                                     err);
}

static enum durable_rc answers_in_map(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                      struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_batch_opts alone = { .max_concurrency = DURABLE_LIMIT(1) };
    auto_durable_batch struct durable_batch *batch = NULL;
    DURABLE_TRY(durable_map(ctx, NULL, in, item, NULL, &alone, &batch, err));
    *out = durable_batch_values(batch);
    return DURABLE_OK;
}

/* ---- invokes --------------------------------------------------------------------------------- */

static enum durable_rc invokes(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    auto_json struct json_object *payload = NULL;
    struct error why;
    if (json_parse_str(json_get_str(in, "payload"), &payload, &why) < 0)
        return DURABLE_FATAL;
    return durable_invoke(ctx, "i", json_get_str(in, "function"), payload, NULL, out, err);
}

static enum durable_rc lasting(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg, (void)out;
    return durable_wait(ctx, NULL, 100000, err);
}

static enum durable_rc plain_error(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)arg;
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    if (!in) {
        durable_error_set(err, "Own", "there is no input");
        return DURABLE_FAILED;
    }
    *out = json_object_get(in);
    return DURABLE_OK;
}

const struct sdk_rig_handler sdk_rig_handlers[] = {
    { "at_most_once", at_most_once, NULL },
    { "at_least_once", at_least_once, NULL },
    { "crash_in_branch", crash_in_branch, NULL },
    { "crash_in_submitter", crash_in_submitter, NULL },
    { "crash_in_poll", crash_in_poll, NULL },
    { "growing_delays", growing_delays, NULL },
    { "decided", decided, NULL },
    { "retried_block", retried_block, NULL },
    { "early_answer", early_answer, NULL },
    { "answers_in_map", answers_in_map, NULL },
    { "invokes", invokes, NULL },
    { "target", plain_error, NULL },
    { "lasting", lasting, "\"durable\":{\"executionTimeoutSeconds\":100000}" },
    { "mortal", lasting, "\"durable\":{\"executionTimeoutSeconds\":5}" },
    { NULL, NULL, NULL },
};

/* ---- telling --------------------------------------------------------------------------------- */

static const char *name_of(struct json_object *events, const char *id)
{
    for (size_t i = 0; id && i < json_object_array_length(events); i++) {
        struct json_object *e = json_object_array_get_idx(events, i);
        const char *own = json_get_str(e, "Id");
        if (own && strcmp(own, id) == 0)
            return json_get_str(e, "Name") ? json_get_str(e, "Name") : "-";
    }
    return id ? "?" : NULL;
}

static void tell(struct buf *b, struct json_object *events, struct json_object *event)
{
    const char *type = json_get_str(event, "EventType");
    auto_free char *key = mem_printf("%sDetails", type);
    struct json_object *d = json_get_obj(event, key);
    struct json_object *retry = json_get_obj(d, "RetryDetails");
    const char *payload = json_get_str(json_get_obj(d, "Result"), "Payload");
    const char *error =
        json_get_str(json_get_obj(json_get_obj(d, "Error"), "Payload"), "ErrorType");
    const char *parent = name_of(events, json_get_str(event, "ParentId"));
    buf_printf(b, "%s", strcmp(type, "InvocationCompleted") == 0 ? "--" : type);
    if (json_get_str(event, "Name"))
        buf_printf(b, " %s", json_get_str(event, "Name"));
    if (retry)
        buf_printf(b, " #%d", (int)json_get_int(retry, "CurrentAttempt", 0));
    if (json_get(retry, "NextAttemptDelaySeconds"))
        buf_printf(b, " +%d", (int)json_get_int(retry, "NextAttemptDelaySeconds", 0));
    if (json_get(d, "Duration"))
        buf_printf(b, " +%d", (int)json_get_int(d, "Duration", 0));
    if (payload && strlen(payload) <= PAYLOAD_MAX)
        buf_printf(b, " =%s", payload);
    if (error)
        buf_printf(b, " !%s", error);
    if (parent)
        buf_printf(b, " <%s", parent);
    buf_add_char(b, '\n');
}

static struct lambda_rig rig;

static void begin(void)
{
    sdk_rig_start(&rig);
    sdk_rig_speed(&rig, SPEED);
}

static void end(void)
{
    lambda_rig_stop(&rig);
}

TestSuite(histories, .init = begin, .fini = end, .timeout = 300);

/* Waits for the end; the events but the first and the last are what `want` says, each with a line
 * feed. */
static void expect_of(const char *arn, const char *name, const char *status, const char *want)
{
    struct error err;
    struct history_facts facts;
    auto_json struct json_object *page = NULL;
    auto_buf struct buf b = BUF_INIT(1 << 20);
    json_object_put(lambda_rig_end(&rig, arn, status));
    cr_assert_eq(lambda_get_history(rig.aws, arn, true, NULL, 1000, &page, &err), 0, "%s", err.msg);
    struct json_object *events = json_get_arr(page, "Events");
    size_t count = json_object_array_length(events);
    cr_assert_gt(count, 2);
    for (size_t i = 1; i + 1 < count; i++)
        tell(&b, events, json_object_array_get_idx(events, i));
    cr_assert_str_eq(buf_str(&b), want, "%s:\n%s", name, buf_str(&b));
    sdk_rig_history(&rig, arn, &facts);
}

static char *run(const char *name, const char *input)
{
    auto_free char *function = mem_printf("%s:$LATEST", name);
    return lambda_rig_begin(&rig, function, input);
}

static void expect(const char *name, const char *input, const char *status, const char *want)
{
    auto_free char *arn = run(name, input);
    expect_of(arn, name, status, want);
}

/* ---- the tests ------------------------------------------------------------------------------- */

#define CRASH "-- !Runtime.ExitError\n"

Test(histories, of_crashes_in_steps)
{
    expect("at_most_once", "{}", "SUCCEEDED",
           "StepStarted s\n" CRASH "StepFailed s #1 +3 !StepInterruptedError\n--\n"
           "StepStarted s\nStepSucceeded s #2 =1\n--\n");
    expect("at_least_once", "{}", "SUCCEEDED",
           "StepStarted s\n" CRASH "StepSucceeded s #1 =1\n--\n");
    expect("crash_in_branch", "{}", "SUCCEEDED",
           "ContextStarted p\nContextStarted b <p\nStepStarted s <b\n" CRASH
           "StepSucceeded s #1 =1 <b\nContextSucceeded b =1 <p\nContextSucceeded p\n--\n");
}

static int count(struct json_object *events, const char *type)
{
    int n = 0;
    for (size_t i = 0; i < json_object_array_length(events); i++)
        n += strcmp(json_get_str(json_object_array_get_idx(events, i), "EventType"), type) == 0;
    return n;
}

/* Answers the callback of that name, or of the context of that name, once it is there and so many
 * invocations have ended. */
static void answer(const char *arn, const char *name, const char *result, int invocations)
{
    struct error err;
    for (int ms = 0; ms < 60000; ms += 20) {
        auto_json struct json_object *page = NULL;
        cr_assert_eq(lambda_get_history(rig.aws, arn, true, NULL, 1000, &page, &err), 0);
        struct json_object *events = json_get_arr(page, "Events");
        bool due = count(events, "InvocationCompleted") >= invocations;
        for (size_t i = 0; due && i < json_object_array_length(events); i++) {
            struct json_object *e = json_object_array_get_idx(events, i);
            const char *id = json_get_str(json_get_obj(e, "CallbackStartedDetails"), "CallbackId");
            const char *own = json_get_str(e, "Name");
            if (!own)
                own = name_of(events, json_get_str(e, "ParentId"));
            if (!id || !own || strcmp(own, name) != 0)
                continue;
            cr_assert_eq(lambda_callback_success(rig.aws, id, result, strlen(result), &err), 0,
                         "%s", err.msg);
            return;
        }
        clock_sleep_ms(clock_system(), 20);
    }
    cr_assert_fail("no callback %s", name);
}

Test(histories, of_crashes_in_other_bodies)
{
    auto_free char *arn = run("crash_in_submitter", "{}");
    answer(arn, "w", "7", 2);
    expect_of(arn, "crash_in_submitter", "SUCCEEDED",
              "ContextStarted w\nCallbackStarted <w\nStepStarted <w\n" CRASH
              "StepSucceeded #1 <w\n--\nCallbackSucceeded =7 <w\nContextSucceeded w =\"7\"\n--\n");
    auto_free char *mark = mem_printf("\"%s/polled\"", rig.dir);
    expect("crash_in_poll", mark, "SUCCEEDED",
           "StepStarted c\nStepSucceeded c #1 +2 =1\n--\nStepStarted c\n" CRASH
           "StepSucceeded c #2 +4 =2\n--\nStepStarted c\nStepSucceeded c #3 =3\n--\n");
}

Test(histories, of_retries)
{
    expect("growing_delays", "{}", "SUCCEEDED",
           "StepStarted s\nStepFailed s #1 +3 !First\n--\nStepStarted s\n"
           "StepFailed s #2 +7 !Second\n--\nStepStarted s\nStepSucceeded s #3 =1\n--\n");
    expect("decided", "{}", "FAILED",
           "StepStarted s\nStepFailed s #1 +7 !First\n--\nStepStarted s\n"
           "StepFailed s #2 !Second\n--\n");
    expect("retried_block", "{}", "SUCCEEDED",
           "ContextStarted block\nContextStarted block-attempt-1 <block\n"
           "StepStarted s <block-attempt-1\nStepSucceeded s #1 =1 <block-attempt-1\n"
           "ContextFailed block-attempt-1 !Again <block\nWaitStarted block-backoff-1 +2 <block\n"
           "--\nWaitSucceeded block-backoff-1 +2 <block\nContextStarted block-attempt-2 <block\n"
           "StepStarted s <block-attempt-2\nStepSucceeded s #1 =1 <block-attempt-2\n"
           "ContextSucceeded block-attempt-2 =1 <block\nContextSucceeded block =1\n--\n");
}

Test(histories, of_answers)
{
    auto_free char *path = mem_printf("%s/early", rig.dir);
    auto_free char *input = mem_printf("\"%s\"", path);
    auto_free char *arn = run("early_answer", input);
    json_object_put(lambda_rig_event(&rig, arn, "StepStarted"));
    answer(arn, "cb", "[1]", 0);
    FILE *f = fopen(path, "w");
    cr_assert(f && fclose(f) == 0);
    expect_of(arn, "early_answer", "SUCCEEDED",
              "CallbackStarted cb\nStepStarted s\nCallbackSucceeded cb =[1]\n"
              "StepSucceeded s #1\n--\n");

    auto_free char *two = run("answers_in_map", "[\"a\",\"b\"]");
    answer(two, "a", "1", 1);
    answer(two, "b", "2", 2);
    expect_of(two, "answers_in_map", "SUCCEEDED",
              "ContextStarted\nContextStarted map-item-0 <-\nContextStarted a <map-item-0\n"
              "CallbackStarted <a\nStepStarted <a\nStepSucceeded #1 <a\n--\n"
              "CallbackSucceeded =1 <a\nContextSucceeded a =1 <map-item-0\n"
              "ContextSucceeded map-item-0 =1 <-\nContextStarted map-item-1 <-\n"
              "ContextStarted b <map-item-1\nCallbackStarted <b\nStepStarted <b\n"
              "StepSucceeded #1 <b\n--\nCallbackSucceeded =2 <b\n"
              "ContextSucceeded b =2 <map-item-1\nContextSucceeded map-item-1 =2 <-\n"
              "ContextSucceeded\n--\n");
}

Test(histories, of_invokes)
{
    struct error err;
    expect("invokes", "{\"function\":\"target:$LATEST\",\"payload\":\"[1]\"}", "SUCCEEDED",
           "ChainedInvokeStarted i\n--\nChainedInvokeSucceeded i =[1]\n--\n");
    expect("invokes", "{\"function\":\"target:$LATEST\",\"payload\":\"null\"}", "FAILED",
           "ChainedInvokeStarted i\n--\nChainedInvokeFailed i !Own\n--\n");
    expect("invokes", "{\"function\":\"mortal:$LATEST\",\"payload\":\"1\"}", "FAILED",
           "ChainedInvokeStarted i\n--\nChainedInvokeTimedOut i !ChainedInvoke.Timeout\n--\n");
    /* Known at once: the caller does not suspend. */
    expect("invokes", "{\"function\":\"nobody\",\"payload\":\"1\"}", "FAILED",
           "ChainedInvokeStarted i\nChainedInvokeFailed i !ResourceNotFoundException\n--\n");

    auto_free char *arn = run("invokes", "{\"function\":\"lasting:$LATEST\",\"payload\":\"1\"}");
    auto_json struct json_object *started = lambda_rig_event(&rig, arn, "ChainedInvokeStarted");
    const char *target =
        json_get_str(json_get_obj(started, "ChainedInvokeStartedDetails"), "DurableExecutionArn");
    cr_assert_not_null(target, "%s", json_text(started, NULL));
    json_object_put(lambda_rig_event(&rig, arn, "InvocationCompleted"));
    cr_assert_eq(lambda_stop(rig.aws, target, "Enough", "stopped by a test", &err), 0, "%s",
                 err.msg);
    expect_of(arn, "stopped", "FAILED",
              "ChainedInvokeStarted i\n--\nChainedInvokeStopped i !Enough\n--\n");
}

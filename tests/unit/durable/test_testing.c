#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/durable/testing/service.h"
#include "tests/unit/durable/everything.h"

static void test_free_ptr(struct durable_test **t)
{
    durable_test_free(*t);
}
#define auto_test __attribute__((cleanup(test_free_ptr)))

Test(testing, runs_every_operation_to_its_end)
{
    auto_test struct durable_test *t = durable_test_new(NULL);
    struct everything e = { 0 };
    everything_script(t);
    cr_assert_eq(durable_test_run(t, everything, &e, EVERYTHING_INPUT), DURABLE_TEST_SUCCEEDED,
                 "%s", durable_test_error(t)->message);
    cr_assert_str_eq(durable_test_result(t), EVERYTHING_RESULT);
    cr_assert_eq(e.once, 1);
    cr_assert_eq(e.submitted, 1);
    cr_assert_eq(durable_test_find(t, "flaky")->attempts, 2);
    cr_assert_str_eq(durable_test_find(t, "race")->status, "SUCCEEDED");
    cr_assert_str_eq(durable_test_find(t, "for ever")->status, "STARTED");
    /* A minute of wait, ten of approval, and the rest: all of it in no time. */
    cr_assert_geq(durable_test_now_ms(t), 1767225600000 + 660000);
    cr_assert_null(durable_test_find(t, "nobody"));
}

Test(testing, goes_the_same_way_each_time)
{
    auto_free char *history = NULL;
    for (int i = 0; i < 3; i++) {
        auto_test struct durable_test *t = durable_test_new(NULL);
        struct everything e = { 0 };
        everything_script(t);
        cr_assert_eq(durable_test_run(t, everything, &e, NULL), DURABLE_TEST_SUCCEEDED);
        if (history)
            cr_assert_str_eq(durable_test_history(t), history);
        else
            history = mem_dup(durable_test_history(t));
    }
}

Test(testing, comes_to_the_same_end_with_threads_and_with_pages)
{
    static const struct durable_test_opts opts[] = { { .max_threads = 4 },
                                                     { .page = 3 },
                                                     { .max_threads = 4, .page = 1 } };
    for (size_t i = 0; i < ARRAY_LEN(opts); i++) {
        auto_test struct durable_test *t = durable_test_new(&opts[i]);
        struct everything e = { 0 };
        everything_script(t);
        cr_assert_eq(durable_test_run(t, everything, &e, NULL), DURABLE_TEST_SUCCEEDED, "%s",
                     durable_test_error(t)->message);
        cr_assert_str_eq(durable_test_result(t), EVERYTHING_RESULT);
    }
}

/* ---- the sweep ------------------------------------------------------------------------------- */

Test(testing, comes_to_the_same_end_whichever_checkpoint_is_lost)
{
    static const enum durable_test_fault faults[] = {
        DURABLE_TEST_LOST_REQUEST, DURABLE_TEST_LOST_ANSWER, DURABLE_TEST_THROTTLED,
        DURABLE_TEST_STALE,        DURABLE_TEST_NO_TOKEN,
    };
    for (unsigned threads = 0; threads <= 4; threads += 4)
        for (size_t k = 0; k < ARRAY_LEN(faults); k++)
            for (unsigned n = 1;; n++) {
                const struct durable_test_opts opts = { .max_threads = threads };
                auto_test struct durable_test *t = durable_test_new(&opts);
                struct everything e = { 0 };
                everything_script(t);
                durable_test_fault(t, n, faults[k]);
                cr_assert_eq(durable_test_run(t, everything, &e, NULL), DURABLE_TEST_SUCCEEDED,
                             "threads %u, fault %zu at %u: %s\n%s", threads, k, n,
                             durable_test_error(t)->message, durable_test_history(t));
                cr_assert_str_eq(durable_test_result(t), EVERYTHING_RESULT, "fault %zu at %u", k,
                                 n);
                /* At most once an attempt: more than one body only after a recorded failure. */
                cr_assert_leq(e.once, durable_test_find(t, "once")->attempts);
                if (durable_test_checkpoints(t) < n)
                    break;
            }
}

Test(testing, a_refusal_ends_the_execution)
{
    auto_test struct durable_test *t = durable_test_new(NULL);
    struct everything e = { 0 };
    durable_test_fault(t, 2, DURABLE_TEST_REFUSED);
    cr_assert_eq(durable_test_run(t, everything, &e, NULL), DURABLE_TEST_FAILED);
    cr_assert_str_eq(durable_test_error(t)->type, "CheckpointError");
    cr_assert(strstr(durable_test_error(t)->message, "refused, as the test has ordered"));
}

Test(testing, says_why_invocations_fail_again_and_again)
{
    const struct durable_test_opts opts = { .max_invocations = 3 };
    auto_test struct durable_test *t = durable_test_new(&opts);
    struct everything e = { 0 };
    for (unsigned n = 1; n <= 3; n++)
        durable_test_fault(t, n, DURABLE_TEST_THROTTLED);
    everything_script(t);
    cr_assert_eq(durable_test_run(t, everything, &e, NULL), DURABLE_TEST_RUNNING);
    cr_assert_eq(durable_test_invocations(t), 3);
    cr_assert_str_eq(durable_test_error(t)->type, "CheckpointError");
    cr_assert(strstr(durable_test_error(t)->message, "Rate exceeded"), "%s",
              durable_test_error(t)->message);
}

/* ---- callbacks ------------------------------------------------------------------------------- */

static enum durable_rc patient(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    const struct durable_wait_for_callback_opts opts = {
        .callback = { .timeout_s = 100, .heartbeat_timeout_s = 10, .json = true },
    };
    (void)in;
    return durable_wait_for_callback(ctx, "cb", everything_submit, arg, &opts, out, err);
}

Test(testing, callbacks_time_out_beat_and_fail_as_scripted)
{
    static const struct {
        int beats;
        int64_t end_s;
        enum durable_test_status status;
        const char *message;
    } cases[] = {
        { 0, 5, DURABLE_TEST_SUCCEEDED, NULL },
        { 0, 11, DURABLE_TEST_FAILED, "Callback timed out on heartbeat" },
        { 3, 30, DURABLE_TEST_SUCCEEDED, NULL },
        { 20, 101, DURABLE_TEST_FAILED, "Callback timed out" },
        { 0, -1, DURABLE_TEST_FAILED, "not me" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_test struct durable_test *t = durable_test_new(NULL);
        struct everything e = { 0 };
        for (int n = 1; n <= cases[i].beats; n++)
            durable_test_callback_heartbeat(t, "cb", n * 8);
        if (cases[i].end_s < 0)
            durable_test_callback_fails(t, NULL, 1, "Refused", "not me");
        else
            durable_test_callback_succeeds(t, "cb", cases[i].end_s, "{\"ok\":true}");
        cr_assert_eq(durable_test_run(t, patient, &e, NULL), cases[i].status, "case %zu: %s", i,
                     durable_test_history(t));
        if (cases[i].message)
            cr_assert_str_eq(durable_test_error(t)->message, cases[i].message);
        else
            cr_assert_str_eq(durable_test_result(t), "{\"ok\":true}");
    }
}

static enum durable_rc ping(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    auto_durable_callback struct durable_callback cb = { 0 };
    (void)in, (void)arg;
    DURABLE_TRY(durable_callback_create(ctx, "ping", NULL, &cb, err));
    return durable_callback_result(ctx, &cb, out, err);
}

Test(testing, stops_where_nothing_would_wake_the_execution_and_goes_on_when_told)
{
    auto_test struct durable_test *t = durable_test_new(NULL);
    cr_assert_eq(durable_test_run(t, ping, NULL, NULL), DURABLE_TEST_RUNNING);
    cr_assert_eq(durable_test_run(t, ping, NULL, NULL), DURABLE_TEST_RUNNING);
    auto_free char *id = mem_dup(durable_test_find(t, "ping")->callback_id);
    cr_assert_not(durable_test_send_success(t, "nobody's", NULL));
    cr_assert(durable_test_send_success(t, id, "pong"));
    cr_assert_not(durable_test_send_failure(t, id, "Late", "too late"), "it is closed");
    cr_assert_eq(durable_test_run(t, ping, NULL, NULL), DURABLE_TEST_SUCCEEDED);
    cr_assert_str_eq(durable_test_result(t), "\"pong\"");
    cr_assert_str_eq(durable_test_history(t),
                     "ExecutionStarted\nCallbackStarted ping\nInvocationCompleted\n"
                     "CallbackSucceeded ping\nInvocationCompleted\nExecutionSucceeded\n");
}

/* ---- invokes --------------------------------------------------------------------------------- */

static enum durable_rc calls(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    static const struct durable_invoke_opts opts = { .tenant_id = "t1" };
    return durable_invoke(ctx, "call", arg, in, &opts, out, err);
}

static int echo(const char *payload, const char *tenant_id, void *arg, char **result,
                struct durable_error *err)
{
    (void)arg;
    if (strcmp(payload, "\"bad\"") == 0) {
        durable_error_set(err, "Bad", "as you say");
        return -1;
    }
    *result = mem_printf("[%s,\"%s\"]", payload, tenant_id);
    return 0;
}

Test(testing, functions_answer_as_scripted)
{
    static char fn[] = "fn:1", none[] = "none:1", slow[] = "slow:1";
    static const struct {
        char *function;
        const char *input, *result, *message;
    } cases[] = {
        { fn, "1", "[1,\"t1\"]", NULL },
        { fn, "\"bad\"", NULL, "as you say" },
        { none, "1", NULL, "Function not found: none:1" },
        { slow, "1", NULL, "too slow" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_test struct durable_test *t = durable_test_new(NULL);
        durable_test_function(t, "fn:1", 3, echo, NULL);
        durable_test_function_ends(t, "slow:1", 900, "TIMED_OUT", NULL, "too slow");
        durable_test_run(t, calls, cases[i].function, cases[i].input);
        if (cases[i].result)
            cr_assert_str_eq(durable_test_result(t), cases[i].result);
        else
            cr_assert_str_eq(durable_test_error(t)->message, cases[i].message);
    }
}

/* ---- limits ---------------------------------------------------------------------------------- */

static enum durable_rc long_wait(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg, (void)out;
    durable_log(ctx, DURABLE_LOG_INFO, "about to wait");
    return durable_wait(ctx, NULL, 3600, err);
}

Test(testing, executions_time_out)
{
    const struct durable_test_opts opts = { .execution_timeout_s = 60 };
    auto_test struct durable_test *t = durable_test_new(&opts);
    cr_assert_eq(durable_test_run(t, long_wait, NULL, NULL), DURABLE_TEST_TIMED_OUT);
    cr_assert_eq(durable_test_now_ms(t), 1767225600000 + 60000);
    cr_assert(strstr(durable_test_log(t), "\"message\":\"about to wait\""));
}

/* ---- what it costs --------------------------------------------------------------------------- */

#define FEW  500
#define MANY 10000

static int nothing(struct durable_step *step, void *arg, struct json_object **out,
                   struct durable_error *err)
{
    (void)step, (void)arg, (void)out, (void)err;
    return 0;
}

static enum durable_rc many_steps(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    (void)in, (void)out;
    for (unsigned i = 0; i < *(unsigned *)arg; i++)
        DURABLE_TRY(durable_step(ctx, "s", nothing, NULL, NULL, NULL, err));
    return DURABLE_OK;
}

static int id_is_told(struct durable_step *step, const char *callback_id, void *arg,
                      struct durable_error *err)
{
    (void)step, (void)callback_id, (void)arg, (void)err;
    return 0;
}

static enum durable_rc item_waits(struct durable_ctx *ctx, struct json_object *item, size_t index,
                                  void *arg, struct json_object **out, struct durable_error *err)
{
    char name[32];
    (void)item, (void)arg;
    snprintf(name, sizeof(name), "cb-%zu", index);
    return durable_wait_for_callback(ctx, name, id_is_told, NULL, NULL, out, err);
}

static enum durable_rc many_callbacks(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                      struct json_object **out, struct durable_error *err)
{
    struct json_object *items = json_object_new_array();
    auto_durable_batch struct durable_batch *b = NULL;
    (void)in, (void)out;
    for (unsigned i = 0; i < *(unsigned *)arg; i++)
        json_object_array_add(items, NULL);
    enum durable_rc rc = durable_map(ctx, "m", items, item_waits, arg, NULL, &b, err);
    json_object_put(items);
    return rc == DURABLE_OK ? durable_batch_check(b, err) : rc;
}

/* For each of `n`. */
static double cost(durable_fn *handler, unsigned n, unsigned page)
{
    const struct durable_test_opts opts = { .page = page };
    auto_test struct durable_test *t = durable_test_new(&opts);
    for (unsigned i = 0; handler == many_callbacks && i < n; i++) {
        auto_free char *name = mem_printf("cb-%u", n - 1 - i);
        durable_test_callback_heartbeat(t, name, 1);
        durable_test_callback_succeeds(t, name, 60, "done");
    }
    cr_assert_eq(durable_test_run(t, handler, &n, NULL), DURABLE_TEST_SUCCEEDED, "%s",
                 durable_test_error(t)->message);
    for (unsigned i = 0; handler == many_callbacks && i < n; i++) {
        auto_free char *name = mem_printf("cb-%u", i);
        cr_assert_str_eq(durable_test_find(t, name)->status, "SUCCEEDED");
    }
    return (double)service_cost(t) / n;
}

Test(testing, costs_the_same_for_each_step_however_many_there_are)
{
    double few = cost(many_steps, FEW, 0), many = cost(many_steps, MANY, 0);
    cr_assert_lt(many, 2 * few, "%.1f looks a step for %d, %.1f for %d", many, MANY, few, FEW);
}

/* Two invocations, which read their state in many pages, and scripts for each by its name. */
Test(testing, costs_the_same_for_each_callback_however_many_there_are)
{
    double few = cost(many_callbacks, FEW, 50), many = cost(many_callbacks, MANY / 2, 50);
    cr_assert_lt(many, 2 * few, "%.1f looks a callback for %d, %.1f for %d", many, MANY / 2, few,
                 FEW);
}

/* branches.c - for the thread sanitizer: branches of batches, nested, abandoned, failing, resumed
 * in the process, and every checkpoint of a workflow of all operations lost in turn, on few and
 * many threads. A plain program, since Criterion does not start under it. Exit status 0: the
 * results are right. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/durable/everything.h"

#define THREADS      4
#define MANY_THREADS 64

static void must(bool ok, const char *what, struct durable_test *t)
{
    if (ok)
        return;
    fprintf(stderr, "race: %s: %s\n%s", what,
            durable_test_error(t)->message ? durable_test_error(t)->message : "",
            durable_test_history(t));
    exit(1);
}

static void run_everything(unsigned fault_at, enum durable_test_fault fault, unsigned *checkpoints)
{
    const struct durable_test_opts opts = { .max_threads = THREADS };
    struct durable_test *t = durable_test_new(&opts);
    struct everything e = { 0 };
    everything_script(t);
    if (fault_at)
        durable_test_fault(t, fault_at, fault);
    must(durable_test_run(t, everything, &e, EVERYTHING_INPUT) == DURABLE_TEST_SUCCEEDED,
         "everything", t);
    must(strcmp(durable_test_result(t), EVERYTHING_RESULT) == 0, "its result", t);
    *checkpoints = durable_test_checkpoints(t);
    durable_test_free(t);
}

/* ---- many branches of every kind ------------------------------------------------------------- */

static int slow_work(struct durable_step *step, void *arg, struct json_object **out,
                     struct durable_error *err)
{
    (void)arg, (void)err;
    for (int i = 0; i < 10 && !durable_step_abandoned(step); i++)
        usleep(200);
    durable_step_log(step, DURABLE_LOG_INFO, "worked");
    *out = json_object_new_string(durable_step_token(step));
    return 0;
}

static enum durable_rc branch(struct durable_ctx *ctx, struct json_object *item, size_t index,
                              void *arg, struct json_object **out, struct durable_error *err);

static enum durable_rc inner_map(struct durable_ctx *ctx, int depth, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    const struct durable_batch_opts opts = {
        .max_concurrency = DURABLE_LIMIT(3),
        .completion.tolerated_failure_percentage = DURABLE_LIMIT(100),
        .flat = depth == 1,
    };
    auto_durable_batch struct durable_batch *b = NULL;
    auto_json struct json_object *items = json_object_new_array();
    for (int i = 0; i < 6; i++)
        json_object_array_add(items, json_object_new_int(depth * 10 + i));
    DURABLE_TRY(durable_map(ctx, "inner", items, branch, arg, &opts, &b, err));
    *out = json_object_new_int64((int64_t)durable_batch_succeeded(b));
    return DURABLE_OK;
}

static enum durable_rc branch(struct durable_ctx *ctx, struct json_object *item, size_t index,
                              void *arg, struct json_object **out, struct durable_error *err)
{
    int depth = json_object_get_int(item) / 10;
    durable_log(ctx, DURABLE_LOG_INFO, "branch %zu", index);
    switch (index % 6) {
    case 0:
        return durable_step(ctx, NULL, slow_work, arg, NULL, out, err);
    case 1:
        DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
        return durable_step(ctx, NULL, slow_work, arg, NULL, out, err);
    case 2:
        return durable_wait_for_callback(ctx, "cb", everything_submit, arg, NULL, out, err);
    case 3:
        durable_error_set(err, "Mine", "branch %zu", index);
        return DURABLE_FAILED;
    case 4:
        return depth > 0 ? inner_map(ctx, depth - 1, arg, out, err)
                         : durable_invoke(ctx, NULL, "other:1", NULL, NULL, out, err);
    default:
        return DURABLE_OK;
    }
}

static enum durable_rc outer(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)in;
    return inner_map(ctx, 2, arg, out, err);
}

/* With few threads inner batches give theirs up while they wait, with many they stay. */
static void run_nested(unsigned threads)
{
    const struct durable_test_opts opts = { .max_threads = threads };
    struct durable_test *t = durable_test_new(&opts);
    struct everything e = { 0 };
    durable_test_each_callback_succeeds(t, "cb", 1, "yes");
    durable_test_function_returns(t, "other:1", 1, "1");
    must(durable_test_run(t, outer, &e, NULL) == DURABLE_TEST_SUCCEEDED, "nested", t);
    must(strcmp(durable_test_result(t), "5") == 0, "its result", t);
    durable_test_free(t);
}

/* ---- races of branches ----------------------------------------------------------------------- */

static enum durable_rc racer(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)in;
    return durable_step(ctx, "race", slow_work, arg, NULL, out, err);
}

static enum durable_rc races(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    struct durable_branch all[8];
    (void)in, (void)out;
    for (size_t i = 0; i < 8; i++)
        all[i] = (struct durable_branch){ .body = racer, .arg = arg };
    for (int i = 0; i < 5; i++) {
        DURABLE_TRY(durable_race(ctx, NULL, all, 8, NULL, err));
        DURABLE_TRY(durable_any(ctx, NULL, all, 8, NULL, err));
    }
    return DURABLE_OK;
}

static void run_races(void)
{
    const struct durable_test_opts opts = { .max_threads = THREADS };
    struct durable_test *t = durable_test_new(&opts);
    struct everything e = { 0 };
    must(durable_test_run(t, races, &e, NULL) == DURABLE_TEST_SUCCEEDED, "races", t);
    durable_test_free(t);
}

int main(void)
{
    static const enum durable_test_fault faults[] = {
        DURABLE_TEST_LOST_REQUEST,
        DURABLE_TEST_LOST_ANSWER,
        DURABLE_TEST_NO_TOKEN,
    };
    unsigned checkpoints = 0, ignored;
    for (int i = 0; i < 5; i++) {
        run_everything(0, DURABLE_TEST_STALE, &checkpoints);
        run_nested(THREADS);
        run_nested(MANY_THREADS);
        run_races();
    }
    for (unsigned n = 1; n <= checkpoints; n++)
        for (size_t k = 0; k < sizeof(faults) / sizeof(faults[0]); k++)
            run_everything(n, faults[k], &ignored);
    printf("race: branches: everything, nested, races and %u lost checkpoints: ok\n", checkpoints);
    return 0;
}

/* Options of child contexts, large results inside batches, logs of what is re-lived. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"
#include "shared/durable/durable_testing.h"

static unsigned bodies;

static int give(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    (void)step, (void)arg, (void)err;
    *out = json_object_new_int(1);
    return 0;
}

static enum durable_rc one_step(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    bodies++;
    durable_log(ctx, DURABLE_LOG_INFO, "in the body");
    (void)in;
    return durable_step(ctx, "inner", give, arg, NULL, out, err);
}

static enum durable_rc flat(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    const struct durable_child_opts opts = { .flat = true };
    DURABLE_TRY(durable_child(ctx, "unused", one_step, in, arg, &opts, out, err));
    DURABLE_TRY(durable_step(ctx, "outer", give, NULL, NULL, NULL, err));
    return durable_wait(ctx, NULL, 1, err);
}

Test(child, flat_has_no_record_and_its_body_runs_on_every_replay)
{
    struct durable_test *t = durable_test_new(NULL);
    bodies = 0;
    cr_assert_eq(durable_test_run(t, flat, NULL, NULL), DURABLE_TEST_SUCCEEDED);
    cr_assert_str_eq(durable_test_result(t), "1");
    cr_assert_str_eq(durable_test_operation(t, 0)->name, "inner");
    cr_assert_null(durable_test_operation(t, 0)->parent_id);
    cr_assert_str_eq(durable_test_operation(t, 0)->id, "ea66c06c1e1c05fa", "its raw id is 1-1");
    cr_assert_str_eq(durable_test_find(t, "outer")->id, "c81e728d9d4c2f63", "its raw id is 2");
    cr_assert_eq(bodies, 2);
    durable_test_free(t);
}

static enum durable_rc fails(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in, (void)arg, (void)out;
    durable_error_set(err, "Mine", "no");
    return DURABLE_FAILED;
}

static enum durable_rc flat_fails(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    const struct durable_child_opts opts = { .flat = true };
    enum durable_rc rc = durable_child(ctx, NULL, fails, in, arg, &opts, out, err);
    cr_assert_eq(rc, DURABLE_FAILED);
    cr_assert_str_eq(err->type, "ChildContextError");
    cr_assert_str_eq(err->cause_type, "Mine");
    return rc;
}

Test(child, flat_fails_like_any_other)
{
    struct durable_test *t = durable_test_new(NULL);
    cr_assert_eq(durable_test_run(t, flat_fails, NULL, NULL), DURABLE_TEST_FAILED);
    cr_assert_eq(durable_test_count(t), 0);
    durable_test_free(t);
}

static enum durable_rc subtyped(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    const struct durable_child_opts opts = { .subtype = arg };
    return durable_child(ctx, "c", one_step, in, NULL, &opts, out, err);
}

Test(child, has_the_subtype_that_it_is_given_if_that_is_one)
{
    static char good[] = "My-Sub_Type2", spaced[] = "My Sub", empty[] = "",
                long_one[] = "123456789012345678901234567890123";
    char *const bad[] = { spaced, empty, long_one };
    struct durable_test *t = durable_test_new(NULL);
    cr_assert_eq(durable_test_run(t, subtyped, good, NULL), DURABLE_TEST_SUCCEEDED);
    cr_assert_str_eq(durable_test_find(t, "c")->subtype, good);
    durable_test_free(t);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        t = durable_test_new(NULL);
        cr_assert_eq(durable_test_run(t, subtyped, bad[i], NULL), DURABLE_TEST_FAILED);
        cr_assert_str_eq(durable_test_error(t)->type, "ValidationError");
        durable_test_free(t);
    }
}

/* ---- large results --------------------------------------------------------------------------- */

static struct json_object *large_text(void)
{
    auto_free char *text = mem_alloc(300001);
    memset(text, 'y', 300000);
    return json_object_new_string(text);
}

static enum durable_rc large_body(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    bodies++;
    (void)in, (void)arg;
    DURABLE_TRY(durable_step(ctx, "inner", give, NULL, NULL, NULL, err));
    *out = large_text();
    return DURABLE_OK;
}

static char *summary(struct json_object *value, void *arg)
{
    (void)arg;
    return mem_printf("%d bytes", json_object_get_string_len(value));
}

static enum durable_rc large_child(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err)
{
    const struct durable_child_opts opts = { .summary = summary };
    struct json_object *value = NULL;
    DURABLE_TRY(durable_child(ctx, "c", large_body, in, arg, &opts, &value, err));
    int len = json_object_get_string_len(value);
    json_object_put(value);
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    *out = json_object_new_int(len);
    return DURABLE_OK;
}

Test(child, records_a_summary_of_a_large_result)
{
    struct durable_test *t = durable_test_new(NULL);
    bodies = 0;
    cr_assert_eq(durable_test_run(t, large_child, NULL, NULL), DURABLE_TEST_SUCCEEDED);
    cr_assert_str_eq(durable_test_result(t), "300000");
    cr_assert_str_eq(durable_test_find(t, "c")->result, "300000 bytes");
    cr_assert_eq(bodies, 2, "once to do it, once to bring it back");
    durable_test_free(t);
}

/* ---- a rebuilt body that was changed --------------------------------------------------------- */

static unsigned begun; /* by what the changed body has more than the old one */

static int count_step(struct durable_step *step, void *arg, struct json_object **out,
                      struct durable_error *err)
{
    (void)step, (void)arg, (void)out, (void)err;
    begun++;
    return 0;
}

static int count_check(struct durable_step *step, struct json_object *state, void *arg,
                       struct json_object **next, bool *done, struct durable_error *err)
{
    (void)step, (void)state, (void)arg, (void)next, (void)err;
    *done = ++begun > 0;
    return 0;
}

static enum durable_rc count_body(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    (void)in;
    begun++;
    return durable_step(ctx, "within", count_step, arg, NULL, out, err);
}

enum extra {
    STEP,
    WAIT,
    CALLBACK,
    INVOKE,
    CONDITION,
    CHILD,
    PARALLEL,
    EXTRAS
};

static enum durable_rc do_extra(struct durable_ctx *ctx, enum extra extra,
                                struct durable_error *err)
{
    const struct durable_branch branch = { "branch", count_body, NULL };
    auto_durable_batch struct durable_batch *b = NULL;
    struct durable_callback cb;
    switch (extra) {
    case STEP:
        return durable_step(ctx, "extra", count_step, NULL, NULL, NULL, err);
    case WAIT:
        return durable_wait(ctx, "extra", 1, err);
    case CALLBACK:
        return durable_callback_create(ctx, "extra", NULL, &cb, err);
    case INVOKE:
        return durable_invoke(ctx, "extra", "f:1", NULL, NULL, NULL, err);
    case CONDITION:
        return durable_wait_for_condition(ctx, "extra", count_check, NULL, NULL, NULL, err);
    case CHILD:
        return durable_child(ctx, "extra", count_body, NULL, NULL, NULL, NULL, err);
    default:
        return durable_parallel(ctx, "extra", &branch, 1, NULL, &b, err);
    }
}

static enum durable_rc changed_body(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                    struct json_object **out, struct durable_error *err)
{
    const enum extra *extra = arg;
    DURABLE_TRY(large_body(ctx, in, NULL, out, err));
    if (bodies == 1)
        return DURABLE_OK;
    json_object_put(*out);
    *out = NULL;
    DURABLE_TRY(do_extra(ctx, *extra, err));
    *out = large_text();
    return DURABLE_OK;
}

static enum durable_rc changed_child(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                     struct json_object **out, struct durable_error *err)
{
    DURABLE_TRY(durable_child(ctx, "c", changed_body, in, arg, NULL, out, err));
    return durable_wait(ctx, NULL, 1, err);
}

/* What has succeeded is not gone on with: a new version of its body begins nothing. */
Test(child, a_changed_body_that_is_rebuilt_begins_nothing)
{
    for (enum extra extra = STEP; extra < EXTRAS; extra++) {
        struct durable_test *t = durable_test_new(NULL);
        bodies = begun = 0;
        cr_expect_eq(durable_test_run(t, changed_child, &extra, NULL), DURABLE_TEST_FAILED);
        cr_expect_str_eq(durable_test_error(t)->type, "NonDeterministicExecutionError");
        cr_expect_eq(bodies, 2, "%d", (int)extra);
        cr_expect_eq(begun, 0, "%d", (int)extra);
        cr_expect_null(durable_test_find(t, "extra"), "%d", (int)extra);
        durable_test_free(t);
    }
}

static enum durable_rc large_item(struct durable_ctx *ctx, struct json_object *item, size_t index,
                                  void *arg, struct json_object **out, struct durable_error *err)
{
    (void)item, (void)index;
    return large_body(ctx, NULL, arg, out, err);
}

static enum durable_rc large_items(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err)
{
    auto_durable_batch struct durable_batch *b = NULL;
    const struct durable_batch_opts opts = { .flat = arg != NULL };
    DURABLE_TRY(durable_map(ctx, "m", in, large_item, NULL, &opts, &b, err));
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    *out = json_object_new_array();
    for (size_t i = 0; i < durable_batch_total(b); i++)
        json_object_array_add(
            *out, json_object_new_int(json_object_get_string_len(durable_batch_value(b, i))));
    return DURABLE_OK;
}

Test(map, brings_large_results_of_items_back_by_their_bodies)
{
    static char yes[] = "flat";
    for (int is_flat = 0; is_flat < 2; is_flat++) {
        struct durable_test *t = durable_test_new(NULL);
        bodies = 0;
        cr_assert_eq(durable_test_run(t, large_items, is_flat ? yes : NULL, "[1,2]"),
                     DURABLE_TEST_SUCCEEDED, "%s", durable_test_error(t)->message);
        cr_assert_str_eq(durable_test_result(t), "[300000,300000]");
        cr_assert_eq(bodies, 4);
        cr_assert_eq(durable_test_find(t, "inner")->attempts, 1);
        durable_test_free(t);
    }
}

/* A program that has changed: fewer items than are recorded. */
static enum durable_rc shrinks(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    unsigned *invocation = arg;
    auto_durable_batch struct durable_batch *b = NULL;
    auto_json struct json_object *one = json_tokener_parse("[1]");
    (void)out;
    DURABLE_TRY(
        durable_map(ctx, "m", ++*invocation == 1 ? in : one, large_item, NULL, NULL, &b, err));
    return durable_wait(ctx, NULL, 1, err);
}

Test(map, of_another_length_than_recorded_ends_the_execution)
{
    struct durable_test *t = durable_test_new(NULL);
    unsigned invocation = 0;
    cr_assert_eq(durable_test_run(t, shrinks, &invocation, "[1,2]"), DURABLE_TEST_FAILED);
    cr_assert_str_eq(durable_test_error(t)->type, "NonDeterministicExecutionError");
    cr_assert(strstr(durable_test_error(t)->message, "had 2 branches and now has 1"));
    durable_test_free(t);
}

/* ---- determinism inside branches ------------------------------------------------------------- */

static enum durable_rc renamed(struct durable_ctx *ctx, struct json_object *item, size_t index,
                               void *arg, struct json_object **out, struct durable_error *err)
{
    unsigned *runs = arg;
    (void)item, (void)index, (void)out;
    DURABLE_TRY(durable_step(ctx, ++*runs == 1 ? "old" : "new", give, NULL, NULL, NULL, err));
    return durable_wait(ctx, NULL, 1, err);
}

static enum durable_rc renaming(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)out;
    return durable_map(ctx, "m", in, renamed, arg, NULL, NULL, err);
}

Test(map, whose_branch_calls_another_operation_ends_the_execution)
{
    struct durable_test *t = durable_test_new(NULL);
    unsigned runs = 0;
    cr_assert_eq(durable_test_run(t, renaming, &runs, "[1]"), DURABLE_TEST_FAILED);
    cr_assert_str_eq(durable_test_error(t)->type, "NonDeterministicExecutionError");
    cr_assert(strstr(durable_test_error(t)->message, "Expected name \"old\", but got \"new\""));
    durable_test_free(t);
}

/* ---- logs ------------------------------------------------------------------------------------ */

static enum durable_rc logs(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    (void)in, (void)out;
    durable_log_replays(ctx, arg != NULL);
    durable_log(ctx, DURABLE_LOG_INFO, "line");
    DURABLE_TRY(durable_child(ctx, NULL, one_step, NULL, NULL, NULL, NULL, err));
    return durable_wait(ctx, NULL, 1, err);
}

static unsigned occurrences(const char *text, const char *what)
{
    unsigned n = 0;
    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

Test(log, is_silent_about_what_is_relived_unless_told)
{
    static char yes[] = "yes";
    for (int replays = 0; replays < 2; replays++) {
        struct durable_test *t = durable_test_new(NULL);
        cr_assert_eq(durable_test_run(t, logs, replays ? yes : NULL, NULL), DURABLE_TEST_SUCCEEDED);
        cr_assert_eq(occurrences(durable_test_log(t), "\"message\":\"line\""), replays ? 2U : 1U);
        cr_assert_eq(occurrences(durable_test_log(t), "in the body"), 1U,
                     "a finished child does not run again");
        durable_test_free(t);
    }
}

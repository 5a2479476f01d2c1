/* What a handler may not do, and how it hears of it: a typed error, and nothing begun. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"
#include "shared/base/mem.h"
#include "shared/durable/durable_testing.h"

#define STATE_MAX  262144
#define INVOKE_MAX 1048576

static struct json_object *text_of(size_t len)
{
    auto_free char *text = mem_alloc(len + 1);
    memset(text, 'y', len);
    return json_object_new_string(text);
}

static enum durable_rc fine(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in, (void)arg, (void)out, (void)err;
    return DURABLE_OK;
}

static enum durable_rc item(struct durable_ctx *ctx, struct json_object *one, size_t index,
                            void *arg, struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)one, (void)index, (void)arg, (void)out, (void)err;
    return DURABLE_OK;
}

static enum durable_rc claims_to_wait(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                      struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in, (void)arg, (void)out, (void)err;
    return DURABLE_SUSPENDED;
}

static int large_state(struct durable_step *step, struct json_object *state, void *arg,
                       struct json_object **next, bool *done, struct durable_error *err)
{
    (void)step, (void)state, (void)arg, (void)err;
    *next = text_of(STATE_MAX);
    *done = true;
    return 0;
}

static int wordless_check(struct durable_step *step, struct json_object *state, void *arg,
                          struct json_object **next, bool *done, struct durable_error *err)
{
    (void)step, (void)state, (void)arg, (void)next, (void)done, (void)err;
    return -1;
}

static enum durable_rc map_of_an_object(struct durable_ctx *ctx, struct durable_error *err)
{
    auto_durable_batch struct durable_batch *b = NULL;
    struct json_object *o = json_object_new_object();
    enum durable_rc rc = durable_map(ctx, "m", o, item, NULL, NULL, &b, err);
    json_object_put(o);
    return rc;
}

static enum durable_rc branch_with_a_bad_name(struct durable_ctx *ctx, struct durable_error *err)
{
    auto_durable_batch struct durable_batch *b = NULL;
    const struct durable_branch two[] = { { "good", fine, NULL },
                                          { "b\xc3\xa4"
                                            "d",
                                            fine, NULL } };
    return durable_parallel(ctx, "p", two, 2, NULL, &b, err);
}

static enum durable_rc invoke_with_too_much(struct durable_ctx *ctx, struct durable_error *err)
{
    struct json_object *payload = text_of(INVOKE_MAX);
    enum durable_rc rc = durable_invoke(ctx, "i", "f:1", payload, NULL, NULL, err);
    json_object_put(payload);
    return rc;
}

static enum durable_rc condition_with_a_large_state(struct durable_ctx *ctx,
                                                    struct durable_error *err)
{
    return durable_wait_for_condition(ctx, "c", large_state, NULL, NULL, NULL, err);
}

static enum durable_rc condition_that_fails_without_a_word(struct durable_ctx *ctx,
                                                           struct durable_error *err)
{
    return durable_wait_for_condition(ctx, "c", wordless_check, NULL, NULL, NULL, err);
}

static enum durable_rc child_that_only_says_that_it_waits(struct durable_ctx *ctx,
                                                          struct durable_error *err)
{
    return durable_child(ctx, "c", claims_to_wait, NULL, NULL, NULL, NULL, err);
}

static enum durable_rc no_time_at_all(struct durable_ctx *ctx, struct durable_error *err)
{
    return durable_wait(ctx, "w", 0, err);
}

struct refusal {
    enum durable_rc (*what)(struct durable_ctx *ctx, struct durable_error *err);
    const char *type;
    const char *says;
};

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    const struct refusal *r = arg;
    (void)in, (void)out;
    return r->what(ctx, err);
}

Test(refusals, are_typed_and_say_what_is_wrong)
{
    static struct refusal table[] = {
        { map_of_an_object, "ValidationError", "a JSON array" },
        { branch_with_a_bad_name, "ValidationError", "branch 1" },
        { invoke_with_too_much, "", "1048578 bytes" },
        { condition_with_a_large_state, "", "262146 bytes" },
        { condition_that_fails_without_a_word, "", "without an error" },
        { child_that_only_says_that_it_waits, "HandlerError", "no operation in it did" },
        { no_time_at_all, "ValidationError", "a wait of 0 seconds" },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct durable_test *t = durable_test_new(NULL);
        cr_expect_eq(durable_test_run(t, handler, &table[i], NULL), DURABLE_TEST_FAILED, "case %zu",
                     i);
        const struct durable_error *e = durable_test_error(t);
        cr_expect(e->type && e->type[0] &&
                      (!table[i].type[0] || strcmp(e->type, table[i].type) == 0),
                  "case %zu: %s", i, e->type);
        cr_expect(e->message && strstr(e->message, table[i].says), "case %zu: %s: %s", i, e->type,
                  e->message);
        durable_test_free(t);
    }
}

/* ---- what a batch says of its failures ------------------------------------------------------- */

static enum durable_rc fails(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in, (void)out;
    durable_error_set(err, arg, "no");
    return DURABLE_FAILED;
}

static enum durable_rc asks_the_batch(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                      struct json_object **out, struct durable_error *err)
{
    static char first[] = "First", third[] = "Third";
    const struct durable_branch three[] = { { "a", fails, first },
                                            { "b", fine, NULL },
                                            { "c", fails, third } };
    const struct durable_batch_opts opts = { .completion = { .tolerated_failure_count =
                                                                 DURABLE_LIMIT(2) } };
    auto_durable_batch struct durable_batch *b = NULL;
    (void)in, (void)arg;
    DURABLE_TRY(durable_parallel(ctx, "p", three, 3, &opts, &b, err));
    *out = durable_batch_errors(b);
    return DURABLE_OK;
}

Test(refusals, a_batch_lists_its_errors)
{
    struct durable_test *t = durable_test_new(NULL);
    cr_assert_eq(durable_test_run(t, asks_the_batch, NULL, NULL), DURABLE_TEST_SUCCEEDED, "%s",
                 durable_test_error(t)->message);
    struct error err;
    auto_json struct json_object *errors = NULL;
    cr_assert_eq(json_parse_str(durable_test_result(t), &errors, &err), 0);
    cr_assert_eq(json_object_array_length(errors), 2);
    const char *result = durable_test_result(t);
    const char *first = strstr(result, "First"), *third = strstr(result, "Third");
    cr_assert(first && third && first < third, "%s", result);
    durable_test_free(t);
}

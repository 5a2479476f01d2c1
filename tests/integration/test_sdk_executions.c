/* How executions end, and what they may carry: errors that escape, arguments that make no sense,
 * handlers that do not keep to their rules, programs that change, results and states of any size.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/sdk_rig.h"

static const struct durable_step_opts once = { .retry = DURABLE_RETRY_NONE };

static struct json_object *text_of_size(size_t len)
{
    char *text = mem_alloc(len);
    memset(text, 'x', len);
    struct json_object *value = json_object_new_string_len(text, (int)len);
    free(text);
    return value;
}

static int give(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    (void)step, (void)err;
    *out = json_object_get(arg);
    return 0;
}

static int fail(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    (void)step, (void)arg, (void)out;
    durable_error_set(err, "Order.OutOfStock", "none left");
    return -1;
}

/* ---- arguments that make no sense ------------------------------------------------------------ */

/* Each of them is refused with ValidationError, and nothing is recorded. */
static enum durable_rc invalid(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    char long_name[258] = { 0 };
    memset(long_name, 'n', 257);
    const char *const names[] = { "", long_name, "caf\xc3\xa9", "tab\there", "line\n" };
    const int64_t durations[] = { 0, -1, 31622401 };
    const struct durable_callback_opts patience[] = { { .timeout_s = -1 },
                                                      { .timeout_s = 31622401 },
                                                      { .heartbeat_timeout_s = -5 } };
    const struct durable_invoke_opts tenants[] = { { .tenant_id = "" }, { .tenant_id = "a!" } };
    const struct durable_child_opts subtype = { .subtype = "no spaces" };
    int64_t refused = 0;
#define REFUSED(call)                                                                              \
    do {                                                                                           \
        if ((call) != DURABLE_FAILED || strcmp(err->type, "ValidationError") != 0 ||               \
            !err->message[0])                                                                      \
            return DURABLE_FATAL;                                                                  \
        refused++;                                                                                 \
    } while (0)
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct durable_callback cb = { 0 };
        REFUSED(durable_step(ctx, names[i], give, NULL, NULL, NULL, err));
        REFUSED(durable_wait(ctx, names[i], 1, err));
        REFUSED(durable_callback_create(ctx, names[i], NULL, &cb, err));
        REFUSED(durable_invoke(ctx, names[i], "f:1", NULL, NULL, NULL, err));
    }
    for (size_t i = 0; i < ARRAY_LEN(durations); i++)
        REFUSED(durable_wait(ctx, NULL, durations[i], err));
    for (size_t i = 0; i < ARRAY_LEN(patience); i++) {
        struct durable_callback cb = { 0 };
        REFUSED(durable_callback_create(ctx, NULL, &patience[i], &cb, err));
    }
    for (size_t i = 0; i < ARRAY_LEN(tenants); i++)
        REFUSED(durable_invoke(ctx, NULL, "f:1", NULL, &tenants[i], NULL, err));
    REFUSED(durable_invoke(ctx, NULL, "", NULL, NULL, NULL, err));
    REFUSED(durable_invoke(ctx, NULL, "with space", NULL, NULL, NULL, err));
    REFUSED(durable_child(ctx, NULL, NULL, NULL, NULL, &subtype, NULL, err));
#undef REFUSED
    /* The longest name, of every character that is allowed. */
    for (int i = 0; i < 256; i++)
        long_name[i] = (char)(' ' + i % 95);
    long_name[256] = '\0';
    DURABLE_TRY(durable_step(ctx, long_name, give, NULL, NULL, NULL, err));
    *out = json_object_new_int64(refused);
    return DURABLE_OK;
}

/* ---- handlers that break rules --------------------------------------------------------------- */

static enum durable_rc ignores_suspension(struct durable_ctx *ctx, struct json_object *in,
                                          void *arg, struct json_object **out,
                                          struct durable_error *err)
{
    (void)in, (void)arg;
    enum durable_rc waited = durable_wait(ctx, NULL, 1, err);
    struct json_object *value = json_object_new_string("a body that must not run");
    enum durable_rc later = durable_step(ctx, "after", give, value, NULL, NULL, err);
    json_object_put(value);
    *out = json_object_new_string(waited == DURABLE_OK && later == DURABLE_OK ? "in order" : "no");
    return DURABLE_OK;
}

static enum durable_rc suspends_for_nothing(struct durable_ctx *ctx, struct json_object *in,
                                            void *arg, struct json_object **out,
                                            struct durable_error *err)
{
    (void)ctx, (void)arg, (void)out, (void)err;
    return json_object_get_boolean(in) ? DURABLE_SUSPENDED : DURABLE_FATAL;
}

static enum durable_rc outer_used_inside(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                         struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in, (void)out;
    return durable_wait(arg, NULL, 1, err);
}

static enum durable_rc wrong_context(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                     struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return durable_child(ctx, "c", outer_used_inside, NULL, ctx, NULL, out, err);
}

static enum durable_rc fails_silently(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                      struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in, (void)arg, (void)out, (void)err;
    return DURABLE_FAILED;
}

static enum durable_rc step_escapes(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                    struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return durable_step(ctx, NULL, fail, NULL, &once, out, err);
}

/* ---- programs that change -------------------------------------------------------------------- */

/* Another program after its first wait: what the input names is different then. */
static enum durable_rc changes(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg, (void)out;
    const char *what = json_object_get_string(in);
    bool replay = durable_is_replaying(ctx);
    static const struct durable_child_opts other = { .subtype = "Other" };
    if (replay && strcmp(what, "type") == 0)
        DURABLE_TRY(durable_wait(ctx, "first", 1, err));
    else if (strcmp(what, "subtype") == 0)
        DURABLE_TRY(durable_child(ctx, "first", fails_silently, NULL, NULL, replay ? &other : NULL,
                                  NULL, err) == DURABLE_FATAL
                        ? DURABLE_FATAL
                        : DURABLE_OK);
    else
        DURABLE_TRY(durable_step(ctx,
                                 !replay                     ? "first"
                                 : strcmp(what, "name") == 0 ? "1st"
                                                             : NULL,
                                 give, NULL, NULL, NULL, err));
    return durable_wait(ctx, "second", 1, err);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static enum durable_rc result_of_size(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                      struct json_object **out, struct durable_error *err)
{
    (void)arg;
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    *out = text_of_size((size_t)json_object_get_int64(in));
    return DURABLE_OK;
}

/* 30 results of 250 KiB: more than an invocation's event holds. */
static enum durable_rc state_in_pages(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                      struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    int64_t sum = 0;
    for (int i = 0; i < 30; i++) {
        auto_json struct json_object *value = text_of_size(250 * 1024), *got = NULL;
        DURABLE_TRY(durable_step(ctx, NULL, give, value, NULL, &got, err));
        sum += json_object_get_string_len(got);
    }
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    *out = json_object_new_int64(sum);
    return DURABLE_OK;
}

/* More operations than a page of the state. */
static enum durable_rc many_steps(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    (void)arg;
    int64_t sum = 0;
    for (int i = 0; i < json_object_get_int(in); i++) {
        auto_json struct json_object *value = json_object_new_int(i), *got = NULL;
        DURABLE_TRY(durable_step(ctx, NULL, give, value, NULL, &got, err));
        sum += json_object_get_int64(got);
    }
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    *out = json_object_new_int64(sum);
    return DURABLE_OK;
}

static enum durable_rc length_of_input(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                       struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)arg, (void)err;
    *out = json_object_new_int64(json_object_get_string_len(in));
    return DURABLE_OK;
}

/* A child in a child, both with results that are rebuilt, and a step behind them. */
static enum durable_rc large_inner(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err)
{
    (void)arg;
    struct json_object *got = NULL;
    DURABLE_TRY(durable_step(ctx, "small", give, in, NULL, &got, err));
    *out = text_of_size(300 * 1024 + (size_t)json_object_get_int(got));
    json_object_put(got);
    return DURABLE_OK;
}

static enum durable_rc large_outer(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err)
{
    (void)arg;
    struct json_object *a = NULL, *b = NULL;
    durable_log(ctx, DURABLE_LOG_INFO, "rebuilt");
    DURABLE_TRY(durable_child(ctx, "inner", large_inner, in, NULL, NULL, &a, err));
    enum durable_rc rc = durable_child(ctx, "inner", large_inner, in, NULL, NULL, &b, err);
    if (rc == DURABLE_OK) {
        *out = json_object_new_array();
        json_object_array_add(*out, a);
        json_object_array_add(*out, b);
        return rc;
    }
    json_object_put(a);
    return rc;
}

static enum durable_rc rebuilt(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    auto_json struct json_object *both = NULL;
    DURABLE_TRY(durable_child(ctx, "outer", large_outer, in, NULL, NULL, &both, err));
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    DURABLE_TRY(durable_step(ctx, "behind", give, in, NULL, NULL, err));
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    *out = json_object_new_int(json_object_get_string_len(json_object_array_get_idx(both, 0)) +
                               json_object_get_string_len(json_object_array_get_idx(both, 1)));
    return DURABLE_OK;
}

/* ---- logs ------------------------------------------------------------------------------------ */

static enum durable_rc logged_child(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                    struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg, (void)out;
    durable_log(ctx, DURABLE_LOG_INFO, "child-begin");
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    durable_log(ctx, DURABLE_LOG_INFO, "child-end");
    return DURABLE_OK;
}

static enum durable_rc logs(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    (void)arg, (void)out;
    durable_log_replays(ctx, json_object_get_boolean(in));
    durable_log(ctx, DURABLE_LOG_INFO, "begin");
    DURABLE_TRY(durable_step(ctx, "a", give, NULL, NULL, NULL, err));
    durable_log(ctx, DURABLE_LOG_INFO, "after-step");
    DURABLE_TRY(durable_wait(ctx, "w", 1, err));
    durable_log(ctx, DURABLE_LOG_WARN, "after-wait");
    DURABLE_TRY(durable_child(ctx, "c", logged_child, NULL, NULL, NULL, NULL, err));
    durable_log(ctx, DURABLE_LOG_DEBUG, "below the level");
    durable_log(ctx, DURABLE_LOG_ERROR, "end");
    return DURABLE_OK;
}

const struct sdk_rig_handler sdk_rig_handlers[] = {
    { "invalid", invalid, NULL },
    { "ignores_suspension", ignores_suspension, NULL },
    { "suspends_for_nothing", suspends_for_nothing, NULL },
    { "wrong_context", wrong_context, NULL },
    { "fails_silently", fails_silently, NULL },
    { "step_escapes", step_escapes, NULL },
    { "changes", changes, NULL },
    { "result_of_size", result_of_size, NULL },
    { "state_in_pages", state_in_pages, NULL },
    { "many_steps", many_steps, NULL },
    { "length_of_input", length_of_input, NULL },
    { "rebuilt", rebuilt, NULL },
    { "logs", logs, NULL },
    { NULL, NULL, NULL },
};

/* ---- the tests ------------------------------------------------------------------------------- */

static struct lambda_rig rig;

static void begin(void)
{
    sdk_rig_start(&rig);
}

static void end(void)
{
    lambda_rig_stop(&rig);
}

TestSuite(executions, .init = begin, .fini = end, .timeout = 300);

static void expect(const char *name, const char *input, const char *want)
{
    auto_free char *result = sdk_rig_result(&rig, name, input);
    cr_assert_str_eq(result, want, "%s: %s", name, result);
}

Test(executions, refuse_arguments_that_make_no_sense)
{
    auto_free char *arn = lambda_rig_begin(&rig, "invalid:$LATEST", "{}");
    auto_json struct json_object *ended = lambda_rig_end(&rig, arn, "SUCCEEDED");
    cr_assert_str_eq(json_get_str(ended, "Result"), "31");
    auto_free char *history = lambda_rig_history(&rig, arn);
    cr_assert_str_eq(history, "ExecutionStarted StepStarted StepSucceeded InvocationCompleted "
                              "ExecutionSucceeded");
}

Test(executions, do_not_depend_on_a_handler_that_looks_at_codes)
{
    expect("ignores_suspension", "{}", "\"in order\"");
    sdk_rig_fails(&rig, "suspends_for_nothing", "true", "HandlerError", NULL);
    sdk_rig_fails(&rig, "suspends_for_nothing", "false", "HandlerError", NULL);
    sdk_rig_fails(&rig, "wrong_context", "{}", "ContextValidationError", NULL);
    sdk_rig_fails(&rig, "fails_silently", "{}", "Error", NULL);
    sdk_rig_fails(&rig, "step_escapes", "{}", "StepError", "none left");
}

Test(executions, of_a_program_that_has_changed_end)
{
    static const char *const what[] = { "\"type\"", "\"name\"", "\"no name\"", "\"subtype\"" };
    for (size_t i = 0; i < ARRAY_LEN(what); i++)
        sdk_rig_fails(&rig, "changes", what[i], "NonDeterministicExecutionError", NULL);
}

/* Over Lambda's limit for an answer it goes through a checkpoint. */
Test(executions, have_results_of_any_size)
{
    static const size_t sizes[] = { 1, 262144, 1 << 20, 6291404, 6291405, 6400000 };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        auto_free char *input = mem_printf("%zu", sizes[i]);
        auto_free char *result = sdk_rig_result(&rig, "result_of_size", input);
        cr_assert_eq(strlen(result), sizes[i] + 2, "%zu: %zu", sizes[i], strlen(result));
    }
    auto_free char *large = mem_alloc((5 << 20) + 3);
    memset(large, 'y', (5 << 20) + 2);
    large[0] = large[(5 << 20) + 1] = '"';
    large[(5 << 20) + 2] = '\0';
    auto_free char *length = lambda_rig_invoke(&rig, "length_of_input:$LATEST", large, false);
    cr_assert_str_eq(length, "5242880");
}

Test(executions, have_states_of_many_pages)
{
    expect("state_in_pages", "{}", "7680000");
    expect("many_steps", "1500", "1124250");
}

Test(executions, rebuild_large_results_of_children)
{
    expect("rebuilt", "7", "614414");
}

Test(executions, log_once_unless_asked)
{
    static const struct {
        const char *message;
        int once, replayed;
    } lines[] = {
        { "begin", 1, 3 },       { "after-step", 1, 3 }, { "after-wait", 1, 2 },
        { "child-begin", 1, 2 }, { "child-end", 1, 1 },  { "below the level", 0, 0 },
        { "end", 1, 1 },
    };
    auto_free char *quiet = lambda_rig_begin(&rig, "logs:$LATEST", "false");
    auto_free char *loud = lambda_rig_begin(&rig, "logs:$LATEST", "true");
    json_object_put(lambda_rig_end(&rig, quiet, "SUCCEEDED"));
    json_object_put(lambda_rig_end(&rig, loud, "SUCCEEDED"));
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        const char *m = lines[i].message;
        int seldom = sdk_rig_logged(&rig, "logs", quiet, m);
        int often = sdk_rig_logged(&rig, "logs", loud, m);
        cr_assert_eq(seldom, lines[i].once, "%s: %d", m, seldom);
        cr_assert_eq(often, lines[i].replayed, "%s: %d", m, often);
    }
}

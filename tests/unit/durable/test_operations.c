#include "tests/unit/durable/fake.h"

/* ---- wait ------------------------------------------------------------------------------------ */

static enum durable_rc waits(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)in, (void)out;
    return durable_wait(ctx, "w", *(int64_t *)arg, err);
}

Test(wait, goes_on_from_every_status)
{
    static const struct {
        const char *status; /* NULL: no record */
        size_t requests;
        const char *answer;
    } cases[] = {
        { NULL, 1, "{\"Status\":\"PENDING\"}" },
        { "STARTED", 0, "{\"Status\":\"PENDING\"}" },
        { "SUCCEEDED", 0, "{\"Status\":\"SUCCEEDED\"}" },
        { "CANCELLED", 0, "{\"Status\":\"SUCCEEDED\"}" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        if (cases[i].status) {
            auto_free char *op =
                mem_printf("{\"Id\":\"" ID1 "\",\"Type\":\"WAIT\",\"SubType\":\"Wait\","
                           "\"Name\":\"w\",\"Status\":\"%s\"}",
                           cases[i].status);
            fake_record(&f, op);
        }
        int64_t s = 60;
        cr_assert_str_eq(fake_invoke(&f, waits, &s), cases[i].answer);
        cr_assert_eq(f.requests, cases[i].requests);
        if (f.requests)
            cr_assert(strstr(f.request[0], "\"WaitOptions\":{\"WaitSeconds\":60}"));
    }
}

static void wait_is_over(struct fake *f)
{
    fake_wait_over(f, ID1);
}

Test(wait, goes_on_where_the_answer_says_that_it_is_over)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.on_checkpoint = wait_is_over;
    int64_t s = 1;
    cr_assert_str_eq(fake_invoke(&f, waits, &s), "{\"Status\":\"SUCCEEDED\"}");
}

Test(wait, refuses_times_that_are_none_and_changes_nothing)
{
    static const int64_t bad[] = { 0, -1, 31622401, INT64_MAX, INT64_MIN };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        int64_t s = bad[i];
        const char *answer = fake_invoke(&f, waits, &s);
        cr_assert(strstr(answer, "\"ErrorType\":\"ValidationError\"") && strstr(answer, "31622400"),
                  "%s", answer);
        cr_assert_eq(f.requests, 0);
    }
}

/* ---- names ----------------------------------------------------------------------------------- */

static enum durable_rc named(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)in, (void)out;
    return durable_wait(ctx, arg, 1, err);
}

Test(names, are_null_or_up_to_256_printable_ascii_characters)
{
    char longest[258];
    memset(longest, 'n', 257);
    longest[257] = '\0';
    char tilde[] = " ~", empty[] = "", tab[] = "a\tb", umlaut[] = "\xc3\xa4", del[] = "a\x7f";
    struct {
        char *name;
        bool good;
    } cases[] = { { NULL, true },   { tilde, true }, { longest + 1, true }, { longest, false },
                  { empty, false }, { tab, false },  { umlaut, false },     { del, false } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        const char *answer = fake_invoke(&f, named, cases[i].name);
        cr_assert(strstr(answer, cases[i].good ? "PENDING" : "ValidationError"), "case %zu", i);
        cr_assert_eq(f.requests, cases[i].good ? 1 : 0);
    }
}

static int nothing(struct durable_step *step, void *arg, struct json_object **out,
                   struct durable_error *err)
{
    (void)step, (void)out, (void)err;
    if (arg)
        ++*(unsigned *)arg;
    return 0;
}

/* ---- child ----------------------------------------------------------------------------------- */

struct child_plan {
    unsigned bodies, steps;
    bool fails;
    bool waits;
    size_t result_len; /* of a string; 0: {"in":...} */
    struct durable_error err;
};

static enum durable_rc child_body(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    struct child_plan *p = arg;
    p->bodies++;
    durable_log(ctx, DURABLE_LOG_INFO, "in the child");
    DURABLE_TRY(durable_step(ctx, "s", nothing, &p->steps, NULL, NULL, err));
    if (p->waits)
        DURABLE_TRY(durable_wait(ctx, NULL, 5, err));
    if (p->fails) {
        durable_error_set(err, "Order.Away", "no");
        return DURABLE_FAILED;
    }
    if (p->result_len) {
        auto_free char *s = mem_alloc(p->result_len + 1);
        memset(s, 'r', p->result_len);
        *out = json_object_new_string(s);
        return DURABLE_OK;
    }
    *out = json_object_new_object();
    json_add(*out, "in", json_object_get(in));
    return DURABLE_OK;
}

static enum durable_rc has_child(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    struct child_plan *p = arg;
    auto_json struct json_object *value = NULL;
    enum durable_rc rc = durable_child(ctx, "c", child_body, in, p, NULL, &value, err);
    durable_error_copy(&p->err, err);
    if (rc != DURABLE_OK)
        return rc;
    if (p->result_len)
        *out = json_object_new_int64(json_object_get_string_len(value));
    else
        *out = MOVE(value);
    return DURABLE_OK;
}

Test(child, runs_in_a_context_of_its_own_and_is_recorded_as_one)
{
    auto_fake struct fake f;
    fake_init(&f, "{\"a\":1}");
    struct child_plan p = { 0 };
    static const char answer[] =
        "{\"Status\":\"SUCCEEDED\",\"Result\":\"{\\\"in\\\":{\\\"a\\\":1}}\"}";
    cr_assert_str_eq(fake_invoke(&f, has_child, &p), answer);
    auto_buf struct buf b = BUF_INIT(4096);
    fake_updates(&f, 1, &b);
    cr_assert_str_eq(buf_str(&b), "START CONTEXT 1, START STEP 1-1, SUCCEED STEP 1-1");
    fake_updates(&f, 2, &b);
    cr_assert_str_eq(buf_str(&b), "SUCCEED CONTEXT 1");
    cr_assert(strstr(f.request[0], "\"ParentId\":\"" ID1 "\",\"Type\":\"STEP\""));
    cr_assert_str_eq(json_get_str(fake_find(&f, ID1), "SubType"), "RunInChildContext");
    cr_assert_str_eq(fake_invoke(&f, has_child, &p), answer, "replay");
    cr_assert_eq(p.bodies, 1);
    cr_assert_eq(f.requests, 2);
}

Test(child, that_suspends_is_entered_again_without_a_second_start)
{
    auto_fake struct fake f;
    fake_init(&f, "1");
    struct child_plan p = { .waits = true };
    cr_assert_str_eq(fake_invoke(&f, has_child, &p), "{\"Status\":\"PENDING\"}");
    cr_assert_str_eq(json_get_str(fake_find(&f, ID1), "Status"), "STARTED");
    fake_wait_over(&f, ID12);
    cr_assert_str_eq(fake_invoke(&f, has_child, &p),
                     "{\"Status\":\"SUCCEEDED\",\"Result\":\"{\\\"in\\\":1}\"}");
    cr_assert_eq(p.steps, 1);
    cr_assert_eq(p.bodies, 2);
}

Test(child, that_fails_gives_ChildContextError_with_the_cause)
{
    auto_fake struct fake f;
    fake_init(&f, "1");
    struct child_plan p = { .fails = true };
    static const char answer[] = "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":"
                                 "\"ChildContextError\",\"ErrorMessage\":\"no\"}}";
    for (int n = 0; n < 2; n++) {
        cr_assert_str_eq(fake_invoke(&f, has_child, &p), answer);
        cr_assert_str_eq(p.err.cause_type, "Order.Away");
        durable_error_release(&p.err);
    }
    cr_assert_eq(p.bodies, 1);
    cr_assert(strstr(f.request[1], "\"ErrorType\":\"Order.Away\""), "the raw error is recorded");
}

Test(child, runs_its_body_again_for_a_result_over_256_KiB_and_sends_nothing)
{
    auto_fake struct fake f;
    fake_init(&f, "1");
    struct child_plan p = { .result_len = 262143 };
    cr_assert_str_eq(fake_invoke(&f, has_child, &p),
                     "{\"Status\":\"SUCCEEDED\",\"Result\":\"262143\"}");
    cr_assert(
        strstr(f.request[1], "\"Payload\":\"\",\"ContextOptions\":{\"ReplayChildren\":true}"));
    cr_assert_str_eq(fake_invoke(&f, has_child, &p),
                     "{\"Status\":\"SUCCEEDED\",\"Result\":\"262143\"}");
    cr_assert_eq(p.bodies, 2);
    cr_assert_eq(p.steps, 1);
    cr_assert_eq(f.requests, 2);
    auto_fake struct fake g;
    fake_init(&g, "1");
    p.result_len = 262142;
    fake_invoke(&g, has_child, &p);
    cr_assert_not(strstr(g.request[1], "ReplayChildren"), "exactly 256 KiB are a payload");
}

Test(child, run_again_for_its_result_must_come_to_the_same)
{
    static const struct {
        bool fails, waits;
    } cases[] = { { true, false }, { false, true } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, "1");
        struct child_plan p = { .result_len = 300000 };
        fake_invoke(&f, has_child, &p);
        p.fails = cases[i].fails;
        p.waits = cases[i].waits;
        const char *answer = fake_invoke(&f, has_child, &p);
        cr_assert(strstr(answer, "NonDeterministicExecutionError"), "case %zu: %s", i, answer);
        cr_assert_eq(f.requests, 2);
        durable_error_release(&p.err);
    }
}

static enum durable_rc inner_only(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in, (void)out;
    struct durable_ctx *outer = arg; /* the mistake */
    return durable_wait(outer, NULL, 1, err);
}

static enum durable_rc uses_the_outer(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                      struct json_object **out, struct durable_error *err)
{
    (void)arg;
    if (durable_child(ctx, NULL, inner_only, in, ctx, NULL, out, err) == DURABLE_OK)
        return DURABLE_OK;
    durable_error_release(err);
    return DURABLE_OK; /* and a handler that swallows it */
}

Test(child, may_not_use_the_context_around_it)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    const char *answer = fake_invoke(&f, uses_the_outer, NULL);
    cr_assert(strstr(answer, "ContextValidationError"), "%s", answer);
    cr_assert_eq(f.requests, 0);
}

static enum durable_rc has_an_error_already(struct durable_ctx *ctx, struct json_object *in,
                                            void *arg, struct json_object **out,
                                            struct durable_error *err)
{
    durable_error_set(err, "Mine", "kept");
    enum durable_rc rc = durable_child(ctx, "c", child_body, in, arg, NULL, out, err);
    cr_assert_str_eq(err->type, "Mine");
    return rc;
}

Test(child, that_suspends_leaves_the_error_alone)
{
    auto_fake struct fake f;
    fake_init(&f, "1");
    struct child_plan p = { .waits = true };
    cr_assert_str_eq(fake_invoke(&f, has_an_error_already, &p), "{\"Status\":\"PENDING\"}");
    cr_assert_str_eq(fake_invoke(&f, has_an_error_already, &p), "{\"Status\":\"PENDING\"}");
}

/* ---- latch ----------------------------------------------------------------------------------- */

struct stubborn {
    unsigned steps;
    enum durable_rc codes[4];
};

static enum durable_rc goes_on_regardless(struct durable_ctx *ctx, struct json_object *in,
                                          void *arg, struct json_object **out,
                                          struct durable_error *err)
{
    struct stubborn *s = arg;
    struct durable_callback cb = { 0 };
    s->codes[0] = durable_wait(ctx, NULL, 60, err);
    s->codes[1] = durable_step(ctx, NULL, nothing, &s->steps, NULL, NULL, err);
    s->codes[2] = durable_child(ctx, NULL, child_body, in, NULL, NULL, NULL, err);
    s->codes[3] = durable_callback_create(ctx, NULL, NULL, &cb, err);
    *out = json_object_new_int(1);
    return DURABLE_OK;
}

Test(latch, makes_every_call_after_a_suspension_do_nothing)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    struct stubborn s = { 0 };
    cr_assert_str_eq(fake_invoke(&f, goes_on_regardless, &s), "{\"Status\":\"PENDING\"}");
    for (size_t i = 0; i < ARRAY_LEN(s.codes); i++)
        cr_assert_eq(s.codes[i], DURABLE_SUSPENDED);
    cr_assert_eq(s.steps, 0);
    cr_assert_eq(f.requests, 1);
    cr_assert(strstr(buf_str(&f.log), "\"event\":\"handler_ignored_suspend\""));
}

Test(latch, makes_every_call_after_a_failed_checkpoint_do_nothing)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.fail_at = 1;
    error_set(&f.failure, ERR_DENIED, 403,
              "not authorized to perform: lambda:CheckpointDurableExecution");
    error_set_type(&f.failure, "AccessDeniedException");
    struct stubborn s = { 0 };
    const char *answer = fake_invoke(&f, goes_on_regardless, &s);
    cr_assert(strstr(answer, "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"CheckpointError\""),
              "%s", answer);
    cr_assert(strstr(answer, "AccessDeniedException"), "%s", answer);
    for (size_t i = 0; i < ARRAY_LEN(s.codes); i++)
        cr_assert_eq(s.codes[i], DURABLE_FATAL);
    cr_assert_eq(f.requests, 1);
}

/* ---- determinism ----------------------------------------------------------------------------- */

static enum durable_rc swallows(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)in, (void)out;
    if (durable_step(ctx, "a", nothing, arg, NULL, NULL, err) != DURABLE_OK)
        durable_error_release(err);
    return DURABLE_OK;
}

Test(determinism, holds_type_name_and_subtype_against_the_record)
{
    static const struct {
        const char *record;
        const char *said;
    } cases[] = {
        { "\"Type\":\"WAIT\",\"SubType\":\"Wait\",\"Name\":\"a\"",
          "Operation type mismatch for step \\\"1\\\". Expected type \\\"WAIT\\\", but got "
          "\\\"STEP\\\"" },
        { "\"Type\":\"STEP\",\"SubType\":\"Step\",\"Name\":\"b\"",
          "Operation name mismatch for step \\\"1\\\". Expected name \\\"b\\\", but got "
          "\\\"a\\\"" },
        { "\"Type\":\"STEP\",\"SubType\":\"Step\"",
          "Expected name \\\"(none)\\\", but got \\\"a\\\"" },
        { "\"Type\":\"STEP\",\"SubType\":\"WaitForCondition\",\"Name\":\"a\"",
          "Operation subtype mismatch" },
        { "\"Type\":\"TELEPORT\",\"SubType\":\"Step\",\"Name\":\"a\"", "Operation type mismatch" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        auto_free char *op =
            mem_printf("{\"Id\":\"" ID1 "\",\"Status\":\"SUCCEEDED\",%s}", cases[i].record);
        fake_record(&f, op);
        unsigned runs = 0;
        const char *answer = fake_invoke(&f, swallows, &runs);
        cr_assert(strstr(answer, "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":"
                                 "\"NonDeterministicExecutionError\""),
                  "%s", answer);
        cr_assert(strstr(answer, cases[i].said), "%s", answer);
        cr_assert_eq(runs, 0);
        cr_assert_eq(f.requests, 0);
    }
}

/* ---- logging --------------------------------------------------------------------------------- */

static int logs(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    (void)arg, (void)out, (void)err;
    durable_step_log(step, DURABLE_LOG_WARN, "inside \"%d\"", 1);
    return 0;
}

static enum durable_rc logging(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg, (void)out;
    durable_log(ctx, DURABLE_LOG_INFO, "first");
    DURABLE_TRY(durable_step(ctx, "s", logs, NULL, NULL, NULL, err));
    durable_log(ctx, DURABLE_LOG_DEBUG, "too low");
    durable_log(ctx, DURABLE_LOG_INFO, "second");
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    cr_assert_not(durable_is_replaying(ctx));
    durable_log(ctx, DURABLE_LOG_ERROR, "third");
    return DURABLE_OK;
}

Test(log, writes_each_line_once_over_all_invocations)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.log_level = DURABLE_LOG_INFO;
    cr_assert_str_eq(fake_invoke(&f, logging, NULL), "{\"Status\":\"PENDING\"}");
    cr_assert_str_eq(fake_invoke(&f, logging, NULL), "{\"Status\":\"PENDING\"}");
    fake_wait_over(&f, ID2);
    cr_assert_str_eq(fake_invoke(&f, logging, NULL), "{\"Status\":\"SUCCEEDED\"}");
#define HEAD(level, message)                                                                       \
    "{\"timestamp\":\"2025-12-02T18:26:40.123Z\",\"level\":\"" level "\",\"message\":\"" message   \
    "\",\"executionArn\":\"" FAKE_ARN "\",\"requestId\":\"req-1\""
    cr_assert_str_eq(
        buf_str(&f.log),
        HEAD("INFO", "first") "}\n" HEAD(
            "WARN", "inside \\\"1\\\"") ",\"operationId\":\"" ID1
                                        "\",\"operationName\":\"s\",\"attempt\":1}\n" HEAD(
                                            "INFO", "second") "}\n" HEAD("ERROR", "third") "}\n");
}

static enum durable_rc waits_behind_the_child(struct durable_ctx *ctx, struct json_object *in,
                                              void *arg, struct json_object **out,
                                              struct durable_error *err)
{
    (void)out;
    DURABLE_TRY(durable_child(ctx, "c", child_body, in, arg, NULL, NULL, err));
    return durable_wait(ctx, NULL, 1, err);
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

Test(log, of_a_finished_child_is_silent_unless_its_body_runs_again_for_the_result)
{
    static const struct {
        size_t result_len;
        unsigned lines;
    } cases[] = { { 0, 1 }, { 300000, 2 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        struct child_plan p = { .result_len = cases[i].result_len };
        cr_assert_str_eq(fake_invoke(&f, waits_behind_the_child, &p), "{\"Status\":\"PENDING\"}");
        fake_wait_over(&f, ID2);
        cr_assert_str_eq(fake_invoke(&f, waits_behind_the_child, &p), "{\"Status\":\"SUCCEEDED\"}");
        cr_assert_eq(count_of(buf_str(&f.log), "in the child"), cases[i].lines);
    }
}

/* ---- errors ---------------------------------------------------------------------------------- */

#define LONG 40000

static void long_error(struct durable_error *err)
{
    char text[LONG + 1];
    memset(text, 'm', LONG);
    text[LONG] = '\0';
    durable_error_set(err, "Long", "%s", text);
    durable_error_set_data(err, "lost");
}

static int fails_at_length(struct durable_step *step, void *arg, struct json_object **out,
                           struct durable_error *err)
{
    (void)step, (void)arg, (void)out;
    long_error(err);
    return -1;
}

static enum durable_rc child_fails_at_length(struct durable_ctx *ctx, struct json_object *in,
                                             void *arg, struct json_object **out,
                                             struct durable_error *err)
{
    (void)ctx, (void)in, (void)arg, (void)out;
    long_error(err);
    return DURABLE_FAILED;
}

static enum durable_rc sees_errors(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err)
{
    (void)out;
    struct durable_error *seen = arg;
    static const struct durable_step_opts once = { .retry = { .max_attempts = 1 } };
    cr_assert_eq(durable_step(ctx, NULL, fails_at_length, NULL, &once, NULL, err), DURABLE_FAILED);
    durable_error_copy(&seen[0], err);
    cr_assert_eq(durable_child(ctx, NULL, child_fails_at_length, in, NULL, NULL, NULL, err),
                 DURABLE_FAILED);
    durable_error_copy(&seen[1], err);
    return DURABLE_OK;
}

Test(errors, that_were_cut_look_the_same_on_the_first_run_and_in_replay)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    struct durable_error first[2] = { 0 };
    struct durable_error replayed[2] = { 0 };
    cr_assert_str_eq(fake_invoke(&f, sees_errors, first), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_str_eq(fake_invoke(&f, sees_errors, replayed), "{\"Status\":\"SUCCEEDED\"}");
    for (int i = 0; i < 2; i++) {
        cr_assert_str_eq(first[i].type, i ? "ChildContextError" : "StepError");
        cr_assert_str_eq(first[i].cause_type, "Long");
        cr_assert_lt(strlen(first[i].message), 32768);
        cr_assert_str_eq(first[i].message, replayed[i].message);
        cr_assert_null(first[i].data);
        cr_assert_null(replayed[i].data);
        durable_error_release(&first[i]);
        durable_error_release(&replayed[i]);
    }
}

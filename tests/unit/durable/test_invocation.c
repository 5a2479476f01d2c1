#include "tests/unit/durable/fake.h"

/* ---- the envelope ---------------------------------------------------------------------------- */

static enum durable_rc echo(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    (void)arg, (void)err;
    cr_assert_str_eq(durable_execution_arn(ctx), FAKE_ARN);
    cr_assert_str_eq(durable_execution_name(ctx), "e1");
    cr_assert_str_eq(durable_request_id(ctx), "req-1");
    cr_assert_eq(durable_execution_start_ms(ctx), 1795410283266);
    *out = json_object_get(in);
    return DURABLE_OK;
}

Test(invocation, hands_the_input_over_and_answers_with_the_result)
{
    static const struct {
        const char *input;
        const char *answer;
    } cases[] = {
        { "{\"message\":\"h\\u00e4\"}",
          "{\"Status\":\"SUCCEEDED\",\"Result\":\"{\\\"message\\\":\\\"h\xc3\xa4\\\"}\"}" },
        { "\"x\"", "{\"Status\":\"SUCCEEDED\",\"Result\":\"\\\"x\\\"\"}" },
        { NULL, "{\"Status\":\"SUCCEEDED\",\"Result\":\"{}\"}" },
        { "", "{\"Status\":\"SUCCEEDED\",\"Result\":\"{}\"}" },
        { "null", "{\"Status\":\"SUCCEEDED\"}" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, cases[i].input);
        cr_assert_str_eq(fake_invoke(&f, echo, NULL), cases[i].answer);
        cr_assert_eq(f.requests, 0);
    }
    auto_fake struct fake f;
    fake_init(&f, "{broken");
    cr_assert(strstr(fake_invoke(&f, echo, NULL), "\"ErrorType\":\"SerdesError\""));
}

Test(invocation, refuses_events_of_functions_that_are_not_durable)
{
    static const char *const bad[] = {
        "",
        "{",
        "null",
        "[]",
        "{}",
        "{\"message\":\"plain\"}",
        "{\"DurableExecutionArn\":\"" FAKE_ARN
        "\",\"CheckpointToken\":\"\",\"InitialExecutionState\":{}}",
        "{\"DurableExecutionArn\":\"" FAKE_ARN
        "\",\"CheckpointToken\":7,\"InitialExecutionState\":{}}",
        "{\"DurableExecutionArn\":\"" FAKE_ARN "\",\"CheckpointToken\":\"T0\"}",
        "{\"DurableExecutionArn\":\"" FAKE_ARN
        "\",\"CheckpointToken\":\"T0\",\"InitialExecutionState\":{}}",
        "{\"DurableExecutionArn\":\"" FAKE_ARN
        "\",\"CheckpointToken\":\"T0\",\"InitialExecutionState\":"
        "{\"Operations\":[{\"Type\":\"EXECUTION\"}]}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        fake_run(&f, bad[i], echo, NULL);
        cr_assert_eq(f.rc, -1, "%s", bad[i]);
        cr_assert_str_eq(f.err.type, "InvalidDurableInvocation");
        cr_assert_neq(f.err.msg[0], '\0');
    }
}

Test(invocation, takes_null_for_absent_and_unknown_members_for_nothing)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    cr_assert_str_eq(
        fake_run(&f,
                 "{\"DurableExecutionArn\":\"" FAKE_ARN
                 "\",\"CheckpointToken\":\"T0\",\"New\":[{}],"
                 "\"UpdatedOperationIds\":null,\"InitialExecutionState\":{\"NextMarker\":null,"
                 "\"Operations\":[{\"Id\":\"x\",\"Type\":\"EXECUTION\",\"Name\":\"e1\","
                 "\"ParentId\":null,"
                 "\"StartTimestamp\":1795410283.266,\"ExecutionDetails\":null}]}}",
                 echo, NULL),
        "{\"Status\":\"SUCCEEDED\",\"Result\":\"{}\"}");
}

/* ---- what a handler returns ------------------------------------------------------------------ */

struct ending {
    enum durable_rc rc;
    const char *type;
    size_t result_len; /* of a string; 0: none */
    char fill;
};

static enum durable_rc ends(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in;
    const struct ending *e = arg;
    if (e->type)
        durable_error_set(err, e->type, "why");
    if (e->result_len) {
        auto_free char *s = mem_alloc(e->result_len + 1);
        memset(s, e->fill, e->result_len);
        *out = json_object_new_string(s);
    }
    return e->rc;
}

Test(invocation, answers_for_every_code)
{
    static const struct {
        struct ending e;
        const char *answer;
    } cases[] = {
        { { .rc = DURABLE_OK }, "{\"Status\":\"SUCCEEDED\"}" },
        { { .rc = DURABLE_FAILED, .type = "Order.Away" },
          "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"Order.Away\",\"ErrorMessage\":\"why\"}"
          "}" },
        { { .rc = DURABLE_FAILED },
          "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"Error\",\"ErrorMessage\":\"the "
          "handler failed without an error\"}}" },
        { { .rc = DURABLE_SUSPENDED },
          "\"ErrorType\":\"HandlerError\",\"ErrorMessage\":\"the handler returned "
          "DURABLE_SUSPENDED: nothing is pending" },
        { { .rc = DURABLE_FATAL },
          "\"ErrorType\":\"HandlerError\",\"ErrorMessage\":\"the handler returned DURABLE_FATAL" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        struct ending e = cases[i].e;
        const char *answer = fake_invoke(&f, ends, &e);
        cr_assert(strstr(answer, cases[i].answer), "case %zu: %s", i, answer);
        cr_assert_eq(f.rc, 0);
    }
}

Test(invocation, sends_a_result_over_the_response_limit_through_a_checkpoint)
{
    static const struct {
        size_t len;
        char fill;
        size_t requests;
    } cases[] = {
        { 6291404, 'x', 0 }, /* with its quotes 6,291,406 bytes: but see the envelope's own */
        { 6291405, 'x', 1 },
        { 3000000, '"', 1 }, /* 6,000,002 bytes, but 9 MB once they are escaped again */
        { 1000000, 'x', 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        struct ending e = { .result_len = cases[i].len, .fill = cases[i].fill };
        const char *answer = fake_invoke(&f, ends, &e);
        cr_assert_eq(f.rc, 0);
        cr_assert_leq(f.response.len, 6291456);
        cr_assert_eq(f.requests, cases[i].requests, "case %zu", i);
        if (!cases[i].requests)
            continue;
        cr_assert_str_eq(answer, "{\"Status\":\"SUCCEEDED\",\"Result\":\"\"}");
        auto_json struct json_object *o = fake_json(f.request[0]);
        struct json_object *u = json_object_array_get_idx(json_get_arr(o, "Updates"), 0);
        cr_assert_str_eq(json_get_str(u, "Id"), FAKE_ID);
        cr_assert_str_eq(json_get_str(u, "Type"), "EXECUTION");
        cr_assert_str_eq(json_get_str(u, "Action"), "SUCCEED");
        cr_assert_geq(strlen(json_get_str(u, "Payload")), cases[i].len + 2);
    }
}

Test(invocation, fails_a_result_that_no_service_would_take)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    struct ending e = { .result_len = 11 << 20, .fill = 'x' };
    cr_assert(strstr(fake_invoke(&f, ends, &e), "\"ErrorType\":\"PayloadTooLargeError\""));
    cr_assert_eq(f.requests, 0);
}

/* ---- replay ---------------------------------------------------------------------------------- */

#define STEPS 1000

static int numbered(struct durable_step *step, void *arg, struct json_object **out,
                    struct durable_error *err)
{
    (void)step, (void)err;
    *out = json_object_new_int((*(int *)arg)++);
    return 0;
}

static enum durable_rc many_steps(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    (void)in;
    int64_t sum = 0;
    for (int i = 0; i < STEPS; i++) {
        auto_json struct json_object *value = NULL;
        DURABLE_TRY(durable_step(ctx, "s", numbered, arg, NULL, &value, err));
        sum += json_object_get_int64(value);
    }
    *out = json_object_new_int64(sum);
    return DURABLE_OK;
}

Test(replay, lives_through_a_thousand_steps_from_pages_without_running_or_sending_anything)
{
    static const size_t pages[] = { 0, 2, 1000 };
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        int runs = 0;
        cr_assert_str_eq(fake_invoke(&f, many_steps, &runs),
                         "{\"Status\":\"SUCCEEDED\",\"Result\":\"499500\"}");
        cr_assert_eq(f.requests, STEPS);
        f.page = pages[i];
        cr_assert_str_eq(fake_invoke(&f, many_steps, &runs),
                         "{\"Status\":\"SUCCEEDED\",\"Result\":\"499500\"}");
        cr_assert_eq(runs, STEPS);
        cr_assert_eq(f.requests, STEPS);
        if (i == 1)
            cr_assert_eq(f.state_calls, 500);
    }
}

/* ---- failures of the service ----------------------------------------------------------------- */

static enum durable_rc two_steps(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)in, (void)out;
    DURABLE_TRY(durable_step(ctx, "a", numbered, arg, NULL, NULL, err));
    DURABLE_TRY(durable_step(ctx, "b", numbered, arg, NULL, NULL, err));
    return DURABLE_OK;
}

Test(invocation, ends_by_the_class_of_the_failure)
{
    static const struct {
        enum error_code code;
        int status;
        const char *type;
        const char *msg;
        bool reported; /* to /error, to be invoked again; else FAILED */
    } cases[] = {
        { ERR_DENIED, 403, "AccessDeniedException", "no", false },
        { ERR_INVALID, 400, "InvalidParameterValueException", "Invalid operation id.", false },
        { ERR_UNAVAILABLE, 502, "KMSDisabledException", "no key", false },
        { ERR_INVALID, 400, "InvalidParameterValueException", "INVALID CHECKPOINT TOKEN", true },
        { ERR_THROTTLED, 429, "TooManyRequestsException", "slow", true },
        { ERR_UNAVAILABLE, 500, "ServiceException", "oops", true },
        { ERR_NET, 56, "", "cut", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        error_set(&f.failure, cases[i].code, cases[i].status, "%s", cases[i].msg);
        error_set_type(&f.failure, cases[i].type);
        f.fail_at = 2;
        int runs = 0;
        const char *answer = fake_invoke(&f, two_steps, &runs);
        cr_assert_eq(f.rc, cases[i].reported ? -1 : 0, "case %zu: %s", i, answer);
        cr_assert(strstr(answer, cases[i].msg), "%s", answer);
        if (cases[i].reported)
            cr_assert_str_eq(f.err.type, "CheckpointError");
        else
            cr_assert(strstr(answer, "{\"Status\":\"FAILED\""));
        cr_assert_eq(f.requests, 2, "never repeated by the core");

        /* The same for a page of the state. */
        f.page = 1;
        f.state_fail_at = 1;
        runs = 0;
        fake_invoke(&f, two_steps, &runs);
        cr_assert_eq(f.rc, cases[i].reported ? -1 : 0);
        cr_assert_eq(runs, 0, "no handler runs on half a state");
    }
}

Test(invocation, goes_on_in_the_next_one_after_a_lost_checkpoint)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.fail_at = 2;
    error_set(&f.failure, ERR_NET, 56, "cut");
    int runs = 0;
    fake_invoke(&f, two_steps, &runs);
    cr_assert_eq(f.rc, -1);
    cr_assert_str_eq(fake_invoke(&f, two_steps, &runs), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_eq(runs, 3, "at least once");
}

Test(invocation, is_pending_where_the_service_takes_no_more_checkpoints)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.no_token_at = 1;
    int runs = 0;
    cr_assert_str_eq(fake_invoke(&f, two_steps, &runs), "{\"Status\":\"PENDING\"}");
    cr_assert_eq(runs, 1, "a body whose outcome cannot be recorded is not run");
    cr_assert_eq(f.requests, 1);
    cr_assert_str_eq(fake_invoke(&f, two_steps, &runs), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_eq(runs, 2);
}

Test(invocation, succeeds_where_the_last_answer_had_no_token)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.no_token_at = 2;
    int runs = 0;
    cr_assert_str_eq(fake_invoke(&f, two_steps, &runs), "{\"Status\":\"SUCCEEDED\"}");
}

/* Each call of the edge fails once; whatever happens, the next invocations end the execution with
 * the right result. */
static enum durable_rc mixed_child(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err)
{
    (void)in;
    return durable_step(ctx, "in", numbered, arg, NULL, out, err);
}

static enum durable_rc mixed(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    auto_durable_callback struct durable_callback cb = { 0 };
    DURABLE_TRY(durable_callback_create(ctx, "cb", NULL, &cb, err));
    DURABLE_TRY(durable_step(ctx, "s", numbered, arg,
                             &(struct durable_step_opts){ .at_most_once = true }, NULL, err));
    DURABLE_TRY(durable_child(ctx, "c", mixed_child, in, arg, NULL, NULL, err));
    return durable_callback_result(ctx, &cb, out, err);
}

Test(invocation, comes_to_its_end_whichever_call_fails)
{
    bool untouched = false;
    for (size_t n = 1; !untouched; n++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        f.fail_at = n;
        error_set(&f.failure, ERR_UNAVAILABLE, 500, "oops");
        int runs = 0;
        const char *answer = "";
        unsigned failed = 0;
        for (int invocations = 0; invocations < 10; invocations++) {
            answer = fake_invoke(&f, mixed, &runs);
            failed += f.rc < 0;
            if (f.rc == 0 && strstr(answer, "PENDING")) {
                if (fake_find(&f, ID2) &&
                    strcmp(json_get_str(fake_find(&f, ID2), "Status"), "PENDING") == 0)
                    fake_step_ready(&f, ID2);
                else
                    fake_callback(&f, ID1, "SUCCEEDED", "done");
            }
            if (f.rc == 0 && strstr(answer, "SUCCEEDED"))
                break;
        }
        cr_assert_str_eq(answer, "{\"Status\":\"SUCCEEDED\",\"Result\":\"\\\"done\\\"\"}",
                         "call %zu", n);
        untouched = failed == 0;
        cr_assert_leq(n, 10);
    }
}

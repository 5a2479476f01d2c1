#include "tests/unit/durable/fake.h"

/* ---- callback -------------------------------------------------------------------------------- */

struct callback_plan {
    struct durable_callback_opts opts;
    bool leave; /* do not await it */
    char id[64];
    int64_t ended_ms;
    struct durable_error err;
};

static enum durable_rc calls_back(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    (void)in;
    struct callback_plan *p = arg;
    auto_durable_callback struct durable_callback cb = { 0 };
    DURABLE_TRY(durable_callback_create(ctx, NULL, &p->opts, &cb, err));
    snprintf(p->id, sizeof(p->id), "%s", cb.id);
    if (p->leave)
        return DURABLE_OK;
    enum durable_rc rc = durable_callback_result(ctx, &cb, out, err);
    p->ended_ms = durable_callback_ended_ms(ctx, &cb);
    durable_error_copy(&p->err, err);
    return rc;
}

Test(callback, tells_its_outcome_only_when_it_is_awaited)
{
    static const struct {
        const char *status;
        const char *result; /* or error */
        bool json;
        const char *answer;
        const char *cause;
    } cases[] = {
        { "SUCCEEDED", "{\"x\": 1}", false,
          "{\"Status\":\"SUCCEEDED\",\"Result\":\"\\\"{\\\\\\\"x\\\\\\\": 1}\\\"\"}", NULL },
        { "SUCCEEDED", "{\"x\": 1}", true,
          "{\"Status\":\"SUCCEEDED\",\"Result\":\"{\\\"x\\\":1}\"}", NULL },
        { "SUCCEEDED", NULL, false, "{\"Status\":\"SUCCEEDED\"}", NULL },
        { "SUCCEEDED", "", true, "{\"Status\":\"SUCCEEDED\"}", NULL },
        { "SUCCEEDED", "no json", true, "\"ErrorType\":\"SerdesError\"", NULL },
        { "FAILED", "{\"ErrorType\":\"Task.Exit\",\"ErrorMessage\":\"3\",\"ErrorData\":\"d\"}",
          false,
          "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"CallbackExternalError\","
          "\"ErrorMessage\":\"3\",\"ErrorData\":\"d\"}}",
          "Task.Exit" },
        { "FAILED", NULL, true,
          "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"CallbackExternalError\","
          "\"ErrorMessage\":\"Callback failed\"}}",
          NULL },
        { "TIMED_OUT",
          "{\"ErrorType\":\"Callback.Timeout\",\"ErrorMessage\":\"Callback timed out\"}", false,
          "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"CallbackTimeoutError\","
          "\"ErrorMessage\":\"Callback timed out\"}}",
          "Callback.Timeout" },
        { "TIMED_OUT", "{\"ErrorType\":\"Callback.Heartbeat\"}", false,
          "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"CallbackTimeoutError\","
          "\"ErrorMessage\":\"Callback timed out\"}}",
          "Callback.Heartbeat" },
        { "TIMED_OUT", "{\"ErrorMessage\":\"Callback timed out on heartbeat\"}", false,
          "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"CallbackTimeoutError\","
          "\"ErrorMessage\":\"Callback timed out on heartbeat\"}}",
          "Callback.Heartbeat" },
        { "TIMED_OUT", NULL, false,
          "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"CallbackTimeoutError\","
          "\"ErrorMessage\":\"Callback timed out\"}}",
          "Callback.Timeout" },
        { "CANCELLED", NULL, false, "\"ErrorType\":\"CallbackError\"", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        struct callback_plan p = { .opts = { .json = cases[i].json } };
        cr_assert_str_eq(fake_invoke(&f, calls_back, &p), "{\"Status\":\"PENDING\"}");
        cr_assert_eq(f.requests, 1);
        cr_assert_str_eq(p.id, "Q0FMTEJBQ0s=");
        fake_callback(&f, ID1, cases[i].status, cases[i].result);
        const char *answer = fake_invoke(&f, calls_back, &p);
        cr_assert(strstr(answer, cases[i].answer), "case %zu: %s", i, answer);
        cr_assert_str_eq(p.id, "Q0FMTEJBQ0s=", "the same id on each run");
        cr_assert_eq(f.requests, 1);
        if (cases[i].cause)
            cr_assert_str_eq(p.err.cause_type, cases[i].cause);
        p.leave = true;
        cr_assert_str_eq(fake_invoke(&f, calls_back, &p), "{\"Status\":\"SUCCEEDED\"}",
                         "creating it never fails");
        durable_error_release(&p.err);
    }
}

Test(callback, tells_when_its_outcome_came)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    struct callback_plan p = { .ended_ms = -1 };
    cr_assert_str_eq(fake_invoke(&f, calls_back, &p), "{\"Status\":\"PENDING\"}");
    cr_expect_eq(p.ended_ms, 0);
    fake_callback(&f, ID1, "SUCCEEDED", "x");
    json_add_int(fake_find(&f, ID1), "EndTimestamp", 1764700007000);
    fake_invoke(&f, calls_back, &p);
    cr_expect_eq(p.ended_ms, 1764700007000);
}

Test(callback, that_nobody_awaits_does_not_suspend)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    struct callback_plan p = { .leave = true,
                               .opts = { .timeout_s = 9, .heartbeat_timeout_s = 3 } };
    cr_assert_str_eq(fake_invoke(&f, calls_back, &p), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert(strstr(f.request[0],
                     "\"CallbackOptions\":{\"TimeoutSeconds\":9,\"HeartbeatTimeoutSeconds\":3}"));
}

Test(callback, refuses_impossible_timeouts)
{
    static const struct durable_callback_opts bad[] = { { .timeout_s = -1 },
                                                        { .heartbeat_timeout_s = -1 },
                                                        { .timeout_s = 31622401 } };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        struct callback_plan p = { .opts = bad[i] };
        cr_assert(strstr(fake_invoke(&f, calls_back, &p), "ValidationError"));
        cr_assert_eq(f.requests, 0);
    }
}

static enum durable_rc awaits_none(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    const struct durable_callback cb = { 0 };
    return durable_callback_result(ctx, &cb, out, err);
}

Test(callback, that_was_never_created_is_a_clear_error)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    cr_assert(strstr(fake_invoke(&f, awaits_none, NULL), "ValidationError"));
}

Test(callback, without_an_id_from_the_service_is_invoked_again)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.silent = true;
    struct callback_plan p = { 0 };
    fake_invoke(&f, calls_back, &p);
    cr_assert_eq(f.rc, -1);
    cr_assert_str_eq(f.err.type, "CheckpointError");
}

/* The callback's outcome comes with the answer to the step behind it: no suspension. */
static int nothing(struct durable_step *step, void *arg, struct json_object **out,
                   struct durable_error *err)
{
    (void)step, (void)out, (void)err;
    if (arg)
        ++*(unsigned *)arg;
    return 0;
}

static void callback_done(struct fake *f)
{
    if (f->requests == 2)
        fake_callback(f, ID1, "SUCCEEDED", "early");
}

static enum durable_rc create_step_await(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                         struct json_object **out, struct durable_error *err)
{
    (void)in;
    auto_durable_callback struct durable_callback cb = { 0 };
    DURABLE_TRY(durable_callback_create(ctx, "c", NULL, &cb, err));
    DURABLE_TRY(durable_step(ctx, "start", nothing, arg, NULL, NULL, err));
    return durable_callback_result(ctx, &cb, out, err);
}

Test(callback, reported_before_the_wait_is_kept)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.on_checkpoint = callback_done;
    unsigned runs = 0;
    cr_assert_str_eq(fake_invoke(&f, create_step_await, &runs), "{\"Status\":\"PENDING\"}",
                     "the answers carry only what was touched");
    cr_assert_str_eq(fake_invoke(&f, create_step_await, &runs),
                     "{\"Status\":\"SUCCEEDED\",\"Result\":\"\\\"early\\\"\"}");
    cr_assert_eq(runs, 1);
    cr_assert_eq(f.requests, 2);
}

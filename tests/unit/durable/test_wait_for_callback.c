#include "tests/unit/durable/fake.h"

struct call {
    struct durable_wait_for_callback_opts opts;
    unsigned submitted;
    int fail;
    struct durable_error err;
};

static int submit(struct durable_step *step, const char *callback_id, void *arg,
                  struct durable_error *err)
{
    struct call *c = arg;
    (void)step;
    cr_assert_str_eq(callback_id, "Q0FMTEJBQ0s=");
    c->submitted++;
    if (!c->fail)
        return 0;
    durable_error_set(err, "Refused", "attempt %u", durable_step_attempt(step));
    return -1;
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    struct call *c = arg;
    (void)in;
    enum durable_rc rc = durable_wait_for_callback(ctx, "cb", submit, c, &c->opts, out, err);
    durable_error_release(&c->err);
    durable_error_copy(&c->err, err);
    return rc;
}

Test(wait_for_callback, creates_submits_suspends_and_hands_the_result_out)
{
    auto_fake struct fake f;
    auto_buf struct buf u = BUF_INIT(1000);
    fake_init(&f, NULL);
    struct call c = { .opts.callback = { .timeout_s = 60, .heartbeat_timeout_s = 5 } };
    cr_assert_str_eq(fake_invoke(&f, handler, &c), "{\"Status\":\"PENDING\"}");
    fake_updates(&f, 1, &u);
    cr_assert_str_eq(buf_str(&u), "START CONTEXT 1, START CALLBACK 1-1");
    cr_assert(strstr(f.request[0], "\"TimeoutSeconds\":60,\"HeartbeatTimeoutSeconds\":5"));
    fake_updates(&f, 2, &u);
    cr_assert_str_eq(buf_str(&u), "START STEP 1-2, SUCCEED STEP 1-2");
    cr_assert_not(strstr(f.request[1], "Payload"));
    fake_callback(&f, ID11, "SUCCEEDED", "{\"x\":1}");
    cr_assert_str_eq(fake_invoke(&f, handler, &c),
                     "{\"Status\":\"SUCCEEDED\",\"Result\":\"\\\"{\\\\\\\"x\\\\\\\":1}\\\"\"}");
    cr_assert(strstr(f.request[2], "\"Payload\":\"\\\"{\\\\\\\"x\\\\\\\":1}\\\"\""), "%s",
              f.request[2]);
    cr_assert_eq(c.submitted, 1);
    cr_assert_eq(f.requests, 3);
    fake_invoke(&f, handler, &c); /* recorded */
    cr_assert_eq(f.requests, 3);
}

Test(wait_for_callback, fails_as_the_callback_did_on_the_first_run_and_on_replay)
{
    static const struct {
        const char *status, *error, *type, *cause;
    } cases[] = {
        { "FAILED", "{\"ErrorType\":\"Rejected\",\"ErrorMessage\":\"no\"}", "CallbackExternalError",
          "Rejected" },
        { "TIMED_OUT", "{\"ErrorType\":\"Callback.Heartbeat\"}", "CallbackTimeoutError",
          "Callback.Heartbeat" },
        { "TIMED_OUT", NULL, "CallbackTimeoutError", "Callback.Timeout" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        struct call c = { 0 };
        fake_invoke(&f, handler, &c);
        fake_callback(&f, ID11, cases[i].status, cases[i].error);
        for (int run = 0; run < 2; run++) {
            fake_invoke(&f, handler, &c);
            cr_assert_str_eq(c.err.type, cases[i].type);
            cr_assert_str_eq(c.err.cause_type, cases[i].cause);
        }
        cr_assert_eq(f.requests, 3);
        durable_error_release(&c.err);
    }
}

Test(wait_for_callback, fails_when_the_submitter_cannot_submit)
{
    auto_fake struct fake f;
    auto_buf struct buf u = BUF_INIT(1000);
    fake_init(&f, NULL);
    struct call c = { .fail = 1, .opts.retry = DURABLE_RETRY_FIXED(2, 1) };
    cr_assert_str_eq(fake_invoke(&f, handler, &c), "{\"Status\":\"PENDING\"}");
    fake_step_ready(&f, ID12);
    for (int run = 0; run < 2; run++) {
        fake_invoke(&f, handler, &c);
        cr_assert_str_eq(c.err.type, "CallbackSubmitterError");
        cr_assert_str_eq(c.err.cause_type, "Refused");
        cr_assert_str_eq(c.err.message, "attempt 2");
    }
    cr_assert_eq(c.submitted, 2);
    fake_updates(&f, f.requests, &u);
    cr_assert_str_eq(buf_str(&u), "FAIL CONTEXT 1");
    durable_error_release(&c.err);
}

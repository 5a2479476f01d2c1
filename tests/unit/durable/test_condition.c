#include "tests/unit/durable/fake.h"

/* Counts up; done at `until`. */
struct polls {
    int64_t until;
    unsigned checks;
    int fail_at; /* the check that fails, from 1 */
    bool to_null;
    struct durable_condition_opts opts;
    char token[65];
    struct durable_error err;
};

static int count(struct durable_step *step, struct json_object *state, void *arg,
                 struct json_object **next, bool *done, struct durable_error *err)
{
    struct polls *p = arg;
    cr_assert_not(*done);
    p->checks++;
    snprintf(p->token, sizeof(p->token), "%s", durable_step_token(step));
    if ((int)durable_step_attempt(step) == p->fail_at) {
        durable_error_set(err, "Mine", "poll %u", durable_step_attempt(step));
        return -1;
    }
    int64_t n = json_object_get_int64(state) + 1;
    *next = p->to_null ? NULL : json_object_new_int64(n);
    *done = n >= p->until;
    return 0;
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    struct polls *p = arg;
    (void)in;
    enum durable_rc rc = durable_wait_for_condition(ctx, "c", count, p, &p->opts, out, err);
    durable_error_copy(&p->err, err);
    return rc;
}

static void step_record(struct fake *f, const char *status, const char *more)
{
    auto_free char *op =
        mem_printf("{\"Id\":\"" ID1 "\",\"Type\":\"STEP\",\"SubType\":\"WaitForCondition\","
                   "\"Name\":\"c\",\"Status\":\"%s\",\"StepDetails\":{%s}}",
                   status, more);
    fake_record(f, op);
}

Test(condition, polls_with_the_state_of_the_poll_before_until_it_is_done)
{
    auto_fake struct fake f;
    auto_buf struct buf u = BUF_INIT(1000);
    fake_init(&f, NULL);
    struct polls p = { .until = 7 };
    p.opts.initial = json_object_new_int(4);
    p.opts.polling =
        (struct durable_polling){ .first_delay_s = 2, .rate = 1, .jitter = DURABLE_JITTER_NONE };
    for (int i = 0; i < 2; i++) {
        cr_assert_str_eq(fake_invoke(&f, handler, &p), "{\"Status\":\"PENDING\"}");
        fake_updates(&f, f.requests, &u);
        cr_assert_str_eq(buf_str(&u), "START STEP 1, RETRY STEP 1");
        cr_assert(strstr(f.request[f.requests - 1], i ? "\"Payload\":\"6\"" : "\"Payload\":\"5\""));
        cr_assert(strstr(f.request[f.requests - 1], "\"NextAttemptDelaySeconds\":2"));
        fake_step_ready(&f, ID1);
    }
    cr_assert_str_eq(fake_invoke(&f, handler, &p), "{\"Status\":\"SUCCEEDED\",\"Result\":\"7\"}");
    cr_assert_eq(p.checks, 3);
    /* recorded: no check runs again */
    cr_assert_str_eq(fake_invoke(&f, handler, &p), "{\"Status\":\"SUCCEEDED\",\"Result\":\"7\"}");
    cr_assert_eq(p.checks, 3);
    json_object_put(p.opts.initial);
}

Test(condition, goes_on_from_every_status)
{
    static const struct {
        const char *status, *details, *answer, *updates;
        unsigned checks;
    } cases[] = {
        { "STARTED", "\"Attempt\":1,\"Result\":\"6\"",
          "{\"Status\":\"SUCCEEDED\",\"Result\":\"7\"}", "SUCCEED STEP 1", 1 },
        { "READY", "\"Attempt\":1,\"Result\":\"6\"", "{\"Status\":\"SUCCEEDED\",\"Result\":\"7\"}",
          "START STEP 1, SUCCEED STEP 1", 1 },
        { "PENDING", "\"Attempt\":1,\"Result\":\"6\"", "{\"Status\":\"PENDING\"}", "", 0 },
        { "SUCCEEDED", "\"Attempt\":2,\"Result\":\"9\"",
          "{\"Status\":\"SUCCEEDED\",\"Result\":\"9\"}", "", 0 },
        { "FAILED", "\"Attempt\":2,\"Error\":{\"ErrorType\":\"E\",\"ErrorMessage\":\"m\"}",
          "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"WaitForConditionError\","
          "\"ErrorMessage\":\"m\"}}",
          "", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        auto_buf struct buf u = BUF_INIT(1000);
        fake_init(&f, NULL);
        step_record(&f, cases[i].status, cases[i].details);
        struct polls p = { .until = 7 };
        cr_assert_str_eq(fake_invoke(&f, handler, &p), cases[i].answer);
        cr_assert_eq(p.checks, cases[i].checks);
        if (f.requests)
            fake_updates(&f, 1, &u);
        cr_assert_str_eq(buf_str(&u), cases[i].updates);
        durable_error_release(&p.err);
    }
}

Test(condition, fails_at_once_where_the_check_fails)
{
    auto_fake struct fake f;
    auto_buf struct buf u = BUF_INIT(1000);
    fake_init(&f, NULL);
    struct polls p = { .until = 7, .fail_at = 1 };
    const char *answer = fake_invoke(&f, handler, &p);
    cr_assert(strstr(answer, "\"ErrorType\":\"WaitForConditionError\""), "%s", answer);
    cr_assert_str_eq(p.err.cause_type, "Mine");
    cr_assert_str_eq(p.err.message, "poll 1");
    fake_updates(&f, 1, &u);
    cr_assert_str_eq(buf_str(&u), "START STEP 1, FAIL STEP 1");
    durable_error_release(&p.err);
}

Test(condition, fails_when_its_polls_are_used_up_but_the_last_one_counts)
{
    for (int last = 0; last < 2; last++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        struct polls p = { .until = last ? 3 : 4, .opts.polling.max_attempts = 3 };
        for (int i = 0; i < 2; i++) {
            cr_assert_str_eq(fake_invoke(&f, handler, &p), "{\"Status\":\"PENDING\"}");
            fake_step_ready(&f, ID1);
        }
        const char *answer = fake_invoke(&f, handler, &p);
        if (last)
            cr_assert_str_eq(answer, "{\"Status\":\"SUCCEEDED\",\"Result\":\"3\"}");
        else
            cr_assert(strstr(answer, "waitForCondition exceeded maximum attempts (3)"), "%s",
                      answer);
        durable_error_release(&p.err);
    }
}

Test(condition, records_a_null_state_so_that_it_is_not_the_initial_one)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    struct polls p = { .until = 2, .to_null = true };
    p.opts.initial = json_object_new_int(0);
    cr_assert_str_eq(fake_invoke(&f, handler, &p), "{\"Status\":\"PENDING\"}");
    cr_assert(strstr(f.request[0], "\"Payload\":\"null\""));
    fake_step_ready(&f, ID1);
    p.until = 1; /* done if the state is null (0) and not done if it were ever more */
    cr_assert_str_eq(fake_invoke(&f, handler, &p), "{\"Status\":\"SUCCEEDED\"}");
    json_object_put(p.opts.initial);
}

/* A strategy of one's own. */
static int strategy(struct json_object *state, bool done, unsigned attempt, void *arg,
                    struct durable_decision *d, struct durable_error *err)
{
    (void)done;
    if (attempt == *(unsigned *)arg) {
        durable_error_set(err, "TooOften", "no more");
        return -1;
    }
    *d = (struct durable_decision){ .retry = json_object_get_int(state) < 2, .delay_s = 0 };
    return 0;
}

Test(condition, follows_a_strategy_of_ones_own)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    unsigned never = 0, second = 2;
    struct polls p = { .until = 1, .opts.polling = { .decide = strategy, .arg = &never } };
    cr_assert_str_eq(fake_invoke(&f, handler, &p), "{\"Status\":\"PENDING\"}");
    cr_assert(strstr(f.request[0], "\"NextAttemptDelaySeconds\":1}"));
    fake_step_ready(&f, ID1);
    p.opts.polling.arg = &second;
    const char *answer = fake_invoke(&f, handler, &p);
    cr_assert(strstr(answer, "no more"), "%s", answer);
    cr_assert_str_eq(p.err.cause_type, "TooOften");
    durable_error_release(&p.err);
}

Test(condition, has_the_same_token_at_each_poll)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    struct polls p = { .until = 2 };
    char first[65];
    cr_assert_str_eq(fake_invoke(&f, handler, &p), "{\"Status\":\"PENDING\"}");
    memcpy(first, p.token, sizeof(first));
    fake_step_ready(&f, ID1);
    cr_assert_str_eq(fake_invoke(&f, handler, &p), "{\"Status\":\"SUCCEEDED\",\"Result\":\"2\"}");
    cr_assert_str_eq(p.token, first);
}

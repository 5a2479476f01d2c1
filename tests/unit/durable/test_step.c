#include "tests/unit/durable/fake.h"

#include "shared/base/digest.h"

/* A handler of one step, whose body does what the plan says, attempt by attempt. */
struct plan {
    const char *name;
    const struct durable_step_opts *opts;
    unsigned failures;  /* bodies that fail before one succeeds */
    const char *result; /* JSON text; NULL: null */
    unsigned runs;
    unsigned attempt; /* what the last body was told */
    char token[DIGEST_SHA256_HEX];
    struct durable_error err; /* what the handler saw */
    enum durable_rc rc;
};

static int body(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    struct plan *p = arg;
    p->runs++;
    p->attempt = durable_step_attempt(step);
    snprintf(p->token, sizeof(p->token), "%s", durable_step_token(step));
    cr_assert_str_eq(durable_step_execution_arn(step), FAKE_ARN);
    cr_assert_eq(durable_step_deadline_ms(step), 1764700060000);
    durable_step_log(step, DURABLE_LOG_INFO, "run %u", p->runs);
    if (p->runs <= p->failures) {
        durable_error_set(err, "Order.Away", "no %u", p->runs);
        durable_error_set_data(err, "{}");
        *out = json_object_new_int(1); /* dropped */
        return -1;
    }
    *out = p->result ? fake_json(p->result) : NULL;
    return 0;
}

static enum durable_rc one_step(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)in;
    struct plan *p = arg;
    p->rc = durable_step(ctx, p->name, body, p, p->opts, out, err);
    durable_error_copy(&p->err, err);
    return p->rc;
}

/* What a step does for each status on entry, under both semantics. */
static const struct {
    const char *record; /* members behind Type, SubType and Name; NULL: no record */
    bool at_most_once;
    unsigned runs, attempt;
    const char *updates[3]; /* of each request */
    const char *answer;
} entries[] = {
    { NULL,
      false,
      1,
      1,
      { "START STEP 1, SUCCEED STEP 1" },
      "{\"Status\":\"SUCCEEDED\",\"Result\":\"7\"}" },
    { NULL,
      true,
      1,
      1,
      { "START STEP 1", "SUCCEED STEP 1" },
      "{\"Status\":\"SUCCEEDED\",\"Result\":\"7\"}" },
    { "\"Status\":\"READY\",\"StepDetails\":{\"Attempt\":1,\"Error\":{}}",
      false,
      1,
      2,
      { "START STEP 1, SUCCEED STEP 1" },
      "{\"Status\":\"SUCCEEDED\",\"Result\":\"7\"}" },
    { "\"Status\":\"READY\",\"StepDetails\":{\"Attempt\":2}",
      true,
      1,
      3,
      { "START STEP 1", "SUCCEED STEP 1" },
      "{\"Status\":\"SUCCEEDED\",\"Result\":\"7\"}" },
    { "\"Status\":\"STARTED\"",
      false,
      1,
      1,
      { "SUCCEED STEP 1" },
      "{\"Status\":\"SUCCEEDED\",\"Result\":\"7\"}" },
    { "\"Status\":\"STARTED\",\"StepDetails\":{\"Attempt\":0}",
      true,
      0,
      0,
      { "RETRY STEP 1" },
      "{\"Status\":\"PENDING\"}" },
    { "\"Status\":\"STARTED\",\"StepDetails\":{\"Attempt\":5}",
      true,
      0,
      0,
      { "FAIL STEP 1" },
      NULL },
    { "\"Status\":\"PENDING\",\"StepDetails\":{\"Attempt\":1}",
      false,
      0,
      0,
      { NULL },
      "{\"Status\":\"PENDING\"}" },
    { "\"Status\":\"PENDING\",\"StepDetails\":{\"Attempt\":1}",
      true,
      0,
      0,
      { NULL },
      "{\"Status\":\"PENDING\"}" },
    { "\"Status\":\"SUCCEEDED\",\"StepDetails\":{\"Attempt\":1,\"Result\":\"[1]\"}",
      false,
      0,
      0,
      { NULL },
      "{\"Status\":\"SUCCEEDED\",\"Result\":\"[1]\"}" },
    { "\"Status\":\"SUCCEEDED\",\"StepDetails\":{\"Attempt\":1}",
      true,
      0,
      0,
      { NULL },
      "{\"Status\":\"SUCCEEDED\"}" },
    { "\"Status\":\"FAILED\",\"StepDetails\":{\"Attempt\":6,\"Error\":{\"ErrorType\":\"T\","
      "\"ErrorMessage\":\"m\"}}",
      false,
      0,
      0,
      { NULL },
      "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"StepError\",\"ErrorMessage\":\"m\"}"
      "}" },
    { "\"Status\":\"FAILED\",\"StepDetails\":{}",
      false,
      0,
      0,
      { NULL },
      "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"StepError\",\"ErrorMessage\":\"Step "
      "failed\"}}" },
};

Test(step, goes_on_from_every_status)
{
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        if (entries[i].record) {
            auto_free char *record = mem_printf(
                "{\"Id\":\"" ID1 "\",\"Type\":\"STEP\",\"SubType\":\"Step\",\"Name\":\"a\",%s}",
                entries[i].record);
            fake_record(&f, record);
        }
        const struct durable_step_opts opts = { .at_most_once = entries[i].at_most_once };
        struct plan p = { .name = "a", .opts = &opts, .result = "7" };
        const char *answer = fake_invoke(&f, one_step, &p);
        if (entries[i].answer)
            cr_assert_str_eq(answer, entries[i].answer, "case %zu: %s", i, answer);
        else
            cr_assert(strstr(answer, "StepError") && strstr(answer, "interruption"), "%s", answer);
        cr_assert_eq(p.runs, entries[i].runs, "case %zu: %u runs", i, p.runs);
        cr_assert_eq(p.attempt, entries[i].attempt, "case %zu: attempt %u", i, p.attempt);
        size_t n = 0;
        for (; n < 3 && entries[i].updates[n]; n++) {
            auto_buf struct buf b = BUF_INIT(4096);
            fake_updates(&f, n + 1, &b);
            cr_assert_str_eq(buf_str(&b), entries[i].updates[n], "case %zu: %s", i, buf_str(&b));
        }
        cr_assert_eq(f.requests, n, "case %zu: %zu requests", i, f.requests);
        durable_error_release(&p.err);
    }
}

Test(step, is_tried_again_by_checkpoint_and_ends_with_the_last_error)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    const struct durable_step_opts opts = {
        .retry = { .max_attempts = 3, .first_delay_s = 2, .jitter = DURABLE_JITTER_NONE }
    };
    struct plan p = { .name = "a", .opts = &opts, .failures = 9 };
    static const char *const retry[] = { "\"NextAttemptDelaySeconds\":2}",
                                         "\"NextAttemptDelaySeconds\":4}" };
    for (unsigned n = 0; n < 2; n++) {
        cr_assert_str_eq(fake_invoke(&f, one_step, &p), "{\"Status\":\"PENDING\"}");
        cr_assert_eq(p.rc, DURABLE_SUSPENDED);
        cr_assert_eq(p.attempt, n + 1);
        cr_assert(strstr(f.request[n], retry[n]), "%s", f.request[n]);
        cr_assert(strstr(f.request[n], "\"Error\":{\"ErrorType\":\"Order.Away\""),
                  "the raw error is recorded");
        cr_assert_str_eq(fake_invoke(&f, one_step, &p), "{\"Status\":\"PENDING\"}",
                         "not before it is READY");
        cr_assert_eq(f.requests, n + 1);
        fake_step_ready(&f, ID1);
    }
    const char *answer = fake_invoke(&f, one_step, &p);
    cr_assert_str_eq(answer, "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"StepError\","
                             "\"ErrorMessage\":\"no 3\",\"ErrorData\":\"{}\"}}");
    cr_assert_eq(p.runs, 3);
    cr_assert_str_eq(p.err.cause_type, "Order.Away");
    auto_buf struct buf b = BUF_INIT(4096);
    fake_updates(&f, 3, &b);
    cr_assert_str_eq(buf_str(&b), "START STEP 1, FAIL STEP 1");
    /* Replay tells the same. */
    durable_error_release(&p.err);
    auto_free char *before = mem_dup(answer);
    cr_assert_str_eq(fake_invoke(&f, one_step, &p), before);
    cr_assert_str_eq(p.err.cause_type, "Order.Away");
    cr_assert_eq(p.runs, 3);
    durable_error_release(&p.err);
}

Test(step, has_one_token_for_all_attempts)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    struct plan p = { .name = "a", .failures = 1 };
    char expected[DIGEST_SHA256_HEX];
    static const char text[] = FAKE_ARN "\n" ID1;
    digest_sha256_hex(text, strlen(text), expected);
    cr_assert_str_eq(fake_invoke(&f, one_step, &p), "{\"Status\":\"PENDING\"}");
    cr_assert_str_eq(p.token, expected);
    fake_step_ready(&f, ID1);
    fake_invoke(&f, one_step, &p);
    cr_assert_eq(p.runs, 2);
    cr_assert_str_eq(p.token, expected);
    durable_error_release(&p.err);
}

static void ready_at_once(struct fake *f)
{
    if (strcmp(json_get_str(fake_find(f, ID1), "Status"), "PENDING") == 0)
        fake_step_ready(f, ID1);
}

Test(step, goes_on_in_the_same_invocation_where_the_answer_says_that_it_is_due)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.on_checkpoint = ready_at_once;
    struct plan p = { .name = "a", .failures = 2, .result = "1" };
    cr_assert_str_eq(fake_invoke(&f, one_step, &p), "{\"Status\":\"SUCCEEDED\",\"Result\":\"1\"}");
    cr_assert_eq(p.runs, 3);
    cr_assert_eq(p.attempt, 3);
    durable_error_release(&p.err);
}

Test(step, suspends_after_a_retry_even_where_the_answer_tells_nothing)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.silent = true;
    struct plan p = { .name = "a", .failures = 2, .result = "1" };
    cr_assert_str_eq(fake_invoke(&f, one_step, &p), "{\"Status\":\"PENDING\"}");
    cr_assert_eq(p.runs, 1);
    durable_error_release(&p.err);
}

Test(step, at_most_once_counts_a_crash_as_the_failed_attempt)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    const struct durable_step_opts opts = { .at_most_once = true, .retry = { .max_attempts = 2 } };
    struct plan p = { .name = "a", .opts = &opts, .result = "1" };
    fake_record(&f,
                "{\"Id\":\"" ID1
                "\",\"Type\":\"STEP\",\"SubType\":\"Step\",\"Name\":\"a\",\"Status\":\"STARTED\"}");
    cr_assert_str_eq(fake_invoke(&f, one_step, &p), "{\"Status\":\"PENDING\"}");
    cr_assert(strstr(f.request[0], "StepInterruptedError"));
    cr_assert_eq(p.runs, 0);
    fake_step_ready(&f, ID1);
    cr_assert_str_eq(fake_invoke(&f, one_step, &p), "{\"Status\":\"SUCCEEDED\",\"Result\":\"1\"}");
    cr_assert_eq(p.attempt, 2);
    durable_error_release(&p.err);
}

/* Results that cannot be recorded fail the step without another attempt. */
struct value {
    struct json_object *value;
};

static int give(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    (void)step, (void)err;
    *out = json_object_get(((struct value *)arg)->value);
    return 0;
}

static enum durable_rc give_value(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    (void)in;
    enum durable_rc rc = durable_step(ctx, NULL, give, arg, NULL, out, err);
    cr_assert(rc == DURABLE_OK || err->cause_type);
    return rc;
}

static struct json_object *string_of(size_t len)
{
    auto_free char *s = mem_alloc(len + 1);
    memset(s, 'x', len);
    return json_object_new_string(s);
}

Test(step, fails_clearly_where_its_result_cannot_be_recorded)
{
    struct json_object *deep = json_object_new_array();
    for (int i = 0; i < 300; i++) {
        struct json_object *outer = json_object_new_array();
        json_object_array_add(outer, deep);
        deep = outer;
    }
    const struct {
        struct json_object *value;
        const char *expected;
    } cases[] = {
        { string_of(262142), "\"Status\":\"SUCCEEDED\"" },
        { string_of(262143), "more than 262144" },
        { json_object_new_double(1e308 * 10), "\"ErrorType\":\"StepError\"" },
        { json_object_new_string("\xff\xfe"), "\"ErrorType\":\"StepError\"" },
        { deep, "\"ErrorType\":\"StepError\"" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        struct value v = { cases[i].value };
        const char *answer = fake_invoke(&f, give_value, &v);
        cr_assert(strstr(answer, cases[i].expected), "case %zu: %.200s", i, answer);
        cr_assert_eq(f.requests, 1);
        json_object_put(cases[i].value);
    }
}

static enum durable_rc reads_back(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    (void)in, (void)out;
    struct value *v = arg;
    auto_json struct json_object *got = NULL;
    DURABLE_TRY(durable_step(ctx, NULL, give, v, NULL, &got, err));
    cr_assert_neq(got, v->value, "never the body's own object");
    cr_assert(json_object_equal(got, v->value));
    DURABLE_TRY(durable_step(ctx, NULL, give, v, NULL, NULL, err)); /* a value that nobody wants */
    return DURABLE_OK;
}

Test(step, hands_out_the_value_that_was_read_back)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    struct value v = { fake_json("{\"a\":[1,2.5,\"\\u0000x\",null,true]}") };
    cr_assert_str_eq(fake_invoke(&f, reads_back, &v), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_str_eq(fake_invoke(&f, reads_back, &v), "{\"Status\":\"SUCCEEDED\"}",
                     "in replay too");
    json_object_put(v.value);
}

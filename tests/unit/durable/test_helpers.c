#include "tests/unit/durable/fake.h"

/* ---- durable_with_retry ---------------------------------------------------------------------- */

struct block {
    unsigned good_from;
    unsigned attempts;
    struct durable_retry retry;
    struct durable_error err;
};

static int work(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    const struct block *b = arg;
    (void)step, (void)err;
    *out = json_object_new_int((int)b->attempts);
    return 0;
}

static enum durable_rc attempt(struct durable_ctx *ctx, unsigned n, struct json_object *in,
                               void *arg, struct json_object **out, struct durable_error *err)
{
    struct block *b = arg;
    b->attempts = n;
    cr_assert_str_eq(json_object_get_string(in), "in");
    DURABLE_TRY(durable_step(ctx, "work", work, b, NULL, out, err));
    if (n >= b->good_from)
        return DURABLE_OK;
    json_put_ptr(out);
    durable_error_set(err, "NotYet", "attempt %u", n);
    return DURABLE_FAILED;
}

static enum durable_rc retried(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    struct block *b = arg;
    enum durable_rc rc = durable_with_retry(ctx, "r", attempt, in, b, &b->retry, out, err);
    durable_error_release(&b->err);
    durable_error_copy(&b->err, err);
    return rc;
}

static void end_waits(struct fake *f)
{
    for (size_t i = 0; i < json_object_array_length(f->ops); i++) {
        struct json_object *op = json_object_array_get_idx(f->ops, i);
        if (strcmp(json_get_str(op, "Type"), "WAIT") == 0)
            json_add_str(op, "Status", "SUCCEEDED");
    }
}

static const char *names(struct fake *f, struct buf *out)
{
    buf_reset(out);
    for (size_t i = 1; i < json_object_array_length(f->ops); i++) {
        const char *name = json_get_str(json_object_array_get_idx(f->ops, i), "Name");
        buf_printf(out, "%s%s", i > 1 ? " " : "", name ? name : "-");
    }
    return buf_str(out);
}

Test(with_retry, runs_each_attempt_in_a_context_and_waits_in_between)
{
    auto_fake struct fake f;
    auto_buf struct buf b = BUF_INIT(10000);
    fake_init(&f, "\"in\"");
    struct block block = { .good_from = 3, .retry = DURABLE_RETRY_FIXED(5, 7) };
    for (int i = 0; i < 2; i++) {
        cr_assert_str_eq(fake_invoke(&f, retried, &block), "{\"Status\":\"PENDING\"}");
        end_waits(&f);
    }
    cr_assert_str_eq(fake_invoke(&f, retried, &block),
                     "{\"Status\":\"SUCCEEDED\",\"Result\":\"3\"}");
    cr_assert_str_eq(names(&f, &b), "r r-attempt-1 work r-backoff-1 r-attempt-2 work r-backoff-2 "
                                    "r-attempt-3 work");
    cr_assert(strstr(f.request[2], "\"WaitSeconds\":7") || strstr(f.request[1], "WaitSeconds\":7"));
    durable_error_release(&block.err);
}

Test(with_retry, ends_with_the_last_attempts_error)
{
    static const char *const none[] = { "Else", NULL };
    static const char *const some[] = { "NotYet", NULL };
    static const struct {
        const char *const *only;
        const char *message;
    } cases[] = { { NULL, "attempt 2" }, { some, "attempt 2" }, { none, "attempt 1" } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, "\"in\"");
        struct block block = { .good_from = 9, .retry = DURABLE_RETRY_FIXED(2, 1) };
        block.retry.only_types = cases[i].only;
        for (int n = 0; n < 3; n++) {
            fake_invoke(&f, retried, &block);
            end_waits(&f);
        }
        cr_assert_str_eq(block.err.type, "ChildContextError");
        cr_assert_str_eq(block.err.cause_type, "NotYet");
        cr_assert_str_eq(block.err.message, cases[i].message);
        durable_error_release(&block.err);
    }
}

/* ---- combinators ----------------------------------------------------------------------------- */

static enum durable_rc good(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in, (void)err;
    *out = json_object_new_string(arg);
    return DURABLE_OK;
}

static enum durable_rc bad(struct durable_ctx *ctx, struct json_object *in, void *arg,
                           struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in, (void)out;
    durable_error_set(err, "Bad", "%s", (char *)arg);
    return DURABLE_FAILED;
}

static enum durable_rc slow(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg, (void)out;
    return durable_wait(ctx, NULL, 60, err);
}

typedef enum durable_rc combinator(struct durable_ctx *ctx, const char *name,
                                   const struct durable_branch *branches, size_t count,
                                   struct json_object **out, struct durable_error *err);
struct question {
    combinator *ask;
    const char *branches; /* g, b, s */
    const char *answer;   /* the result, or the cause's message, or NULL: pending */
};

static enum durable_rc asks(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    static char text[][2] = { "0", "1", "2" };
    const struct question *q = arg;
    struct durable_branch b[3] = { { 0 } };
    size_t n = strlen(q->branches);
    (void)in;
    for (size_t i = 0; i < n; i++)
        b[i] = (struct durable_branch){ .body = q->branches[i] == 'g'   ? good
                                                : q->branches[i] == 'b' ? bad
                                                                        : slow,
                                        .arg = text[i] };
    enum durable_rc rc = q->ask(ctx, "q", b, n, out, err);
    if (rc == DURABLE_FAILED && n) {
        cr_assert_str_eq(err->type, "PromiseCombinatorError");
        cr_assert_str_eq(err->cause_type, "Bad");
    }
    return rc;
}

Test(combinators, answer_as_their_names_say)
{
    static const struct question cases[] = {
        { durable_all, "gg", "[\\\"0\\\",\\\"1\\\"]" },
        { durable_all, "", "[]" },
        { durable_all, "gbg", "\"ErrorMessage\":\"1\"" },
        { durable_all, "gs", NULL },
        { durable_all_settled, "gb",
          "[{\\\"status\\\":\\\"fulfilled\\\",\\\"value\\\":\\\"0\\\"},{\\\"status\\\":"
          "\\\"rejected\\\",\\\"reason\\\":{\\\"name\\\":\\\"Bad\\\",\\\"message\\\":\\\"1\\\"}}"
          "]" },
        { durable_all_settled, "bsg", NULL },
        { durable_any, "bg", "\"Result\":\"\\\"1\\\"\"" },
        { durable_any, "bsg", "\"Result\":\"\\\"2\\\"\"" },
        { durable_any, "bb", "\"ErrorMessage\":\"0\"" },
        { durable_any, "bs", NULL },
        { durable_any, "", "there is no branch" },
        { durable_race, "sg", "\"Result\":\"\\\"1\\\"\"" },
        { durable_race, "sbg", "\"ErrorMessage\":\"1\"" },
        { durable_race, "g", "\"Result\":\"\\\"0\\\"\"" },
        { durable_race, "ss", NULL },
        { durable_race, "", "ValidationError" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        struct question q = cases[i];
        for (int run = 0; run < 2; run++) {
            const char *answer = fake_invoke(&f, asks, &q);
            if (q.answer)
                cr_assert(strstr(answer, q.answer), "case %zu: %s", i, answer);
            else
                cr_assert_str_eq(answer, "{\"Status\":\"PENDING\"}", "case %zu", i);
        }
    }
}

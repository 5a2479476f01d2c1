#include "shared/durable/retry.h"

#include <criterion/criterion.h>

#include "shared/base/mem.h"

static struct durable_error failure = { .type = NULL };

static int64_t delay(const struct durable_retry *r, unsigned attempt, uint64_t random)
{
    struct durable_decision d = retry_decide(r, &failure, attempt, random);
    return d.retry ? d.delay_s : 0;
}

Test(retry, doubles_from_five_seconds_up_to_sixty_by_default)
{
    static const int64_t most[] = { 5, 10, 20, 40, 60, 0, 0 };
    const struct durable_retry r = { 0 };
    for (unsigned attempt = 1; attempt <= ARRAY_LEN(most); attempt++) {
        cr_assert_eq(delay(&r, attempt, UINT64_MAX), most[attempt - 1], "attempt %u", attempt);
        cr_assert_eq(delay(&r, attempt, 0), most[attempt - 1] ? 1 : 0, "never below a second");
    }
}

Test(retry, computes_delays)
{
    static const struct {
        struct durable_retry r;
        unsigned attempt;
        uint64_t random;
        int64_t delay_s; /* 0: no retry */
    } cases[] = {
        { { .jitter = DURABLE_JITTER_NONE }, 3, 0, 20 },
        { { .jitter = DURABLE_JITTER_HALF }, 1, 0, 3 }, /* 2.5 rounded up */
        { { .jitter = DURABLE_JITTER_HALF }, 1, UINT64_MAX, 5 },
        { { .jitter = DURABLE_JITTER_FULL }, 3, UINT64_MAX / 2, 10 },
        { { .rate = 1.5, .first_delay_s = 1, .jitter = DURABLE_JITTER_NONE }, 2, 0, 2 },
        { { .rate = 1, .first_delay_s = 7, .jitter = DURABLE_JITTER_NONE }, 5, 0, 7 },
        { { .max_attempts = 1 }, 1, 0, 0 },
        { { .max_attempts = 2 }, 2, 0, 0 },
        { { .max_attempts = 5000, .max_delay_s = INT64_MAX, .jitter = DURABLE_JITTER_NONE },
          4000,
          0,
          RETRY_DELAY_MAX_S }, /* 2^3999 overflows a double */
        { { .max_attempts = 9, .first_delay_s = -4, .jitter = DURABLE_JITTER_NONE }, 1, 0, 1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_assert_eq(delay(&cases[i].r, cases[i].attempt, cases[i].random), cases[i].delay_s,
                     "case %zu: %lld", i,
                     (long long)delay(&cases[i].r, cases[i].attempt, cases[i].random));
}

Test(retry, looks_at_the_type_where_types_are_named)
{
    static const char *const types[] = { "Throttled", "Away", NULL };
    static const char *const none[] = { NULL };
    char away[] = "Away";
    char broken[] = "Broken";
    struct durable_retry r = { .only_types = types };
    struct durable_error e = { .type = away };
    cr_assert(retry_decide(&r, &e, 1, 0).retry);
    e.type = broken;
    cr_assert_not(retry_decide(&r, &e, 1, 0).retry);
    e.type = NULL;
    cr_assert_not(retry_decide(&r, &e, 1, 0).retry);
    r.only_types = none;
    cr_assert_not(retry_decide(&r, &e, 1, 0).retry);
}

static struct durable_decision own(const struct durable_error *err, unsigned attempt, void *arg)
{
    (void)err;
    return (struct durable_decision){ .retry = attempt < 3, .delay_s = *(int64_t *)arg };
}

Test(retry, lets_the_callers_function_decide_and_keeps_its_delay_within_limits)
{
    static const int64_t given[] = { -5, 0, 1, 90, INT64_MAX };
    static const int64_t kept[] = { 1, 1, 1, 90, RETRY_DELAY_MAX_S };
    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        int64_t s = given[i];
        const struct durable_retry r = { .max_attempts = 1, .decide = own, .arg = &s };
        cr_assert_eq(delay(&r, 2, 0), kept[i]);
        cr_assert_eq(delay(&r, 3, 0), 0);
    }
}

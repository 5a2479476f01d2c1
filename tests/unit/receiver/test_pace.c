/* The pace of deliveries against simulated engines; time is a variable. */
#include "callback-receiver/pace.h"

#include <criterion/criterion.h>
#include <stddef.h>

struct engine {
    unsigned capacity; /* calls a second; 0: any number */
    int64_t second;
    unsigned taken; /* in this second */
};

static bool throttles(struct engine *e, int64_t now_ms)
{
    if (now_ms / 1000 != e->second) {
        e->second = now_ms / 1000;
        e->taken = 0;
    }
    if (e->capacity == 0 || e->taken < e->capacity) {
        e->taken++;
        return false;
    }
    return true;
}

struct tally {
    unsigned calls, throttled, most; /* most: calls of one second */
};

/* `threads` callers that always have something to deliver, each call lasting 5 ms. */
static struct tally run(struct pace *p, struct engine *e, int64_t *now_ms, int seconds,
                        unsigned threads)
{
    int64_t busy[64] = { 0 };
    struct tally t = { 0 };
    for (int s = 0; s < seconds; s++) {
        unsigned before = t.calls;
        for (int ms = 0; ms < 1000; ms++, ++*now_ms)
            for (unsigned i = 0; i < threads; i++) {
                if (*now_ms < busy[i] || pace_take(p, *now_ms) > 0)
                    continue;
                bool no = throttles(e, *now_ms);
                busy[i] = *now_ms + 5;
                pace_answered(p, no, -1, *now_ms);
                t.calls++;
                t.throttled += no;
            }
        if (t.calls - before > t.most)
            t.most = t.calls - before;
    }
    return t;
}

Test(pace, an_engine_without_limit_is_not_limited)
{
    struct pace *p = pace_new();
    struct engine e = { 0 };
    int64_t now = 5000;
    struct tally t = run(p, &e, &now, 3, 8);
    cr_expect_eq(pace_rate(p), 0);
    cr_expect_geq(t.calls, 4700, "%u", t.calls);
    pace_free(p);
}

Test(pace, finds_what_the_engine_takes_and_what_it_takes_afterwards)
{
    struct pace *p = pace_new();
    struct engine e = { .capacity = 200 };
    int64_t now = 5000;
    run(p, &e, &now, 10, 8);
    struct tally t = run(p, &e, &now, 60, 8);
    cr_expect_geq(t.calls - t.throttled, 60 * 200 * 7 / 10, "taken %u", t.calls - t.throttled);
    cr_expect_leq(t.throttled, t.calls / 4, "throttled %u of %u", t.throttled, t.calls);
    cr_expect_leq(t.most, 320, "%u", t.most);
    e.capacity = 20; /* it gets worse */
    run(p, &e, &now, 10, 8);
    t = run(p, &e, &now, 60, 8);
    cr_expect_geq(t.calls - t.throttled, 60 * 20 * 6 / 10, "taken %u", t.calls - t.throttled);
    cr_expect_leq(t.most, 60, "%u", t.most);
    e.capacity = 0; /* and well again */
    run(p, &e, &now, 90, 8);
    cr_expect_eq(pace_rate(p), 0, "%f", pace_rate(p));
    pace_free(p);
}

Test(pace, an_engine_that_takes_nothing_is_still_asked)
{
    struct pace *p = pace_new();
    int64_t now = 5000;
    unsigned calls = 0;
    for (int64_t end = now + 60000; now < end; now++)
        if (pace_take(p, now) == 0) {
            calls++;
            pace_answered(p, true, -1, now);
        }
    calls = 0;
    for (int64_t end = now + 60000; now < end; now++)
        if (pace_take(p, now) == 0) {
            calls++;
            pace_answered(p, true, -1, now);
        }
    cr_expect_geq(calls, 60 * 4, "%u", calls);
    cr_expect_leq(calls, 60 * 6, "%u", calls);
    pace_free(p);
}

Test(pace, single_throttled_calls_do_not_slow_it_down)
{
    struct pace *p = pace_new();
    for (int64_t now = 5000; now < 65000; now += 2) {
        cr_assert_eq(pace_take(p, now), 0);
        pace_answered(p, now % 20 == 0, -1, now);
    }
    cr_expect_eq(pace_rate(p), 0);
    pace_free(p);
}

Test(pace, retry_after_holds_all_back_for_a_minute_at_most)
{
    struct pace *p = pace_new();
    pace_answered(p, true, 3000, 5000);
    cr_expect_eq(pace_take(p, 5001), 2999);
    cr_expect_eq(pace_take(p, 8000), 0);
    pace_answered(p, true, 9000000, 8000);
    cr_expect_eq(pace_take(p, 8000), 60000);
    pace_answered(p, false, -1, 8000);
    cr_expect_eq(pace_take(p, 68000), 0);
    pace_free(p);
}

Test(pace, reports_go_before_heartbeats)
{
    struct pace *p = pace_new();
    int64_t now = 5000;
    cr_expect(pace_take_heartbeat(p, now), "no limit: both may");
    for (unsigned i = 0; i < 20; i++)
        pace_answered(p, true, -1, now + i * 60);
    now += 2000;
    cr_assert_gt(pace_rate(p), 0);
    unsigned heartbeats = 0, reports = 0;
    for (int64_t end = now + 2000; now < end; now++) {
        heartbeats += pace_take_heartbeat(p, now);
        reports += pace_take(p, now) == 0;
    }
    cr_expect_leq(heartbeats, 1, "%u", heartbeats);
    cr_expect_geq(reports, 10, "%u", reports);
    for (int64_t end = now + 2000; now < end; now++)
        heartbeats += pace_take_heartbeat(p, now);
    cr_expect_geq(heartbeats, 8, "alone they have it all: %u", heartbeats);
    pace_free(p);
}

Test(pace, what_is_returned_can_be_taken_again)
{
    struct pace *p = pace_new();
    for (unsigned i = 0; i < 20; i++)
        pace_answered(p, true, -1, 5000 + i * 60);
    cr_assert_eq(pace_take(p, 9000), 0);
    cr_expect_gt(pace_take(p, 9000), 0);
    pace_return(p);
    cr_expect_eq(pace_take(p, 9001), 0);
    pace_free(p);
}

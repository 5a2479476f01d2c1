/* Heartbeats that the real callback-receiver sends to Lambda, on either store. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/mem.h"
#include "tests/integration/rig.h"

#define ID RIG_ID

static void await_beats(struct rig *r, unsigned count)
{
    int64_t until = clock_mono_ms(clock_system()) + 60000;
    while (rig_beats(r) < count) {
        cr_assert_lt(clock_mono_ms(clock_system()), until, "%u heartbeats, not %u", rig_beats(r),
                     count);
        clock_sleep_ms(clock_system(), 20);
    }
}

/* One may be under way; then there are no more, in three times a third of the period. */
static void await_silence(struct rig *r)
{
    int64_t until = clock_mono_ms(clock_system()) + 60000;
    unsigned before;
    do {
        before = rig_beats(r);
        cr_assert_lt(clock_mono_ms(clock_system()), until, "they do not end");
        clock_sleep_ms(clock_system(), 3000);
    } while (rig_beats(r) != before);
}

static bool metric_is(struct rig *r, const char *line)
{
    auto_free char *text = rig_ops_text(r, "/metrics");
    return strstr(text, line) != NULL;
}

RIG_TEST(beats, come_from_registration_on_and_end_with_the_delivery)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, "\"engineHeartbeatSeconds\":3");
    free(rig_register(r, "T3RoZXI=", NULL)); /* did not ask */
    await_beats(r, 3);
    rig_lambda(r, RIG_FAILS, 0, RIG_FAILS); /* the workflow still waits */
    rig_expect(rig_say(r, "POST", "/success", job, NULL, "1"), 202, "accepted");
    await_beats(r, rig_beats(r) + 2);
    rig_lambda(r, RIG_TAKES, 0, RIG_TAKES);
    free(rig_await_state(r, ID, "delivered"));
    await_silence(r);
    cr_assert(metric_is(r, "engine_heartbeats_total{outcome=\"ok\"}"));
    rig_stop(r);
}

RIG_TEST(beats, end_where_lambda_says_that_nobody_waits)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, "\"engineHeartbeatSeconds\":3");
    rig_lambda_beats(r, RIG_CLOSED);
    await_beats(r, 1);
    int64_t until = clock_mono_ms(clock_system()) + 30000;
    while (!metric_is(r, "engine_heartbeats_total{outcome=\"gone\"} 1") &&
           clock_mono_ms(clock_system()) < until)
        clock_sleep_ms(clock_system(), 20);
    await_silence(r);
    /* What the job says is still kept for the launcher. */
    rig_lambda(r, RIG_CLOSED, 0, RIG_CLOSED);
    rig_expect(rig_say(r, "POST", "/success", job, NULL, "1"), 202, "accepted");
    free(rig_await_state(r, ID, "dead"));
    rig_stop(r);
}

RIG_TEST(beats, go_on_while_lambda_fails_or_denies_and_after_a_kill)
{
    struct rig *r = rig_start(NULL);
    free(rig_register(r, ID, "\"engineHeartbeatSeconds\":3"));
    rig_lambda_beats(r, RIG_FAILS);
    await_beats(r, 2);
    rig_lambda_beats(r, RIG_DENIES);
    await_beats(r, 3);
    rig_kill(r);
    rig_lambda_beats(r, RIG_TAKES);
    unsigned beats = rig_beats(r);
    rig_restart(r);
    await_beats(r, beats + 2);
    auto_free char *log = rig_log(r);
    cr_assert_not_null(strstr(log, "engine_heartbeat_failed"), "%s", log);
    rig_stop(r);
}

/* Credentials that allow reports, but no heartbeats. */
Test(beats, that_are_denied_do_not_slow_reports_down)
{
    cr_assert(rig_on(RIG_SQLITE));
    struct rig *r = rig_start(NULL);
    rig_lambda_beats(r, RIG_DENIES);
    for (int i = 0; i < 40; i++) {
        char id[] = "QUFBAA==";
        id[4] = (char)('A' + i / 20);
        id[5] = (char)('A' + i % 20);
        free(rig_register(r, id, "\"engineHeartbeatSeconds\":3"));
    }
    await_beats(r, 160); /* some seconds of them */
    cr_assert(metric_is(r, "callback_receiver_delivery_rate_limit 0\n"));
    cr_assert(metric_is(r, "callback_receiver_engine_heartbeats_total{outcome=\"ok\"} 0\n"));
    auto_free char *log = rig_log(r);
    cr_assert_not_null(strstr(log, "engine_heartbeat_denied"), "%s", log);
    rig_lambda_beats(r, RIG_TAKES);
    rig_stop(r);
}

/* 1,000 jobs with a period of 60 s: 50 calls a second, each job's within the first third. That they
 * are even within every second is shown by the plan itself (tests/unit/receiver/test_callback.c);
 * here nothing may come faster than planned, however late the machine is. */
Test(beats, of_1000_jobs_are_50_a_second)
{
    cr_assert(rig_on(RIG_SQLITE));
    struct rig *r = rig_start(NULL);
    int64_t began = clock_mono_ms(clock_system());
    for (int i = 0; i < 1000; i++) {
        char id[] = "QUFBAAA=";
        id[4] = (char)('A' + i / 100);
        id[5] = (char)('A' + i / 10 % 10);
        id[6] = (char)('A' + i % 10);
        free(rig_register(r, id, "\"engineHeartbeatSeconds\":60"));
    }
    int64_t registered = clock_mono_ms(clock_system());
    unsigned before = rig_beats(r), busiest = 0;
    for (int s = 0; s < 22; s++) {
        clock_sleep_ms(clock_system(), 1000);
        unsigned now = rig_beats(r);
        int64_t took_ms = clock_mono_ms(clock_system()) - began;
        busiest = now - before > busiest ? now - before : busiest;
        before = now;
        cr_assert_leq(now, (unsigned)(took_ms / 1000 + 1) * 50, "%u in %lld ms", now,
                      (long long)took_ms);
    }
    await_beats(r, 1000);
    printf("1,000 jobs: registered in %lld ms, %u heartbeats, at most %u between two looks\n",
           (long long)(registered - began), rig_beats(r), busiest);
    rig_stop(r);
}

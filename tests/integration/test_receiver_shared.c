/* Several real callback-receivers on one Redis, and a Redis that goes away. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/mem.h"
#include "tests/integration/rig.h"

#define ID    RIG_ID
#define OTHER "T3RoZXI="
#define JSON  "application/json"
#define RIGS  3

/* The first one also holds Redis and Lambda. False: there is no redis-server here. */
static bool start(struct rig *all[RIGS], const char *const *env)
{
    if (!rig_on(RIG_REDIS))
        return false;
    all[0] = rig_start(env);
    for (size_t i = 1; i < RIGS; i++)
        all[i] = rig_join(all[0], env);
    return true;
}

static void stop(struct rig *all[RIGS])
{
    for (size_t i = RIGS; i-- > 0;)
        rig_stop(all[i]);
}

Test(shared, a_job_may_speak_to_any_of_them)
{
    struct rig *all[RIGS];
    if (!start(all, NULL))
        return;
    auto_free char *job = rig_register(all[0], ID, NULL);
    rig_lambda(all[0], RIG_FAILS, 0, RIG_FAILS);
    rig_expect(rig_say(all[1], "GET", "/input", job, NULL, NULL), 200, "{\"n\":1}");
    rig_expect(rig_say(all[2], "POST", "/heartbeat", job, JSON, "{\"progress\":0.5}"), 200, "");
    rig_expect(rig_say(all[0], "GET", "", job, NULL, NULL), 200, "\"progress\":0.5");
    rig_expect(rig_say(all[1], "POST", "/success", job, NULL, "1"), 202, "accepted");
    rig_expect(rig_say(all[2], "POST", "/success", job, NULL, "1"), 202, "accepted");
    rig_expect(rig_say(all[0], "POST", "/success", job, NULL, "2"), 409, "accepted");
    rig_lambda(all[0], RIG_TAKES, 0, RIG_TAKES);
    for (size_t i = 0; i < RIGS; i++) {
        free(rig_await_state(all[i], ID, "delivered"));
        rig_expect(rig_say(all[i], "POST", "/success", job, NULL, "1"), 200, "delivered");
    }
    stop(all);
}

Test(shared, of_many_reports_at_all_of_them_one_wins)
{
    struct rig *all[RIGS];
    if (!start(all, NULL))
        return;
    rig_burst(all, RIGS, 6 * RIGS);
    free(rig_await_state(all[0], ID, "delivered"));
    cr_assert_eq(rig_calls(all[0]), 1, "one call for one result");
    stop(all);
}

Test(shared, what_one_has_accepted_another_delivers)
{
    if (!rig_on(RIG_REDIS))
        return;
    struct rig *home = rig_start(NULL);
    struct rig *cut_off =
        rig_join(home, (const char *const[]){ "AWS_ENDPOINT_URL=http://127.0.0.1:1",
                                              "RETRY_BASE_MS=50", NULL });
    auto_free char *job = rig_register(cut_off, ID, NULL);
    /* And who waits for it here is told of it. */
    rig_expect(rig_ask(cut_off, &(struct rig_ask){ .method = "POST",
                                                   .callback_id = ID,
                                                   .what = "/success",
                                                   .token = job,
                                                   .prefer = "wait=30",
                                                   .body = "1" }),
               200, "delivered");
    cr_assert_eq(rig_calls(home), 1);
    rig_stop(cut_off);
    rig_stop(home);
}

Test(shared, what_a_killed_one_was_about_to_deliver_another_does)
{
    struct rig *all[RIGS];
    if (!start(all, NULL))
        return;
    auto_free char *job = rig_register(all[1], ID, NULL);
    rig_lambda(all[0], RIG_HANGS, 1, RIG_TAKES);
    rig_expect(rig_say(all[1], "POST", "/success", job, NULL, "{\"kept\":1}"), 202, "accepted");
    rig_await_calls(all[0], 1); /* whoever has made that call: all but one go */
    rig_kill(all[1]);
    rig_kill(all[2]);
    auto_free char *other = rig_register(all[0], OTHER, NULL);
    rig_expect(rig_ask(all[0], &(struct rig_ask){ .method = "POST",
                                                  .callback_id = OTHER,
                                                  .what = "/success",
                                                  .token = other,
                                                  .body = "2" }),
               202, "accepted");
    rig_release_calls(all[0]);
    free(rig_await_state(all[0], OTHER, "delivered"));
    free(rig_await_state(all[0], ID, "delivered"));
    rig_restart(all[1]);
    rig_restart(all[2]);
    stop(all);
}

Test(shared, silence_is_judged_whoever_is_killed)
{
    struct rig *all[RIGS];
    if (!start(all, NULL))
        return;
    for (size_t i = 0; i < RIGS - 1; i++) {
        char id[] = "QUFB";
        id[0] = (char)('A' + i);
        auto_free char *job = rig_register(all[i], id, "\"heartbeatSeconds\":1");
        rig_expect(rig_ask(all[i], &(struct rig_ask){ .method = "POST",
                                                      .callback_id = id,
                                                      .what = "/heartbeat",
                                                      .token = job }),
                   200, "pending");
        rig_kill(all[i]); /* perhaps the one that judged */
        free(rig_await_state(all[RIGS - 1], id, "delivered"));
        cr_assert_eq(rig_calls(all[0]), i + 1);
        struct rig_call call = rig_last_call(all[0]);
        cr_assert_not_null(strstr(call.body, "Task.HeartbeatLost"), "%s", call.body);
        free(call.body);
    }
    for (size_t i = 0; i < RIGS - 1; i++)
        rig_restart(all[i]);
    stop(all);
}

Test(shared, one_of_them_sends_the_heartbeats_to_lambda)
{
    struct rig *all[RIGS];
    if (!start(all, NULL))
        return;
    int64_t began = clock_mono_ms(clock_system());
    free(rig_register(all[2], ID, "\"engineHeartbeatSeconds\":3"));
    while (rig_beats(all[0]) < 4 && clock_mono_ms(clock_system()) - began < 60000)
        clock_sleep_ms(clock_system(), 20);
    int64_t took_ms = clock_mono_ms(clock_system()) - began;
    unsigned beats = rig_beats(all[0]);
    cr_assert_geq(beats, 4);
    cr_assert_leq(beats, took_ms / 1000 + 2, "%u in %lld ms", beats, (long long)took_ms);
    stop(all);
}

/* Redis is killed and comes back: meanwhile nothing is accepted, afterwards all goes on. */
Test(shared, a_redis_that_goes_away_loses_nothing)
{
    struct rig *all[RIGS];
    if (!start(all, NULL))
        return;
    auto_free char *job = rig_register(all[0], ID, NULL);
    auto_free char *other = rig_register(all[0], OTHER, NULL);
    rig_lambda(all[0], RIG_FAILS, 0, RIG_FAILS);
    rig_expect(rig_say(all[0], "POST", "/success", job, NULL, "{\"kept\":1}"), 202, "accepted");
    program_kill(rig_redis(all[0])->program);
    for (size_t i = 0; i < RIGS; i++) {
        struct rig_answer a = rig_ask(all[i], &(struct rig_ask){ .method = "POST",
                                                                 .callback_id = OTHER,
                                                                 .what = "/success",
                                                                 .token = other,
                                                                 .body = "2" });
        rig_expect(a, 503, "nothing was changed");
        cr_assert_str_neq(a.retry_after, "");
        cr_assert_eq(rig_get(all[i], true, "GET", "/readyz", NULL).status, 503);
        cr_assert_eq(rig_get(all[i], true, "GET", "/dead", NULL).status, 503);
        auto_free char *metrics = rig_ops_text(all[i], "/metrics");
        cr_assert_not_null(strstr(metrics, "callback_receiver_store_up 0\n"));
        cr_assert_not_null(strstr(metrics, "route=\"success\",status=\"503\"} 1\n"));
    }
    rig_lambda(all[0], RIG_TAKES, 0, RIG_TAKES);
    redis_server_restart(rig_redis(all[0]));
    free(rig_await_state(all[2], ID, "delivered"));
    for (int i = 0; i < 600 && rig_get(all[1], true, "GET", "/readyz", NULL).status != 200; i++)
        clock_sleep_ms(clock_system(), 50);
    cr_assert_eq(rig_get(all[1], true, "GET", "/readyz", NULL).status, 200);
    rig_expect(rig_ask(all[1], &(struct rig_ask){ .method = "POST",
                                                  .callback_id = OTHER,
                                                  .what = "/success",
                                                  .token = other,
                                                  .body = "2" }),
               202, "accepted");
    free(rig_await_state(all[1], OTHER, "delivered"));
    auto_free char *log = rig_log(all[1]);
    cr_assert_not_null(strstr(log, "store_recovered"), "%s", log);
    stop(all);
}

/* All that was there is gone: what running jobs report is delivered all the same. */
Test(shared, a_redis_that_comes_back_empty_takes_what_is_reported)
{
    struct rig *all[RIGS];
    if (!start(all, NULL))
        return;
    auto_free char *job = rig_register(all[0], ID, NULL);
    redis_server_say(rig_redis(all[0]), "FLUSHALL");
    for (size_t i = 0; i < RIGS; i++) {
        rig_expect(rig_say(all[i], "GET", "/input", job, NULL, NULL), 404, "not registered");
        rig_expect(rig_say(all[i], "POST", "/heartbeat", job, NULL, NULL), 200, "pending");
    }
    rig_expect(rig_say(all[1], "POST", "/success", job, NULL, "1"), 202, "accepted");
    free(rig_await_state(all[2], ID, "delivered"));
    cr_assert_eq(rig_calls(all[0]), 1);
    stop(all);
}

/* What Lambda has answered while Redis was away is written as soon as Redis is back: the report is
 * not sent a second time. */
Test(shared, an_answer_that_could_not_be_written_is_kept_until_it_can)
{
    if (!rig_on(RIG_REDIS))
        return;
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, NULL);
    rig_lambda(r, RIG_HANGS, 1, RIG_TAKES);
    rig_expect(rig_say(r, "POST", "/success", job, NULL, "1"), 202, "accepted");
    rig_await_calls(r, 1);
    program_kill(rig_redis(r)->program);
    rig_release_calls(r);
    bool failed = false;
    for (int i = 0; i < 1200 && !failed; i++) {
        clock_sleep_ms(clock_system(), 50);
        auto_free char *log = rig_log(r);
        failed = strstr(log, "store_failed") != NULL;
    }
    cr_assert(failed, "it has not tried to write the outcome");
    redis_server_restart(rig_redis(r));
    auto_free char *state = rig_await_state(r, ID, "delivered");
    cr_assert_not_null(strstr(state, "\"attempts\":1"), "%s", state);
    cr_assert_eq(rig_calls(r), 1);
    rig_stop(r);
}

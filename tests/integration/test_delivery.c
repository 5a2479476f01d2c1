/* What the real callback-receiver does with reports that Lambda does not take at once, with jobs
 * that fall silent, and with its own end. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/mem.h"
#include "tests/integration/rig.h"

#define ID    RIG_ID
#define OTHER "T3RoZXI="
#define JSON  "application/json"

RIG_TEST(delivery, prefer_wait_waits_for_the_delivery)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, NULL);
    struct rig_ask report = { .method = "POST",
                              .callback_id = ID,
                              .what = "/success",
                              .token = job,
                              .type = JSON,
                              .prefer = "respond-async, wait=1",
                              .body = "1" };
    rig_lambda(r, RIG_FAILS, 0, RIG_FAILS);
    int64_t began = clock_mono_ms(clock_system());
    struct rig_answer a = rig_ask(r, &report);
    rig_expect(a, 202, "accepted");
    cr_assert_str_eq(a.applied, "wait=1");
    cr_assert_geq(clock_mono_ms(clock_system()) - began, 990);
    rig_lambda(r, RIG_FAILS, 2, RIG_TAKES);
    report.prefer = "wait=100";
    a = rig_ask(r, &report);
    rig_expect(a, 200, "delivered");
    cr_assert_str_eq(a.applied, "wait=30");
    a = rig_ask(r, &report);
    rig_expect(a, 200, "delivered");
    rig_stop(r);
}

RIG_TEST(delivery, a_lost_answer_and_then_closed_is_unconfirmed)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, NULL);
    rig_lambda(r, RIG_CUTS, 1, RIG_CLOSED);
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "1"), 202, "accepted");
    auto_free char *state = rig_await_state(r, ID, "unconfirmed");
    cr_assert_not_null(strstr(state, "closed by the engine"), "%s", state);
    cr_assert_eq(rig_calls(r), 2);
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "1"), 200, "unconfirmed");
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "2"), 409, "unconfirmed");
    rig_stop(r);
}

/* Not taken until the callback's life was over: kept, with the reason, and sent again on demand. */
RIG_TEST(delivery, past_its_callbacks_life_a_report_is_dead_listed_and_can_be_sent_again)
{
    static const struct {
        enum rig_lambda engine;
        const char *why;
    } cases[] = { { RIG_DENIES, "AccessDeniedException" }, { RIG_FAILS, "ServiceException" } };
    struct rig *r = rig_start(NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char id[] = "QUFB", public[TOKEN_PUBLIC_ID];
        id[0] = (char)('A' + i);
        token_public_id(id, public);
        auto_free char *job = rig_token(id, TOKEN_SCOPE_JOB, 3);
        auto_free char *redeliver = mem_printf("/redeliver/%s", public);
        rig_lambda(r, cases[i].engine, 0, cases[i].engine);
        rig_expect(rig_ask(r, &(struct rig_ask){ .method = "POST",
                                                 .callback_id = id,
                                                 .what = "/success",
                                                 .token = job,
                                                 .body = "{\"kept\":1}" }),
                   202, "accepted");
        auto_free char *state = rig_await_state(r, id, "dead");
        cr_assert_not_null(strstr(state, cases[i].why), "%s", state);
        cr_assert_not_null(strstr(state, "kept"), "the launcher may still have it: %s", state);
        rig_expect(rig_get(r, true, "GET", "/dead", NULL), 200, public);
        rig_lambda(r, RIG_TAKES, 0, RIG_TAKES);
        rig_expect(rig_get(r, true, "POST", redeliver, NULL), 202, "accepted");
        free(rig_await_state(r, id, "delivered"));
        struct rig_call call = rig_last_call(r);
        cr_assert_str_eq(call.body, "{\"kept\":1}");
        free(call.body);
    }
    auto_free char *metrics = rig_ops_text(r, "/metrics");
    cr_assert_null(strstr(metrics, "deliveries_total{outcome=\"denied\"} 0\n"));
    rig_stop(r);
}

RIG_TEST(delivery, lambdas_own_404_is_final_and_that_of_a_wrong_address_is_not)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, NULL);
    rig_lambda(r, RIG_ELSEWHERE, 3, RIG_UNKNOWN);
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "1"), 202, "accepted");
    auto_free char *state = rig_await_state(r, ID, "dead");
    cr_assert_not_null(strstr(state, "ResourceNotFoundException"), "%s", state);
    cr_assert_not_null(strstr(state, "\"attempts\":4"), "%s", state);
    rig_stop(r);
}

RIG_TEST(delivery, a_traceparent_is_logged_and_passed_on)
{
    static const char trace[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, NULL);
    rig_expect(rig_ask(r, &(struct rig_ask){ .method = "POST",
                                             .callback_id = ID,
                                             .what = "/success",
                                             .token = job,
                                             .trace = trace,
                                             .body = "1" }),
               202, "accepted");
    free(rig_await_state(r, ID, "delivered"));
    auto_free char *passed = rig_last_trace(r);
    cr_assert_str_eq(passed, trace);
    auto_free char *log = rig_log(r);
    cr_assert_not_null(strstr(log, trace));
    auto_free char *other = rig_register(r, OTHER, NULL); /* of its own, or none */
    rig_expect(rig_ask(r, &(struct rig_ask){ .method = "POST",
                                             .callback_id = OTHER,
                                             .what = "/success",
                                             .token = other,
                                             .trace = "00-nonsense",
                                             .body = "1" }),
               202, "accepted");
    free(rig_await_state(r, OTHER, "delivered"));
    auto_free char *none = rig_last_trace(r);
    cr_assert_str_eq(none, "");
    rig_stop(r);
}

RIG_TEST(delivery, an_engine_that_refuses_for_a_while_gets_it_afterwards)
{
    static const enum rig_lambda kinds[] = { RIG_THROTTLES, RIG_FAILS, RIG_DENIES, RIG_CUTS };
    struct rig *r = rig_start(NULL);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char id[] = "QUFB";
        id[0] = (char)('A' + i);
        auto_free char *job = rig_register(r, id, NULL);
        unsigned before = rig_calls(r);
        rig_lambda(r, kinds[i], 4, RIG_TAKES);
        struct rig_answer a = rig_ask(r, &(struct rig_ask){ .method = "POST",
                                                            .callback_id = id,
                                                            .what = "/success",
                                                            .token = job,
                                                            .body = "1" });
        rig_expect(a, 202, "accepted");
        auto_free char *state = rig_await_state(r, id, "delivered");
        cr_assert_not_null(strstr(state, "\"attempts\":5"), "%s", state);
        cr_assert_eq(rig_calls(r) - before, 5);
    }
    auto_free char *log = rig_log(r);
    cr_assert_not_null(strstr(log, "\"delivery_denied\""), "what a person must mend is loud");
    rig_stop(r);
}

RIG_TEST(delivery, what_lambda_will_never_take_is_dead_and_can_be_sent_again)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, NULL);
    char id[TOKEN_PUBLIC_ID];
    token_public_id(ID, id);
    auto_free char *redeliver = mem_printf("/redeliver/%s", id);
    rig_lambda(r, RIG_FAILS, 2, RIG_CLOSED);
    rig_expect(rig_get(r, true, "POST", redeliver, NULL), 409, "pending");
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "1"), 202, "accepted");
    auto_free char *state = rig_await_state(r, ID, "dead");
    cr_assert_not_null(strstr(state, "closed by the engine"), "%s", state);
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "1"), 410, "\"state\":\"dead\"");
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "2"), 409, "\"state\":\"dead\"");
    rig_expect(rig_say(r, "POST", "/heartbeat", job, NULL, NULL), 410, "dead");
    rig_expect(rig_get(r, true, "GET", "/dead", NULL), 200, id);
    rig_lambda(r, RIG_REFUSES, 1, RIG_TAKES);
    rig_expect(rig_get(r, true, "POST", redeliver, NULL), 202, "accepted");
    auto_free char *again = rig_await_state(r, ID, "dead");
    cr_assert_not_null(strstr(again, "refused by the engine"), "%s", again);
    rig_expect(rig_get(r, true, "POST", redeliver, NULL), 202, "accepted");
    free(rig_await_state(r, ID, "delivered"));
    rig_expect(rig_get(r, true, "GET", "/dead", NULL), 200, "[]");
    rig_expect(rig_get(r, true, "POST", "/redeliver/AAAAAAAAAAAAAAAAAAAAAAAA", NULL), 404, "");
    rig_stop(r);
}

RIG_TEST(delivery, what_was_accepted_survives_a_kill)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, NULL);
    rig_lambda(r, RIG_FAILS, 0, RIG_FAILS);
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "{\"kept\":1}"), 202, "accepted");
    rig_kill(r);
    rig_lambda(r, RIG_TAKES, 0, RIG_TAKES);
    rig_restart(r);
    free(rig_await_state(r, ID, "delivered"));
    struct rig_call call = rig_last_call(r);
    cr_assert_str_eq(call.body, "{\"kept\":1}");
    free(call.body);
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "{\"kept\":1}"), 200, "delivered");
    rig_stop(r);
}

RIG_TEST(delivery, an_attempt_that_a_kill_cut_off_counts_as_unanswered)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, NULL);
    rig_lambda(r, RIG_HANGS, 1, RIG_CLOSED);
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "1"), 202, "accepted");
    rig_await_calls(r, 1);
    rig_kill(r);
    rig_restart(r);
    free(rig_await_state(r, ID, "unconfirmed"));
    rig_stop(r);
}

RIG_TEST(delivery, silence_after_a_heartbeat_is_a_failure)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, "\"heartbeatSeconds\":4");
    rig_expect(rig_say(r, "POST", "/heartbeat", job, NULL, NULL), 200, "{\"state\":\"pending\"}");
    rig_expect(
        rig_say(r, "POST", "/heartbeat", job, JSON, "{\"progress\":0.5,\"message\":\"half\"}"), 200,
        "pending");
    rig_expect(rig_say(r, "GET", "", job, NULL, NULL), 200,
               "\"progress\":{\"progress\":0.5,\"message\":");
    for (int i = 0; i < 12; i++) { /* any request counts */
        clock_sleep_ms(clock_system(), 500);
        rig_expect(rig_say(r, "GET", "/input", job, NULL, NULL), 200, "{\"n\":1}");
    }
    cr_assert_eq(rig_calls(r), 0);
    free(rig_await_state(r, ID, "delivered"));
    struct rig_call call = rig_last_call(r);
    cr_assert_str_eq(call.verb, "fail");
    cr_assert_not_null(strstr(call.body, "\"ErrorType\":\"Task.HeartbeatLost\""), "%s", call.body);
    free(call.body);
    rig_expect(rig_say(r, "POST", "/heartbeat", job, NULL, NULL), 410, "stop working");
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "1"), 409, "delivered");
    rig_stop(r);
}

RIG_TEST(delivery, a_job_that_never_starts_is_a_failure)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, "\"startTimeoutSeconds\":1");
    auto_free char *other = rig_register(r, OTHER, "\"startTimeoutSeconds\":1");
    struct rig_ask contact = {
        .method = "GET", .callback_id = OTHER, .what = "/input", .token = other
    };
    rig_expect(rig_ask(r, &contact), 200, "");
    free(rig_await_state(r, ID, "delivered"));
    struct rig_call call = rig_last_call(r);
    cr_assert_not_null(strstr(call.body, "\"ErrorType\":\"Task.StartTimeout\""), "%s", call.body);
    free(call.body);
    clock_sleep_ms(clock_system(), 1200);
    auto_free char *state = rig_await_state(r, OTHER, "pending");
    cr_assert_not_null(state, "a job that was heard of and sends no heartbeats is not judged");
    cr_assert_eq(rig_calls(r), 1);
    rig_expect(rig_say(r, "POST", "/heartbeat", job, NULL, NULL), 410, "");
    rig_stop(r);
}

RIG_TEST(delivery, the_clock_of_heartbeats_starts_anew_with_the_receiver)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, "\"heartbeatSeconds\":6");
    rig_expect(rig_say(r, "POST", "/heartbeat", job, NULL, NULL), 200, "pending");
    rig_kill(r);
    clock_sleep_ms(clock_system(), 7000);
    rig_restart(r);
    clock_sleep_ms(clock_system(), 1000);
    rig_expect(rig_say(r, "POST", "/heartbeat", job, NULL, NULL), 200, "pending");
    cr_assert_eq(rig_calls(r), 0);
    rig_stop(r);
}

/* A receiver that was held up itself (a machine that slept, a process that was stopped) has not
 * heard its jobs either: none of them is judged for that time. */
RIG_TEST(delivery, a_receiver_that_was_held_up_judges_nobody)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, "\"heartbeatSeconds\":8");
    rig_expect(rig_say(r, "POST", "/heartbeat", job, NULL, NULL), 200, "pending");
    cr_assert_eq(kill(rig_pid(r), SIGSTOP), 0);
    clock_sleep_ms(clock_system(), 9000);
    cr_assert_eq(kill(rig_pid(r), SIGCONT), 0);
    bool noticed = false;
    for (int i = 0; i < 1200 && !noticed; i++) {
        clock_sleep_ms(clock_system(), 25);
        auto_free char *log = rig_log(r);
        noticed = strstr(log, "\"held_up\"") != NULL;
    }
    cr_assert(noticed);
    rig_expect(rig_say(r, "POST", "/heartbeat", job, NULL, NULL), 200, "pending");
    cr_assert_eq(rig_calls(r), 0);
    rig_stop(r);
}

RIG_TEST(delivery, of_many_at_once_one_wins)
{
    struct rig *r = rig_start(NULL);
    rig_burst(&r, 1, 16);
    free(rig_await_state(r, ID, "delivered"));
    cr_assert_eq(rig_calls(r), 1);
    rig_stop(r);
}

struct waiting {
    struct rig *rig;
    const char *job;
    struct rig_answer answer;
};

static void *report_and_wait(void *arg)
{
    struct waiting *w = arg;
    w->answer = rig_ask(w->rig, &(struct rig_ask){ .method = "POST",
                                                   .callback_id = ID,
                                                   .what = "/success",
                                                   .token = w->job,
                                                   .prefer = "wait=30",
                                                   .body = "1" });
    return NULL;
}

RIG_TEST(delivery, a_stop_answers_what_is_in_flight_and_keeps_the_rest)
{
    struct rig *r = rig_start(NULL);
    pthread_t thread;
    auto_free char *job = rig_register(r, ID, NULL);
    struct waiting w = { .rig = r, .job = job };
    rig_lambda(r, RIG_FAILS, 0, RIG_FAILS);
    cr_assert_eq(pthread_create(&thread, NULL, report_and_wait, &w), 0);
    rig_await_calls(r, 1);
    cr_assert_eq(rig_terminate(r), 0);
    pthread_join(thread, NULL);
    cr_assert_eq(w.answer.status, 202, "%d %s", w.answer.status, w.answer.body);
    rig_lambda(r, RIG_TAKES, 0, RIG_TAKES);
    rig_restart(r);
    free(rig_await_state(r, ID, "delivered"));
    rig_stop(r);
}

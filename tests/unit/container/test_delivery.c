#include "container/delivery.h"

#include <criterion/criterion.h>
#include <signal.h>

#include "container/stop.h"

static enum delivery_end next(struct delivery *d, enum answer answer, int64_t retry_after_ms,
                              int64_t now_ms, int64_t *due_ms)
{
    const struct reply reply = { .answer = answer, .retry_after_ms = retry_after_ms };
    return delivery_next(d, &reply, now_ms, due_ms);
}

Test(delivery, each_status_means_one_thing)
{
    static const struct {
        int status;
        enum answer answer;
        enum delivery_end end;
    } cases[] = {
        { 200, ANSWER_OK, DELIVERY_ACCEPTED },     { 202, ANSWER_OK, DELIVERY_ACCEPTED },
        { 302, ANSWER_REFUSED, DELIVERY_REFUSED }, { 400, ANSWER_REFUSED, DELIVERY_REFUSED },
        { 401, ANSWER_DENIED, DELIVERY_REFUSED },  { 403, ANSWER_DENIED, DELIVERY_REFUSED },
        { 404, ANSWER_ABSENT, DELIVERY_REFUSED },  { 405, ANSWER_REFUSED, DELIVERY_REFUSED },
        { 408, ANSWER_LATER, DELIVERY_PENDING },   { 409, ANSWER_TAKEN, DELIVERY_TAKEN },
        { 410, ANSWER_GONE, DELIVERY_GONE },       { 413, ANSWER_TOO_LARGE, DELIVERY_TOO_LARGE },
        { 425, ANSWER_LATER, DELIVERY_PENDING },   { 429, ANSWER_LATER, DELIVERY_PENDING },
        { 500, ANSWER_LATER, DELIVERY_PENDING },   { 503, ANSWER_LATER, DELIVERY_PENDING },
        { 599, ANSWER_LATER, DELIVERY_PENDING },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct delivery d = { .deadline_ms = 1000000 };
        int64_t due_ms;
        enum answer answer = client_answer_of(cases[i].status);
        cr_assert_eq(answer, cases[i].answer, "%d", cases[i].status);
        cr_assert_eq(next(&d, answer, -1, 0, &due_ms), cases[i].end, "%d", cases[i].status);
    }
}

Test(delivery, waits_grow_with_jitter_and_never_undercut_retry_after)
{
    struct delivery d = { .deadline_ms = 100000000 };
    for (unsigned n = 1; n <= 20; n++) {
        int64_t due_ms = 0, most = 250;
        for (unsigned i = 1; i < n && most < 10000; i++)
            most *= 2;
        cr_assert_eq(next(&d, ANSWER_LATER, -1, 1000, &due_ms), DELIVERY_PENDING);
        cr_assert_geq(due_ms, 1020);
        cr_assert_leq(due_ms, 1000 + (most < 10000 ? most : 10000));
    }
    int64_t due_ms;
    cr_assert_eq(next(&d, ANSWER_LATER, 45000, 1000, &due_ms), DELIVERY_PENDING);
    cr_assert_eq(due_ms, 46000);
}

Test(delivery, uses_the_last_second_and_ends_at_the_deadline)
{
    struct delivery d = { .deadline_ms = 10000 };
    int64_t due_ms = 0;
    cr_assert_eq(next(&d, ANSWER_LATER, 60000, 2000, &due_ms), DELIVERY_PENDING);
    cr_assert_eq(due_ms, 9000, "where the wait asked for passes the deadline: before it");
    int tries = 0;
    while (next(&d, ANSWER_LATER, 60000, due_ms, &due_ms) == DELIVERY_PENDING) {
        cr_assert_lt(due_ms, 10000);
        cr_assert_gt(delivery_timeout_ms(&d, due_ms), 0);
        cr_assert_lt(++tries, 60);
    }
    cr_assert_geq(tries, 2);
}

Test(stop, leaves_time_for_the_report)
{
    static const struct {
        int64_t timeout_ms, kill_ms, report_ms;
    } cases[] = {
        { 30000, 27000, 29500 }, { 120000, 117000, 119500 }, { 6000, 4000, 5500 },
        { 2000, 1334, 1800 },    { 1000, 667, 900 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stop s;
        stop_init(&s);
        stop_asked(&s, SIGTERM, 5000, cases[i].timeout_ms);
        cr_assert_eq(s.kill_ms, 5000 + cases[i].kill_ms, "case %zu", i);
        cr_assert_eq(s.report_ms, 5000 + cases[i].report_ms, "case %zu", i);
        cr_assert_eq(s.deadline_ms, 5000 + cases[i].timeout_ms, "case %zu", i);
        stop_asked(&s, SIGINT, 7000, cases[i].timeout_ms);
        cr_assert_eq(s.signal, SIGTERM, "the time runs from the first");
        cr_assert_eq(s.deadline_ms, 5000 + cases[i].timeout_ms);
    }
}

Test(stop, a_stop_after_the_workflow_gave_up_shortens_the_time_only)
{
    struct stop s;
    stop_init(&s);
    cr_assert(stop_command(&s, STOP_GONE, 1000, 30000));
    cr_assert_eq(s.kill_ms, 31000);
    cr_assert_eq(s.deadline_ms, STOP_NEVER);
    cr_assert_not(stop_command(&s, STOP_TIMEOUT, 9000, 30000), "one SIGTERM");
    cr_assert_eq(s.cause, STOP_GONE, "the first cause counts");
    cr_assert_eq(s.kill_ms, 31000);
    stop_asked(&s, SIGTERM, 2000, 10000);
    cr_assert_eq(s.kill_ms, 9000);
}

Test(delivery, without_a_deadline_it_goes_on_until_the_token_is_refused)
{
    const struct reply away = { .answer = ANSWER_LATER, .retry_after_ms = -1 };
    const struct reply expired = { .answer = ANSWER_DENIED, .retry_after_ms = -1 };
    int64_t now_ms = 1000, due_ms = 0;
    struct delivery d = { .deadline_ms = delivery_deadline(now_ms, 0) };
    for (int i = 0; i < 20000; i++) { /* about a day */
        cr_assert_eq(delivery_next(&d, &away, now_ms, &due_ms), DELIVERY_PENDING);
        cr_assert(due_ms > now_ms && due_ms <= now_ms + 10000);
        cr_assert_eq(delivery_timeout_ms(&d, now_ms), 20000);
        now_ms = due_ms;
    }
    cr_assert_eq(delivery_next(&d, &expired, now_ms, &due_ms), DELIVERY_REFUSED);
    cr_assert_eq(delivery_deadline(1000, 7), 8000);
}

/* A dead connection must not make the job silent. */
Test(delivery, the_first_tries_last_no_longer_than_a_heartbeat)
{
    static const int64_t limits[] = { 5000, 10000, 20000, 20000, 20000, 20000, 20000 };
    const struct reply lost = { .answer = ANSWER_LATER, .retry_after_ms = -1 };
    int64_t now_ms = 1000, due_ms = 0;
    struct delivery d = { .deadline_ms = delivery_deadline(now_ms, 0), .period_ms = 5000 };
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        cr_assert_eq(delivery_timeout_ms(&d, now_ms), limits[i], "try %zu", i);
        cr_assert_eq(delivery_next(&d, &lost, now_ms, &due_ms), DELIVERY_PENDING);
    }
    d = (struct delivery){ .deadline_ms = now_ms + 700, .period_ms = 5000 };
    cr_assert_eq(delivery_timeout_ms(&d, now_ms), 700, "nor past the deadline");
}

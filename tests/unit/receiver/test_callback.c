#include "callback-receiver/callback.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define ID      "QWJjZA=="
#define EXPIRES 100000 /* s */

/* One event and what is to come of it. */
enum event {
    END = 0,
    REGISTER, /* arg: which content */
    SUCCESS,  /* by the job; arg: which body */
    FAILURE,  /* by the job */
    TEXT,     /* the same body as SUCCESS, as text/plain */
    LAUNCHER, /* a failure by the launcher */
    HEARTBEAT,
    READ,
    CLOSE,
    CLAIM,
    FINISH, /* arg: enum callback_attempt_outcome */
    JUDGE,
    REDELIVER,
    WAIT /* arg: ms pass */
};

struct step {
    enum event event;
    int arg;
    enum callback_verdict verdict;
    enum callback_state state;
};

static const char *const event_names[] = { "end",      "register",  "success",   "failure", "text",
                                           "launcher", "heartbeat", "read",      "close",   "claim",
                                           "finish",   "judge",     "redeliver", "wait" };

static struct callback_report report(enum callback_kind kind, enum callback_media media, int body)
{
    struct callback_report r = { .kind = kind, .media = media };
    memset(r.sha, body, sizeof(r.sha));
    return r;
}

static enum callback_verdict apply(struct callback *c, const struct step *s, int64_t *now)
{
    struct callback_holder job = { ID, CALLBACK_BY_JOB, EXPIRES, NULL };
    struct callback_holder launcher = { ID, CALLBACK_BY_LAUNCHER, EXPIRES, NULL };
    struct callback_registration reg = {
        .workflow = "w", .job = "j", .heartbeat_s = 10, .start_timeout_s = 5
    };
    struct callback_attempt attempt = { (enum callback_attempt_outcome)s->arg, "why", 1000 };
    struct callback_report r;
    auto_buf struct buf body = BUF_INIT(CALLBACK_JUDGED_MAX);
    bool changed;
    memset(reg.sha, s->arg, sizeof(reg.sha));
    switch (s->event) {
    case REGISTER:
        return callback_register(c, &launcher, &reg, *now);
    case SUCCESS:
        r = report(CALLBACK_SUCCESS, CALLBACK_JSON, s->arg);
        return callback_report(c, &job, &r, *now);
    case FAILURE:
        r = report(CALLBACK_FAILURE, CALLBACK_JSON, s->arg);
        return callback_report(c, &job, &r, *now);
    case TEXT:
        r = report(CALLBACK_SUCCESS, CALLBACK_TEXT, s->arg);
        return callback_report(c, &job, &r, *now);
    case LAUNCHER:
        r = report(CALLBACK_FAILURE, CALLBACK_JSON, s->arg);
        return callback_report(c, &launcher, &r, *now);
    case HEARTBEAT:
        return callback_heartbeat(c, &job, *now);
    case READ:
        return callback_read(c, &job, *now, &changed);
    case CLOSE:
        return callback_close(c, &launcher, "TIMED_OUT", *now);
    case CLAIM:
        return callback_claim(c, *now, 60000) ? CALLBACK_DONE : CALLBACK_NONE;
    case FINISH:
        return callback_finish(c, &attempt, *now);
    case JUDGE:
        return callback_judge(c, *now, &body);
    case REDELIVER:
        return callback_redeliver(c, *now);
    case WAIT:
    case END:
        *now += s->arg;
        return CALLBACK_DONE;
    }
    return CALLBACK_NONE;
}

#define P        CALLBACK_PENDING
#define A        CALLBACK_ACCEPTED
#define D        CALLBACK_DELIVERED
#define U        CALLBACK_UNCONFIRMED
#define X        CALLBACK_DEAD
#define C        CALLBACK_CLOSED
#define OK       CALLBACK_ATTEMPT_OK
#define GONE     CALLBACK_ATTEMPT_GONE
#define REFUSED  CALLBACK_ATTEMPT_REFUSED
#define RETRY    CALLBACK_ATTEMPT_RETRY
#define LOST     CALLBACK_ATTEMPT_LOST
#define UNCALLED CALLBACK_ATTEMPT_UNCALLED
#define DONE     CALLBACK_DONE
#define CREATED  CALLBACK_CREATED
#define TAKEN    CALLBACK_TAKEN
#define SAME     CALLBACK_SAME
#define OTHER    CALLBACK_OTHER
#define OVER     CALLBACK_OVER
#define NONE     CALLBACK_NONE
#define ACCEPT                                                                                     \
    { REGISTER, 1, CREATED, P }, { SUCCESS, 1, TAKEN, A },                                         \
    {                                                                                              \
        CLAIM, 0, DONE, A                                                                          \
    }

static const struct story {
    const char *name;
    struct step steps[16];
} stories[] = {
    { "registration",
      { { REGISTER, 1, CREATED, P },
        { REGISTER, 1, SAME, P },
        { REGISTER, 2, OTHER, P },
        { SUCCESS, 1, TAKEN, A },
        { REGISTER, 1, SAME, A },
        { CLOSE, 0, DONE, C },
        { REGISTER, 1, OVER, C },
        { REGISTER, 2, OVER, C } } },
    { "first report wins",
      { { REGISTER, 1, CREATED, P },
        { SUCCESS, 1, TAKEN, A },
        { SUCCESS, 1, SAME, A },
        { SUCCESS, 2, OTHER, A },
        { FAILURE, 1, OTHER, A },
        { TEXT, 1, OTHER, A },
        { LAUNCHER, 1, OTHER, A },
        { CLAIM, 0, DONE, A },
        { FINISH, OK, DONE, D },
        { SUCCESS, 1, SAME, D },
        { FAILURE, 1, OTHER, D } } },
    { "the launcher's report wins too, and the job is told to stop",
      { { REGISTER, 1, CREATED, P },
        { HEARTBEAT, 0, DONE, P },
        { LAUNCHER, 1, TAKEN, A },
        { HEARTBEAT, 0, OVER, A },
        { SUCCESS, 1, OTHER, A },
        { FAILURE, 1, SAME, A } } },
    { "the job's heartbeats may cross its report",
      { ACCEPT, { HEARTBEAT, 0, DONE, A }, { FINISH, OK, DONE, D }, { HEARTBEAT, 0, DONE, D } } },
    { "a token is enough",
      { { SUCCESS, 1, TAKEN, A }, { REGISTER, 1, CREATED, A }, { REGISTER, 1, SAME, A } } },
    { "a heartbeat before the registration",
      { { HEARTBEAT, 0, DONE, P }, { REGISTER, 1, CREATED, P } } },
    { "nothing is read where nothing is", { { READ, 0, NONE, CALLBACK_ABSENT } } },
    { "closed before anything came",
      { { CLOSE, 0, DONE, C },
        { CLOSE, 0, DONE, C },
        { SUCCESS, 1, OVER, C },
        { HEARTBEAT, 0, OVER, C },
        { CLAIM, 0, NONE, C } } },
    { "closed while accepted: not delivered any more",
      { { SUCCESS, 1, TAKEN, A },
        { CLOSE, 0, DONE, C },
        { CLAIM, 0, NONE, C },
        { SUCCESS, 1, OVER, C },
        { REDELIVER, 0, OVER, C } } },
    { "closed while an attempt is in flight",
      { ACCEPT, { CLOSE, 0, DONE, C }, { FINISH, OK, OVER, C } } },
    { "gone at the first attempt is dead",
      { ACCEPT,
        { FINISH, GONE, DONE, X },
        { SUCCESS, 1, OVER, X },
        { SUCCESS, 2, OTHER, X },
        { HEARTBEAT, 0, OVER, X },
        { CLAIM, 0, NONE, X } } },
    { "gone after a refusal is dead",
      { ACCEPT,
        { FINISH, RETRY, DONE, A },
        { CLAIM, 0, NONE, A },
        { WAIT, 1000, DONE, A },
        { CLAIM, 0, DONE, A },
        { FINISH, GONE, DONE, X } } },
    { "gone after a lost answer is unconfirmed",
      { ACCEPT,
        { FINISH, LOST, DONE, A },
        { WAIT, 1000, DONE, A },
        { CLAIM, 0, DONE, A },
        { FINISH, GONE, DONE, U },
        { SUCCESS, 1, SAME, U },
        { SUCCESS, 2, OTHER, U } } },
    { "gone after an attempt that died is unconfirmed",
      { ACCEPT,
        { CLAIM, 0, NONE, A },
        { WAIT, 60000, DONE, A },
        { CLAIM, 0, DONE, A },
        { FINISH, GONE, DONE, U } } },
    { "given back uncalled is due at once, and leaves no doubt",
      { ACCEPT,
        { FINISH, UNCALLED, DONE, A },
        { CLAIM, 0, DONE, A },
        { FINISH, UNCALLED, DONE, A },
        { CLAIM, 0, DONE, A },
        { FINISH, GONE, DONE, X } } },
    { "given back uncalled after a lost answer still leaves the doubt",
      { ACCEPT,
        { FINISH, LOST, DONE, A },
        { WAIT, 1000, DONE, A },
        { CLAIM, 0, DONE, A },
        { FINISH, UNCALLED, DONE, A },
        { CLAIM, 0, DONE, A },
        { FINISH, GONE, DONE, U } } },
    { "given back uncalled at the end of its life is still to be called",
      { ACCEPT,
        { WAIT, EXPIRES * 1000, DONE, A },
        { FINISH, UNCALLED, DONE, A },
        { CLAIM, 0, DONE, A },
        { FINISH, OK, DONE, D } } },
    { "given back uncalled when it was closed",
      { ACCEPT, { CLOSE, 0, DONE, C }, { FINISH, UNCALLED, OVER, C } } },
    { "lost, then delivered",
      { ACCEPT,
        { FINISH, LOST, DONE, A },
        { WAIT, 1000, DONE, A },
        { CLAIM, 0, DONE, A },
        { FINISH, OK, DONE, D } } },
    { "refused for good", { ACCEPT, { FINISH, REFUSED, DONE, X } } },
    { "dead at the end of its life, listed and delivered again",
      { ACCEPT,
        { WAIT, EXPIRES * 1000, DONE, A },
        { FINISH, RETRY, DONE, X },
        { REDELIVER, 0, DONE, A },
        { CLAIM, 0, DONE, A },
        { FINISH, OK, DONE, D },
        { REDELIVER, 0, OTHER, D } } },
    { "redelivery of nothing", { { REDELIVER, 0, NONE, CALLBACK_ABSENT } } },
    { "silence after a heartbeat",
      { { REGISTER, 1, CREATED, P },
        { HEARTBEAT, 0, DONE, P },
        { WAIT, 9999, DONE, P },
        { JUDGE, 0, DONE, P },
        { HEARTBEAT, 0, DONE, P },
        { WAIT, 9999, DONE, P },
        { JUDGE, 0, DONE, P },
        { WAIT, 1, DONE, P },
        { JUDGE, 0, TAKEN, A },
        { JUDGE, 0, DONE, A },
        { HEARTBEAT, 0, OVER, A },
        { SUCCESS, 1, OTHER, A } } },
    { "any request of the job is a sign of life",
      { { REGISTER, 1, CREATED, P },
        { HEARTBEAT, 0, DONE, P },
        { WAIT, 9999, DONE, P },
        { READ, 0, DONE, P },
        { WAIT, 9999, DONE, P },
        { JUDGE, 0, DONE, P },
        { WAIT, 1, DONE, P },
        { JUDGE, 0, TAKEN, A } } },
    { "never started",
      { { REGISTER, 1, CREATED, P },
        { WAIT, 4999, DONE, P },
        { JUDGE, 0, DONE, P },
        { WAIT, 1, DONE, P },
        { JUDGE, 0, TAKEN, A } } },
    { "a job without heartbeats is not judged by them",
      { { REGISTER, 1, CREATED, P },
        { READ, 0, DONE, P },
        { WAIT, 86400000, DONE, P },
        { JUDGE, 0, DONE, P },
        { SUCCESS, 1, TAKEN, A } } },
    { "a held report is never overtaken",
      { { REGISTER, 1, CREATED, P },
        { HEARTBEAT, 0, DONE, P },
        { SUCCESS, 1, TAKEN, A },
        { WAIT, 86400000, DONE, A },
        { JUDGE, 0, DONE, A } } },
};

Test(callback, each_event_in_each_state_gives_what_the_table_says)
{
    for (size_t i = 0; i < ARRAY_LEN(stories); i++) {
        struct callback c = { 0 };
        int64_t now = 1000;
        for (const struct step *s = stories[i].steps; s->event != END; s++) {
            enum callback_verdict verdict = apply(&c, s, &now);
            cr_assert_eq(verdict, s->verdict, "%s, step %zu (%s): verdict %d, not %d",
                         stories[i].name, (size_t)(s - stories[i].steps), event_names[s->event],
                         verdict, s->verdict);
            cr_assert_eq(c.state, s->state, "%s, step %zu (%s): %s", stories[i].name,
                         (size_t)(s - stories[i].steps), event_names[s->event],
                         callback_state_name(c.state));
            cr_assert(c.state == CALLBACK_ACCEPTED || c.due_ms == 0, "%s: due in %s",
                      stories[i].name, callback_state_name(c.state));
            cr_assert(c.state == CALLBACK_PENDING || c.judge_ms == 0, "%s: judged in %s",
                      stories[i].name, callback_state_name(c.state));
        }
    }
}

Test(callback, the_judge_gives_the_reason)
{
    static const struct {
        struct step steps[4];
        const char *type;
    } cases[] = {
        { { { REGISTER, 1, CREATED, P }, { HEARTBEAT, 0, DONE, P }, { WAIT, 10000, DONE, P } },
          "Task.HeartbeatLost" },
        { { { REGISTER, 1, CREATED, P }, { WAIT, 5000, DONE, P } }, "Task.StartTimeout" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct callback c = { 0 };
        int64_t now = 1000;
        auto_buf struct buf body = BUF_INIT(CALLBACK_JUDGED_MAX);
        for (const struct step *s = cases[i].steps; s->event != END; s++)
            (void)apply(&c, s, &now);
        cr_assert_eq(callback_judge(&c, now, &body), CALLBACK_TAKEN);
        cr_assert_not_null(strstr(buf_str(&body), cases[i].type), "%s", buf_str(&body));
        cr_assert_eq(c.report_by, CALLBACK_BY_RECEIVER);
        cr_assert_eq(c.report_kind, CALLBACK_FAILURE);
        cr_assert_eq(c.due_ms, now);
    }
}

Test(callback, what_does_not_fit_is_cut_between_characters)
{
    struct callback c = { 0 };
    struct callback_holder job = { ID, CALLBACK_BY_JOB, EXPIRES, NULL };
    struct callback_report r = report(CALLBACK_SUCCESS, CALLBACK_JSON, 1);
    char error[CALLBACK_ERROR * 2];
    for (size_t i = 0; i + 2 < sizeof(error); i += 2)
        memcpy(error + i, "\xc3\xa4", 3);
    struct callback_attempt a = { CALLBACK_ATTEMPT_RETRY, error, 5 };
    cr_assert_eq(callback_report(&c, &job, &r, 1), CALLBACK_TAKEN);
    cr_assert(callback_claim(&c, 1, 10));
    cr_assert_eq(callback_finish(&c, &a, 2), CALLBACK_DONE);
    cr_assert_eq(strlen(c.last_error), CALLBACK_ERROR - 2);
    cr_assert_eq(c.failures, 1);
    cr_assert_eq(c.due_ms, 7);
}

Test(callback, what_was_not_called_is_no_attempt)
{
    struct callback c = { 0 };
    struct callback_holder job = { ID, CALLBACK_BY_JOB, EXPIRES, NULL };
    struct callback_report r = report(CALLBACK_SUCCESS, CALLBACK_JSON, 1);
    struct callback_attempt busy = { RETRY, "busy", 5 }, uncalled = { UNCALLED, "", 0 };
    cr_assert_eq(callback_report(&c, &job, &r, 1), CALLBACK_TAKEN);
    cr_assert(callback_claim(&c, 1, 10));
    cr_assert_eq(callback_finish(&c, &uncalled, 2), CALLBACK_DONE);
    cr_assert_eq(c.attempts, 0);
    cr_assert_eq(c.failures, 0);
    cr_assert_eq(c.due_ms, 2);
    cr_assert_not(c.in_flight);
    cr_assert_str_eq(c.last_error, "");
    cr_assert(callback_claim(&c, 2, 10));
    cr_assert_eq(callback_finish(&c, &busy, 3), CALLBACK_DONE);
    cr_assert(callback_claim(&c, 8, 10));
    cr_assert_eq(callback_finish(&c, &uncalled, 9), CALLBACK_DONE);
    cr_assert_eq(c.attempts, 1);
    cr_assert_eq(c.failures, 1);
    cr_assert_str_eq(c.last_error, "busy", "the last that was made");
    cr_assert_not(c.unanswered);
}

/* The highest number of heartbeats in any second, and how many fall into a period. */
static unsigned busiest(const int64_t *sorted, size_t count)
{
    unsigned most = 0;
    for (size_t i = 0, from = 0; i < count; i++) {
        while (sorted[i] - sorted[from] >= 1000)
            from++;
        if (i - from + 1 > most)
            most = (unsigned)(i - from + 1);
    }
    return most;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* However the registrations come, heartbeats to Lambda are evenly spread, a third of the period
 * apart, from registration on. */
Test(callback, heartbeats_to_lambda_are_spread_evenly)
{
    static const struct {
        int jobs;
        int64_t period_s, apart_ms; /* registrations */
        unsigned most;
    } cases[] = { { 1000, 60, 0, 50 },  { 1000, 60, 7, 50 }, { 500, 60, 0, 25 },
                  { 100, 60, 1, 5 },    { 300, 45, 0, 20 },  { 7, 60, 0, 1 },
                  { 3000, 60, 3, 150 }, { 100, 5, 0, 100 },  { 1000, 60, 977, 50 } };
    for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
        static int64_t sent[40000];
        size_t n = 0;
        int64_t period = cases[k].period_s * 1000;
        for (int i = 0; i < cases[k].jobs; i++) {
            struct callback c = { 0 };
            struct callback_holder who = { ID, CALLBACK_BY_LAUNCHER, EXPIRES, NULL };
            struct callback_registration reg = { .workflow = "",
                                                 .job = "",
                                                 .heartbeat_s = 60,
                                                 .engine_heartbeat_s = cases[k].period_s,
                                                 .turn = (uint32_t)i };
            int64_t now = 1700000000123 + i * cases[k].apart_ms, at = now, last = now;
            callback_register(&c, &who, &reg, now);
            for (int b = 0; b < 7; b++) {
                cr_assert(callback_beat(&c, last + period / 3, &at), "case %zu: job %d", k, i);
                cr_assert(b ? at == last + period / 3 : at > now && at <= now + period / 3);
                last = at;
                sent[n++] = at;
            }
        }
        qsort(sent, n, sizeof(*sent), by_time);
        cr_assert_leq(busiest(sent, n), cases[k].most, "case %zu: %u in a second", k,
                      busiest(sent, n));
    }
}

#include "container/reporter.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/backoff.h"
#include "shared/base/clock.h"

#define RETRY_BASE_MS    500
#define RETRY_MIN_MS     100
#define HEARTBEAT_TRY_MS 10000
#define INPUT_TRY_MS     10000
#define NEVER            INT64_MAX

enum job {
    JOB_NONE,
    JOB_HEARTBEAT,
    JOB_INPUT,
    JOB_REPORT
};

struct heartbeats {
    int64_t period_ms;
    int64_t due_ms; /* NEVER: no more */
    unsigned failures;
    int refused; /* the status that was logged last, so that each is logged once */
    bool tried;
};

struct input {
    enum input_state state;
    int64_t due_ms;
    int64_t until_ms;
    unsigned failures;
    char *text;
    size_t len;
};

struct reporter {
    struct client *client;
    const struct clock *clock;
    struct log *log;
    pthread_t thread;
    int event_fd;
    atomic_bool cancel; /* ends the call in flight */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* All below is under `lock`; the thread gives it up while a call is in flight. */
    bool quit;
    enum job busy;
    bool gone;
    struct heartbeats beats;
    struct input input;
    struct report report;
    bool reporting;
    int64_t report_due_ms;
    struct delivery delivery;
    enum delivery_end end;
    struct error why;
};

static int64_t now_ms(const struct reporter *r)
{
    return clock_mono_ms(r->clock);
}

static void tell_owner(struct reporter *r)
{
    uint64_t one = 1;
    ssize_t n = write(r->event_fd, &one, sizeof(one));
    (void)n; /* it fails only where the counter is at its limit, and is readable then */
}

static int64_t retry_ms(unsigned failures, int64_t cap_ms, int64_t asked_ms)
{
    int64_t wait = backoff_full_jitter_ms(RETRY_BASE_MS, cap_ms, failures);
    if (wait < RETRY_MIN_MS)
        wait = RETRY_MIN_MS;
    return wait < asked_ms ? asked_ms : wait;
}

static void became_gone(struct reporter *r)
{
    if (!r->gone)
        log_warn(r->log, log_event("workflow_no_longer_waits"));
    r->gone = true;
    r->beats.due_ms = NEVER;
    if (r->input.state == INPUT_PENDING)
        r->input.state = INPUT_UNAVAILABLE;
}

static void input_ends(struct reporter *r, enum input_state state)
{
    r->input.state = state;
    r->input.due_ms = NEVER;
}

/* ---- heartbeats ------------------------------------------------------------------------------ */

static void log_heartbeat(struct reporter *r, const struct reply *reply)
{
    int status = reply->answer == ANSWER_LATER ? 1 : reply->err.detail;
    if (r->beats.refused == status) {
        log_debug(r->log, log_event("heartbeat_failed"), log_err(&reply->err));
        return;
    }
    r->beats.refused = status;
    log_warn(r->log, log_event("heartbeat_failed"), log_err(&reply->err));
}

static void heartbeat_answered(struct reporter *r, const struct reply *reply)
{
    int64_t now = now_ms(r);
    struct heartbeats *b = &r->beats;
    if (reply->answer == ANSWER_CANCELLED) { /* by the report: it says as much */
        b->due_ms = now + b->period_ms;
        return;
    }
    b->tried = true;
    if (reply->answer == ANSWER_GONE) {
        became_gone(r);
    } else if (reply->answer == ANSWER_OK) {
        if (b->refused)
            log_info(r->log, log_event("heartbeat_accepted_again"));
        b->failures = 0;
        b->refused = 0;
        b->due_ms = now + b->period_ms;
    } else if (reply->answer == ANSWER_LATER) {
        log_heartbeat(r, reply);
        b->due_ms = now + retry_ms(++b->failures, b->period_ms, reply->retry_after_ms);
    } else { /* it is refused now; keys and registrations may come back */
        log_heartbeat(r, reply);
        b->due_ms = now + b->period_ms;
    }
}

static void do_heartbeat(struct reporter *r)
{
    int64_t limit = r->beats.period_ms < HEARTBEAT_TRY_MS ? r->beats.period_ms : HEARTBEAT_TRY_MS;
    /* The first holds up the start; half of that time is the input's. */
    if (!r->beats.tried && r->input.until_ms > 0) {
        int64_t half = (r->input.until_ms - now_ms(r)) / 2;
        limit = limit < half ? limit : half;
    }
    struct reply reply;
    pthread_mutex_unlock(&r->lock);
    client_heartbeat(r->client, NULL, limit, &reply);
    pthread_mutex_lock(&r->lock);
    heartbeat_answered(r, &reply);
}

/* ---- input ----------------------------------------------------------------------------------- */

static void input_answered(struct reporter *r, const struct reply *reply)
{
    struct input *in = &r->input;
    int64_t now = now_ms(r);
    switch (reply->answer) {
    case ANSWER_OK:
        input_ends(r, in->text ? INPUT_PRESENT : INPUT_ABSENT);
        return;
    case ANSWER_ABSENT:
        input_ends(r, INPUT_ABSENT);
        return;
    case ANSWER_GONE:
        became_gone(r);
        return;
    case ANSWER_LATER:
        in->due_ms = now + retry_ms(++in->failures, RETRY_BASE_MS * 4, reply->retry_after_ms);
        if (in->due_ms < in->until_ms)
            return;
        break;
    case ANSWER_TAKEN:
    case ANSWER_TOO_LARGE:
    case ANSWER_DENIED:
    case ANSWER_REFUSED:
    case ANSWER_CANCELLED:
        break;
    }
    r->why = reply->err;
    input_ends(r, INPUT_UNAVAILABLE);
}

static void do_input(struct reporter *r)
{
    int64_t left = r->input.until_ms - now_ms(r);
    char *text = NULL;
    size_t len = 0;
    struct reply reply;
    pthread_mutex_unlock(&r->lock);
    client_input(r->client, left < INPUT_TRY_MS ? left : INPUT_TRY_MS, &text, &len, &reply);
    pthread_mutex_lock(&r->lock);
    if (r->input.state != INPUT_PENDING) { /* the owner no longer waits for it */
        free(text);
        return;
    }
    r->input.text = text;
    r->input.len = len;
    input_answered(r, &reply);
}

/* ---- report ---------------------------------------------------------------------------------- */

static void do_report(struct reporter *r)
{
    int64_t timeout_ms = delivery_timeout_ms(&r->delivery, now_ms(r));
    struct report report = r->report; /* nobody touches it while it is being sent */
    struct reply reply;
    pthread_mutex_unlock(&r->lock);
    client_report(r->client, &report, timeout_ms, &reply);
    pthread_mutex_lock(&r->lock);
    r->end = delivery_next(&r->delivery, &reply, now_ms(r), &r->report_due_ms);
    r->why = reply.err;
    if (r->end == DELIVERY_PENDING) {
        if (r->delivery.failures == 1)
            log_warn(r->log, log_event("report_delayed"), log_err(&reply.err));
        else
            log_debug(r->log, log_event("report_delayed"), log_err(&reply.err));
        return;
    }
    r->reporting = false;
    if (r->end != DELIVERY_TOO_LARGE) /* after that one comes another report */
        r->beats.due_ms = NEVER;
}

/* ---- thread ---------------------------------------------------------------------------------- */

static enum job next_job(const struct reporter *r, int64_t *due_ms)
{
    enum job job = JOB_NONE;
    *due_ms = NEVER;
    if (r->beats.due_ms < *due_ms) {
        job = JOB_HEARTBEAT;
        *due_ms = r->beats.due_ms;
    }
    if (r->input.state == INPUT_PENDING && r->input.due_ms < *due_ms) {
        job = JOB_INPUT;
        *due_ms = r->input.due_ms;
    }
    if (r->reporting && r->report_due_ms <= *due_ms) {
        job = JOB_REPORT;
        *due_ms = r->report_due_ms;
    }
    return job;
}

static void wait_until(struct reporter *r, int64_t due_ms)
{
    if (due_ms == NEVER) {
        pthread_cond_wait(&r->changed, &r->lock);
        return;
    }
    struct timespec at = { .tv_sec = (time_t)(due_ms / 1000),
                           .tv_nsec = (long)(due_ms % 1000) * 1000000 };
    pthread_cond_timedwait(&r->changed, &r->lock, &at);
}

static void *reporter_main(void *arg)
{
    struct reporter *r = arg;
    pthread_mutex_lock(&r->lock);
    while (!r->quit) {
        int64_t due_ms;
        enum job job = next_job(r, &due_ms);
        if (due_ms > now_ms(r)) {
            wait_until(r, due_ms);
            continue;
        }
        atomic_store(&r->cancel, false);
        r->busy = job;
        if (job == JOB_HEARTBEAT)
            do_heartbeat(r);
        else if (job == JOB_INPUT)
            do_input(r);
        else
            do_report(r);
        r->busy = JOB_NONE;
        tell_owner(r);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* ---- owner's side ---------------------------------------------------------------------------- */

static void init_state(struct reporter *r, const struct reporter_config *cfg)
{
    int64_t now = now_ms(r);
    r->log = cfg->log;
    r->beats.period_ms = cfg->heartbeat_ms;
    r->beats.due_ms = cfg->heartbeat_ms > 0 ? now : NEVER;
    r->beats.tried = cfg->heartbeat_ms == 0;
    r->input.state = cfg->want_input ? INPUT_PENDING : INPUT_ABSENT;
    r->input.due_ms = now;
    r->input.until_ms = now + cfg->input_wait_ms;
    r->end = DELIVERY_PENDING;
}

static void destroy(struct reporter *r)
{
    client_free(r->client);
    if (r->event_fd >= 0)
        close(r->event_fd);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    report_release(&r->report);
    free(r->input.text);
    free(r);
}

struct reporter *reporter_start(const struct reporter_config *cfg, struct error *err)
{
    struct reporter *r = mem_alloc(sizeof(*r));
    r->clock = clock_system();
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&r->lock, NULL);
    init_state(r, cfg);
    r->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->client = client_new(cfg->url, cfg->token, &r->cancel, err);
    int eno = 0;
    if (r->event_fd < 0)
        error_set_errno(err, errno, "eventfd");
    else if (r->client && (eno = pthread_create(&r->thread, NULL, reporter_main, r)) == 0)
        return r;
    if (eno)
        error_set_errno(err, eno, "cannot start a thread");
    destroy(r);
    return NULL;
}

void reporter_stop(struct reporter *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->quit = true;
    atomic_store(&r->cancel, true);
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    destroy(r);
}

int reporter_fd(const struct reporter *r)
{
    return r->event_fd;
}

void reporter_news(struct reporter *r, struct reporter_news *news)
{
    uint64_t count;
    ssize_t n = read(r->event_fd, &count, sizeof(count));
    (void)n; /* EAGAIN: nothing new, the state is told all the same */
    pthread_mutex_lock(&r->lock);
    news->gone = r->gone;
    news->input = r->input.state;
    news->prepared = r->gone || (r->beats.tried && r->input.state != INPUT_PENDING);
    news->end = r->end;
    news->why = r->why;
    pthread_mutex_unlock(&r->lock);
}

char *reporter_take_input(struct reporter *r, size_t *len)
{
    pthread_mutex_lock(&r->lock);
    char *text = MOVE(r->input.text);
    *len = r->input.len;
    pthread_mutex_unlock(&r->lock);
    return text;
}

void reporter_deliver(struct reporter *r, const struct report *report, int64_t deadline_ms)
{
    pthread_mutex_lock(&r->lock);
    report_release(&r->report);
    r->report = *report;
    r->report.body = mem_dup_len(report->body, report->len);
    r->reporting = true;
    r->report_due_ms = now_ms(r);
    r->delivery = (struct delivery){ .deadline_ms = deadline_ms, .period_ms = r->beats.period_ms };
    r->end = DELIVERY_PENDING;
    if (r->input.state == INPUT_PENDING)
        input_ends(r, INPUT_UNAVAILABLE);
    if (r->busy != JOB_NONE)
        atomic_store(&r->cancel, true);
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

void reporter_hurry(struct reporter *r, int64_t deadline_ms)
{
    pthread_mutex_lock(&r->lock);
    if (deadline_ms < r->delivery.deadline_ms) {
        r->delivery.deadline_ms = deadline_ms;
        if (r->busy == JOB_REPORT) /* it may have been given more time than there is */
            atomic_store(&r->cancel, true);
        else
            r->report_due_ms = delivery_before_deadline(&r->delivery, r->report_due_ms, now_ms(r));
        pthread_cond_signal(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
}

#include "callback-receiver/delivery.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "callback-receiver/hush.h"
#include "shared/aws/lambda_client.h"
#include "shared/base/backoff.h"
#include "shared/base/clock.h"
#include "shared/base/mem.h"

#define CALL_TIMEOUT_MS    15000
#define LEASE_MS           60000 /* longer than a call and the commit of its outcome */
#define STORE_RETRY_MS     500
#define PACE_LOOK_MS       100
#define TEXT_MAX           (CALLBACK_ERROR + 128) /* the record keeps what fits */
#define STOP_GRACE_MS      2000
#define HOLD_MS            1500 /* in which another receiver looks for what is due (liveness.c) */
#define RETRY_AFTER_MAX_MS (15 * 60 * 1000)

struct worker {
    struct delivery *delivery;
    struct aws *aws;
    pthread_t thread;
    bool started;
};

struct delivery {
    struct delivery_config cfg;
    const struct clock *clock;
    struct worker *workers;
    struct pace *pace;
    atomic_bool cancel; /* ends calls in flight */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_cond_t idle;
    /* Under lock. */
    int64_t due_ms;  /* when to look for work; INT64_MAX: not before a kick */
    int64_t hold_ms; /* nothing is claimed before */
    unsigned busy;
    bool stopping;
};

static void timed_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms)
{
    int64_t until = clock_mono_ms(clock_system()) + ms;
    struct timespec at = { .tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000 };
    pthread_cond_timedwait(cond, lock, &at);
}

/* Looks for work at due_ms, or earlier where that was planned already. */
static void plan(struct delivery *d, int64_t due_ms)
{
    pthread_mutex_lock(&d->lock);
    if (due_ms < d->due_ms) {
        d->due_ms = due_ms;
        pthread_cond_signal(&d->wake);
    }
    pthread_mutex_unlock(&d->lock);
}

void delivery_kick(struct delivery *d)
{
    plan(d, 0);
}

struct pace *delivery_pace(struct delivery *d)
{
    return d->pace;
}

/* When this receiver may claim again; 0: now. Under lock. */
static int64_t held_until_locked(const struct delivery *d, int64_t now_ms)
{
    /* Further ahead than it can be: the wall clock was set back. */
    return d->hold_ms > now_ms && d->hold_ms <= now_ms + HOLD_MS ? d->hold_ms : 0;
}

static int64_t held_until(struct delivery *d)
{
    pthread_mutex_lock(&d->lock);
    int64_t hold = held_until_locked(d, clock_wall_ms(d->clock));
    pthread_mutex_unlock(&d->lock);
    return hold;
}

/* No call came to be: from here none may, while another receiver can. */
static void hold_back(struct delivery *d, const struct error *err,
                      enum callback_attempt_outcome outcome)
{
    bool here = (err->code == ERR_NET && outcome == CALLBACK_ATTEMPT_RETRY) ||
                (err->code == ERR_DENIED && err->detail == 0); /* no credentials to be had */
    if (!d->cfg.shared || !here)
        return;
    pthread_mutex_lock(&d->lock);
    d->hold_ms = clock_wall_ms(d->clock) + HOLD_MS;
    pthread_mutex_unlock(&d->lock);
}

double delivery_rate(struct delivery *d)
{
    return pace_rate(d->pace);
}

enum callback_attempt_outcome delivery_classify(const struct error *err)
{
    switch (err->code) {
    case ERR_NONE:
        return CALLBACK_ATTEMPT_OK;
    /* Only Lambda's own word is final, which has a name: not a 404 of a proxy or of a wrong
     * address, nor an error of this side. */
    case ERR_GONE:
    case ERR_NOT_FOUND:
        return err->type[0] ? CALLBACK_ATTEMPT_GONE : CALLBACK_ATTEMPT_RETRY;
    case ERR_INVALID:
    case ERR_TOO_LARGE:
    case ERR_CONFLICT:
        return err->type[0] && err->detail >= 400 && err->detail < 500 ? CALLBACK_ATTEMPT_REFUSED
                                                                       : CALLBACK_ATTEMPT_RETRY;
    case ERR_NET: /* where no connection came to be, nothing was sent */
        return err->detail == CURLE_COULDNT_RESOLVE_HOST || err->detail == CURLE_COULDNT_CONNECT ||
                       err->detail == CURLE_SSL_CONNECT_ERROR ||
                       err->detail == CURLE_PEER_FAILED_VERIFICATION
                   ? CALLBACK_ATTEMPT_RETRY
                   : CALLBACK_ATTEMPT_LOST;
    case ERR_UNAVAILABLE: /* a gateway's: what is behind it may have heard it */
        return (err->detail == 502 || err->detail == 504) && strncmp(err->type, "KMS", 3) != 0
                   ? CALLBACK_ATTEMPT_LOST
                   : CALLBACK_ATTEMPT_RETRY;
    case ERR_TIMEOUT:
    case ERR_CANCELLED:
    case ERR_PROTOCOL:
        return CALLBACK_ATTEMPT_LOST;
    default:
        return CALLBACK_ATTEMPT_RETRY;
    }
}

static int64_t delay_ms(const struct worker *w, const struct callback *c, const struct error *err)
{
    const struct delivery_config *cfg = &w->delivery->cfg;
    if (err->code == ERR_CANCELLED)
        return 0;
    int64_t ms = backoff_full_jitter_ms(cfg->retry_base_ms, cfg->retry_cap_ms,
                                        (unsigned)(c->failures < 30 ? c->failures + 1 : 30));
    if (err->code == ERR_DENIED) /* only a person can help */
        ms = cfg->retry_cap_ms / 2 + ms / 2;
    int64_t after = aws_retry_after_ms(w->aws);
    if (after > RETRY_AFTER_MAX_MS)
        after = RETRY_AFTER_MAX_MS;
    return ms > after ? ms : after;
}

/* What is kept and shown as last_error. */
static void describe(const struct callback *c, const struct error *err,
                     enum callback_attempt_outcome outcome, char out[TEXT_MAX])
{
    const char *why = outcome == CALLBACK_ATTEMPT_GONE      ? "closed by the engine: "
                      : outcome == CALLBACK_ATTEMPT_REFUSED ? "refused by the engine: "
                                                            : "";
    snprintf(out, TEXT_MAX, "%s%s%s%s", why, err->type, err->type[0] ? ": " : "",
             hush(err, c->callback_id));
}

static void count(const struct worker *w, enum callback_attempt_outcome outcome,
                  const struct error *err)
{
    static const enum metric metrics[] = {
        [CALLBACK_ATTEMPT_OK] = METRIC_DELIVERIES_OK,
        [CALLBACK_ATTEMPT_GONE] = METRIC_DELIVERIES_GONE,
        [CALLBACK_ATTEMPT_REFUSED] = METRIC_DELIVERIES_REFUSED,
        [CALLBACK_ATTEMPT_RETRY] = METRIC_DELIVERIES_RETRY,
        [CALLBACK_ATTEMPT_LOST] = METRIC_DELIVERIES_LOST,
    };
    enum metric which = metrics[outcome];
    if (outcome == CALLBACK_ATTEMPT_RETRY && err->code == ERR_DENIED)
        which = METRIC_DELIVERIES_DENIED;
    if (outcome == CALLBACK_ATTEMPT_RETRY && err->code == ERR_THROTTLED)
        which = METRIC_DELIVERIES_THROTTLED;
    metrics_add(w->delivery->cfg.metrics, which);
}

/* One call. Fills `a`, whose error text goes to `text`. */
static void attempt(struct worker *w, const struct store_item *item, struct callback_attempt *a,
                    char text[TEXT_MAX])
{
    const struct callback *c = &item->record;
    struct error err = { 0 };
    const char *body = item->body.text ? item->body.text : "";
    const struct clock *clock = w->delivery->clock;
    int64_t began = clock_mono_us();
    aws_set_traceparent(w->aws, c->traceparent);
    int rc = c->report_kind == CALLBACK_SUCCESS
                 ? lambda_callback_success(w->aws, c->callback_id, body, item->body.len, &err)
                 : lambda_callback_failure(w->aws, c->callback_id, body, &err);
    metrics_time(&w->delivery->cfg.metrics->call_time, clock_mono_us() - began);
    /* Where access is denied, all that waits need not ask in one go either. */
    pace_answered(w->delivery->pace,
                  rc < 0 && (err.code == ERR_THROTTLED || err.code == ERR_DENIED),
                  rc < 0 ? aws_retry_after_ms(w->aws) : -1, clock_mono_ms(clock));
    *a = (struct callback_attempt){ .outcome = CALLBACK_ATTEMPT_OK, .error = text };
    text[0] = '\0';
    if (rc < 0) {
        a->outcome = delivery_classify(&err);
        a->delay_ms = delay_ms(w, c, &err);
        describe(c, &err, a->outcome, text);
        hold_back(w->delivery, &err, a->outcome);
        struct log *log = w->delivery->cfg.log;
        if (err.code == ERR_DENIED)
            log_error(log, log_event("delivery_denied"), log_str("id", c->id),
                      log_str("error", text), log_int("retryInMs", a->delay_ms),
                      log_str("hint", "the receiver's credentials must allow "
                                      "lambda:SendDurableExecutionCallbackSuccess and -Failure"));
        else if (err.code != ERR_CANCELLED)
            log_warn(log, log_event("delivery_failed"), log_str("id", c->id),
                     log_int("attempt", c->attempts), log_str("error", text),
                     log_int("retryInMs", a->delay_ms));
    }
    count(w, a->outcome, &err);
}

static void count_end(struct metrics *m, const struct callback *c)
{
    if (c->state == CALLBACK_DELIVERED) {
        metrics_add(m, METRIC_ENDED_DELIVERED);
        metrics_time(&m->delivery_time, (c->delivered_ms - c->reported_ms) * 1000);
    } else if (c->state == CALLBACK_UNCONFIRMED) {
        metrics_add(m, METRIC_ENDED_UNCONFIRMED);
    } else if (c->state == CALLBACK_DEAD) {
        metrics_add(m, METRIC_ENDED_DEAD);
    }
}

static void tell(struct worker *w, const struct store_op *finish)
{
    const struct callback *c = &finish->record;
    struct log *log = w->delivery->cfg.log;
    if (finish->verdict == CALLBACK_DONE)
        count_end(w->delivery->cfg.metrics, c);
    if (finish->verdict != CALLBACK_NONE && c->state == CALLBACK_DELIVERED)
        log_info(log, log_event("delivered"), log_str("id", c->id),
                 log_int("attempts", c->attempts),
                 log_int("afterMs", c->delivered_ms - c->reported_ms),
                 log_str("traceparent", c->traceparent[0] ? c->traceparent : NULL));
    else if (finish->verdict != CALLBACK_NONE &&
             (c->state == CALLBACK_DEAD || c->state == CALLBACK_UNCONFIRMED))
        log_error(log, log_event(callback_state_name(c->state)), log_str("id", c->id),
                  log_int("attempts", c->attempts), log_str("error", c->last_error));
    waiters_settle(w->delivery->cfg.waiters, finish->id, c->state);
    if (c->due_ms > 0)
        plan(w->delivery, c->due_ms);
}

/* Commits the outcome of the last attempt (where there was one) and claims the next, in one
 * transaction. -1: the store is away. */
static int turn(struct worker *w, struct store_op *finish, struct store_op *claim)
{
    struct delivery *d = w->delivery;
    struct store_op *ops[2];
    size_t n = 0;
    struct error err;
    int64_t now = clock_wall_ms(d->clock);
    if (finish)
        ops[n++] = finish;
    ops[n++] = claim;
    claim->now_ms = now;
    if (writer_call(d->cfg.writer, ops, n, &err) < 0)
        return -1;
    if (finish)
        tell(w, finish);
    if (claim->next_ms > 0)
        plan(d, claim->next_ms);
    return 0;
}

static bool stopping(struct delivery *d)
{
    pthread_mutex_lock(&d->lock);
    bool stop = d->stopping;
    pthread_mutex_unlock(&d->lock);
    return stop;
}

/* Waits for its turn to call Lambda; false: it stops. */
static bool await_turn(struct delivery *d)
{
    int64_t wait;
    while (!stopping(d) && (wait = pace_take(d->pace, clock_mono_ms(d->clock))) > 0)
        clock_sleep_ms(d->clock, wait < PACE_LOOK_MS ? wait : PACE_LOOK_MS);
    return !stopping(d);
}

/* Delivers until nothing is due. */
static void deliver(struct worker *w)
{
    struct delivery *d = w->delivery;
    struct store_op finish = { .action = STORE_FINISH };
    char text[TEXT_MAX];
    bool have = false; /* an outcome to commit */
    bool more = true;
    while (more) {
        /* Where the next call must wait, the last outcome does not. When it stops, that is still
         * committed, but nothing more is claimed. */
        int64_t hold = held_until(d);
        if (hold && !have) {
            plan(d, hold);
            break;
        }
        bool now = !hold && !stopping(d) && pace_take(d->pace, clock_mono_ms(d->clock)) == 0;
        if (!now && !have)
            now = await_turn(d);
        struct store_op claim = { .action = STORE_CLAIM,
                                  .limit = now ? 1 : 0,
                                  .lease_ms = LEASE_MS };
        int rc = turn(w, have ? &finish : NULL, &claim);
        if (now && (rc < 0 || claim.count == 0))
            pace_return(d->pace);
        if (rc < 0 && (stopping(d) || !have)) {
            plan(d, clock_wall_ms(d->clock) + STORE_RETRY_MS);
            break;
        }
        if (rc < 0) {
            clock_sleep_ms(d->clock, STORE_RETRY_MS);
            continue;
        }
        store_op_release(&finish);
        have = claim.count > 0;
        if (have) {
            finish = (struct store_op){ .action = STORE_FINISH };
            memcpy(finish.id, claim.items[0].record.id, sizeof(finish.id));
            attempt(w, &claim.items[0], &finish.attempt, text);
            finish.now_ms = clock_wall_ms(d->clock);
        }
        more = have || (!now && !stopping(d));
        store_op_release(&claim);
    }
    store_op_release(&finish);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct delivery *d = w->delivery;
    pthread_mutex_lock(&d->lock);
    while (!d->stopping) {
        int64_t now = clock_wall_ms(d->clock);
        int64_t hold = held_until_locked(d, now);
        int64_t due = hold > d->due_ms ? hold : d->due_ms;
        if (due > now) {
            /* Not the whole time at once: the wall clock may be set. */
            timed_wait(&d->wake, &d->lock, due - now < 1000 ? due - now : 1000);
            continue;
        }
        d->due_ms = INT64_MAX; /* the claim says what comes next */
        d->busy++;
        pthread_mutex_unlock(&d->lock);
        deliver(w);
        pthread_mutex_lock(&d->lock);
        d->busy--;
        pthread_cond_signal(&d->idle);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

struct delivery *delivery_start(const struct delivery_config *cfg, struct error *err)
{
    struct delivery *d = mem_alloc(sizeof(*d));
    d->cfg = *cfg;
    d->clock = clock_system();
    d->pace = pace_new();
    d->workers = mem_array(cfg->threads, sizeof(*d->workers));
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&d->wake, &attr);
    pthread_cond_init(&d->idle, &attr);
    pthread_condattr_destroy(&attr);
    for (unsigned i = 0; i < cfg->threads; i++) {
        struct worker *w = &d->workers[i];
        w->delivery = d;
        w->aws = aws_new(cfg->aws, d->clock, err);
        if (!w->aws)
            goto fail;
        aws_set_timeout(w->aws, CALL_TIMEOUT_MS);
        aws_set_cancel(w->aws, &d->cancel);
        int rc = pthread_create(&w->thread, NULL, work, w);
        if (rc != 0) {
            error_set_errno(err, rc, "cannot start a thread");
            goto fail;
        }
        w->started = true;
    }
    return d;
fail:
    error_wrap(err, "delivery");
    delivery_stop(d);
    return NULL;
}

void delivery_stop(struct delivery *d)
{
    if (!d)
        return;
    int64_t until = clock_mono_ms(d->clock) + STOP_GRACE_MS;
    pthread_mutex_lock(&d->lock);
    d->stopping = true;
    pthread_cond_broadcast(&d->wake);
    while (d->busy > 0 && clock_mono_ms(d->clock) < until)
        timed_wait(&d->idle, &d->lock, 100);
    pthread_mutex_unlock(&d->lock);
    atomic_store(&d->cancel, true);
    for (unsigned i = 0; i < d->cfg.threads; i++) {
        if (d->workers[i].started)
            pthread_join(d->workers[i].thread, NULL);
        aws_free(d->workers[i].aws);
    }
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->wake);
    pthread_cond_destroy(&d->idle);
    pace_free(d->pace);
    free(d->workers);
    free(d);
}

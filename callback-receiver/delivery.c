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
#define UNSETTLED_MAX      4 /* outcomes that wait for their commit, for each worker */
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

/* A claimed report that waits for a worker. */
struct waiting {
    struct store_item item;
};

/* What came of an attempt, until it is committed. */
struct outcome {
    struct store_op op;
    char text[TEXT_MAX];
    struct delivery *delivery;
    struct outcome *next;
};

struct delivery {
    struct delivery_config cfg;
    const struct clock *clock;
    struct worker *workers;
    pthread_t claimer;
    struct pace *pace;
    atomic_bool cancel; /* ends calls in flight */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* the claimer */
    pthread_cond_t work; /* a worker */
    pthread_cond_t idle;
    /* Under lock. */
    int64_t due_ms;        /* when to look for work; INT64_MAX: not before a kick */
    int64_t hold_ms;       /* nothing is claimed before */
    struct waiting *queue; /* a ring of `threads` */
    size_t first, queued;
    size_t calling;         /* workers with a report */
    size_t unsettled;       /* outcomes that are not committed */
    struct outcome *failed; /* those among them that the store did not take */
    int64_t retry_ms;       /* when it is asked again; of the monotonic clock */
    bool claims;            /* the claimer runs */
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

static void tell(struct delivery *d, const struct store_op *finish)
{
    const struct callback *c = &finish->record;
    struct log *log = d->cfg.log;
    if (finish->verdict == CALLBACK_DONE)
        count_end(d->cfg.metrics, c);
    if (finish->verdict != CALLBACK_NONE && c->state == CALLBACK_DELIVERED)
        log_info(log, log_event("delivered"), log_str("id", c->id),
                 log_int("attempts", c->attempts),
                 log_int("afterMs", c->delivered_ms - c->reported_ms),
                 log_str("traceparent", c->traceparent[0] ? c->traceparent : NULL));
    else if (finish->verdict != CALLBACK_NONE &&
             (c->state == CALLBACK_DEAD || c->state == CALLBACK_UNCONFIRMED))
        log_error(log, log_event(callback_state_name(c->state)), log_str("id", c->id),
                  log_int("attempts", c->attempts), log_str("error", c->last_error));
    waiters_settle(d->cfg.waiters, finish->id, c->state);
    if (c->due_ms > 0)
        plan(d, c->due_ms);
}

/* The outcome is committed, or the store is away: then it is tried again, but for a receiver that
 * stops, whose lease says as much. On a writer's thread. */
static void settled(struct store_op *op, const struct error *err, void *arg)
{
    struct outcome *o = arg;
    struct delivery *d = o->delivery;
    if (!err)
        tell(d, op);
    pthread_mutex_lock(&d->lock);
    bool again = err && !d->stopping;
    if (again) {
        o->next = d->failed;
        d->failed = o;
        d->retry_ms = clock_mono_ms(d->clock) + STORE_RETRY_MS;
        pthread_cond_signal(&d->wake);
    } else {
        store_op_release(&o->op);
        free(o);
        d->unsettled--;
        if (d->stopping)
            pthread_cond_signal(&d->idle);
    }
    pthread_mutex_unlock(&d->lock);
}

static void settle(struct outcome *o)
{
    writer_submit(o->delivery->cfg.writer, &o->op, settled, o);
}

/* ---- the claimer --------------------------------------------------------------------------- */

/* How many reports may be claimed now. With a limit no more than there are idle workers: what has
 * got its turn is called at once. Under lock. */
static size_t room_locked(const struct delivery *d, bool limited)
{
    size_t threads = d->cfg.threads, have = d->queued + (limited ? d->calling : 0);
    if (d->queued > threads / 2 || d->unsettled > UNSETTLED_MAX * threads || have >= threads)
        return 0;
    return threads - have;
}

/* Ms until there is something to do; 0: now. Under lock. */
static int64_t rest_locked(struct delivery *d, size_t *room)
{
    int64_t now = clock_wall_ms(d->clock), rest = 1000; /* the wall clock may be set */
    int64_t hold = held_until_locked(d, now);
    int64_t due = hold > d->due_ms ? hold : d->due_ms;
    *room = room_locked(d, pace_rate(d->pace) > 0);
    if (*room > 0 && due - now < rest)
        rest = due > now ? due - now : 0;
    if (due > now)
        *room = 0;
    if (d->failed) {
        int64_t retry = d->retry_ms - clock_mono_ms(d->clock);
        rest = retry < rest ? (retry > 0 ? retry : 0) : rest;
    }
    return rest;
}

static void enqueue(struct delivery *d, const struct store_op *claim)
{
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < claim->count; i++) {
        size_t at = (d->first + d->queued++) % d->cfg.threads;
        d->queue[at] = (struct waiting){ .item = claim->items[i] };
        claim->items[i].body = (struct store_text){ 0 };
        pthread_cond_signal(&d->work);
    }
    pthread_mutex_unlock(&d->lock);
}

/* Claims up to `room` reports whose turn it is to be called. */
static void claim(struct delivery *d, size_t room)
{
    struct error err;
    struct store_op op = { .action = STORE_CLAIM, .lease_ms = LEASE_MS };
    struct store_op *ops[] = { &op };
    int64_t wait = 0;
    while (op.limit < room && (wait = pace_take(d->pace, clock_mono_ms(d->clock))) == 0)
        op.limit++;
    op.now_ms = clock_wall_ms(d->clock);
    if (op.limit == 0) {
        plan(d, op.now_ms + (wait < PACE_LOOK_MS ? wait : PACE_LOOK_MS));
        return;
    }
    int rc = writer_call(d->cfg.writer, ops, 1, &err);
    for (size_t i = op.count; i < op.limit; i++)
        pace_return(d->pace);
    if (rc < 0)
        plan(d, op.now_ms + STORE_RETRY_MS);
    else if (op.next_ms > 0)
        plan(d, op.next_ms);
    enqueue(d, &op);
    store_op_release(&op);
}

static void retry_failed(struct outcome *failed)
{
    while (failed) {
        struct outcome *o = failed;
        failed = o->next;
        settle(o);
    }
}

static void *claim_loop(void *arg)
{
    struct delivery *d = arg;
    size_t room;
    pthread_mutex_lock(&d->lock);
    while (!d->stopping) {
        int64_t rest = rest_locked(d, &room);
        if (rest > 0) {
            timed_wait(&d->wake, &d->lock, rest);
            continue;
        }
        struct outcome *failed = d->failed;
        d->failed = NULL;
        if (room > 0)
            d->due_ms = INT64_MAX; /* the claim says what comes next */
        pthread_mutex_unlock(&d->lock);
        retry_failed(failed);
        if (room > 0)
            claim(d, room);
        pthread_mutex_lock(&d->lock);
    }
    struct outcome *failed = d->failed; /* once more */
    d->failed = NULL;
    d->claims = false;
    pthread_cond_broadcast(&d->work);
    pthread_mutex_unlock(&d->lock);
    retry_failed(failed);
    return NULL;
}

/* ---- workers -------------------------------------------------------------------------------- */

/* Must a claimed report go back? */
static bool not_now(struct delivery *d, const struct waiting *one)
{
    int64_t now = clock_wall_ms(d->clock), left = one->item.record.due_ms - now;
    pthread_mutex_lock(&d->lock);
    bool back = d->stopping || held_until_locked(d, now) > 0 || left < LEASE_MS / 2;
    pthread_mutex_unlock(&d->lock);
    return back;
}

static void deliver(struct worker *w, struct waiting *one)
{
    struct delivery *d = w->delivery;
    struct callback *c = &one->item.record;
    struct outcome *o = mem_resize(NULL, 1, sizeof(*o));
    store_op_init(&o->op);
    o->op.action = STORE_FINISH;
    o->delivery = d;
    memcpy(o->op.id, c->id, sizeof(o->op.id));
    if (!not_now(d, one)) {
        attempt(w, &one->item, &o->op.attempt, o->text);
    } else {
        snprintf(o->text, sizeof(o->text), "not called: it has to wait");
        o->op.attempt =
            (struct callback_attempt){ .outcome = CALLBACK_ATTEMPT_RETRY, .error = o->text };
    }
    o->op.now_ms = clock_wall_ms(d->clock);
    mem_wipe(c->callback_id, strlen(c->callback_id));
    free(one->item.body.text);
    pthread_mutex_lock(&d->lock);
    d->unsettled++;
    pthread_mutex_unlock(&d->lock);
    settle(o);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct delivery *d = w->delivery;
    struct waiting *one = mem_alloc(sizeof(*one));
    pthread_mutex_lock(&d->lock);
    while (d->queued > 0 || d->claims || !d->stopping) {
        if (d->queued == 0) {
            pthread_cond_wait(&d->work, &d->lock);
            continue;
        }
        *one = d->queue[d->first];
        mem_wipe(d->queue[d->first].item.record.callback_id, TOKEN_CALLBACK_ID);
        d->first = (d->first + 1) % d->cfg.threads;
        d->queued--;
        d->calling++;
        if (d->queued == d->cfg.threads / 2)
            pthread_cond_signal(&d->wake);
        pthread_mutex_unlock(&d->lock);
        deliver(w, one);
        pthread_mutex_lock(&d->lock);
        d->calling--;
        if (d->stopping)
            pthread_cond_signal(&d->idle);
        else if (pace_rate(d->pace) > 0) /* there is room for one more */
            pthread_cond_signal(&d->wake);
    }
    pthread_mutex_unlock(&d->lock);
    free(one);
    return NULL;
}

struct delivery *delivery_start(const struct delivery_config *cfg, struct error *err)
{
    struct delivery *d = mem_alloc(sizeof(*d));
    d->cfg = *cfg;
    d->clock = clock_system();
    d->pace = pace_new();
    d->workers = mem_array(cfg->threads, sizeof(*d->workers));
    d->queue = mem_array(cfg->threads, sizeof(*d->queue));
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&d->wake, &attr);
    pthread_cond_init(&d->work, &attr);
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
    d->claims = cfg->threads > 0;
    int rc = d->claims ? pthread_create(&d->claimer, NULL, claim_loop, d) : 0;
    if (rc == 0)
        return d;
    d->claims = false;
    error_set_errno(err, rc, "cannot start a thread");
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
    bool claims = d->claims;
    d->stopping = true;
    pthread_cond_signal(&d->wake);
    pthread_cond_broadcast(&d->work);
    while (d->calling + d->queued > 0 && clock_mono_ms(d->clock) < until)
        timed_wait(&d->idle, &d->lock, 100);
    pthread_mutex_unlock(&d->lock);
    atomic_store(&d->cancel, true);
    if (claims)
        pthread_join(d->claimer, NULL);
    for (unsigned i = 0; i < d->cfg.threads; i++) {
        if (d->workers[i].started)
            pthread_join(d->workers[i].thread, NULL);
        aws_free(d->workers[i].aws);
    }
    pthread_mutex_lock(&d->lock);
    while (d->unsettled > 0) /* the writer still runs */
        timed_wait(&d->idle, &d->lock, 100);
    pthread_mutex_unlock(&d->lock);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->wake);
    pthread_cond_destroy(&d->work);
    pthread_cond_destroy(&d->idle);
    pace_free(d->pace);
    free(d->queue);
    free(d->workers);
    free(d);
}

#include "callback-receiver/delivery.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "callback-receiver/caller.h"
#include "shared/base/clock.h"
#include "shared/base/mem.h"

#define STORE_RETRY_MS 500
#define UNSETTLED_MAX  4  /* outcomes that wait for their commit, for each call at once */
#define GROUP          64 /* of them that are submitted together */
#define PACE_LOOK_MS   100
#define STOP_GRACE_MS  2000

struct delivery {
    struct delivery_config cfg;
    const struct clock *clock;
    struct pace *pace;
    struct caller *caller;   /* NULL: nothing is delivered */
    atomic_size_t unsettled; /* outcomes that are not committed */
    pthread_t claimer;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* the claimer */
    pthread_cond_t idle;
    /* Under lock. */
    int64_t due_ms;                /* when to look for work; INT64_MAX: not before a kick */
    struct caller_outcome *failed; /* outcomes that the store did not take */
    int64_t retry_ms;              /* when it is asked again; of the monotonic clock */
    bool claims;                   /* the claimer runs */
    atomic_bool stopping;          /* written under lock */
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

double delivery_rate(struct delivery *d)
{
    return pace_rate(d->pace);
}

/* ---- outcomes -------------------------------------------------------------------------------- */

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

static size_t unsettled_max(const struct delivery *d)
{
    return (size_t)UNSETTLED_MAX * d->cfg.calls;
}

/* One outcome less. Where nobody can wait for that, `d` is not looked at any more: it may go. */
static void settled_one(struct delivery *d)
{
    if (!atomic_load(&d->stopping) && atomic_load(&d->unsettled) <= unsettled_max(d)) {
        atomic_fetch_sub(&d->unsettled, 1);
        return;
    }
    pthread_mutex_lock(&d->lock);
    atomic_fetch_sub(&d->unsettled, 1);
    pthread_cond_signal(&d->wake);
    pthread_cond_signal(&d->idle);
    pthread_mutex_unlock(&d->lock);
}

/* The store is away: it is asked again, but by a receiver that stops, whose lease says as much. */
static bool keep_failed(struct delivery *d, struct caller_outcome *o)
{
    pthread_mutex_lock(&d->lock);
    bool again = !atomic_load(&d->stopping);
    if (again) {
        o->next = d->failed;
        d->failed = o;
        d->retry_ms = clock_mono_ms(d->clock) + STORE_RETRY_MS;
        pthread_cond_signal(&d->wake);
    }
    pthread_mutex_unlock(&d->lock);
    return again;
}

/* On a writer's thread. */
static void settled(struct store_op *op, const struct error *err, void *arg)
{
    struct caller_outcome *o = arg;
    struct delivery *d = o->owner;
    if (!err)
        tell(d, op);
    else if (keep_failed(d, o))
        return;
    store_op_release(op);
    free(o);
    settled_one(d);
}

static void settle(struct delivery *d, struct caller_outcome *first)
{
    struct store_op *ops[GROUP];
    void *args[GROUP];
    while (first) {
        size_t n = 0;
        for (; first && n < GROUP; first = first->next) {
            first->owner = d;
            ops[n] = &first->op;
            args[n++] = first;
        }
        writer_submit_all(d->cfg.writer, ops, args, n, settled);
    }
}

/* On the caller's thread. */
static void on_ended(void *arg, struct caller_outcome *first)
{
    struct delivery *d = arg;
    size_t count = 0;
    for (const struct caller_outcome *o = first; o; o = o->next)
        count++;
    atomic_fetch_add(&d->unsettled, count);
    settle(d, first);
}

static void on_room(void *arg)
{
    struct delivery *d = arg;
    pthread_mutex_lock(&d->lock);
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
}

/* ---- the claimer --------------------------------------------------------------------------- */

/* Ms until there is something to do; 0: now. *room: how many reports may be claimed then. Under
 * lock. */
static int64_t rest_locked(struct delivery *d, size_t *room)
{
    int64_t now = clock_wall_ms(d->clock), rest = 1000; /* the wall clock may be set */
    int64_t hold = caller_held_until(d->caller, now);
    int64_t due = hold > d->due_ms ? hold : d->due_ms;
    *room = atomic_load(&d->unsettled) > unsettled_max(d)
                ? 0
                : caller_room(d->caller, pace_rate(d->pace) > 0);
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

/* Claims up to `room` reports whose turn it is to be called. */
static void claim(struct delivery *d, size_t room)
{
    struct error err;
    struct store_op op = { .action = STORE_CLAIM, .lease_ms = CALLER_LEASE_MS };
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
    caller_give(d->caller, MOVE(op.items), op.count);
    op.count = 0;
    store_op_release(&op);
}

static void *claim_loop(void *arg)
{
    struct delivery *d = arg;
    size_t room;
    pthread_mutex_lock(&d->lock);
    while (!atomic_load(&d->stopping)) {
        int64_t rest = rest_locked(d, &room);
        if (rest > 0) {
            timed_wait(&d->wake, &d->lock, rest);
            continue;
        }
        struct caller_outcome *failed = MOVE(d->failed);
        if (room > 0)
            d->due_ms = INT64_MAX; /* the claim says what comes next */
        pthread_mutex_unlock(&d->lock);
        settle(d, failed);
        if (room > 0)
            claim(d, room);
        pthread_mutex_lock(&d->lock);
    }
    struct caller_outcome *failed = MOVE(d->failed); /* once more */
    pthread_mutex_unlock(&d->lock);
    settle(d, failed);
    return NULL;
}

/* ---- start and stop -------------------------------------------------------------------------- */

static int start_threads(struct delivery *d, struct error *err)
{
    const struct delivery_config *cfg = &d->cfg;
    const struct caller_config caller = { .calls = cfg->calls,
                                          .shared = cfg->shared,
                                          .policy = { .retry_base_ms = cfg->retry_base_ms,
                                                      .retry_cap_ms = cfg->retry_cap_ms,
                                                      .metrics = cfg->metrics,
                                                      .log = cfg->log },
                                          .aws = cfg->aws,
                                          .pace = d->pace,
                                          .ended = on_ended,
                                          .room = on_room,
                                          .arg = d };
    d->caller = caller_start(&caller, err);
    if (!d->caller)
        return -1;
    int rc = pthread_create(&d->claimer, NULL, claim_loop, d);
    if (rc != 0)
        return error_set_errno(err, rc, "cannot start a thread");
    d->claims = true;
    return 0;
}

struct delivery *delivery_start(const struct delivery_config *cfg, struct error *err)
{
    struct delivery *d = mem_alloc(sizeof(*d));
    d->cfg = *cfg;
    d->clock = clock_system();
    d->pace = pace_new();
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&d->wake, &attr);
    pthread_cond_init(&d->idle, &attr);
    pthread_condattr_destroy(&attr);
    if (cfg->calls == 0 || start_threads(d, err) == 0)
        return d;
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
    atomic_store(&d->stopping, true);
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
    if (d->caller)
        caller_stop(d->caller, until);
    if (d->claims)
        pthread_join(d->claimer, NULL);
    caller_free(d->caller);
    pthread_mutex_lock(&d->lock);
    while (atomic_load(&d->unsettled) > 0) /* the writer still runs */
        timed_wait(&d->idle, &d->lock, 100);
    pthread_mutex_unlock(&d->lock);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->wake);
    pthread_cond_destroy(&d->idle);
    pace_free(d->pace);
    free(d);
}

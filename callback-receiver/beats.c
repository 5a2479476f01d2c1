#include "callback-receiver/beats.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "callback-receiver/attempt.h"
#include "callback-receiver/hush.h"
#include "shared/aws/lambda_client.h"
#include "shared/base/clock.h"
#include "shared/base/mem.h"

#define THREADS      4
#define TIMEOUT_MS   5000
#define LATE_MS      1500  /* older is missed */
#define LATE_MAX     10    /* heartbeats in one go that missed ones may fill up to */
#define GIVE_UP_MS   10000 /* reports have had the calls for so long */
#define LOOK_MS      20
#define LOG_EVERY_MS 10000

struct beat {
    char id[TOKEN_PUBLIC_ID];
    char callback_id[TOKEN_CALLBACK_ID + 1];
    int64_t at_ms;
};

struct sender {
    struct beats *beats;
    struct aws *aws;
    pthread_t thread;
    bool started;
};

struct beats {
    struct beats_config cfg;
    const struct clock *clock;
    struct sender senders[THREADS];
    atomic_bool cancel;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* Under lock. */
    struct beat *queue; /* by time */
    size_t first, end, room;
    int64_t logged_ms;
    int64_t unlogged;
    bool stopping;
};

/* ---- the queue ------------------------------------------------------------------------------- */

static void add(struct beats *b, const struct callback *c, int64_t at_ms)
{
    if (b->first > 0 && b->end == b->room) {
        memmove(b->queue, b->queue + b->first, (b->end - b->first) * sizeof(*b->queue));
        b->end -= b->first;
        b->first = 0;
    }
    if (b->end == b->room) {
        b->room = b->room ? 2 * b->room : 64;
        b->queue = mem_resize(b->queue, b->room, sizeof(*b->queue));
    }
    struct beat *one = &b->queue[b->end++];
    memcpy(one->id, c->id, sizeof(one->id));
    memcpy(one->callback_id, c->callback_id, sizeof(one->callback_id));
    one->at_ms = at_ms;
}

static int by_time(const void *x, const void *y)
{
    const struct beat *a = x, *b = y;
    return (a->at_ms > b->at_ms) - (a->at_ms < b->at_ms);
}

void beats_plan(struct beats *b, const struct store_item *items, size_t count, int64_t now_ms)
{
    size_t added = 0, missed = 0;
    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < count; i++)
        if (items[i].at_ms >= now_ms - LATE_MS) {
            add(b, &items[i].record, items[i].at_ms);
            added++;
        }
    for (size_t i = 0; i < count; i++)
        if (items[i].at_ms > 0 && items[i].at_ms < now_ms - LATE_MS) {
            if (added < LATE_MAX)
                add(b, &items[i].record, now_ms);
            missed += added++ >= LATE_MAX;
        }
    if (b->end > b->first)
        qsort(b->queue + b->first, b->end - b->first, sizeof(*b->queue), by_time);
    pthread_cond_broadcast(&b->wake);
    pthread_mutex_unlock(&b->lock);
    if (missed > 0)
        log_warn(b->cfg.log, log_event("engine_heartbeats_missed"),
                 log_int("count", (int64_t)missed));
}

/* Waits for the next one's time. False: it stops. */
static bool take(struct beats *b, struct beat *out)
{
    bool have = false;
    pthread_mutex_lock(&b->lock);
    while (!b->stopping && !have) {
        if (b->first == b->end) {
            pthread_cond_wait(&b->wake, &b->lock);
            continue;
        }
        int64_t wait = b->queue[b->first].at_ms - clock_wall_ms(b->clock);
        have = wait <= 0;
        if (have) {
            *out = b->queue[b->first];
            mem_wipe(&b->queue[b->first++], sizeof(*out));
        } else {
            int64_t until = clock_mono_ms(b->clock) + wait;
            struct timespec at = { .tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000 };
            pthread_cond_timedwait(&b->wake, &b->lock, &at);
        }
    }
    pthread_mutex_unlock(&b->lock);
    return have;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void unbeaten(struct store_op *op, const struct error *err, void *arg)
{
    (void)err, (void)arg; /* where it did not happen, the next heartbeat asks anew */
    store_op_release(op);
    free(op);
}

static void end(struct beats *b, const struct beat *one)
{
    struct store_op *op = mem_alloc(sizeof(*op));
    op->action = STORE_UNBEAT;
    op->now_ms = clock_wall_ms(b->clock);
    memcpy(op->id, one->id, sizeof(op->id));
    log_info(b->cfg.log, log_event("engine_heartbeats_end"), log_str("id", one->id));
    writer_submit(b->cfg.writer, op, unbeaten, NULL);
}

/* One line in a while: where Lambda denies one, it denies all. */
static void complain(struct beats *b, const struct beat *one, const struct error *err)
{
    int64_t now = clock_mono_ms(b->clock);
    pthread_mutex_lock(&b->lock);
    bool say = b->logged_ms == 0 || now - b->logged_ms >= LOG_EVERY_MS;
    int64_t others = b->unlogged;
    b->unlogged = say ? 0 : others + 1;
    b->logged_ms = say ? now : b->logged_ms;
    pthread_mutex_unlock(&b->lock);
    if (!say)
        return;
    const char *why = hush(err, one->callback_id);
    if (err->code == ERR_DENIED)
        log_error(b->cfg.log, log_event("engine_heartbeat_denied"), log_str("id", one->id),
                  log_str("error", why), log_int("othersUnlogged", others),
                  log_str("hint", "the receiver's credentials must allow "
                                  "lambda:SendDurableExecutionCallbackHeartbeat"));
    else
        log_warn(b->cfg.log, log_event("engine_heartbeat_failed"), log_str("id", one->id),
                 log_str("error", why), log_int("othersUnlogged", others));
}

static void beat(struct sender *s, const struct beat *one)
{
    struct beats *b = s->beats;
    struct error err = { 0 };
    enum metric which = METRIC_BEATS_OK;
    int rc = lambda_callback_heartbeat(s->aws, one->callback_id, &err);
    /* Not where heartbeats are denied: reports may be allowed. */
    pace_answered(b->cfg.pace, rc < 0 && err.code == ERR_THROTTLED,
                  rc < 0 ? aws_retry_after_ms(s->aws) : -1, clock_mono_ms(b->clock));
    if (rc < 0 && err.code == ERR_CANCELLED)
        return;
    if (rc < 0 && attempt_classify(&err) == CALLBACK_ATTEMPT_GONE) {
        which = METRIC_BEATS_GONE;
        end(b, one);
    } else if (rc < 0) {
        which = METRIC_BEATS_FAILED;
        complain(b, one, &err);
    }
    metrics_add(b->cfg.metrics, which);
}

/* Reports go first. False: they had the calls for too long, or it stops. */
static bool await_turn(struct beats *b)
{
    int64_t until = clock_mono_ms(b->clock) + GIVE_UP_MS;
    while (!pace_take_heartbeat(b->cfg.pace, clock_mono_ms(b->clock))) {
        if (atomic_load(&b->cancel) || clock_mono_ms(b->clock) > until)
            return false;
        clock_sleep_ms(b->clock, LOOK_MS);
    }
    return true;
}

static void *work(void *arg)
{
    struct sender *s = arg;
    struct beat one;
    while (take(s->beats, &one)) {
        if (await_turn(s->beats))
            beat(s, &one);
        else
            metrics_add(s->beats->cfg.metrics, METRIC_BEATS_SKIPPED);
        mem_wipe(&one, sizeof(one));
    }
    return NULL;
}

/* ---- start and stop -------------------------------------------------------------------------- */

struct beats *beats_start(const struct beats_config *cfg, struct error *err)
{
    struct beats *b = mem_alloc(sizeof(*b));
    pthread_condattr_t attr;
    b->cfg = *cfg;
    b->clock = clock_system();
    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&b->wake, &attr);
    pthread_condattr_destroy(&attr);
    for (size_t i = 0; i < THREADS; i++) {
        struct sender *s = &b->senders[i];
        s->beats = b;
        s->aws = aws_new(cfg->aws, b->clock, err);
        if (s->aws) {
            aws_set_timeout(s->aws, TIMEOUT_MS);
            aws_set_retry(s->aws, 1, 0, 0); /* each repeat would be a call more */
            aws_set_cancel(s->aws, &b->cancel);
        }
        int rc = s->aws ? pthread_create(&s->thread, NULL, work, s) : -1;
        if (rc > 0)
            error_set_errno(err, rc, "cannot start a thread");
        if (rc != 0) {
            error_wrap(err, "heartbeats");
            beats_stop(b);
            return NULL;
        }
        s->started = true;
    }
    return b;
}

void beats_stop(struct beats *b)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->stopping = true;
    pthread_cond_broadcast(&b->wake);
    pthread_mutex_unlock(&b->lock);
    atomic_store(&b->cancel, true);
    for (size_t i = 0; i < THREADS; i++) {
        if (b->senders[i].started)
            pthread_join(b->senders[i].thread, NULL);
        aws_free(b->senders[i].aws);
    }
    if (b->queue)
        mem_wipe(b->queue, b->room * sizeof(*b->queue));
    free(b->queue);
    pthread_cond_destroy(&b->wake);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

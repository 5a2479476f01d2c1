#include "callback-receiver/liveness.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/base/clock.h"
#include "shared/base/mem.h"

#define TICK_MS     500   /* less than BEATS_AHEAD_MS */
#define HELD_UP_MS  5000  /* a tick so late that the receiver did not hear its jobs either */
#define JUDGE_LIMIT 100   /* of one transaction */
#define PURGE_MS    60000 /* where nothing is left */
#define PURGE_LIMIT 500   /* of one transaction; a tick has one */
#define TELL_MS     60000
#define WAITED_MAX  1024

struct liveness {
    struct liveness_config cfg;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping; /* under lock */
};

/* Runs one operation; -1: the store is away (the writer has logged it). */
static int run(struct liveness *l, struct store_op *op)
{
    struct error err;
    op->now_ms = clock_wall_ms(clock_system());
    return writer_call(l->cfg.writer, &op, 1, &err);
}

static int judge(struct liveness *l)
{
    struct store_op op = { .action = STORE_JUDGE,
                           .limit = JUDGE_LIMIT,
                           .ahead_ms = BEATS_AHEAD_MS };
    int rc = run(l, &op);
    bool any = false;
    for (size_t i = 0; rc == 0 && i < op.count; i++) {
        const struct callback *c = &op.items[i].record;
        if (op.items[i].at_ms > 0 || c->state != CALLBACK_ACCEPTED)
            continue;
        any = true;
        metrics_add(l->cfg.metrics, METRIC_JUDGED);
        log_warn(l->cfg.log, log_event("job_silent"), log_str("id", c->id),
                 log_str("as", c->first_heartbeat_ms ? "Task.HeartbeatLost" : "Task.StartTimeout"),
                 log_int("lastContactMs", c->last_contact_ms));
    }
    if (rc == 0 && op.count > 0)
        beats_plan(l->cfg.beats, op.items, op.count, op.now_ms);
    /* Another receiver that shares the store may have left work behind. */
    any |= rc == 0 && op.next_ms > 0 && op.next_ms <= op.now_ms;
    store_op_release(&op);
    if (any)
        delivery_kick(l->cfg.delivery);
    return rc;
}

static int grace(struct liveness *l)
{
    struct store_op op = { .action = STORE_GRACE };
    int rc = run(l, &op);
    store_op_release(&op);
    return rc;
}

/* Answers those whose report another receiver has delivered. */
static void look_for_waiters(struct liveness *l)
{
    char(*ids)[TOKEN_PUBLIC_ID] = mem_array(WAITED_MAX, sizeof(*ids));
    size_t count = waiters_ids(l->cfg.waiters, ids, WAITED_MAX);
    struct store_op *all = mem_array(count + 1, sizeof(*all));
    struct store_op **ops = mem_array(count + 1, sizeof(*ops));
    struct error ignored;
    for (size_t i = 0; i < count; i++) {
        all[i].action = STORE_READ;
        all[i].who.by = CALLBACK_BY_RECEIVER;
        memcpy(all[i].id, ids[i], sizeof(all[i].id));
        ops[i] = &all[i];
    }
    int rc = count ? writer_call(l->cfg.writer, ops, count, &ignored) : -1;
    for (size_t i = 0; i < count; i++) {
        if (rc == 0 && all[i].verdict == CALLBACK_DONE)
            waiters_settle(l->cfg.waiters, all[i].id, all[i].record.state);
        store_op_release(&all[i]);
    }
    free(ids);
    free(all);
    free(ops);
}

/* Forgets what is over. False: it is to be asked again, soon. */
static bool purge(struct liveness *l)
{
    struct store_op op = { .action = STORE_PURGE, .limit = PURGE_LIMIT };
    int rc = run(l, &op);
    bool all = rc == 0 && !op.more;
    store_op_release(&op);
    return all;
}

static void tell_queue(struct liveness *l)
{
    struct store_op op = { .action = STORE_COUNT };
    if (run(l, &op) == 0) {
        int64_t oldest_ms = op.oldest_ms ? op.now_ms - op.oldest_ms : 0;
        log_info(l->cfg.log, log_event("queue"), log_int("pending", op.counts[CALLBACK_PENDING]),
                 log_int("accepted", op.counts[CALLBACK_ACCEPTED]),
                 log_int("dead", op.counts[CALLBACK_DEAD]),
                 log_int("oldestSeconds", oldest_ms > 0 ? oldest_ms / 1000 : 0));
    }
    store_op_release(&op);
}

/* True: asked to stop. */
static bool wait_tick(struct liveness *l)
{
    int64_t until = clock_mono_ms(clock_system()) + TICK_MS;
    struct timespec at = { .tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000 };
    pthread_mutex_lock(&l->lock);
    while (!l->stopping && clock_mono_ms(clock_system()) < until)
        pthread_cond_timedwait(&l->stop, &l->lock, &at);
    bool stop = l->stopping;
    pthread_mutex_unlock(&l->lock);
    return stop;
}

static void *loop(void *arg)
{
    struct liveness *l = arg;
    /* The wall clock is watched: it goes on while a machine sleeps, as the jobs may have. */
    int64_t heard_ms = clock_wall_ms(clock_system());
    int64_t purged_ms = 0, told_ms = 0;
    while (!wait_tick(l)) {
        int64_t now = clock_wall_ms(clock_system());
        bool held_up = now - heard_ms > HELD_UP_MS;
        if (held_up) {
            log_warn(l->cfg.log, log_event("held_up"), log_int("ms", now - heard_ms));
            if (grace(l) < 0)
                continue; /* still away */
        } else if (judge(l) < 0) {
            continue;
        }
        heard_ms = now;
        if (l->cfg.shared)
            look_for_waiters(l);
        if (now - purged_ms >= PURGE_MS && purge(l))
            purged_ms = now;
        if (now - told_ms >= TELL_MS) {
            tell_queue(l);
            told_ms = now;
        }
    }
    return NULL;
}

struct liveness *liveness_start(const struct liveness_config *cfg, struct error *err)
{
    struct liveness *l = mem_alloc(sizeof(*l));
    l->cfg = *cfg;
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->stop, &attr);
    pthread_condattr_destroy(&attr);
    int rc = pthread_create(&l->thread, NULL, loop, l);
    if (rc == 0)
        return l;
    error_set_errno(err, rc, "cannot start a thread");
    pthread_cond_destroy(&l->stop);
    pthread_mutex_destroy(&l->lock);
    free(l);
    return NULL;
}

void liveness_stop(struct liveness *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_signal(&l->stop);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    pthread_cond_destroy(&l->stop);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

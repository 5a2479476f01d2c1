#include "callback-receiver/writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/mem.h"

/* Enough for any group of writer_call; a group is never split over two transactions. */
#define BATCH_BYTES (16U << 20)
/* Operations that are worth a flush of their own. */
#define ENOUGH 64

/* What was submitted together: runs in one transaction. */
struct job {
    struct store_op *const *ops; /* of a writer_call, else its own list */
    size_t count;
    size_t bytes;
    bool own; /* the receiver's own: the first store's alone */
    writer_done_fn *done;
    struct job *next;
    void **args; /* of `done`, for each of the first `told` operations */
    size_t told;
    void *room[]; /* for ops and args */
};

/* A thread with a store of its own. */
struct lane {
    struct writer *writer;
    struct store *store;
    pthread_t thread;
    pthread_cond_t wake;
    bool idle;      /* under lock: waits, and nobody has woken it */
    size_t running; /* under lock: operations of the transaction that it runs */
    /* The lane's thread alone. */
    struct store_op **batch;
    size_t batch_room;
    bool failing;
};

struct writer {
    struct writer_limits limits;
    struct log *log;
    struct metrics_histogram *times; /* NULL: not wanted */
    struct lane lanes[WRITER_STORES];
    size_t lane_count;
    pthread_mutex_t lock;
    /* Under lock. */
    struct job *first;
    struct job **last;
    size_t queued;
    size_t own; /* those among them that are the first store's alone */
    size_t bytes;
    bool stopping;
    uint64_t commits;
    uint64_t ops;
};

struct call {
    struct writer *writer;
    pthread_cond_t changed; /* its own: nobody else is woken */
    bool ended;             /* under the writer's lock */
    int rc;
    struct error err;
};

/* Is there a transaction for this lane? One that begins beside another's has enough operations or
 * as many as that: each costs the store a flush, and what is small does better to grow until the
 * other has ended. Called with the lock held. */
static bool ready(const struct lane *lane)
{
    const struct writer *w = lane->writer;
    size_t shared = w->queued - w->own;
    if (lane == &w->lanes[0] && w->own > 0)
        return true;
    for (size_t i = 0; i < w->lane_count; i++)
        if (&w->lanes[i] != lane && shared < ENOUGH && shared < w->lanes[i].running && !w->stopping)
            return false;
    return shared > 0;
}

/* Wakes a lane that has something to do. Where none waits, the next to be done takes it. Called
 * with the lock held. */
static void wake(struct writer *w)
{
    for (size_t i = 0; i < w->lane_count; i++) {
        if (!w->lanes[i].idle || !ready(&w->lanes[i]))
            continue;
        w->lanes[i].idle = false;
        pthread_cond_signal(&w->lanes[i].wake);
        return;
    }
}

/* Takes jobs from the queue for one transaction of this lane, in their order; there is one. Called
 * with the lock held. */
static struct job *take(struct lane *lane, size_t *count)
{
    struct writer *w = lane->writer;
    bool first_lane = lane == &w->lanes[0];
    struct job *taken = NULL, **end = &taken, **at = &w->first;
    size_t bytes = 0;
    *count = 0;
    while (*at) {
        struct job *j = *at;
        if (j->own && !first_lane) {
            at = &j->next;
            continue;
        }
        if (taken && (*count + j->count > w->limits.batch || bytes + j->bytes > BATCH_BYTES))
            break;
        *at = j->next;
        j->next = NULL;
        *end = j;
        end = &j->next;
        *count += j->count;
        bytes += j->bytes;
        w->own -= j->own ? j->count : 0;
    }
    if (!*at)
        w->last = at;
    w->queued -= *count;
    w->bytes -= bytes;
    return taken;
}

static void log_state(struct lane *lane, const struct error *err)
{
    if (err)
        log_error(lane->writer->log, log_event("store_failed"), log_err(err));
    else if (lane->failing)
        log_info(lane->writer->log, log_event("store_recovered"));
    lane->failing = err != NULL;
}

static void run(struct lane *lane, struct job *jobs, size_t count)
{
    struct writer *w = lane->writer;
    if (count > lane->batch_room) {
        lane->batch = mem_resize(lane->batch, count, sizeof(struct store_op *));
        lane->batch_room = count;
    }
    size_t n = 0;
    for (struct job *j = jobs; j; j = j->next)
        for (size_t i = 0; i < j->count; i++)
            lane->batch[n++] = j->ops[i];
    struct error err;
    int64_t began = clock_mono_us();
    int rc = store_run(lane->store, lane->batch, count, &err);
    if (w->times)
        metrics_time(w->times, clock_mono_us() - began);
    log_state(lane, rc < 0 ? &err : NULL);
    pthread_mutex_lock(&w->lock);
    w->commits += rc == 0;
    w->ops += rc == 0 ? count : 0;
    pthread_mutex_unlock(&w->lock);
    log_hold(w->log); /* each answer has a line */
    while (jobs) {
        struct job *j = jobs;
        jobs = j->next;
        for (size_t i = 0; i < j->told; i++)
            j->done(j->ops[i], rc < 0 ? &err : NULL, j->args[i]);
        free(j);
    }
    log_flush();
}

static void *loop(void *arg)
{
    struct lane *lane = arg;
    struct writer *w = lane->writer;
    size_t count;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        if (ready(lane)) {
            struct job *jobs = take(lane, &count);
            lane->running = count;
            wake(w);
            pthread_mutex_unlock(&w->lock);
            run(lane, jobs, count);
            pthread_mutex_lock(&w->lock);
            lane->running = 0;
        } else if (w->stopping) {
            break;
        } else {
            lane->idle = true;
            while (lane->idle && !w->stopping)
                pthread_cond_wait(&lane->wake, &w->lock);
            lane->idle = false;
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void end_lanes(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    for (size_t i = 0; i < w->lane_count; i++)
        pthread_cond_signal(&w->lanes[i].wake);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->lane_count; i++) {
        pthread_join(w->lanes[i].thread, NULL);
        pthread_cond_destroy(&w->lanes[i].wake);
        free(w->lanes[i].batch);
    }
    pthread_mutex_destroy(&w->lock);
}

struct writer *writer_start(struct store *const *stores, size_t count,
                            const struct writer_limits *limits, struct log *log, struct error *err)
{
    struct writer *w = mem_alloc(sizeof(*w));
    w->limits = limits ? *limits : (struct writer_limits){ 0 };
    if (w->limits.max_ops == 0)
        w->limits.max_ops = 4096;
    if (w->limits.max_bytes == 0)
        w->limits.max_bytes = 64U << 20;
    if (w->limits.batch == 0)
        w->limits.batch = 256;
    w->log = log;
    w->last = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    for (size_t i = 0; i < count; i++) {
        struct lane *lane = &w->lanes[i];
        lane->writer = w;
        lane->store = stores[i];
        pthread_cond_init(&lane->wake, NULL);
        int rc = pthread_create(&lane->thread, NULL, loop, lane);
        if (rc != 0) {
            error_set_errno(err, rc, "cannot start the writer");
            pthread_cond_destroy(&lane->wake);
            end_lanes(w);
            free(w);
            return NULL;
        }
        pthread_mutex_lock(&w->lock); /* the lanes look at each other */
        w->lane_count++;
        pthread_mutex_unlock(&w->lock);
    }
    return w;
}

void writer_stop(struct writer *w)
{
    if (!w)
        return;
    end_lanes(w);
    for (size_t i = 0; i < w->lane_count; i++)
        store_close(w->lanes[i].store);
    free(w);
}

bool writer_has_room(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    bool room = w->queued < w->limits.max_ops && w->bytes < w->limits.max_bytes;
    pthread_mutex_unlock(&w->lock);
    return room;
}

static void enqueue(struct writer *w, struct job *j)
{
    for (size_t i = 0; i < j->count; i++)
        j->bytes += j->ops[i]->payload.len;
    pthread_mutex_lock(&w->lock);
    *w->last = j;
    w->last = &j->next;
    w->queued += j->count;
    w->own += j->own ? j->count : 0;
    w->bytes += j->bytes;
    wake(w);
    pthread_mutex_unlock(&w->lock);
}

void writer_submit(struct writer *w, struct store_op *op, writer_done_fn *done, void *arg)
{
    writer_submit_all(w, &op, &arg, 1, done);
}

void writer_submit_all(struct writer *w, struct store_op *const *ops, void *const *args,
                       size_t count, writer_done_fn *done)
{
    struct job *j = mem_alloc(sizeof(*j) + 2 * count * sizeof(*j->room));
    struct store_op **own = (struct store_op **)j->room;
    memcpy(own, ops, count * sizeof(struct store_op *));
    j->ops = own;
    j->args = j->room + count;
    memcpy(j->args, args, count * sizeof(*args));
    j->count = j->told = count;
    j->done = done;
    enqueue(w, j);
}

static void call_ended(struct store_op *op, const struct error *err, void *arg)
{
    (void)op;
    struct call *c = arg;
    struct writer *w = c->writer;
    pthread_mutex_lock(&w->lock);
    c->rc = err ? -1 : 0;
    if (err)
        c->err = *err;
    c->ended = true;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&w->lock);
}

int writer_call(struct writer *w, struct store_op *const *ops, size_t count, struct error *err)
{
    struct call c = { .writer = w };
    pthread_cond_init(&c.changed, NULL);
    struct job *j = mem_alloc(sizeof(*j) + sizeof(*j->room));
    j->ops = ops;
    j->count = count;
    j->own = true;
    j->done = call_ended;
    j->args = j->room;
    j->args[0] = &c;
    j->told = 1; /* of all */
    enqueue(w, j);
    pthread_mutex_lock(&w->lock);
    while (!c.ended)
        pthread_cond_wait(&c.changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    pthread_cond_destroy(&c.changed);
    if (c.rc < 0 && err)
        *err = c.err;
    return c.rc;
}

void writer_observe(struct writer *w, struct metrics_histogram *h)
{
    w->times = h;
}

void writer_counts(struct writer *w, size_t *queued, uint64_t *commits, uint64_t *ops)
{
    pthread_mutex_lock(&w->lock);
    *queued = w->queued;
    *commits = w->commits;
    *ops = w->ops;
    pthread_mutex_unlock(&w->lock);
}

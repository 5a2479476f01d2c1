#include "callback-receiver/writer.h"

#include <pthread.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/mem.h"

/* Enough for any group of writer_call; a group is never split over two transactions. */
#define BATCH_BYTES (16U << 20)

/* What was submitted together. */
struct job {
    struct store_op *const *ops; /* of a writer_call, else &one */
    size_t count;
    size_t bytes;
    struct store_op *one;
    writer_done_fn *done;
    void *arg;
    struct job *next;
};

struct writer {
    struct store *store;
    struct writer_limits limits;
    struct log *log;
    struct metrics_histogram *times; /* NULL: not wanted */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_cond_t called; /* a writer_call has ended */
    /* Under lock. */
    struct job *first;
    struct job **last;
    size_t queued;
    size_t bytes;
    bool stopping;
    uint64_t commits;
    uint64_t ops;
    /* The writer's thread alone. */
    struct store_op **batch;
    size_t batch_room;
    bool failing;
};

struct call {
    struct writer *writer;
    bool ended; /* under the writer's lock */
    int rc;
    struct error err;
};

/* Takes jobs from the queue for one transaction; called with the lock held. */
static struct job *take(struct writer *w, size_t *count)
{
    struct job *first = w->first, **end = &w->first;
    size_t bytes = 0;
    *count = 0;
    while (*end && (*end == first || (*count + (*end)->count <= w->limits.batch &&
                                      bytes + (*end)->bytes <= BATCH_BYTES))) {
        *count += (*end)->count;
        bytes += (*end)->bytes;
        end = &(*end)->next;
    }
    w->first = *end;
    *end = NULL;
    if (!w->first)
        w->last = &w->first;
    w->queued -= *count;
    w->bytes -= bytes;
    return first;
}

static void log_state(struct writer *w, const struct error *err)
{
    if (err)
        log_error(w->log, log_event("store_failed"), log_err(err));
    else if (w->failing)
        log_info(w->log, log_event("store_recovered"));
    w->failing = err != NULL;
}

static void run(struct writer *w, struct job *jobs, size_t count)
{
    if (count > w->batch_room) {
        w->batch = mem_resize(w->batch, count, sizeof(struct store_op *));
        w->batch_room = count;
    }
    size_t n = 0;
    for (struct job *j = jobs; j; j = j->next)
        for (size_t i = 0; i < j->count; i++)
            w->batch[n++] = j->ops[i];
    struct error err;
    int64_t began = clock_mono_us();
    int rc = store_run(w->store, w->batch, count, &err);
    if (w->times)
        metrics_time(w->times, clock_mono_us() - began);
    log_state(w, rc < 0 ? &err : NULL);
    pthread_mutex_lock(&w->lock);
    w->commits += rc == 0;
    w->ops += rc == 0 ? count : 0;
    pthread_mutex_unlock(&w->lock);
    while (jobs) {
        struct job *j = jobs;
        jobs = j->next;
        j->done(j->one, rc < 0 ? &err : NULL, j->arg);
        free(j);
    }
}

static void *loop(void *arg)
{
    struct writer *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->first && !w->stopping)
            pthread_cond_wait(&w->work, &w->lock);
        if (!w->first)
            break;
        size_t count;
        struct job *jobs = take(w, &count);
        pthread_mutex_unlock(&w->lock);
        run(w, jobs, count);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

struct writer *writer_start(struct store *store, const struct writer_limits *limits,
                            struct log *log, struct error *err)
{
    struct writer *w = mem_alloc(sizeof(*w));
    w->store = store;
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
    pthread_cond_init(&w->work, NULL);
    pthread_cond_init(&w->called, NULL);
    int rc = pthread_create(&w->thread, NULL, loop, w);
    if (rc == 0)
        return w;
    error_set_errno(err, rc, "cannot start the writer");
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->called);
    free(w);
    return NULL;
}

void writer_stop(struct writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    store_close(w->store);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->called);
    free(w->batch);
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
    w->bytes += j->bytes;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

void writer_submit(struct writer *w, struct store_op *op, writer_done_fn *done, void *arg)
{
    struct job *j = mem_alloc(sizeof(*j));
    j->one = op;
    j->ops = &j->one;
    j->count = 1;
    j->done = done;
    j->arg = arg;
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
    pthread_cond_broadcast(&w->called);
    pthread_mutex_unlock(&w->lock);
}

int writer_call(struct writer *w, struct store_op *const *ops, size_t count, struct error *err)
{
    struct call c = { .writer = w };
    struct job *j = mem_alloc(sizeof(*j));
    j->ops = ops;
    j->count = count;
    j->done = call_ended;
    j->arg = &c;
    enqueue(w, j);
    pthread_mutex_lock(&w->lock);
    while (!c.ended)
        pthread_cond_wait(&w->called, &w->lock);
    pthread_mutex_unlock(&w->lock);
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

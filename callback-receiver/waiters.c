#include "callback-receiver/waiters.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/base/clock.h"
#include "shared/base/mem.h"

struct waiter {
    struct httpd_request *req;
    char id[TOKEN_PUBLIC_ID];
    int wait_s;
    int64_t until_ms;
    struct waiter *next;
};

/* A report may be delivered before the thread that commits it comes to let its client wait: what
 * was settled last is remembered for a moment. */
#define SETTLED 1024

struct settled {
    char id[TOKEN_PUBLIC_ID];
    enum callback_state state;
};

struct waiters {
    struct metrics *metrics;
    size_t max;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* of the monotonic clock */
    /* Under lock. */
    struct waiter *first;
    size_t count;
    bool stopping;
    struct settled settled[SETTLED]; /* a ring */
    size_t settled_next;
};

/* Takes out those that `id` names (NULL: all) and whose time is over at now_ms (INT64_MAX: all). */
static struct waiter *take(struct waiters *w, const char *id, int64_t now_ms)
{
    struct waiter *taken = NULL;
    for (struct waiter **p = &w->first; *p;) {
        struct waiter *one = *p;
        if ((id && strcmp(one->id, id) != 0) || one->until_ms > now_ms) {
            p = &one->next;
            continue;
        }
        *p = one->next;
        one->next = taken;
        taken = one;
        w->count--;
    }
    return taken;
}

static void answer(struct waiters *w, struct waiter *list, enum callback_state state)
{
    while (list) {
        struct waiter *one = list;
        list = one->next;
        answer_reported(one->req, w->metrics, state, one->wait_s);
        free(one);
    }
}

static void sleep_until_next(struct waiters *w)
{
    int64_t until = INT64_MAX;
    for (struct waiter *one = w->first; one; one = one->next)
        if (one->until_ms < until)
            until = one->until_ms;
    if (until == INT64_MAX) {
        pthread_cond_wait(&w->changed, &w->lock);
        return;
    }
    struct timespec at = { .tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000 };
    pthread_cond_timedwait(&w->changed, &w->lock, &at);
}

static void *loop(void *arg)
{
    struct waiters *w = arg;
    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        struct waiter *late = take(w, NULL, clock_mono_ms(clock_system()));
        if (!late) {
            sleep_until_next(w);
            continue;
        }
        pthread_mutex_unlock(&w->lock);
        answer(w, late, CALLBACK_ACCEPTED);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

struct waiters *waiters_start(size_t max, struct metrics *m, struct error *err)
{
    struct waiters *w = mem_alloc(sizeof(*w));
    w->max = max;
    w->metrics = m;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attr);
    pthread_condattr_destroy(&attr);
    int rc = pthread_create(&w->thread, NULL, loop, w);
    if (rc == 0)
        return w;
    error_set_errno(err, rc, "cannot start a thread");
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
    return NULL;
}

void waiters_stop(struct waiters *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    answer(w, take(w, NULL, INT64_MAX), CALLBACK_ACCEPTED);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* What became of `id` a moment ago; ACCEPTED where nothing is known. Called with the lock held. */
static enum callback_state recall(const struct waiters *w, const char *id)
{
    for (size_t i = 1; i <= SETTLED; i++) {
        const struct settled *s = &w->settled[(w->settled_next + SETTLED - i) % SETTLED];
        if (strcmp(s->id, id) == 0)
            return s->state;
    }
    return CALLBACK_ACCEPTED;
}

bool waiters_add(struct waiters *w, struct httpd_request *req, const char *id, int wait_s)
{
    pthread_mutex_lock(&w->lock);
    enum callback_state state = recall(w, id);
    bool room = w->count < w->max || state != CALLBACK_ACCEPTED;
    if (room && state == CALLBACK_ACCEPTED) {
        struct waiter *one = mem_alloc(sizeof(*one));
        one->req = req;
        memcpy(one->id, id, sizeof(one->id));
        one->wait_s = wait_s;
        one->until_ms = clock_mono_ms(clock_system()) + wait_s * INT64_C(1000);
        one->next = w->first;
        w->first = one;
        w->count++;
        pthread_cond_signal(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    if (state != CALLBACK_ACCEPTED)
        answer_reported(req, w->metrics, state, wait_s);
    return room;
}

void waiters_settle(struct waiters *w, const char *id, enum callback_state state)
{
    if (state == CALLBACK_ACCEPTED)
        return;
    pthread_mutex_lock(&w->lock);
    if (state == CALLBACK_DELIVERED ||
        state == CALLBACK_CLOSED) { /* the ends of which none returns */
        struct settled *s = &w->settled[w->settled_next++ % SETTLED];
        memcpy(s->id, id, sizeof(s->id));
        s->state = state;
    }
    struct waiter *taken = take(w, id, INT64_MAX);
    pthread_mutex_unlock(&w->lock);
    answer(w, taken, state);
}

size_t waiters_ids(struct waiters *w, char (*ids)[TOKEN_PUBLIC_ID], size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&w->lock);
    for (const struct waiter *one = w->first; one && n < max; one = one->next) {
        size_t i = 0;
        while (i < n && strcmp(ids[i], one->id) != 0)
            i++;
        if (i == n)
            memcpy(ids[n++], one->id, sizeof(one->id));
    }
    pthread_mutex_unlock(&w->lock);
    return n;
}

size_t waiters_count(struct waiters *w)
{
    pthread_mutex_lock(&w->lock);
    size_t count = w->count;
    pthread_mutex_unlock(&w->lock);
    return count;
}

#include "shared/base/httpd_guard.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "shared/base/clock.h"

#define LOOK_MS 250

struct httpd_guarded {
    int fd;
    atomic_llong until_ms; /* monotonic; 0: no limit */
    struct httpd_guarded *prev, *next;
};

struct httpd_guard {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    /* Under lock. */
    struct httpd_guarded *first;
    bool stopping;
};

static void look(struct httpd_guard *g)
{
    int64_t now = clock_mono_ms(clock_system());
    for (struct httpd_guarded *c = g->first; c; c = c->next) {
        int64_t until = atomic_load_explicit(&c->until_ms, memory_order_relaxed);
        if (until == 0 || now < until)
            continue;
        shutdown(c->fd, SHUT_RDWR);
        atomic_store(&c->until_ms, 0);
    }
}

static void *loop(void *arg)
{
    struct httpd_guard *g = arg;
    pthread_mutex_lock(&g->lock);
    while (!g->stopping) {
        int64_t at = clock_mono_ms(clock_system()) + LOOK_MS;
        struct timespec until = { .tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000 };
        pthread_cond_timedwait(&g->stop, &g->lock, &until);
        look(g);
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

struct httpd_guard *httpd_guard_start(struct error *err)
{
    struct httpd_guard *g = mem_alloc(sizeof(*g));
    pthread_condattr_t attr;
    pthread_mutex_init(&g->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g->stop, &attr);
    pthread_condattr_destroy(&attr);
    int rc = pthread_create(&g->thread, NULL, loop, g);
    if (rc == 0)
        return g;
    error_set_errno(err, rc, "cannot start a thread");
    pthread_cond_destroy(&g->stop);
    pthread_mutex_destroy(&g->lock);
    free(g);
    return NULL;
}

void httpd_guard_stop(struct httpd_guard *g)
{
    if (!g)
        return;
    pthread_mutex_lock(&g->lock);
    g->stopping = true;
    pthread_cond_signal(&g->stop);
    pthread_mutex_unlock(&g->lock);
    pthread_join(g->thread, NULL);
    pthread_cond_destroy(&g->stop);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

struct httpd_guarded *httpd_guard_add(struct httpd_guard *g, int fd, int64_t ms)
{
    struct httpd_guarded *c = mem_alloc(sizeof(*c));
    c->fd = fd;
    httpd_guard_allow(c, ms);
    pthread_mutex_lock(&g->lock);
    c->next = g->first;
    if (g->first)
        g->first->prev = c;
    g->first = c;
    pthread_mutex_unlock(&g->lock);
    return c;
}

void httpd_guard_remove(struct httpd_guard *g, struct httpd_guarded *c)
{
    pthread_mutex_lock(&g->lock);
    if (c->prev)
        c->prev->next = c->next;
    else
        g->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    pthread_mutex_unlock(&g->lock);
    free(c);
}

void httpd_guard_allow(struct httpd_guarded *c, int64_t ms)
{
    if (c)
        atomic_store_explicit(&c->until_ms, ms ? clock_mono_ms(clock_system()) + ms : 0,
                              memory_order_relaxed);
}

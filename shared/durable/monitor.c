#include "shared/durable/monitor.h"

#include <stdlib.h>
#include <time.h>

/* These fail only for objects that are none. */
static void must(int rc)
{
    if (rc != 0)
        abort();
}

void monitor_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    must(pthread_condattr_init(&attr));
    must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    must(pthread_cond_init(c, &attr));
    must(pthread_condattr_destroy(&attr));
}

void monitor_init(struct monitor *m)
{
    must(pthread_mutex_init(&m->lock, NULL));
    monitor_cond_init(&m->changed);
}

void monitor_release(struct monitor *m)
{
    must(pthread_cond_destroy(&m->changed));
    must(pthread_mutex_destroy(&m->lock));
}

void monitor_lock(struct monitor *m)
{
    must(pthread_mutex_lock(&m->lock));
}

void monitor_unlock(struct monitor *m)
{
    must(pthread_mutex_unlock(&m->lock));
}

void monitor_changed(struct monitor *m)
{
    must(pthread_cond_broadcast(&m->changed));
}

void monitor_wait_on(struct monitor *m, pthread_cond_t *c, int64_t ms)
{
    if (ms < 0) {
        must(pthread_cond_wait(c, &m->lock));
        return;
    }
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(ms / 1000);
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(c, &m->lock, &at); /* late or woken: the caller looks */
}

void monitor_wait(struct monitor *m, int64_t ms)
{
    monitor_wait_on(m, &m->changed, ms);
}

/* monitor.h - the one lock of an execution, and the signal that something behind it has changed.
 *
 * It guards journal, checkpoint queue, strands and batches. It is never held while the outside is
 * called: no request, no log line, no function of the user's. Any thread. */
#ifndef DURABLE_MONITOR_H
#define DURABLE_MONITOR_H

#include <pthread.h>
#include <stdint.h>

struct monitor {
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

void monitor_init(struct monitor *m);
void monitor_release(struct monitor *m);
void monitor_lock(struct monitor *m);
void monitor_unlock(struct monitor *m);
/* With the lock held. */
void monitor_changed(struct monitor *m);
/* Waits for a change, with the lock held; may return without one. `ms` < 0: however long it takes,
 * else at most that long. */
void monitor_wait(struct monitor *m, int64_t ms);
/* The same for a condition variable of the caller's, made by monitor_cond_init. */
void monitor_cond_init(pthread_cond_t *c);
void monitor_wait_on(struct monitor *m, pthread_cond_t *c, int64_t ms);

#endif

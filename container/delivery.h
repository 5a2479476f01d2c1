/* delivery.h - when a final report is sent again, and when that is over. Pure; one thread.
 *
 * What can succeed later is repeated with full jitter, never sooner than Retry-After asks, until
 * the deadline. Where the next try would fall behind the deadline there is one last try shortly
 * before it, whatever was asked: it is the only chance left. */
#ifndef CONTAINER_DELIVERY_H
#define CONTAINER_DELIVERY_H

#include <stdint.h>

#include "container/client.h"

enum delivery_end {
    DELIVERY_PENDING,
    DELIVERY_ACCEPTED,
    DELIVERY_TAKEN, /* somebody else's report came first */
    DELIVERY_GONE,  /* nobody waits for it any more */
    DELIVERY_TOO_LARGE,
    DELIVERY_REFUSED,
    DELIVERY_TIMED_OUT,
};

struct delivery {
    int64_t deadline_ms; /* monotonic; may be set earlier at any time */
    unsigned failures;
    /* Between two heartbeats; 0: there are none. On a connection that is dead without saying so, a
     * try that lasts longer would let the job count as silent: the first lasts as long, each one
     * after it twice as long, since a slow network needs that. */
    int64_t period_ms;
};

/* The deadline that is `seconds` from now; 0: none, it is tried until the receiver refuses the
 * token. */
int64_t delivery_deadline(int64_t now_ms, int64_t seconds);
/* What `reply`, which came at `now_ms`, means: an end, or DELIVERY_PENDING and in *due_ms when to
 * try again. */
enum delivery_end delivery_next(struct delivery *d, const struct reply *reply, int64_t now_ms,
                                int64_t *due_ms);
/* When a try that is due at `due_ms` is to be made, so that it comes before the deadline. */
int64_t delivery_before_deadline(const struct delivery *d, int64_t due_ms, int64_t now_ms);
/* How long the try that begins now may take. */
int64_t delivery_timeout_ms(const struct delivery *d, int64_t now_ms);

#endif

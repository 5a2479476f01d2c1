/* retry.h - when a failed attempt is tried again. Pure; any thread. */
#ifndef DURABLE_RETRY_H
#define DURABLE_RETRY_H

#include "shared/durable/durable.h"

#define RETRY_DELAY_MAX_S 31622400 /* 366 days, the service's limit */

/* Within 1 to RETRY_DELAY_MAX_S, rounded up. */
int64_t retry_delay_limit(double delay);
/* The delay after failed attempt `attempt` (from 1); no field of `r` but the jitter and the
 * increment may be 0. */
int64_t retry_delay_s(const struct durable_retry *r, unsigned attempt, uint64_t random);
/* `random` decides the jitter. The delay is from 1 to RETRY_DELAY_MAX_S. */
struct durable_decision retry_decide(const struct durable_retry *r, const struct durable_error *err,
                                     unsigned attempt, uint64_t random);

#endif

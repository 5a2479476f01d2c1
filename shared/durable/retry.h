/* retry.h - when a failed attempt is tried again. Pure; any thread. */
#ifndef DURABLE_RETRY_H
#define DURABLE_RETRY_H

#include "shared/durable/durable.h"

#define RETRY_DELAY_MAX_S 31622400 /* 366 days, the service's limit */

/* `random` decides the jitter. The delay is from 1 to RETRY_DELAY_MAX_S. */
struct durable_decision retry_decide(const struct durable_retry *r, const struct durable_error *err,
                                     unsigned attempt, uint64_t random);

#endif

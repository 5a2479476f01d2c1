/* completion.h - when a batch is complete (durable-protocol 6.8). Pure; any thread. */
#ifndef DURABLE_COMPLETION_H
#define DURABLE_COMPLETION_H

#include "shared/durable/durable.h"

struct tally {
    size_t branches; /* that were given */
    size_t succeeded;
    size_t failed;
};

/* NULL where `c` and `max_concurrency` make sense for `branches` branches, else what does not. */
const char *completion_check(const struct durable_completion *c,
                             const struct durable_limit *max_concurrency,
                             size_t branches) DURABLE_CHECKED;
/* After a branch has ended: true with *reason where the batch is complete by the limits. The custom
 * rule is the caller's to ask, afterwards. */
bool completion_reached(const struct durable_completion *c, const struct tally *t,
                        enum durable_reason *reason);

#endif

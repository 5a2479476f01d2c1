/* delivery.h - accepted reports go to Lambda, however long that takes.
 *
 * One thread claims what is due (the claim is committed before the call, so that a receiver that
 * dies in the middle knows that it may have been heard), another calls Lambda (caller.h), and what
 * came of it is committed. What can succeed later is tried again with full jitter, not before
 * Retry-After (attempt.h). Any thread. */
#ifndef RECEIVER_DELIVERY_H
#define RECEIVER_DELIVERY_H

#include "callback-receiver/metrics.h"
#include "callback-receiver/pace.h"
#include "callback-receiver/waiters.h"
#include "callback-receiver/writer.h"
#include "shared/aws/aws.h"

struct delivery;

struct delivery_config {
    unsigned calls; /* to Lambda at once; 0: nothing is delivered */
    int64_t retry_base_ms;
    int64_t retry_cap_ms; /* also the pace of retries where access is denied */
    bool shared; /* other receivers have the same store: where no call can be made from here, they
                    go first for a while */
    const struct aws_options *aws;
    struct writer *writer; /* the rest is borrowed */
    struct waiters *waiters;
    struct metrics *metrics;
    struct log *log;
};

/* NULL with *err where the AWS configuration makes no sense or a thread cannot be had. */
struct delivery *delivery_start(const struct delivery_config *cfg, struct error *err) CHECKED;
/* Lets calls in flight end for a moment, then cuts them off; what is not delivered stays in the
 * store. Takes NULL. */
void delivery_stop(struct delivery *d);
/* Something may be due now. */
void delivery_kick(struct delivery *d);

/* The pace that heartbeats share (beats.h). Borrowed. */
struct pace *delivery_pace(struct delivery *d);
/* Calls a second that a throttling engine leaves; 0: no limit (pace.h). */
double delivery_rate(struct delivery *d);

#endif

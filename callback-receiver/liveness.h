/* liveness.h - judges silent jobs, says when heartbeats to Lambda are due, and forgets callbacks
 * whose life is over: looks for them once a minute, and goes on at once while there are any.
 *
 * Once a minute it logs how the store's work stands, {"event":"queue","pending","accepted","dead",
 * "oldestSeconds"}: where nobody scrapes the metrics, alarms are made of that.
 *
 * Silence counts only while the receiver could hear: after its start, and whenever it was held up
 * itself (the store away, the process stopped), all jobs get their whole heartbeat period again. */
#ifndef RECEIVER_LIVENESS_H
#define RECEIVER_LIVENESS_H

#include "callback-receiver/beats.h"
#include "callback-receiver/delivery.h"

struct liveness;

struct liveness_config { /* all borrowed */
    struct writer *writer;
    struct delivery *delivery;
    struct beats *beats;
    struct waiters *waiters;
    bool shared; /* other receivers have the same store, and may deliver what is waited for here */
    struct metrics *metrics;
    struct log *log;
};

/* The store has run STORE_START before. NULL with *err where no thread can be had. */
struct liveness *liveness_start(const struct liveness_config *cfg, struct error *err) CHECKED;
/* Takes NULL. */
void liveness_stop(struct liveness *l);

#endif

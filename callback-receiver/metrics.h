/* metrics.h - what is counted, in Prometheus's text format (version 0.0.4). Any thread. */
#ifndef RECEIVER_METRICS_H
#define RECEIVER_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "shared/base/buf.h"

enum metric {
    METRIC_REQUESTS_2XX,
    METRIC_REQUESTS_4XX,
    METRIC_REQUESTS_5XX,
    METRIC_REGISTRATIONS,
    METRIC_HEARTBEATS,
    METRIC_CLOSES,
    METRIC_REPORTS_TAKEN,
    METRIC_REPORTS_SAME,
    METRIC_REPORTS_OTHER,
    METRIC_REPORTS_OVER,
    METRIC_DENIED,
    METRIC_BUSY,
    METRIC_JUDGED,
    METRIC_KEYS_READ,
    METRIC_KEYS_FAILED,
    METRIC_DELIVERIES_OK,
    METRIC_DELIVERIES_GONE,
    METRIC_DELIVERIES_REFUSED,
    METRIC_DELIVERIES_RETRY,
    METRIC_DELIVERIES_LOST,
    METRICS
};

/* Zeroed is empty. */
struct metrics {
    atomic_ullong counts[METRICS];
};

void metrics_add(struct metrics *m, enum metric which);
/* Counts an answered request by its status. */
void metrics_add_status(struct metrics *m, int status);
uint64_t metrics_get(struct metrics *m, enum metric which);
/* Appends all counters. */
void metrics_print(struct metrics *m, struct buf *out);

#endif

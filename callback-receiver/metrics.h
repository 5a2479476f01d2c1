/* metrics.h - what is counted and timed, in Prometheus's text format (version 0.0.4). Any thread.
 */
#ifndef RECEIVER_METRICS_H
#define RECEIVER_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "shared/base/buf.h"

enum metric {
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
    METRIC_DELIVERIES_DENIED,
    METRIC_DELIVERIES_THROTTLED,
    METRIC_ENDED_DELIVERED,
    METRIC_ENDED_UNCONFIRMED,
    METRIC_ENDED_DEAD,
    METRIC_BEATS_OK,
    METRIC_BEATS_GONE,
    METRIC_BEATS_FAILED,
    METRIC_BEATS_SKIPPED,
    METRICS
};

/* What a request asked for. */
enum metrics_route {
    METRICS_REGISTER,
    METRICS_STATUS,
    METRICS_CLOSE,
    METRICS_SUCCESS,
    METRICS_FAILURE,
    METRICS_HEARTBEAT,
    METRICS_INPUT,
    METRICS_OTHER,
    METRICS_ROUTES
};

#define METRICS_STATUSES 16
#define METRICS_BUCKETS  15

/* How long something took. Zeroed is empty. */
struct metrics_histogram {
    atomic_ullong buckets[METRICS_BUCKETS + 1]; /* not cumulated; the last is all beyond */
    atomic_ullong sum_us;
};

/* Zeroed is empty. */
struct metrics {
    atomic_ullong counts[METRICS];
    atomic_ullong requests[METRICS_ROUTES][METRICS_STATUSES];
    struct metrics_histogram request_time[METRICS_ROUTES];
    struct metrics_histogram call_time;     /* of a call to Lambda */
    struct metrics_histogram delivery_time; /* from the report's commit to Lambda's answer */
    struct metrics_histogram commit_time;   /* of a transaction of the store */
};

void metrics_add(struct metrics *m, enum metric which);
/* Counts a request that was answered with `status` after `us` microseconds. */
void metrics_request(struct metrics *m, enum metrics_route route, int status, int64_t us);
/* The route of a method and a raw path. */
enum metrics_route metrics_route(const char *method, const char *path);
void metrics_time(struct metrics_histogram *h, int64_t us);
uint64_t metrics_get(struct metrics *m, enum metric which);
/* Appends all. */
void metrics_print(struct metrics *m, struct buf *out);

#endif

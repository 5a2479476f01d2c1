/* metrics.h - what CloudWatch counts of the launcher, in its embedded metric format: one JSON
 * object a line, which Lambda's logs take from the function's output without a call.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 *
 *   WorkflowsStarted, WorkflowsSucceeded   by Function, and by Function and Pattern
 *   WorkflowsFailed                        the same, and by Function, Pattern and ErrorType
 *   CallbackLatency (ms)  from Lambda having a callback's outcome until the workflow went on with
 * it TaskStartLatency (ms) from a task's creation until its containers ran, by Cluster
 *
 * Each is written where the thing first happens; a handler that is killed at that moment may write
 * it again. Jobs name their failures as they like: types that are not the launcher's own
 * (docs/failures.md) count as ErrorType "Job", so that the number of metrics is bounded; the line
 * has the true one as errorType. A NULL metrics writes nothing. Any thread. */
#ifndef LAUNCHER_METRICS_H
#define LAUNCHER_METRICS_H

#include "shared/base/clock.h"
#include "shared/base/mem.h"

struct metrics;

/* Lines go to `fd` (borrowed), with one write(2) each. NULL where `name_space` is NULL. */
struct metrics *metrics_open(int fd, const char *name_space, const struct clock *clock) CHECKED;
void metrics_close(struct metrics *m);

/* What a value is of; NULL where that is not known. */
struct metrics_of {
    const char *function;
    const char *pattern;
    const char *error_type;
    const char *cluster;
    const char *workflow; /* these two are no dimensions */
    const char *task;
};

void metrics_count(struct metrics *m, const char *name, const struct metrics_of *of);
/* A time below 0 (clocks differ) counts as 0. */
void metrics_time(struct metrics *m, const char *name, int64_t ms, const struct metrics_of *of);

#endif

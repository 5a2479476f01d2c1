/* edge.h - all that the core does to the outside, as functions that a test can fill. Where
 * max_threads is not 0 they are called from several threads: checkpoint and state one at a time,
 * log one at a time, now_ms at any time. */
#ifndef DURABLE_EDGE_H
#define DURABLE_EDGE_H

#include "shared/base/error.h"
#include "shared/durable/durable.h"

struct durable_edge {
    /* CheckpointDurableExecution. `body` is the whole request with its ClientToken; whoever repeats
     * it after a lost answer sends the same bytes. 0 with the parsed answer in *answer, or -1 with
     * the service's own error code in err->type and its HTTP status in err->detail. */
    int (*checkpoint)(void *arg, const char *arn, const char *body, size_t len,
                      struct json_object **answer, struct error *err);
    /* GetDurableExecutionState, the same way. */
    int (*state)(void *arg, const char *arn, const char *token, const char *marker,
                 unsigned max_items, struct json_object **page, struct error *err);
    /* Wall clock. */
    int64_t (*now_ms)(void *arg);
    /* One line for the log, with its line feed, in one piece. */
    void (*log)(void *arg, const char *line, size_t len);
    enum durable_log_level log_level; /* what is below is dropped */
    /* Threads that run branches at a time. 0: none, everything happens on the caller's thread, one
     * branch after the other, and an update that nobody waits for waits for the next one. */
    unsigned max_threads;
    void *arg;
};

#endif

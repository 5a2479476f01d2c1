/* invocation.h - one invocation of a durable function, from its event to its answer, without I/O of
 * its own. One thread. */
#ifndef DURABLE_INVOCATION_H
#define DURABLE_INVOCATION_H

#include "shared/base/buf.h"
#include "shared/durable/edge.h"

/* Borrowed for the call. */
struct invocation {
    const char *event;
    size_t event_len;
    const char *request_id;
    const char *trace_header; /* NULL: none */
    int64_t deadline_ms;
    const struct durable_edge *edge;
    const struct durable_serdes *serdes; /* of the execution's input and result; NULL: JSON */
};

/* Loads the state, runs `handler` and writes the answer to `response`. -1: there is none, *err
 * (with its type) is to be reported to Lambda, which invokes again. */
int invocation_run(const struct invocation *inv, durable_fn *handler, void *arg,
                   struct buf *response, struct error *err) CHECKED;

#endif

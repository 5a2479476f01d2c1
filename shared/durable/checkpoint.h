/* checkpoint.h - the one way of updates to the service, and of records back.
 *
 * Updates are queued in program order (checkpoint_add) and sent by checkpoint_flush in as few
 * requests as the limits allow. One request is in flight at a time, because each answer brings the
 * token of the next. An update that nobody waits for (the START of a step or of a context) stays in
 * the queue until something is flushed, so that START and end of a step share a request.
 *
 * A failure is final for the invocation: it is kept, what is queued is dropped, and every later
 * call says the same. One thread at a time. */
#ifndef DURABLE_CHECKPOINT_H
#define DURABLE_CHECKPOINT_H

#include "shared/durable/edge.h"
#include "shared/durable/update.h"

#define CHECKPOINT_BYTES   768000 /* of updates in a request; a larger one is sent alone */
#define CHECKPOINT_UPDATES 250
#define CHECKPOINT_PAGE    1000 /* MaxItems of a state page */

/* What becomes of the invocation (durable-protocol 5.6). */
enum checkpoint_result {
    CHECKPOINT_OK = 0,
    CHECKPOINT_CLOSED,     /* the service takes no more updates from this invocation: PENDING */
    CHECKPOINT_EXECUTION,  /* it refuses: the execution has failed */
    CHECKPOINT_INVOCATION, /* it cannot be reached or the token is spent: to be invoked again */
};

struct checkpoint;

/* All but the token and the ARN, which are copied, are borrowed and must outlive it. */
struct checkpoint *checkpoint_new(const char *arn, const char *token, struct journal *journal,
                                  const struct durable_edge *edge);
/* What is still queued is dropped. */
void checkpoint_free(struct checkpoint *c);
/* Loads the state pages from `marker` on into the journal ("" or NULL: there are none). */
enum checkpoint_result checkpoint_load(struct checkpoint *c, const char *marker,
                                       struct error *err) CHECKED;
/* Takes `u` over. */
void checkpoint_add(struct checkpoint *c, struct update *u);
/* Returns once everything queued is accepted and the journal has the service's answer. OK as well
 * where there is nothing to send. */
enum checkpoint_result checkpoint_flush(struct checkpoint *c, struct error *err) CHECKED;
/* Nothing can be recorded any more: a body that ran now would run for nothing. */
bool checkpoint_closed(const struct checkpoint *c);

#endif

/* checkpoint.h - the one way of updates to the service, and of records back.
 *
 * Updates are queued in program order (checkpoint_add) and sent in as few requests as the limits
 * allow. One request is in flight at a time, because each answer brings the token of the next; what
 * is queued meanwhile forms the next request. Whoever needs an update accepted flushes, and sends
 * where nobody else does. An update that nobody waits for (the START of a step or of a context) is
 * sent by a thread of this module once it is CHECKPOINT_LINGER_MS old: so a short step's START and
 * end share a request, and a long one's START is recorded while it runs; exit(3) in a body waits
 * for it.
 *
 * A failure is final for the invocation: it is kept, what is queued is dropped, and every later
 * call says the same. Any thread; the monitor must not be held unless said otherwise. */
#ifndef DURABLE_CHECKPOINT_H
#define DURABLE_CHECKPOINT_H

#include "shared/durable/edge.h"
#include "shared/durable/monitor.h"
#include "shared/durable/update.h"

#define CHECKPOINT_BYTES   768000 /* of updates in a request; a larger one is sent alone */
#define CHECKPOINT_UPDATES 250
#define CHECKPOINT_PAGE    1000 /* MaxItems of a state page */
/* Less than a request takes, more than a step that only computes. */
#define CHECKPOINT_LINGER_MS 5

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
                                  const struct durable_edge *edge, struct monitor *monitor);
/* What is still queued is dropped, the thread has ended. */
void checkpoint_free(struct checkpoint *c);
/* Loads the state pages from `marker` on into the journal ("" or NULL: there are none). */
enum checkpoint_result checkpoint_load(struct checkpoint *c, const char *marker,
                                       struct error *err) CHECKED;
/* Takes `u` over. With the monitor held. `lingers`: nobody is going to flush it soon. */
void checkpoint_add(struct checkpoint *c, struct update *u, bool lingers);
/* Returns once everything queued before the call is accepted and the journal has the service's
 * answer. OK as well where there is nothing to send. */
enum checkpoint_result checkpoint_flush(struct checkpoint *c, struct error *err) CHECKED;
/* The same, and no request is in flight: until something is queued, the journal does not change. */
enum checkpoint_result checkpoint_settle(struct checkpoint *c, struct error *err) CHECKED;
/* Asks what has changed: an empty request, unless one is under way. */
enum checkpoint_result checkpoint_poll(struct checkpoint *c, struct error *err) CHECKED;
/* Nothing can be recorded any more: a body that ran now would run for nothing. With the monitor
 * held. */
bool checkpoint_closed(const struct checkpoint *c);

#endif

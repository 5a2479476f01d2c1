/* chained.h - CHAINED_INVOKE: an operation that invokes another function and ends as that ends
 * (durable-protocol section 10.6). A durable target is an execution of its own that knows its
 * parent; the call of a plain one is kept in the store until it has ended, and made again after a
 * crash, so a plain target may see one call twice. Nothing of the parent's end reaches the target.
 * The loop's thread only. */
#ifndef LOCAL_AWS_CHAINED_H
#define LOCAL_AWS_CHAINED_H

#include "local/aws/lambda_state.h"
#include "local/aws/update.h"

/* Invokes what the START says, after `op` was added in STARTED, and writes its event. A target that
 * is not there, is durable and not qualified, or has too much waiting for it, ends the operation as
 * FAILED at once. */
void chained_begin(struct lambda *l, struct execution *e, struct operation *op,
                   const struct update *u, int64_t now_ms);
/* An execution has ended (its record says how): ends the operation that waits for it, if any. */
void chained_ended(struct lambda *l, const struct execution *child);
/* Makes the calls again that the store has; the executions that run must be loaded. */
void chained_resume(struct lambda *l);
/* Forgets the calls in progress; the functions are gone already. */
void chained_free(struct lambda *l);

#endif

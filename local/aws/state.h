/* state.h - the state of an execution as its handler is told it: the event that begins an
 * invocation, and the pages behind it (durable-protocol sections 1.6, 2.4 and 10.2).
 *
 * A page begins at an operation's number; number 0 is the EXECUTION operation. Markers are such
 * numbers, and new to the reader. Pure; the loop's thread only. */
#ifndef LOCAL_AWS_STATE_H
#define LOCAL_AWS_STATE_H

#include "local/aws/execution.h"

/* The invocation event: arn, token, the first page of the state, what changed unseen. */
void state_write_event(struct buf *out, const struct execution *e);
/* [Operation, ...] from number `from` on, at most `max_items`, and about PAGE_BYTES; returns the
 * number at which the next page begins, or 0 where this was the last. */
uint32_t state_write_page(struct buf *out, const struct execution *e, uint32_t from,
                          size_t max_items, enum time_format format);
/* What the handler has not seen, in the order of the changes: [Operation, ...]. */
void state_write_unseen(struct buf *out, const struct execution *e);

#endif

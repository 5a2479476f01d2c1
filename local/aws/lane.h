/* lane.h - an execution's life between start and end: its invocations one after the other, what
 * triggers the next, what their ends mean (durable-protocol sections 10.2 to 10.5).
 *
 *     IDLE --trigger--> QUEUED --an environment takes it--> RUNNING --PENDING--> IDLE, or QUEUED
 *                                                              |     where something is unseen
 *                                                              +--failed--> BACKOFF --time-->
 * QUEUED All that a call changes is in the store when it returns. The loop's thread only. */
#ifndef LOCAL_AWS_LANE_H
#define LOCAL_AWS_LANE_H

#include "local/aws/lambda_state.h"

/* Enters a new or loaded execution into the table of running ones and goes on with it: loaded ones
 * that were in an invocation count that as crashed. */
void lane_begin(struct lambda *l, struct execution *e);
void lane_resume(struct lambda *l, struct execution *e);
/* Something changed that the handler has not seen. */
void lane_trigger(struct lambda *l, struct execution *e);
/* Applies what is due at `now_ms` (finished waits, steps that are ready again, timeouts of
 * callbacks), without a trigger. True where something changed. */
bool lane_apply_due(struct lambda *l, struct execution *e, int64_t now_ms);
/* Ends an operation; its result or error is there already. Without a trigger. */
void lane_close_operation(struct lambda *l, struct execution *e, struct operation *op,
                          enum operation_status status, int64_t now_ms);
/* Sets the timer anew after a change of due times. */
void lane_set_timer(struct lambda *l, struct execution *e);
/* Ends the execution; `result` (NULL: none) is copied, `error` too. Synchronous callers get their
 * answers, and the execution leaves memory, when the caller has returned to the loop (or, where its
 * invocation runs, when that has ended). */
void lane_close(struct lambda *l, struct execution *e, enum execution_status status,
                const char *result, size_t result_len, const char *error);

#endif

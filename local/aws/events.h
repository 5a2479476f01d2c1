/* events.h - writes the history of an execution: one event for each thing that happens, in the
 * order of durable-protocol section 9. The loop's thread only. */
#ifndef LOCAL_AWS_EVENTS_H
#define LOCAL_AWS_EVENTS_H

#include "local/aws/execution_store.h"

/* Each appends one event with the next id, at the time `now_ms`. */
void event_execution_started(struct execution_store *s, struct execution *e, int64_t now_ms);
/* Succeeded, Failed, TimedOut or Stopped, by the execution's status. */
void event_execution_closed(struct execution_store *s, struct execution *e, int64_t now_ms);
/* ContextStarted, StepStarted, WaitStarted, CallbackStarted. */
void event_operation_started(struct execution_store *s, struct execution *e,
                             const struct operation *op, int64_t now_ms);
/* ChainedInvokeStarted; every member but the name may be NULL: then it is not shown. */
struct event_chained {
    const char *function_name; /* as the caller wrote it */
    const char *tenant;
    const char *input;
    size_t input_len;
    const char *version;       /* of the target */
    const char *execution_arn; /* of a durable target */
};
void event_chained_started(struct execution_store *s, struct execution *e,
                           const struct operation *op, const struct event_chained *details,
                           int64_t now_ms);
/* What the operation's status says: WaitSucceeded, StepFailed, CallbackTimedOut, ... */
void event_operation_closed(struct execution_store *s, struct execution *e,
                            const struct operation *op, int64_t now_ms);
/* An attempt of a step that will be repeated: StepFailed, or StepSucceeded where it left a state.
 */
void event_step_retried(struct execution_store *s, struct execution *e, const struct operation *op,
                        int64_t delay_s, int64_t now_ms);
/* The end of the invocation `request_id`; `error` is an ErrorObject's text, or NULL. */
void event_invocation_completed(struct execution_store *s, struct execution *e,
                                const char *request_id, int64_t begun_ms, const char *error,
                                int64_t now_ms);

#endif

/* invoke.h - Invoke: durable and plain functions (durable-protocol section 1.4). The loop's thread
 * only. */
#ifndef LOCAL_AWS_INVOKE_H
#define LOCAL_AWS_INVOKE_H

#include "local/aws/aws_api.h"
#include "local/aws/lambda_state.h"

void invoke_run(struct lambda *l, struct aws_request *r);
/* Answers the synchronous callers of an execution that has ended. */
void invoke_answer_waiters(struct execution *e);
/* Closes their connections: local-aws stops. */
void invoke_drop_waiters(struct execution *e);

#endif

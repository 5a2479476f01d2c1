/* callback.h - SendDurableExecutionCallbackSuccess, Failure and Heartbeat (durable-protocol
 * sections 1.11 and 10.4). The loop's thread only. */
#ifndef LOCAL_AWS_CALLBACK_H
#define LOCAL_AWS_CALLBACK_H

#include "local/aws/aws_api.h"
#include "local/aws/lambda_state.h"

void callback_succeed_run(struct lambda *l, struct aws_request *r);
void callback_fail_run(struct lambda *l, struct aws_request *r);
void callback_heartbeat_run(struct lambda *l, struct aws_request *r);

#endif

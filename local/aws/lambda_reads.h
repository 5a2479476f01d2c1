/* lambda_reads.h - what is asked of executions from outside: GetDurableExecution,
 * GetDurableExecutionHistory, ListDurableExecutionsByFunction, and StopDurableExecution
 * (durable-protocol sections 1.7 to 1.10). The loop's thread only. */
#ifndef LOCAL_AWS_LAMBDA_READS_H
#define LOCAL_AWS_LAMBDA_READS_H

#include "local/aws/aws_api.h"
#include "local/aws/lambda_state.h"

void lambda_get_run(struct lambda *l, struct aws_request *r);
void lambda_history_run(struct lambda *l, struct aws_request *r);
void lambda_list_run(struct lambda *l, struct aws_request *r);
void lambda_stop_run(struct lambda *l, struct aws_request *r);

#endif

/* checkpoint.h - CheckpointDurableExecution and GetDurableExecutionState. The loop's thread only.
 */
#ifndef LOCAL_AWS_CHECKPOINT_H
#define LOCAL_AWS_CHECKPOINT_H

#include "local/aws/aws_api.h"
#include "local/aws/lambda_state.h"

void checkpoint_run(struct lambda *l, struct aws_request *r);
void checkpoint_state_run(struct lambda *l, struct aws_request *r);

#endif

/* checkpoint_apply.h - applies a batch of updates that has been found valid
 * (durable-protocol sections 3.3 and 9.3). The loop's thread only. */
#ifndef LOCAL_AWS_CHECKPOINT_APPLY_H
#define LOCAL_AWS_CHECKPOINT_APPLY_H

#include "local/aws/lambda_state.h"
#include "local/aws/update.h"

/* In order: changes the operations, writes them and one event each; an EXECUTION update closes the
 * execution. */
void checkpoint_apply(struct lambda *l, struct execution *e, const struct update_list *updates,
                      int64_t now_ms);

#endif

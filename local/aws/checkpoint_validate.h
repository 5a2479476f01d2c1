/* checkpoint_validate.h - whether a batch of updates may be applied: the transition table and the
 * rules across updates (durable-protocol sections 3.3 and 3.4). Pure: changes nothing, so that a
 * refused batch leaves no trace. */
#ifndef LOCAL_AWS_CHECKPOINT_VALIDATE_H
#define LOCAL_AWS_CHECKPOINT_VALIDATE_H

#include "local/aws/execution.h"
#include "local/aws/update.h"

#define CHECKPOINT_UPDATES  250     /* in one request */
#define PAYLOAD_MAX         262144  /* of an operation's result */
#define CHAINED_PAYLOAD_MAX 1048576 /* of a chained invoke's input */

/* -1: err->type is the service's code and err->msg its text. */
int checkpoint_validate(const struct execution *e, const struct update_list *updates,
                        struct error *err) CHECKED;

#endif

/* outcome.h - what a durable function answers: the envelope {"Status","Result","Error"}
 * (durable-protocol section 2.5). Pure. */
#ifndef LOCAL_AWS_OUTCOME_H
#define LOCAL_AWS_OUTCOME_H

#include "local/aws/execution.h"

struct envelope {
    enum execution_status status; /* EX_RUNNING: PENDING, the execution goes on */
    char *result;                 /* NULL: none */
    size_t result_len;
    char *error; /* ErrorObject text, or NULL */
};

/* Reads an answer; one that is no envelope, or PENDING where nothing `is_pending`, is read as the
 * failure that the service makes of it. Release it. */
void envelope_read(struct envelope *out, const char *body, size_t len, bool is_pending);
void envelope_release(struct envelope *e);

#endif

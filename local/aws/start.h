/* start.h - begins a durable execution. The loop's thread only. */
#ifndef LOCAL_AWS_START_H
#define LOCAL_AWS_START_H

#include "local/aws/lambda_state.h"

struct start {
    struct function *function;
    const char *version; /* all copied */
    const char *name;    /* NULL: a random one */
    const char *input;   /* NULL: none */
    size_t input_len;
    const char *trace;              /* X-Ray header; NULL: a new one */
    const char *tenant;             /* NULL: none */
    const struct execution *parent; /* whose chained invoke it is; NULL: nobody's */
    uint32_t parent_operation;
};

/* The execution is in the store and its first invocation waits. Owned by the table of running
 * executions. */
struct execution *start_execution(struct lambda *l, const struct start *s);
/* The record of an execution of that name which is still kept, or NULL. The caller's. */
struct execution *start_find_name(struct lambda *l, const char *name) CHECKED;
/* A header for what begins here (not sampled); the caller's. */
char *start_new_trace(int64_t now_ms) CHECKED;
/* Too much waits for this function already. */
bool start_is_full(const struct function *f);

#endif

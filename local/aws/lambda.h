/* lambda.h - the emulated Lambda service: functions, their processes, durable executions.
 *
 * It registers itself with the AWS port (aws_api.h). The loop's thread only. */
#ifndef LOCAL_AWS_LAMBDA_H
#define LOCAL_AWS_LAMBDA_H

#include "local/local.h"

struct lambda;

/* Loads what the store has and goes on with it once the loop runs. `local` is borrowed; its api
 * must be there. NULL with *err where the tables are another version's. */
struct lambda *lambda_new(const struct local *local, struct error *err) CHECKED;
/* Ends the processes of all functions (SIGKILL); executions stay in the store. Open lambda_calls
 * are done with a failure, synchronous callers are cut off. Takes NULL. */
void lambda_free(struct lambda *l);

/* What a plain (not durable) invocation gave. */
struct lambda_outcome {
    bool failed;         /* the function's own error, a crash or a timeout */
    const char *payload; /* the answer, or {"errorType","errorMessage"}; NUL-terminated */
    size_t len;
    const char *log; /* the end of what it printed; NULL: not known */
    size_t log_len;
};
typedef void lambda_done_fn(void *arg, const struct lambda_outcome *outcome);

/* All copied. */
struct lambda_request {
    const char *function;   /* its name */
    const char *version;    /* NULL: $LATEST */
    const char *request_id; /* NULL: a new one */
    const char *payload;
    size_t len;
    const char *trace;  /* X-Ray header; NULL: a new one */
    const char *tenant; /* of tenant isolation; NULL: none */
};
/* Invokes a plain function; `done` is called exactly once, later, except where this returns -1
 * (ERR_NOT_FOUND, ERR_INVALID for a durable function, ERR_THROTTLED where too much waits for it),
 * and not after lambda_free. */
int lambda_call(struct lambda *l, const struct lambda_request *req, lambda_done_fn *done, void *arg,
                struct error *err) CHECKED;
/* Adds [{"name","durable","environments":[...],...}]: the functions and what runs of them. */
struct buf;
void lambda_describe(const struct lambda *l, struct buf *out);
/* The services' time runs otherwise than before: all that waits for it is looked at anew. */
void lambda_time_changed(struct lambda *l);
/* SIGKILL to every process of the function; new ones are started as they are needed. */
void lambda_kill_function(struct lambda *l, const char *name);

#endif

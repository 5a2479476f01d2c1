/* async.h - asynchronous invocations (InvocationType Event) of plain functions.
 *
 * One that was accepted is in the store until it has ended: after a kill -9 it is made again, as a
 * try that was under way is, which does not count. One that fails is tried again as Lambda does it,
 * by the function's "async" (config.h): a minute and then two minutes later, with the same request
 * id and trace, until its retries are used up or it is too old. What is given up is logged, and its
 * record goes to the function that "onFailure" names, as an asynchronous invocation of its own.
 * https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
 *
 * Payloads are in the store alone until a process takes them. The loop's thread only. */
#ifndef LOCAL_AWS_ASYNC_H
#define LOCAL_AWS_ASYNC_H

#include "local/aws/lambda_state.h"

struct async;

/* NULL with *err where the tables are another version's. `l` is borrowed; its functions and, before
 * async_resume, its store must be there. */
struct async *async_new(struct lambda *l, struct error *err) CHECKED;
/* Goes on with what the store has; the functions must be loaded. */
void async_resume(struct async *a);
/* What waits stays in the store. The functions are gone already; takes NULL. */
void async_free(struct async *a);

struct async_request {
    const char *function; /* a plain one's name; all copied */
    const char *version;
    const char *request_id;
    const char *payload;
    size_t len;
    const char *trace;  /* X-Ray header; NULL: a new one */
    const char *tenant; /* NULL: none */
};
/* Takes it up: it is in the store, or the store has failed, when this returns. False: as many wait
 * as may. */
bool async_invoke(struct async *a, const struct async_request *req) CHECKED;
/* The services' time runs otherwise than before. */
void async_time_changed(struct async *a);

#endif

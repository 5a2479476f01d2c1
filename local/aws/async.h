/* async.h - asynchronous invocations (InvocationType Event) of plain functions. One that fails is
 * tried again as Lambda does it: twice, a minute and then two minutes later; while too much waits
 * for the function, later without counting; until it is six hours old. What is given up is logged.
 * https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
 *
 * They are kept in memory: a local-aws that ends forgets them. The loop's thread only. */
#ifndef LOCAL_AWS_ASYNC_H
#define LOCAL_AWS_ASYNC_H

#include "local/aws/lambda_state.h"

/* Takes it up; `req` is copied. -1 as lambda_call. */
int async_invoke(struct lambda *l, const struct lambda_request *req, struct error *err) CHECKED;
/* The services' time runs otherwise than before. */
void async_time_changed(struct lambda *l);
/* Forgets those that wait for their next try. */
void async_free(struct lambda *l);

#endif

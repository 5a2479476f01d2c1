/* callback.h - SendDurableExecutionCallbackSuccess, Failure and Heartbeat (durable-protocol
 * sections 1.11 and 10.4). The loop's thread only. */
#ifndef LOCAL_AWS_CALLBACK_H
#define LOCAL_AWS_CALLBACK_H

#include "local/aws/aws_api.h"
#include "local/aws/lambda_state.h"

#define CALLBACK_RESULT_MAX 262144 /* bytes */

/* Applies what is due first: deadlines count when somebody asks. */
bool callback_is_open(struct lambda *l, struct execution *e, const struct operation *op) CHECKED;
/* Each completes, or prolongs, an open one. -1: err->type is the service's code, or "". */
int callback_succeed(struct lambda *l, struct execution *e, struct operation *op,
                     const char *result, size_t len, struct error *err) CHECKED;
/* `error` is an ErrorObject's text, or NULL. */
void callback_fail(struct lambda *l, struct execution *e, struct operation *op, const char *error);
void callback_heartbeat(struct lambda *l, struct execution *e, struct operation *op);

/* The operations of the API. */
void callback_succeed_run(struct lambda *l, struct aws_request *r);
void callback_fail_run(struct lambda *l, struct aws_request *r);
void callback_heartbeat_run(struct lambda *l, struct aws_request *r);

#endif

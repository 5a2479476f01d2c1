/* lambda_client.h - the calls to Lambda that our programs make. Threads and errors: aws.h.
 * https://docs.aws.amazon.com/lambda/latest/api/ : Invoke, CheckpointDurableExecution,
 * GetDurableExecutionState, GetDurableExecution, GetDurableExecutionHistory, StopDurableExecution,
 * SendDurableExecutionCallbackSuccess, -Failure, -Heartbeat. */
#ifndef AWS_LAMBDA_CLIENT_H
#define AWS_LAMBDA_CLIENT_H

#include "shared/aws/aws.h"

struct lambda_invoke {
    const char *function;       /* name, ARN or partial ARN; may carry the qualifier */
    const char *qualifier;      /* NULL: none */
    const char *type;           /* "Event", "RequestResponse" or "DryRun" */
    const char *execution_name; /* durable functions; NULL: none */
    const char *trace_header;   /* X-Amzn-Trace-Id; NULL: none */
    const void *payload;
    size_t payload_len;
};

struct lambda_invoked {
    int status;
    char *execution_arn;  /* NULL for a function that is not durable */
    char *function_error; /* "Unhandled", "Handled", or NULL */
    char *version;        /* X-Amz-Executed-Version, or NULL */
    char *payload;        /* NUL-terminated */
    size_t payload_len;
};

/* 409 is ERR_CONFLICT with type DurableExecutionAlreadyStartedException. Without an execution name
 * a call is never repeated, since each one would start another execution. */
int lambda_invoke(struct aws *a, const struct lambda_invoke *req, struct lambda_invoked *out,
                  struct error *err) CHECKED;
void lambda_invoked_release(struct lambda_invoked *r);

/* `body` is the whole request, with its ClientToken: retries send the same bytes. *out is the
 * answer. */
int lambda_checkpoint(struct aws *a, const char *arn, const char *body, size_t len,
                      struct json_object **out, struct error *err) CHECKED;
/* `marker` NULL: the first page. */
int lambda_get_state(struct aws *a, const char *arn, const char *checkpoint_token,
                     const char *marker, unsigned max_items, struct json_object **out,
                     struct error *err) CHECKED;
int lambda_get_execution(struct aws *a, const char *arn, struct json_object **out,
                         struct error *err) CHECKED;
/* One page, oldest first, with the execution's data where `with_data`; max_items 0: the service's
 * 100. */
int lambda_get_history(struct aws *a, const char *arn, bool with_data, const char *marker,
                       unsigned max_items, struct json_object **out, struct error *err) CHECKED;
/* Either of type and message may be NULL. May arrive twice: what AWS answers to stopping a closed
 * execution is not documented, so that a refusal (ERR_INVALID, ERR_CONFLICT) may be its own doing.
 */
int lambda_stop(struct aws *a, const char *arn, const char *error_type, const char *error_message,
                struct error *err) CHECKED;
/* A callback that is closed is ERR_GONE with type CallbackTimeoutException. Success and failure are
 * sent once and never repeated here: where the answer is lost (ERR_NET, ERR_TIMEOUT), the caller
 * must know that a later "closed" may be its own doing. */
int lambda_callback_success(struct aws *a, const char *callback_id, const void *result, size_t len,
                            struct error *err) CHECKED;
/* `error_object` is the JSON text of an ErrorObject. */
int lambda_callback_failure(struct aws *a, const char *callback_id, const char *error_object,
                            struct error *err) CHECKED;
/* The same among others that a pool drives; see aws_start. */
struct lambda_callback {
    const char *callback_id; /* borrowed for the start, `body` until `done` */
    bool failed;             /* body is an ErrorObject, not a result */
    const void *body;
    size_t len;
    aws_done_fn *done; /* 2xx, or the error of lambda_callback_success or _failure */
    void *arg;
    struct aws_started started; /* private */
};
int lambda_callback_start(struct aws *a, struct http_pool *pool, struct lambda_callback *c,
                          struct error *err) CHECKED;
int lambda_callback_heartbeat(struct aws *a, const char *callback_id, struct error *err) CHECKED;

#endif

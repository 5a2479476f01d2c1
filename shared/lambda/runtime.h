/* runtime.h - the loop of a custom Lambda runtime.
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 *
 * One invocation at a time: GET next (no time limit, the sandbox may be frozen meanwhile), handler,
 * POST response or error. Losing an answer post or a single `next` does not end the loop; a 5xx
 * from the Runtime API does, as AWS asks for, and so does a `next` that fails for give_up_ms on
 * end. Connections are kept open between the requests. One thread.
 *
 * A handler that is not done by the deadline is killed with its sandbox, and Lambda may invoke it
 * again: what it calls must give up before, see lambda_call_deadline. */
#ifndef LAMBDA_RUNTIME_H
#define LAMBDA_RUNTIME_H

#include "shared/aws/http.h"
#include "shared/base/log.h"

/* Borrowed for the handler's call. */
struct lambda_invocation {
    const char *request_id;
    const char *function_arn;
    const char *trace_id; /* X-Ray header, or "" */
    int64_t deadline_ms;  /* wall clock: the sandbox is killed then; 0: not told */
    const char *payload;  /* NUL-terminated */
    size_t payload_len;
};

/* When the calls of an invocation must have ended, as aws_set_deadline takes it (monotonic clock,
 * ms): at its deadline less reserve_ms, which is for what comes behind the calls, and is cut to
 * half of what is left; never 0, which would be no limit, unless deadline_ms is. Any thread. */
int64_t lambda_call_deadline(const struct clock *clock, int64_t deadline_ms, int64_t reserve_ms);

/* Returns 0 with the response's JSON text in `response` (at most 6 MiB, Lambda's limit), or -1 with
 * *err: posted to /error with err->type (or "HandlerError") as errorType and err->msg. Types that
 * begin with "Runtime." are Lambda's own: it invokes again at once after those. */
typedef int lambda_handler_fn(const struct lambda_invocation *inv, void *arg, struct buf *response,
                              struct error *err);

struct lambda_runtime_config {
    const char *api; /* AWS_LAMBDA_RUNTIME_API: host:port */
    struct log *log; /* requestId is set on it for each invocation */
    const struct clock *clock;
    unsigned max_invocations; /* 0: no end; tests use it */
    int64_t give_up_ms;       /* how long `next` may fail without a break; 0: 10,000 */
    /* Once it is true no further invocation is taken; one that runs is finished. May be NULL. */
    const atomic_bool *stop;
};

/* Serves until the Runtime API ends it. 0: max_invocations reached, or stopped. -1: *err says why
 * the loop cannot go on. */
int lambda_runtime_run(const struct lambda_runtime_config *cfg, lambda_handler_fn *handler,
                       void *arg, struct error *err) CHECKED;
/* Reports that the function could not start (POST init/error); the caller then exits non-zero. */
void lambda_runtime_init_error(const struct lambda_runtime_config *cfg, const struct error *why);

#endif

/* lambda_state.h - what the files of the Lambda emulation share. Not for other parts: lambda.h is
 * theirs. The loop's thread only. */
#ifndef LOCAL_AWS_LAMBDA_STATE_H
#define LOCAL_AWS_LAMBDA_STATE_H

#include "local/aws/execution_store.h"
#include "local/aws/function.h"
#include "local/aws/lambda.h"
#include "local/aws/map.h"

struct plain_call;
struct chained_call;
struct async;

#define PAGE_BYTES (5U << 20) /* of operations or events in one answer */

struct lambda {
    const struct local *local;
    struct execution_store *store;
    struct function **functions;
    size_t function_count;
    struct map by_name; /* functions */
    struct map running; /* executions by id: those that run, or whose last invocation still does */
    struct execution **closed; /* just now: their callers are to be answered (lane.c) */
    size_t closed_count;
    struct loop_timer *settle;
    struct loop_timer *purge;
    struct plain_call *plain;     /* plain invocations that are not done (lambda.c) */
    struct chained_call *chained; /* the same of chained invokes (chained.c) */
    struct async *async;          /* asynchronous ones (async.c) */
};

static inline int64_t lambda_now_ms(const struct lambda *l)
{
    return clock_wall_ms(l->local->clock);
}

#endif

/* execution.h - one durable execution in memory: its record, its operations and what the handler
 * has not seen of them yet.
 *
 * Running executions are in memory, and all of it is in the store as well (execution_store.h).
 * This file knows neither store nor timers: it keeps the lists. The loop's thread only. */
#ifndef LOCAL_AWS_EXECUTION_H
#define LOCAL_AWS_EXECUTION_H

#include "local/aws/map.h"
#include "local/aws/names.h"
#include "local/aws/operation.h"
#include "local/config.h"

#define EXECUTION_OPERATIONS 3000        /* metered operations an execution may have */
#define EXECUTION_BYTES      104857600UL /* of payloads and errors that it may have written */

enum execution_status {
    EX_RUNNING,
    EX_SUCCEEDED,
    EX_FAILED,
    EX_TIMED_OUT,
    EX_STOPPED,
};
#define EXECUTION_STATUSES 5

/* Where the execution stands between its invocations. */
enum lane_state {
    LANE_IDLE,    /* suspended: waits for a trigger */
    LANE_QUEUED,  /* waits for an environment */
    LANE_RUNNING, /* an invocation runs */
    LANE_BACKOFF, /* waits for retry_at_ms after a failed invocation */
};

struct loop_timer;
struct aws_request;
struct invocation;
struct function;
struct lambda;

/* The latest checkpoint, for a client that did not get its answer. */
struct checkpoint_replay {
    char client_token[65];
    char token[CHECKPOINT_TOKEN]; /* the one that the request brought */
    char *answer;                 /* NULL: none kept */
    size_t answer_len;
};

/* A synchronous caller that waits for the end. */
struct execution_waiter {
    struct aws_request *request;
    struct execution_waiter *next;
};

struct execution {
    struct lambda *lambda;
    int64_t row; /* in the store */
    char id[RANDOM_UUID];
    char *arn;
    char *name;
    char *version;
    char *function_name;
    struct function *function;
    enum execution_status status;
    int64_t start_ms, end_ms, timeout_at_ms;
    int64_t timeout_s;
    char *input; /* NULL: none was given */
    size_t input_len;
    char *result;
    size_t result_len;
    char *error;              /* ErrorObject text, or NULL */
    char *trace;              /* X-Ray header, or NULL */
    char *tenant;             /* of tenant isolation, or NULL */
    char parent[RANDOM_UUID]; /* the execution whose chained invoke it is; "": none */
    uint32_t parent_operation;
    int64_t events; /* written so far */

    struct operation **ops; /* ops[i]->number == i + 1 */
    size_t op_count, op_cap;
    struct map by_id;
    size_t pending; /* operations for which operation_is_pending holds */
    size_t ready;   /* steps in READY */
    size_t metered;
    size_t written; /* bytes of payloads and errors of its checkpoints */
    struct operation *unseen_first, *unseen_last; /* in the order of their changes */
    struct operation *timed;

    enum lane_state lane;
    unsigned failures; /* in a row */
    int64_t retry_at_ms;
    uint64_t invocations;         /* begun so far */
    char request_id[RANDOM_UUID]; /* of the running invocation */
    int64_t invoked_ms;
    struct invocation *invocation; /* queued or running */
    char token[CHECKPOINT_TOKEN];  /* "": no checkpoint is taken */
    struct checkpoint_replay replay;

    struct loop_timer *timer; /* for the earliest due time */
    struct execution_waiter *waiters;
    bool settling; /* lane.c */
};

struct execution *execution_new(void) CHECKED;
void execution_free(struct execution *e);
const char *execution_status_name(enum execution_status status);
int execution_status_parse(const char *word, enum execution_status *status);

struct operation *execution_find(const struct execution *e, const char *id) CHECKED;
/* By its number, or NULL. */
struct operation *execution_operation(const struct execution *e, uint32_t number) CHECKED;
/* Adds an operation in STARTED at the end, with its id (copied) and number; the caller fills the
 * rest and then calls execution_changed, without execution_touch. */
struct operation *execution_add(struct execution *e, const char *id, enum operation_type type);
/* Before and after an operation's status or times change: keeps the counters and lists right. The
 * change is unseen until execution_seen. */
void execution_touch(struct execution *e, struct operation *op);
void execution_changed(struct execution *e, struct operation *op);
/* The handler has been told everything. */
void execution_seen(struct execution *e);
/* The earliest time at which something comes due by itself (an operation, the execution's timeout,
 * a retry after a failed invocation), or 0. */
int64_t execution_due_ms(const struct execution *e);
/* The operation that is due first, at `now` or before; NULL where none is. */
struct operation *execution_due(const struct execution *e, int64_t now_ms) CHECKED;

/* The EXECUTION operation as JSON. */
void execution_write_operation(struct buf *out, const struct execution *e, enum time_format format);

#endif

/* operation.h - one checkpointed unit of a durable execution: its record and how it is shown
 * (durable-protocol section 3.1). One thread at a time. */
#ifndef LOCAL_AWS_OPERATION_H
#define LOCAL_AWS_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buf.h"

enum operation_type {
    OP_EXECUTION,
    OP_CONTEXT,
    OP_STEP,
    OP_WAIT,
    OP_CALLBACK,
    OP_CHAINED_INVOKE,
};
#define OPERATION_TYPES 6

enum operation_status {
    OP_STARTED,
    OP_PENDING,
    OP_READY,
    OP_SUCCEEDED,
    OP_FAILED,
    OP_CANCELLED,
    OP_TIMED_OUT,
    OP_STOPPED,
};
#define OPERATION_STATUSES 8

struct operation {
    uint32_t number; /* in start order, from 1; 0 is the execution itself */
    char *id;
    char *name; /* NULL where not given, as the next two */
    char *sub_type;
    struct operation *parent; /* a CONTEXT */
    enum operation_type type;
    enum operation_status status;
    int64_t start_ms, end_ms;               /* wall clock; end_ms 0 while open */
    bool replay_children;                   /* CONTEXT */
    int64_t attempt;                        /* STEP: finished attempts */
    int64_t due_ms;                         /* WAIT: end; STEP: next attempt; 0: none */
    int64_t wait_s;                         /* WAIT */
    char *callback_id;                      /* CALLBACK, a secret */
    int64_t timeout_s, heartbeat_s;         /* CALLBACK; 0: none */
    int64_t timeout_at_ms, heartbeat_at_ms; /* CALLBACK; 0: none */
    char *result;                           /* NULL: none */
    size_t result_len;
    char *error; /* an ErrorObject's JSON text, or NULL */

    struct operation *unseen_prev, *unseen_next; /* execution.h: changes the handler hasn't seen */
    bool unseen;
    struct operation *timed_prev, *timed_next; /* execution.h: what has a due time */
    bool timed;
};

void operation_free(struct operation *op);

const char *operation_type_name(enum operation_type type);
const char *operation_status_name(enum operation_status status);
/* -1 for another word. */
int operation_type_parse(const char *word, enum operation_type *type);

bool operation_is_closed(const struct operation *op);
/* It may end or come due by itself: with such an operation an invocation may answer PENDING. */
bool operation_is_pending(const struct operation *op);
/* When it comes due by itself, or 0: the earliest of its times. */
int64_t operation_due_ms(const struct operation *op);
/* It belongs to a finished context that will not be replayed, so no handler needs it. */
bool operation_is_pruned(const struct operation *op);

/* Timestamps are epoch milliseconds in invocation events and epoch seconds everywhere else. */
enum time_format {
    TIME_SECONDS,
    TIME_MILLISECONDS
};
void time_write(struct buf *out, int64_t wall_ms, enum time_format format);
/* The Operation as JSON. */
void operation_write(struct buf *out, const struct operation *op, enum time_format format);

#endif

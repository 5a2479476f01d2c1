/* journal.h - what is recorded of an execution: its operations by wire id.
 *
 * Records come from the invocation event, from state pages and from the answers to checkpoints; a
 * later record replaces an earlier one of the same id as a whole, so merging twice changes nothing.
 * A record never changes and lives as long as the journal: whoever found one may go on reading it
 * while later ones come in. One thread at a time. */
#ifndef DURABLE_JOURNAL_H
#define DURABLE_JOURNAL_H

#include "shared/base/error.h"
#include "shared/durable/durable.h"

enum op_type {
    OP_UNKNOWN = 0,
    OP_EXECUTION,
    OP_CONTEXT,
    OP_STEP,
    OP_WAIT,
    OP_CALLBACK,
    OP_CHAINED_INVOKE,
};

enum op_status {
    OP_NONE = 0, /* no record, or a status of a later version of the service */
    OP_STARTED,
    OP_PENDING,
    OP_READY,
    OP_SUCCEEDED, /* this one and what follows are final */
    OP_FAILED,
    OP_CANCELLED,
    OP_TIMED_OUT,
    OP_STOPPED,
};

struct operation {
    char *id;
    char *parent_id; /* NULL at the root */
    char *name;      /* NULL: none */
    char *subtype;   /* NULL: none */
    enum op_type type;
    enum op_status status;
    int64_t start_ms;
    int64_t end_ms;       /* 0: it has not ended */
    int64_t scheduled_ms; /* end of a wait, next attempt of a step; 0: none */
    unsigned attempts;    /* finished attempts of a step */
    bool replay_children;
    bool has_error;
    char *payload; /* the result, or the execution's input; NULL: none */
    size_t payload_len;
    char *callback_id;          /* a secret */
    struct operation *replaced; /* the journal's */
    struct durable_error error;
};

struct journal;

struct journal *journal_new(void);
void journal_free(struct journal *j);
/* Takes in `operations`, an array of Operation objects (NULL: none). -1 with ERR_PROTOCOL where one
 * has no usable Id, ERR_TOO_LARGE where there are more than any execution can have. */
int journal_merge(struct journal *j, const struct json_object *operations,
                  struct error *err) CHECKED;
/* The latest record, or NULL. */
const struct operation *journal_find(const struct journal *j, const char *id);
/* The EXECUTION operation, or NULL. */
const struct operation *journal_execution(const struct journal *j);
size_t journal_count(const struct journal *j);
/* How many records were merged that had ended or were READY: what somebody may wait for. */
size_t journal_moves(const struct journal *j);
/* The record of move `i`, from 0 on. */
const struct operation *journal_move(const struct journal *j, size_t i);

/* OP_NONE for no record. */
enum op_status operation_status(const struct operation *op);
bool operation_ended(const struct operation *op);
const char *op_type_name(enum op_type type);
/* A Timestamp in ms, however it is encoded: a number is epoch seconds below 1e11 and ms above, a
 * string RFC 3339; 0 where it is none of them. */
int64_t operation_time_ms(const struct json_object *o, const char *key);

#endif

/* ctx.h - the context and what all operations share.
 *
 * An `execution` is one invocation's view of a durable execution: journal, checkpoint queue and the
 * failure that ended it, if one did. A durable_ctx is a place in the program (the handler, or the
 * body of a child or a branch) with its own counter of operations. An operation is: op_begin
 * (latch, id, record, consistency), then by the record's status either the recorded outcome or
 * updates through op_send and ctx_flush; what blocks goes through ctx_await, which notes on the
 * context's strand what is waited for, and suspends.
 *
 * A context is used by one thread at a time; contexts of the same execution share the execution,
 * whose monitor guards what changes in it. */
#ifndef DURABLE_CTX_H
#define DURABLE_CTX_H

#include "shared/durable/checkpoint.h"
#include "shared/durable/opid.h"
#include "shared/durable/payload.h"
#include "shared/durable/strand.h"

#define VALIDATION_TYPE      "ValidationError"
#define NON_DETERMINISM_TYPE "NonDeterministicExecutionError"
#define DURATION_MAX_S       31622400

struct execution {
    const char *arn;
    char *name; /* owned: the record can be replaced */
    const char *request_id;
    const char *trace_header; /* NULL: none */
    int64_t start_ms;
    int64_t deadline_ms;
    const struct durable_edge *edge;
    struct checkpoint *checkpoint;
    struct codec codec; /* of input and result */
    pthread_mutex_t log_lock;
    struct monitor monitor; /* guards what follows */
    struct journal *journal;
    /* CHECKPOINT_OK: nothing has ended it. EXECUTION and INVOCATION latch every context. */
    enum checkpoint_result ended;
    struct durable_error why;
    unsigned threads;  /* that run branches */
    unsigned starving; /* batches that are short of them */
    int64_t asked_ms;  /* wall clock: when the service was asked last, 0: not yet */
};

struct durable_ctx {
    struct execution *x;
    struct strand *strand;     /* what this is a part of */
    const char *prefix;        /* raw id, "" for the root */
    char parent_id[OPID_WIRE]; /* ParentId of the operations inside; "" at the root */
    uint64_t count;            /* ids claimed */
    enum durable_rc latch;     /* OK, SUSPENDED or FATAL */
    bool rebuilding;           /* the body of a finished context runs again for its large result:
                                  nothing is sent, nothing is begun */
    bool busy;                 /* the body of a child runs */
    bool logs_replays;         /* durable_log_replays */
};

/* One operation's call. */
struct op {
    struct durable_ctx *ctx;
    enum op_type type;
    const char *subtype;
    const char *name;
    char *raw;
    char id[OPID_WIRE];
    const struct operation *record; /* NULL: none; see op_reload */
};

void ctx_init_root(struct durable_ctx *ctx, struct execution *x, struct strand *strand);
/* The context of the operation `parent`, which must outlive it. `flat`: that operation has no
 * record, and what happens inside belongs to the enclosing one. */
void ctx_init_child(struct durable_ctx *ctx, const struct op *parent, bool rebuilding, bool flat);

/* DURABLE_OK where the context may go on, else its latch, with *err for FATAL. */
enum durable_rc ctx_enter(struct durable_ctx *ctx, struct durable_error *err) DURABLE_CHECKED;
/* Sends what is queued. FATAL or (no more checkpoints are taken) SUSPENDED latch the context. */
enum durable_rc ctx_flush(struct durable_ctx *ctx, struct durable_error *err) DURABLE_CHECKED;
/* What a checkpoint's result means for `ctx`. */
enum durable_rc ctx_checkpointed(struct durable_ctx *ctx, enum checkpoint_result result,
                                 const struct error *why,
                                 struct durable_error *err) DURABLE_CHECKED;
/* Flushes, and then is OK where operation `id` has moved on (ended, or READY), else SUSPENDED with
 * the strand waiting for it. */
enum durable_rc ctx_await(struct durable_ctx *ctx, const char *id,
                          struct durable_error *err) DURABLE_CHECKED;
/* SUSPENDED where the service takes no more updates: a body that ran now would run for nothing. */
enum durable_rc ctx_recordable(struct durable_ctx *ctx) DURABLE_CHECKED;
/* Suspends for good without anything to wait for: what is asked of a rebuilt body that had not
 * happened when the context ended. */
enum durable_rc ctx_park(struct durable_ctx *ctx);
/* Ends the invocation; the first reason counts. Returns FATAL with *err set. */
enum durable_rc ctx_fatal(struct durable_ctx *ctx, enum checkpoint_result as,
                          struct durable_error *err, const char *type, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The invocation has ended. Copies why. */
bool execution_ended(struct execution *x, struct durable_error *why);
/* The latest record, or NULL. */
const struct operation *execution_find(struct execution *x, const char *id);

/* Claims the next id and finds its record. FAILED for an impossible name (no id is claimed), FATAL
 * where the record is of another operation. Release `op` in any case. */
enum durable_rc op_begin(struct durable_ctx *ctx, enum op_type type, const char *subtype,
                         const char *name, struct op *op,
                         struct durable_error *err) DURABLE_CHECKED;
/* Claims the next id for a context without a record. FATAL where there is one. */
enum durable_rc op_begin_flat(struct durable_ctx *ctx, struct op *op,
                              struct durable_error *err) DURABLE_CHECKED;
/* The same for a context whose raw id is given; nothing is claimed. */
enum durable_rc op_begin_at(struct durable_ctx *ctx, const char *raw, const char *subtype,
                            const char *name, struct op *op,
                            struct durable_error *err) DURABLE_CHECKED;
enum durable_rc op_begin_flat_at(struct durable_ctx *ctx, const char *raw, struct op *op,
                                 struct durable_error *err) DURABLE_CHECKED;
bool op_name_valid(const char *name);
void op_release(struct op *op);
#define auto_op __attribute__((cleanup(op_release)))
/* Looks the record up again after a flush. */
void op_reload(struct op *op);
/* Queues an update; id, parent, name, subtype and type are filled in. Dropped where the strand is
 * abandoned. The START of a step or a context lingers. */
void op_send(const struct op *op, enum update_action action, struct update_fields f);
struct codec op_codec(const struct op *op, const struct durable_serdes *serdes);
/* The recorded result. */
enum durable_rc op_result(const struct op *op, const struct codec *codec, struct json_object **out,
                          struct durable_error *err) DURABLE_CHECKED;
/* FAILED where the timeouts make no sense. */
enum durable_rc callback_opts_check(const struct durable_callback_opts *opts,
                                    struct durable_error *err) DURABLE_CHECKED;
/* DURABLE_FAILED with *err: a wrong argument. */
enum durable_rc op_invalid(struct durable_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- the logger (log.c) ---------------------------------------------------------------------- */

/* A line of the SDK's own, whatever the context re-lives. `event` is a fixed word. */
void execution_log(struct execution *x, enum durable_log_level level, const char *event,
                   const char *message);

#endif

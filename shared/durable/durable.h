/* durable.h - AWS Lambda durable functions in C.
 *
 * A durable function is a handler that Lambda may run many times for one execution. Each operation
 * below is checkpointed: the first run does it, every later run (replay) gives back what was
 * recorded. Where there is nothing to do but wait, the invocation ends and costs nothing until
 * Lambda invokes it again.
 *
 * The rules for a handler:
 *  - Return codes are the control flow. DURABLE_OK: go on. DURABLE_FAILED: this operation failed
 * for good, *err says why; compensate, or return it. DURABLE_SUSPENDED and DURABLE_FATAL: release
 * what you own and return the code unchanged; DURABLE_TRY does it for you, together with the auto_
 * owners.
 *  - The context is latched: after SUSPENDED or FATAL every later call on it returns the same code
 * and does nothing. The SDK believes the context and not the handler's return value, so a forgotten
 * check can waste work but never cause a wrong effect.
 *  - Between operations the handler must be deterministic: same operations, same order, same names
 * on each run. A mismatch ends the execution with NonDeterministicExecutionError.
 *  - Effects belong in steps. A step's body is plain C and may run more than once unless
 * at_most_once.
 *
 * *err is set for FAILED and FATAL and untouched otherwise. Types of the SDK's own, besides those
 * named at each operation: ValidationError (an argument that makes no sense: nothing was recorded),
 * SerdesError (a value that is not JSON, or cannot be written as JSON), PayloadTooLargeError; and
 * of executions that end: NonDeterministicExecutionError, ContextValidationError (a context used
 * while the body of its child runs), CheckpointError (the service refuses), HandlerError (SUSPENDED
 * or FATAL returned although no operation did).
 *
 * json_objects: what goes in is borrowed and serialised at once; what comes out is one reference,
 * the caller's, and always the value as it was read back from the checkpoint, so that first run and
 * replay agree. *out is NULL for the JSON null, and untouched unless the code is DURABLE_OK. A
 * context belongs to the thread that it was given to. Names: NULL, or 1 to 256 printable ASCII
 * characters, unique names are not required. Durations are whole seconds, 1 to 31,622,400 (366
 * days). A result may have 256 KiB as JSON; a child context's may have more and is then rebuilt by
 * running its body again. */
#ifndef DURABLE_DURABLE_H
#define DURABLE_DURABLE_H

#include <json-c/json.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DURABLE_CHECKED __attribute__((warn_unused_result))

enum durable_rc {
    DURABLE_OK = 0,
    DURABLE_FAILED,
    DURABLE_SUSPENDED,
    DURABLE_FATAL,
};

/* Returns from the calling function with any code but DURABLE_OK. */
#define DURABLE_TRY(call)                                                                          \
    do {                                                                                           \
        enum durable_rc durable_rc_ = (call);                                                      \
        if (durable_rc_ != DURABLE_OK)                                                             \
            return durable_rc_;                                                                    \
    } while (0)

struct durable_ctx;
struct durable_step;

/* ---- errors ------------------------------------------------------------------------------------
 * Caller's storage, zero-initialised; strings are owned. `type` is what the execution's error is
 * called
 * ("StepError", or your own "Order.OutOfStock"); `cause_type` is the type that the failed body or
 * the external system gave, where the SDK wrapped it. Serialised it has less than 32,768 bytes: the
 * stack trace is cut first, then the data, then the message. */
struct durable_error {
    char *type;
    char *message;
    char *data;
    char **stack; /* stack_count strings */
    size_t stack_count;
    char *cause_type;
};

/* Each replaces what was there; printf-like. */
void durable_error_set(struct durable_error *err, const char *type, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void durable_error_set_data(struct durable_error *err, const char *data);
void durable_error_copy(struct durable_error *to, const struct durable_error *from);
void durable_error_release(struct durable_error *err);
#define auto_durable_error __attribute__((cleanup(durable_error_release)))

/* ---- serdes ------------------------------------------------------------------------------------
 * How values become the text that is recorded, and back: JSON, unless a durable_serdes says
 * otherwise. It may encrypt, compress, or keep the value elsewhere and record a reference. Both
 * functions are called by whichever thread runs the operation, several at once where branches run.
 */

/* Whose value it is. Borrowed. */
struct durable_payload_of {
    const char *execution_arn;
    const char *operation_id; /* as on the wire; "" for the execution's own input and result */
};
/* 0 with *text, from malloc and valid UTF-8 (NULL: nothing is recorded, which reads as NULL), or -1
 * with *err. `value` is borrowed, NULL for the JSON null. */
typedef int durable_serialise_fn(struct json_object *value, const struct durable_payload_of *of,
                                 void *arg, char **text, struct durable_error *err);
/* 0 with *value, the caller's, or -1 with *err. `text` has `len` bytes and a NUL behind them; it is
 * not called where nothing was recorded. */
typedef int durable_deserialise_fn(const char *text, size_t len,
                                   const struct durable_payload_of *of, void *arg,
                                   struct json_object **value, struct durable_error *err);
struct durable_serdes {
    durable_serialise_fn *serialise;     /* NULL: JSON */
    durable_deserialise_fn *deserialise; /* NULL: JSON */
    void *arg;
};

/* ---- bodies ------------------------------------------------------------------------------------
 */

/* A handler, and the body of a child context. `in` is borrowed, *out is handed over. */
typedef enum durable_rc durable_fn(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err);
/* A step's body: 0 with *out handed over, or -1 with *err. It has no context: no operations inside.
 */
typedef int durable_step_fn(struct durable_step *step, void *arg, struct json_object **out,
                            struct durable_error *err);

/* ---- retry -------------------------------------------------------------------------------------
 */

enum durable_jitter {
    DURABLE_JITTER_FULL = 0,
    DURABLE_JITTER_HALF,
    DURABLE_JITTER_NONE
};

/* Whether to try again after a failed attempt. */
struct durable_decision {
    bool retry;
    int64_t delay_s; /* at least 1 where `retry` */
};
/* `attempt` is the one that failed, from 1. */
typedef struct durable_decision durable_retry_fn(const struct durable_error *err, unsigned attempt,
                                                 void *arg);

/* Delay before attempt n+1: min(first_delay_s * rate^(n-1), max_delay_s), or with `increment_s`
 * min(first_delay_s + increment_s * (n-1), max_delay_s); jittered, rounded up, at least 1 s. A zero
 * field means the default's value; `decide`, where given, decides instead. */
struct durable_retry {
    unsigned max_attempts; /* in all; default 6; 1 never retries */
    int64_t first_delay_s; /* default 5 */
    int64_t max_delay_s;   /* default 60 */
    double rate;           /* default 2 */
    int64_t increment_s;   /* linear instead of exponential growth; 0: exponential */
    enum durable_jitter jitter;
    const char *const *only_types; /* NULL-ended: retry errors of these types alone; NULL: all */
    durable_retry_fn *decide;
    void *arg;
};
/* Initialisers: the first attempt is the only one; 6 attempts 1, 2, 3 ... s apart (at most 300 s);
 * 3 attempts with AWS's createRetryStrategy() defaults; `attempts` attempts `seconds` apart. */
#define DURABLE_RETRY_NONE                                                                         \
    {                                                                                              \
        .max_attempts = 1                                                                          \
    }
#define DURABLE_RETRY_LINEAR                                                                       \
    {                                                                                              \
        .max_attempts = 6, .first_delay_s = 1, .increment_s = 1, .max_delay_s = 300,               \
        .jitter = DURABLE_JITTER_NONE                                                              \
    }
#define DURABLE_RETRY_EXPONENTIAL                                                                  \
    {                                                                                              \
        .max_attempts = 3, .max_delay_s = 300                                                      \
    }
#define DURABLE_RETRY_FIXED(attempts, seconds)                                                     \
    {                                                                                              \
        .max_attempts = (attempts), .first_delay_s = (seconds), .max_delay_s = (seconds),          \
        .rate = 1, .jitter = DURABLE_JITTER_NONE                                                   \
    }

/* ---- operations --------------------------------------------------------------------------------
 * `opts` may be NULL for the defaults, `out` NULL to drop the value, `err` is never NULL. */

struct durable_step_opts {
    struct durable_retry retry;
    bool at_most_once; /* the body runs at most once an attempt: a crash inside it counts as the
                          failed attempt StepInterruptedError. Default: at least once an attempt */
    const struct durable_serdes *serdes; /* of the result */
};

/* Runs `body` and records its result. Fails with StepError once the retries are used up. That the
 * step has begun is recorded before the body runs where `at_most_once`, else while it runs: some
 * milliseconds after its beginning, or before exit(3) ends the process. A process that is killed
 * sooner leaves no trace of that attempt, and the body runs again. */
enum durable_rc durable_step(struct durable_ctx *ctx, const char *name, durable_step_fn *body,
                             void *arg, const struct durable_step_opts *opts,
                             struct json_object **out, struct durable_error *err) DURABLE_CHECKED;
/* The attempt that is running, from 1. */
unsigned durable_step_attempt(const struct durable_step *step);
/* The SHA-256 of execution ARN, line feed and the operation's id on the wire, as 64 hexadecimal
 * characters: the same for every attempt and every re-run of this step, another for every other
 * step. An idempotency key for what the body calls. */
const char *durable_step_token(const struct durable_step *step);
/* The execution's ARN, and the wall clock time in ms at which this invocation is killed. */
const char *durable_step_execution_arn(const struct durable_step *step);
int64_t durable_step_deadline_ms(const struct durable_step *step);
/* Nobody waits for this step any more: its batch has completed without it, or the invocation has
 * failed. A body that takes long looks here and ends early; whatever it returns is dropped. */
bool durable_step_abandoned(const struct durable_step *step);

/* Suspends the execution for `seconds`. */
enum durable_rc durable_wait(struct durable_ctx *ctx, const char *name, int64_t seconds,
                             struct durable_error *err) DURABLE_CHECKED;

struct durable_callback_opts {
    int64_t timeout_s;           /* 0: none */
    int64_t heartbeat_timeout_s; /* 0: none */
    bool json; /* the result is JSON text: hand out the value instead of a string */
    const struct durable_serdes *serdes; /* reads the result; NULL: as `json` says */
};

/* A callback that an external system completes. Release it with durable_callback_release. */
struct durable_callback {
    char *id;                     /* what the external system needs: a secret */
    char *operation_id;           /* private */
    bool json;                    /* private */
    struct durable_serdes serdes; /* private */
};

/* Never fails because the callback failed: only durable_callback_result tells. */
enum durable_rc durable_callback_create(struct durable_ctx *ctx, const char *name,
                                        const struct durable_callback_opts *opts,
                                        struct durable_callback *cb,
                                        struct durable_error *err) DURABLE_CHECKED;
/* The outcome; suspends while there is none. `ctx` is the caller's context: the callback may be of
 * an enclosing one. Fails with CallbackExternalError (cause_type, message and data as the external
 * system gave them) or CallbackTimeoutError (cause_type Callback.Timeout or Callback.Heartbeat). */
enum durable_rc durable_callback_result(struct durable_ctx *ctx, const struct durable_callback *cb,
                                        struct json_object **out,
                                        struct durable_error *err) DURABLE_CHECKED;
/* When Lambda got that outcome, ms since 1970; 0 while there is none. */
int64_t durable_callback_ended_ms(const struct durable_ctx *ctx, const struct durable_callback *cb);
void durable_callback_release(struct durable_callback *cb);
#define auto_durable_callback __attribute__((cleanup(durable_callback_release)))

/* Tells the external system the callback's id: the body of a step. 0, or -1 with *err. */
typedef int durable_submit_fn(struct durable_step *step, const char *callback_id, void *arg,
                              struct durable_error *err);
struct durable_wait_for_callback_opts {
    struct durable_callback_opts callback;
    struct durable_retry retry; /* of the submitter */
};
/* Creates a callback, runs `submit` as a step, and waits for the outcome, all in a context of its
 * own. Fails with CallbackExternalError and CallbackTimeoutError as durable_callback_result does,
 * and with CallbackSubmitterError (cause_type is what the submitter gave) once its retries are used
 * up. */
enum durable_rc durable_wait_for_callback(struct durable_ctx *ctx, const char *name,
                                          durable_submit_fn *submit, void *arg,
                                          const struct durable_wait_for_callback_opts *opts,
                                          struct json_object **out,
                                          struct durable_error *err) DURABLE_CHECKED;

/* One poll of a condition. `state` is borrowed: what the poll before left, at first the initial
 * state. 0 with *next, handed over, and *done (false at the call) true where it is what was waited
 * for; -1 with *err ends the operation as failed, there is no retry. */
typedef int durable_check_fn(struct durable_step *step, struct json_object *state, void *arg,
                             struct json_object **next, bool *done, struct durable_error *err);
/* A strategy of one's own: after a poll that left `state` and said `done`, go on or stop. 0 with
 * *decision (retry: poll again after delay_s; else the operation succeeds with `state`), or -1 with
 * *err, which fails it. `attempt` is the poll that has ended, from 1. */
typedef int durable_polling_fn(struct json_object *state, bool done, unsigned attempt, void *arg,
                               struct durable_decision *decision, struct durable_error *err);
/* Delay before poll n+1 as durable_retry has it. A zero field means the default's value. A poll
 * that is done succeeds even if it is the last that is allowed. */
struct durable_polling {
    unsigned max_attempts; /* polls in all, default 60; then it fails */
    int64_t first_delay_s; /* default 5 */
    int64_t max_delay_s;   /* default 300 */
    double rate;           /* default 1.5 */
    int64_t increment_s;   /* linear instead of exponential growth; 0: exponential */
    enum durable_jitter jitter;
    durable_polling_fn *decide; /* decides instead */
    void *arg;
};
struct durable_condition_opts {
    struct json_object *initial; /* borrowed; NULL: the JSON null */
    struct durable_polling polling;
    const struct durable_serdes *serdes; /* of the state */
};
/* Polls until `check` is done; between polls the execution is suspended. *out is the last state.
 * Fails with WaitForConditionError. */
enum durable_rc durable_wait_for_condition(struct durable_ctx *ctx, const char *name,
                                           durable_check_fn *check, void *arg,
                                           const struct durable_condition_opts *opts,
                                           struct json_object **out,
                                           struct durable_error *err) DURABLE_CHECKED;

struct durable_invoke_opts {
    const char *tenant_id; /* NULL: none; 1 to 256 of letters, digits and . _ : / = + - @ space */
    const struct durable_serdes *payload; /* writes the payload */
    const struct durable_serdes *result;  /* reads the result */
};
/* Invokes another function and waits for what it returns. `function` is a name or an ARN; a durable
 * function needs a version, an alias or $LATEST behind it, and runs as an execution of its own.
 * `payload` (at most 1 MiB as JSON) is borrowed. Fails with InvokeError: cause_type, message and
 * data are what the function gave, where it
 * failed, timed out or was stopped. */
enum durable_rc durable_invoke(struct durable_ctx *ctx, const char *name, const char *function,
                               struct json_object *payload, const struct durable_invoke_opts *opts,
                               struct json_object **out, struct durable_error *err) DURABLE_CHECKED;

/* What stands for a result of a context that is over 256 KiB: text, at most 256 KiB, from malloc,
 * or NULL. For people who read the history; the value itself is rebuilt. */
typedef char *durable_summary_fn(struct json_object *value, void *arg);
struct durable_child_opts {
    const struct durable_serdes *serdes; /* of the result */
    const char *subtype;                 /* NULL: RunInChildContext; 1 to 32 of a-z A-Z 0-9 - _ */
    durable_summary_fn *summary;
    void *summary_arg;
    bool flat; /* no record of its own: its operations belong to the enclosing context, its body
                  runs on every replay. The name is not used. */
};
/* Runs `body` in a context of its own, whose result is recorded as one. Fails with
 * ChildContextError. */
enum durable_rc durable_child(struct durable_ctx *ctx, const char *name, durable_fn *body,
                              struct json_object *in, void *arg,
                              const struct durable_child_opts *opts, struct json_object **out,
                              struct durable_error *err) DURABLE_CHECKED;

/* An attempt of durable_with_retry, from 1. */
typedef enum durable_rc durable_attempt_fn(struct durable_ctx *ctx, unsigned attempt,
                                           struct json_object *in, void *arg,
                                           struct json_object **out, struct durable_error *err);
/* Several operations retried as one: a child context in which each attempt is a child context
 * "NAME-attempt-N" and each pause a wait "NAME-backoff-N" ("attempt-N", "backoff-N" without a
 * name). `retry` (NULL: the default) decides by the error that the attempt itself returned. Fails
 * with ChildContextError, the last attempt's error being the cause. */
enum durable_rc durable_with_retry(struct durable_ctx *ctx, const char *name,
                                   durable_attempt_fn *body, struct json_object *in, void *arg,
                                   const struct durable_retry *retry, struct json_object **out,
                                   struct durable_error *err) DURABLE_CHECKED;

/* ---- batches -----------------------------------------------------------------------------------
 * durable_parallel and durable_map run branches, each in a context of its own. Branches run on
 * threads: several bodies, and the step bodies in them, run at the same time, so that what `arg`
 * points to is read-only for them or locked, and no json_object but the branch's own `in` may be
 * touched (counts of references are not atomic). A branch that waits has no thread; when what it
 * waits for has happened while others still ran, its body starts again and re-lives its records.
 * One whose own batch waits keeps its place and its thread while others run, unless threads are
 * short. Where no branch can go on, the batch suspends. With max_concurrency 1 everything runs on
 * the caller's thread.
 *
 * A batch that completes early starts no further branches and abandons those that run: they get
 * DURABLE_SUSPENDED from their next operation, nothing of theirs is recorded any more, and the
 * call returns when their bodies have returned (no thread outlives the call; durable_step_abandoned
 * tells a long step body). */

/* A number that may be absent. In an initialiser: .min_successful = DURABLE_LIMIT(2). */
struct durable_limit {
    bool set;
    double value;
};
#define DURABLE_LIMIT(n)                                                                           \
    {                                                                                              \
        .set = true, .value = (double)(n)                                                          \
    }
static inline struct durable_limit durable_limit(double n)
{
    return (struct durable_limit)DURABLE_LIMIT(n);
}

struct durable_batch;

/* A rule of one's own, asked whenever a branch has ended and neither all have nor a limit is
 * reached. `so_far` is borrowed. On the thread that called the operation. */
enum durable_verdict {
    DURABLE_GO_ON = 0,
    DURABLE_COMPLETE_SUCCEEDED,
    DURABLE_COMPLETE_FAILED
};
typedef enum durable_verdict durable_should_complete_fn(const struct durable_batch *so_far,
                                                        void *arg);

/* When a batch is complete, besides "all branches have ended". With no rule at all the first
 * failure completes it; with only min_successful any number of failures is tolerated. */
struct durable_completion {
    struct durable_limit min_successful;               /* 1 to the number of branches */
    struct durable_limit tolerated_failure_count;      /* one more completes it; 0: the first */
    struct durable_limit tolerated_failure_percentage; /* of all branches, 0 to 100; more
                                                          completes it */
    durable_should_complete_fn *should_complete;       /* not together with the limits */
    void *arg;
};

/* The name of item `index` into `name`, which is empty at the call; left empty it is the default
 * "map-item-INDEX"; what is not printable ASCII becomes "?". `item` is borrowed. On the thread that
 * called the operation. */
#define DURABLE_NAME_SIZE 257
typedef void durable_namer_fn(struct json_object *item, size_t index, void *arg,
                              char name[DURABLE_NAME_SIZE]);
/* Text about a batch whose record is over 256 KiB, kept in its summary: from malloc, or NULL. */
typedef char *durable_batch_summary_fn(const struct durable_batch *batch, void *arg);

struct durable_batch_opts {
    struct durable_limit max_concurrency; /* unfinished branches at a time, 1 or more; unset: all */
    struct durable_completion completion;
    bool flat; /* branches without records of their own: their operations belong to the batch's
                  context; cheaper, and a branch's body runs on every replay */
    const struct durable_serdes *item_serdes; /* of each branch's result */
    const struct durable_serdes *serdes;      /* of the batch, in the form of durable_batch_json */
    durable_namer_fn *namer;                  /* durable_map only */
    void *namer_arg;
    durable_batch_summary_fn *summary;
    void *summary_arg;
};

/* `in` of a branch is NULL. Names may be NULL ("parallel-branch-INDEX"). */
struct durable_branch {
    const char *name;
    durable_fn *body;
    void *arg;
};
/* `item` is a copy of the item, borrowed. */
typedef enum durable_rc durable_item_fn(struct durable_ctx *ctx, struct json_object *item,
                                        size_t index, void *arg, struct json_object **out,
                                        struct durable_error *err);

/* Runs `count` branches (0 is allowed). DURABLE_OK also where branches failed: the batch tells,
 * and durable_batch_check makes it an error. *out is the caller's, see durable_batch_free. A limit
 * that makes no sense is a ValidationError before anything is recorded. */
enum durable_rc durable_parallel(struct durable_ctx *ctx, const char *name,
                                 const struct durable_branch *branches, size_t count,
                                 const struct durable_batch_opts *opts, struct durable_batch **out,
                                 struct durable_error *err) DURABLE_CHECKED;
/* The same with one body for each element of the JSON array `items` (borrowed). */
enum durable_rc durable_map(struct durable_ctx *ctx, const char *name, struct json_object *items,
                            durable_item_fn *body, void *arg, const struct durable_batch_opts *opts,
                            struct durable_batch **out, struct durable_error *err) DURABLE_CHECKED;

enum durable_reason {
    DURABLE_ALL_COMPLETED = 0,
    DURABLE_MIN_SUCCESSFUL_REACHED,
    DURABLE_FAILURE_TOLERANCE_EXCEEDED,
    DURABLE_CUSTOM_COMPLETION_SUCCEEDED,
    DURABLE_CUSTOM_COMPLETION_FAILED
};
enum durable_item_status {
    DURABLE_ITEM_SUCCEEDED = 0,
    DURABLE_ITEM_FAILED,
    DURABLE_ITEM_STARTED /* abandoned: it had not ended when the batch completed */
};
/* A batch belongs to the thread that called the operation. Items are numbered from 0 in the order
 * of branches; those that were never started are not in it, so that `total` may be less than was
 * given. What is handed out is borrowed from the batch unless said otherwise. */
size_t durable_batch_total(const struct durable_batch *b);
size_t durable_batch_succeeded(const struct durable_batch *b);
size_t durable_batch_failed(const struct durable_batch *b);
size_t durable_batch_started(const struct durable_batch *b);
enum durable_reason durable_batch_reason(const struct durable_batch *b);
/* "ALL_COMPLETED", "MIN_SUCCESSFUL_REACHED", ... */
const char *durable_batch_reason_name(const struct durable_batch *b);
/* SUCCEEDED or FAILED: a branch failed, unless the custom rule has said otherwise. */
enum durable_item_status durable_batch_status(const struct durable_batch *b);
/* "SUCCEEDED", "FAILED" */
const char *durable_batch_status_name(const struct durable_batch *b);
bool durable_batch_has_failure(const struct durable_batch *b);
enum durable_item_status durable_batch_item(const struct durable_batch *b, size_t i);
/* The result of item `i`; NULL for the JSON null and for an item that has none. */
struct json_object *durable_batch_value(const struct durable_batch *b, size_t i);
/* The error of item `i`, a ChildContextError with the cause; NULL where it did not fail. */
const struct durable_error *durable_batch_error(const struct durable_batch *b, size_t i);
/* New array, the caller's: the results of the items that succeeded, in order. */
struct json_object *durable_batch_values(const struct durable_batch *b) DURABLE_CHECKED;
/* New array, the caller's: {"ErrorType", "ErrorMessage", ...} of the items that failed, in order.
 */
struct json_object *durable_batch_errors(const struct durable_batch *b) DURABLE_CHECKED;
/* New object, the caller's: {"all":[{"result"|"error","index","status"},...],"completionReason"},
 * the form in which it is recorded. */
struct json_object *durable_batch_json(const struct durable_batch *b) DURABLE_CHECKED;
/* DURABLE_OK, or DURABLE_FAILED with the first failed item's error; BatchCompletionError where the
 * custom rule has failed the batch and no item has. */
enum durable_rc durable_batch_check(const struct durable_batch *b,
                                    struct durable_error *err) DURABLE_CHECKED;
/* Takes NULL. */
void durable_batch_free(struct durable_batch *b);
void durable_batch_free_ptr(struct durable_batch **b);
#define auto_durable_batch __attribute__((cleanup(durable_batch_free_ptr)))

/* ---- combinators -------------------------------------------------------------------------------
 * Batches for common questions, as AWS's promise combinators: all values or the first failure; the
 * outcome of each ([{"status":"fulfilled","value"} | {"status":"rejected","reason":{"name",
 * "message"}}]); the first success; whatever ends first. Failure is a PromiseCombinatorError whose
 * cause_type is the branch's own error type. Recorded as durable_parallel records. */
enum durable_rc durable_all(struct durable_ctx *ctx, const char *name,
                            const struct durable_branch *branches, size_t count,
                            struct json_object **out, struct durable_error *err) DURABLE_CHECKED;
enum durable_rc durable_all_settled(struct durable_ctx *ctx, const char *name,
                                    const struct durable_branch *branches, size_t count,
                                    struct json_object **out,
                                    struct durable_error *err) DURABLE_CHECKED;
enum durable_rc durable_any(struct durable_ctx *ctx, const char *name,
                            const struct durable_branch *branches, size_t count,
                            struct json_object **out, struct durable_error *err) DURABLE_CHECKED;
enum durable_rc durable_race(struct durable_ctx *ctx, const char *name,
                             const struct durable_branch *branches, size_t count,
                             struct json_object **out, struct durable_error *err) DURABLE_CHECKED;

/* ---- about the execution -----------------------------------------------------------------------
 */

const char *durable_execution_arn(const struct durable_ctx *ctx);
const char *durable_execution_name(const struct durable_ctx *ctx);
/* When the execution started, ms since 1970: the same on each replay. */
int64_t durable_execution_start_ms(const struct durable_ctx *ctx);
const char *durable_request_id(const struct durable_ctx *ctx);
/* The X-Ray header that Lambda gave this invocation, or "": it may differ between invocations. */
const char *durable_trace_header(const struct durable_ctx *ctx);
/* The context is re-living what is recorded: its next operation has a record, or the body of a
 * finished child runs again for a result over 256 KiB. */
bool durable_is_replaying(const struct durable_ctx *ctx);

/* ---- logging -----------------------------------------------------------------------------------
 * One JSON object a line to stderr with timestamp, level, message, executionArn, requestId, and
 * inside a step operationId, operationName and attempt. Dropped while the context replays, except
 * in a body that runs again for its large result. */
enum durable_log_level {
    DURABLE_LOG_DEBUG,
    DURABLE_LOG_INFO,
    DURABLE_LOG_WARN,
    DURABLE_LOG_ERROR
};
void durable_log(struct durable_ctx *ctx, enum durable_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void durable_step_log(struct durable_step *step, enum durable_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* From now on this context, and contexts begun in it, also log what they re-live (or no longer). */
void durable_log_replays(struct durable_ctx *ctx, bool on);

/* ---- serving -----------------------------------------------------------------------------------
 */

/* Zero: the default. */
struct durable_serve_opts {
    const atomic_bool *stop; /* it returns 0 soon after this has become true: between two
                                invocations, one that runs is finished first. NULL: never */
    const struct durable_serdes *serdes; /* of the execution's input and result */
    unsigned max_threads;                /* that run branches at a time, default 256; Lambda allows
                                            a function 1,024 threads */
};
/* Runs the Lambda loop with `handler` until the Runtime API ends it. Reads AWS_LAMBDA_RUNTIME_API,
 * AWS_REGION, AWS_ENDPOINT_URL(_LAMBDA), AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
 * AWS_SESSION_TOKEN and AWS_LAMBDA_LOG_LEVEL from `env`. `opts` may be NULL. Returns -1 with *err
 * where it cannot serve (and has told Lambda so). */
int durable_serve_with(char *const *env, const struct durable_serve_opts *opts, durable_fn *handler,
                       void *arg, struct durable_error *err) DURABLE_CHECKED;
int durable_serve(char *const *env, durable_fn *handler, void *arg,
                  struct durable_error *err) DURABLE_CHECKED;
int durable_serve_until(char *const *env, const atomic_bool *stop, durable_fn *handler, void *arg,
                        struct durable_error *err) DURABLE_CHECKED;

#endif

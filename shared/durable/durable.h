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

/* Delay before attempt n+1: min(first_delay_s * rate^(n-1), max_delay_s), jittered, rounded up, at
 * least 1 s. A zero field means the default's value; `decide`, where given, decides instead. */
struct durable_retry {
    unsigned max_attempts; /* in all; default 6; 1 never retries */
    int64_t first_delay_s; /* default 5 */
    int64_t max_delay_s;   /* default 60 */
    double rate;           /* default 2 */
    enum durable_jitter jitter;
    const char *const *only_types; /* NULL-ended: retry errors of these types alone; NULL: all */
    durable_retry_fn *decide;
    void *arg;
};

/* ---- operations --------------------------------------------------------------------------------
 * `opts` may be NULL for the defaults, `out` NULL to drop the value, `err` is never NULL. */

struct durable_step_opts {
    struct durable_retry retry;
    bool at_most_once; /* the body runs at most once an attempt: a crash inside it counts as the
                          failed attempt StepInterruptedError. Default: at least once an attempt */
};

/* Runs `body` and records its result. Fails with StepError once the retries are used up. */
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

/* Suspends the execution for `seconds`. */
enum durable_rc durable_wait(struct durable_ctx *ctx, const char *name, int64_t seconds,
                             struct durable_error *err) DURABLE_CHECKED;

struct durable_callback_opts {
    int64_t timeout_s;           /* 0: none */
    int64_t heartbeat_timeout_s; /* 0: none */
    bool json; /* the result is JSON text: hand out the value instead of a string */
};

/* A callback that an external system completes. Release it with durable_callback_release. */
struct durable_callback {
    char *id;           /* what the external system needs: a secret */
    char *operation_id; /* private */
    bool json;          /* private */
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

/* Runs `body` in a context of its own, whose result is recorded as one. Fails with
 * ChildContextError. */
enum durable_rc durable_child(struct durable_ctx *ctx, const char *name, durable_fn *body,
                              struct json_object *in, void *arg, struct json_object **out,
                              struct durable_error *err) DURABLE_CHECKED;

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

/* ---- serving -----------------------------------------------------------------------------------
 */

/* Runs the Lambda loop with `handler` until the Runtime API ends it. Reads AWS_LAMBDA_RUNTIME_API,
 * AWS_REGION, AWS_ENDPOINT_URL(_LAMBDA), AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
 * AWS_SESSION_TOKEN and AWS_LAMBDA_LOG_LEVEL from `env`. Returns -1 with *err where it cannot serve
 * (and has told Lambda so). */
int durable_serve(char *const *env, durable_fn *handler, void *arg,
                  struct durable_error *err) DURABLE_CHECKED;
/* The same, and returns 0 soon after *stop has become true: between two invocations, one that runs
 * is finished first. Programs that stop on SIGTERM use it. */
int durable_serve_until(char *const *env, const atomic_bool *stop, durable_fn *handler, void *arg,
                        struct durable_error *err) DURABLE_CHECKED;

#endif

/* attempt.h - one attempt of a job: its own callback, tokens, registration and task.
 *
 *   callback "callback" -> step "register" -> step "run-task-1" -> wait for the callback
 *   and where ECS has no capacity or no time for it, which is a result of that step:
 *   wait "capacity-1" -> step "run-task-2" ... until the start deadline
 *   and where the callback failed or timed out:
 *   step "outcome" (what the receiver holds, after a timeout only) -> step "describe" (what ECS
 *   says) -> step "cleanup" (registration closed, task stopped)
 *
 * Pattern sync has neither callback nor registration: attempt_sync.c.
 *
 * A report that the receiver has accepted is the outcome even where the engine gave up first: the
 * registration is closed in the same step and asked once more, so that no report slips between.
 *
 * On success nothing is closed: the receiver delivered the result itself and knows it, and a
 * repeated report must still be answered as delivered.
 *
 * Types of failure (docs/failures.md): Workflow.RegistrationFailed (never started), those of
 * reason.h, Task.HeartbeatLost, Task.StartTimeout, Task.Timeout, Task.Failed (the job said no
 * type), or the job's own. The error's data is JSON:
 * {"taskArn","logGroup","logStream","lastStatus","stopCode","exitCode","signal","reason",
 * "noticedBy","errorData"}, members that are not known left out; errorData is the job's own, cut
 * where the whole would not fit an ErrorObject (then "errorDataTruncated":true).
 *
 * One thread at a time; it lives for one run of the handler. */
#ifndef LAUNCHER_ATTEMPT_H
#define LAUNCHER_ATTEMPT_H

#include "launcher/config.h"
#include "launcher/input.h"
#include "launcher/metrics.h"
#include "launcher/receiver_client.h"
#include "shared/base/log.h"
#include "shared/durable/durable.h"
#include "shared/token/token.h"

/* What attempts work with; borrowed, and longer-lived than any of them. */
struct attempt_tools {
    const struct config *cfg;
    struct aws *aws;
    struct receiver_client *receiver;
    const struct token_keys *keys;
    const struct clock *clock;
    struct log *log;         /* NULL: nothing is logged */
    struct metrics *metrics; /* NULL: nothing is counted */
};

struct attempt {
    const struct attempt_tools *tools;
    const struct input *in;
    const char *job;            /* JOB_NAME, PLAN_JOB_MAX characters at most */
    const char *execution_arn;  /* borrowed from the context */
    int64_t begin_ms;           /* recorded: the same on each replay; no later than the attempt
                                   runs, earlier where it has waited for a place to run */
    struct metrics_of of;       /* what its metrics are of; borrowed strings */
    struct json_object *others; /* ARNs of tasks that earlier attempts started, or NULL; borrowed */

    /* made by attempt_run */
    struct durable_callback callback;
    char public_id[TOKEN_PUBLIC_ID];
    char traceparent[TRACE_PARENT]; /* recorded by the step register; "": none */
    char *job_token;
    char *launcher_token;
    char *started_by;
    char *task_arn;       /* NULL until a task is known */
    unsigned start_tries; /* the run-task step that runs, from 1 */
    /* Recorded: when the attempt was about to ask for its task for the first time (pattern
     * callback: when it was registered, which the receiver counts from), and when ECS gave it. The
     * workflow's times count from the first. */
    int64_t asked_ms;
    int64_t started_ms;
};

/* DURABLE_OK with the job's result in *out, DURABLE_FAILED with *err as described above, or what
 * the handler must return. attempt_release in any case. */
enum durable_rc attempt_run(struct durable_ctx *ctx, struct attempt *a, struct json_object **out,
                            struct durable_error *err) DURABLE_CHECKED;
void attempt_release(struct attempt *a);

/* ---- for attempt_start.c and attempt_end.c -----------------------------------------------------
 */

/* The recorded result of the step before RunTask, {"atMs","traceparent"}: made from the clock and
 * a->traceparent (the caller's), and taken over into `a`. One that a version without "atMs" has
 * recorded counts from the attempt's begin. */
struct json_object *attempt_asked(const struct attempt *a) CHECKED;
void attempt_take_asked(struct attempt *a, struct json_object *record);
/* Registers the job. */
enum durable_rc attempt_register(struct durable_ctx *ctx, struct attempt *a,
                                 struct durable_error *err) DURABLE_CHECKED;
/* Starts its task; a->task_arn is known then. */
enum durable_rc attempt_start(struct durable_ctx *ctx, struct attempt *a,
                              struct durable_error *err) DURABLE_CHECKED;
/* Pattern sync: starts the task and looks at it until it has ended (attempt_sync.c). */
enum durable_rc attempt_sync(struct durable_ctx *ctx, struct attempt *a, struct json_object **out,
                             struct durable_error *err) DURABLE_CHECKED;
/* The attempt's failure, from *own and what ECS says of the task (NULL: nothing). */
void attempt_failure(const struct attempt *a, const struct durable_error *own,
                     struct json_object *record, struct durable_error *err);
/* The attempt failed with *err: finds the true outcome and the true reason, and cleans up. */
enum durable_rc attempt_end(struct durable_ctx *ctx, struct attempt *a, struct json_object **out,
                            struct durable_error *err) DURABLE_CHECKED;
/* Closes the registration and stops the task; what cannot be done is logged. `outcome` is a word
 * for the receiver. Never DURABLE_FAILED. */
enum durable_rc attempt_cleanup(struct durable_ctx *ctx, struct attempt *a, const char *outcome,
                                bool stop_task) DURABLE_CHECKED;
/* What each step body does first: gives its calls the time that this invocation has left, less what
 * is needed to record how they went. A call that took longer would end with the sandbox, and the
 * step would be run again without its attempts being counted. */
void attempt_step_begin(const struct durable_step *step, const struct attempt_tools *tools);
/* A step body's failure. `again` makes it one that the step repeats. */
int attempt_step_error(struct durable_error *err, bool again, const char *what,
                       const struct error *why);
/* A line of the log about this attempt: `event` is a fixed word, `operation` the durable operation
 * that it is about; the task goes with it where one is known, the workflow always. For what is not
 * inside a step: only where the context does not replay. Printf-like. */
void attempt_say(const struct attempt *a, enum log_level level, const char *event,
                 const char *operation, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
#define ATTEMPT_AGAIN "Launcher.Retry"   /* type of a step's failure that is repeated */
#define ATTEMPT_FINAL "Launcher.Refused" /* and of one that is not */

#endif

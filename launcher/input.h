/* input.h - what a workflow is asked to do: the one reader and judge of it, for the API that takes
 * it and the durable function that gets it (which others may invoke too).
 *
 *   {"pattern":"callback",   the container reports; "sync": its exit code is the outcome
 *    "task":{"command":["a","b"],"environment":{"K":"V"},"cpu":256,"memory":512,
 *            "taskDefinition":"job:7"},
 *    "input":any,            fetched by the container, never in its environment; not for sync
 *    "timeoutSeconds":3600,  1 to 604800 (sync: 86400); of each attempt, from its callback's
 *                            creation (sync: from when the task is first asked for) to its report
 *    "startTimeoutSeconds",  1 to timeoutSeconds; the time until its first contact (sync: until it
 *                            runs), from its registration (sync: from when the task is first asked
 *                            for): waiting for capacity counts, waiting for a free environment of
 *                            the function before that does not; none by default
 *    "heartbeatSeconds":60,  1 to 3600; silence that long after a first heartbeat is a failure; not
 *                            for sync
 *    "engineHeartbeatSeconds", 3 to timeoutSeconds; Lambda's own heartbeat timeout for the
 * callback, which the receiver keeps up; off by default; not for sync "retry":{"maxAttempts":3, 1
 * to 10; each attempt has its own timeoutSeconds "firstDelaySeconds":10, 1 to 3600; the wait behind
 * the first failure "maxDelaySeconds":300,  firstDelaySeconds to 86400 "backoffRate":2,        1 to
 * 10; what each further wait is multiplied by "retryOn":["Task.SpotInterruption"]}, types of
 * failure, 1 to 32 of them; "*": any. Default: Task.Capacity, .SpotInterruption, .HeartbeatLost and
 *                            .Infrastructure, which another attempt is likely to cure
 *    "wrapResultBytes":1}    callback only: the result is {"workflow","taskArn","result"}, a larger
 *                            result left out and its size told ("resultBytes"); batches ask for it
 * or {"pattern":"batch",
 *    "tasks":[{"command","environment","cpu","memory","taskDefinition","input"}], 1 to 1000 jobs:
 *                            each a workflow of pattern callback
 *    "task":{...},           what they have in common: members of their own replace it, variables
 *                            are added
 *    "maxConcurrency":100,   1 to 1000; jobs that are under way at a time
 *    "toleratedFailures":0,  0 to 1000, or "0%" to "100%": with more failed jobs no other is begun,
 *                            those under way are stopped, and the batch fails
 *    and "timeoutSeconds", "startTimeoutSeconds", "heartbeatSeconds", "engineHeartbeatSeconds" and
 *    "retry" of each job}
 * or, with the fields of AWS's sample, at least one of them,
 *   {"message":"text","processingTime":10}, which become MESSAGE and PROCESSING_TIME; beside them
 *    "pattern" may be callback (the default) or sync.
 *
 * All members but `pattern` and `tasks` are optional. Pure: no I/O, any thread with objects of its
 * own. */
#ifndef LAUNCHER_INPUT_H
#define LAUNCHER_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/aws/ecs_client.h"
#include "shared/base/json.h"

#define INPUT_MAX             (1024 * 1024) /* bytes of the whole text: Lambda's limit for events */
#define INPUT_TIMEOUT_S       3600
#define INPUT_TIMEOUT_MAX_S   604800
#define INPUT_SYNC_MAX_S      86400
#define INPUT_HEARTBEAT_S     60
#define INPUT_HEARTBEAT_MAX   3600
#define INPUT_ENGINE_MIN      3
#define INPUT_PROCESSING_MAX  3600
#define INPUT_COMMAND_ITEMS   512
#define INPUT_ENVIRONMENT     256
#define INPUT_FAULTS          20 /* no more are listed */
#define INPUT_ATTEMPTS        3
#define INPUT_ATTEMPTS_MAX    10
#define INPUT_RETRY_FIRST_S   10
#define INPUT_RETRY_FIRST_MAX 3600
#define INPUT_RETRY_DELAY_S   300
#define INPUT_RETRY_DELAY_MAX 86400
#define INPUT_RETRY_RATE_MAX  10
#define INPUT_RETRY_TYPES     32
#define INPUT_WRAP_MAX        262144
#define INPUT_JOBS            1000
#define INPUT_CONCURRENCY     100
#define INPUT_TYPE_MAX        256 /* bytes of a failure's type */

enum input_pattern {
    INPUT_CALLBACK,
    INPUT_SYNC,
    INPUT_BATCH
};
const char *input_pattern_name(enum input_pattern pattern);

/* Whether and when a failed job is tried again; see policy.h. */
struct input_retry {
    unsigned max_attempts;
    int64_t first_delay_s;
    int64_t max_delay_s;
    double backoff_rate;
    const char **on; /* NULL-ended; NULL: the default types */
    bool asked;      /* the workflow says "retry" */
};

/* Strings live in `doc`. */
struct input {
    enum input_pattern pattern;
    bool sample;
    const char *message;          /* the sample's, with its defaults */
    int64_t processing_s;         /* the same */
    const char **command;         /* NULL-ended; NULL: the image's own */
    struct ecs_pair *environment; /* ended by a NULL name; never NULL once parsed */
    char cpu[16];                 /* as text; "" where it is not asked for */
    char memory[16];
    const char *task_definition; /* NULL: the configured one */
    struct json_object *input;   /* NULL: none, or null */
    int64_t timeout_s;
    int64_t start_timeout_s; /* 0: none */
    int64_t heartbeat_s;
    int64_t engine_heartbeat_s; /* 0: none */
    struct input_retry retry;
    int64_t wrap_bytes; /* 0: the result stays as it is */

    struct json_object *jobs; /* of a batch: an array of their workflows, in order; else NULL */
    unsigned max_concurrency;
    int64_t tolerated;         /* jobs that may fail; -1: a percentage is given */
    int64_t tolerated_percent; /* -1: a number is given */

    struct json_object *doc; /* private: one reference */
    char processing[24];     /* private: PROCESSING_TIME */
};

/* Reads `doc` (borrowed; a reference is kept). `allowed` lists the task definitions that may be
 * named, as config_allows reads it. 0; or -1 with *faults a new array of {"pointer","detail"}, not
 * empty. Release *in in any case. */
int input_parse(struct json_object *doc, const char *const *allowed, struct input *in,
                struct json_object **faults) CHECKED;
void input_release(struct input *in);
#define auto_input __attribute__((cleanup(input_release)))

/* "/a: detail; /b: detail" in new memory. */
char *input_faults_text(struct json_object *faults) CHECKED;
/* The pointer of a fault in the workflow of job `index`, as one into its batch. `out` has `size`
 * bytes. */
void input_job_pointer(const char *pointer, size_t index, char *out, size_t size);
/* Appends one to *faults, which is made where it is NULL. Printf-like; `pointer` is copied. */
void input_fault(struct json_object **faults, const char *pointer, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif

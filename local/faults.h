/* faults.h - failures that tests order, by operation of the AWS port. docs/faults.md lists them.
 *
 * A fault waits for `skip` requests of its operation to pass, then takes the next `times`. Each
 * request meets at most one fault, the oldest that is due. The operation PutEvents is no request:
 * it stands for each event that local-aws emits itself. Pure; one thread. */
#ifndef LOCAL_FAULTS_H
#define LOCAL_FAULTS_H

#include "local/aws/ecs_fate.h"
#include "shared/base/json.h"

#define FAULT_EVENTS "PutEvents"

enum fault_action {
    FAULT_ERROR,         /* an error is answered instead of the effect */
    FAULT_DELAY,         /* the effect comes later */
    FAULT_DROP,          /* the effect comes, the answer does not; of an event: it is lost */
    FAULT_KILL_FUNCTION, /* the same, and every process of a function is killed */
    FAULT_DOUBLE,        /* PutEvents only: the event is told twice */
    FAULT_TASK,          /* RunTask only: `outcome` becomes of its tasks */
};

struct fault {
    char *operation; /* "RunTask", or "*" for all */
    enum fault_action action;
    int64_t times; /* -1: until cleared */
    int64_t skip;
    int64_t status; /* 400 to 599 */
    char *code;     /* NULL: the service's own for an inner error; FAULT_TASK: the stopCode */
    char *message;  /* FAULT_TASK: the reason; NULL: as ECS words it */
    int64_t retry_after_s; /* 0: none */
    int64_t delay_ms;
    char *function; /* FAULT_KILL_FUNCTION: whose */
    bool early;     /* FAULT_KILL_FUNCTION: there is no effect */
    char *source;   /* PutEvents: "aws.ecs" or "aws.lambda"; NULL: both */
    enum ecs_fate outcome;
};

#define FAULTS_MAX 256

struct faults;

struct faults *faults_new(void) CHECKED;
void faults_free(struct faults *f); /* takes NULL */
/* Adds what `o` describes, as POST /_local/faults takes it: operation, action, times, skip,
 * status, code, message, retryAfterSeconds, delayMs, function, when, outcome, source. ERR_INVALID
 * names the member, ERR_TOO_LARGE where there are FAULTS_MAX already. */
int faults_add(struct faults *f, struct json_object *o, struct error *err) CHECKED;
void faults_clear(struct faults *f);
/* Adds [{"operation","times","skip"}...] of those that are not used up. */
void faults_describe(const struct faults *f, struct buf *out);
/* A request of `operation` comes, about an execution of `function` (NULL: about none): the fault
 * that it meets, the caller's, or NULL. An order that names a function counts and meets only
 * requests about that one's executions, and those that are about none. */
struct fault *faults_take(struct faults *f, const char *operation, const char *function) CHECKED;
/* An event of `source` comes; the same. `f` may be NULL. */
struct fault *faults_take_event(struct faults *f, const char *source) CHECKED;
void fault_free(struct fault *fault); /* takes NULL */

#endif

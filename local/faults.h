/* faults.h - failures that tests order, by operation of the AWS port.
 *
 * A fault waits for `skip` requests of its operation to pass, then takes the next `times`. Each
 * request meets at most one fault, the oldest that is due. Pure; one thread. */
#ifndef LOCAL_FAULTS_H
#define LOCAL_FAULTS_H

#include "shared/base/json.h"

enum fault_action {
    FAULT_ERROR,         /* an error is answered instead of the effect */
    FAULT_DELAY,         /* the effect comes later */
    FAULT_DROP,          /* the effect comes, the answer does not */
    FAULT_KILL_FUNCTION, /* the same, and every process of a function is killed */
};

struct fault {
    char *operation; /* "RunTask", or "*" for all */
    enum fault_action action;
    int64_t times; /* -1: until cleared */
    int64_t skip;
    int64_t status; /* 400 to 599 */
    char *code;     /* NULL: the service's own for an inner error */
    char *message;
    int64_t retry_after_s; /* 0: none */
    int64_t delay_ms;
    char *function; /* FAULT_KILL_FUNCTION: whose */
};

#define FAULTS_MAX 256

struct faults;

struct faults *faults_new(void) CHECKED;
void faults_free(struct faults *f); /* takes NULL */
/* Adds what `o` describes, as POST /_local/faults takes it: operation, action, times, skip,
 * status, code, message, retryAfterSeconds, delayMs, function. ERR_INVALID names the member,
 * ERR_TOO_LARGE where there are FAULTS_MAX already. */
int faults_add(struct faults *f, struct json_object *o, struct error *err) CHECKED;
void faults_clear(struct faults *f);
/* A request of `operation` comes: the fault that it meets, the caller's, or NULL. */
struct fault *faults_take(struct faults *f, const char *operation) CHECKED;
void fault_free(struct fault *fault); /* takes NULL */

#endif

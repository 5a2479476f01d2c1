/* lambda_rig.h - one real local-aws whose functions are this test program itself, started again as
 * a Runtime API client (lambda_rig_function.c). A failed call fails the test.
 *
 * Functions: "f" (durable, alias "live"), "brief" (durable, timeoutSeconds 1), "mortal" (durable,
 * executionTimeoutSeconds 1), "lasting" (durable, executionTimeoutSeconds 86400), "p" (plain), and
 * "outside" (durable, timeoutSeconds 2), to which runtimes attach (lambda_rig_attach). */
#ifndef TESTS_LAMBDA_RIG_H
#define TESTS_LAMBDA_RIG_H

#include "local/stack/program.h"
#include "shared/aws/lambda_client.h"
#include "shared/base/json.h"

struct lambda_rig {
    char dir[64];
    char *url;
    struct program *program;
    struct aws *aws;
    struct aws_options options;
    struct http_client *http;
};

/* `command` is a function's command as JSON array, or NULL: this program. */
void lambda_rig_start(struct lambda_rig *r, const char *command);
/* With functions of the test's own, the member "functions" of the configuration; takes it over. */
void lambda_rig_start_with(struct lambda_rig *r, struct json_object *functions);
/* SIGTERM must end it cleanly. */
void lambda_rig_stop(struct lambda_rig *r);
/* SIGKILL, and the same again. */
void lambda_rig_kill(struct lambda_rig *r);
void lambda_rig_restart(struct lambda_rig *r);

/* Starts an execution (Event) and returns its ARN, the caller's. */
char *lambda_rig_begin(struct lambda_rig *r, const char *function, const char *input);
/* Invokes and waits for the end; the payload is the caller's. `error` says whether it must have
 * failed. */
char *lambda_rig_invoke(struct lambda_rig *r, const char *function, const char *input, bool error);
/* Waits until the execution's status is not RUNNING and asserts it; the record is the caller's. */
struct json_object *lambda_rig_end(struct lambda_rig *r, const char *arn, const char *status);
/* The types of its events, separated by blanks; the caller's. */
char *lambda_rig_history(struct lambda_rig *r, const char *arn);
/* Waits until the history contains an event of the type, the caller's. */
struct json_object *lambda_rig_event(struct lambda_rig *r, const char *arn, const char *type);
/* The id of the execution's callback, once there is one; the caller's. */
char *lambda_rig_callback(struct lambda_rig *r, const char *arn);
/* The processes of a function: how many, and the first one's pid (0: none) and invocations. */
size_t lambda_rig_processes(struct lambda_rig *r, const char *function, int *pid,
                            int64_t *invocations);
/* Starts this program as a runtime of "outside"; program_free ends it. */
struct program *lambda_rig_attach(struct lambda_rig *r);
/* An unsigned request; the status. `body` is the answer's, the caller's; may be NULL. */
int lambda_rig_raw(struct lambda_rig *r, const char *method, const char *path,
                   const struct http_header *headers, const char *send, char **body);

#endif

/* world.h - a stack of its own for a test, and what tests ask of it. A failed call fails the test.
 */
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include "local/stack/api.h"
#include "local/stack/facts.h"
#include "local/stack/stack.h"
#include "tests/integration/history_rules.h"

struct world {
    struct stack *stack;
    struct api *api;       /* the clients' API */
    struct api *callbacks; /* the receiver */
    struct api *local;     /* local-aws's AWS port: /_local */
    struct aws *aws;
    struct aws_options aws_options;
};

/* `options` may be NULL; its bin_dir is filled in. */
void world_start(struct world *w, const struct stack_options *options);
/* Stops everything; a program that does not stop cleanly fails the test. */
void world_stop(struct world *w);

/* Posts a workflow and returns its id, the caller's. */
char *world_post(struct world *w, const char *body);
/* Waits for its end; the answer's body is the caller's. */
struct json_object *world_end(struct world *w, const char *id);
/* Waits for its end and asserts the status, and that its history keeps the rules; `type` is the
 * error's type, or NULL. `out` is the caller's. */
void world_expect(struct world *w, const char *id, const char *status, const char *type,
                  struct facts *out);
/* Asserts that the history keeps the rules of history_rules.h. */
void world_history(struct world *w, const char *id, struct history_facts *out);
/* Waits until the workflow's container runs and returns its first process. */
int world_task_pid(struct world *w, const char *id);
/* Waits until so many of its invocations have ended and no launcher runs: nothing else may be
 * posted that keeps one busy. */
void world_suspended(struct world *w, const char *id, int invocations);
/* A file that is not there, for jobs to wait for; the caller's. */
char *world_go(const struct world *w);
/* Makes that file. */
void world_let_go(const struct world *w);
/* Waits until a process is gone. */
void world_gone(int pid);
/* Waits until no task of the stack runs, or is to run. */
void world_no_task_runs(struct world *w);
/* The lines that the functions have logged with `word` in them, as an array of JSON objects; lines
 * that are none are left out. The caller's. */
struct json_object *world_log_lines(struct world *w, const char *word);
/* Orders a fault (JSON of POST /_local/faults); NULL: takes all back. */
void world_fault(struct world *w, const char *fault);
/* How many faults have not been met to the end. */
int world_faults_left(struct world *w);
/* The AWS requests that local-aws has seen of one operation, the caller's. */
struct json_object *world_requests(struct world *w, const char *operation);
/* The environments of a function that are busy now. */
int world_busy(struct world *w, const char *function);
/* The execution's ARN for a workflow's id; the caller's. */
char *world_arn(const char *id);
/* The callback's id from the execution's history; the caller's. Waits until there is one. */
char *world_callback_id(struct world *w, const char *id);
/* A token for it, sealed with the stack's keys; the caller's. */
char *world_token(struct world *w, const char *callback_id, bool launcher, int64_t lifetime_s);
/* A request to the receiver with a token (NULL: none); `what` is "/success", "" ... Returns the
 * status. */
int world_report(struct world *w, const char *method, const char *callback_id, const char *what,
                 const char *token, const char *body, struct api_answer *out);
/* The receiver's state of a callback, the caller's. */
char *world_state(struct world *w, const char *callback_id);

#endif

/* environment.h - one execution environment: a process of a function and the Runtime API that it
 * talks to.
 *
 * Each environment has a Runtime API of its own, on a port of its own, so that there is never a
 * doubt which process asks, and a process that dies takes its invocation down with it.
 *
 *     STARTING --next--> IDLE --an invocation--> BUSY --response, error--> BETWEEN --next--> IDLE
 *     any --its process ends, or is killed--> gone
 *
 * The loop's thread only. */
#ifndef LOCAL_AWS_ENVIRONMENT_H
#define LOCAL_AWS_ENVIRONMENT_H

#include "local/aws/function.h"

struct environment;

/* Starts a process; NULL with *err where it cannot be started. */
struct environment *environment_start(struct function *f, struct error *err) CHECKED;
/* Kills the process where it lives; its invocation is forgotten. */
void environment_free(struct environment *env);
/* SIGKILL; its end is then noticed like any other. */
void environment_kill(struct environment *env);
/* Takes the function's next invocation where it is idle; true where it is, or was, idle. */
bool environment_offer(struct environment *env);
/* It will ask for work soon. */
bool environment_is_coming(const struct environment *env);
/* {"pid","state","invocations"} */
void environment_describe(const struct environment *env, struct buf *out);

#endif

/* docker_api.h - calls of the Docker Engine API over its unix socket, on the loop.
 * https://docs.docker.com/reference/api/engine/
 *
 * Each call has a connection of its own and speaks HTTP/1.0, so that the engine ends the answer by
 * closing it: any number of calls wait at the same time (for the end of a container, for the pull
 * of an image) without a thread. Paths carry no version: the engine then takes its own newest.
 * The loop's thread only. */
#ifndef LOCAL_AWS_DOCKER_API_H
#define LOCAL_AWS_DOCKER_API_H

#include "local/loop.h"
#include "shared/base/json.h"

#define DOCKER_SOCKET "/var/run/docker.sock"

struct docker_request {
    const char *method;
    const char *path;  /* with its query, encoded: "/containers/json?all=1" */
    const char *body;  /* JSON, or NULL */
    int64_t limit_ms;  /* how long the answer may take; 0: as long as it likes */
    size_t max_answer; /* bytes; more is ERR_TOO_LARGE */
};

struct docker_answer {
    int status;
    const char *body; /* ended by NUL */
    size_t len;
};

/* The answer, or NULL and why there is none. Both are gone when it returns. */
typedef void docker_done_fn(void *arg, const struct docker_answer *answer, const struct error *err);

struct docker_call;

/* Sends the request, whole, before it returns, and calls `done` once, never from within. Everything
 * is copied. */
struct docker_call *docker_call(struct loop *loop, const char *socket,
                                const struct docker_request *request, docker_done_fn *done,
                                void *arg);
/* The answer is not waited for any more; takes NULL. What was asked happens all the same. */
void docker_cancel(struct docker_call *call);

/* The same with the caller waiting: for the start of a program. The HTTP status and *body, the
 * caller's; -1 with *err where there is no answer. */
int docker_ask(const char *socket, const struct docker_request *request, char **body,
               struct error *err) CHECKED;
/* The message of an error's body, or the body itself; the caller's. */
char *docker_message(const char *body);

#endif

/* wire.h - how `callback-run progress` and its like ask the callback-run above them to make a call
 * for them, where they have no token: one request and one answer on a Unix socket.
 *
 * Each is a line and a body:
 *     CALL TIMEOUT_MS MEDIA_TYPE LENGTH     e.g. "heartbeat 10000 application/json 16"; "-": none
 *     STATUS RETRY_AFTER_MS LENGTH          status 0: no answer came, the body says why
 * Only the calls of a job can be asked for, and nothing of theirs but the body. */
#ifndef CONTAINER_WIRE_H
#define CONTAINER_WIRE_H

#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/error.h"

#define WIRE_BODY_MAX (1100U << 10) /* the input's limit, the largest of all */

enum wire_call {
    WIRE_HEARTBEAT,
    WIRE_SUCCESS,
    WIRE_FAILURE,
    WIRE_INPUT,
};

struct wire_request {
    enum wire_call call;
    int64_t timeout_ms;
    char media_type[64]; /* "": no body's */
    struct buf body;
};

struct wire_answer {
    int status;             /* HTTP; 0: none came */
    int64_t retry_after_ms; /* -1: not said */
    struct buf body;
};

/* A descriptor that listens, the caller's; the socket is for this user alone. */
int wire_listen(const char *path, struct error *err) CHECKED;
/* Asks the one who listens at `path` and waits for the answer up to the request's timeout and a
 * little more. `answer` must be zeroed; release its body in any case. */
int wire_ask(const char *path, const struct wire_request *request, struct wire_answer *answer,
             struct error *err) CHECKED;

/* For the one who listens. Reads a request (zeroed before; release its body in any case) or gives
 * up: when `give_up` becomes readable, when there is silence for `silence_ms`, or when it makes no
 * sense. */
int wire_read(int fd, int give_up, int64_t silence_ms, struct wire_request *out,
              struct error *err) CHECKED;
int wire_answer(int fd, const struct wire_answer *answer, struct error *err) CHECKED;

#endif

/* client.h - the calls that a job makes to the callback receiver, one try each.
 *
 * The token travels in the Authorization header and nowhere else; neither it nor the URL, which
 * carries the callback's public id, is part of an error's text. One thread at a time. */
#ifndef CONTAINER_CLIENT_H
#define CONTAINER_CLIENT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "container/report.h"
#include "container/wire.h"
#include "shared/base/error.h"

struct client;

/* What an answer means for the one who asked. */
enum answer {
    ANSWER_OK,        /* 2xx */
    ANSWER_LATER,     /* no answer, 408, 425, 429, 5xx: the same may succeed later */
    ANSWER_GONE,      /* 410: the workflow no longer waits */
    ANSWER_TAKEN,     /* 409: another report came first */
    ANSWER_TOO_LARGE, /* 413 */
    ANSWER_DENIED,    /* 401, 403 */
    ANSWER_ABSENT,    /* 404 */
    ANSWER_REFUSED,   /* any other status */
    ANSWER_CANCELLED, /* given up on this side */
};

struct reply {
    enum answer answer;
    int64_t retry_after_ms; /* -1: not said */
    struct error err;       /* why, where it is not ANSWER_OK; detail is the HTTP status */
};

/* NULL with ERR_INVALID where no try could succeed: https, and no CA certificates. `url` and
 * `token` are borrowed and must outlive it. When *cancel becomes true the call in flight ends with
 * ANSWER_CANCELLED. */
struct client *client_new(const char *url, const char *token, const atomic_bool *cancel,
                          struct error *err) CHECKED;
/* For calls that another callback-run makes, which listens at `path` (borrowed) and has the token.
 */
struct client *client_new_socket(const char *path) CHECKED;
void client_free(struct client *c);

/* `json` may be NULL: nothing but a sign of life. */
void client_heartbeat(struct client *c, const char *json, int64_t timeout_ms, struct reply *reply);
void client_report(struct client *c, const struct report *report, int64_t timeout_ms,
                   struct reply *reply);
/* *text (for free(), NUL-terminated) is set where the answer is OK and has a body. */
void client_input(struct client *c, int64_t timeout_ms, char **text, size_t *len,
                  struct reply *reply);

/* One call as it is. 0 and *answer (zeroed before; its body is the caller's) whatever the status;
 * -1 where none came. */
int client_call(struct client *c, const struct wire_request *req, struct wire_answer *answer,
                struct error *err) CHECKED;

enum answer client_answer_of(int status);

#endif

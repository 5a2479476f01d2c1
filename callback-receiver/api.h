/* api.h - the receiver's HTTP API, /v1/callbacks/{id}: routes, tokens, bodies, answers.
 *
 * A request is checked on the server's thread, parked, run by the writer and answered after its
 * commit. Hand api_handle to httpd_start. */
#ifndef RECEIVER_API_H
#define RECEIVER_API_H

#include "callback-receiver/delivery.h"
#include "callback-receiver/keys.h"

struct api;

struct api_config { /* all borrowed */
    struct keys *keys;
    struct writer *writer;
    struct waiters *waiters;
    struct delivery *delivery;
    struct metrics *metrics;
    struct log *log;
};

struct api *api_new(const struct api_config *cfg) CHECKED;
/* Takes NULL. After the server has stopped. */
void api_free(struct api *a);
/* An httpd_handler; `arg` is the struct api. Any thread. */
void api_handle(struct httpd_request *req, void *arg);
/* The same, before the body is read: a request with a body of more than some KiB is refused here
 * already where it has no valid token, no route, or no room in the queue. */
void api_headers(struct httpd_request *req, void *arg);
/* Answer for httpd where a body, or all of them together, are too large. */
void api_too_large(struct httpd_request *req, void *arg);
void api_overloaded(struct httpd_request *req, void *arg);
/* New requests get 503 from now on; returns when all that the writer had are answered. Those that
 * wait for a delivery are the waiters' to end. */
void api_drain(struct api *a);

/* The N of "Prefer: wait=N" in a Prefer header's value (RFC 7240), 0 where there is none. */
int api_prefer_wait(const char *prefer);

#endif

/* gateway_event.h - who may ask, and what an HTTP API of API Gateway makes of a request for a
 * function, and of the function's answer: payload format 2.0.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 * Pure; one thread. */
#ifndef LOCAL_GATEWAY_EVENT_H
#define LOCAL_GATEWAY_EVENT_H

#include "local/config.h"
#include "shared/base/buf.h"
#include "shared/base/httpd.h"
#include "shared/base/json.h"

/* Whether the Host header `host` means this machine: localhost, a loopback address, or the host of
 * `own` ("HOST:PORT"). */
bool gateway_host_is_ours(const char *host, const char *own);

/* The route with the longest path that is `path` or a prefix of it that ends where a segment ends;
 * NULL where there is none, or where `path` has a segment "." or ".." (also encoded), which would
 * mean another path to whoever resolves it. */
const struct config_route *gateway_route(const struct config *c, const char *path) CHECKED;

/* All borrowed. */
struct gateway_request {
    const char *method;
    const char *path;                   /* raw */
    const char *query;                  /* raw, without '?' */
    const struct httpd_header *headers; /* in the order they came, ended by a NULL name */
    const char *body;
    size_t body_len;
    const char *source_ip;
    const char *account_id;
    const char *route_path; /* the route's own: "/workflows" */
    const char *request_id;
    int port;        /* that the request came in at */
    int64_t time_ms; /* wall clock */
};

/* The event as JSON text in `out`; -1 where the path (ERR_NOT_FOUND) or the query (ERR_INVALID) is
 * broken, or `out` too small (ERR_TOO_LARGE). */
int gateway_event(const struct gateway_request *g, struct buf *out, struct error *err) CHECKED;

struct gateway_answer {
    int status;
    struct httpd_header *headers; /* ended by a NULL name */
    size_t header_count;
    char *type; /* Content-Type, apart from the others; may be NULL */
    char *body;
    size_t body_len;
};
/* Decodes a function's answer; -1 (ERR_PROTOCOL) for what API Gateway would not send on. Release it
 * in any case. */
int gateway_answer(const char *payload, size_t len, struct gateway_answer *out,
                   struct error *err) CHECKED;
void gateway_answer_release(struct gateway_answer *a);
/* Adds a header, without those that say how the body travels, which are the server's own;
 * ERR_PROTOCOL for one that cannot be sent. `a` is zeroed or was filled by these functions. */
int gateway_answer_add(struct gateway_answer *a, const char *name, const char *value,
                       struct error *err) CHECKED;

#endif

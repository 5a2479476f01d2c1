/* gateway.h - the clients' HTTP API: what an HTTP API of API Gateway does in AWS.
 *
 * A request goes by its path to a function, as an event of payload format 2.0 (gateway_event.h), or
 * to another server, as it is. Its own errors are problem documents
 * with API Gateway's {"message":"..."} in them: 404 for an unknown path, 413 for a body over 10 MB,
 * 502 where a function failed or its answer makes no sense, 503 where a server is away or too much
 * waits, 504 after 30 s.
 *
 * It must not be of use to a web page that happens to run on this machine: a Host that is not this
 * one's, and any Origin, are 403; a body for a function must be application/json (415), and what
 * changes something at another server must carry Authorization (401), since a page can send neither
 * without asking first. The loop's thread only. */
#ifndef LOCAL_GATEWAY_H
#define LOCAL_GATEWAY_H

#include "local/local.h"

struct gateway;

/* Listens on `listen` and serves on the loop. http_global_init must have been called. `local`
 * is borrowed. */
struct gateway *gateway_new(const struct local *local, const char *listen,
                            struct error *err) CHECKED;
/* "127.0.0.1:8080"; borrowed. */
const char *gateway_address(const struct gateway *g);
/* Answers what is open with 503. Call it after lambda_free; takes NULL. */
void gateway_free(struct gateway *g);

#endif

/* receiver_client.h - the launcher's calls to the callback receiver (design: the receiver's HTTP).
 *
 * Each call takes the callback's public id and a token of launcher scope, and is tried a few times,
 * each for 5 s at most; who needs more patience repeats the call. Tokens are never in an error's
 * text.
 * Errors: ERR_THROTTLED, ERR_UNAVAILABLE, ERR_NET, ERR_TIMEOUT (all retryable), ERR_DENIED (401,
 * 403), ERR_NOT_FOUND, ERR_CONFLICT, ERR_GONE, ERR_TOO_LARGE, ERR_INVALID (other 4xx),
 * ERR_PROTOCOL; detail is the HTTP status. One thread at a time. */
#ifndef LAUNCHER_RECEIVER_CLIENT_H
#define LAUNCHER_RECEIVER_CLIENT_H

#include <json-c/json.h>

#include "launcher/trace.h"
#include "shared/aws/http.h"

struct receiver_client;

/* `url` (without a slash at its end) is copied; `clock` is borrowed and must outlive it. */
struct receiver_client *receiver_client_new(const char *url, const struct clock *clock,
                                            struct error *err) CHECKED;
void receiver_client_free(struct receiver_client *r);
/* Tries a call, and the cap of the waits between them; default 3 tries, 500 ms. */
void receiver_client_set_retry(struct receiver_client *r, unsigned attempts, int64_t cap_ms);
/* The W3C traceparent that calls carry from now on; copied; "": none. */
void receiver_client_set_trace(struct receiver_client *r, const char *traceparent);
/* When calls must have ended (monotonic clock, ms); 0: none. */
void receiver_client_set_deadline(struct receiver_client *r, int64_t deadline_ms);
/* Brings that nearer: calls get half of what is left of it, so that a receiver that does not answer
 * leaves time for what must be done all the same. Nothing where there is none. */
void receiver_client_halve_deadline(struct receiver_client *r);

/* PUT: registers a job; `body` is JSON text. The same again is a success. */
int receiver_register(struct receiver_client *r, const char *id, const char *token,
                      const char *body, struct error *err) CHECKED;
/* GET: *out is the state with a held report, where there is one; the caller's. */
int receiver_status(struct receiver_client *r, const char *id, const char *token,
                    struct json_object **out, struct error *err) CHECKED;
/* POST /failure: reports the job's failure; `body` is JSON text. The same again is a success, after
 * another report it is ERR_CONFLICT, for a closed one ERR_GONE. */
int receiver_fail(struct receiver_client *r, const char *id, const char *token, const char *body,
                  struct error *err) CHECKED;
/* DELETE: closes it; `outcome` is a word for what became of the job. A registration that is gone
 * or unknown counts as closed. */
int receiver_close(struct receiver_client *r, const char *id, const char *token,
                   const char *outcome, struct error *err) CHECKED;

#endif

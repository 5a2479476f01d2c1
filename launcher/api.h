/* api.h - the clients' HTTP API in front of the durable function (design: the clients' HTTP).
 *
 *   POST   /workflows               202; with Idempotency-Key the same body again is the same
 *                                   workflow, another body 409
 *   GET    /workflows/{id}          200: status, and result or error
 *            ?wait=N                waits up to N (20) seconds for the end
 *            ?include=tasks,progress  with what ECS says of its tasks, and what the receiver says
 *                                   of its jobs (of a batch: how far it is, "jobs"); a part that
 *                                   cannot be had now is named in "unavailable"
 *   GET    /workflows/{id}/history[?marker=M] 200: a page of events, without callback ids
 *   DELETE /workflows/{id}          200: stops the execution, closes its jobs' registrations, so
 *                                   that a container that asks is told to stop, and stops its
 *                                   tasks; again does no harm
 *
 * Every refusal is a problem document: 400 with "errors" that name fields by JSON pointer (a task
 * definition that is not allowed is one of those), 404 for anything that is not a workflow of
 * WORKFLOW_FUNCTION, 405 with Allow, 409, 413, 415, 503 with Retry-After where AWS throttles or
 * does not answer. docs/openapi.json has it in full. Region and account are those of the API
 * function's own ARN. One thread. */
#ifndef LAUNCHER_API_H
#define LAUNCHER_API_H

#include "launcher/api_cache.h"
#include "launcher/api_http.h"
#include "launcher/config.h"
#include "launcher/past.h"
#include "launcher/receiver_client.h"
#include "launcher/workflow_id.h"
#include "shared/lambda/runtime.h"
#include "shared/token/token.h"

#define API_CACHE_ENTRIES 512
#define API_CACHE_BYTES   (16U << 20)

/* Borrowed; longer-lived than any call. */
struct api_tools {
    const struct config *cfg;
    struct aws *aws;
    struct api_cache *cache;
    struct receiver_client *receiver; /* NULL, both: none is configured */
    const struct token_keys *keys;
    const struct clock *clock;
    struct log *log;
};

/* A lambda_handler_fn; `arg` is a struct api_tools. -1 only for events that are not of an HTTP API
 * in payload format 2.0. */
int api_handle(const struct lambda_invocation *inv, void *arg, struct buf *response,
               struct error *err);

/* ---- for the api_*.c files ------------------------------------------------------------------ */

/* One request on its way. */
struct api_call {
    const struct api_tools *tools;
    const struct api_request *req;
    struct api_reply *reply;
    struct workflow_place place;
    int64_t deadline_ms;   /* wall clock: an answer must be on its way by then */
    struct workflow_id id; /* but for POST: the workflow */
    char id_text[WORKFLOW_ID_TEXT];
    char arn[WORKFLOW_ARN];
};

typedef void api_call_fn(struct api_call *c);
api_call_fn api_post;
api_call_fn api_get;
api_call_fn api_history;
api_call_fn api_delete;

/* Answers for a call to AWS that failed: 404, 503 or 500; logs what clients need not know. */
void api_upstream_problem(struct api_call *c, const struct error *err);
/* The workflow's URL with `suffix` behind it, in new memory: a path, valid on whatever host and
 * stage the client used. */
char *api_url(const struct api_call *c, const char *suffix) CHECKED;

/* The body of GET /workflows/{id} for an answer of GetDurableExecution; pure. */
struct json_object *api_status_doc(const char *id, struct json_object *execution) CHECKED;
/* The status's document of the workflow, from the cache or from Lambda: JSON text, in new memory;
 * *closed tells whether it can change. Unless `fresh`, it may be API_FRESH_MS old. NULL with *err.
 */
char *api_status(struct api_call *c, bool fresh, bool *closed, struct error *err) CHECKED;
#define API_FRESH_MS 250

/* What ?include asks for. */
struct api_include {
    bool tasks;
    bool progress;
};
/* Adds it to a status's document. */
void api_include_add(struct api_call *c, const struct api_include *include, bool closed,
                     struct json_object *doc);

/* The receiver's view of each callback: *out is a new array. *jobs is a new object that says how
 * far a batch is, {"begun","succeeded","failed"}, or NULL. */
int api_past_progress(struct api_call *c, bool closed, struct json_object **out,
                      struct json_object **jobs, struct error *err) CHECKED;
/* Closes the registrations of all callbacks; what cannot be closed is logged. How many of them may
 * be closed by another try. */
size_t api_past_close(struct api_call *c, const struct past *past);
/* Removes every member that names a callback id, at any depth; pure. */
void api_strip_secrets(struct json_object *o);

#endif

/* aws.h - signed calls to AWS services: what the typed clients (lambda_client.h, ecs_client.h)
 * share.
 *
 * A `struct aws` holds region, endpoints, credentials and an http_client: one thread at a time
 * each. A call signs (SigV4), sends, retries and turns an error answer into a `struct error`:
 *   type       AWS's own name for it: "ThrottlingException"
 *   msg        AWS's message (its first line), for a 5xx with the request's id
 *   detail     the HTTP status
 *   code       ERR_THROTTLED (429, Throttl*, TooManyRequests*, RequestLimitExceeded), ERR_DENIED
 *              (401, 403, and names like AccessDenied*), ERR_NOT_FOUND (404, *NotFoundException),
 *              ERR_CONFLICT (409, ConflictException), ERR_TOO_LARGE (413), ERR_TIMEOUT (408, or no
 *              answer in time), ERR_INVALID (other 4xx), ERR_UNAVAILABLE (5xx), ERR_NET,
 *              ERR_PROTOCOL (an answer that makes no sense), ERR_CANCELLED
 *   retryable  the same call may succeed later (not for KMS*: the customer's key)
 * Credentials and signatures are never logged and in no error. */
#ifndef AWS_AWS_H
#define AWS_AWS_H

#include <json-c/json.h>

#include "shared/aws/http.h"
#include "shared/base/opts.h"

struct aws;
struct http_pool;

/* What every program takes; fill it with AWS_OPTIONS in the program's table. */
struct aws_options {
    char *region;
    char *endpoint;        /* for all services, or NULL: the service's own address in the region */
    char *endpoint_lambda; /* goes before `endpoint`; NULL: none */
    char *endpoint_ecs;
    char *endpoint_secrets;
    char *access_key;
    char *secret_key;
    char *session_token;
    /* Where the keys above are not given: the endpoint that hands them out (credentials.h). */
    char *container_relative_uri;
    char *container_full_uri;
    char *container_token;
    char *container_token_file;
};

/* clang-format off */
#define AWS_OPTIONS(o) \
    { "region", "AWS_REGION", OPT_STR, &(o).region, "us-east-1", 0, 0, "NAME", "AWS region" }, \
    { "endpoint-url", "AWS_ENDPOINT_URL", OPT_STR, &(o).endpoint, NULL, 0, 0, "URL", \
      "address of all AWS APIs instead of AWS's own" }, \
    { "endpoint-url-lambda", "AWS_ENDPOINT_URL_LAMBDA", OPT_STR, \
      &(o).endpoint_lambda, NULL, 0, 0, "URL", \
      "address of Lambda's API" }, \
    { "endpoint-url-ecs", "AWS_ENDPOINT_URL_ECS", OPT_STR, &(o).endpoint_ecs, NULL, 0, 0, "URL", \
      "address of ECS's API" }, \
    { "endpoint-url-secrets", "AWS_ENDPOINT_URL_SECRETS_MANAGER", OPT_STR, \
      &(o).endpoint_secrets, NULL, 0, 0, "URL", \
      "address of Secrets Manager's API" }, \
    { NULL, "AWS_ACCESS_KEY_ID", OPT_SECRET, &(o).access_key, NULL, 0, 0, NULL, "access key" }, \
    { NULL, "AWS_SECRET_ACCESS_KEY", OPT_SECRET, &(o).secret_key, NULL, 0, 0, NULL, \
      "secret key" }, \
    { NULL, "AWS_SESSION_TOKEN", OPT_SECRET, &(o).session_token, NULL, 0, 0, NULL, \
      "session token" }, \
    { "container-credentials-relative-uri", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", OPT_STR, \
      &(o).container_relative_uri, NULL, 0, 0, "PATH", \
      "where ECS hands out credentials (ECS sets it)" }, \
    { "container-credentials-full-uri", "AWS_CONTAINER_CREDENTIALS_FULL_URI", OPT_STR, \
      &(o).container_full_uri, NULL, 0, 0, "URL", \
      "the same as a whole URL" }, \
    { "container-authorization-token-file", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", OPT_STR, \
      &(o).container_token_file, NULL, 0, 0, "FILE", \
      "what that endpoint wants as Authorization" }, \
    { NULL, "AWS_CONTAINER_AUTHORIZATION_TOKEN", OPT_SECRET, \
      &(o).container_token, NULL, 0, 0, NULL, \
      "the same, itself" }
/* clang-format on */

/* `o` and `clock` are borrowed and must outlive it. NULL with *err where an endpoint is not a URL
 * or no source of credentials is configured (the message says which variables to set). Keys that
 * are given go before the container's endpoint, its relative URI before the full one. */
struct aws *aws_new(const struct aws_options *o, const struct clock *clock,
                    struct error *err) CHECKED;
void aws_free(struct aws *a);
/* Tries a call, and the longest wait before the second one, which doubles up to the cap; default 3
 * tries, 100 ms, cap 5 s. Each try sends the same bytes, signed anew. */
void aws_set_retry(struct aws *a, unsigned attempts, int64_t base_ms, int64_t cap_ms);
/* The time limit of one try in ms (default AWS_TIMEOUT_MS), to which a second is added for each
 * MiB of its body; where a deadline is set and tries are left, a try gets half of what is left of
 * it at most (http_try_limit). And a flag that ends calls with ERR_CANCELLED.
 *
 * AWS's own clients wait for 50 to 60 s and longer, which are a function's whole life here: a
 * connection whose other end has gone while the sandbox was frozen, or that a NAT gateway has
 * forgotten, would take the invocation with it. All calls that our programs make are answered
 * within a second or two, or late enough to be tried again on a new connection. */
#define AWS_TIMEOUT_MS 10000
void aws_set_timeout(struct aws *a, int64_t timeout_ms);
void aws_set_cancel(struct aws *a, const atomic_bool *cancel);
/* Sent with each later call as `traceparent` (W3C), unsigned, since what lies between may change
 * it; copied; NULL or "": none. */
void aws_set_traceparent(struct aws *a, const char *traceparent);
/* No try is begun after, or lasts past, this time of the clock's mono_ms; 0 (the default): none. */
void aws_set_deadline(struct aws *a, int64_t deadline_ms);
/* How long the last call's last error answer asked to wait (Retry-After), or -1. Up to 20 s are
 * waited out by the call itself where tries are left. */
int64_t aws_retry_after_ms(const struct aws *a);

enum aws_service {
    AWS_LAMBDA,
    AWS_ECS,
    AWS_SECRETS_MANAGER
};

/* One call, for the typed clients. `path` is on the wire as it is given: its segments are encoded
 * already. `query` has no '?'; NULL: none. */
struct aws_call {
    enum aws_service service;
    const char *method;
    const char *path;
    const char *query;
    const struct http_header
        *headers; /* besides Host and those of the signature; NULL-name ended */
    const void *body;
    size_t body_len;
    size_t max_response;
    unsigned attempts; /* 0: as aws_set_retry says, for calls that may arrive twice; 1: never repeat
                          this call, not even on a kept connection that turns out to be closed:
                          ERR_NET then */
};

/* 0 for a 2xx answer, which is then in *resp (the caller's to release in any case); else -1. */
int aws_send(struct aws *a, const struct aws_call *call, struct http_response *resp,
             struct error *err) CHECKED;

/* One try of a call, among others that a pool drives (http_pool.h); the pool's thread is that of
 * `a` then. Never repeated, whatever call->attempts says.
 *
 * `done`, from the pool, gets what aws_send would return, the answer and the error: both lent for
 * the call, during which aws_retry_after_ms is of this try. */
typedef void aws_done_fn(void *arg, int rc, struct http_response *resp, struct error *err);
/* The caller's memory, from start to `done`; its members are private. */
struct aws_started {
    struct aws *aws;
    aws_done_fn *done;
    void *arg;
};
/* call->body is borrowed until `done`, all else for this call. -1: it cannot be begun (so there are
 * no credentials), and `done` is not called. Where credentials have to be fetched anew, that is
 * waited for here: up to some seconds where the endpoint does not answer, while nothing else of the
 * pool moves. */
int aws_start(struct aws *a, struct http_pool *pool, const struct aws_call *call,
              struct aws_started *s, aws_done_fn *done, void *arg, struct error *err) CHECKED;

/* The same for JSON 1.1 services (ECS, Secrets Manager): POST / with X-Amz-Target `target` and the
 * JSON text; *out is the parsed answer, the caller's. For error answers *out is the error's body
 * where it is JSON (a ConflictException's resourceIds are there), else NULL. */
int aws_send_json11(struct aws *a, enum aws_service service, const char *target, const char *json,
                    struct json_object **out, struct error *err) CHECKED;

#endif

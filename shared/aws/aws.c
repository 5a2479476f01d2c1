#include "shared/aws/aws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/aws/aws_error.h"
#include "shared/aws/credentials.h"
#include "shared/aws/http_pool.h"
#include "shared/aws/sigv4.h"
#include "shared/base/backoff.h"
#include "shared/base/json.h"

#define SERVICES           3
#define RETRY_AFTER_MAX_MS 20000 /* a longer one is the caller's to wait out */
#define BYTES_PER_MS       1024  /* what a body adds to the time of a try */

struct endpoint {
    const char *service; /* in the host's name and in the signature's scope */
    char *base;          /* "https://lambda.us-east-1.amazonaws.com" */
    char *host;
    struct sigv4_key key; /* of its last signature */
};

struct aws {
    char *region;
    const struct clock *clock;
    struct http_client *http;
    struct credentials_source *credentials;
    struct endpoint endpoints[SERVICES];
    struct http_retry retry;
    int64_t timeout_ms;
    const atomic_bool *cancel;
    int64_t retry_after_ms;
    char traceparent[56];
};

/* ---- life ------------------------------------------------------------------------------------ */

/* "SCHEME://HOST[:PORT]" with at most one '/' behind it. */
static int endpoint_set(struct endpoint *e, const char *url, struct error *err)
{
    size_t scheme = strncasecmp(url, "http://", 7) == 0    ? 7
                    : strncasecmp(url, "https://", 8) == 0 ? 8
                                                           : 0;
    size_t host = scheme ? strcspn(url + scheme, "/?#@ ") : 0;
    const char *rest = url + scheme + host;
    if (host == 0 || (rest[0] && strcmp(rest, "/") != 0))
        return error_set(err, ERR_INVALID, 0,
                         "the endpoint for %s is not http://HOST[:PORT] or https://HOST[:PORT]",
                         e->service);
    e->base = mem_dup_len(url, scheme + host);
    e->host = mem_dup(e->base + scheme);
    return 0;
}

static int endpoint_choose(struct endpoint *e, const char *own, const struct aws_options *o,
                           struct error *err)
{
    if (own || o->endpoint)
        return endpoint_set(e, own ? own : o->endpoint, err);
    const char *region = o->region ? o->region : ""; /* which aws_new refuses */
    auto_free char *url = mem_printf("https://%s.%s.amazonaws.com%s", e->service, region,
                                     strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    return endpoint_set(e, url, err);
}

static struct credentials_source *credentials_choose(const struct aws_options *o,
                                                     const struct clock *clock, struct error *err)
{
    bool given = (o->access_key && o->access_key[0]) || (o->secret_key && o->secret_key[0]);
    if (given || (!o->container_relative_uri && !o->container_full_uri))
        return credentials_fixed_new(o->access_key, o->secret_key, o->session_token, err);
    const struct credentials_container c = { .relative_uri = o->container_relative_uri,
                                             .full_uri = o->container_full_uri,
                                             .token = o->container_token,
                                             .token_file = o->container_token_file };
    return credentials_container_new(&c, clock, err);
}

struct aws *aws_new(const struct aws_options *o, const struct clock *clock, struct error *err)
{
    struct aws *a = mem_alloc(sizeof(*a));
    a->clock = clock;
    a->region = mem_dup(o->region ? o->region : "");
    a->retry = (struct http_retry){ .attempts = 3, .base_ms = 100, .cap_ms = 5000, .clock = clock };
    a->timeout_ms = AWS_TIMEOUT_MS;
    a->retry_after_ms = -1;
    a->endpoints[AWS_LAMBDA].service = "lambda";
    a->endpoints[AWS_ECS].service = "ecs";
    a->endpoints[AWS_SECRETS_MANAGER].service = "secretsmanager";
    if (!a->region[0] ||
        strspn(a->region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(a->region)) {
        error_set(err, ERR_INVALID, 0, "AWS_REGION is not a region's name");
        goto fail;
    }
    if (endpoint_choose(&a->endpoints[AWS_LAMBDA], o->endpoint_lambda, o, err) < 0 ||
        endpoint_choose(&a->endpoints[AWS_ECS], o->endpoint_ecs, o, err) < 0 ||
        endpoint_choose(&a->endpoints[AWS_SECRETS_MANAGER], o->endpoint_secrets, o, err) < 0)
        goto fail;
    a->credentials = credentials_choose(o, clock, err);
    if (!a->credentials)
        goto fail;
    a->http = http_client_new(err);
    if (!a->http)
        goto fail;
    return a;
fail:
    aws_free(a);
    return NULL;
}

void aws_free(struct aws *a)
{
    if (!a)
        return;
    http_client_free(a->http);
    credentials_free(a->credentials);
    for (size_t i = 0; i < SERVICES; i++) {
        free(a->endpoints[i].base);
        free(a->endpoints[i].host);
        sigv4_key_release(&a->endpoints[i].key);
    }
    free(a->region);
    free(a);
}

void aws_set_retry(struct aws *a, unsigned attempts, int64_t base_ms, int64_t cap_ms)
{
    a->retry.attempts = attempts;
    a->retry.base_ms = base_ms;
    a->retry.cap_ms = cap_ms;
}

void aws_set_traceparent(struct aws *a, const char *traceparent)
{
    snprintf(a->traceparent, sizeof(a->traceparent), "%s", traceparent ? traceparent : "");
}

void aws_set_timeout(struct aws *a, int64_t timeout_ms)
{
    a->timeout_ms = timeout_ms;
}

void aws_set_deadline(struct aws *a, int64_t deadline_ms)
{
    a->retry.deadline_ms = deadline_ms;
}

void aws_set_cancel(struct aws *a, const atomic_bool *cancel)
{
    a->cancel = cancel;
}

int64_t aws_retry_after_ms(const struct aws *a)
{
    return a->retry_after_ms;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* Headers that something between here and AWS may change are sent, but not signed. */
static bool signable(const char *name)
{
    return strcasecmp(name, "X-Amzn-Trace-Id") != 0;
}

/* The call's headers, each with what the signature adds behind them. */
struct head {
    struct http_header *sent;
    struct http_header *to_sign;
};

static struct head head_make(const struct aws_call *call, const char *host)
{
    size_t count = 0;
    while (call->headers && call->headers[count].name)
        count++;
    struct head h = { mem_array(count + 6, sizeof(*h.sent)),
                      mem_array(count + 2, sizeof(*h.sent)) };
    size_t n = 0;
    size_t signed_count = 0;
    h.sent[n++] = h.to_sign[signed_count++] = (struct http_header){ "Host", host };
    for (size_t i = 0; i < count; i++) {
        h.sent[n++] = call->headers[i];
        if (signable(call->headers[i].name))
            h.to_sign[signed_count++] = call->headers[i];
    }
    return h;
}

/* A call with its signature. */
struct signed_call {
    struct head head;
    struct sigv4 sigv4;
};

static void signed_release(struct signed_call *s)
{
    free(s->head.sent);
    free(s->head.to_sign);
    sigv4_release(&s->sigv4);
}

/* With the time of now, since a signature is valid for five minutes only. What it points to is lent
 * by `a` until its next call. */
static int sign(struct aws *a, const struct aws_call *call, const char *body_hash,
                struct signed_call *out, struct error *err)
{
    struct endpoint *e = &a->endpoints[call->service];
    struct credentials keys;
    *out = (struct signed_call){ 0 };
    if (credentials_get(a->credentials, &keys, err) < 0)
        return error_wrap(err, "credentials");
    struct sigv4_scope scope = { .access_key = keys.access_key,
                                 .secret_key = keys.secret_key,
                                 .session_token = keys.session_token,
                                 .region = a->region,
                                 .service = e->service,
                                 .time_ms = clock_wall_ms(a->clock),
                                 .key = &e->key };
    out->head = head_make(call, e->host);
    struct sigv4_request to_sign = { .method = call->method,
                                     .path = call->path,
                                     .query = call->query,
                                     .headers = out->head.to_sign,
                                     .body_hash = body_hash };
    struct sigv4 *s = &out->sigv4;
    if (sigv4_sign(s, &scope, &to_sign, SIGV4_USUAL, err) < 0)
        return -1;
    struct http_header *end = out->head.sent;
    while (end->name)
        end++;
    *end++ = (struct http_header){ "X-Amz-Date", s->date };
    if (keys.session_token)
        *end++ = (struct http_header){ "X-Amz-Security-Token", keys.session_token };
    if (a->traceparent[0])
        *end++ = (struct http_header){ "traceparent", a->traceparent };
    *end = (struct http_header){ "Authorization", buf_str(&s->authorization) };
    return 0;
}

/* What came of a try: rc as it was sent, then as it was answered. */
static int judge(struct aws *a, int rc, const struct http_response *resp, struct error *err)
{
    a->retry_after_ms = -1;
    if (rc == 0 && (resp->status < 200 || resp->status > 299)) {
        rc = aws_error_decode(resp, err);
        a->retry_after_ms = http_retry_after_ms(resp, a->clock);
    }
    if (rc < 0 && strncmp(err->type, "ExpiredToken", strlen("ExpiredToken")) == 0)
        credentials_forget(a->credentials);
    return rc;
}

static int try_once(struct aws *a, const struct aws_call *call, struct http_request *req,
                    const char *body_hash, struct http_response *resp, struct error *err)
{
    struct signed_call s;
    int rc = sign(a, call, body_hash, &s, err);
    if (rc == 0) {
        req->headers = s.head.sent;
        rc = http_send(a->http, req, resp, err);
        req->headers = NULL;
    }
    signed_release(&s);
    return judge(a, rc, resp, err);
}

/* The wait before try n + 1, or -1 where there is no sense in one. */
static int64_t wait_before_next(const struct aws *a, const struct error *err, unsigned n,
                                unsigned attempts)
{
    if (!err->retryable || n >= attempts || a->retry_after_ms > RETRY_AFTER_MAX_MS)
        return -1;
    int64_t ms = backoff_full_jitter_ms(a->retry.base_ms, a->retry.cap_ms, n);
    if (ms < a->retry_after_ms)
        ms = a->retry_after_ms;
    if (a->retry.deadline_ms && clock_mono_ms(a->clock) + ms >= a->retry.deadline_ms)
        return -1;
    return ms;
}

/* The request of `call` but for its headers; *url is the caller's to free. */
static struct http_request request_of(const struct aws *a, const struct aws_call *call, char **url)
{
    const char *query = call->query && call->query[0] ? call->query : NULL;
    *url = mem_printf("%s%s%s%s", a->endpoints[call->service].base, call->path, query ? "?" : "",
                      query ? query : "");
    return (struct http_request){ .method = call->method,
                                  .url = *url,
                                  .body = call->body,
                                  .body_len = call->body_len,
                                  .max_response = call->max_response,
                                  .cancel = a->cancel,
                                  .once = call->attempts == 1 };
}

/* Sets the time limit of a try that begins now. */
static int limit(const struct aws *a, struct http_request *req, bool last, struct error *err)
{
    int64_t timeout_ms =
        a->timeout_ms ? a->timeout_ms + (int64_t)(req->body_len / BYTES_PER_MS) : 0;
    return http_try_limit(&a->retry, last, timeout_ms, &req->timeout_ms, err);
}

static void hash_body(const struct aws_call *call, char out[DIGEST_SHA256_HEX])
{
    digest_sha256_hex(call->body_len ? call->body : "", call->body_len, out);
}

static int send_tries(struct aws *a, const struct aws_call *call, struct http_request *req,
                      struct http_response *resp, struct error *err)
{
    char body_hash[DIGEST_SHA256_HEX];
    hash_body(call, body_hash);
    unsigned attempts = call->attempts ? call->attempts : a->retry.attempts;
    for (unsigned n = 1;; n++) {
        if (limit(a, req, n >= attempts, err) < 0)
            return -1;
        if (try_once(a, call, req, body_hash, resp, err) == 0)
            return 0;
        int64_t wait_ms = wait_before_next(a, err, n, attempts);
        if (wait_ms < 0)
            return -1;
        if (http_wait(a->clock, wait_ms, a->cancel) < 0)
            return error_set(err, ERR_CANCELLED, 0, "given up between two tries");
    }
}

int aws_send(struct aws *a, const struct aws_call *call, struct http_response *resp,
             struct error *err)
{
    struct error mine = { 0 };
    auto_secret char *url = NULL;
    struct http_request req = request_of(a, call, &url);
    http_response_release(resp);
    a->retry_after_ms = -1;
    int rc = send_tries(a, call, &req, resp, &mine);
    if (rc < 0 && err)
        *err = mine;
    return rc;
}

static void started_ended(void *arg, int rc, struct http_response *resp, struct error *err)
{
    struct aws_started *s = arg;
    s->done(s->arg, judge(s->aws, rc, resp, err), resp, err);
}

int aws_start(struct aws *a, struct http_pool *pool, const struct aws_call *call,
              struct aws_started *s, aws_done_fn *done, void *arg, struct error *err)
{
    struct error mine = { 0 };
    struct signed_call signature = { 0 };
    char body_hash[DIGEST_SHA256_HEX];
    auto_secret char *url = NULL;
    struct http_request req = request_of(a, call, &url);
    *s = (struct aws_started){ .aws = a, .done = done, .arg = arg };
    a->retry_after_ms = -1;
    req.once = true;
    hash_body(call, body_hash);
    int rc = limit(a, &req, true, &mine);
    if (rc == 0)
        rc = sign(a, call, body_hash, &signature, &mine);
    if (rc == 0) {
        req.headers = signature.head.sent;
        rc = http_pool_start(pool, &req, started_ended, s, &mine);
    }
    signed_release(&signature);
    if (rc < 0 && err)
        *err = mine;
    return rc;
}

int aws_send_json11(struct aws *a, enum aws_service service, const char *target, const char *json,
                    struct json_object **out, struct error *err)
{
    const struct http_header headers[] = { { "Content-Type", "application/x-amz-json-1.1" },
                                           { "X-Amz-Target", target },
                                           { NULL, NULL } };
    struct aws_call call = { .service = service,
                             .method = "POST",
                             .path = "/",
                             .headers = headers,
                             .body = json,
                             .body_len = strlen(json) };
    *out = NULL;
    auto_response struct http_response resp = { 0 };
    int rc = aws_send(a, &call, &resp, err);
    if (resp.status == 0)
        return -1;
    struct error not_json = { 0 };
    if (json_parse(buf_str(&resp.body), resp.body.len, JSON_DEPTH, out, &not_json) < 0)
        *out = NULL;
    if (rc == 0 && !json_object_is_type(*out, json_type_object)) {
        json_put_ptr(out);
        return error_set(err, ERR_PROTOCOL, resp.status, "the answer to %s is not a JSON object",
                         target);
    }
    return rc;
}

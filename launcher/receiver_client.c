#include "launcher/receiver_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/encode.h"
#include "shared/base/json.h"

#define CONNECT_TIMEOUT_MS 3000
#define TIMEOUT_MS         5000       /* of one try; a commit takes milliseconds */
#define ANSWER_MAX         (2U << 20) /* a held report, escaped once more */

struct receiver_client {
    char *url;
    struct http_client *http;
    struct http_retry retry;
    char trace[TRACE_PARENT];
};

struct receiver_client *receiver_client_new(const char *url, const struct clock *clock,
                                            struct error *err)
{
    struct receiver_client *r = mem_alloc(sizeof(*r));
    r->url = mem_dup(url);
    r->retry = (struct http_retry){ .attempts = 3, .base_ms = 100, .cap_ms = 500, .clock = clock };
    r->http = http_client_new(err);
    if (!r->http) {
        receiver_client_free(r);
        return NULL;
    }
    return r;
}

void receiver_client_free(struct receiver_client *r)
{
    if (!r)
        return;
    http_client_free(r->http);
    free(r->url);
    free(r);
}

void receiver_client_set_retry(struct receiver_client *r, unsigned attempts, int64_t cap_ms)
{
    r->retry.attempts = attempts;
    r->retry.cap_ms = cap_ms;
}

void receiver_client_set_trace(struct receiver_client *r, const char *traceparent)
{
    snprintf(r->trace, sizeof(r->trace), "%s", traceparent);
}

void receiver_client_set_deadline(struct receiver_client *r, int64_t deadline_ms)
{
    r->retry.deadline_ms = deadline_ms;
}

void receiver_client_halve_deadline(struct receiver_client *r)
{
    if (r->retry.deadline_ms)
        r->retry.deadline_ms -= (r->retry.deadline_ms - clock_mono_ms(r->retry.clock)) / 2;
}

static enum error_code code_of(int status)
{
    switch (status) {
    case 401:
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 408:
        return ERR_TIMEOUT;
    case 409:
        return ERR_CONFLICT;
    case 410:
        return ERR_GONE;
    case 413:
        return ERR_TOO_LARGE;
    case 429:
        return ERR_THROTTLED;
    default:
        return status >= 500 ? ERR_UNAVAILABLE : status >= 400 ? ERR_INVALID : ERR_PROTOCOL;
    }
}

/* What a problem document (RFC 9457) says, or the status alone. */
static int refusal(const struct http_response *resp, struct error *err)
{
    struct error not_json;
    auto_json struct json_object *problem = NULL;
    if (json_parse(buf_str(&resp->body), resp->body.len, JSON_DEPTH, &problem, &not_json) < 0)
        problem = NULL;
    const char *detail = json_get_str(problem, "detail");
    return error_set(err, code_of(resp->status), resp->status,
                     "the receiver answered with status %d%s%.300s", resp->status,
                     detail ? ": " : "", detail ? detail : "");
}

/* `what` is behind the id in the path: "" or "/failure". Each of the calls may arrive twice: PUT of
 * the same is 200, the same failure again is the same report, the other two change nothing more. */
static int call(struct receiver_client *r, const char *method, const char *id, const char *what,
                const char *token, const char *body, struct http_response *resp, struct error *err)
{
    auto_free char *url = mem_printf("%s/v1/callbacks/%s%s", r->url, id, what);
    auto_secret char *bearer = mem_printf("Bearer %s", token);
    struct http_header headers[4] = { { "Authorization", bearer } };
    size_t n = 1;
    if (body)
        headers[n++] = (struct http_header){ "Content-Type", "application/json" };
    if (r->trace[0])
        headers[n] = (struct http_header){ "traceparent", r->trace };
    const struct http_request req = {
        .method = method,
        .url = url,
        .headers = headers,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = TIMEOUT_MS,
        .max_response = ANSWER_MAX,
    };
    if (http_send_retry(r->http, &req, &r->retry, resp, err) < 0)
        return error_wrap(err, "the receiver");
    return resp->status >= 200 && resp->status <= 299 ? 0 : refusal(resp, err);
}

int receiver_register(struct receiver_client *r, const char *id, const char *token,
                      const char *body, struct error *err)
{
    auto_response struct http_response resp = { 0 };
    return call(r, "PUT", id, "", token, body, &resp, err);
}

int receiver_fail(struct receiver_client *r, const char *id, const char *token, const char *body,
                  struct error *err)
{
    auto_response struct http_response resp = { 0 };
    return call(r, "POST", id, "/failure", token, body, &resp, err);
}

int receiver_status(struct receiver_client *r, const char *id, const char *token,
                    struct json_object **out, struct error *err)
{
    auto_response struct http_response resp = { 0 };
    *out = NULL;
    if (call(r, "GET", id, "", token, NULL, &resp, err) < 0)
        return -1;
    if (json_parse(buf_str(&resp.body), resp.body.len, JSON_DEPTH, out, err) == 0 &&
        json_object_is_type(*out, json_type_object))
        return 0;
    json_put_ptr(out);
    return error_set(err, ERR_PROTOCOL, resp.status, "the receiver's answer is not a JSON object");
}

int receiver_close(struct receiver_client *r, const char *id, const char *token,
                   const char *outcome, struct error *err)
{
    auto_buf struct buf body = BUF_INIT(1024);
    auto_response struct http_response resp = { 0 };
    buf_add_str(&body, "{\"outcome\":");
    buf_add_json_str(&body, outcome);
    buf_add_char(&body, '}');
    struct error mine = { 0 };
    if (call(r, "DELETE", id, "", token, buf_str(&body), &resp, &mine) == 0 ||
        mine.code == ERR_NOT_FOUND || mine.code == ERR_GONE)
        return 0;
    if (err)
        *err = mine;
    return -1;
}

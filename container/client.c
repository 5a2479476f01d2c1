#include "container/client.h"

#include <stdlib.h>
#include <string.h>

#include "container/text.h"
#include "shared/aws/http.h"
#include "shared/base/json.h"
#include "shared/base/utf8.h"
#include "shared/base/version.h"

#define ANSWER_MAX (64U << 10)
#define INPUT_MAX  (1100U << 10) /* the receiver keeps inputs of up to 1 MB */
#define DETAIL_MAX 300

struct client {
    struct http_client *http;
    const char *url;
    char *authorization;
    const atomic_bool *cancel;
};

struct client *client_new(const char *url, const char *token, const atomic_bool *cancel,
                          struct error *err)
{
    if (http_check_url(url, err) < 0)
        return NULL;
    struct http_client *http = http_client_new(err);
    if (!http)
        return NULL;
    struct client *c = mem_alloc(sizeof(*c));
    c->http = http;
    c->url = url;
    c->authorization = mem_printf("Bearer %s", token);
    c->cancel = cancel;
    return c;
}

void client_free(struct client *c)
{
    if (!c)
        return;
    http_client_free(c->http);
    mem_free_secret(c->authorization);
    free(c);
}

enum answer client_answer_of(int status)
{
    if (status >= 200 && status < 300)
        return ANSWER_OK;
    switch (status) {
    case 408: /* Request Timeout, RFC 9110 15.5.9: may be repeated */
    case 425: /* Too Early, RFC 8470 5.2 */
    case 429:
        return ANSWER_LATER;
    case 401:
    case 403:
        return ANSWER_DENIED;
    case 404:
        return ANSWER_ABSENT;
    case 409:
        return ANSWER_TAKEN;
    case 410:
        return ANSWER_GONE;
    case 413:
        return ANSWER_TOO_LARGE;
    default:
        return status >= 500 ? ANSWER_LATER : ANSWER_REFUSED;
    }
}

static enum error_code code_of(enum answer answer)
{
    switch (answer) {
    case ANSWER_LATER:
        return ERR_UNAVAILABLE;
    case ANSWER_GONE:
        return ERR_GONE;
    case ANSWER_TAKEN:
        return ERR_CONFLICT;
    case ANSWER_TOO_LARGE:
        return ERR_TOO_LARGE;
    case ANSWER_DENIED:
        return ERR_DENIED;
    case ANSWER_ABSENT:
        return ERR_NOT_FOUND;
    case ANSWER_OK:
    case ANSWER_REFUSED:
    case ANSWER_CANCELLED:
        break;
    }
    return ERR_INVALID;
}

/* "the receiver answered 400: what its problem document (RFC 9457) says". */
static void explain(const struct http_response *resp, struct reply *reply)
{
    auto_json struct json_object *problem = NULL;
    const char *detail = NULL;
    if (json_parse(buf_str(&resp->body), resp->body.len, JSON_DEPTH, &problem, NULL) == 0)
        detail = json_get_str(problem, "detail");
    auto_buf struct buf text = BUF_INIT(4096);
    if (detail)
        text_clean(&text, detail, utf8_cut(detail, strlen(detail), DETAIL_MAX));
    error_set(&reply->err, code_of(reply->answer), resp->status, "the receiver answered %d%s%s",
              resp->status, detail ? ": " : "", buf_str(&text));
}

struct call {
    const char *method;
    const char *path; /* behind the callback's own URL */
    const char *type; /* of the body; NULL: no body */
    const char *body;
    size_t len;
    int64_t timeout_ms;
    size_t max_response;
};

static void call(struct client *c, const struct call *call, struct http_response *resp,
                 struct reply *reply)
{
    *reply = (struct reply){ .retry_after_ms = -1 };
    auto_free char *url = mem_printf("%s%s", c->url, call->path);
    const struct http_header headers[] = {
        { "Authorization", c->authorization },
        { "User-Agent", "callback-run/" VERSION },
        { call->type ? "Content-Type" : NULL, call->type },
        { NULL, NULL },
    };
    const struct http_request req = {
        .method = call->method,
        .url = url,
        .headers = headers,
        .body = call->body,
        .body_len = call->len,
        .timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : 1, /* 0 would be without end */
        .max_response = call->max_response,
        .cancel = c->cancel,
    };
    if (http_send(c->http, &req, resp, &reply->err) < 0) {
        bool final = reply->err.code == ERR_INVALID || reply->err.code == ERR_TOO_LARGE;
        reply->answer = reply->err.code == ERR_CANCELLED ? ANSWER_CANCELLED
                        : final                          ? ANSWER_REFUSED
                                                         : ANSWER_LATER;
        return;
    }
    reply->answer = client_answer_of(resp->status);
    reply->retry_after_ms = http_retry_after_ms(resp, clock_system());
    if (reply->answer != ANSWER_OK)
        explain(resp, reply);
}

void client_heartbeat(struct client *c, const char *json, int64_t timeout_ms, struct reply *reply)
{
    auto_response struct http_response resp = { 0 };
    call(c,
         &(struct call){ .method = "POST",
                         .path = "/heartbeat",
                         .type = json ? "application/json" : NULL,
                         .body = json,
                         .len = json ? strlen(json) : 0,
                         .timeout_ms = timeout_ms,
                         .max_response = ANSWER_MAX },
         &resp, reply);
}

void client_report(struct client *c, const struct report *report, int64_t timeout_ms,
                   struct reply *reply)
{
    auto_response struct http_response resp = { 0 };
    call(c,
         &(struct call){ .method = "POST",
                         .path = report->kind == REPORT_SUCCESS ? "/success" : "/failure",
                         .type = report->media_type,
                         .body = report->body,
                         .len = report->len,
                         .timeout_ms = timeout_ms,
                         .max_response = ANSWER_MAX },
         &resp, reply);
}

void client_input(struct client *c, int64_t timeout_ms, char **text, size_t *len,
                  struct reply *reply)
{
    auto_response struct http_response resp = { 0 };
    *text = NULL;
    call(c,
         &(struct call){ .method = "GET",
                         .path = "/input",
                         .timeout_ms = timeout_ms,
                         .max_response = INPUT_MAX },
         &resp, reply);
    if (reply->answer == ANSWER_OK && resp.body.len > 0)
        *text = buf_take(&resp.body, len);
}

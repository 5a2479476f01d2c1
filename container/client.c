#include "container/client.h"

#include <stdlib.h>
#include <string.h>

#include "container/text.h"
#include "shared/aws/http.h"
#include "shared/base/json.h"
#include "shared/base/utf8.h"
#include "shared/base/version.h"

#define ANSWER_MAX (64U << 10)
#define DETAIL_MAX 300

struct client {
    const char *socket; /* where another callback-run makes the calls; NULL: here */
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

struct client *client_new_socket(const char *path)
{
    struct client *c = mem_alloc(sizeof(*c));
    c->socket = path;
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
static void explain(const struct wire_answer *answer, struct reply *reply)
{
    auto_json struct json_object *problem = NULL;
    const char *detail = NULL;
    if (json_parse(buf_str(&answer->body), answer->body.len, JSON_DEPTH, &problem, NULL) == 0)
        detail = json_get_str(problem, "detail");
    auto_buf struct buf text = BUF_INIT(4096);
    if (detail)
        text_clean(&text, detail, utf8_cut(detail, strlen(detail), DETAIL_MAX));
    error_set(&reply->err, code_of(reply->answer), answer->status, "the receiver answered %d%s%s",
              answer->status, detail ? ": " : "", buf_str(&text));
}

static int call_http(struct client *c, const struct wire_request *req, struct wire_answer *answer,
                     struct error *err)
{
    static const char *const paths[] = {
        [WIRE_HEARTBEAT] = "/heartbeat",
        [WIRE_SUCCESS] = "/success",
        [WIRE_FAILURE] = "/failure",
        [WIRE_INPUT] = "/input",
    };
    auto_free char *url = mem_printf("%s%s", c->url, paths[req->call]);
    const struct http_header headers[] = {
        { "Authorization", c->authorization },
        { "User-Agent", "callback-run/" VERSION },
        { req->media_type[0] ? "Content-Type" : NULL, req->media_type },
        { NULL, NULL },
    };
    const struct http_request http = {
        .method = req->call == WIRE_INPUT ? "GET" : "POST",
        .url = url,
        .headers = headers,
        .body = req->body.data,
        .body_len = req->body.len,
        .timeout_ms = req->timeout_ms > 0 ? req->timeout_ms : 1, /* 0 would be without end */
        .max_response = req->call == WIRE_INPUT ? WIRE_BODY_MAX : ANSWER_MAX,
        .cancel = c->cancel,
    };
    auto_response struct http_response resp = { 0 };
    if (http_send(c->http, &http, &resp, err) < 0)
        return -1;
    answer->status = resp.status;
    answer->retry_after_ms = http_retry_after_ms(&resp, clock_system());
    buf_release(&answer->body);
    answer->body = resp.body;
    resp.body = (struct buf){ .data = NULL };
    return 0;
}

int client_call(struct client *c, const struct wire_request *req, struct wire_answer *answer,
                struct error *err)
{
    if (!c->socket)
        return call_http(c, req, answer, err);
    if (wire_ask(c->socket, req, answer, err) < 0)
        return -1;
    if (answer->status > 0)
        return 0;
    error_set(err, ERR_NET, 0, "%.400s", buf_str(&answer->body));
    return -1;
}

/* One call and what its answer means; the answer's body stays in `answer`, which is released by the
 * caller. */
static void ask(struct client *c, struct wire_request *req, struct wire_answer *answer,
                struct reply *reply)
{
    *reply = (struct reply){ .retry_after_ms = -1 };
    if (client_call(c, req, answer, &reply->err) < 0) {
        bool final = reply->err.code == ERR_INVALID || reply->err.code == ERR_TOO_LARGE;
        reply->answer = reply->err.code == ERR_CANCELLED ? ANSWER_CANCELLED
                        : final                          ? ANSWER_REFUSED
                                                         : ANSWER_LATER;
    } else {
        reply->answer = client_answer_of(answer->status);
        reply->retry_after_ms = answer->retry_after_ms;
        if (reply->answer != ANSWER_OK)
            explain(answer, reply);
    }
    buf_release(&req->body);
}

static struct wire_request request(enum wire_call call, int64_t timeout_ms, const char *type,
                                   const char *body, size_t len)
{
    struct wire_request req = { .call = call, .timeout_ms = timeout_ms };
    buf_init(&req.body, len + 1);
    buf_add(&req.body, body, len);
    if (type)
        memcpy(req.media_type, type, strlen(type) + 1);
    return req;
}

void client_heartbeat(struct client *c, const char *json, int64_t timeout_ms, struct reply *reply)
{
    struct wire_request req = request(WIRE_HEARTBEAT, timeout_ms, json ? "application/json" : NULL,
                                      json, json ? strlen(json) : 0);
    struct wire_answer answer = { 0 };
    ask(c, &req, &answer, reply);
    buf_release(&answer.body);
}

void client_report(struct client *c, const struct report *report, int64_t timeout_ms,
                   struct reply *reply)
{
    struct wire_request req = request(report->kind == REPORT_SUCCESS ? WIRE_SUCCESS : WIRE_FAILURE,
                                      timeout_ms, report->media_type, report->body, report->len);
    struct wire_answer answer = { 0 };
    ask(c, &req, &answer, reply);
    buf_release(&answer.body);
}

void client_input(struct client *c, int64_t timeout_ms, char **text, size_t *len,
                  struct reply *reply)
{
    struct wire_request req = request(WIRE_INPUT, timeout_ms, NULL, NULL, 0);
    struct wire_answer answer = { 0 };
    *text = NULL;
    ask(c, &req, &answer, reply);
    if (reply->answer == ANSWER_OK && answer.body.len > 0)
        *text = buf_take(&answer.body, len);
    buf_release(&answer.body);
}

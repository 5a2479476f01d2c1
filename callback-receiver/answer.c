#include "callback-receiver/answer.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/buf.h"
#include "shared/base/clock.h"
#include "shared/base/mem.h"

#define NO_STORE                                                                                   \
    {                                                                                              \
        "Cache-Control", "no-store"                                                                \
    }

static void count(const struct httpd_request *req, struct metrics *m, int status)
{
    metrics_request(m, metrics_route(httpd_method(req), httpd_path(req)), status,
                    clock_mono_us() - httpd_started_us(req));
}

void answer_state(struct httpd_request *req, struct metrics *m, int status,
                  enum callback_state state, int wait_s)
{
    char applied[32];
    char body[64];
    struct httpd_header headers[] = { NO_STORE, { NULL, NULL }, { NULL, NULL } };
    if (wait_s > 0) {
        snprintf(applied, sizeof(applied), "wait=%d", wait_s);
        headers[1] = (struct httpd_header){ "Preference-Applied", applied };
    }
    snprintf(body, sizeof(body), "{\"state\":\"%s\"}", callback_state_name(state));
    count(req, m, status);
    httpd_reply_json(req, status, body, headers);
}

void answer_reported(struct httpd_request *req, struct metrics *m, enum callback_state state,
                     int wait_s)
{
    switch (state) {
    case CALLBACK_DELIVERED:
    case CALLBACK_UNCONFIRMED:
        answer_state(req, m, 200, state, wait_s);
        break;
    case CALLBACK_DEAD:
        answer_problem(req, m, 410, state, NULL, NULL,
                       "The report was accepted, but it can not be delivered any more.");
        break;
    case CALLBACK_CLOSED:
        answer_problem(req, m, 410, state, NULL, NULL, "The workflow does not wait any more.");
        break;
    default:
        answer_state(req, m, 202, state, wait_s);
        break;
    }
}

void answer_problem(struct httpd_request *req, struct metrics *m, int status,
                    enum callback_state state, const char *header, const char *value,
                    const char *detail, ...)
{
    va_list ap;
    va_start(ap, detail);
    auto_free char *text = mem_vprintf(detail, ap);
    va_end(ap);
    auto_buf struct buf b = BUF_INIT(1 << 16);
    buf_printf(&b, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":",
               httpd_phrase(status), status);
    buf_add_json_str(&b, text);
    if (state != CALLBACK_ABSENT)
        buf_printf(&b, ",\"state\":\"%s\"", callback_state_name(state));
    buf_add_str(&b, "}");
    struct httpd_header headers[] = { NO_STORE, { header, value }, { NULL, NULL } };
    count(req, m, status);
    httpd_reply(req, status, "application/problem+json", buf_str(&b), b.len, headers);
}

void answer_unavailable(struct httpd_request *req, struct metrics *m, const char *detail)
{
    answer_problem(req, m, 503, CALLBACK_ABSENT, "Retry-After", ANSWER_RETRY_AFTER, "%s", detail);
}

void answer_body(struct httpd_request *req, struct metrics *m, int status, const char *type,
                 const void *body, size_t len)
{
    struct httpd_header headers[] = { NO_STORE, { NULL, NULL } };
    count(req, m, status);
    httpd_reply(req, status, type, body, len, headers);
}

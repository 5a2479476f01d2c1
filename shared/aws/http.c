#include "shared/aws/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "shared/aws/http_transfer.h"
#include "shared/aws/http_trust.h"
#include "shared/base/backoff.h"

#define CANCEL_POLL_MS     100 /* how soon a cancelled transfer or wait is noticed */
#define IDLE_POLL_MS       1000
#define RETRY_AFTER_MAX_MS (24 * 3600 * INT64_C(1000))

/* The multi handle drives the one easy handle: curl_easy_perform looks at its callbacks once a
 * second only, which is too slow for `cancel`. It also owns the open connections. */
struct http_client {
    struct http_transfer transfer;
    CURLM *multi;
    const char *hashed; /* where certificates are looked for first; NULL: not there */
};

void http_global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void http_global_cleanup(void)
{
    curl_global_cleanup();
}

struct http_client *http_client_new(struct error *err)
{
    struct http_client *c = mem_alloc(sizeof(*c));
    c->hashed = http_trust_hashed(environ);
    c->multi = curl_multi_init();
    if (http_transfer_init(&c->transfer, err) == 0 && c->multi)
        return c;
    error_set(err, ERR_INTERNAL, 0, "libcurl does not start");
    http_client_free(c);
    return NULL;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    http_transfer_release(&c->transfer);
    if (c->multi)
        curl_multi_cleanup(c->multi);
    free(c);
}

/* ---- transfer -------------------------------------------------------------------------------- */

static bool cancelled(const atomic_bool *cancel)
{
    return cancel && atomic_load(cancel);
}

/* Runs the easy handle to its end; false where `cancel` came first. */
static bool run(struct http_client *c, const atomic_bool *cancel, CURLcode *result)
{
    int wait_ms = cancel ? CANCEL_POLL_MS : IDLE_POLL_MS;
    *result = CURLE_FAILED_INIT;
    for (;;) {
        int running = 0;
        if (cancelled(cancel))
            return false;
        if (curl_multi_perform(c->multi, &running) != CURLM_OK)
            return true;
        if (!running)
            break;
        if (curl_multi_poll(c->multi, NULL, 0, wait_ms, NULL) != CURLM_OK)
            return true;
    }
    int left = 0;
    const CURLMsg *msg = curl_multi_info_read(c->multi, &left);
    if (msg && msg->msg == CURLMSG_DONE)
        *result = msg->data.result;
    return true;
}

int http_send(struct http_client *c, const struct http_request *req, struct http_response *resp,
              struct error *err)
{
    struct http_transfer *t = &c->transfer;
    CURLcode code = CURLE_FAILED_INIT;
    bool again = false;
    if (http_transfer_prepare(t, req, resp, c->hashed, err) < 0)
        return -1;
    do {
        bool ended = true;
        if (curl_multi_add_handle(c->multi, t->easy) == CURLM_OK) {
            ended = run(c, req->cancel, &code);
            curl_multi_remove_handle(c->multi, t->easy);
        }
        if (!ended)
            return http_transfer_cancelled(t, err);
        again = http_transfer_again(t, code);
        if (again)
            c->hashed = NULL;
    } while (again);
    return http_transfer_finish(t, code, err);
}

/* ---- response -------------------------------------------------------------------------------- */

void http_response_release(struct http_response *resp)
{
    buf_release(&resp->body);
    buf_release(&resp->headers);
    resp->status = 0;
}

bool http_response_header(const struct http_response *resp, const char *name, char *out,
                          size_t size)
{
    size_t name_len = strlen(name);
    for (const char *line = buf_str(&resp->headers); *line;) {
        const char *end = strchr(line, '\n');
        if (!end)
            end = line + strlen(line);
        if ((size_t)(end - line) > name_len && line[name_len] == ':' &&
            strncasecmp(line, name, name_len) == 0) {
            const char *value = line + name_len + 1;
            while (value < end && (*value == ' ' || *value == '\t'))
                value++;
            while (end > value && strchr(" \t\r", end[-1]))
                end--;
            size_t len = (size_t)(end - value);
            if (len >= size)
                return false;
            memcpy(out, value, len);
            out[len] = '\0';
            return true;
        }
        line = *end ? end + 1 : end;
    }
    return false;
}

void http_response_each_header(const struct http_response *resp, http_visit_fn *visit, void *arg)
{
    for (const char *line = buf_str(&resp->headers); *line;) {
        size_t whole = strcspn(line, "\n"), len = whole;
        while (len > 0 && strchr(" \t\r", line[len - 1]))
            len--;
        const char *colon = memchr(line, ':', len);
        if (colon && colon > line && strncmp(line, "HTTP/", 5) != 0) {
            const char *value = colon + 1;
            while (value < line + len && (*value == ' ' || *value == '\t'))
                value++;
            auto_free char *name = mem_dup_len(line, (size_t)(colon - line));
            auto_free char *text = mem_dup_len(value, (size_t)(line + len - value));
            visit(arg, name, text);
        }
        line += whole + (line[whole] == '\n');
    }
}

int64_t http_retry_after_ms(const struct http_response *resp, const struct clock *clock)
{
    char value[64];
    if (!http_response_header(resp, "Retry-After", value, sizeof(value)) || !value[0])
        return -1;
    int64_t ms = 0;
    if (value[strspn(value, "0123456789")] == '\0') {
        for (const char *p = value; *p && ms < RETRY_AFTER_MAX_MS; p++)
            ms = ms * 10 + (*p - '0') * 1000;
    } else {
        time_t at = curl_getdate(value, NULL);
        if (at == -1)
            return -1;
        ms = (int64_t)at * 1000 - clock_wall_ms(clock);
    }
    if (ms < 0)
        return 0;
    return ms < RETRY_AFTER_MAX_MS ? ms : RETRY_AFTER_MAX_MS;
}

/* ---- retry ----------------------------------------------------------------------------------- */

static bool status_retryable(int status)
{
    return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

int http_wait(const struct clock *clock, int64_t ms, const atomic_bool *cancel)
{
    int64_t until = clock_mono_ms(clock) + ms;
    for (;;) {
        if (cancelled(cancel))
            return -1;
        int64_t left = until - clock_mono_ms(clock);
        if (left <= 0)
            return 0;
        clock_sleep_ms(clock, cancel && left > CANCEL_POLL_MS ? CANCEL_POLL_MS : left);
    }
}

int http_try_limit(const struct http_retry *retry, bool last, int64_t timeout_ms, int64_t *limit_ms,
                   struct error *err)
{
    *limit_ms = timeout_ms;
    if (!retry->deadline_ms)
        return 0;
    int64_t left = retry->deadline_ms - clock_mono_ms(retry->clock);
    if (left <= 0)
        return error_set(err, ERR_TIMEOUT, 0, "no time is left for the request");
    if (!last && left > HTTP_TRY_MIN_MS)
        left = left / 2 > HTTP_TRY_MIN_MS ? left / 2 : HTTP_TRY_MIN_MS;
    if (!timeout_ms || timeout_ms > left)
        *limit_ms = left;
    return 0;
}

static int try_once(struct http_client *c, const struct http_request *req,
                    const struct http_retry *retry, bool last, struct http_response *resp,
                    struct error *err)
{
    struct http_request cut = *req;
    if (http_try_limit(retry, last, req->timeout_ms, &cut.timeout_ms, err) < 0)
        return -1;
    return http_send(c, &cut, resp, err);
}

int http_send_retry(struct http_client *c, const struct http_request *req,
                    const struct http_retry *retry, struct http_response *resp, struct error *err)
{
    struct error last = { 0 };
    for (unsigned n = 1;; n++) {
        last = (struct error){ 0 };
        int rc = try_once(c, req, retry, n >= retry->attempts, resp, &last);
        bool again = rc < 0 ? last.retryable : status_retryable(resp->status);
        int64_t wait_ms = backoff_full_jitter_ms(retry->base_ms, retry->cap_ms, n);
        int64_t asked_ms = rc == 0 ? http_retry_after_ms(resp, retry->clock) : -1;
        if (wait_ms < asked_ms)
            wait_ms = asked_ms;
        if (again && retry->deadline_ms &&
            clock_mono_ms(retry->clock) + wait_ms >= retry->deadline_ms)
            again = false;
        if (!again || n >= retry->attempts) {
            if (rc < 0 && err)
                *err = last;
            return rc;
        }
        if (http_wait(retry->clock, wait_ms, req->cancel) < 0)
            return error_set(err, ERR_CANCELLED, 0, "given up between two tries");
    }
}

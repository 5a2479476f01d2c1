#include "shared/lambda/runtime.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/backoff.h"
#include "shared/lambda/event.h"

#define VERSION_PATH    "/2018-06-01/runtime"
#define EVENT_MAX       (16U << 20) /* Lambda's limit is 6 MiB */
#define RESPONSE_MAX    6291456
#define POST_TIMEOUT_MS 30000
#define POST_TRIES      3
#define BACKOFF_BASE_MS 20
#define BACKOFF_CAP_MS  1000
#define GIVE_UP_MS      10000
#define URL_MAX         2048

struct runtime {
    const struct lambda_runtime_config *cfg;
    struct http_client *http;
};

/* What `next` said. */
struct next {
    struct http_response resp;
    struct lambda_event event;
};

static bool stopped(const struct runtime *rt)
{
    return rt->cfg->stop && atomic_load(rt->cfg->stop);
}

int64_t lambda_call_deadline(const struct clock *clock, int64_t deadline_ms, int64_t reserve_ms)
{
    if (!deadline_ms)
        return 0;
    int64_t left_ms = deadline_ms - clock_wall_ms(clock);
    left_ms -= reserve_ms < left_ms / 2 ? reserve_ms : left_ms / 2;
    return clock_mono_ms(clock) + (left_ms > 1 ? left_ms : 1);
}

/* ---- reporting ------------------------------------------------------------------------------- */

/* One POST, repeated where it got lost. 0 with the status, or -1. */
static int post(struct runtime *rt, const char *path, const struct http_header *headers,
                const struct buf *body, int *status, struct error *err)
{
    auto_free char *url = mem_printf("http://%s" VERSION_PATH "%s", rt->cfg->api, path);
    const struct http_request req = { .method = "POST",
                                      .url = url,
                                      .headers = headers,
                                      .body = buf_str(body),
                                      .body_len = body->len,
                                      .timeout_ms = POST_TIMEOUT_MS };
    for (unsigned n = 1;; n++) {
        auto_response struct http_response resp = { 0 };
        if (http_send(rt->http, &req, &resp, err) == 0) {
            *status = resp.status;
            return 0;
        }
        if (n == POST_TRIES || !err->retryable)
            return -1;
        clock_sleep_ms(rt->cfg->clock, backoff_full_jitter_ms(BACKOFF_BASE_MS, BACKOFF_CAP_MS, n));
    }
}

/* A type as a header can carry it. */
static void header_safe(char *out, size_t size, const char *type)
{
    size_t n = 0;
    for (; type[n] && n + 1 < size; n++)
        out[n] = type[n];
    out[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if (out[i] <= ' ' || out[i] > '~')
            out[i] = '_';
}

static int post_error(struct runtime *rt, const char *path, const struct error *why,
                      const char *otherwise, int *status, struct error *err)
{
    const char *type = why->type[0] ? why->type : otherwise;
    char header[sizeof(why->type)];
    header_safe(header, sizeof(header), type);
    const struct http_header headers[] = {
        { "Content-Type", "application/vnd.aws.lambda.error+json" },
        { "Lambda-Runtime-Function-Error-Type", header },
        { NULL, NULL },
    };
    auto_buf struct buf body = BUF_INIT(16384);
    buf_add_str(&body, "{\"errorMessage\":");
    buf_add_json_str(&body, why->msg);
    buf_add_str(&body, ",\"errorType\":");
    buf_add_json_str(&body, type);
    buf_add_str(&body, ",\"stackTrace\":[]}");
    return post(rt, path, headers, &body, status, err);
}

void lambda_runtime_init_error(const struct lambda_runtime_config *cfg, const struct error *why)
{
    struct error err = { 0 };
    int status = 0;
    struct runtime rt = { .cfg = cfg, .http = http_client_new(&err) };
    if (!rt.http || post_error(&rt, "/init/error", why, "Runtime.InitError", &status, &err) < 0)
        log_warn(cfg->log, log_event("init_error_not_reported"), log_err(&err));
    http_client_free(rt.http);
}

/* ---- next ------------------------------------------------------------------------------------ */

static int get_next(struct runtime *rt, struct next *n, struct error *err)
{
    auto_free char *url = mem_printf("http://%s" VERSION_PATH "/invocation/next", rt->cfg->api);
    const struct http_request req = {
        .method = "GET", .url = url, .max_response = EVENT_MAX, .cancel = rt->cfg->stop
    };
    if (http_send(rt->http, &req, &n->resp, err) < 0)
        return -1;
    if (n->resp.status >= 500)
        return error_set(err, ERR_UNAVAILABLE, n->resp.status,
                         "the Runtime API answered with status %d", n->resp.status);
    if (n->resp.status != 200)
        return error_set(err, ERR_PROTOCOL, n->resp.status,
                         "the Runtime API answered with status %d", n->resp.status);
    return lambda_event_read(&n->resp, &n->event, err);
}

/* Until an invocation is there. 1: it is in *n. 0: stopped. -1: no more will come. */
static int await_next(struct runtime *rt, struct next *n, struct error *err)
{
    const struct clock *clock = rt->cfg->clock;
    int64_t give_up_ms = rt->cfg->give_up_ms ? rt->cfg->give_up_ms : GIVE_UP_MS;
    int64_t first_ms = 0;
    for (unsigned failures = 1;; failures++) {
        if (stopped(rt))
            return 0;
        int64_t begun_ms = clock_mono_ms(clock);
        if (get_next(rt, n, err) == 0)
            return 1;
        if (stopped(rt))
            return 0;
        int64_t now_ms = clock_mono_ms(clock);
        /* A poll that was held open before it broke is not the same outage as the one before. */
        if (failures == 1 || now_ms - begun_ms > give_up_ms) {
            failures = 1;
            first_ms = now_ms;
        }
        if (err->code == ERR_UNAVAILABLE || now_ms - first_ms >= give_up_ms)
            return error_wrap(err, "next invocation");
        log_warn(rt->cfg->log, log_event("next_failed"), log_err(err));
        clock_sleep_ms(clock, backoff_full_jitter_ms(BACKOFF_BASE_MS, BACKOFF_CAP_MS, failures));
    }
}

/* ---- one invocation -------------------------------------------------------------------------- */

static int report_failure(struct runtime *rt, const struct lambda_event *e, const struct error *why,
                          int *status, struct error *err)
{
    auto_buf struct buf path = BUF_INIT(URL_MAX);
    lambda_event_path(e, "/error", &path);
    return post_error(rt, buf_str(&path), why, "HandlerError", status, err);
}

static int report_response(struct runtime *rt, const struct lambda_event *e,
                           const struct buf *response, int *status, struct error *err)
{
    static const struct http_header headers[] = { { "Content-Type", "application/json" },
                                                  { NULL, NULL } };
    auto_buf struct buf path = BUF_INIT(URL_MAX);
    lambda_event_path(e, "/response", &path);
    if (post(rt, buf_str(&path), headers, response, status, err) < 0)
        return -1;
    if (*status < 400 || *status >= 500)
        return 0;
    /* Refused: too large, or not the answer of a running invocation. */
    struct error why = { 0 };
    error_set(&why, ERR_INVALID, *status, "Lambda refused the response with status %d", *status);
    error_set_type(&why, *status == 413 ? "Function.ResponseSizeTooLarge" : "ResponseRefused");
    log_warn(rt->cfg->log, log_event("response_refused"), log_int("status", *status));
    return report_failure(rt, e, &why, status, err);
}

static int invoke(struct runtime *rt, const struct next *n, lambda_handler_fn *handler, void *arg,
                  struct error *err)
{
    const struct lambda_event *e = &n->event;
    const struct lambda_invocation inv = { .request_id = e->request_id,
                                           .function_arn = e->function_arn,
                                           .trace_id = e->trace_id,
                                           .deadline_ms = e->deadline_ms,
                                           .payload = buf_str(&n->resp.body),
                                           .payload_len = n->resp.body.len };
    auto_buf struct buf response = BUF_INIT(RESPONSE_MAX);
    struct error why = { 0 };
    struct error lost = { 0 };
    int status = 0;
    int rc = handler(&inv, arg, &response, &why);
    if (rc == 0 && buf_overflowed(&response)) {
        rc = error_set(&why, ERR_TOO_LARGE, 0, "the response is over %d bytes", RESPONSE_MAX);
        error_set_type(&why, "Function.ResponseSizeTooLarge");
    }
    if (rc < 0) {
        log_error(rt->cfg->log, log_event("invocation_failed"), log_err(&why));
        rc = report_failure(rt, e, &why, &status, &lost);
    } else {
        rc = report_response(rt, e, &response, &status, &lost);
    }
    if (rc < 0) /* Lambda sees an invocation without an answer and deals with it; we go on */
        log_warn(rt->cfg->log, log_event("answer_lost"), log_err(&lost));
    else if (status >= 500)
        return error_set(err, ERR_UNAVAILABLE, status,
                         "answer: the Runtime API answered with status %d", status);
    else if (status >= 400)
        log_warn(rt->cfg->log, log_event("answer_refused"), log_int("status", status));
    return 0;
}

int lambda_runtime_run(const struct lambda_runtime_config *cfg, lambda_handler_fn *handler,
                       void *arg, struct error *err)
{
    struct runtime rt = { .cfg = cfg, .http = http_client_new(err) };
    struct next *next = mem_alloc(sizeof(*next));
    int rc = rt.http ? 1 : -1;
    for (unsigned n = 0; rc == 1 && (!cfg->max_invocations || n < cfg->max_invocations); n++) {
        rc = await_next(&rt, next, err);
        if (rc != 1)
            break;
        log_set(cfg->log, "requestId", next->event.request_id);
        if (invoke(&rt, next, handler, arg, err) < 0)
            rc = -1;
        log_set(cfg->log, "requestId", NULL);
    }
    http_response_release(&next->resp);
    mem_free_ptr(&next);
    http_client_free(rt.http);
    return rc < 0 ? -1 : 0;
}

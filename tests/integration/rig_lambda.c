/* rig_lambda.c - the Lambda that a rig's receiver calls: it answers as the test orders. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "tests/integration/rig_internal.h"

#define PATH_PREFIX "/2025-12-01/durable-execution-callbacks/"

/* Not on the test's thread: nothing may be asserted here. */
static void note(struct rig *r, struct httpd_request *req)
{
    const char *path = httpd_path(req), *verb = strrchr(path, '/');
    size_t len;
    const char *body = httpd_body(req, &len), *trace = httpd_header(req, "traceparent");
    bool beats = verb && strcmp(verb, "/heartbeat") == 0;
    r->calls += !beats;
    r->beats += beats;
    if (strncmp(path, PATH_PREFIX, strlen(PATH_PREFIX)) != 0 ||
        !httpd_header(req, "Authorization")) {
        r->odd = true;
        return;
    }
    if (beats)
        return;
    snprintf(r->trace, sizeof(r->trace), "%s", trace ? trace : "");
    const char *id = path + strlen(PATH_PREFIX);
    auto_free char *decoded = decode_percent(id, (size_t)(verb - id));
    snprintf(r->last.verb, sizeof(r->last.verb), "%s", verb + 1);
    snprintf(r->last.callback_id, sizeof(r->last.callback_id), "%s", decoded ? decoded : "?");
    free(r->last.body);
    r->last.body = mem_dup_len(body, len);
}

static void error_answer(struct httpd_request *req, int status, const char *code)
{
    struct httpd_header headers[] = { { "x-amzn-ErrorType", code }, { NULL, NULL } };
    httpd_reply_json(req, status, "{\"message\":\"as ordered\"}", headers);
}

static void tell(struct httpd_request *req)
{
    const char *id = httpd_path(req) + strlen(PATH_PREFIX);
    size_t len = strcspn(id, "/");
    auto_free char *raw = decode_percent(id, len);
    auto_free char *text =
        mem_printf("{\"message\":\"no callback %s (%.*s)\"}", raw ? raw : "?", (int)len, id);
    httpd_reply_json(
        req, 500, text,
        (struct httpd_header[]){ { "x-amzn-ErrorType", "ServiceException" }, { NULL, NULL } });
}

void rig_on_lambda(struct httpd_request *req, void *arg)
{
    struct rig *r = arg;
    pthread_mutex_lock(&r->lock);
    note(r, req);
    const char *verb = strrchr(httpd_path(req), '/');
    bool beats = verb && strcmp(verb, "/heartbeat") == 0;
    enum rig_lambda what = beats ? r->beats_then : r->first_left > 0 ? r->first : r->then;
    r->first_left -= !beats && r->first_left > 0;
    if (what == RIG_HANGS) {
        httpd_park(req);
        r->hanging[r->hanging_count++] = req;
    }
    pthread_mutex_unlock(&r->lock);
    switch (what) {
    case RIG_TAKES:
        httpd_reply_json(req, 200, "{}", NULL);
        break;
    case RIG_THROTTLES:
        error_answer(req, 429, "TooManyRequestsException");
        break;
    case RIG_FAILS:
        error_answer(req, 500, "ServiceException");
        break;
    case RIG_DENIES:
        error_answer(req, 403, "AccessDeniedException");
        break;
    case RIG_REFUSES:
        error_answer(req, 400, "InvalidParameterValueException");
        break;
    case RIG_CLOSED:
        error_answer(req, 400, "CallbackTimeoutException");
        break;
    case RIG_UNKNOWN:
        error_answer(req, 404, "ResourceNotFoundException");
        break;
    case RIG_ELSEWHERE:
        httpd_reply(req, 404, "text/html", "<h1>Not Found</h1>", 18, NULL);
        break;
    case RIG_TELLS:
        tell(req);
        break;
    case RIG_CUTS:
        httpd_abort(req);
        break;
    case RIG_HANGS:
        break;
    }
}

void rig_lambda(struct rig *r, enum rig_lambda first, unsigned count, enum rig_lambda then)
{
    pthread_mutex_lock(&r->lock);
    r->first = first;
    r->first_left = count;
    r->then = then;
    pthread_mutex_unlock(&r->lock);
}

void rig_lambda_beats(struct rig *r, enum rig_lambda what)
{
    pthread_mutex_lock(&r->lock);
    r->beats_then = what;
    pthread_mutex_unlock(&r->lock);
}

unsigned rig_beats(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    unsigned beats = r->beats;
    pthread_mutex_unlock(&r->lock);
    return beats;
}

char *rig_last_trace(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    char *trace = mem_dup(r->trace);
    pthread_mutex_unlock(&r->lock);
    return trace;
}

void rig_release_calls(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->hanging_count; i++)
        httpd_reply_json(r->hanging[i], 200, "{}", NULL);
    r->hanging_count = 0;
    pthread_mutex_unlock(&r->lock);
}

unsigned rig_calls(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    unsigned calls = r->calls;
    pthread_mutex_unlock(&r->lock);
    return calls;
}

struct rig_call rig_last_call(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    struct rig_call call = r->last;
    call.body = mem_dup(r->last.body ? r->last.body : "");
    pthread_mutex_unlock(&r->lock);
    return call;
}

void rig_await_calls(struct rig *r, unsigned count)
{
    int64_t until = clock_mono_ms(clock_system()) + WAIT_MS;
    while (rig_calls(r) < count) {
        cr_assert_lt(clock_mono_ms(clock_system()), until, "Lambda saw %u calls, not %u",
                     rig_calls(r), count);
        clock_sleep_ms(clock_system(), 5);
    }
}

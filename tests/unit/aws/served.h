/* served.h - for tests: a real HTTP server that gives ordered answers and remembers what it was
 * asked, and a clock that a test moves. */
#ifndef TESTS_UNIT_AWS_SERVED_H
#define TESTS_UNIT_AWS_SERVED_H

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/httpd.h"

#define SERVED_MAX 16
#define UNUSED     __attribute__((unused))

struct answer {
    int status; /* 0: the connection is cut instead */
    const char *body;
    struct httpd_header headers[4];
    int64_t delay_ms;
};

struct asked {
    char line[2048];    /* "POST /path?query" */
    char headers[8192]; /* "Name: value\n" each */
    char peer[64];
    char body[4096];
    size_t body_len;
};

struct served {
    pthread_mutex_t lock;
    struct httpd *httpd;
    const struct answer *answers; /* in turn; the last one stays */
    size_t answer_count;
    size_t count; /* requests that came */
    struct asked asked[SERVED_MAX];
    char url[128]; /* "http://127.0.0.1:PORT" */
};

static void served_header(void *arg, const char *name, const char *value)
{
    struct asked *a = arg;
    size_t at = strlen(a->headers);
    snprintf(a->headers + at, sizeof(a->headers) - at, "%s: %s\n", name, value);
}

static void served_handle(struct httpd_request *req, void *arg)
{
    struct served *s = arg;
    pthread_mutex_lock(&s->lock);
    size_t n = s->count++;
    const struct answer *answer = &s->answers[n < s->answer_count ? n : s->answer_count - 1];
    if (n < SERVED_MAX) {
        struct asked *a = &s->asked[n];
        const char *query = httpd_query(req);
        snprintf(a->line, sizeof(a->line), "%s %s%s%s", httpd_method(req), httpd_path(req),
                 query[0] ? "?" : "", query);
        httpd_each_header(req, served_header, a);
        httpd_peer(req, a->peer);
        const char *body = httpd_body(req, &a->body_len);
        if (a->body_len < sizeof(a->body))
            memcpy(a->body, body, a->body_len);
    }
    pthread_mutex_unlock(&s->lock);
    clock_sleep_ms(clock_system(), answer->delay_ms);
    if (answer->status)
        httpd_reply(req, answer->status, answer->body ? "application/json" : NULL, answer->body,
                    answer->body ? strlen(answer->body) : 0, answer->headers);
    else
        httpd_abort(req);
}

UNUSED static struct served *served_start(const struct answer *answers, size_t count)
{
    struct served *s = mem_alloc(sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    s->answers = answers;
    s->answer_count = count;
    struct httpd_config cfg = { .listen = "127.0.0.1:0",
                                .threads = 2,
                                .max_body = 1 << 20,
                                .handler = served_handle,
                                .arg = s };
    struct error err = { 0 };
    s->httpd = httpd_start(&cfg, &err);
    cr_assert_not_null(s->httpd, "%s", err.msg);
    snprintf(s->url, sizeof(s->url), "http://%s", httpd_address(s->httpd));
    return s;
}

UNUSED static void served_stop(struct served *s)
{
    httpd_stop(s->httpd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* The value of a header of request `n` into out[1024]; "" where it did not come. */
UNUSED static const char *served_value(const struct served *s, size_t n, const char *name,
                                       char out[1024])
{
    auto_free char *start = mem_printf("\n%s: ", name);
    auto_free char *all = mem_printf("\n%s", s->asked[n].headers);
    const char *at = strstr(all, start);
    out[0] = '\0';
    if (at) {
        at += strlen(start);
        snprintf(out, 1024, "%.*s", (int)strcspn(at, "\n"), at);
    }
    return out;
}

/* A clock that stands still but for the sleeps, which take no time. */
struct moved {
    struct clock clock;
    int64_t now_ms; /* of both clocks, since `epoch_ms` for the wall's */
    int64_t epoch_ms;
    int64_t slept_ms;
    unsigned sleeps;
};

static int64_t moved_wall(void *arg)
{
    const struct moved *m = arg;
    return m->epoch_ms + m->now_ms;
}

static int64_t moved_mono(void *arg)
{
    const struct moved *m = arg;
    return m->now_ms;
}

static void moved_sleep(void *arg, int64_t ms)
{
    struct moved *m = arg;
    m->now_ms += ms;
    m->slept_ms += ms;
    m->sleeps++;
}

UNUSED static void moved_init(struct moved *m)
{
    *m = (struct moved){ .clock = { moved_wall, moved_mono, moved_sleep, m },
                         .now_ms = 1000,
                         .epoch_ms = INT64_C(1790000000000) };
}

#endif

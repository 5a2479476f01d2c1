/* answers.h - for fuzz targets of clients: a server on the loopback interface whose answers are
 * parts of the input, and a clock on which waiting takes no time. */
#ifndef FUZZ_ANSWERS_H
#define FUZZ_ANSWERS_H

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "shared/aws/aws.h"
#include "shared/base/clock.h"
#include "shared/base/httpd.h"
#include "tests/fuzz/parts.h"

/* What is left of the input, handed out part by part. */
struct answers {
    pthread_mutex_t lock;
    struct parts parts;
    char url[64];
};

/* A part that begins with "!" is an error answer: of 400, or of the status that the byte behind it
 * means. Behind the last part everything is {}. */
static void answers_handle(struct httpd_request *req, void *arg)
{
    static const int statuses[] = { 400, 403, 404, 409, 429, 500, 503, 202 };
    struct answers *a = arg;
    size_t len;
    pthread_mutex_lock(&a->lock);
    auto_free char *part = parts_next(&a->parts, &len);
    pthread_mutex_unlock(&a->lock);
    const char *body = part ? part : "{}";
    len = part ? len : 2;
    int status = 200;
    if (body[0] == '!' && len > 1) {
        status = statuses[(unsigned char)body[1] % ARRAY_LEN(statuses)];
        body += 2;
        len -= 2;
    }
    httpd_reply(req, status, "application/json", body, len, NULL);
}

/* The one server of the process, with a new input. */
static inline struct answers *answers_of(const uint8_t *data, size_t size)
{
    static struct answers a = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct error err;
    if (!a.url[0]) {
        http_global_init();
        struct httpd *h = httpd_start(&(struct httpd_config){ .listen = "127.0.0.1:0",
                                                              .threads = 1,
                                                              .max_body = 8U << 20,
                                                              .handler = answers_handle,
                                                              .arg = &a },
                                      &err);
        FUZZ_MUST(h && httpd_port(h) > 0);
        snprintf(a.url, sizeof(a.url), "http://%s", httpd_address(h));
    }
    pthread_mutex_lock(&a.lock);
    a.parts = (struct parts){ data, size };
    pthread_mutex_unlock(&a.lock);
    return &a;
}

/* ---- the clock ------------------------------------------------------------------------------- */

static int64_t answers_slept_ms;

static int64_t answers_wall(void *arg)
{
    (void)arg;
    return INT64_C(1790000000000) + answers_slept_ms;
}

static int64_t answers_mono(void *arg)
{
    (void)arg;
    return 1000000 + answers_slept_ms;
}

static void answers_sleep(void *arg, int64_t ms)
{
    (void)arg;
    answers_slept_ms += ms;
}

static const struct clock answers_clock = { answers_wall, answers_mono, answers_sleep, NULL };

/* The process's client of AWS, whose services are the server. */
static inline struct aws *answers_aws(const struct answers *a)
{
    static struct aws *aws;
    static struct aws_options options;
    struct error err;
    if (aws)
        return aws;
    options = (struct aws_options){ .region = mem_dup("us-east-1"),
                                    .endpoint = mem_dup(a->url),
                                    .access_key = mem_dup("test"),
                                    .secret_key = mem_dup("test") };
    aws = aws_new(&options, &answers_clock, &err);
    FUZZ_MUST(aws);
    aws_set_retry(aws, 2, 1, 1);
    return aws;
}

#endif

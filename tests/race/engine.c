#include "tests/race/engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/digest.h"
#include "shared/base/encode.h"
#include "shared/base/httpd.h"
#include "shared/base/mem.h"

#define PREFIX "/2025-12-01/durable-execution-callbacks/"
#define NAME   "job %zu"

struct call_record {
    struct engine_record seen;
    char verb[16];
    uint8_t sha[DIGEST_SHA256];
};

struct engine {
    struct httpd *httpd;
    char url[64];
    size_t jobs;
    pthread_mutex_t lock;
    struct call_record *records; /* under lock */
};

enum fate {
    FATE_ANSWER,
    FATE_THROTTLE,
    FATE_BREAK,
    FATE_LOSE, /* it counts, but nobody is told */
};

void engine_id(size_t n, char id[ENGINE_ID])
{
    char name[ENGINE_ID / 2];
    auto_buf struct buf text = BUF_INIT(ENGINE_ID);
    int len = snprintf(name, sizeof(name), NAME, n);
    encode_base64(&text, name, (size_t)len);
    memcpy(id, buf_str(&text), text.len + 1);
}

static bool job_of(const struct engine *e, const char *id, size_t *n)
{
    size_t len = 0;
    auto_free char *name = (char *)decode_base64(id, strlen(id), &len);
    return name && sscanf(name, NAME, n) == 1 && *n < e->jobs;
}

/* With the lock held; *taken is what the call is answered with. */
static enum fate note(struct call_record *r, size_t n, const char *verb, const uint8_t *sha,
                      bool *taken)
{
    if (r->seen.calls++ == 0) {
        snprintf(r->verb, sizeof(r->verb), "%s", verb);
        memcpy(r->sha, sha, sizeof(r->sha));
        r->seen.closed = n % 23 == 7;
        r->seen.failure = strcmp(verb, "fail") == 0;
    } else if (strcmp(r->verb, verb) != 0 || memcmp(r->sha, sha, sizeof(r->sha)) != 0) {
        r->seen.other = true;
    }
    /* Each third call or so goes wrong, but not all of one callback. */
    unsigned dice = (unsigned)(n * 7 + r->seen.calls * 5) % 10;
    enum fate fate = dice < 7 ? FATE_ANSWER : (enum fate)(FATE_THROTTLE + dice - 7);
    bool counts = fate == FATE_ANSWER || fate == FATE_LOSE;
    *taken = counts && !r->seen.taken && !r->seen.closed;
    r->seen.taken |= *taken;
    return fate;
}

static void refuse(struct httpd_request *req, int status, const char *code)
{
    struct httpd_header headers[] = { { "x-amzn-ErrorType", code }, { NULL, NULL } };
    httpd_reply_json(req, status, "{\"message\":\"as ordered\"}", headers);
}

static void handle(struct httpd_request *req, void *arg)
{
    struct engine *e = arg;
    const char *path = httpd_path(req);
    const char *verb = strrchr(path, '/');
    uint8_t sha[DIGEST_SHA256];
    size_t n = 0, len;
    const char *body = httpd_body(req, &len);
    auto_free char *id = NULL;
    bool taken = false;
    if (strncmp(path, PREFIX, strlen(PREFIX)) == 0)
        id = decode_percent(path + strlen(PREFIX), (size_t)(verb - path) - strlen(PREFIX));
    if (!id || !job_of(e, id, &n)) {
        refuse(req, 400, "InvalidParameterValueException");
        return;
    }
    if (strcmp(verb, "/heartbeat") == 0) {
        httpd_reply_json(req, 200, "{}", NULL);
        return;
    }
    digest_sha256(body, len, sha);
    pthread_mutex_lock(&e->lock);
    enum fate fate = note(&e->records[n], n, verb + 1, sha, &taken);
    pthread_mutex_unlock(&e->lock);
    if (fate == FATE_THROTTLE)
        refuse(req, 429, "TooManyRequestsException");
    else if (fate == FATE_BREAK)
        refuse(req, 500, "ServiceException");
    else if (fate == FATE_LOSE)
        httpd_abort(req);
    else if (taken)
        httpd_reply_json(req, 200, "{}", NULL);
    else
        refuse(req, 400, "CallbackTimeoutException");
}

struct engine *engine_start(size_t jobs)
{
    struct error err;
    struct engine *e = mem_alloc(sizeof(*e));
    e->jobs = jobs;
    e->records = mem_array(jobs, sizeof(*e->records));
    pthread_mutex_init(&e->lock, NULL);
    e->httpd = httpd_start(&(struct httpd_config){ .listen = "127.0.0.1:0",
                                                   .threads = 2,
                                                   .max_body = 1U << 20,
                                                   .handler = handle,
                                                   .arg = e },
                           &err);
    if (!e->httpd) {
        fprintf(stderr, "engine: %s\n", err.msg);
        exit(1);
    }
    snprintf(e->url, sizeof(e->url), "http://%s", httpd_address(e->httpd));
    return e;
}

void engine_stop(struct engine *e)
{
    httpd_stop(e->httpd);
    pthread_mutex_destroy(&e->lock);
    free(e->records);
    free(e);
}

const char *engine_url(const struct engine *e)
{
    return e->url;
}

struct engine_record engine_record(struct engine *e, size_t n)
{
    pthread_mutex_lock(&e->lock);
    struct engine_record seen = e->records[n].seen;
    pthread_mutex_unlock(&e->lock);
    return seen;
}

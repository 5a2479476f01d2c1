/* engine-stub: a Lambda that knows the callback calls only. It takes the first result of each
 * callback, answers every later call as Lambda does (CallbackTimeoutException), remembers what it
 * was sent, and fails as it is told to: throttled, broken, with the answer lost, slow; and it
 * closes some callbacks on its own. Which call fails how follows from the seed, the callback and
 * the number of the call. With no failures it is as fast as the HTTP server: measurements run
 * against it.
 *
 *     GET /_stub/count     {"calls":N,"taken":N,"callbacks":N}
 *     GET /_stub/records   a line for each callback: ID VERB SHA256 CALLS TAKEN CLOSED OTHER */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/digest.h"
#include "shared/base/encode.h"
#include "shared/base/httpd.h"
#include "shared/base/opts.h"
#include "shared/base/signals.h"

#define PREFIX   "/2025-12-01/durable-execution-callbacks/"
#define SLOTS    (1U << 20)
#define RECORDS  (SLOTS / 2)
#define SLOW_MAX 4096

struct record {
    char *id;
    char verb[16];
    uint8_t sha[DIGEST_SHA256];
    unsigned calls;
    bool taken;
    bool closed; /* on its own, before it took anything */
    bool other;  /* a later call said something else than the first */
};

enum fate {
    FATE_ANSWER,
    FATE_THROTTLE,
    FATE_BREAK,
    FATE_LOSE, /* it counts, but nobody is told */
    FATE_SLOW,
    FATE_DROP /* it does not count, and nobody is told */
};

struct slow {
    struct httpd_request *req;
    int64_t due_ms;
    int status;
};

struct stub {
    char *listen;
    int64_t threads, fail_percent, close_percent, seed, slow_ms;
    bool mute;
    struct httpd *httpd;
    pthread_t waker;
    pthread_mutex_t lock;
    /* Under lock. */
    bool stopping;
    uint64_t calls, taken, callbacks;
    struct record *slots;
    struct slow slow[SLOW_MAX];
    size_t slow_count;
};

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33; /* the finaliser of MurmurHash3: spreads what differs in few bits */
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

static uint64_t hash(const char *s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (; *s; s++)
        h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
    return mix(h);
}

/* The record of a callback, made where it is new; NULL where the stub is full. */
static struct record *find(struct stub *s, const char *id, uint64_t h)
{
    for (uint64_t i = h;; i++) {
        struct record *r = &s->slots[i % SLOTS];
        if (r->id && strcmp(r->id, id) == 0)
            return r;
        if (r->id)
            continue;
        if (s->callbacks == RECORDS)
            return NULL;
        s->callbacks++;
        r->id = mem_dup(id);
        return r;
    }
}

static enum fate fate_of(const struct stub *s, uint64_t h, struct record *r)
{
    uint64_t seed = (uint64_t)s->seed;
    uint64_t own = mix(h ^ seed) % 1000;
    if (own < (uint64_t)s->close_percent * 10) { /* half of them after a call that was lost */
        if (own % 2 == 0 && r->calls == 1)
            return FATE_DROP;
        r->closed = true;
        return FATE_ANSWER;
    }
    uint64_t n = mix(h + seed + r->calls * UINT64_C(0x9e3779b97f4a7c15));
    return n % 100 < (uint64_t)s->fail_percent ? FATE_THROTTLE + n / 100 % 4 : FATE_ANSWER;
}

/* Notes the call and says what becomes of it; *status is what it is answered with. */
static enum fate note(struct stub *s, const char *id, const char *verb, const uint8_t *sha,
                      int *status)
{
    uint64_t h = hash(id);
    struct record *r = find(s, id, h);
    s->calls++;
    *status = 400;
    if (!r)
        return FATE_ANSWER;
    if (r->calls++ == 0) {
        snprintf(r->verb, sizeof(r->verb), "%s", verb);
        memcpy(r->sha, sha, sizeof(r->sha));
    } else if (strcmp(r->verb, verb) != 0 || memcmp(r->sha, sha, sizeof(r->sha)) != 0) {
        r->other = true;
    }
    enum fate fate = fate_of(s, h, r);
    bool counts = fate == FATE_ANSWER || fate == FATE_LOSE || fate == FATE_SLOW;
    if (counts && !r->taken && !r->closed) {
        r->taken = true;
        s->taken++;
        *status = 200;
    }
    return fate;
}

static void error_answer(struct httpd_request *req, int status, const char *code)
{
    struct httpd_header headers[] = { { "x-amzn-ErrorType", code }, { NULL, NULL } };
    httpd_reply_json(req, status, "{\"message\":\"as ordered\"}", headers);
}

static void answer(struct httpd_request *req, int status)
{
    if (status == 200)
        httpd_reply_json(req, 200, "{}", NULL);
    else
        error_answer(req, 400, "CallbackTimeoutException");
}

static void answer_late(struct stub *s, struct httpd_request *req, int status)
{
    int64_t due = clock_mono_ms(clock_system()) + s->slow_ms;
    httpd_park(req);
    pthread_mutex_lock(&s->lock);
    bool room = s->slow_count < SLOW_MAX;
    if (room)
        s->slow[s->slow_count++] = (struct slow){ req, due, status };
    pthread_mutex_unlock(&s->lock);
    if (!room)
        answer(req, status);
}

static void on_call(struct stub *s, struct httpd_request *req)
{
    uint8_t sha[DIGEST_SHA256];
    size_t len;
    const char *path = httpd_path(req) + strlen(PREFIX), *verb = strrchr(path, '/');
    const char *body = httpd_body(req, &len);
    auto_free char *id = verb ? decode_percent(path, (size_t)(verb - path)) : NULL;
    if (!id || !httpd_header(req, "Authorization")) {
        error_answer(req, 400, "InvalidParameterValueException");
        return;
    }
    int status;
    digest_sha256(body, len, sha);
    pthread_mutex_lock(&s->lock);
    enum fate fate = note(s, id, verb + 1, sha, &status);
    pthread_mutex_unlock(&s->lock);
    switch (fate) {
    case FATE_THROTTLE:
        error_answer(req, 429, "TooManyRequestsException");
        break;
    case FATE_BREAK:
        error_answer(req, 500, "ServiceException");
        break;
    case FATE_LOSE:
    case FATE_DROP:
        httpd_abort(req);
        break;
    case FATE_SLOW:
        answer_late(s, req, status);
        break;
    case FATE_ANSWER:
        answer(req, status);
        break;
    }
}

static void on_count(struct stub *s, struct httpd_request *req)
{
    pthread_mutex_lock(&s->lock);
    auto_free char *text = mem_printf("{\"calls\":%llu,\"taken\":%llu,\"callbacks\":%llu}",
                                      (unsigned long long)s->calls, (unsigned long long)s->taken,
                                      (unsigned long long)s->callbacks);
    pthread_mutex_unlock(&s->lock);
    httpd_reply_json(req, 200, text, NULL);
}

static void on_records(struct stub *s, struct httpd_request *req)
{
    auto_buf struct buf b = BUF_INIT((size_t)RECORDS * 1200);
    char sha[2 * DIGEST_SHA256 + 1];
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < SLOTS; i++) {
        const struct record *r = &s->slots[i];
        if (!r->id)
            continue;
        encode_hex(sha, r->sha, sizeof(r->sha));
        buf_printf(&b, "%s %s %s %u %d %d %d\n", r->id, r->verb, sha, r->calls, r->taken, r->closed,
                   r->other);
    }
    pthread_mutex_unlock(&s->lock);
    httpd_reply(req, 200, "text/plain", buf_str(&b), b.len, NULL);
}

static void on_request(struct httpd_request *req, void *arg)
{
    struct stub *s = arg;
    const char *path = httpd_path(req);
    if (strncmp(path, PREFIX, strlen(PREFIX)) != 0)
        strcmp(path, "/_stub/records") == 0 ? on_records(s, req) : on_count(s, req);
    else if (s->mute)
        httpd_park(req);
    else
        on_call(s, req);
}

/* Answers what was slow, one when its time has come. */
static void *wake(void *arg)
{
    struct stub *s = arg;
    for (bool stop = false; !stop;) {
        struct slow due = { 0 };
        int64_t now = clock_mono_ms(clock_system());
        pthread_mutex_lock(&s->lock);
        stop = s->stopping;
        for (size_t i = 0; i < s->slow_count && !due.req; i++)
            if (s->slow[i].due_ms <= now || stop) {
                due = s->slow[i];
                s->slow[i] = s->slow[--s->slow_count];
            }
        pthread_mutex_unlock(&s->lock);
        if (due.req) {
            answer(due.req, due.status);
            stop = false;
        } else if (!stop) {
            clock_sleep_ms(clock_system(), 2);
        }
    }
    return NULL;
}

static int serve(struct stub *s, struct error *err)
{
    struct log *log = log_open(STDERR_FILENO, LOG_INFO, "engine-stub");
    struct httpd_config cfg = { .listen = s->listen,
                                .threads = (unsigned)s->threads,
                                .max_body = 1U << 20,
                                .handler = on_request,
                                .arg = s };
    s->slots = mem_array(SLOTS, sizeof(*s->slots));
    pthread_mutex_init(&s->lock, NULL);
    s->httpd = httpd_start(&cfg, err);
    if (s->httpd && pthread_create(&s->waker, NULL, wake, s) == 0) {
        auto_free char *url = mem_printf("http://%s", httpd_address(s->httpd));
        log_info(log, log_event("listening"), log_str("service", "engine"), log_str("url", url));
        log_info(log, log_event("ready"));
        signals_wait();
        pthread_mutex_lock(&s->lock);
        s->stopping = true;
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->waker, NULL);
    }
    int rc = s->httpd ? 0 : -1;
    httpd_stop(s->httpd);
    for (size_t i = 0; i < SLOTS; i++)
        free(s->slots[i].id);
    free(s->slots);
    log_close(log);
    return rc;
}

int main(int argc, char **argv)
{
    static struct stub s;
    struct error err = { 0 };
    const struct opt table[] = {
        { "listen", NULL, OPT_STR, &s.listen, "127.0.0.1:0", 0, 0, "HOST:PORT", "where" },
        { "threads", NULL, OPT_INT, &s.threads, "1", 1, 16, "N", "that serve" },
        { "fail", NULL, OPT_INT, &s.fail_percent, "0", 0, 100, "PERCENT", "of calls that fail" },
        { "close", NULL, OPT_INT, &s.close_percent, "0", 0, 100, "PERCENT",
          "of callbacks that it closes on its own" },
        { "slow-ms", NULL, OPT_INT, &s.slow_ms, "150", 0, 60000, "MS",
          "how long a slow call takes" },
        { "seed", NULL, OPT_INT, &s.seed, "1", 0, INT64_MAX, "N", "of the failures" },
        { "mute", NULL, OPT_BOOL, &s.mute, "no", 0, 0, NULL, "never answer a call" },
    };
    const struct opts o = { .program = "engine-stub",
                            .synopsis = "[options]",
                            .about = "A Lambda that knows the callback calls only, for tests.",
                            .table = table,
                            .count = ARRAY_LEN(table) };
    signals_block();
    int rc = opts_load(&o, argc, argv, environ, &err);
    if (rc >= 0)
        rc = serve(&s, &err);
    opts_release(&o);
    if (rc < 0 && rc != OPTS_DONE)
        fprintf(stderr, "engine-stub: %s\n", err.msg);
    return rc < 0 && rc != OPTS_DONE ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Many requests at once against real servers: httpd, and one of plain sockets where the test has to
 * say when a connection ends. */
#include "shared/aws/http_pool.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/aws/served.h"

#define PATIENCE_MS 60000

static struct http_pool *pool(unsigned keep)
{
    http_global_init();
    struct error err = { 0 };
    struct http_pool *p = http_pool_new(keep, &err);
    cr_assert_not_null(p, "%s", err.msg);
    return p;
}

/* What came of a request. */
struct told {
    unsigned times;
    int rc;
    int status;
    char body[64];
    struct error err;
};

static void tell(void *arg, int rc, struct http_response *resp, struct error *err)
{
    struct told *t = arg;
    t->times++;
    t->rc = rc;
    t->status = resp->status;
    snprintf(t->body, sizeof(t->body), "%s", buf_str(&resp->body));
    if (rc < 0)
        t->err = *err;
}

static void start(struct http_pool *p, const char *url, int64_t timeout_ms, bool once,
                  struct told *t)
{
    struct error err = { 0 };
    struct http_request req = { .method = "POST",
                                .url = url,
                                .body = "{}",
                                .body_len = 2,
                                .timeout_ms = timeout_ms,
                                .once = once };
    cr_assert_eq(http_pool_start(p, &req, tell, t, &err), 0, "%s", err.msg);
    cr_assert_eq(t->times, 0, "the end is told by drive");
}

static void finish(struct http_pool *p)
{
    int64_t until = clock_mono_ms(clock_system()) + PATIENCE_MS;
    while (http_pool_running(p) > 0 && clock_mono_ms(clock_system()) < until)
        http_pool_drive(p, 1000);
    cr_assert_eq(http_pool_running(p), 0);
}

static size_t peers(const struct served *s, size_t from, size_t to)
{
    size_t different = 0;
    for (size_t i = from; i < to; i++) {
        bool known = false;
        for (size_t k = from; k < i; k++)
            known = known || strcmp(s->asked[k].peer, s->asked[i].peer) == 0;
        different += !known;
    }
    return different;
}

Test(http_pool, sends_many_at_once_and_again_on_the_same_connections)
{
    static const struct answer ok[] = { { .status = 200, .body = "hello" } };
    struct served *s = served_start(ok, 1);
    struct http_pool *p = pool(8);
    for (int round = 0; round < 2; round++) {
        struct told told[8] = { 0 };
        for (size_t i = 0; i < ARRAY_LEN(told); i++)
            start(p, s->url, PATIENCE_MS, true, &told[i]);
        cr_assert_eq(http_pool_running(p), 8);
        finish(p);
        for (size_t i = 0; i < ARRAY_LEN(told); i++) {
            cr_expect_eq(told[i].times, 1);
            cr_expect_eq(told[i].rc, 0, "%s", told[i].err.msg);
            cr_expect_eq(told[i].status, 200);
            cr_expect_str_eq(told[i].body, "hello");
        }
    }
    cr_assert_eq(s->count, 16);
    cr_assert_str_eq(s->asked[15].body, "{}");
    /* One each, or that of one that has ended already. */
    cr_assert_leq(peers(s, 0, 16), 8, "they are used again");
    http_pool_free(p);
    served_stop(s);
}

Test(http_pool, keeps_no_more_connections_than_it_is_told)
{
    static const struct answer ok[] = { { .status = 200, .body = "hello" } };
    struct served *s = served_start(ok, 1);
    struct http_pool *p = pool(2);
    for (int round = 0; round < 2; round++) {
        struct told told[6] = { 0 };
        for (size_t i = 0; i < ARRAY_LEN(told); i++)
            start(p, s->url, PATIENCE_MS, false, &told[i]);
        finish(p);
    }
    cr_assert_eq(s->count, 12);
    cr_assert_leq(peers(s, 0, 6) + peers(s, 6, 12) - peers(s, 0, 12), 2);
    http_pool_free(p);
    served_stop(s);
}

/* The handle of a request is set anew where the next is of another kind. */
Test(http_pool, takes_requests_of_all_kinds_in_turn)
{
    static const struct {
        const char *method;
        const char *body;
        const char *length;
        const char *answered;
    } cases[] = { { "POST", "abc", "3", "hello" }, { "GET", NULL, "", "hello" },
                  { "HEAD", NULL, "", "" },        { "POST", NULL, "0", "hello" },
                  { "DELETE", NULL, "", "hello" }, { "DELETE", "xy", "2", "hello" },
                  { "PUT", "{}", "2", "hello" } };
    static const struct answer ok[] = { { .status = 200, .body = "hello" } };
    struct served *s = served_start(ok, 1);
    struct http_pool *p = pool(4);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct told told = { 0 };
        struct error err = { 0 };
        char value[1024];
        struct http_request req = { .method = cases[i].method,
                                    .url = s->url,
                                    .body = cases[i].body,
                                    .body_len = cases[i].body ? strlen(cases[i].body) : 0,
                                    .timeout_ms = PATIENCE_MS };
        cr_assert_eq(http_pool_start(p, &req, tell, &told, &err), 0, "%s", err.msg);
        finish(p);
        cr_expect_eq(told.rc, 0, "case %zu: %s", i, told.err.msg);
        cr_expect_str_eq(told.body, cases[i].answered, "case %zu", i);
        cr_expect_str_eq(served_value(s, i, "Content-Length", value), cases[i].length, "case %zu",
                         i);
        cr_expect_eq(strncmp(s->asked[i].line, cases[i].method, strlen(cases[i].method)), 0);
        cr_expect_str_eq(s->asked[i].peer, s->asked[0].peer, "one connection for all");
    }
    http_pool_free(p);
    served_stop(s);
}

Test(http_pool, refuses_what_cannot_be_a_request)
{
    static const struct http_header split[] = { { "X", "a\r\nY: b" }, { NULL, NULL } };
    static const struct http_request cases[] = {
        { .method = "GET", .url = "" },
        { .method = "GET", .url = "file:///etc/hostname" },
        { .method = "GET", .url = "http://127.0.0.1/\r\nX: y" },
        { .method = "get it", .url = "http://127.0.0.1:1/" },
        { .method = "GET", .url = "http://127.0.0.1:1/", .headers = split },
    };
    struct http_pool *p = pool(1);
    struct told told = { 0 };
    for (int round = 0; round < 2; round++) { /* with a new handle, and with one that was used */
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            struct error err = { 0 };
            cr_expect_eq(http_pool_start(p, &cases[i], tell, &told, &err), -1, "case %zu", i);
            cr_expect_eq(err.code, ERR_INVALID, "case %zu: %s", i, err.msg);
        }
        cr_assert_eq(http_pool_running(p), 0);
        cr_assert_eq(told.times, 0);
        struct told used = { 0 };
        start(p, "http://127.0.0.1:1/", PATIENCE_MS, false, &used);
        finish(p);
        cr_expect_eq(used.err.code, ERR_NET, "%s", used.err.msg);
    }
    http_pool_free(p);
}

Test(http_pool, an_answer_that_is_too_large_or_too_late_is_an_error_of_its_own_request)
{
    static const struct answer answers[] = { { .status = 200, .body = "late", .delay_ms = 3000 },
                                             { .status = 200, .body = "hello" } };
    struct served *s = served_start(answers, 2);
    struct http_pool *p = pool(4);
    struct told late = { 0 }, quick = { 0 }, large = { 0 };
    struct error err = { 0 };
    start(p, s->url, 1000, true, &late);
    int64_t until = clock_mono_ms(clock_system()) + PATIENCE_MS;
    size_t came = 0;
    while (came == 0 && clock_mono_ms(clock_system()) < until) {
        http_pool_drive(p, 10);
        pthread_mutex_lock(&s->lock);
        came = s->count;
        pthread_mutex_unlock(&s->lock);
        cr_assert(came > 0 || late.times == 0, "it was not sent within its time");
    }
    start(p, s->url, PATIENCE_MS, true, &quick);
    struct http_request req = { .method = "GET", .url = s->url, .max_response = 4 };
    cr_assert_eq(http_pool_start(p, &req, tell, &large, &err), 0);
    finish(p);
    cr_expect_eq(late.rc, -1);
    cr_expect_eq(late.err.code, ERR_TIMEOUT, "%s", late.err.msg);
    cr_expect_eq(quick.rc, 0, "%s", quick.err.msg);
    cr_expect_str_eq(quick.body, "hello");
    cr_expect_eq(large.rc, -1);
    cr_expect_eq(large.err.code, ERR_TOO_LARGE, "%s", large.err.msg);
    http_pool_free(p);
    served_stop(s);
}

/* ---- connections that end ---------------------------------------------------------------------
 */

/* Answers `good` requests on each connection, then closes it in one of two ways. */
struct closing {
    int fd;
    char url[64];
    unsigned good;
    bool at_next; /* only when the next request has come: nobody can know before */
    pthread_t thread;
    atomic_uint requests;
    atomic_uint connections;
    atomic_uint closed;
};

static void serve(struct closing *c, int fd)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    char text[4096];
    for (unsigned n = 0;; n++) {
        if (n == c->good && !c->at_next)
            break;
        size_t len = 0;
        ssize_t got = 0;
        while (!memmem(text, len, "\r\n\r\n{}", 6) &&
               (got = read(fd, text + len, sizeof(text) - len)) > 0)
            len += (size_t)got;
        if (got <= 0 && len == 0)
            break;
        atomic_fetch_add(&c->requests, 1);
        if (n == c->good)
            break;
        (void)!write(fd, answer, strlen(answer));
    }
    close(fd);
    atomic_fetch_add(&c->closed, 1);
}

static void *serve_all(void *arg)
{
    struct closing *c = arg;
    int fd;
    while ((fd = accept(c->fd, NULL, NULL)) >= 0) {
        atomic_fetch_add(&c->connections, 1);
        serve(c, fd);
    }
    return NULL;
}

static void closing_start(struct closing *c)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(c->fd, (struct sockaddr *)&at, len), 0);
    cr_assert_eq(listen(c->fd, 16), 0);
    cr_assert_eq(getsockname(c->fd, (struct sockaddr *)&at, &len), 0);
    snprintf(c->url, sizeof(c->url), "http://127.0.0.1:%u", ntohs(at.sin_port));
    cr_assert_eq(pthread_create(&c->thread, NULL, serve_all, c), 0);
}

static void closing_stop(struct closing *c)
{
    shutdown(c->fd, SHUT_RDWR);
    pthread_join(c->thread, NULL);
    close(c->fd);
}

/* A connection that the server has closed meanwhile is not used, and not waited for. */
Test(http_pool, a_kept_connection_that_was_closed_is_replaced)
{
    struct closing c = { .good = 1 };
    closing_start(&c);
    struct http_pool *p = pool(4);
    for (unsigned round = 1; round <= 3; round++) {
        struct told told = { 0 };
        start(p, c.url, PATIENCE_MS, true, &told);
        finish(p);
        cr_assert_eq(told.rc, 0, "round %u: %s", round, told.err.msg);
        int64_t until = clock_mono_ms(clock_system()) + PATIENCE_MS;
        while (atomic_load(&c.closed) < round && clock_mono_ms(clock_system()) < until)
            clock_sleep_ms(clock_system(), 5);
        unsigned passes = 0; /* its end is heard once, not again and again */
        int64_t began = clock_mono_ms(clock_system());
        while (clock_mono_ms(clock_system()) - began < 300 && passes < 100) {
            http_pool_drive(p, 100);
            passes++;
        }
        cr_assert_lt(passes, 100);
    }
    cr_assert_eq(atomic_load(&c.connections), 3);
    cr_assert_eq(atomic_load(&c.requests), 3);
    http_pool_free(p);
    closing_stop(&c);
}

/* One that ends with the next request on it: sent again by libcurl, unless the request says `once`.
 */
Test(http_pool, sends_again_on_a_dead_kept_connection_unless_told_not_to)
{
    for (int once = 0; once < 2; once++) {
        struct closing c = { .good = 1, .at_next = true };
        closing_start(&c);
        struct http_pool *p = pool(4);
        struct told first = { 0 }, second = { 0 };
        start(p, c.url, PATIENCE_MS, once, &first);
        finish(p);
        cr_assert_eq(first.rc, 0, "%s", first.err.msg);
        start(p, c.url, PATIENCE_MS, once, &second);
        finish(p);
        cr_expect_eq(second.rc, once ? -1 : 0, "%s", second.err.msg);
        cr_expect_eq(atomic_load(&c.requests), once ? 2 : 3);
        if (once)
            cr_expect_eq(second.err.code, ERR_NET);
        http_pool_free(p);
        closing_stop(&c);
    }
}

/* ---- wake, cancel -----------------------------------------------------------------------------
 */

static void *wake_soon(void *arg)
{
    clock_sleep_ms(clock_system(), 50);
    http_pool_wake(arg);
    return NULL;
}

Test(http_pool, can_be_woken_from_another_thread, .timeout = 120)
{
    struct http_pool *p = pool(1);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, wake_soon, p), 0);
    cr_assert_eq(http_pool_drive(p, INT64_MAX), 0);
    pthread_join(thread, NULL);
    http_pool_wake(p); /* and before it waits */
    http_pool_wake(p);
    cr_assert_eq(http_pool_drive(p, INT64_MAX), 0);
    int64_t began = clock_mono_ms(clock_system());
    cr_assert_eq(http_pool_drive(p, 50), 0);
    cr_assert_geq(clock_mono_ms(clock_system()) - began, 49, "a wake counts once");
    http_pool_free(p);
}

Test(http_pool, what_runs_can_be_cut_off)
{
    static const struct answer slow[] = { { .status = 200, .body = "late", .delay_ms = 300 } };
    struct served *s = served_start(slow, 1);
    struct http_pool *p = pool(4);
    struct told told[3] = { 0 }, last = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(told); i++)
        start(p, s->url, PATIENCE_MS, true, &told[i]);
    http_pool_drive(p, 0);
    http_pool_cancel(p);
    cr_assert_eq(http_pool_running(p), 0);
    for (size_t i = 0; i < ARRAY_LEN(told); i++) {
        cr_expect_eq(told[i].times, 1);
        cr_expect_eq(told[i].err.code, ERR_CANCELLED, "%s", told[i].err.msg);
    }
    start(p, s->url, PATIENCE_MS, true, &last); /* it can go on */
    finish(p);
    cr_expect_eq(last.rc, 0, "%s", last.err.msg);
    last = (struct told){ 0 };
    start(p, s->url, PATIENCE_MS, true, &last);
    http_pool_free(p);
    cr_expect_eq(last.err.code, ERR_CANCELLED);
    served_stop(s);
}

struct chain {
    struct http_pool *pool;
    const char *url;
    unsigned left;
};

static void go_on(void *arg, int rc, struct http_response *resp, struct error *err)
{
    struct chain *c = arg;
    cr_assert_eq(rc, 0, "%s", err->msg);
    cr_assert_eq(resp->status, 200);
    struct http_request req = { .method = "GET", .url = c->url, .timeout_ms = PATIENCE_MS };
    if (c->left > 0 && c->left--)
        cr_assert_eq(http_pool_start(c->pool, &req, go_on, c, err), 0, "%s", err->msg);
}

Test(http_pool, an_end_may_begin_the_next)
{
    static const struct answer ok[] = { { .status = 200, .body = "hello" } };
    struct served *s = served_start(ok, 1);
    struct http_pool *p = pool(1);
    struct chain c = { .pool = p, .url = s->url, .left = 9 };
    struct http_request req = { .method = "GET", .url = s->url, .timeout_ms = PATIENCE_MS };
    struct error err = { 0 };
    cr_assert_eq(http_pool_start(p, &req, go_on, &c, &err), 0, "%s", err.msg);
    finish(p);
    cr_assert_eq(s->count, 10);
    cr_assert_eq(peers(s, 0, 10), 1);
    http_pool_free(p);
    served_stop(s);
}

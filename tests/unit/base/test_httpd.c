#include "shared/base/httpd.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/json.h"

/* ---- a client that sends any bytes ----------------------------------------------------------- */

static int dial(const struct httpd *h)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(httpd_port(h)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval limit = { .tv_sec = 5 };
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    return fd;
}

static void put(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server may refuse before it has read all */
        bytes += n;
        len -= (size_t)n;
    }
}

static void put_str(int fd, const char *text)
{
    put(fd, text, strlen(text));
}

/* All that comes until the connection ends, or what came until it fell silent. New memory. */
static char *read_all(int fd)
{
    auto_buf struct buf b = BUF_INIT(1 << 20);
    char part[4096];
    ssize_t n;
    while ((n = recv(fd, part, sizeof(part), 0)) > 0)
        buf_add(&b, part, (size_t)n);
    return buf_take(&b, NULL);
}

static char *talk_len(const struct httpd *h, const char *bytes, size_t len)
{
    int fd = dial(h);
    put(fd, bytes, len);
    char *answer = read_all(fd);
    close(fd);
    return answer;
}

static char *talk(const struct httpd *h, const char *bytes)
{
    return talk_len(h, bytes, strlen(bytes));
}

#define CLOSE "Host: h\r\nConnection: close\r\n"

static bool begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static const char *body_of(const char *answer)
{
    const char *at = strstr(answer, "\r\n\r\n");
    return at ? at + 4 : "";
}

static struct httpd *start(httpd_handler *handler, void *arg, unsigned threads, size_t max_body)
{
    struct httpd_config cfg = { .listen = "127.0.0.1:0",
                                .threads = threads,
                                .max_body = max_body,
                                .handler = handler,
                                .arg = arg };
    struct error err = { 0 };
    struct httpd *h = httpd_start(&cfg, &err);
    cr_assert_not_null(h, "%s", err.msg);
    return h;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void add_header(void *arg, const char *name, const char *value)
{
    buf_printf(arg, "[%s=%s]", name, value);
}

/* Answers with all that it sees. */
static void mirror(struct httpd_request *req, void *arg)
{
    (void)arg;
    auto_buf struct buf b = BUF_INIT(1 << 20);
    size_t len;
    const char *body = httpd_body(req, &len);
    const char *x = httpd_header(req, "x-one");
    auto_free char *q = httpd_query_get(req, "q");
    buf_printf(&b, "%s %s ?%s q=%s x=%s ", httpd_method(req), httpd_path(req), httpd_query(req),
               q ? q : "(none)", x ? x : "(none)");
    httpd_each_header(req, add_header, &b);
    buf_add_char(&b, ' ');
    buf_add(&b, body, len);
    static const struct httpd_header headers[] = { { "X-Two", "2" }, { NULL, NULL } };
    httpd_reply(req, 200, "text/plain", b.data, b.len, headers);
}

Test(httpd, hands_over_requests_as_they_came)
{
    static const struct {
        const char *request;
        const char *seen;
    } cases[] = {
        { "GET /a%2Fb/../%C3%A4//c?q=1%202+3&x HTTP/1.1\r\n" CLOSE "X-One: v\r\n\r\n",
          "GET /a%2Fb/../%C3%A4//c ?q=1%202+3&x q=1 2 3 x=v [Host=h][Connection=close][X-One=v] " },
        { "POST / HTTP/1.1\r\n" CLOSE "x-oNe: 1\r\nX-One: 2\r\nContent-Length: 3\r\n\r\nabc",
          "POST / ? q=(none) x=1 [Host=h][Connection=close][x-oNe=1][X-One=2][Content-Length=3] "
          "abc" },
        { "PUT /p?q HTTP/1.1\r\n" CLOSE
          "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n",
          "PUT /p ?q q= x=(none) [Host=h][Connection=close][Transfer-Encoding=chunked] abcde" },
        { "GET /?aq=1&qa=2&q=3&q=4 HTTP/1.1\r\n" CLOSE "\r\n",
          "GET / ?aq=1&qa=2&q=3&q=4 q=3 x=(none) [Host=h][Connection=close] " },
        { "GET /?q=%zz HTTP/1.1\r\n" CLOSE "\r\n",
          "GET / ?q=%zz q=(none) x=(none) [Host=h][Connection=close] " },
    };
    struct httpd *h = start(mirror, NULL, 2, 1000);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *answer = talk(h, cases[i].request);
        cr_expect(begins(answer, "HTTP/1.1 200 OK\r\n"), "%s", answer);
        cr_expect_not_null(strstr(answer, "\r\nX-Two: 2\r\n"));
        cr_expect_not_null(strstr(answer, "\r\nContent-Type: text/plain\r\n"));
        cr_expect_str_eq(body_of(answer), cases[i].seen, "%s", body_of(answer));
    }
    httpd_stop(h);
}

Test(httpd, keeps_connections_and_leaves_bodies_out_of_head)
{
    struct httpd *h = start(mirror, NULL, 1, 1000);
    auto_free char *answer = talk(h, "HEAD /one HTTP/1.1\r\nHost: h\r\n\r\n"
                                     "GET /two HTTP/1.1\r\n" CLOSE "\r\n");
    cr_expect(begins(answer, "HTTP/1.1 200 OK\r\n"));
    cr_expect(begins(body_of(answer), "HTTP/1.1 200 OK\r\n"), "no body after HEAD: %s", answer);
    cr_expect_not_null(strstr(answer, "GET /two"));
    httpd_stop(h);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static char *post_of(size_t body_len, size_t *len)
{
    auto_buf struct buf b = BUF_INIT(64 << 20);
    buf_printf(&b, "POST / HTTP/1.1\r\n" CLOSE "Content-Length: %zu\r\n\r\n", body_len);
    auto_free char *body = mem_alloc(body_len + 1);
    memset(body, 'x', body_len);
    buf_add(&b, body, body_len);
    return buf_take(&b, len);
}

static void note_size(struct httpd_request *req, void *arg)
{
    size_t *seen = arg;
    httpd_body(req, seen);
    httpd_reply(req, 204, NULL, NULL, 0, NULL);
}

Test(httpd, takes_bodies_up_to_the_limit)
{
    static const struct {
        size_t body;
        const char *status;
    } cases[] = { { 0, "HTTP/1.1 204" },
                  { 100000, "HTTP/1.1 204" },
                  { 100001, "HTTP/1.1 413" },
                  { 300000, "HTTP/1.1 413" } };
    size_t seen = 0;
    struct httpd *h = start(note_size, &seen, 1, 100000);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t len;
        auto_free char *request = post_of(cases[i].body, &len);
        seen = 7;
        auto_free char *answer = talk_len(h, request, len);
        cr_expect(begins(answer, cases[i].status), "%zu: %.40s", cases[i].body, answer);
        if (cases[i].body > 100000) {
            cr_expect_eq(seen, 7, "the handler is not asked");
            cr_expect_not_null(strstr(answer, "application/problem+json"));
            cr_expect_not_null(strstr(answer, "at most 100000 bytes"));
        } else {
            cr_expect_eq(seen, cases[i].body);
        }
    }
    /* what is announced to be far too large is refused before it is sent */
    auto_free char *answer = talk(h, "POST / HTTP/1.1\r\n" CLOSE "Content-Length: 99999999999\r\n"
                                     "\r\n");
    cr_expect(begins(answer, "HTTP/1.1 413"), "%s", answer);
    httpd_stop(h);
}

static void refuse_shortly(struct httpd_request *req, void *arg)
{
    (void)arg;
    httpd_reply_json(req, 413, "{\"short\":true}", NULL);
}

Test(httpd, lets_the_owner_word_the_refusal)
{
    struct httpd_config cfg = { .listen = "127.0.0.1:0",
                                .threads = 1,
                                .max_body = 10,
                                .handler = mirror,
                                .too_large = refuse_shortly };
    struct error err = { 0 };
    struct httpd *h = httpd_start(&cfg, &err);
    cr_assert_not_null(h, "%s", err.msg);
    size_t len;
    auto_free char *request = post_of(11, &len);
    auto_free char *answer = talk_len(h, request, len);
    cr_expect_str_eq(body_of(answer), "{\"short\":true}");
    httpd_stop(h);
}

Test(httpd, refuses_what_is_not_http)
{
    auto_free char *long_header = mem_alloc(40001);
    memset(long_header, 'x', 40000);
    auto_free char *too_long = mem_printf("GET / HTTP/1.1\r\n" CLOSE "X: %s\r\n\r\n", long_header);
    const struct {
        const char *request;
        const char *status; /* NULL: no 2xx, whatever it is */
    } cases[] = {
        { "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 400" }, /* no Host */
        { "POST / HTTP/1.1\r\n" CLOSE "Content-Length: -1\r\n\r\n", "HTTP/1.1 400" },
        { "POST / HTTP/1.1\r\n" CLOSE "Content-Length: x\r\n\r\n", "HTTP/1.1 400" },
        { "POST / HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\nzz\r\n", NULL },
        { too_long, "HTTP/1.1 431" },
        { "nonsense\r\n\r\n", NULL },
    };
    struct httpd *h = start(mirror, NULL, 1, 1000);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int fd = dial(h);
        put_str(fd, cases[i].request);
        shutdown(fd, SHUT_WR);
        auto_free char *answer = read_all(fd);
        close(fd);
        cr_expect_null(strstr(answer, " 200 "), "case %zu: %.60s", i, answer);
        if (cases[i].status)
            cr_expect(begins(answer, cases[i].status), "case %zu: %.60s", i, answer);
    }
    auto_free char *answer = talk(h, "GET / HTTP/1.1\r\n" CLOSE "\r\n");
    cr_expect(begins(answer, "HTTP/1.1 200"), "and it still serves");
    httpd_stop(h);
}

Test(httpd, closes_connections_that_stay_silent)
{
    struct httpd_config cfg = { .listen = "127.0.0.1:0",
                                .threads = 1,
                                .idle_timeout_s = 1,
                                .max_body = 10,
                                .handler = mirror };
    struct error err = { 0 };
    struct httpd *h = httpd_start(&cfg, &err);
    cr_assert_not_null(h, "%s", err.msg);
    int64_t start_ms = clock_mono_ms(clock_system());
    auto_free char *answer = talk(h, "GET / HTTP/1.1\r\nHost:");
    cr_expect_null(strstr(answer, " 200 "));
    cr_expect_lt(clock_mono_ms(clock_system()) - start_ms, 4000);
    httpd_stop(h);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void problem(struct httpd_request *req, void *arg)
{
    (void)arg;
    static const struct httpd_header headers[] = { { "Retry-After", "3" }, { NULL, NULL } };
    httpd_problem(req, 429, headers, "too \"%s\"\n", "much");
}

Test(httpd, writes_problem_documents)
{
    struct httpd *h = start(problem, NULL, 1, 10);
    auto_free char *answer = talk(h, "GET / HTTP/1.1\r\n" CLOSE "\r\n");
    cr_expect_not_null(strstr(answer, "\r\nContent-Type: application/problem+json\r\n"));
    cr_expect_not_null(strstr(answer, "\r\nRetry-After: 3\r\n"));
    cr_expect_str_eq(body_of(answer),
                     "{\"type\":\"about:blank\",\"title\":\"Too Many Requests\",\"status\":429,"
                     "\"detail\":\"too \\\"much\\\"\\n\"}");
    cr_expect_str_eq(httpd_phrase(404), "Not Found");
    httpd_stop(h);
}

static void forget(struct httpd_request *req, void *arg)
{
    (void)req, (void)arg;
}

static void cut(struct httpd_request *req, void *arg)
{
    (void)arg;
    httpd_abort(req);
}

Test(httpd, answers_for_a_handler_that_forgot_and_is_silent_when_told)
{
    struct httpd *h = start(forget, NULL, 1, 10);
    auto_free char *answer = talk(h, "GET / HTTP/1.1\r\n" CLOSE "\r\n");
    cr_expect(begins(answer, "HTTP/1.1 500"), "%s", answer);
    httpd_stop(h);
    h = start(cut, NULL, 1, 10);
    auto_free char *nothing = talk(h, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    cr_expect_str_eq(nothing, "");
    httpd_stop(h);
}

/* ---- parked requests ------------------------------------------------------------------------- */

struct parking {
    pthread_mutex_t lock;
    pthread_cond_t came;
    struct httpd_request *came_in[4]; /* in the order they came */
    size_t count;
    size_t taken;
};

static void park(struct httpd_request *req, void *arg)
{
    struct parking *p = arg;
    httpd_park(req);
    pthread_mutex_lock(&p->lock);
    p->came_in[p->count++] = req;
    pthread_cond_signal(&p->came);
    pthread_mutex_unlock(&p->lock);
}

static struct httpd_request *parked(struct parking *p)
{
    pthread_mutex_lock(&p->lock);
    while (p->taken == p->count)
        pthread_cond_wait(&p->came, &p->lock);
    struct httpd_request *req = p->came_in[p->taken++];
    pthread_mutex_unlock(&p->lock);
    return req;
}

#define PARKING                                                                                    \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER                        \
    }

Test(httpd, lets_any_thread_answer_later)
{
    struct parking p = PARKING;
    struct httpd *h = start(park, &p, 1, 10);
    int fds[3];
    for (int i = 0; i < 3; i++) { /* all at once on one thread: none waits for another */
        fds[i] = dial(h);
        auto_free char *request = mem_printf("GET /%d HTTP/1.1\r\n" CLOSE "\r\n", i);
        put_str(fds[i], request);
    }
    for (int i = 0; i < 3; i++) {
        struct httpd_request *req = parked(&p);
        if (strcmp(httpd_path(req), "/1") == 0)
            httpd_abort(req);
        else
            httpd_reply(req, 200, "text/plain", httpd_path(req), 2, NULL);
    }
    static const char *const want[] = { "/0", "", "/2" };
    for (int i = 0; i < 3; i++) {
        auto_free char *answer = read_all(fds[i]);
        cr_expect_str_eq(body_of(answer), want[i]);
        close(fds[i]);
    }
    httpd_stop(h);
}

Test(httpd, notices_that_the_client_has_gone)
{
    struct parking p = PARKING;
    struct httpd *h = start(park, &p, 1, 10);
    int fd = dial(h);
    put_str(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    struct httpd_request *req = parked(&p);
    cr_expect(!httpd_peer_gone(req));
    char peer[64];
    httpd_peer(req, peer);
    cr_expect(begins(peer, "127.0.0.1:"), "%s", peer);
    close(fd);
    for (int i = 0; i < 12000 && !httpd_peer_gone(req); i++)
        clock_sleep_ms(clock_system(), 5);
    cr_expect(httpd_peer_gone(req));
    httpd_reply(req, 204, NULL, NULL, 0, NULL);
    httpd_stop(h);
}

static void *read_in_thread(void *arg)
{
    return read_all(*(int *)arg);
}

Test(httpd, refuses_what_is_parked_when_it_stops)
{
    struct parking p = PARKING;
    struct httpd *h = start(park, &p, 2, 10);
    int fd = dial(h);
    put_str(fd, "GET / HTTP/1.1\r\n" CLOSE "\r\n");
    parked(&p);
    pthread_t reader;
    cr_assert_eq(pthread_create(&reader, NULL, read_in_thread, &fd), 0);
    int64_t start_ms = clock_mono_ms(clock_system());
    httpd_stop(h);
    cr_expect_lt(clock_mono_ms(clock_system()) - start_ms, 2000);
    void *answer = NULL;
    pthread_join(reader, &answer);
    cr_expect(begins(answer, "HTTP/1.1 503"), "%s", (char *)answer);
    free(answer);
    close(fd);
    httpd_stop(NULL);
}

/* ---- a server without threads ---------------------------------------------------------------- */

Test(httpd, runs_on_its_owner_s_loop)
{
    struct parking p = PARKING;
    struct httpd *h = start(park, &p, 0, 10);
    int fd = dial(h);
    put_str(fd, "GET /loop HTTP/1.1\r\n" CLOSE "\r\n");
    pthread_t reader;
    cr_assert_eq(pthread_create(&reader, NULL, read_in_thread, &fd), 0);
    int64_t until = clock_mono_ms(clock_system()) + 60000;
    bool answered = false;
    while (!answered && clock_mono_ms(clock_system()) < until) {
        struct pollfd wait = { .fd = httpd_fd(h), .events = POLLIN };
        int64_t ms = httpd_timeout_ms(h);
        poll(&wait, 1, ms < 0 || ms > 100 ? 100 : (int)ms);
        httpd_run(h);
        if (p.count > 0) {
            httpd_reply(p.came_in[0], 200, "text/plain", "done", 4, NULL);
            httpd_run(h);
            answered = true;
        }
    }
    cr_assert(answered);
    httpd_stop(h);
    void *answer = NULL;
    pthread_join(reader, &answer);
    cr_expect_str_eq(body_of(answer), "done", "%s", (char *)answer);
    free(answer);
    close(fd);
}

/* What its handler works with may be gone by then. */
Test(httpd, without_threads_handles_nothing_while_it_stops)
{
    struct parking p = PARKING;
    struct httpd *h = start(park, &p, 0, 10);
    int fd = dial(h);
    put_str(fd, "POST /late HTTP/1.1\r\n" CLOSE "Content-Length: 4\r\n\r\nha");
    int64_t until = clock_mono_ms(clock_system()) + 60000;
    while (httpd_active(h) == 0 && clock_mono_ms(clock_system()) < until) {
        httpd_run(h);
        clock_sleep_ms(clock_system(), 2);
    }
    cr_assert_eq(httpd_active(h), 1);
    put_str(fd, "lf");
    pthread_t reader;
    cr_assert_eq(pthread_create(&reader, NULL, read_in_thread, &fd), 0);
    httpd_stop(h);
    void *answer = NULL;
    pthread_join(reader, &answer);
    cr_expect_eq(p.count, 0);
    cr_expect(begins(answer, "HTTP/1.1 503"), "%s", (char *)answer);
    free(answer);
    close(fd);
}

/* ---- addresses ------------------------------------------------------------------------------- */

Test(httpd, says_where_it_listens_and_why_it_cannot)
{
    struct httpd *h = start(mirror, NULL, 1, 10);
    auto_free char *want = mem_printf("127.0.0.1:%d", httpd_port(h));
    cr_expect_str_eq(httpd_address(h), want);
    cr_expect_neq(httpd_port(h), 0);
    struct httpd_config cfg = { .listen = want, .threads = 1, .max_body = 10, .handler = mirror };
    struct error err = { 0 };
    cr_expect_null(httpd_start(&cfg, &err), "the port is taken");
    cr_expect_eq(err.code, ERR_IO);
    cr_expect_eq(err.detail, EADDRINUSE);
    httpd_stop(h);
    static const char *const wrong[] = { "",        "127.0.0.1", "127.0.0.1:", ":80", "127.0.0.1:x",
                                         "h:65536", "h:-1",      "[]:1" };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        cfg.listen = wrong[i];
        cr_expect_null(httpd_start(&cfg, &err), "%s", wrong[i]);
        cr_expect_eq(err.code, ERR_INVALID, "%s", wrong[i]);
    }
}

Test(httpd, quiesce_serves_open_connections_only)
{
    struct httpd *h = start(mirror, NULL, 1, 10);
    int fd = dial(h);
    put_str(fd, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
    char part[4096];
    cr_assert_gt(recv(fd, part, sizeof(part), 0), 0);
    httpd_quiesce(h);
    put_str(fd, "GET /2 HTTP/1.1\r\n" CLOSE "\r\n");
    auto_free char *answer = read_all(fd);
    cr_expect_not_null(strstr(answer, "GET /2"));
    close(fd);
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(httpd_port(h)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_expect_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), -1);
    close(fd);
    httpd_stop(h);
}

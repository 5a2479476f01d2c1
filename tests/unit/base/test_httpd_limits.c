/* What httpd does against clients that are slow, greedy or ambiguous. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/buf.h"
#include "shared/base/clock.h"
#include "shared/base/httpd.h"

static int dial(const struct httpd *h)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(httpd_port(h)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval limit = { .tv_sec = 10 };
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    return fd;
}

static bool put(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

/* What comes until `until` has come or the connection ends; new memory. */
static char *hear(int fd, const char *until)
{
    auto_buf struct buf b = BUF_INIT(1 << 20);
    char part[4096];
    ssize_t n;
    while ((!until || !strstr(buf_str(&b), until)) && (n = recv(fd, part, sizeof(part), 0)) > 0)
        buf_add(&b, part, (size_t)n);
    return buf_take(&b, NULL);
}

static atomic_uint handled;

static void count(struct httpd_request *req, void *arg)
{
    (void)arg;
    atomic_fetch_add(&handled, 1);
    httpd_reply_json(req, 200, "{\"handled\":true}", NULL);
}

static void only_with_key(struct httpd_request *req, void *arg)
{
    (void)arg;
    if (!httpd_header(req, "Key"))
        httpd_problem(req, 401, NULL, "no key");
}

static struct httpd *start(struct httpd_config cfg)
{
    struct error err = { 0 };
    cfg.listen = "127.0.0.1:0";
    cfg.threads = 1;
    cfg.handler = count;
    atomic_store(&handled, 0);
    struct httpd *h = httpd_start(&cfg, &err);
    cr_assert_not_null(h, "%s", err.msg);
    return h;
}

static char *post(const char *headers, size_t body, size_t *len)
{
    auto_buf struct buf b = BUF_INIT(1 << 22);
    buf_printf(&b, "POST / HTTP/1.1\r\nHost: h\r\n%sContent-Length: %zu\r\n\r\n", headers, body);
    auto_free char *filler = mem_alloc(body + 1);
    memset(filler, 'x', body);
    buf_add(&b, filler, body);
    return buf_take(&b, len);
}

Test(httpd_limits, what_is_refused_by_its_headers_is_answered_and_its_body_dropped)
{
    struct httpd *h = start((struct httpd_config){
        .max_body = 1 << 20, .max_buffered = 1000, .on_headers = only_with_key });
    int fd = dial(h);
    size_t len;
    auto_free char *big = post("", 500000, &len);
    cr_assert(put(fd, big, len));
    auto_free char *refused = hear(fd, "no key");
    cr_expect_not_null(strstr(refused, "HTTP/1.1 401"), "%s", refused);
    cr_expect_null(strstr(refused, "Connection: close"));
    /* the same connection goes on */
    auto_free char *small = post("Key: 1\r\n", 10, &len);
    cr_assert(put(fd, small, len));
    auto_free char *taken = hear(fd, "handled");
    cr_expect_not_null(strstr(taken, "HTTP/1.1 200"), "%s", taken);
    close(fd);
    cr_expect_eq(atomic_load(&handled), 1);
    httpd_stop(h);
}

Test(httpd_limits, a_client_that_asks_first_is_refused_before_it_sends)
{
    struct httpd *h =
        start((struct httpd_config){ .max_body = 1 << 20, .on_headers = only_with_key });
    int fd = dial(h);
    static const char ask[] = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                              "Content-Length: 100000\r\n\r\n";
    cr_assert(put(fd, ask, strlen(ask)));
    auto_free char *answer = hear(fd, NULL);
    cr_expect(strncmp(answer, "HTTP/1.1 401", 12) == 0, "%s", answer);
    close(fd);
    httpd_stop(h);
}

Test(httpd_limits, bodies_of_all_requests_have_one_limit)
{
    struct httpd *h = start((struct httpd_config){ .max_body = 1 << 20, .max_buffered = 100000 });
    int holder = dial(h), other = dial(h);
    size_t len;
    auto_free char *big = post("", 90000, &len);
    cr_assert(put(holder, big, len - 1)); /* all but the last byte */
    for (int i = 0; i < 6000 && httpd_active(h) == 0; i++)
        clock_sleep_ms(clock_system(), 10);
    clock_sleep_ms(clock_system(), 500); /* and they have been read */
    auto_free char *second = post("", 50000, &len);
    cr_assert(put(other, second, len));
    auto_free char *refused = hear(other, "\r\n\r\n");
    cr_expect(strncmp(refused, "HTTP/1.1 503", 12) == 0, "%s", refused);
    cr_expect_not_null(strstr(refused, "Retry-After: 1"));
    cr_assert(put(holder, "x", 1));
    auto_free char *taken = hear(holder, "handled");
    cr_expect(strncmp(taken, "HTTP/1.1 200", 12) == 0, "%s", taken);
    close(other);
    other = dial(h);
    cr_assert(put(other, second, len));
    auto_free char *later = hear(other, "handled");
    cr_expect(strncmp(later, "HTTP/1.1 200", 12) == 0, "there is room again: %s", later);
    close(holder);
    close(other);
    httpd_stop(h);
}

/* Sends `text` a byte at a time until the server ends the connection; the time it took. */
static int64_t drip(const struct httpd *h, const char *begin, const char *text)
{
    const struct clock *clock = clock_system();
    int64_t from = clock_mono_ms(clock);
    int fd = dial(h);
    char byte;
    cr_assert(put(fd, begin, strlen(begin)));
    for (size_t i = 0; clock_mono_ms(clock) - from < 50000; i++) {
        if (!put(fd, &text[i % strlen(text)], 1) || recv(fd, &byte, 1, MSG_DONTWAIT) == 0)
            break;
        clock_sleep_ms(clock, 50);
    }
    close(fd);
    return clock_mono_ms(clock) - from;
}

Test(httpd_limits, slow_clients_are_cut_off)
{
    struct httpd *h = start((struct httpd_config){
        .max_body = 1000, .idle_timeout_s = 60, .header_timeout_s = 1, .body_timeout_s = 1 });
    int64_t line = drip(h, "", "GET");
    int64_t headers = drip(h, "GET / HTTP/1.1\r\n", "X: y\r\n");
    int64_t body = drip(h, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 900\r\n\r\n", "x");
    cr_expect_lt(line, 30000);
    cr_expect_lt(headers, 30000);
    cr_expect_lt(body, 30000);
    cr_expect_eq(atomic_load(&handled), 0);
    httpd_stop(h);
}

Test(httpd_limits, a_connection_may_rest_between_requests)
{
    struct httpd *h = start((struct httpd_config){
        .max_body = 1000, .idle_timeout_s = 60, .header_timeout_s = 1, .body_timeout_s = 1 });
    static const char get[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    int fd = dial(h);
    cr_assert(put(fd, get, strlen(get)));
    free(hear(fd, "handled"));
    clock_sleep_ms(clock_system(), 1600);
    cr_assert(put(fd, get, strlen(get)));
    auto_free char *second = hear(fd, "handled");
    cr_expect(strncmp(second, "HTTP/1.1 200", 12) == 0, "%s", second);
    close(fd);
    httpd_stop(h);
}

Test(httpd_limits, an_ambiguous_length_is_refused_and_ends_the_connection)
{
    static const char *const cases[] = {
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "Content-Length: 5\r\nContent-Length: 40\r\n\r\nhello",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 60\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "Content-Length: +5\r\n\r\nhello",
        "Content-Length: 5, 5\r\n\r\nhello",
        "Content-Length: 0x5\r\n\r\nhello",
    };
    static const char *const methods[] = { "POST", "PUT", "GET", "DELETE" };
    struct httpd *h = start((struct httpd_config){ .max_body = 1000 });
    for (size_t i = 0; i < ARRAY_LEN(cases) * ARRAY_LEN(methods); i++) {
        const char *rest = cases[i / ARRAY_LEN(methods)];
        auto_free char *text =
            mem_printf("%s / HTTP/1.1\r\nHost: h\r\n%sGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
                       methods[i % ARRAY_LEN(methods)], rest);
        int fd = dial(h);
        cr_assert(put(fd, text, strlen(text)));
        auto_free char *answer = hear(fd, NULL);
        cr_expect(answer[0] == '\0' || strncmp(answer, "HTTP/1.1 400", 12) == 0, "%s: %s", text,
                  answer);
        cr_expect_null(strstr(answer, "HTTP/1.1 200"), "%s", answer);
        close(fd);
    }
    cr_expect_eq(atomic_load(&handled), 0);
    httpd_stop(h);
}

Test(httpd_limits, one_address_gets_so_many_connections)
{
    struct httpd *h = start((struct httpd_config){ .max_body = 10, .max_per_peer = 2 });
    static const char get[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    int fds[3];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = dial(h);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        (void)put(fds[i], get, strlen(get));
        auto_free char *answer = hear(fds[i], "handled");
        cr_expect_eq(answer[0] != '\0', i < 2, "connection %zu: %s", i, answer);
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    httpd_stop(h);
}

/* The server's only thread waits in the first request's handler until the others are there. */
static pthread_barrier_t busy;

static void wait_busy(struct httpd_request *req, void *arg)
{
    (void)arg;
    if (strcmp(httpd_path(req), "/busy") == 0) {
        pthread_barrier_wait(&busy);
        pthread_barrier_wait(&busy);
    }
}

/* As many events at once as epoll is asked for: none of them may wait for another to come. */
Test(httpd_limits, many_requests_at_the_same_moment)
{
    enum {
        MANY = 128
    };
    static const char first[] = "GET /busy HTTP/1.1\r\nHost: h\r\n\r\n";
    static const char get[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    struct httpd *h = start((struct httpd_config){ .max_body = 10, .on_headers = wait_busy });
    int fds[MANY + 1];
    pthread_barrier_init(&busy, NULL, 2);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = dial(h);
        cr_assert(put(fds[i], get, strlen(get)));
        free(hear(fds[i], "handled"));
    }
    cr_assert(put(fds[MANY], first, strlen(first)));
    pthread_barrier_wait(&busy);
    for (size_t i = 0; i < MANY; i++)
        cr_assert(put(fds[i], get, strlen(get)));
    pthread_barrier_wait(&busy);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        auto_free char *answer = hear(fds[i], "handled");
        cr_expect_not_null(strstr(answer, "handled"), "connection %zu was forgotten", i);
        close(fds[i]);
    }
    httpd_stop(h);
    pthread_barrier_destroy(&busy);
}

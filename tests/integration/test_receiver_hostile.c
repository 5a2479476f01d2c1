/* Clients that are slow, greedy or ambiguous against the real receiver: it goes on serving others.
 * HOSTILE_CONNECTIONS says how many there are at once: 600, or as many as the machine allows with
 * `make hostile`. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/mem.h"
#include "tests/integration/rig.h"

#define SOME 600

static uint16_t port_of(const struct rig *r)
{
    auto_free char *url = rig_url(r, RIG_ID, "");
    return (uint16_t)strtoul(strstr(url + 7, ":") + 1, NULL, 10);
}

static int dial(uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval limit = { .tv_sec = 60 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0, "%s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    return fd;
}

/* The other side may have had enough. */
static void put(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

/* All that comes until the connection ends; new memory. */
static char *hear(int fd)
{
    auto_buf struct buf b = BUF_INIT(1 << 20);
    char part[4096];
    ssize_t n;
    while ((n = recv(fd, part, sizeof(part), 0)) > 0)
        buf_add(&b, part, (size_t)n);
    return buf_take(&b, NULL);
}

static unsigned answers(const char *text)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, "HTTP/1.1 ")); p++)
        n++;
    return n;
}

/* A job's whole life, of a callback of its own. */
static void serves(struct rig *r, unsigned n)
{
    auto_free char *id = mem_printf("Q2FsbGJhY2s%06u", n);
    auto_free char *token = rig_register(r, id, "\"workflow\":\"w\"");
    struct rig_answer a = rig_ask(r, &(struct rig_ask){ .method = "POST",
                                                        .callback_id = id,
                                                        .what = "/success",
                                                        .token = token,
                                                        .type = "application/json",
                                                        .body = "{\"ok\":true}" });
    rig_expect(a, 202, "accepted");
}

/* ---- requests that two programs might read in two ways --------------------------------------- */

#define H    "Host: h\r\n"
#define LINE "POST /v1/callbacks/x/success HTTP/1.1\r\n"
/* What a smuggler hopes that somebody takes for a second request. */
#define CLOSING "GET /healthz HTTP/1.1\r\n" H "Connection: close\r\n\r\n"
#define HIDDEN  "GET /healthz HTTP/1.1\r\n" H "\r\n"

static const struct {
    const char *what, *bytes;
    int status;       /* of the first answer */
    unsigned answers; /* at most; libmicrohttpd may send the head of its own refusals twice */
} odd[] = {
    { "both framings",
      LINE H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" HIDDEN, 400, 1 },
    { "two lengths", LINE H "Content-Length: 0\r\nContent-Length: 35\r\n\r\n" HIDDEN, 400, 1 },
    { "the same length twice", LINE H "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" HIDDEN, 400,
      1 },
    { "a list of lengths", LINE H "Content-Length: 0, 0\r\n\r\n" HIDDEN, 400, 1 },
    { "a signed length", LINE H "Content-Length: +0\r\n\r\n" HIDDEN, 400, 1 },
    { "a hexadecimal length", LINE H "Content-Length: 0x0\r\n\r\n" HIDDEN, 400, 1 },
    { "a length that overflows", LINE H "Content-Length: 18446744073709551616\r\n\r\n" HIDDEN, 413,
      2 },
    { "another encoding", LINE H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" HIDDEN, 400,
      1 },
    { "chunked twice",
      LINE H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" HIDDEN,
      400, 1 },
    { "a tab before chunked", LINE H "Transfer-Encoding:\tx-chunked\r\n\r\n0\r\n\r\n" HIDDEN, 400,
      1 },
    { "a chunk of no size", LINE H "Transfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n0\r\n\r\n" HIDDEN,
      400, 1 },
    { "a chunk of a negative size",
      LINE H "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n0\r\n\r\n" HIDDEN, 400, 1 },
    { "a chunk that overflows",
      LINE H "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n0\r\n\r\n" HIDDEN, 413,
      1 },
    { "no host", "GET /healthz HTTP/1.1\r\n\r\n", 400, 2 },
    { "no HTTP at all", "\x16\x03\x01\x02\x01\x01\xfc\x03\x03\r\n\r\n", 400, 1 },
    { "another's address", "GET http://elsewhere.example/healthz HTTP/1.1\r\n" H "\r\n", 404, 1 },
    { "a body where none belongs",
      "GET /healthz HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\nGET " HIDDEN, 200, 2 },
    { "many at once", HIDDEN HIDDEN HIDDEN HIDDEN, 200, 4 },
};

Test(receiver_hostile, requests_that_can_be_read_in_two_ways_end_their_connection)
{
    struct rig *r = rig_start(NULL);
    uint16_t port = port_of(r);
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        int fd = dial(port);
        bool goes_on = odd[i].status < 400 || odd[i].status == 404;
        put(fd, odd[i].bytes, strlen(odd[i].bytes));
        if (goes_on)
            put(fd, CLOSING, strlen(CLOSING));
        shutdown(fd, SHUT_WR);
        auto_free char *text = hear(fd);
        close(fd);
        auto_free char *first = mem_printf("HTTP/1.1 %d ", odd[i].status);
        bool as_it_should = strncmp(text, first, strlen(first)) == 0 ||
                            (!goes_on && !*text); /* cut off is fine as well */
        cr_expect(as_it_should, "%s: %.300s", odd[i].what, text);
        cr_expect(goes_on || !strstr(text, "HTTP/1.1 200"), "%s hid a request", odd[i].what);
        cr_expect_leq(answers(text), goes_on ? odd[i].answers + 1 : 2, "%s: %s", odd[i].what, text);
    }
    serves(r, 1);
    rig_stop(r);
}

Test(receiver_hostile, a_folded_header_carries_no_token)
{
    struct rig *r = rig_start(NULL);
    auto_free char *token = rig_token(RIG_ID, TOKEN_SCOPE_JOB, 3600);
    char id[TOKEN_PUBLIC_ID];
    token_public_id(RIG_ID, id);
    auto_free char *text = mem_printf("POST /v1/callbacks/%s/success HTTP/1.1\r\n" H
                                      "X: a\r\n Authorization: Bearer %s\r\n"
                                      "Content-Length: 1\r\nConnection: close\r\n\r\n1",
                                      id, token);
    int fd = dial(port_of(r));
    put(fd, text, strlen(text));
    auto_free char *answer = hear(fd);
    close(fd);
    cr_expect_null(strstr(answer, " 202 "), "%s", answer);
    serves(r, 1);
    rig_stop(r);
}

Test(receiver_hostile, headers_and_bodies_beyond_all_limits_are_cut_off)
{
    struct rig *r = rig_start(NULL);
    uint16_t port = port_of(r);
    auto_free char *filler = mem_alloc((4 << 20) + 1);
    memset(filler, 'a', 4 << 20);
    static const struct {
        const char *front, *back; /* of 4 MiB */
    } cases[] = {
        { "GET /healthz HTTP/1.1\r\n" H "X: ", "" },          /* one header */
        { "GET /", "" },                                      /* a path */
        { "", "" },                                           /* a method */
        { LINE H "Content-Length: 99999999999\r\n\r\n", "" }, /* a body */
        { LINE H "Transfer-Encoding: chunked\r\n\r\n400000\r\n", "\r\n0\r\n\r\n" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int fd = dial(port);
        put(fd, cases[i].front, strlen(cases[i].front));
        put(fd, filler, 4 << 20);
        put(fd, cases[i].back, strlen(cases[i].back));
        shutdown(fd, SHUT_WR);
        auto_free char *text = hear(fd);
        close(fd);
        cr_expect(!*text || strncmp(text, "HTTP/1.1 4", 10) == 0, "%zu: %.200s", i, text);
        serves(r, (unsigned)i);
    }
    rig_stop(r);
}

/* ---- crowds ---------------------------------------------------------------------------------- */

static unsigned crowd_size(void)
{
    const char *text = getenv("HOSTILE_CONNECTIONS");
    unsigned want = text ? (unsigned)strtoul(text, NULL, 10) : SOME;
    struct rlimit files;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    unsigned most = files.rlim_cur > 400 ? (unsigned)files.rlim_cur - 400 : 0;
    if (want > most)
        fprintf(stderr, "skipped: %u of %u connections: the limit on open files is %lu\n",
                want - most, want, (unsigned long)files.rlim_cur);
    return want < most ? want : most;
}

/* A third says nothing, a third stops in its headers, a third in its body; some of them then go on
 * byte by byte. All the while jobs are served. */
Test(receiver_hostile, a_crowd_that_says_little_keeps_nobody_from_being_served, .timeout = 600)
{
    unsigned crowd = crowd_size();
    struct rig *r = rig_start(NULL);
    uint16_t port = port_of(r);
    auto_free char *token = rig_token(RIG_ID, TOKEN_SCOPE_JOB, 3600);
    auto_free int *fds = mem_array(crowd, sizeof(*fds));
    char id[TOKEN_PUBLIC_ID];
    token_public_id(RIG_ID, id);
    auto_free char *whole =
        mem_printf("POST /v1/callbacks/%s/success HTTP/1.1\r\n" H "Authorization: Bearer %s\r\n"
                   "Content-Length: 200000\r\n\r\n[",
                   id, token);
    for (unsigned i = 0; i < crowd; i++) {
        fds[i] = dial(port);
        if (i % 3 > 0)
            put(fds[i], whole, i % 3 == 1 ? 40 : strlen(whole));
        if (i % (crowd / 20 + 1) == 0)
            serves(r, i);
    }
    for (unsigned step = 0; step < 20; step++) {
        for (unsigned i = step; i < crowd; i += 20)
            (void)send(fds[i], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        serves(r, crowd + step);
    }
    for (unsigned i = 0; i < crowd; i++)
        close(fds[i]);
    serves(r, 2 * crowd + 100);
    rig_stop(r);
}

/* Answers that nobody reads stay with their clients. */
Test(receiver_hostile, clients_that_never_read_are_not_waited_for)
{
    struct rig *r = rig_start(NULL);
    uint16_t port = port_of(r);
    int fds[20];
    auto_buf struct buf many = BUF_INIT(1 << 20);
    for (int i = 0; i < 5000; i++)
        buf_add_str(&many, HIDDEN);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = dial(port);
        (void)send(fds[i], many.data, many.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        serves(r, (unsigned)i);
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    rig_stop(r);
}

#include "container/wire.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* One who listens and serves one request. */
struct server {
    char folder[64], *path;
    int fd;
    pthread_t thread;
    struct wire_request got;
    struct wire_answer give;
    int rc;
};

static void *serve(void *arg)
{
    struct server *s = arg;
    struct error err = { 0 };
    int fd = accept(s->fd, NULL, NULL);
    s->rc = wire_read(fd, -1, 30000, &s->got, &err);
    if (s->rc == 0)
        s->rc = wire_answer(fd, &s->give, &err);
    close(fd);
    return NULL;
}

static void listen_at(struct server *s)
{
    struct error err = { 0 };
    snprintf(s->folder, sizeof(s->folder), "/tmp/test-wire-XXXXXX");
    cr_assert_not_null(mkdtemp(s->folder));
    s->path = mem_printf("%s/socket", s->folder);
    s->fd = wire_listen(s->path, &err);
    cr_assert_geq(s->fd, 0, "%s", err.msg);
    struct stat st;
    cr_assert_eq(stat(s->path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600, "for this user alone");
}

static void close_down(struct server *s)
{
    close(s->fd);
    unlink(s->path);
    rmdir(s->folder);
    free(s->path);
    buf_release(&s->got.body);
    buf_release(&s->give.body);
}

static void fill(struct buf *b, size_t len)
{
    buf_init(b, len + 1);
    for (size_t i = 0; i < len; i++)
        buf_add_char(b, (char)(i * 7));
}

Test(wire, carries_requests_and_answers_of_any_size)
{
    static const size_t sizes[] = { 0, 1, 300, 70000, WIRE_BODY_MAX };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct server s = { .give = { .status = 202, .retry_after_ms = 1500 } };
        struct wire_request request = { .call = WIRE_SUCCESS, .timeout_ms = 30000 };
        struct wire_answer answer = { 0 };
        struct error err = { 0 };
        listen_at(&s);
        memcpy(request.media_type, "text/plain", 11);
        fill(&request.body, sizes[i]);
        fill(&s.give.body, sizes[i]);
        cr_assert_eq(pthread_create(&s.thread, NULL, serve, &s), 0);
        cr_assert_eq(wire_ask(s.path, &request, &answer, &err), 0, "%zu: %s", sizes[i], err.msg);
        pthread_join(s.thread, NULL);
        cr_assert_eq(s.rc, 0);
        cr_assert_eq(s.got.call, WIRE_SUCCESS);
        cr_assert_eq(s.got.timeout_ms, 30000);
        cr_assert_str_eq(s.got.media_type, "text/plain");
        cr_assert_eq(s.got.body.len, sizes[i]);
        cr_assert_eq(memcmp(buf_str(&s.got.body), buf_str(&request.body), sizes[i]), 0);
        cr_assert_eq(answer.status, 202);
        cr_assert_eq(answer.retry_after_ms, 1500);
        cr_assert_eq(answer.body.len, sizes[i]);
        buf_release(&request.body);
        buf_release(&answer.body);
        close_down(&s);
    }
}

/* What wire_read says to these bytes, after which the one who asks says no more. */
static int read_of(const char *bytes, size_t len, struct error *err)
{
    int ends[2];
    struct wire_request got = { .call = WIRE_HEARTBEAT };
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    cr_assert_eq(write(ends[0], bytes, len), (ssize_t)len);
    shutdown(ends[0], SHUT_WR);
    int rc = wire_read(ends[1], -1, 30000, &got, err);
    buf_release(&got.body);
    close(ends[0]);
    close(ends[1]);
    return rc;
}

Test(wire, takes_no_request_that_makes_no_sense)
{
    char endless[400];
    memset(endless, 'x', sizeof(endless));
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        { "heartbeat 1000 - 0\n", 0 },
        { "input 1000 - 0\n", 0 },
        { "success 1000 text/plain 2\nok", 0 },
        { "", -1 },
        { "heartbeat 1000 - 0", -1 },
        { "heartbeat 1000 -\n", -1 },
        { "heartbeat 1000 - 0 0\n", -1 },
        { "heartbeat  1000 - 0\n", -1 },
        { "heartbeat 0 - 0\n", -1 },
        { "heartbeat 999999999 - 0\n", -1 },
        { "heartbeat 1000 - -1\n", -1 },
        { "heartbeat 1000 - 1126401\n", -1 },
        { "delete 1000 - 0\n", -1 },
        { "../success 1000 - 0\n", -1 },
        { "success 1000 text/plain 2\no", -1 },
        { "success 1000 text/plain 2\nokay", -1 },
        { "success 1000 text/plain\r 0\n", -1 },
        { "success 1000 text/pl\303\244in 0\n", -1 },
        { "success 1000 "
          "text/plain-text/plain-text/plain-text/plain-text/plain-text/plain-text/plain 0\n",
          -1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = { 0 };
        cr_assert_eq(read_of(cases[i].text, strlen(cases[i].text), &err), cases[i].rc,
                     "case %zu: %s", i, err.msg);
    }
    struct error err = { 0 };
    cr_assert_eq(read_of(endless, sizeof(endless), &err), -1);
    cr_assert_str_eq(err.msg, "a line that is too long");
}

Test(wire, is_given_up_when_asked_to)
{
    int ends[2], stop[2];
    struct wire_request got = { .call = WIRE_HEARTBEAT };
    struct error err = { 0 };
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    cr_assert_eq(pipe(stop), 0);
    cr_assert_eq(write(stop[1], "x", 1), 1);
    cr_assert_eq(wire_read(ends[1], stop[0], 30000, &got, &err), -1);
    cr_assert_eq(err.code, ERR_CANCELLED);
    cr_assert_eq(wire_read(ends[1], -1, 10, &got, &err), -1, "silence");
    cr_assert_eq(err.code, ERR_TIMEOUT);
    for (int i = 0; i < 2; i++) {
        close(ends[i]);
        close(stop[i]);
    }
    buf_release(&got.body);
}

Test(wire, says_where_nobody_listens)
{
    struct wire_request request = { .call = WIRE_HEARTBEAT, .timeout_ms = 1000 };
    struct wire_answer answer = { 0 };
    struct error err = { 0 };
    cr_assert_eq(wire_ask("/tmp/no/such/socket", &request, &answer, &err), -1);
    cr_assert(err.retryable);
    cr_assert(strstr(err.msg, "/tmp/no/such/socket"));
    auto_free char *longer = mem_alloc(300);
    memset(longer, 'x', 299);
    cr_assert_eq(wire_ask(longer, &request, &answer, &err), -1);
    cr_assert_eq(err.code, ERR_INVALID);
    cr_assert_eq(wire_listen(longer, &err), -1);
}

#include "local/aws/docker_api.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/base/buf.h"
#include "shared/base/clock.h"

#define SEND_MS     5000
#define HEADERS_MAX 16384

struct docker_call {
    struct loop *loop;
    int fd; /* -1 where the request could not be sent */
    struct buf answer;
    struct loop_timer *timer;
    struct error err;
    docker_done_fn *done;
    void *arg;
};

/* ---- bytes ------------------------------------------------------------------------------------*/

static int connect_to(const char *path, struct error *err)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(to.sun_path))
        return error_set(err, ERR_INVALID, 0, "%s: the socket's path is too long", path);
    memcpy(to.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0) {
        error_set_errno(err, errno, "Docker at %s", path);
        mem_close_fd(&fd);
        return -1;
    }
    return fd;
}

/* The engine reads at once; a bound keeps one that hangs from stopping the loop for longer. */
static int send_all(int fd, const char *p, size_t len, struct error *err)
{
    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n > 0) {
            p += n;
            len -= (size_t)n;
            continue;
        }
        struct pollfd room = { fd, POLLOUT, 0 };
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return error_set_errno(err, errno, "ask Docker");
        if (poll(&room, 1, SEND_MS) == 0)
            return error_set(err, ERR_TIMEOUT, 0, "Docker does not read what it is asked");
    }
    return 0;
}

static int send_request(const char *socket, const struct docker_request *r, struct error *err)
{
    size_t len = r->body ? strlen(r->body) : 0;
    auto_buf struct buf text = BUF_INIT(16U << 20);
    buf_printf(&text, "%s %s HTTP/1.0\r\nHost: docker\r\nContent-Length: %zu\r\n", r->method,
               r->path, len);
    if (len > 0)
        buf_add_str(&text, "Content-Type: application/json\r\n");
    buf_add_str(&text, "\r\n");
    if (len > 0)
        buf_add(&text, r->body, len);
    if (buf_overflowed(&text))
        return error_set(err, ERR_TOO_LARGE, 0, "too much to ask Docker at once");
    int fd = connect_to(socket, err);
    if (fd >= 0 && send_all(fd, text.data, text.len, err) < 0)
        mem_close_fd(&fd);
    return fd;
}

/* Takes what is there. 1: more may come. 0: that was all. -1: *err. */
static int receive(int fd, struct buf *answer, struct error *err)
{
    char bytes[16384];
    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 1;
        if (n < 0)
            return error_set_errno(err, errno, "read Docker's answer");
        if (buf_add(answer, bytes, (size_t)n) < 0)
            return error_set(err, ERR_TOO_LARGE, 0, "Docker's answer is too large");
    }
}

/* Content-Length of the headers from `p` to `end`, or -1. */
static int64_t announced(const char *p, const char *end)
{
    static const char name[] = "\r\nContent-Length:";
    for (; p < end; p++)
        if (strncasecmp(p, name, sizeof(name) - 1) == 0)
            return strtoll(p + sizeof(name) - 1, NULL, 10);
    return -1;
}

/* Finds the answer's parts in `text`, a whole one. */
static int parse(const struct buf *text, struct docker_answer *out, struct error *err)
{
    const char *p = buf_str(text), *end = strstr(p, "\r\n\r\n");
    if (text->len == 0)
        return error_set(err, ERR_NET, 0, "Docker closed the connection without an answer");
    /* Three digits are no overflow. NOLINTNEXTLINE(cert-err34-c) */
    if (sscanf(p, "HTTP/1.%*1[01] %3d ", &out->status) != 1 || out->status < 100 || !end)
        return error_set(err, ERR_PROTOCOL, 0, "Docker's answer is no HTTP");
    int64_t len = announced(p, end);
    out->body = end + 4;
    out->len = text->len - (size_t)(out->body - p);
    if (len >= 0 && out->len != (size_t)len)
        return error_set(err, ERR_NET, 0, "Docker's answer was cut off");
    return 0;
}

/* ---- calls on the loop ------------------------------------------------------------------------*/

static void release(struct docker_call *c)
{
    if (c->fd >= 0) {
        loop_unwatch(c->loop, c->fd);
        close(c->fd);
    }
    loop_cancel(c->loop, c->timer);
    buf_release(&c->answer);
    free(c);
}

static void finish(struct docker_call *c, const struct error *err)
{
    struct docker_answer answer = { 0 };
    struct error why = { 0 };
    if (err)
        c->done(c->arg, NULL, err);
    else if (parse(&c->answer, &answer, &why) < 0)
        c->done(c->arg, NULL, &why);
    else
        c->done(c->arg, &answer, NULL);
    release(c);
}

static void on_readable(void *arg)
{
    struct docker_call *c = arg;
    struct error err = { 0 };
    int rc = receive(c->fd, &c->answer, &err);
    if (rc <= 0)
        finish(c, rc < 0 ? &err : NULL);
}

static void on_timer(void *arg)
{
    struct docker_call *c = arg;
    c->timer = NULL;
    if (c->fd >= 0)
        error_set(&c->err, ERR_TIMEOUT, 0, "Docker gave no answer in time");
    finish(c, &c->err);
}

struct docker_call *docker_call(struct loop *loop, const char *socket,
                                const struct docker_request *request, docker_done_fn *done,
                                void *arg)
{
    struct docker_call *c = mem_alloc(sizeof(*c));
    c->loop = loop;
    c->done = done;
    c->arg = arg;
    buf_init(&c->answer, request->max_answer + HEADERS_MAX);
    c->fd = send_request(socket, request, &c->err);
    if (c->fd >= 0 && loop_watch(loop, c->fd, on_readable, c, &c->err) < 0)
        mem_close_fd(&c->fd);
    if (c->fd < 0)
        c->timer = loop_after(loop, 0, on_timer, c);
    else if (request->limit_ms > 0)
        c->timer = loop_after(loop, request->limit_ms, on_timer, c);
    return c;
}

void docker_cancel(struct docker_call *call)
{
    if (call)
        release(call);
}

/* ---- calls that are waited for ----------------------------------------------------------------*/

int docker_ask(const char *socket, const struct docker_request *request, char **body,
               struct error *err)
{
    const struct clock *clock = clock_system();
    int64_t until = clock_mono_ms(clock) + request->limit_ms;
    auto_buf struct buf text = BUF_INIT(request->max_answer + HEADERS_MAX);
    auto_close int fd = send_request(socket, request, err);
    int rc = fd < 0 ? -1 : 1;
    while (rc == 1) {
        struct pollfd more = { fd, POLLIN, 0 };
        int64_t left = until - clock_mono_ms(clock);
        if (left <= 0)
            return error_set(err, ERR_TIMEOUT, 0, "Docker gave no answer in time");
        if (poll(&more, 1, (int)left) > 0)
            rc = receive(fd, &text, err);
    }
    struct docker_answer answer = { 0 };
    if (rc < 0 || parse(&text, &answer, err) < 0)
        return -1;
    *body = mem_dup_len(answer.body, answer.len);
    return answer.status;
}

char *docker_message(const char *body)
{
    auto_json struct json_object *o = NULL;
    const char *message = NULL;
    if (json_parse_str(body, &o, NULL) == 0)
        message = json_get_str(o, "message");
    return mem_dup(message ? message : body);
}

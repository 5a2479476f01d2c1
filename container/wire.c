#include "container/wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/base/opts.h"

#define HEAD_MAX       256
#define FIELDS_MAX     4
#define ANSWER_MORE_MS 2000
#define TIMEOUT_MAX_MS 60000
#define BACKLOG        64

static const char *const calls[] = {
    [WIRE_HEARTBEAT] = "heartbeat",
    [WIRE_SUCCESS] = "success",
    [WIRE_FAILURE] = "failure",
    [WIRE_INPUT] = "input",
};

/* ---- bytes ----------------------------------------------------------------------------------- */

static int address_of(const char *path, struct sockaddr_un *at, struct error *err)
{
    *at = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(at->sun_path))
        return error_set(err, ERR_INVALID, 0, "too long for a socket: %.200s", path);
    memcpy(at->sun_path, path, strlen(path) + 1);
    return 0;
}

static int send_all(int fd, const char *p, size_t len, struct error *err)
{
    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "cannot write to the socket");
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

struct source {
    int fd;
    int give_up;        /* -1: none */
    int64_t silence_ms; /* how long to wait for the next bytes */
};

static ssize_t receive(const struct source *s, char *p, size_t size, struct error *err)
{
    for (;;) {
        struct pollfd fds[] = { { .fd = s->fd, .events = POLLIN },
                                { .fd = s->give_up, .events = POLLIN } };
        int ready = poll(fds, ARRAY_LEN(fds), (int)s->silence_ms);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready > 0 && fds[1].revents)
            return error_set(err, ERR_CANCELLED, 0, "given up");
        if (ready <= 0)
            return error_set(err, ERR_TIMEOUT, 0, "silence on the socket");
        ssize_t n = recv(s->fd, p, size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "cannot read from the socket");
        if (n == 0)
            return error_set(err, ERR_NET, 0, "the socket was closed too early");
        return n;
    }
}

/* The line, without its newline; `body` gets what came behind it. */
static int receive_head(const struct source *s, char head[HEAD_MAX], struct buf *body,
                        struct error *err)
{
    size_t len = 0;
    for (;;) {
        if (len == HEAD_MAX)
            return error_set(err, ERR_INVALID, 0, "a line that is too long");
        ssize_t n = receive(s, head + len, HEAD_MAX - len, err);
        if (n < 0)
            return -1;
        char *end = memchr(head + len, '\n', (size_t)n);
        len += (size_t)n;
        if (!end)
            continue;
        *end = '\0';
        buf_add(body, end + 1, (size_t)(head + len - (end + 1)));
        return 0;
    }
}

static int receive_body(const struct source *s, struct buf *body, int64_t len, struct error *err)
{
    char chunk[16384];
    while ((int64_t)body->len < len) {
        ssize_t n = receive(s, chunk, sizeof(chunk), err);
        if (n < 0)
            return -1;
        if (buf_add(body, chunk, (size_t)n) < 0)
            break;
    }
    if ((int64_t)body->len != len)
        return error_set(err, ERR_INVALID, 0, "not as long as it said");
    return 0;
}

/* Splits at single spaces; false where there are more or fewer than `count` fields. */
static bool split(char *head, char *fields[FIELDS_MAX], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fields[i] = strsep(&head, " ")))
            return false;
    return !head;
}

/* ---- both sides ------------------------------------------------------------------------------ */

int wire_listen(const char *path, struct error *err)
{
    struct sockaddr_un at;
    if (address_of(path, &at, err) < 0)
        return -1;
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || chmod(path, 0600) < 0 ||
        listen(fd, BACKLOG) < 0)
        return error_set_errno(err, errno, "cannot listen at %.200s", path);
    int mine = fd;
    fd = -1; /* so that it stays open. NOLINT(clang-analyzer-deadcode.DeadStores) */
    return mine;
}

static int request_send(int fd, const struct wire_request *r, struct error *err)
{
    auto_buf struct buf head = BUF_INIT(HEAD_MAX);
    buf_printf(&head, "%s %lld %s %zu\n", calls[r->call], (long long)r->timeout_ms,
               r->media_type[0] ? r->media_type : "-", r->body.len);
    if (send_all(fd, buf_str(&head), head.len, err) < 0)
        return -1;
    return send_all(fd, buf_str(&r->body), r->body.len, err);
}

static int answer_receive(int fd, int64_t silence_ms, struct wire_answer *out, struct error *err)
{
    const struct source s = { .fd = fd, .give_up = -1, .silence_ms = silence_ms };
    char head[HEAD_MAX], *fields[FIELDS_MAX];
    int64_t status, len;
    buf_init(&out->body, WIRE_BODY_MAX);
    if (receive_head(&s, head, &out->body, err) < 0)
        return -1;
    if (!split(head, fields, 3) || opts_int(fields[0], 0, 999, &status) < 0 ||
        opts_int(fields[1], -1, INT64_MAX, &out->retry_after_ms) < 0 ||
        opts_int(fields[2], 0, WIRE_BODY_MAX, &len) < 0)
        return error_set(err, ERR_PROTOCOL, 0, "an answer that makes no sense on the socket");
    out->status = (int)status;
    return receive_body(&s, &out->body, len, err);
}

int wire_ask(const char *path, const struct wire_request *request, struct wire_answer *answer,
             struct error *err)
{
    struct sockaddr_un at;
    if (address_of(path, &at, err) < 0)
        return -1;
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot make a socket");
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
        error_set_errno(err, errno, "callback-run cannot be reached at %.200s", path);
        err->code = ERR_NET;
        err->retryable = true;
        return -1;
    }
    if (request_send(fd, request, err) < 0)
        return -1;
    return answer_receive(fd, request->timeout_ms + ANSWER_MORE_MS, answer, err);
}

/* Fits into struct wire_request and into a header. */
static bool is_media_type(const char *s)
{
    size_t len = 0;
    while (s[len] > ' ' && s[len] <= '~')
        len++;
    return len < sizeof(((struct wire_request *)0)->media_type) && s[len] == '\0';
}

int wire_read(int fd, int give_up, int64_t silence_ms, struct wire_request *out, struct error *err)
{
    const struct source s = { .fd = fd, .give_up = give_up, .silence_ms = silence_ms };
    char head[HEAD_MAX], *fields[FIELDS_MAX];
    int64_t len;
    size_t call = 0;
    buf_init(&out->body, WIRE_BODY_MAX);
    if (receive_head(&s, head, &out->body, err) < 0)
        return -1;
    if (!split(head, fields, 4))
        return error_set(err, ERR_INVALID, 0, "not a request");
    while (call < ARRAY_LEN(calls) && strcmp(fields[0], calls[call]) != 0)
        call++;
    if (call == ARRAY_LEN(calls) || opts_int(fields[1], 1, TIMEOUT_MAX_MS, &out->timeout_ms) < 0 ||
        !is_media_type(fields[2]) || opts_int(fields[3], 0, WIRE_BODY_MAX, &len) < 0)
        return error_set(err, ERR_INVALID, 0, "not a request");
    out->call = (enum wire_call)call;
    if (strcmp(fields[2], "-") != 0)
        memcpy(out->media_type, fields[2], strlen(fields[2]) + 1);
    return receive_body(&s, &out->body, len, err);
}

int wire_answer(int fd, const struct wire_answer *answer, struct error *err)
{
    auto_buf struct buf head = BUF_INIT(HEAD_MAX);
    buf_printf(&head, "%d %lld %zu\n", answer->status, (long long)answer->retry_after_ms,
               answer->body.len);
    if (send_all(fd, buf_str(&head), head.len, err) < 0)
        return -1;
    return send_all(fd, buf_str(&answer->body), answer->body.len, err);
}

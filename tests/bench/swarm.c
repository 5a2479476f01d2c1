#include "tests/bench/swarm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/mem.h"

#define REST_MS     20    /* before a client tries again after a failure */
#define PATIENCE_MS 20000 /* for an answer */
#define ANSWER_MAX  (2U << 20)
#define EVENTS      256

struct client {
    int fd; /* -1: not connected */
    unsigned server;
    bool busy;
    int64_t not_before_ms;
    int64_t sent_ms;
    const char *out;
    size_t out_len, out_done;
    char *in;
    size_t in_len, in_cap;
};

struct swarm {
    struct swarm_hooks hooks;
    uint16_t ports[16];
    size_t port_count;
    int epoll;
    unsigned count;
    unsigned busy;
    int64_t swept_ms;
    struct client *clients;
    unsigned *idle; /* a stack of those that are not busy */
    unsigned idle_count;
};

struct swarm *swarm_new(const uint16_t *ports, size_t port_count, unsigned clients,
                        const struct swarm_hooks *hooks, struct error *err)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0 || port_count == 0 || port_count > ARRAY_LEN(((struct swarm *)0)->ports)) {
        error_set_errno(err, errno, "cannot start the clients");
        return NULL;
    }
    struct swarm *s = mem_alloc(sizeof(*s));
    s->hooks = *hooks;
    memcpy(s->ports, ports, port_count * sizeof(*ports));
    s->port_count = port_count;
    s->epoll = fd;
    s->count = clients;
    s->clients = mem_array(clients, sizeof(*s->clients));
    s->idle = mem_array(clients, sizeof(*s->idle));
    for (unsigned i = 0; i < clients; i++) {
        s->clients[i].fd = -1;
        s->clients[i].server = i % (unsigned)port_count;
        s->idle[s->idle_count++] = clients - 1 - i;
    }
    return s;
}

static void cut(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->in_len = 0;
}

void swarm_free(struct swarm *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->count; i++) {
        cut(&s->clients[i]);
        free(s->clients[i].in);
    }
    close(s->epoll);
    free(s->clients);
    free(s->idle);
    free(s);
}

unsigned swarm_busy(const struct swarm *s)
{
    return s->busy;
}

static void ended(struct swarm *s, unsigned i, int status, const char *body, size_t len)
{
    s->clients[i].busy = false;
    s->busy--;
    s->idle[s->idle_count++] = i;
    s->hooks.answer(s->hooks.arg, i, status, body, len);
}

/* No answer: the next try goes to the next server, after a rest. */
static void failed(struct swarm *s, unsigned i)
{
    struct client *c = &s->clients[i];
    cut(c);
    c->server = (c->server + 1) % (unsigned)s->port_count;
    c->not_before_ms = clock_mono_ms(clock_system()) + REST_MS;
    ended(s, i, 0, "", 0);
}

static void watch(struct swarm *s, unsigned i, int op, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data = { .u32 = i } };
    epoll_ctl(s->epoll, op, s->clients[i].fd, &ev);
}

static int dial(struct swarm *s, unsigned i)
{
    struct client *c = &s->clients[i];
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(s->ports[c->server]),
                              .sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(c->fd, (struct sockaddr *)&at, sizeof(at)) < 0 && errno != EINPROGRESS)
        return -1;
    watch(s, i, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
    return 0;
}

/* -1: the connection is of no use any more. */
static int push(struct swarm *s, unsigned i)
{
    struct client *c = &s->clients[i];
    while (c->out_done < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_done, c->out_len - c->out_done, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) {
            watch(s, i, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return 0;
        }
        if (n < 0)
            return -1;
        c->out_done += (size_t)n;
    }
    return 0;
}

static void begin(struct swarm *s, unsigned i, const char *bytes, size_t len, int64_t now)
{
    struct client *c = &s->clients[i];
    c->busy = true;
    s->busy++;
    c->out = bytes;
    c->out_len = len;
    c->out_done = 0;
    c->in_len = 0;
    c->sent_ms = now;
    bool fresh = c->fd < 0;
    if ((fresh ? dial(s, i) : push(s, i)) < 0)
        failed(s, i);
}

/* The value of Content-Length in the head, or 0. */
static size_t content_length(const char *head)
{
    const char *p = strcasestr(head, "\r\nContent-Length:");
    return p ? strtoul(p + 17, NULL, 10) : 0;
}

/* 1: an answer is whole and was told, 0: more is to come, -1: it makes no sense. */
static int parse(struct swarm *s, unsigned i)
{
    struct client *c = &s->clients[i];
    c->in[c->in_len] = '\0';
    char *end = strstr(c->in, "\r\n\r\n");
    if (!end)
        return c->in_len < 65536 ? 0 : -1;
    if (strncmp(c->in, "HTTP/1.1 ", 9) != 0)
        return -1;
    *end = '\0';
    size_t len = content_length(c->in), head = (size_t)(end - c->in) + 4;
    bool closes = strcasestr(c->in, "\r\nConnection: close") != NULL;
    int status = (int)strtol(c->in + 9, NULL, 10);
    *end = '\r';
    if (len > ANSWER_MAX)
        return -1;
    if (c->in_len < head + len)
        return 0;
    char *body = c->in + head;
    body[len] = '\0';
    if (closes)
        cut(c);
    ended(s, i, status, body, len);
    return 1;
}

static int pull(struct swarm *s, unsigned i)
{
    struct client *c = &s->clients[i];
    for (;;) {
        if (c->in_cap - c->in_len < 4096) {
            c->in_cap = c->in_cap ? c->in_cap * 2 : 8192;
            c->in = mem_resize(c->in, c->in_cap + 1, 1);
        }
        ssize_t n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len, 0);
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n <= 0)
            return -1;
        c->in_len += (size_t)n;
        int rc = c->busy ? parse(s, i) : -1;
        if (rc != 0)
            return rc;
        if (c->in_len > ANSWER_MAX + 65536)
            return -1;
    }
}

static void handle(struct swarm *s, unsigned i, uint32_t events)
{
    struct client *c = &s->clients[i];
    if (c->fd < 0)
        return;
    int rc = 0;
    if (events & EPOLLOUT) {
        watch(s, i, EPOLL_CTL_MOD, EPOLLIN);
        rc = c->busy ? push(s, i) : 0;
    }
    if (rc == 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        rc = pull(s, i);
    if (rc >= 0)
        return;
    if (c->busy)
        failed(s, i);
    else
        cut(c);
}

/* Gives idle clients what they are to send. */
static void feed(struct swarm *s, int64_t now)
{
    unsigned kept = 0, count = s->idle_count;
    unsigned *idle = mem_array(count, sizeof(*idle));
    memcpy(idle, s->idle, count * sizeof(*idle));
    s->idle_count = 0;
    for (unsigned k = 0; k < count; k++) {
        const char *bytes;
        size_t len;
        unsigned i = idle[k];
        if (s->clients[i].not_before_ms <= now && s->hooks.next(s->hooks.arg, i, &bytes, &len))
            begin(s, i, bytes, len, now);
        else
            idle[kept++] = i;
    }
    memcpy(s->idle + s->idle_count, idle, kept * sizeof(*idle));
    s->idle_count += kept;
    free(idle);
}

void swarm_step(struct swarm *s, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int64_t now = clock_mono_ms(clock_system());
    if (s->idle_count > 0)
        feed(s, now);
    int n = epoll_wait(s->epoll, events, EVENTS, timeout_ms);
    for (int k = 0; k < n; k++)
        handle(s, events[k].data.u32, events[k].events);
    if (now - s->swept_ms < 500)
        return;
    s->swept_ms = now;
    for (unsigned i = 0; i < s->count; i++)
        if (s->clients[i].busy && now - s->clients[i].sent_ms > PATIENCE_MS)
            failed(s, i);
}

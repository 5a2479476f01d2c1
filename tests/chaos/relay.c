#include "tests/chaos/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "tests/chaos/dice.h"

#define LINKS_MAX   1024
#define TARGETS_MAX 4
#define PAUSE_MS    50
#define CHUNK       16384
#define LATE_MS     400
#define SEND_MS     2000

#define CUT_REQUEST 2 /* percent of connections: each way to suffer */
#define CUT_ANSWER  3
#define LATE        8

enum fate {
    FATE_NONE,
    FATE_CUT_REQUEST, /* the first bytes of a request go on, the rest does not */
    FATE_CUT_ANSWER,  /* the request goes on whole, its answer does not come back */
    FATE_LATE         /* each piece comes late */
};

struct link {
    int client, server; /* -1: closed */
    enum fate fate;
    int64_t later_ms; /* nothing is passed on before */
};

struct relay {
    int listener;
    int targets[TARGETS_MAX];
    size_t target_count;
    struct dice dice;
    pthread_t thread;
    atomic_bool stop, calm;
    atomic_uint swallowed;
    pthread_mutex_t lock; /* guards `swallow` */
    char *swallow;
    struct link links[LINKS_MAX];
};

static struct sockaddr_in address(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void close_link(struct link *l)
{
    mem_close_fd(&l->client);
    mem_close_fd(&l->server);
}

/* One of the targets that answer, -1 where none does. */
static int connect_target(struct relay *r)
{
    size_t first = dice_below(&r->dice, (unsigned)r->target_count);
    for (size_t i = 0; i < r->target_count; i++) {
        struct sockaddr_in to = address(r->targets[(first + i) % r->target_count]);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
        if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            return fd;
        }
        mem_close_fd(&fd);
    }
    return -1;
}

static enum fate draw(struct relay *r)
{
    unsigned at = dice_below(&r->dice, 100);
    if (atomic_load(&r->calm))
        return FATE_NONE;
    if (at < CUT_REQUEST)
        return FATE_CUT_REQUEST;
    if (at < CUT_REQUEST + CUT_ANSWER)
        return FATE_CUT_ANSWER;
    return at < CUT_REQUEST + CUT_ANSWER + LATE ? FATE_LATE : FATE_NONE;
}

static void take_connection(struct relay *r)
{
    int client = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC), on = 1;
    struct link *l = NULL;
    for (size_t i = 0; i < LINKS_MAX && !l; i++)
        if (r->links[i].client < 0)
            l = &r->links[i];
    if (client < 0)
        return;
    int server = l ? connect_target(r) : -1;
    if (server < 0) {
        close(client);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *l = (struct link){ .client = client, .server = server, .fate = draw(r) };
}

static bool send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        struct pollfd room = { fd, POLLOUT, 0 };
        if (sent < 0 && errno == EAGAIN && poll(&room, 1, SEND_MS) == 0)
            return false;
        if (sent < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (sent > 0) {
            bytes += sent;
            n -= (size_t)sent;
        }
    }
    return true;
}

/* Answers in the receiver's place where the request is the one to swallow. */
static bool swallows(struct relay *r, const struct link *l, const char *bytes, size_t n)
{
    static const char accepted[] = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"
                                   "Content-Length: 20\r\nConnection: close\r\n\r\n"
                                   "{\"state\":\"accepted\"}";
    pthread_mutex_lock(&r->lock);
    bool wanted = r->swallow && memmem(bytes, n, r->swallow, strlen(r->swallow)) &&
                  memmem(bytes, n, "/success ", 9);
    pthread_mutex_unlock(&r->lock);
    if (!wanted)
        return false;
    atomic_fetch_add(&r->swallowed, 1);
    (void)send_all(l->client, accepted, sizeof(accepted) - 1);
    return true;
}

static void pass(struct relay *r, struct link *l, bool from_server)
{
    char bytes[CHUNK];
    ssize_t n = recv(from_server ? l->server : l->client, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || (from_server && l->fate == FATE_CUT_ANSWER) ||
        (!from_server && swallows(r, l, bytes, (size_t)n))) {
        close_link(l);
        return;
    }
    bool cut = !from_server && l->fate == FATE_CUT_REQUEST;
    if (!send_all(from_server ? l->client : l->server, bytes, cut ? (size_t)n / 2 : (size_t)n) ||
        cut)
        close_link(l);
    if (l->fate == FATE_LATE)
        l->later_ms = clock_mono_ms(clock_system()) + dice_below(&r->dice, LATE_MS);
}

static void serve_once(struct relay *r)
{
    static _Thread_local struct pollfd fds[1 + 2 * LINKS_MAX];
    int64_t now = clock_mono_ms(clock_system());
    fds[0] = (struct pollfd){ r->listener, POLLIN, 0 };
    for (size_t i = 0; i < LINKS_MAX; i++) {
        bool late = r->links[i].later_ms > now;
        fds[1 + 2 * i] = (struct pollfd){ late ? -1 : r->links[i].client, POLLIN, 0 };
        fds[2 + 2 * i] = (struct pollfd){ late ? -1 : r->links[i].server, POLLIN, 0 };
    }
    if (poll(fds, ARRAY_LEN(fds), PAUSE_MS) <= 0)
        return;
    for (size_t i = 0; i < LINKS_MAX; i++) {
        if (fds[1 + 2 * i].revents)
            pass(r, &r->links[i], false);
        if (fds[2 + 2 * i].revents && r->links[i].server >= 0)
            pass(r, &r->links[i], true);
    }
    if (fds[0].revents)
        take_connection(r);
}

static void *serve(void *arg)
{
    struct relay *r = arg;
    while (!atomic_load(&r->stop))
        serve_once(r);
    return NULL;
}

struct relay *relay_start(int port, const int *targets, size_t target_count, uint64_t seed,
                          struct error *err)
{
    struct relay *r = mem_alloc(sizeof(*r));
    struct sockaddr_in at = address(port);
    int on = 1;
    r->dice.state = seed;
    r->target_count = target_count < TARGETS_MAX ? target_count : TARGETS_MAX;
    memcpy(r->targets, targets, r->target_count * sizeof(*targets));
    for (size_t i = 0; i < LINKS_MAX; i++)
        r->links[i].client = r->links[i].server = -1;
    pthread_mutex_init(&r->lock, NULL);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(r->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (r->listener < 0 || bind(r->listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        listen(r->listener, 512) < 0) {
        error_set_errno(err, errno, "the relay cannot listen on port %d", port);
    } else if (pthread_create(&r->thread, NULL, serve, r) != 0) {
        error_set(err, ERR_INTERNAL, 0, "no thread for the relay");
    } else {
        return r;
    }
    mem_close_fd(&r->listener);
    pthread_mutex_destroy(&r->lock);
    free(r);
    return NULL;
}

void relay_calm(struct relay *r)
{
    atomic_store(&r->calm, true);
}

void relay_swallow(struct relay *r, const char *url_part)
{
    pthread_mutex_lock(&r->lock);
    free(r->swallow);
    r->swallow = mem_dup(url_part);
    pthread_mutex_unlock(&r->lock);
}

unsigned relay_swallowed(struct relay *r)
{
    return atomic_load(&r->swallowed);
}

void relay_stop(struct relay *r)
{
    if (!r)
        return;
    atomic_store(&r->stop, true);
    pthread_join(r->thread, NULL);
    for (size_t i = 0; i < LINKS_MAX; i++)
        close_link(&r->links[i]);
    mem_close_fd(&r->listener);
    pthread_mutex_destroy(&r->lock);
    free(r->swallow);
    free(r);
}

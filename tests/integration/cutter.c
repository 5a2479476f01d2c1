#include "tests/integration/cutter.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/mem.h"

#define PAIRS_MAX 64
#define PAUSE_MS  20

struct pair {
    int client, server; /* -1: closed */
    bool answering;     /* the server has spoken last */
    bool mute;          /* nothing is passed on any more */
};

struct cutter {
    int listener, target_port;
    pthread_t thread;
    atomic_bool stop;
    atomic_int skip;              /* -1: cut nothing */
    _Atomic(const char *) muting; /* NULL: nothing falls silent */
    atomic_int mute_skip;
    struct pair pairs[PAIRS_MAX];
};

static struct sockaddr_in address(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void close_pair(struct pair *p)
{
    mem_close_fd(&p->client);
    mem_close_fd(&p->server);
}

static void take_connection(struct cutter *c)
{
    int client = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
    struct pair *free_pair = NULL;
    for (size_t i = 0; i < PAIRS_MAX && !free_pair; i++)
        if (c->pairs[i].client < 0)
            free_pair = &c->pairs[i];
    if (client < 0)
        return;
    struct sockaddr_in to = address(c->target_port);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (!free_pair || server < 0 || connect(server, (struct sockaddr *)&to, sizeof(to)) < 0) {
        close(client);
        mem_close_fd(&server);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *free_pair = (struct pair){ .client = client, .server = server };
}

static bool send_all(int fd, const char *bytes, ssize_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, (size_t)n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return false;
        if (sent > 0) {
            bytes += sent;
            n -= sent;
        }
    }
    return true;
}

/* True where the answer that begins now is the one to lose. */
static bool cuts(struct cutter *c)
{
    int skip = atomic_load(&c->skip);
    if (skip >= 0)
        atomic_store(&c->skip, skip - 1);
    return skip == 0;
}

/* True where the request that begins so is the one to get no answer. */
static bool silences(struct cutter *c, const char *bytes, ssize_t n)
{
    const char *word = atomic_load(&c->muting);
    if (!word || n <= 0 || !memmem(bytes, (size_t)n, word, strlen(word)))
        return false;
    int skip = atomic_load(&c->mute_skip);
    atomic_store(&c->mute_skip, skip - 1);
    if (skip == 0)
        atomic_store(&c->muting, NULL);
    return skip == 0;
}

static void pass(struct cutter *c, struct pair *p, bool from_server)
{
    char bytes[16384];
    ssize_t n = recv(from_server ? p->server : p->client, bytes, sizeof(bytes), 0);
    bool begins = from_server && !p->answering;
    if (p->mute && (n > 0 || from_server)) {
        if (n <= 0)
            mem_close_fd(&p->server);
        return;
    }
    if (!from_server && silences(c, bytes, n))
        p->mute = true; /* the request itself goes through */
    if (n > 0)
        p->answering = from_server;
    if (n <= 0 || (begins && cuts(c)) || !send_all(from_server ? p->client : p->server, bytes, n))
        close_pair(p);
}

static void *serve(void *arg)
{
    struct cutter *c = arg;
    while (!atomic_load(&c->stop)) {
        struct pollfd fds[1 + 2 * PAIRS_MAX] = { { c->listener, POLLIN, 0 } };
        for (size_t i = 0; i < PAIRS_MAX; i++) {
            fds[1 + 2 * i] = (struct pollfd){ c->pairs[i].client, POLLIN, 0 };
            fds[2 + 2 * i] = (struct pollfd){ c->pairs[i].server, POLLIN, 0 };
        }
        if (poll(fds, ARRAY_LEN(fds), PAUSE_MS) <= 0)
            continue;
        for (size_t i = 0; i < PAIRS_MAX; i++) {
            if (fds[1 + 2 * i].revents)
                pass(c, &c->pairs[i], false);
            if (fds[2 + 2 * i].revents && c->pairs[i].server >= 0)
                pass(c, &c->pairs[i], true);
        }
        if (fds[0].revents)
            take_connection(c);
    }
    return NULL;
}

struct cutter *cutter_start(int port, int target_port)
{
    struct cutter *c = mem_alloc(sizeof(*c));
    struct sockaddr_in at = address(port);
    int on = 1;
    c->target_port = target_port;
    atomic_store(&c->skip, -1);
    for (size_t i = 0; i < PAIRS_MAX; i++)
        c->pairs[i].client = c->pairs[i].server = -1;
    c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(c->listener, 0);
    setsockopt(c->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    cr_assert_eq(bind(c->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(listen(c->listener, PAIRS_MAX), 0);
    cr_assert_eq(pthread_create(&c->thread, NULL, serve, c), 0);
    return c;
}

void cutter_stop(struct cutter *c)
{
    atomic_store(&c->stop, true);
    pthread_join(c->thread, NULL);
    for (size_t i = 0; i < PAIRS_MAX; i++)
        close_pair(&c->pairs[i]);
    close(c->listener);
    free(c);
}

void cutter_order(struct cutter *c, int skip)
{
    atomic_store(&c->skip, skip);
}

void cutter_mute(struct cutter *c, const char *word, int skip)
{
    atomic_store(&c->mute_skip, skip);
    atomic_store(&c->muting, word);
}

bool cutter_muted(struct cutter *c)
{
    return atomic_load(&c->muting) == NULL;
}

bool cutter_done(struct cutter *c)
{
    return atomic_load(&c->skip) < 0;
}

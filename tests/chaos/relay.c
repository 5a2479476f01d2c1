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
#include "tests/chaos/relay_link.h"

#define LINKS_MAX   1024
#define TARGETS_MAX 4
#define PAUSE_MS    50
#define LATE_MS     400

#define CUT_REQUEST 2 /* percent of a fickle road's connections: each way to suffer */
#define CUT_ANSWER  3
#define LATE        8
#define RESET       50 /* percent of the pieces of answers in such weather */

struct relay {
    int listener;
    int targets[TARGETS_MAX];
    size_t target_count;
    bool fickle;
    pthread_t thread;
    atomic_bool stop, calm;
    atomic_uint broken;
    pthread_mutex_t lock;
    /* Under lock. */
    char *swallow;
    struct relay_weather weather;
    int64_t until_ms;
    /* The thread's alone. */
    struct dice dice;
    struct link links[LINKS_MAX]; /* the first `count` are open */
    size_t count;
    struct relay_weather now; /* the weather of this round */
    struct pollfd fds[1 + 2 * LINKS_MAX];
};

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

static struct sockaddr_in address(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

/* ---- connections ------------------------------------------------------------------------------*/

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

static enum link_fate draw(struct relay *r)
{
    unsigned at = dice_below(&r->dice, 100);
    if (!r->fickle || atomic_load(&r->calm))
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
    if (client < 0)
        return;
    int server = r->count < LINKS_MAX ? connect_target(r) : -1;
    if (server < 0) {
        close(client);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    r->links[r->count++] = link_of(client, server, draw(r));
}

/* ---- pieces -----------------------------------------------------------------------------------*/

/* Answers in the receiver's place where the request is the one to swallow. */
static bool swallows(struct relay *r, const struct link *l)
{
    static const char accepted[] = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"
                                   "Content-Length: 20\r\nConnection: close\r\n\r\n"
                                   "{\"state\":\"accepted\"}";
    const struct link_piece *p = &l->pieces[LINK_CLIENT];
    pthread_mutex_lock(&r->lock);
    bool wanted = r->swallow && memmem(p->bytes, p->n, r->swallow, strlen(r->swallow)) &&
                  memmem(p->bytes, p->n, "/success ", 9);
    pthread_mutex_unlock(&r->lock);
    if (!wanted)
        return false;
    (void)!send(l->fds[LINK_CLIENT], accepted, sizeof(accepted) - 1, MSG_NOSIGNAL);
    return true;
}

static int64_t delay_of(struct relay *r, const struct link *l, size_t n)
{
    int64_t delay = l->fate == FATE_LATE ? dice_below(&r->dice, LATE_MS) : 0;
    if (r->now.kind == RELAY_SLOW)
        delay += r->now.delay_ms + dice_below(&r->dice, r->now.jitter_ms + 1);
    if (r->now.kind == RELAY_NARROW)
        delay += (int64_t)n * 1000 / r->now.bytes_per_s;
    return delay;
}

/* Half of the piece still goes on. */
static bool breaks_off(struct relay *r, const struct link *l, enum link_end from)
{
    return (from == LINK_CLIENT && l->fate == FATE_CUT_REQUEST) ||
           (from == LINK_SERVER && r->now.kind == RELAY_RESET && dice_hit(&r->dice, RESET));
}

static void pass(struct relay *r, struct link *l, enum link_end from)
{
    struct link_piece *p = &l->pieces[from];
    if (!link_take(l, from))
        return;
    if ((from == LINK_SERVER && l->fate == FATE_CUT_ANSWER) ||
        (from == LINK_CLIENT && swallows(r, l))) {
        link_close(l);
        atomic_fetch_add(&r->broken, 1);
    } else if (breaks_off(r, l, from)) {
        p->n /= 2;
        link_give(l, from);
        link_reset(l);
        atomic_fetch_add(&r->broken, 1);
    } else {
        int64_t delay = delay_of(r, l, p->n);
        p->due_ms = now_ms() + delay;
        if (delay == 0)
            link_give(l, from);
    }
}

/* ---- a round ----------------------------------------------------------------------------------*/

static void look_at_weather(struct relay *r, int64_t now)
{
    pthread_mutex_lock(&r->lock);
    r->now = now < r->until_ms ? r->weather : (struct relay_weather){ .kind = RELAY_CLEAR };
    pthread_mutex_unlock(&r->lock);
}

static void forget_closed(struct relay *r)
{
    for (size_t i = 0; i < r->count;)
        if (link_open(&r->links[i]))
            i++;
        else
            r->links[i] = r->links[--r->count];
}

/* How long to wait for something; fds[0] is the listener, two for each link follow. */
static int expect(struct relay *r, int64_t now)
{
    bool still = r->now.kind == RELAY_STILL;
    int64_t wait = PAUSE_MS;
    r->fds[0] = (struct pollfd){ still ? -1 : r->listener, POLLIN, 0 };
    for (size_t i = 0; i < r->count; i++) {
        const struct link *l = &r->links[i];
        for (int end = LINK_CLIENT; end <= LINK_SERVER; end++) {
            const struct link_piece *p = &l->pieces[end];
            short events = link_events(l, (enum link_end)end, now, still);
            r->fds[1 + 2 * i + (size_t)end] =
                (struct pollfd){ events ? l->fds[end] : -1, events, 0 };
            if (!still && p->n > 0 && p->due_ms > now && p->due_ms - now < wait)
                wait = p->due_ms - now;
        }
    }
    return (int)wait;
}

static void serve_once(struct relay *r)
{
    look_at_weather(r, now_ms());
    for (size_t i = 0; r->now.kind == RELAY_LOST && i < r->count; i++)
        if (link_lose(&r->links[i]))
            atomic_fetch_add(&r->broken, 1);
    forget_closed(r);
    size_t count = r->count;
    int wait = expect(r, now_ms());
    if (poll(r->fds, (nfds_t)(1 + 2 * count), wait) <= 0)
        return;
    for (size_t i = 0; i < count; i++)
        for (int end = LINK_CLIENT; end <= LINK_SERVER; end++) {
            short events = r->fds[1 + 2 * i + (size_t)end].revents;
            if (events & POLLOUT)
                link_give(&r->links[i], (enum link_end) !end);
            if (events & (POLLIN | POLLHUP | POLLERR))
                pass(r, &r->links[i], (enum link_end)end);
        }
    if (r->fds[0].revents)
        take_connection(r);
}

static void *serve(void *arg)
{
    struct relay *r = arg;
    while (!atomic_load(&r->stop))
        serve_once(r);
    return NULL;
}

/* ---- life -------------------------------------------------------------------------------------*/

struct relay *relay_start(const struct relay_options *o, struct error *err)
{
    struct relay *r = mem_alloc(sizeof(*r));
    struct sockaddr_in at = address(o->port);
    int on = 1;
    r->dice.state = o->seed;
    r->fickle = o->fickle;
    r->target_count = o->target_count < TARGETS_MAX ? o->target_count : TARGETS_MAX;
    memcpy(r->targets, o->targets, r->target_count * sizeof(*o->targets));
    pthread_mutex_init(&r->lock, NULL);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(r->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (r->listener < 0 || bind(r->listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        listen(r->listener, 512) < 0) {
        error_set_errno(err, errno, "the relay cannot listen on port %d", o->port);
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

void relay_weather(struct relay *r, const struct relay_weather *w)
{
    pthread_mutex_lock(&r->lock);
    r->weather = *w;
    r->until_ms = now_ms() + w->for_ms;
    pthread_mutex_unlock(&r->lock);
}

void relay_calm(struct relay *r)
{
    const struct relay_weather clear = { .kind = RELAY_CLEAR };
    atomic_store(&r->calm, true);
    relay_weather(r, &clear);
}

void relay_swallow(struct relay *r, const char *url_part)
{
    pthread_mutex_lock(&r->lock);
    free(r->swallow);
    r->swallow = mem_dup(url_part);
    pthread_mutex_unlock(&r->lock);
}

unsigned relay_broken(struct relay *r)
{
    return atomic_load(&r->broken);
}

void relay_stop(struct relay *r)
{
    if (!r)
        return;
    atomic_store(&r->stop, true);
    pthread_join(r->thread, NULL);
    for (size_t i = 0; i < r->count; i++)
        link_close(&r->links[i]);
    mem_close_fd(&r->listener);
    pthread_mutex_destroy(&r->lock);
    free(r->swallow);
    free(r);
}

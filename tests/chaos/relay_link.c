#include "tests/chaos/relay_link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "shared/base/mem.h"

struct link link_of(int client, int server, enum link_fate fate)
{
    return (struct link){ .fds = { client, server }, .fate = fate };
}

void link_close(struct link *l)
{
    for (int end = LINK_CLIENT; end <= LINK_SERVER; end++) {
        mem_close_fd(&l->fds[end]);
        free(l->pieces[end].bytes);
        l->pieces[end] = (struct link_piece){ 0 };
    }
}

static void abort_at_close(int fd)
{
    const struct linger at_once = { .l_onoff = 1 };
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

void link_reset(struct link *l)
{
    abort_at_close(l->fds[LINK_CLIENT]);
    abort_at_close(l->fds[LINK_SERVER]);
    link_close(l);
}

bool link_lose(struct link *l)
{
    if (l->fds[LINK_SERVER] < 0)
        return false;
    abort_at_close(l->fds[LINK_SERVER]);
    mem_close_fd(&l->fds[LINK_SERVER]);
    l->pieces[LINK_CLIENT].n = l->pieces[LINK_SERVER].n = 0;
    return true;
}

bool link_open(const struct link *l)
{
    return l->fds[LINK_CLIENT] >= 0;
}

short link_events(const struct link *l, enum link_end end, int64_t now_ms, bool still)
{
    const struct link_piece *in = &l->pieces[end], *out = &l->pieces[!end];
    bool lost = l->fds[LINK_SERVER] < 0;
    short events = 0;
    if (still && !lost)
        return 0;
    if (in->n == 0)
        events |= POLLIN;
    if (out->n > 0 && out->due_ms <= now_ms)
        events |= POLLOUT;
    return events;
}

bool link_take(struct link *l, enum link_end from)
{
    struct link_piece *p = &l->pieces[from];
    if (l->fds[from] < 0 || p->n > 0)
        return false;
    if (!p->bytes)
        p->bytes = mem_alloc(LINK_PIECE);
    ssize_t n = recv(l->fds[from], p->bytes, LINK_PIECE, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        link_close(l);
        return false;
    }
    if (l->fds[!from] < 0)
        return false;
    p->n = (size_t)n;
    p->sent = 0;
    return true;
}

void link_give(struct link *l, enum link_end from)
{
    struct link_piece *p = &l->pieces[from];
    if (p->n == 0 || l->fds[!from] < 0)
        return;
    ssize_t n =
        send(l->fds[!from], p->bytes + p->sent, p->n - p->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        link_close(l);
        return;
    }
    if (n > 0)
        p->sent += (size_t)n;
    if (p->sent == p->n)
        p->n = p->sent = 0;
}

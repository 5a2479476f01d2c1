#include "shared/aws/http_pool.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/aws/http_transfer.h"
#include "shared/aws/http_trust.h"

#define EVENTS  64
#define NO_TIME INT64_MAX

struct call {
    struct http_transfer transfer; /* first: libcurl's handle knows its address */
    struct http_response resp;
    http_pool_done_fn *done;
    void *arg;
    struct call *next; /* the next that is free, or that runs */
    struct call *prev;
};

/* What epoll watches a descriptor for, and what libcurl wants. */
struct watched {
    uint32_t watched;
    uint32_t wanted;
    bool ours; /* opened and closed by the functions below */
};

struct http_pool {
    CURLM *multi;
    const char *hashed; /* where certificates are looked for first; NULL: not there */
    int epoll;
    int wake;
    int64_t due_us;      /* libcurl's timer, of the monotonic clock; NO_TIME: none */
    struct watched *fds; /* by descriptor */
    size_t fd_count;
    struct call *free;
    struct call *running;
    size_t count; /* that run */
};

/* ---- sockets --------------------------------------------------------------------------------- */

static struct watched *watched_at(struct http_pool *p, int fd)
{
    size_t need = (size_t)fd + 1;
    if (need > p->fd_count) {
        size_t count = p->fd_count ? p->fd_count : 64;
        while (count < need)
            count *= 2;
        p->fds = mem_resize(p->fds, count, sizeof(*p->fds));
        for (size_t i = p->fd_count; i < count; i++)
            p->fds[i] = (struct watched){ 0 };
        p->fd_count = count;
    }
    return &p->fds[fd];
}

static void watch(struct http_pool *p, int fd, uint32_t events)
{
    struct watched *w = watched_at(p, fd);
    struct epoll_event e = { .events = events, .data.fd = fd };
    int op = !events ? EPOLL_CTL_DEL : w->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (events == w->watched)
        return;
    w->watched = events;
    if (epoll_ctl(p->epoll, op, fd, &e) == 0 || op == EPOLL_CTL_DEL)
        return;
    /* A descriptor that went or came back unseen. */
    if (errno == ENOENT || errno == EEXIST)
        (void)!epoll_ctl(p->epoll, errno == ENOENT ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &e);
}

/* libcurl says what it waits for. A kept connection is not waited for, but soon will be again: it
 * stays watched until it stirs (idle_stirs) or is closed, which saves two calls for each request.
 */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)easy, (void)socket_arg;
    struct http_pool *p = arg;
    struct watched *w = watched_at(p, fd);
    w->wanted = what == CURL_POLL_IN      ? EPOLLIN
                : what == CURL_POLL_OUT   ? EPOLLOUT
                : what == CURL_POLL_INOUT ? EPOLLIN | EPOLLOUT
                                          : 0;
    if (w->wanted || !w->ours)
        watch(p, fd, w->wanted);
    return 0;
}

/* A program that is started meanwhile must not inherit the connection. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *at)
{
    (void)purpose;
    int fd = socket(at->family, at->socktype | SOCK_CLOEXEC, at->protocol);
    if (fd >= 0)
        *watched_at(arg, fd) = (struct watched){ .ours = true };
    return fd;
}

static int on_close(void *arg, curl_socket_t fd)
{
    *watched_at(arg, fd) = (struct watched){ 0 }; /* epoll forgets it by itself */
    return close(fd);
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct http_pool *p = arg;
    p->due_us = timeout_ms < 0 ? NO_TIME : clock_mono_us() + timeout_ms * INT64_C(1000);
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

struct http_pool *http_pool_new(unsigned keep, struct error *err)
{
    struct http_pool *p = mem_alloc(sizeof(*p));
    struct epoll_event wake = { .events = EPOLLIN };
    p->hashed = http_trust_hashed(environ);
    p->due_us = NO_TIME;
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    wake.data.fd = p->wake;
    if (p->epoll < 0 || p->wake < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->wake, &wake) < 0) {
        error_set_errno(err, errno, "cannot wait for sockets");
        http_pool_free(p);
        return NULL;
    }
    p->multi = curl_multi_init();
    if (!p->multi || curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
        curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p) != CURLM_OK ||
        curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
        curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p) != CURLM_OK ||
        curl_multi_setopt(p->multi, CURLMOPT_MAXCONNECTS, (long)keep) != CURLM_OK) {
        error_set(err, ERR_INTERNAL, 0, "libcurl does not start");
        http_pool_free(p);
        return NULL;
    }
    return p;
}

static void call_free(struct call *c)
{
    http_transfer_release(&c->transfer);
    http_response_release(&c->resp);
    free(c);
}

void http_pool_free(struct http_pool *p)
{
    if (!p)
        return;
    http_pool_cancel(p);
    while (p->free) {
        struct call *c = p->free;
        p->free = c->next; /* another one. NOLINT(clang-analyzer-unix.Malloc) */
        call_free(c);
    }
    if (p->multi)
        curl_multi_cleanup(p->multi);
    mem_close_fd(&p->wake);
    mem_close_fd(&p->epoll);
    free(p->fds);
    free(p);
}

/* ---- requests -------------------------------------------------------------------------------- */

static struct call *call_take(struct http_pool *p, struct error *err)
{
    struct call *c = p->free;
    if (c) {
        p->free = c->next;
        return c;
    }
    c = mem_alloc(sizeof(*c));
    c->transfer.sockets = (struct http_sockets){ on_open, on_close, p };
    if (http_transfer_init(&c->transfer, err) == 0)
        return c;
    free(c);
    return NULL;
}

static void call_give(struct http_pool *p, struct call *c)
{
    c->next = p->free;
    p->free = c;
}

int http_pool_start(struct http_pool *p, const struct http_request *req, http_pool_done_fn *done,
                    void *arg, struct error *err)
{
    struct call *c = call_take(p, err);
    if (!c)
        return -1;
    int rc = http_transfer_prepare(&c->transfer, req, &c->resp, p->hashed, err);
    if (rc == 0 && curl_multi_add_handle(p->multi, c->transfer.easy) != CURLM_OK) {
        http_transfer_cancelled(&c->transfer, NULL);
        rc = error_set(err, ERR_INTERNAL, 0, "libcurl: curl_multi_add_handle");
    }
    if (rc < 0) {
        call_give(p, c);
        return -1;
    }
    c->done = done;
    c->arg = arg;
    c->prev = NULL;
    c->next = p->running;
    if (p->running)
        p->running->prev = c;
    p->running = c;
    p->count++;
    return 0;
}

size_t http_pool_running(const struct http_pool *p)
{
    return p->count;
}

/* Takes a call off, tells its end, and keeps it for the next request. */
static void end(struct http_pool *p, struct call *c, const CURLcode *code)
{
    struct error err = { 0 };
    if (c->prev)
        c->prev->next = c->next;
    else
        p->running = c->next;
    if (c->next)
        c->next->prev = c->prev;
    p->count--;
    int rc = code ? http_transfer_finish(&c->transfer, *code, &err)
                  : http_transfer_cancelled(&c->transfer, &err);
    c->done(c->arg, rc, &c->resp, &err);
    call_give(p, c);
}

static size_t tell(struct http_pool *p)
{
    size_t ended = 0;
    int left = 0;
    CURLMsg *msg;
    while ((msg = curl_multi_info_read(p->multi, &left))) {
        if (msg->msg != CURLMSG_DONE)
            continue;
        CURLcode code = msg->data.result;
        CURL *easy = msg->easy_handle;
        struct call *c = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &c);
        curl_multi_remove_handle(p->multi, easy);
        if (http_transfer_again(&c->transfer, code)) {
            p->hashed = NULL;
            if (curl_multi_add_handle(p->multi, easy) == CURLM_OK)
                continue;
        }
        end(p, c, &code);
        ended++;
    }
    return ended;
}

void http_pool_cancel(struct http_pool *p)
{
    while (p->running) {
        struct call *c = p->running;
        curl_multi_remove_handle(p->multi, c->transfer.easy);
        end(p, c, NULL);
    }
}

/* ---- driving --------------------------------------------------------------------------------- */

static bool timer_due(const struct http_pool *p)
{
    return p->due_us != NO_TIME && clock_mono_us() >= p->due_us;
}

static int wait_ms(const struct http_pool *p, int64_t timeout_ms)
{
    int64_t ms = timeout_ms;
    if (p->due_us != NO_TIME) {
        int64_t left = p->due_us - clock_mono_us();
        int64_t timer = left > 0 ? (left + 999) / 1000 : 0;
        ms = timer < ms ? timer : ms;
    }
    return ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

static void on_event(struct http_pool *p, const struct epoll_event *e)
{
    int fd = e->data.fd, running = 0;
    if (fd == p->wake) {
        uint64_t count;
        (void)!read(fd, &count, sizeof(count));
        return;
    }
    if (!watched_at(p, fd)->wanted) { /* a kept connection stirs: its end. libcurl looks itself */
        watch(p, fd, 0);
        return;
    }
    int bits = (e->events & EPOLLIN ? CURL_CSELECT_IN : 0) |
               (e->events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (e->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    curl_multi_socket_action(p->multi, fd, bits, &running);
}

size_t http_pool_drive(struct http_pool *p, int64_t timeout_ms)
{
    struct epoll_event events[EVENTS];
    int running = 0;
    int n = epoll_wait(p->epoll, events, EVENTS, wait_ms(p, timeout_ms));
    for (int i = 0; i < n; i++)
        on_event(p, &events[i]);
    if (timer_due(p)) {
        p->due_us = NO_TIME; /* libcurl sets the next */
        curl_multi_socket_action(p->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    return tell(p);
}

void http_pool_wake(struct http_pool *p)
{
    uint64_t one = 1;
    (void)!write(p->wake, &one, sizeof(one));
}

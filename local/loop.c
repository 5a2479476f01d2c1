#include "local/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shared/base/clock.h"

#define EVENTS_AT_ONCE 64

/* What is called for a descriptor. The generation tells a descriptor from a later one of the same
 * number whose event is still in the batch at hand. */
struct watch {
    loop_fn *fn; /* NULL: not watched */
    void *arg;
    uint32_t generation;
};

struct loop_timer {
    int64_t at_ms;  /* monotonic clock */
    uint64_t order; /* of two due at the same time the older one goes first */
    size_t slot;
    loop_fn *fn;
    void *arg;
};

struct post {
    loop_fn *fn;
    void *arg;
    struct post *next;
};

struct served {
    struct httpd *httpd;
    struct loop *loop;
    struct served *next;
};

struct loop {
    int epoll;
    int wake;
    bool stopping;
    struct watch *watches; /* by descriptor */
    size_t watch_count;
    uint32_t generation;
    struct loop_timer **heap;
    size_t timers, heap_cap;
    uint64_t order;
    struct served *servers;
    pthread_mutex_t lock;
    struct post *posts, **posts_end; /* under lock */
};

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

/* ---- timers: a binary heap ------------------------------------------------------------------- */

static bool earlier(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void heap_put(struct loop *l, size_t slot, struct loop_timer *t)
{
    l->heap[slot] = t;
    t->slot = slot;
}

static void heap_up(struct loop *l, size_t slot, struct loop_timer *t)
{
    while (slot > 0 && earlier(t, l->heap[(slot - 1) / 2])) {
        heap_put(l, slot, l->heap[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    heap_put(l, slot, t);
}

static void heap_down(struct loop *l, size_t slot, struct loop_timer *t)
{
    for (;;) {
        size_t child = 2 * slot + 1;
        if (child >= l->timers)
            break;
        if (child + 1 < l->timers && earlier(l->heap[child + 1], l->heap[child]))
            child++;
        if (!earlier(l->heap[child], t))
            break;
        heap_put(l, slot, l->heap[child]);
        slot = child;
    }
    heap_put(l, slot, t);
}

static void heap_remove(struct loop *l, struct loop_timer *t)
{
    struct loop_timer *last = l->heap[--l->timers];
    if (last == t)
        return;
    size_t slot = t->slot;
    heap_up(l, slot, last);
    if (last->slot == slot)
        heap_down(l, slot, last);
}

struct loop_timer *loop_after(struct loop *l, int64_t ms, loop_fn *fn, void *arg)
{
    struct loop_timer *t = mem_alloc(sizeof(*t));
    t->at_ms = now_ms() + (ms > 0 ? ms : 0);
    t->order = l->order++;
    t->fn = fn;
    t->arg = arg;
    if (l->timers == l->heap_cap) {
        l->heap_cap = l->heap_cap ? 2 * l->heap_cap : 64;
        l->heap = mem_resize(l->heap, l->heap_cap, sizeof(struct loop_timer *));
    }
    heap_up(l, l->timers++, t);
    return t;
}

void loop_cancel(struct loop *l, struct loop_timer *t)
{
    if (!t)
        return;
    heap_remove(l, t);
    free(t);
}

static void run_timers(struct loop *l)
{
    int64_t now = now_ms();
    uint64_t limit = l->order; /* what is added on the way waits for the next round */
    /* What was freed has left the heap. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    while (!l->stopping && l->timers > 0 && l->heap[0]->at_ms <= now && l->heap[0]->order < limit) {
        struct loop_timer *t = l->heap[0];
        heap_remove(l, t);
        loop_fn *fn = t->fn;
        void *arg = t->arg;
        free(t);
        fn(arg);
    }
}

/* ---- descriptors ----------------------------------------------------------------------------- */

int loop_watch(struct loop *l, int fd, loop_fn *fn, void *arg, struct error *err)
{
    size_t slot = (size_t)fd;
    if (slot >= l->watch_count) {
        size_t count = slot + 64;
        l->watches = mem_resize(l->watches, count, sizeof(*l->watches));
        memset(l->watches + l->watch_count, 0, (count - l->watch_count) * sizeof(*l->watches));
        l->watch_count = count;
    }
    uint32_t generation = ++l->generation;
    struct epoll_event ev = { .events = EPOLLIN,
                              .data.u64 = (uint64_t)generation << 32 | (uint32_t)fd };
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        return error_set_errno(err, errno, "cannot watch descriptor %d", fd);
    l->watches[slot] = (struct watch){ .fn = fn, .arg = arg, .generation = generation };
    return 0;
}

void loop_unwatch(struct loop *l, int fd)
{
    if (fd < 0 || (size_t)fd >= l->watch_count || !l->watches[fd].fn)
        return;
    epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
    l->watches[fd].fn = NULL;
}

static void dispatch(struct loop *l, const struct epoll_event *ev)
{
    uint32_t fd = (uint32_t)ev->data.u64;
    uint32_t generation = (uint32_t)(ev->data.u64 >> 32);
    if (fd >= l->watch_count)
        return;
    const struct watch *w = &l->watches[fd];
    if (w->fn && w->generation == generation)
        w->fn(w->arg);
}

/* ---- servers --------------------------------------------------------------------------------- */

static void serve(void *arg)
{
    const struct served *s = arg;
    httpd_run(s->httpd);
}

int loop_serve(struct loop *l, struct httpd *h, struct error *err)
{
    struct served *s = mem_alloc(sizeof(*s));
    s->httpd = h;
    s->loop = l;
    if (loop_watch(l, httpd_fd(h), serve, s, err) < 0) {
        free(s);
        return -1;
    }
    s->next = l->servers;
    l->servers = s;
    return 0;
}

void loop_unserve(struct loop *l, struct httpd *h)
{
    for (struct served **p = &l->servers; *p; p = &(*p)->next) {
        struct served *s = *p;
        if (s->httpd != h)
            continue;
        loop_unwatch(l, httpd_fd(h));
        *p = s->next;
        free(s);
        return;
    }
}

/* A server with answers to send says so by its timeout, not by its descriptor. */
static void run_servers(struct loop *l)
{
    struct served *next;
    for (struct served *s = l->servers; s && !l->stopping; s = next) {
        next = s->next;
        if (httpd_timeout_ms(s->httpd) == 0)
            httpd_run(s->httpd);
    }
}

/* ---- other threads --------------------------------------------------------------------------- */

void loop_post(struct loop *l, loop_fn *fn, void *arg)
{
    struct post *p = mem_alloc(sizeof(*p));
    p->fn = fn;
    p->arg = arg;
    pthread_mutex_lock(&l->lock);
    *l->posts_end = p;
    l->posts_end = &p->next;
    pthread_mutex_unlock(&l->lock);
    uint64_t one = 1;
    /* The counter can't be full: 2^64 - 1 posts don't fit in memory. */
    while (write(l->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

static struct post *take_posts(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    struct post *p = l->posts;
    l->posts = NULL;
    l->posts_end = &l->posts;
    pthread_mutex_unlock(&l->lock);
    return p;
}

static void run_posts(void *arg)
{
    struct loop *l = arg;
    uint64_t count;
    while (read(l->wake, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
    struct post *next;
    for (struct post *p = take_posts(l); p; p = next) {
        next = p->next;
        p->fn(p->arg);
        free(p);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

struct loop *loop_new(struct error *err)
{
    struct loop *l = mem_alloc(sizeof(*l));
    pthread_mutex_init(&l->lock, NULL);
    l->posts_end = &l->posts;
    l->wake = -1;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll >= 0)
        l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake < 0) {
        error_set_errno(err, errno, "cannot make the event loop");
        loop_free(l);
        return NULL;
    }
    if (loop_watch(l, l->wake, run_posts, l, err) < 0) {
        loop_free(l);
        return NULL;
    }
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    struct post *next_post;
    for (struct post *p = take_posts(l); p; p = next_post) {
        next_post = p->next;
        free(p);
    }
    struct served *next_served;
    for (struct served *s = l->servers; s; s = next_served) {
        next_served = s->next;
        free(s);
    }
    for (size_t i = 0; i < l->timers; i++)
        free(l->heap[i]);
    free(l->heap);
    free(l->watches);
    mem_close_fd(&l->wake);
    mem_close_fd(&l->epoll);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static int wait_ms(struct loop *l)
{
    int64_t wait = -1;
    if (l->timers > 0) {
        wait = l->heap[0]->at_ms - now_ms();
        if (wait < 0)
            wait = 0;
    }
    for (const struct served *s = l->servers; s; s = s->next) {
        int64_t ms = httpd_timeout_ms(s->httpd);
        if (ms >= 0 && (wait < 0 || ms < wait))
            wait = ms;
    }
    return wait > INT32_MAX ? INT32_MAX : (int)wait;
}

void loop_run(struct loop *l)
{
    l->stopping = false;
    while (!l->stopping) {
        struct epoll_event events[EVENTS_AT_ONCE];
        int n = epoll_wait(l->epoll, events, EVENTS_AT_ONCE, wait_ms(l));
        for (int i = 0; i < n && !l->stopping; i++)
            dispatch(l, &events[i]);
        run_timers(l);
        run_servers(l);
    }
}

void loop_stop(struct loop *l)
{
    l->stopping = true;
}

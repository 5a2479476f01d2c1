#include "shared/base/httpd_pool.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shared/base/mem.h"

struct worker {
    struct httpd_pool *pool;
    struct MHD_Daemon *daemon;
    pthread_t thread;
    bool started;
    int wake;            /* an eventfd */
    atomic_bool woken;   /* it has been written to since the thread looked last */
    atomic_bool quiesce; /* it is to take no further connections, and to say so */
    atomic_bool stopping;
};

struct httpd_pool {
    size_t count;
    sem_t quiesced; /* once for each thread that was told to */
    struct worker workers[];
};

int httpd_pool_timeout_ms(struct MHD_Daemon *daemon)
{
    MHD_UNSIGNED_LONG_LONG ms;
    if (MHD_get_timeout(daemon, &ms) != MHD_YES)
        return -1;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

int httpd_pool_fd(struct MHD_Daemon *daemon)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info ? info->epoll_fd : -1;
}

void httpd_pool_close_listener(struct MHD_Daemon *daemon)
{
    int fd = MHD_quiesce_daemon(daemon);
    if (fd != MHD_INVALID_SOCKET)
        close(fd);
}

static void *loop(void *arg)
{
    struct worker *w = arg;
    struct pollfd fds[] = { { .fd = httpd_pool_fd(w->daemon), .events = POLLIN },
                            { .fd = w->wake, .events = POLLIN } };
    eventfd_t ignored;
    while (!atomic_load(&w->stopping)) {
        if (atomic_exchange(&w->quiesce, false)) {
            httpd_pool_close_listener(w->daemon);
            sem_post(&w->pool->quiesced);
        }
        MHD_run(w->daemon);
        if (poll(fds, 2, httpd_pool_timeout_ms(w->daemon)) < 0 && errno != EINTR)
            abort(); /* only for wrong arguments */
        if (fds[1].revents && eventfd_read(w->wake, &ignored) == 0)
            atomic_store(&w->woken, false); /* before the look: what comes later wakes again */
    }
    return NULL;
}

struct httpd_pool *httpd_pool_new(struct MHD_Daemon *const *daemons, size_t count,
                                  struct error *err)
{
    struct httpd_pool *p = mem_alloc(sizeof(*p) + count * sizeof(p->workers[0]));
    sem_init(&p->quiesced, 0, 0);
    for (; p->count < count; p->count++) {
        struct worker *w = &p->workers[p->count];
        w->pool = p;
        w->daemon = daemons[p->count];
        w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (w->wake < 0) {
            error_set_errno(err, errno, "cannot start the HTTP server's threads");
            httpd_pool_stop(p);
            return NULL;
        }
    }
    return p;
}

int httpd_pool_start(struct httpd_pool *p, struct error *err)
{
    for (size_t i = 0; i < p->count; i++) {
        int rc = pthread_create(&p->workers[i].thread, NULL, loop, &p->workers[i]);
        if (rc != 0)
            return error_set_errno(err, rc, "cannot start the HTTP server's threads");
        p->workers[i].started = true;
    }
    return 0;
}

static void wake(struct worker *w)
{
    if (!atomic_exchange(&w->woken, true) && eventfd_write(w->wake, 1) < 0)
        abort(); /* only for wrong arguments */
}

void httpd_pool_wake(struct httpd_pool *p, size_t index)
{
    if (p)
        wake(&p->workers[index]);
}

void httpd_pool_quiesce(struct httpd_pool *p)
{
    for (size_t i = 0; i < p->count; i++) {
        atomic_store(&p->workers[i].quiesce, true);
        wake(&p->workers[i]);
    }
    for (size_t i = 0; i < p->count;)
        if (sem_wait(&p->quiesced) == 0)
            i++;
}

void httpd_pool_stop(struct httpd_pool *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++) {
        atomic_store(&p->workers[i].stopping, true);
        wake(&p->workers[i]);
    }
    for (size_t i = 0; i < p->count; i++) {
        if (p->workers[i].started)
            pthread_join(p->workers[i].thread, NULL);
        close(p->workers[i].wake);
    }
    sem_destroy(&p->quiesced);
    free(p);
}

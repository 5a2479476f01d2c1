#include "container/broker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "container/client.h"

#define SILENCE_MS 2000 /* of one who asks: nobody else is served meanwhile */
#define PAUSE_MS   100

struct broker {
    struct client *client;
    int listen_fd;
    int stop_fd; /* readable: stop */
    atomic_bool cancel;
    pthread_t thread;
};

static void serve(struct broker *b, int fd)
{
    struct error err = { 0 };
    struct wire_request request = { .call = WIRE_HEARTBEAT };
    struct wire_answer answer = { .retry_after_ms = -1 };
    if (wire_read(fd, b->stop_fd, SILENCE_MS, &request, &err) == 0) {
        if (client_call(b->client, &request, &answer, &err) < 0) {
            buf_release(&answer.body);
            buf_init(&answer.body, sizeof(err.msg));
            buf_add_str(&answer.body, err.msg);
            answer.status = 0;
        }
        /* Who asked may be gone, and then nobody misses the answer. */
        int rc = wire_answer(fd, &answer, &err);
        (void)rc;
    }
    buf_release(&request.body);
    buf_release(&answer.body);
}

/* False: stop. */
static bool next(struct broker *b, int *fd)
{
    struct pollfd fds[] = { { .fd = b->listen_fd, .events = POLLIN },
                            { .fd = b->stop_fd, .events = POLLIN } };
    *fd = -1;
    if (poll(fds, ARRAY_LEN(fds), -1) < 0)
        return errno == EINTR;
    if (fds[1].revents)
        return false;
    *fd = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (*fd >= 0 || errno == EINTR || errno == ECONNABORTED)
        return true;
    /* No descriptors left, for one: not in a busy loop. */
    return poll(&fds[1], 1, PAUSE_MS) == 0;
}

static void *broker_main(void *arg)
{
    struct broker *b = arg;
    for (int fd; next(b, &fd);) {
        if (fd < 0)
            continue;
        /* An answer of any size goes to one that does not read it only for so long. */
        const struct timeval patience = { .tv_sec = SILENCE_MS / 1000 };
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        serve(b, fd);
        close(fd);
    }
    return NULL;
}

static void destroy(struct broker *b)
{
    client_free(b->client);
    mem_close_fd(&b->listen_fd);
    mem_close_fd(&b->stop_fd);
    free(b);
}

struct broker *broker_start(const char *path, const char *url, const char *token, struct error *err)
{
    struct broker *b = mem_alloc(sizeof(*b));
    int eno = 0;
    b->listen_fd = -1;
    b->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    b->client = client_new(url, token, &b->cancel, err);
    if (b->stop_fd < 0)
        error_set_errno(err, errno, "eventfd");
    else if (b->client && (b->listen_fd = wire_listen(path, err)) >= 0 &&
             (eno = pthread_create(&b->thread, NULL, broker_main, b)) == 0)
        return b;
    if (eno)
        error_set_errno(err, eno, "cannot start a thread");
    destroy(b);
    return NULL;
}

void broker_stop(struct broker *b)
{
    if (!b)
        return;
    uint64_t one = 1;
    ssize_t n = write(b->stop_fd, &one, sizeof(one));
    (void)n; /* a counter at its limit is readable all the same */
    atomic_store(&b->cancel, true);
    pthread_join(b->thread, NULL);
    destroy(b);
}

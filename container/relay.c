#include "container/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/buf.h"

#define CHUNK     65536
#define QUEUE_MAX (16U << 20) /* a pipe holds 1 MiB at most, or what root has set */

struct relay {
    int in;
    int out;
    size_t write_max; /* what `out` takes without blocking once poll says that it is writable */
    relay_sink *sink;
    void *arg;
    struct buf queue;
    size_t done; /* of the queue */
    bool dropping;
    int failure;
};

/* `out` may be in blocking mode and must stay so. A pipe that polls as writable has room for
 * PIPE_BUF bytes; files are always ready. */
static size_t write_max_of(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return CHUNK;
    return PIPE_BUF;
}

struct relay *relay_open(int out, relay_sink *sink, void *arg, int *child_end, struct error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        error_set_errno(err, errno, "cannot make a pipe");
        return NULL;
    }
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) {
        error_set_errno(err, errno, "cannot set up a pipe");
        close(ends[0]);
        close(ends[1]);
        return NULL;
    }
    struct relay *r = mem_alloc(sizeof(*r));
    *r = (struct relay){
        .in = ends[0], .out = out, .write_max = write_max_of(out), .sink = sink, .arg = arg
    };
    buf_init(&r->queue, QUEUE_MAX);
    *child_end = ends[1];
    return r;
}

static void close_in(struct relay *r)
{
    if (r->in >= 0)
        close(r->in);
    r->in = -1;
}

void relay_close(struct relay *r)
{
    if (!r)
        return;
    close_in(r);
    buf_release(&r->queue);
    free(r);
}

bool relay_reading(const struct relay *r)
{
    return r && r->in >= 0;
}

bool relay_pending(const struct relay *r)
{
    return r && r->queue.len > r->done;
}

int relay_failure(const struct relay *r)
{
    return r ? r->failure : 0;
}

struct pollfd relay_poll(const struct relay *r)
{
    if (relay_pending(r))
        return (struct pollfd){ .fd = r->out, .events = POLLOUT };
    if (relay_reading(r))
        return (struct pollfd){ .fd = r->in, .events = POLLIN };
    return (struct pollfd){ .fd = -1 };
}

static void queue_drop(struct relay *r)
{
    buf_reset(&r->queue);
    r->done = 0;
}

static size_t pending(const struct relay *r)
{
    return r->queue.len - r->done;
}

/* One read; false where there was nothing or the stream has ended. */
static bool take(struct relay *r)
{
    char chunk[CHUNK];
    ssize_t n = read(r->in, chunk, sizeof(chunk));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return errno == EINTR;
    if (n <= 0) {
        close_in(r);
        return false;
    }
    size_t pass = r->sink(r->arg, chunk, (size_t)n);
    if (r->dropping || pass == 0)
        return true;
    if (r->done > 0) { /* what is left of the queue goes to its beginning */
        memmove(r->queue.data, r->queue.data + r->done, pending(r));
        r->queue.len -= r->done;
        r->done = 0;
    }
    buf_add(&r->queue, chunk, pass);
    return true;
}

/* Writes whole lines where it can: others write to the same place, the command's other stream and
 * callback-run's log among them. */
static void give(struct relay *r)
{
    const char *p = r->queue.data + r->done;
    if (r->in >= 0 && pending(r) < CHUNK && !memchr(p, '\n', pending(r)))
        (void)take(r); /* perhaps the rest of the line is there */
    p = r->queue.data + r->done;
    size_t len = pending(r) < r->write_max ? pending(r) : r->write_max;
    const char *newline = memrchr(p, '\n', len);
    if (newline)
        len = (size_t)(newline + 1 - p);
    ssize_t n = write(r->out, p, len);
    if (n >= 0) {
        r->done += (size_t)n;
        if (r->done == r->queue.len)
            queue_drop(r);
        return;
    }
    if (errno == EAGAIN || errno == EINTR)
        return;
    if (errno == EPIPE) {
        close_in(r); /* the command's next write meets SIGPIPE, as it would on `out` itself */
    } else {
        r->failure = errno;
        r->dropping = true;
    }
    queue_drop(r);
}

void relay_run(struct relay *r, short revents)
{
    if (!r || !revents)
        return;
    if (relay_pending(r))
        give(r);
    else if (relay_reading(r))
        (void)take(r);
}

static bool ready(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    return poll(&p, 1, 0) > 0;
}

void relay_finish(struct relay *r)
{
    if (!r)
        return;
    while (r->in >= 0 && !buf_overflowed(&r->queue) && take(r))
        ;
    close_in(r);
    while (relay_pending(r) && ready(r->out))
        give(r);
}

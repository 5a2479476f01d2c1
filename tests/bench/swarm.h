/* swarm.h - many HTTP clients at once, for storms and measurements: each has a connection of its
 * own to a port of the loopback interface, kept alive, and at most one request in flight.
 *
 * The owner says what each client sends next and is told what came back. A connection that cannot
 * be had or is cut off is an answer with status 0; the client then goes on to the next port of the
 * list after a short rest. One thread: everything happens in swarm_step. */
#ifndef BENCH_SWARM_H
#define BENCH_SWARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

struct swarm;

struct swarm_hooks {
    /* The next request of an idle client: true with the bytes, which stay until its answer, or
     * false: nothing now (asked again in the next step). */
    bool (*next)(void *arg, unsigned client, const char **bytes, size_t *len);
    /* The answer; the body is NUL-terminated and borrowed. */
    void (*answer)(void *arg, unsigned client, int status, const char *body, size_t len);
    void *arg;
};

/* `ports` are copied. NULL with *err where the kernel gives no epoll. */
struct swarm *swarm_new(const uint16_t *ports, size_t port_count, unsigned clients,
                        const struct swarm_hooks *hooks, struct error *err) CHECKED;
/* Sends what is to be sent and takes what has come, waiting at most timeout_ms for it. */
void swarm_step(struct swarm *s, int timeout_ms);
/* Clients that wait for an answer. */
unsigned swarm_busy(const struct swarm *s);
/* Cuts all connections; takes NULL. */
void swarm_free(struct swarm *s);

#endif

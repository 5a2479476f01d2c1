/* redis_server.h - a Redis of our own for storms and measurements: on a free port of the loopback
 * interface, every write in its log and on the disk before it is answered (appendfsync always).
 * One thread. */
#ifndef BENCH_REDIS_SERVER_H
#define BENCH_REDIS_SERVER_H

#include <stdbool.h>

#include "shared/base/error.h"

struct redis_server;

/* NULL with ERR_NOT_FOUND where redis-server is not installed. `dir` must outlive it. */
struct redis_server *redis_server_start(const char *dir, bool cluster, struct error *err) CHECKED;
int redis_server_port(const struct redis_server *r);
/* kill -9, and again on the same port with what is on the disk; waits until it serves. */
int redis_server_bounce(struct redis_server *r, struct error *err) CHECKED;
/* Again where it has ended by itself, as it does on a full disk; waits until it serves. */
int redis_server_mend(struct redis_server *r, struct error *err) CHECKED;
void redis_server_free(struct redis_server *r); /* takes NULL */

#endif

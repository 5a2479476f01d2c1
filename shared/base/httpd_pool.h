/* httpd_pool.h - threads that run libmicrohttpd's daemons, one each.
 *
 * libmicrohttpd has threads of its own, but with epoll they can fall asleep on their work: where
 * exactly as many events come at once as it fetches in one go (128), it waits for more, for as long
 * as nothing else happens, before it looks at those it has (0.9.75; 128 clients that ask at the
 * same time are enough). A daemon that never waits, because its thread does, has no such moment. */
#ifndef BASE_HTTPD_POOL_H
#define BASE_HTTPD_POOL_H

#include <microhttpd.h>
#include <stddef.h>

#include "shared/base/error.h"

struct httpd_pool;

/* Each daemon is of MHD_USE_EPOLL without MHD_USE_INTERNAL_POLLING_THREAD, borrowed, and must not
 * be stopped before the pool. No thread runs yet: whoever answers requests may need the pool before
 * this has returned. NULL with *err. */
struct httpd_pool *httpd_pool_new(struct MHD_Daemon *const *daemons, size_t count,
                                  struct error *err) CHECKED;
/* -1: some may run, httpd_pool_stop ends them. */
int httpd_pool_start(struct httpd_pool *p, struct error *err) CHECKED;
/* A connection of daemon `index` was resumed: its thread looks. Any thread; what comes before it
 * has looked costs one system call together. Takes NULL. */
void httpd_pool_wake(struct httpd_pool *p, size_t index);
/* No daemon takes a further connection when it returns. Each thread does it for its own daemon
 * between two looks: libmicrohttpd's epoll ends the process where another does it meanwhile. Not
 * from one of the threads, and only while they run. */
void httpd_pool_quiesce(struct httpd_pool *p);
/* The same for a daemon that has no thread. */
void httpd_pool_close_listener(struct MHD_Daemon *daemon);
/* Ends the threads and frees the pool; takes NULL. */
void httpd_pool_stop(struct httpd_pool *p);

/* How long one may wait before the next MHD_run; -1: until the daemon's epoll descriptor is
 * readable. */
int httpd_pool_timeout_ms(struct MHD_Daemon *daemon);
int httpd_pool_fd(struct MHD_Daemon *daemon);

#endif

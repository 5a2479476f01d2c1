/* httpd_guard.h - ends connections whose time is over; for httpd.c.
 *
 * libmicrohttpd's own limit is on silence: a client that sends a byte now and then would hold its
 * connection for ever. Each connection here has a moment until which it must have come further; a
 * thread shuts down the sockets of those that have not, and libmicrohttpd then closes them. Any
 * thread, except where it says otherwise. */
#ifndef BASE_HTTPD_GUARD_H
#define BASE_HTTPD_GUARD_H

#include <stdint.h>

#include "shared/base/error.h"

struct httpd_guard;
struct httpd_guarded; /* one connection */

/* NULL with *err where no thread can be had. */
struct httpd_guard *httpd_guard_start(struct error *err) CHECKED;
/* Takes NULL. All connections have been removed before. */
void httpd_guard_stop(struct httpd_guard *g);

/* `fd` stays the caller's, who calls httpd_guard_remove before it closes it. */
struct httpd_guarded *httpd_guard_add(struct httpd_guard *g, int fd, int64_t ms) CHECKED;
void httpd_guard_remove(struct httpd_guard *g, struct httpd_guarded *c);
/* It has `ms` from now on; 0: no limit. Takes NULL. */
void httpd_guard_allow(struct httpd_guarded *c, int64_t ms);

#endif

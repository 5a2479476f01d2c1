/* redis_conn.h - one connection to one Redis, made again where it is lost.
 *
 * Commands are sent without waiting (redis_conn_send), then all their answers are read
 * (redis_conn_collect): one round trip for many. A connection that fails, or whose server says that
 * it is not the one to write to (MOVED, READONLY, LOADING, ...), is closed; the next
 * redis_conn_ready makes a new one, with growing pauses while that fails. SIGPIPE must be ignored.
 * One thread at a time. */
#ifndef RECEIVER_REDIS_CONN_H
#define RECEIVER_REDIS_CONN_H

#include <hiredis/hiredis.h>

#include "callback-receiver/redis_scripts.h"
#include "shared/base/error.h"

struct redis_conn;

/* Connects to nothing yet. NULL with *err (ERR_INVALID): no Redis URL, or TLS where this build has
 * none. */
struct redis_conn *redis_conn_new(const char *url, struct error *err) CHECKED;
void redis_conn_free(struct redis_conn *r); /* takes NULL */

/* Connected: authenticated, scripts loaded, the layout of the keys is known. -1: ERR_NET or
 * ERR_UNAVAILABLE where it may help to wait, ERR_DENIED for credentials, ERR_CONFLICT where a newer
 * version has written there or keys are somebody else's. */
int redis_conn_ready(struct redis_conn *r, struct error *err) CHECKED;
/* Queues a command; an argument's length may be SIZE_MAX: it is a string. */
void redis_conn_send(struct redis_conn *r, int argc, const char **argv, size_t *lens);
/* The same with a script; argv[0..2] is filled in: leave room. */
void redis_conn_send_script(struct redis_conn *r, enum redis_script which, int argc,
                            const char **argv, size_t *lens);
/* Reads the answers to all that was sent since, `count` of them; the caller frees each. -1: the
 * connection is lost, or one of the answers is an error (all are freed then). *again: nothing is
 * wrong but the connection, a new one may do. */
int redis_conn_collect(struct redis_conn *r, redisReply **replies, size_t count, bool *again,
                       struct error *err) CHECKED;
/* Closes the connection; the next redis_conn_ready makes a new one. */
void redis_conn_drop(struct redis_conn *r);

#endif

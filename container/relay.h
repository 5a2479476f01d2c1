/* relay.h - passes one stream of the command on to where it belongs and shows it to a sink.
 *
 * The command writes into a pipe; the bytes go to `out` unchanged and in order. The command is
 * slowed down by a slow reader of `out` exactly as it would be without the relay, and learns of one
 * that went away by SIGPIPE. Where `out` fails in another way (a full disk), the rest is dropped
 * and the command goes on. Nothing here blocks: the owner's event loop polls. One thread. */
#ifndef CONTAINER_RELAY_H
#define CONTAINER_RELAY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "shared/base/error.h"

/* Returns how many of the bytes go on to `out`: all of them, or fewer, and the rest is dropped. */
typedef size_t relay_sink(void *arg, const char *p, size_t len);

struct relay;

/* `out` is borrowed and stays as it is (its flags are shared with other processes). *child_end is
 * the command's end of the pipe, the caller's to close; it closes on exec. */
struct relay *relay_open(int out, relay_sink *sink, void *arg, int *child_end,
                         struct error *err) CHECKED;
void relay_close(struct relay *r); /* takes NULL */

/* What to poll for now; fd -1 where there is nothing. relay_run takes what came back. Both take
 * NULL. */
struct pollfd relay_poll(const struct relay *r);
void relay_run(struct relay *r, short revents);
/* The command's side is over: takes what is in the pipe without waiting for `out`, and closes it.
 */
void relay_finish(struct relay *r);
/* There may be more from the command; there are bytes that `out` has not got yet. false for NULL.
 */
bool relay_reading(const struct relay *r);
bool relay_pending(const struct relay *r);
/* errno of a failure of `out`, EPIPE not counted; 0: none. */
int relay_failure(const struct relay *r);

#endif

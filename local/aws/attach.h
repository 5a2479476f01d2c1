/* attach.h - runtimes that local-aws does not start: they attach to a function's Runtime API from
 * outside, another container for instance.
 *
 * The function has one port. Each `next` that waits there is an environment that is free; an answer
 * finds its invocation by the request id. Nothing can be killed from here: an invocation that takes
 * too long ends as it does in Lambda, and its late answer is refused. A runtime that keeps its
 * connection from `next` to answer (seen by its first answer) is taken as dead when the connection
 * ends in between; others are noticed by the timeout. What nobody takes waits. The loop's thread
 * only. */
#ifndef LOCAL_AWS_ATTACH_H
#define LOCAL_AWS_ATTACH_H

#include "local/aws/function.h"

struct attach;

/* Listens at the function's configured address. */
struct attach *attach_new(struct function *f, struct error *err) CHECKED;
/* Ends all connections; what runs is forgotten. Takes NULL. */
void attach_free(struct attach *a);
/* Hands out what waits for the function, as far as there are free runtimes. */
void attach_offer(struct attach *a);
/* Ends what runs as if each runtime had died, and the connections of those that are free. */
void attach_cut(struct attach *a);
/* Adds {"peer","state"} of each, separated by commas. */
void attach_describe(const struct attach *a, struct buf *out);

#endif

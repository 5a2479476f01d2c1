/* loop.h - local-aws's one event loop: everything that owns state runs on its thread, so nothing is
 * locked.
 *
 * Only loop_post may be called from other threads. Callbacks may add and remove anything. */
#ifndef LOCAL_LOOP_H
#define LOCAL_LOOP_H

#include <stdint.h>

#include "shared/base/error.h"
#include "shared/base/httpd.h"

struct loop;
struct loop_timer;
typedef void loop_fn(void *arg);

struct loop *loop_new(struct error *err) CHECKED;
void loop_free(struct loop *l);
/* Calls `fn` whenever `fd` is readable (also at end of file), until it is removed. */
int loop_watch(struct loop *l, int fd, loop_fn *fn, void *arg, struct error *err) CHECKED;
void loop_unwatch(struct loop *l, int fd);
/* Calls `fn` once, not before `ms` from now. The timer is gone when `fn` is called. */
struct loop_timer *loop_after(struct loop *l, int64_t ms, loop_fn *fn, void *arg);
/* Takes NULL. */
void loop_cancel(struct loop *l, struct loop_timer *t);
/* A server without threads of its own is served by the loop. */
int loop_serve(struct loop *l, struct httpd *h, struct error *err) CHECKED;
void loop_unserve(struct loop *l, struct httpd *h);
/* Any thread: calls `fn` on the loop's thread soon. */
void loop_post(struct loop *l, loop_fn *fn, void *arg);
/* Runs until loop_stop (a callback's call). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

#endif

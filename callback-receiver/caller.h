/* caller.h - the thread that calls Lambda: all calls at once, over one libcurl multi handle.
 *
 * It is given reports that were claimed, calls with as many of them at once as it is told, and
 * hands out what came of each. A report that must not be called now (it stops, or no call came to
 * be from here a moment ago, or the lease is nearly over) comes back as not called. */
#ifndef RECEIVER_CALLER_H
#define RECEIVER_CALLER_H

#include "callback-receiver/attempt.h"
#include "callback-receiver/pace.h"
#include "callback-receiver/store.h"
#include "shared/aws/aws.h"

struct caller;

#define CALLER_LEASE_MS 60000 /* longer than a call and the commit of its outcome */

/* What came of a report that was given: a FINISH to commit. It is the receiver's, which frees it
 * (store_op_release, then free). */
struct caller_outcome {
    struct store_op op;
    char text[ATTEMPT_TEXT]; /* op.attempt.error */
    void *owner;             /* the receiver's to use */
    struct caller_outcome *next;
};

struct caller_config {
    unsigned calls; /* at once */
    bool shared;    /* other receivers have the same store: where no call can be made from here,
                       they go first for a while */
    struct attempt_policy policy;
    const struct aws_options *aws;
    struct pace *pace; /* borrowed, as all of `policy` is */
    /* Both on the caller's thread: what has ended, and "there is room for more". */
    void (*ended)(void *arg, struct caller_outcome *first);
    void (*room)(void *arg);
    void *arg;
};

/* NULL with *err where the AWS configuration makes no sense or a thread cannot be had. */
struct caller *caller_start(const struct caller_config *cfg, struct error *err) CHECKED;
/* Takes over `items` (of malloc, with their bodies). Any thread; not once caller_free is called. */
void caller_give(struct caller *c, struct store_item *items, size_t count);
/* How many more reports may be given now, so that up to twice as many wait as can be called at
 * once; with `limited` no more than can be called now, since what has got its turn is called at
 * once. Any thread. */
size_t caller_room(const struct caller *c, bool limited);
/* Until when nothing should be claimed for it; 0: no such time. Wall clock. Any thread. */
int64_t caller_held_until(const struct caller *c, int64_t now_ms);
/* From now on nothing is called any more; calls that run are cut off at until_ms of the monotonic
 * clock. */
void caller_stop(struct caller *c, int64_t until_ms);
/* Waits until all that it was given has been handed out (which takes a caller_stop to be soon).
 * Takes NULL. */
void caller_free(struct caller *c);

#endif

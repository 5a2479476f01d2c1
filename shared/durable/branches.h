/* branches.h - runs the branches of a batch until it is complete or can go no further.
 *
 * The calling thread coordinates: it begins branches in order, up to the limit of unfinished ones,
 * hands those that can run to threads, evaluates the completion after each end, runs branches again
 * whose awaited operations have moved, asks the service about them while other branches run, and
 * suspends when none does. A batch in a branch of another batch suspends only when nobody runs in
 * that one either, or threads are short: until then its thread waits, since suspending would have
 * the whole branch, with all of the batch, begin anew for each thing that happens. Where one branch
 * runs at a time, or no thread is to be had, the calling thread runs branches itself. No thread
 * outlives the call. */
#ifndef DURABLE_BRANCHES_H
#define DURABLE_BRANCHES_H

#include "shared/durable/batch.h"
#include "shared/durable/ctx.h"

/* What is run. Borrowed. */
struct branch_set {
    size_t count;
    const char *subtype; /* of the branches' contexts */
    /* Branch `index`'s name into `name`, never empty. On the calling thread. */
    void (*name)(const struct branch_set *set, size_t index, char name[DURABLE_NAME_SIZE]);
    /* Its body. On any thread, several at once. */
    enum durable_rc (*body)(const struct branch_set *set, size_t index, struct durable_ctx *ctx,
                            struct json_object **out, struct durable_error *err);
    const void *arg;
    const struct durable_batch_opts *opts;
};

/* `op` is the batch's context, begun and started. OK with *out; else what has latched op->ctx. When
 * the batch is complete and branches still run, `completed` is called with it before their end is
 * awaited; what it returns is returned. */
enum durable_rc branches_run(const struct branch_set *set, struct op *op,
                             enum durable_rc (*completed)(void *arg, struct durable_batch *b,
                                                          struct durable_error *err),
                             void *arg, struct durable_batch **out,
                             struct durable_error *err) DURABLE_CHECKED;
/* The batch has ended and `known` says with which items: the results are brought back from the
 * items' own records, or by running their bodies again. On the calling thread. */
enum durable_rc branches_rebuild(const struct branch_set *set, struct op *op,
                                 struct durable_batch *known,
                                 struct durable_error *err) DURABLE_CHECKED;

#endif

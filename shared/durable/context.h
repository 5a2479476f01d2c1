/* context.h - a body in a context of its own: what durable_child, wait_for_callback, the retry
 * helper and the branches of a batch have in common. The operation is begun by the caller; its ctx
 * is the enclosing place. One thread. */
#ifndef DURABLE_CONTEXT_H
#define DURABLE_CONTEXT_H

#include "shared/durable/ctx.h"

struct context {
    struct op *op;
    durable_fn *body;
    struct json_object *in;
    void *arg;
    struct durable_child_opts opts;
    /* Makes of the error that is recorded the one that the caller gets. NULL: ChildContextError. */
    void (*wrap)(struct durable_error *err);
    bool started;           /* the caller has sent its START */
    bool text_only;         /* the caller wants the payload and no value */
    struct payload payload; /* out: the result's text, to be released */
};

/* From whatever is recorded to the end: OK with *value (may be NULL: to be dropped), FAILED, or
 * what has latched op->ctx. */
enum durable_rc context_run(struct context *c, struct json_object **value,
                            struct durable_error *err) DURABLE_CHECKED;
void context_wrap_child(struct durable_error *err);

#endif

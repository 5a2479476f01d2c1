#include "shared/durable/branch.h"

/* A branch that is recorded as ended comes to the same end again, or the program has changed. */
static enum durable_rc rebuild_one(const struct branch_set *set, struct op *op,
                                   struct durable_ctx *inside, size_t i,
                                   struct durable_batch *known, struct durable_error *err)
{
    struct branch b;
    bool succeeded = known->item[i].status == DURABLE_ITEM_SUCCEEDED;
    branch_init(&b, set, i, op);
    b.started = true;
    set->name(set, i, b.name);
    branch_run(&b, inside, true);
    enum durable_rc rc = b.rc;
    if (rc == DURABLE_OK || rc == DURABLE_FAILED) {
        branch_outcome(&b, op->ctx->x, known);
        rc = b.succeeded == succeeded
                 ? DURABLE_OK
                 : ctx_fatal(op->ctx, CHECKPOINT_EXECUTION, err, NON_DETERMINISM_TYPE,
                             "Non-deterministic execution detected: the branch \"%s\" %s and now "
                             "it does not",
                             b.raw, succeeded ? "succeeded" : "failed");
    } else if (rc == DURABLE_SUSPENDED) {
        ctx_park(op->ctx);
    } else {
        execution_ended(op->ctx->x, err);
        op->ctx->latch = DURABLE_FATAL;
    }
    branch_release(&b);
    return rc;
}

enum durable_rc branches_rebuild(const struct branch_set *set, struct op *op,
                                 struct durable_batch *known, struct durable_error *err)
{
    struct durable_ctx inside;
    enum durable_rc rc = DURABLE_OK;
    if (known->total > set->count)
        return ctx_fatal(op->ctx, CHECKPOINT_EXECUTION, err, NON_DETERMINISM_TYPE,
                         "Non-deterministic execution detected: the batch \"%s\" had %zu branches "
                         "and now has %zu",
                         op->raw, known->total, set->count);
    ctx_init_child(&inside, op, true, false);
    op->ctx->busy = true;
    for (size_t i = 0; rc == DURABLE_OK && i < known->total; i++)
        if (known->item[i].status != DURABLE_ITEM_STARTED)
            rc = rebuild_one(set, op, &inside, i, known, err);
    op->ctx->busy = false;
    return rc;
}

#include <stdlib.h>

#include "shared/base/json.h"
#include "shared/durable/batch.h"
#include "shared/durable/ctx.h"

#define FAILED_TYPE "PromiseCombinatorError"

/* The branch's own error as the combinator's. */
static enum durable_rc fail(struct durable_error *err, const struct durable_error *why)
{
    durable_error_copy(err, why);
    free(err->type);
    err->type = mem_dup(FAILED_TYPE);
    return DURABLE_FAILED;
}

static const struct durable_error *first_error(const struct durable_batch *b)
{
    for (size_t i = 0; i < b->total; i++)
        if (b->item[i].status == DURABLE_ITEM_FAILED)
            return &b->item[i].error;
    return NULL;
}

enum durable_rc durable_all(struct durable_ctx *ctx, const char *name,
                            const struct durable_branch *branches, size_t count,
                            struct json_object **out, struct durable_error *err)
{
    auto_durable_batch struct durable_batch *b = NULL;
    DURABLE_TRY(durable_parallel(ctx, name, branches, count, NULL, &b, err));
    const struct durable_error *why = first_error(b);
    if (why)
        return fail(err, why);
    if (out)
        *out = durable_batch_values(b);
    return DURABLE_OK;
}

static struct json_object *settled(const struct batch_item *item)
{
    struct json_object *o = json_object_new_object();
    bool ok = item->status == DURABLE_ITEM_SUCCEEDED;
    json_add_str(o, "status", ok ? "fulfilled" : "rejected");
    if (ok) {
        json_add(o, "value", json_object_get(item->value));
    } else {
        struct json_object *reason = json_object_new_object();
        const struct durable_error *e = &item->error;
        json_add_str(reason, "name", e->cause_type ? e->cause_type : e->type);
        json_add_str(reason, "message", e->message);
        json_add(o, "reason", reason);
    }
    return o;
}

enum durable_rc durable_all_settled(struct durable_ctx *ctx, const char *name,
                                    const struct durable_branch *branches, size_t count,
                                    struct json_object **out, struct durable_error *err)
{
    static const struct durable_batch_opts opts = {
        .completion.tolerated_failure_percentage = DURABLE_LIMIT(100),
    };
    auto_durable_batch struct durable_batch *b = NULL;
    DURABLE_TRY(durable_parallel(ctx, name, branches, count, &opts, &b, err));
    if (!out)
        return DURABLE_OK;
    *out = json_object_new_array();
    for (size_t i = 0; i < b->total; i++)
        json_push(*out, settled(&b->item[i]));
    return DURABLE_OK;
}

/* Hands the value of the first item that succeeded out. */
static bool take(const struct durable_batch *b, struct json_object **out)
{
    for (size_t i = 0; i < b->total; i++)
        if (b->item[i].status == DURABLE_ITEM_SUCCEEDED) {
            if (out)
                *out = json_object_get(b->item[i].value);
            return true;
        }
    return false;
}

enum durable_rc durable_any(struct durable_ctx *ctx, const char *name,
                            const struct durable_branch *branches, size_t count,
                            struct json_object **out, struct durable_error *err)
{
    static const struct durable_batch_opts opts = { .completion.min_successful = DURABLE_LIMIT(1) };
    auto_durable_batch struct durable_batch *b = NULL;
    DURABLE_TRY(durable_parallel(ctx, name, branches, count, &opts, &b, err));
    if (take(b, out))
        return DURABLE_OK;
    const struct durable_error *why = first_error(b);
    if (why)
        return fail(err, why);
    durable_error_set(err, FAILED_TYPE, "there is no branch to succeed");
    return DURABLE_FAILED;
}

static enum durable_verdict first_end(const struct durable_batch *so_far, void *arg)
{
    (void)arg;
    if (durable_batch_failed(so_far))
        return DURABLE_COMPLETE_FAILED;
    return durable_batch_succeeded(so_far) ? DURABLE_COMPLETE_SUCCEEDED : DURABLE_GO_ON;
}

enum durable_rc durable_race(struct durable_ctx *ctx, const char *name,
                             const struct durable_branch *branches, size_t count,
                             struct json_object **out, struct durable_error *err)
{
    static const struct durable_batch_opts opts = { .completion.should_complete = first_end };
    auto_durable_batch struct durable_batch *b = NULL;
    DURABLE_TRY(ctx_enter(ctx, err));
    if (count == 0)
        return op_invalid(err, "a race of no branches has no end");
    DURABLE_TRY(durable_parallel(ctx, name, branches, count, &opts, &b, err));
    const struct durable_error *why = first_error(b);
    if (why)
        return fail(err, why);
    take(b, out);
    return DURABLE_OK;
}

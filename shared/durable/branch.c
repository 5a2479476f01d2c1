#include "shared/durable/branch.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"
#include "shared/durable/context.h"

void branch_init(struct branch *b, const struct branch_set *set, size_t index,
                 const struct op *parent)
{
    *b = (struct branch){ .set = set, .index = index, .strand = { .parent = parent->ctx->strand } };
    b->raw = opid_raw(parent->raw, index + 1);
}

void branch_release(struct branch *b)
{
    strand_release(&b->strand);
    free(b->raw);
    b->raw = NULL;
    payload_release(&b->payload);
    durable_error_release(&b->error);
}

/* The branch's context operation, called from `place`, a private copy of the batch's inside. */
static enum durable_rc begin(struct branch *b, struct durable_ctx *parent,
                             struct durable_ctx *place, struct op *op, struct durable_error *err)
{
    const struct branch_set *set = b->set;
    *place = *parent;
    place->strand = &b->strand;
    place->latch = DURABLE_OK;
    place->busy = false;
    if (set->opts->flat)
        return op_begin_flat_at(place, b->raw, op, err);
    return op_begin_at(place, b->raw, set->subtype, b->name, op, err);
}

enum durable_rc branch_begin(struct branch *b, struct durable_ctx *parent,
                             struct durable_error *err)
{
    struct durable_ctx place;
    auto_op struct op op = { 0 };
    if (!b->set->opts->flat)
        b->set->name(b->set, b->index, b->name);
    DURABLE_TRY(begin(b, parent, &place, &op, err));
    if (!b->set->opts->flat && !op.record) {
        DURABLE_TRY(ctx_recordable(&place));
        op_send(&op, UPDATE_START, (struct update_fields){ 0 });
    }
    b->started = true;
    b->recorded = operation_ended(op.record);
    return DURABLE_OK;
}

bool branch_has_record(const struct branch *b, struct execution *x)
{
    char id[OPID_WIRE];
    opid_wire(b->raw, id);
    return execution_find(x, id) != NULL;
}

static enum durable_rc body(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    const struct branch *b = arg;
    (void)in;
    return b->set->body(b->set, b->index, ctx, out, err);
}

void branch_run(struct branch *b, struct durable_ctx *parent, bool rebuilding)
{
    const struct branch_set *set = b->set;
    struct durable_ctx place;
    auto_op struct op op = { 0 };
    auto_durable_error struct durable_error err = { 0 };
    enum durable_rc rc = begin(b, parent, &place, &op, &err);
    place.rebuilding = rebuilding;
    struct context c = { .op = &op,
                         .body = body,
                         .arg = b,
                         .opts = { .serdes = set->opts->item_serdes, .flat = set->opts->flat },
                         .started = b->started,
                         .text_only = true };
    if (rc == DURABLE_OK)
        rc = context_run(&c, NULL, &err);
    b->rc = rc;
    b->succeeded = rc == DURABLE_OK;
    payload_release(&b->payload);
    durable_error_release(&b->error);
    if (rc == DURABLE_OK)
        b->payload = c.payload;
    else
        payload_release(&c.payload);
    if (rc == DURABLE_FAILED)
        durable_error_copy(&b->error, &err);
}

/* False with item->error. */
static bool read_value(const struct branch *b, const struct execution *x, struct batch_item *item)
{
    char id[OPID_WIRE];
    opid_wire(b->raw, id);
    const struct codec codec = { .serdes = b->set->opts->item_serdes, .of = { x->arn, id } };
    if (payload_read(b->payload.text, b->payload.len, &codec, &item->value, &item->error) == 0)
        return true;
    context_wrap_child(&item->error);
    return false;
}

void branch_outcome(const struct branch *b, const struct execution *x, struct durable_batch *batch)
{
    struct batch_item item = { .status = DURABLE_ITEM_FAILED };
    if (!b->succeeded)
        durable_error_copy(&item.error, &b->error);
    else if (read_value(b, x, &item))
        item.status = DURABLE_ITEM_SUCCEEDED;
    batch_put(batch, b->index, &item);
}

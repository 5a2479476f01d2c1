#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"
#include "shared/base/utf8.h"
#include "shared/durable/branches.h"
#include "shared/durable/completion.h"
#include "shared/durable/context.h"
#include "shared/durable/error.h"

#define SUMMARY_LIMIT (2U * PAYLOAD_MAX)

/* A call of durable_parallel or durable_map. */
struct call {
    struct op *op;
    const struct branch_set *set;
    const char *result_type; /* in a summary */
};

/* ---- the batch's own record ------------------------------------------------------------------ */

static void summarise(const struct call *call, const struct durable_batch *b, struct payload *p)
{
    const struct durable_batch_opts *opts = call->set->opts;
    auto_buf struct buf text = BUF_INIT(SUMMARY_LIMIT);
    auto_free char *more = opts->summary ? opts->summary(b, opts->summary_arg) : NULL;
    batch_write_summary(&text, b, call->result_type, more);
    if (buf_overflowed(&text) || text.len > PAYLOAD_MAX) { /* rather no words than no letters */
        buf_reset(&text);
        batch_write_summary(&text, b, call->result_type, NULL);
    }
    p->text = buf_take(&text, &p->len);
}

/* With a serdes of one's own the batch is what that reads back. */
static int write_batch(const struct call *call, struct durable_batch *b, struct payload *p,
                       struct durable_error *why)
{
    const struct durable_serdes *serdes = call->set->opts->serdes;
    const struct codec codec = op_codec(call->op, serdes);
    auto_json struct json_object *o = durable_batch_json(b);
    if (!serdes)
        return payload_write(o, &codec, p, why);
    if (payload_round_trip(&o, &codec, p, why) < 0)
        return -1;
    struct durable_batch *back = batch_read(o, why);
    if (!back)
        return -1;
    struct durable_batch old = *b;
    *b = *back;
    *back = old;
    durable_batch_free(back);
    return 0;
}

static enum durable_rc completed(void *arg, struct durable_batch *b, struct durable_error *err)
{
    const struct call *call = arg;
    struct op *op = call->op;
    auto_payload struct payload p = { 0 };
    auto_durable_error struct durable_error why = { 0 };
    if (write_batch(call, b, &p, &why) < 0) {
        op_send(op, UPDATE_FAIL, (struct update_fields){ .error = &why });
        DURABLE_TRY(ctx_flush(op->ctx, err));
        error_round_trip(&why);
        context_wrap_child(&why);
        durable_error_copy(err, &why);
        return DURABLE_FAILED;
    }
    bool too_large = p.len > PAYLOAD_MAX;
    if (too_large) {
        payload_release(&p);
        summarise(call, b, &p);
    }
    op_send(op, UPDATE_SUCCEED,
            (struct update_fields){
                .payload = p.text, .payload_len = p.len, .replay_children = too_large });
    return ctx_flush(op->ctx, err);
}

/* ---- replay ---------------------------------------------------------------------------------- */

static enum durable_rc unreadable(struct op *op, const struct durable_error *why,
                                  struct durable_error *err)
{
    return ctx_fatal(op->ctx, CHECKPOINT_EXECUTION, err, why->type, "the batch \"%s\": %s", op->raw,
                     why->message ? why->message : "");
}

static enum durable_rc recorded(const struct call *call, struct durable_batch **out,
                                struct durable_error *err)
{
    struct op *op = call->op;
    const struct operation *r = op->record;
    auto_durable_error struct durable_error why = { 0 };
    auto_durable_batch struct durable_batch *b = NULL;
    if (r->status != OP_SUCCEEDED) {
        durable_error_copy(err, &r->error);
        context_wrap_child(err);
        return DURABLE_FAILED;
    }
    if (r->replay_children) {
        b = batch_read_summary(r->payload, r->payload_len, &why);
        if (!b)
            return unreadable(op, &why, err);
        DURABLE_TRY(branches_rebuild(call->set, op, b, err));
    } else {
        auto_json struct json_object *o = NULL;
        const struct codec codec = op_codec(op, call->set->opts->serdes);
        if (payload_read(r->payload, r->payload_len, &codec, &o, err) < 0)
            return DURABLE_FAILED;
        b = batch_read(o, err);
        if (!b)
            return DURABLE_FAILED;
    }
    *out = MOVE(b);
    return DURABLE_OK;
}

static enum durable_rc batch(struct durable_ctx *ctx, const char *name, const char *subtype,
                             const char *result_type, const struct branch_set *set,
                             struct durable_batch **out, struct durable_error *err)
{
    auto_op struct op op = { 0 };
    auto_durable_batch struct durable_batch *b = NULL;
    enum durable_rc rc;
    DURABLE_TRY(ctx_enter(ctx, err));
    const char *wrong =
        completion_check(&set->opts->completion, &set->opts->max_concurrency, set->count);
    if (wrong)
        return op_invalid(err, "%s", wrong);
    DURABLE_TRY(op_begin(ctx, OP_CONTEXT, subtype, name, &op, err));
    struct call call = { .op = &op, .set = set, .result_type = result_type };
    if (operation_ended(op.record)) {
        rc = recorded(&call, &b, err);
    } else if (ctx->rebuilding) {
        return ctx_park(ctx);
    } else {
        DURABLE_TRY(ctx_recordable(ctx));
        if (!op.record)
            op_send(&op, UPDATE_START, (struct update_fields){ 0 });
        rc = branches_run(set, &op, completed, &call, &b, err);
    }
    if (rc == DURABLE_OK && out)
        *out = MOVE(b);
    return rc;
}

/* ---- parallel -------------------------------------------------------------------------------- */

static const struct durable_batch_opts defaults = { 0 };

static void parallel_name(const struct branch_set *set, size_t index, char name[DURABLE_NAME_SIZE])
{
    const struct durable_branch *branches = set->arg;
    if (branches[index].name)
        snprintf(name, DURABLE_NAME_SIZE, "%s", branches[index].name);
    else
        snprintf(name, DURABLE_NAME_SIZE, "parallel-branch-%zu", index);
}

static enum durable_rc parallel_body(const struct branch_set *set, size_t index,
                                     struct durable_ctx *ctx, struct json_object **out,
                                     struct durable_error *err)
{
    const struct durable_branch *branches = set->arg;
    return branches[index].body(ctx, NULL, branches[index].arg, out, err);
}

enum durable_rc durable_parallel(struct durable_ctx *ctx, const char *name,
                                 const struct durable_branch *branches, size_t count,
                                 const struct durable_batch_opts *opts, struct durable_batch **out,
                                 struct durable_error *err)
{
    DURABLE_TRY(ctx_enter(ctx, err));
    for (size_t i = 0; i < count; i++)
        if (!op_name_valid(branches[i].name))
            return op_invalid(err, "the name of branch %zu has 1 to 256 printable ASCII characters",
                              i);
    const struct branch_set set = { .count = count,
                                    .subtype = "ParallelBranch",
                                    .name = parallel_name,
                                    .body = parallel_body,
                                    .arg = branches,
                                    .opts = opts ? opts : &defaults };
    return batch(ctx, name, "Parallel", "ParallelResult", &set, out, err);
}

/* ---- map ------------------------------------------------------------------------------------- */

struct map {
    durable_item_fn *body;
    void *arg;
    struct json_object *items; /* the calling thread's */
    char **text;               /* the items as JSON, for any thread */
};

static void map_name(const struct branch_set *set, size_t index, char name[DURABLE_NAME_SIZE])
{
    const struct map *m = set->arg;
    name[0] = '\0';
    if (set->opts->namer)
        set->opts->namer(json_object_array_get_idx(m->items, index), index, set->opts->namer_arg,
                         name);
    name[DURABLE_NAME_SIZE - 1] = '\0';
    for (char *c = name; *c; c++) /* the service takes nothing else */
        if (*c < ' ' || *c > '~')
            *c = '?';
    if (!name[0])
        snprintf(name, DURABLE_NAME_SIZE, "map-item-%zu", index);
}

static enum durable_rc map_body(const struct branch_set *set, size_t index, struct durable_ctx *ctx,
                                struct json_object **out, struct durable_error *err)
{
    const struct map *m = set->arg;
    auto_json struct json_object *item = NULL;
    const struct codec json = { 0 };
    if (payload_read(m->text[index], strlen(m->text[index]), &json, &item, err) < 0)
        return DURABLE_FAILED;
    return m->body(ctx, item, index, m->arg, out, err);
}

static int map_texts(struct map *m, size_t count, struct durable_error *err)
{
    m->text = mem_array(count ? count : 1, sizeof(*m->text));
    for (size_t i = 0; i < count; i++) {
        const struct codec json = { 0 };
        struct payload p = { 0 };
        if (payload_write(json_object_array_get_idx(m->items, i), &json, &p, err) < 0)
            return -1;
        m->text[i] = p.text ? p.text : mem_dup("null");
    }
    return 0;
}

enum durable_rc durable_map(struct durable_ctx *ctx, const char *name, struct json_object *items,
                            durable_item_fn *body, void *arg, const struct durable_batch_opts *opts,
                            struct durable_batch **out, struct durable_error *err)
{
    DURABLE_TRY(ctx_enter(ctx, err));
    if (!json_object_is_type(items, json_type_array))
        return op_invalid(err, "the items of a map are a JSON array");
    size_t count = json_object_array_length(items);
    struct map m = { .body = body, .arg = arg, .items = items };
    const struct branch_set set = { .count = count,
                                    .subtype = "MapIteration",
                                    .name = map_name,
                                    .body = map_body,
                                    .arg = &m,
                                    .opts = opts ? opts : &defaults };
    enum durable_rc rc = DURABLE_FAILED;
    if (map_texts(&m, count, err) == 0)
        rc = batch(ctx, name, "Map", "MapResult", &set, out, err);
    for (size_t i = 0; i < count; i++)
        free(m.text[i]);
    free(m.text);
    return rc;
}

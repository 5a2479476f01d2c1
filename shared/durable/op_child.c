#include <string.h>

#include "shared/durable/context.h"

#define SUBTYPE     "RunInChildContext"
#define SUBTYPE_MAX 32

static bool subtype_valid(const char *s)
{
    size_t len = strlen(s);
    return len > 0 && len <= SUBTYPE_MAX &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == len;
}

enum durable_rc durable_child(struct durable_ctx *ctx, const char *name, durable_fn *body,
                              struct json_object *in, void *arg,
                              const struct durable_child_opts *opts, struct json_object **out,
                              struct durable_error *err)
{
    static const struct durable_child_opts defaults = { 0 };
    auto_op struct op op = { 0 };
    opts = opts ? opts : &defaults;
    const char *subtype = opts->subtype ? opts->subtype : SUBTYPE;
    DURABLE_TRY(ctx_enter(ctx, err));
    if (!subtype_valid(subtype))
        return op_invalid(err, "a context's subtype has 1 to %d letters, digits, - and _",
                          SUBTYPE_MAX);
    DURABLE_TRY(opts->flat ? op_begin_flat(ctx, &op, err)
                           : op_begin(ctx, OP_CONTEXT, subtype, name, &op, err));
    struct context c = { .op = &op, .body = body, .in = in, .arg = arg, .opts = *opts };
    enum durable_rc rc = context_run(&c, out, err);
    payload_release(&c.payload);
    return rc;
}

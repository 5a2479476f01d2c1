#include <string.h>

#include "shared/durable/context.h"
#include "shared/durable/error.h"

/* A call of durable_wait_for_callback. */
struct call {
    durable_submit_fn *submit;
    void *arg;
    const struct durable_wait_for_callback_opts *opts;
};

struct submission {
    const struct call *call;
    const char *callback_id;
};

static int submit(struct durable_step *step, void *arg, struct json_object **out,
                  struct durable_error *err)
{
    const struct submission *s = arg;
    (void)out;
    return s->call->submit(step, s->callback_id, s->call->arg, err);
}

static enum durable_rc body(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    const struct call *call = arg;
    const struct durable_step_opts step = { .retry = call->opts->retry };
    auto_durable_callback struct durable_callback cb = { 0 };
    (void)in;

    DURABLE_TRY(durable_callback_create(ctx, NULL, &call->opts->callback, &cb, err));
    struct submission s = { .call = call, .callback_id = cb.id };
    enum durable_rc rc = durable_step(ctx, NULL, submit, &s, &step, NULL, err);
    if (rc == DURABLE_FAILED) { /* the cause stays: what the submitter gave */
        char *cause = MOVE(err->cause_type);
        error_wrap_as(err, "CallbackSubmitterError", "Callback submitter failed");
        mem_free_ptr(&err->cause_type);
        err->cause_type = cause;
    }
    if (rc != DURABLE_OK)
        return rc;
    return durable_callback_result(ctx, &cb, out, err);
}

/* The error says itself which of the operation's it is. */
static void keep(struct durable_error *err)
{
    if (!err->type)
        error_wrap_as(err, "CallbackError", "Callback failed");
}

enum durable_rc durable_wait_for_callback(struct durable_ctx *ctx, const char *name,
                                          durable_submit_fn *submitter, void *arg,
                                          const struct durable_wait_for_callback_opts *opts,
                                          struct json_object **out, struct durable_error *err)
{
    static const struct durable_wait_for_callback_opts defaults = { 0 };
    auto_op struct op op = { 0 };
    struct call call = { .submit = submitter, .arg = arg, .opts = opts ? opts : &defaults };
    DURABLE_TRY(ctx_enter(ctx, err));
    DURABLE_TRY(callback_opts_check(&call.opts->callback, err));
    DURABLE_TRY(op_begin(ctx, OP_CONTEXT, "WaitForCallback", name, &op, err));
    struct context c = { .op = &op, .body = body, .arg = &call, .wrap = keep };
    enum durable_rc rc = context_run(&c, out, err);
    payload_release(&c.payload);
    return rc;
}

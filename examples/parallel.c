/* parallel - different things at the same time.
 *
 * Each branch has a context of its own and runs on a thread of its own, so that their steps work at
 * the same time; a branch that only waits has no thread. Branches share nothing that they change,
 * and no json_object at all.
 *
 * Invoke it with {}; it returns {"stock":7,"price":19} after the longer of both. */
#include <durable.h>
#include <stdio.h>

extern char **environ; /* POSIX */

static int read_stock(struct durable_step *step, void *arg, struct json_object **out,
                      struct durable_error *err)
{
    (void)step, (void)arg, (void)err;
    *out = json_object_new_int(7);
    return 0;
}

static enum durable_rc stock(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return durable_step(ctx, "read-stock", read_stock, NULL, NULL, out, err);
}

static int read_price(struct durable_step *step, void *arg, struct json_object **out,
                      struct durable_error *err)
{
    (void)step, (void)arg, (void)err;
    *out = json_object_new_int(19);
    return 0;
}

static enum durable_rc price(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    DURABLE_TRY(durable_wait(ctx, "cool-down", 1, err)); /* any operation works in a branch */
    return durable_step(ctx, "read-price", read_price, NULL, NULL, out, err);
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *input, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)input, (void)arg;
    static const struct durable_branch branches[] = { { "stock", stock, NULL },
                                                      { "price", price, NULL } };
    auto_durable_batch struct durable_batch *batch = NULL;

    /* Without a rule of completion the first failure ends the batch. */
    DURABLE_TRY(durable_parallel(ctx, "look-up", branches, 2, NULL, &batch, err));
    DURABLE_TRY(durable_batch_check(batch, err)); /* a branch's failure becomes the handler's */
    *out = json_object_new_object();
    for (size_t i = 0; i < durable_batch_total(batch); i++)
        json_object_object_add(*out, branches[i].name,
                               json_object_get(durable_batch_value(batch, i)));
    return DURABLE_OK;
}

int main(void)
{
    struct durable_error err = { 0 };
    if (durable_serve(environ, handler, NULL, &err) < 0) {
        fprintf(stderr, "parallel: %s\n", err.message);
        durable_error_release(&err);
        return 1;
    }
    return 0;
}

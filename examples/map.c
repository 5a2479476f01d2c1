/* map - the same for each item of a list, a few at a time, with some failures allowed.
 *
 * At most 3 items are in work; up to a third of them may fail. The results are in the order of the
 * items, whichever ended first.
 *
 * Invoke it with {"orders":[{"id":1,"amount":10},{"id":2,"amount":-1},{"id":3,"amount":5}]}; it
 * returns {"charged":[1,3],"failed":["order 2: the amount is negative"],
 * "reason":"ALL_COMPLETED"}. */
#include <durable.h>
#include <stdio.h>

extern char **environ; /* POSIX */

static int charge(struct durable_step *step, void *arg, struct json_object **out,
                  struct durable_error *err)
{
    (void)step;
    struct json_object *id = json_object_object_get(arg, "id");
    if (json_object_get_int64(json_object_object_get(arg, "amount")) < 0) {
        durable_error_set(err, "Order.Invalid", "order %lld: the amount is negative",
                          (long long)json_object_get_int64(id));
        return -1;
    }
    *out = json_object_get(id);
    return 0;
}

static enum durable_rc charge_order(struct durable_ctx *ctx, struct json_object *order,
                                    size_t index, void *arg, struct json_object **out,
                                    struct durable_error *err)
{
    (void)index, (void)arg;
    static const struct durable_step_opts once = { .retry = DURABLE_RETRY_NONE };
    return durable_step(ctx, "charge", charge, order, &once, out, err);
}

/* What the history calls an item. */
static void name_order(struct json_object *order, size_t index, void *arg,
                       char name[DURABLE_NAME_SIZE])
{
    (void)index, (void)arg;
    snprintf(name, DURABLE_NAME_SIZE, "order-%lld",
             (long long)json_object_get_int64(json_object_object_get(order, "id")));
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *input, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_batch_opts opts = {
        .max_concurrency = DURABLE_LIMIT(3),
        .completion = { .tolerated_failure_percentage = DURABLE_LIMIT(34) },
        .namer = name_order,
    };
    auto_durable_batch struct durable_batch *batch = NULL;

    DURABLE_TRY(durable_map(ctx, "orders", json_object_object_get(input, "orders"), charge_order,
                            NULL, &opts, &batch, err));
    struct json_object *failed = json_object_new_array();
    for (size_t i = 0; i < durable_batch_total(batch); i++)
        if (durable_batch_item(batch, i) == DURABLE_ITEM_FAILED)
            json_object_array_add(failed,
                                  json_object_new_string(durable_batch_error(batch, i)->message));
    *out = json_object_new_object();
    json_object_object_add(*out, "charged", durable_batch_values(batch));
    json_object_object_add(*out, "failed", failed);
    json_object_object_add(*out, "reason",
                           json_object_new_string(durable_batch_reason_name(batch)));
    return DURABLE_OK;
}

int main(void)
{
    struct durable_error err = { 0 };
    if (durable_serve(environ, handler, NULL, &err) < 0) {
        fprintf(stderr, "map: %s\n", err.message);
        durable_error_release(&err);
        return 1;
    }
    return 0;
}

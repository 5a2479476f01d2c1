/* Suite 2: wait. */
#include "tests/conformance/suites.h"

static enum durable_rc basic(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg, (void)out;
    return durable_wait(ctx, NULL, 2, err);
}

static enum durable_rc named(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg, (void)out;
    return durable_wait(ctx, "custom_wait_name", 2, err);
}

static enum durable_rc two(struct durable_ctx *ctx, struct json_object *in, void *arg,
                           struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    DURABLE_TRY(durable_wait(ctx, "wait-1", 2, err));
    DURABLE_TRY(durable_wait(ctx, "wait-2", 2, err));
    *out = json_object_new_object();
    json_object_object_add(*out, "completedWaits", json_object_new_int(2));
    return DURABLE_OK;
}

static enum durable_rc an_hour(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg, (void)out;
    return durable_wait(ctx, NULL, 60 * 60, err);
}

const struct conformance_case wait_cases[] = {
    { "2-1", basic }, { "2-2", named }, { "2-3", two }, { "2-5", an_hour }, { NULL, NULL },
};

/* Suite 3: child contexts. */
#include <unistd.h>

#include "tests/conformance/suites.h"
#include "tests/conformance/values.h"

#define LARGE (300 * 1024) /* more than a checkpoint takes */

/* ---- bodies ---------------------------------------------------------------------------------- */

static enum durable_rc one_step(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return durable_step(ctx, NULL, give_json, in, NULL, out, err);
}

static enum durable_rc two_steps(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)arg;
    struct json_object *first = NULL;
    DURABLE_TRY(durable_step(ctx, NULL, give_json, in, NULL, &first, err));
    enum durable_rc rc = durable_step(ctx, NULL, give_json, first, NULL, out, err);
    json_object_put(first);
    return rc;
}

static enum durable_rc failing_step(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                    struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return durable_step(ctx, NULL, fail_always, NULL, &no_retry, out, err);
}

static enum durable_rc retried_step(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                    struct json_object **out, struct durable_error *err)
{
    (void)arg;
    const char *text = text_of(in);
    const struct durable_step_opts opts = { .retry = every_second(3) };
    return durable_step(ctx, NULL, fail_once, &text, &opts, out, err);
}

static enum durable_rc step_then_child(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                       struct json_object **out, struct durable_error *err)
{
    (void)arg;
    DURABLE_TRY(durable_step(ctx, NULL, give_json, in, NULL, NULL, err));
    return durable_child(ctx, "inner", one_step, in, NULL, NULL, out, err);
}

static enum durable_rc step_then_wait(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                      struct json_object **out, struct durable_error *err)
{
    (void)arg;
    struct json_object *value = NULL;
    DURABLE_TRY(durable_step(ctx, NULL, give_json, in, NULL, &value, err));
    return wait_and_give(ctx, 1, value, out, err);
}

/* Logs, does one small step and makes a value of it that is too large to be recorded. */
static enum durable_rc large(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)arg;
    struct json_object *small = NULL;
    durable_log(ctx, DURABLE_LOG_INFO, "the body runs for %s", text_of(in));
    DURABLE_TRY(durable_step(ctx, NULL, give_json, in, NULL, &small, err));
    *out = new_filler(text_of(small)[0], LARGE);
    json_object_put(small);
    return DURABLE_OK;
}

struct fragile {
    struct json_object *value;
    bool again; /* an earlier process has been here */
};

/* Ends the process once the START of the step has had time to be recorded. */
static int die_first(struct durable_step *step, void *arg, struct json_object **out,
                     struct durable_error *err)
{
    const struct fragile *f = arg;
    if (!f->again) {
        sleep(1);
        _exit(1);
    }
    return give_json(step, f->value, out, err);
}

static enum durable_rc interrupted(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err)
{
    (void)arg;
    struct fragile f = { in, durable_is_replaying(ctx) };
    return durable_step(ctx, NULL, die_first, &f, NULL, out, err);
}

static enum durable_rc nothing(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in, (void)arg, (void)out, (void)err;
    return DURABLE_OK;
}

static enum durable_rc only_logs(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    durable_log(ctx, DURABLE_LOG_INFO, "the body runs for %s", text_of(in));
    return return_input(ctx, in, arg, out, err);
}

/* ---- handlers -------------------------------------------------------------------------------- */

/* A handler that is one child context with `body`. */
#define CHILD_OF(name, body)                                                                       \
    static enum durable_rc name(struct durable_ctx *ctx, struct json_object *in, void *arg,        \
                                struct json_object **out, struct durable_error *err)               \
    {                                                                                              \
        (void)arg;                                                                                 \
        return durable_child(ctx, "child", body, in, NULL, NULL, out, err);                        \
    }

CHILD_OF(basic, one_step)
CHILD_OF(sequence, two_steps)
CHILD_OF(failed, failing_step)
CHILD_OF(retried, retried_step)
CHILD_OF(mixed, step_then_wait)
CHILD_OF(crashed, interrupted)
CHILD_OF(null_result, nothing)

static enum durable_rc named(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return durable_child(ctx, text_at(in, "name"), one_step, json_object_object_get(in, "value"),
                         NULL, NULL, out, err);
}

static enum durable_rc caught(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)arg;
    enum durable_rc rc = durable_child(ctx, "child", failing_step, NULL, NULL, NULL, NULL, err);
    if (rc != DURABLE_FAILED)
        return rc;
    return durable_step(ctx, NULL, give_json, in, NULL, out, err);
}

static enum durable_rc nested(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return durable_child(ctx, "outer", step_then_child, in, NULL, NULL, out, err);
}

static enum durable_rc serdes(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_child_opts opts = { .serdes = &shouting };
    return durable_child(ctx, "child", one_step, in, NULL, &opts, out, err);
}

/* A child, and then a wait: the second invocation finds the child done. */
static enum durable_rc then_wait(struct durable_ctx *ctx, durable_fn *body, struct json_object *in,
                                 struct json_object **out, struct durable_error *err)
{
    struct json_object *value = NULL;
    DURABLE_TRY(durable_child(ctx, "child", body, in, NULL, NULL, &value, err));
    return wait_and_give(ctx, 1, value, out, err);
}

static enum durable_rc cached(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return then_wait(ctx, one_step, in, out, err);
}

static enum durable_rc cached_log(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return then_wait(ctx, only_logs, in, out, err);
}

/* The result of the execution is the length that the large value has after the replay. */
static enum durable_rc rebuilt(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    struct json_object *value = NULL;
    DURABLE_TRY(then_wait(ctx, large, in, &value, err));
    *out = json_object_new_int(json_object_get_string_len(value));
    json_object_put(value);
    return DURABLE_OK;
}

static enum durable_rc mixed_after(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err)
{
    (void)arg;
    struct json_object *value = NULL;
    DURABLE_TRY(durable_child(ctx, "child", step_then_wait, in, NULL, NULL, &value, err));
    enum durable_rc rc = step_then_wait(ctx, value, NULL, out, err);
    json_object_put(value);
    return rc;
}

const struct conformance_case child_cases[] = {
    { "3-1", basic },        { "3-2", named },       { "3-3", sequence },     { "3-4", failed },
    { "3-5", caught },       { "3-6", nested },      { "3-7", retried },      { "3-9", cached },
    { "3-10", mixed },       { "3-11", rebuilt },    { "3-12", crashed },     { "3-14", serdes },
    { "3-16", null_result }, { "3-17", cached_log }, { "3-18", mixed_after }, { NULL, NULL },
};

/* everything.h - a workflow that uses every operation, for tests that run it in many ways. Its
 * result does not depend on how. Any number of threads. */
#ifndef TESTS_DURABLE_EVERYTHING_H
#define TESTS_DURABLE_EVERYTHING_H

#include "shared/base/json.h"
#include "shared/durable/durable_testing.h"

#define EVERYTHING_INPUT "{\"n\":3}"
#define EVERYTHING_RESULT                                                                          \
    "{\"step\":\"s\",\"once\":\"s\",\"flaky\":\"2\",\"callback\":\"pong\",\"submitted\":\"yes\","  \
    "\"condition\":3,\"invoke\":[7],\"child\":\"s\",\"map\":[0,10,20],\"flat\":[\"s\",\"s\"],"     \
    "\"nested\":[[\"s\",\"s\"],\"s\"],\"race\":\"s\",\"retry\":2}"

/* What the bodies did, over all invocations. */
struct everything {
    unsigned once;      /* bodies of the at-most-once step */
    unsigned bodies;    /* of the others */
    unsigned submitted; /* ids handed over */
};

static inline int everything_step(struct durable_step *step, void *arg, struct json_object **out,
                                  struct durable_error *err)
{
    struct everything *e = arg;
    (void)step, (void)err;
    __atomic_add_fetch(&e->bodies, 1, __ATOMIC_RELAXED);
    *out = json_object_new_string("s");
    return 0;
}

static inline int everything_once(struct durable_step *step, void *arg, struct json_object **out,
                                  struct durable_error *err)
{
    struct everything *e = arg;
    (void)step, (void)err;
    __atomic_add_fetch(&e->once, 1, __ATOMIC_RELAXED);
    *out = json_object_new_string("s");
    return 0;
}

static inline int everything_flaky(struct durable_step *step, void *arg, struct json_object **out,
                                   struct durable_error *err)
{
    (void)arg;
    if (durable_step_attempt(step) < 2) {
        durable_error_set(err, "NotYet", "attempt 1");
        return -1;
    }
    *out = json_object_new_string("2");
    return 0;
}

static inline int everything_submit(struct durable_step *step, const char *id, void *arg,
                                    struct durable_error *err)
{
    struct everything *e = arg;
    (void)step, (void)err;
    if (id[0])
        __atomic_add_fetch(&e->submitted, 1, __ATOMIC_RELAXED);
    return 0;
}

static inline int everything_check(struct durable_step *step, struct json_object *state, void *arg,
                                   struct json_object **next, bool *done, struct durable_error *err)
{
    int n = json_object_get_int(state) + 1;
    (void)step, (void)arg, (void)err;
    *next = json_object_new_int(n);
    *done = n >= 3;
    return 0;
}

static inline enum durable_rc everything_child(struct durable_ctx *ctx, struct json_object *in,
                                               void *arg, struct json_object **out,
                                               struct durable_error *err)
{
    (void)in;
    DURABLE_TRY(durable_wait(ctx, "inside", 2, err));
    return durable_step(ctx, "inner", everything_step, arg, NULL, out, err);
}

static inline enum durable_rc everything_item(struct durable_ctx *ctx, struct json_object *item,
                                              size_t index, void *arg, struct json_object **out,
                                              struct durable_error *err)
{
    if (index == 1)
        DURABLE_TRY(durable_wait(ctx, "pause", 1, err));
    DURABLE_TRY(durable_step(ctx, "work", everything_step, arg, NULL, NULL, err));
    *out = json_object_new_int(json_object_get_int(item) * 10);
    return DURABLE_OK;
}

static inline enum durable_rc everything_one(struct durable_ctx *ctx, struct json_object *in,
                                             void *arg, struct json_object **out,
                                             struct durable_error *err)
{
    (void)in;
    return durable_step(ctx, NULL, everything_step, arg, NULL, out, err);
}

static inline enum durable_rc everything_two(struct durable_ctx *ctx, struct json_object *in,
                                             void *arg, struct json_object **out,
                                             struct durable_error *err)
{
    const struct durable_branch two[] = { { "left", everything_one, arg },
                                          { "right", everything_child, arg } };
    auto_durable_batch struct durable_batch *b = NULL;
    (void)in;
    DURABLE_TRY(durable_parallel(ctx, "inner", two, 2, NULL, &b, err));
    *out = durable_batch_values(b);
    return DURABLE_OK;
}

static inline enum durable_rc everything_never(struct durable_ctx *ctx, struct json_object *in,
                                               void *arg, struct json_object **out,
                                               struct durable_error *err)
{
    (void)in, (void)arg, (void)out;
    return durable_wait(ctx, "for ever", 31622400, err);
}

static inline enum durable_rc everything_attempt(struct durable_ctx *ctx, unsigned attempt,
                                                 struct json_object *in, void *arg,
                                                 struct json_object **out,
                                                 struct durable_error *err)
{
    (void)in;
    DURABLE_TRY(durable_step(ctx, NULL, everything_step, arg, NULL, NULL, err));
    if (attempt < 2) {
        durable_error_set(err, "NotYet", "attempt %u", attempt);
        return DURABLE_FAILED;
    }
    *out = json_object_new_int((int)attempt);
    return DURABLE_OK;
}

static inline enum durable_rc everything_single(struct durable_ctx *ctx, struct json_object *o,
                                                void *arg, struct durable_error *err)
{
    static const struct durable_step_opts once = { .at_most_once = true,
                                                   .retry = DURABLE_RETRY_FIXED(20, 1) };
    static const struct durable_step_opts flaky = { .retry = DURABLE_RETRY_FIXED(20, 1) };
    static const struct durable_condition_opts polls = { .polling = { .rate = 1 } };
    struct json_object *v = NULL;
    auto_durable_callback struct durable_callback cb = { 0 };
    auto_json struct json_object *seven = json_object_new_int(7);

    DURABLE_TRY(durable_step(ctx, "step", everything_step, arg, NULL, &v, err));
    json_add(o, "step", v);
    DURABLE_TRY(durable_step(ctx, "once", everything_once, arg, &once, &v, err));
    json_add(o, "once", v);
    DURABLE_TRY(durable_step(ctx, "flaky", everything_flaky, arg, &flaky, &v, err));
    json_add(o, "flaky", v);
    DURABLE_TRY(durable_callback_create(ctx, "ping", NULL, &cb, err));
    DURABLE_TRY(durable_wait(ctx, "wait", 60, err));
    DURABLE_TRY(durable_callback_result(ctx, &cb, &v, err));
    json_add(o, "callback", v);
    DURABLE_TRY(durable_wait_for_callback(ctx, "approval", everything_submit, arg, NULL, &v, err));
    json_add(o, "submitted", v);
    DURABLE_TRY(durable_wait_for_condition(ctx, "polls", everything_check, arg, &polls, &v, err));
    json_add(o, "condition", v);
    DURABLE_TRY(durable_invoke(ctx, "call", "other:1", seven, NULL, &v, err));
    json_add(o, "invoke", v);
    return DURABLE_OK;
}

static inline enum durable_rc everything_many(struct durable_ctx *ctx, struct json_object *o,
                                              void *arg, struct durable_error *err)
{
    static const struct durable_batch_opts flat = { .flat = true };
    static const struct durable_retry retry = DURABLE_RETRY_FIXED(20, 1);
    const struct durable_branch ones[] = { { NULL, everything_one, arg },
                                           { NULL, everything_one, arg } };
    const struct durable_branch nested[] = { { NULL, everything_two, arg },
                                             { NULL, everything_one, arg } };
    const struct durable_branch racers[] = { { NULL, everything_never, arg },
                                             { NULL, everything_child, arg } };
    struct json_object *v = NULL;
    auto_durable_batch struct durable_batch *map = NULL;
    auto_durable_batch struct durable_batch *steps = NULL;
    auto_json struct json_object *items = json_object_new_array();
    for (int i = 0; i < 3; i++)
        json_object_array_add(items, json_object_new_int(i));

    DURABLE_TRY(durable_child(ctx, "child", everything_child, NULL, arg, NULL, &v, err));
    json_add(o, "child", v);
    DURABLE_TRY(durable_map(ctx, "map", items, everything_item, arg, NULL, &map, err));
    json_add(o, "map", durable_batch_values(map));
    DURABLE_TRY(durable_parallel(ctx, "flat", ones, 2, &flat, &steps, err));
    json_add(o, "flat", durable_batch_values(steps));
    DURABLE_TRY(durable_all(ctx, "nested", nested, 2, &v, err));
    json_add(o, "nested", v);
    DURABLE_TRY(durable_any(ctx, "race", racers, 2, &v, err));
    json_add(o, "race", v);
    DURABLE_TRY(durable_with_retry(ctx, "retry", everything_attempt, NULL, arg, &retry, &v, err));
    json_add(o, "retry", v);
    return DURABLE_OK;
}

/* `arg` is a struct everything. */
static inline enum durable_rc everything(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                         struct json_object **out, struct durable_error *err)
{
    auto_json struct json_object *o = json_object_new_object();
    (void)in;
    DURABLE_TRY(everything_single(ctx, o, arg, err));
    DURABLE_TRY(everything_many(ctx, o, arg, err));
    *out = json_object_get(o);
    return DURABLE_OK;
}

/* What the world does for it. */
static inline void everything_script(struct durable_test *t)
{
    durable_test_callback_succeeds(t, "ping", 5, "pong");
    durable_test_callback_heartbeat(t, "approval", 1);
    durable_test_callback_succeeds(t, "approval", 600, "yes");
    durable_test_function_returns(t, "other:1", 30, "[7]");
}

#endif

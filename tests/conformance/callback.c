/* Suite 4: callbacks. The payloads of the external system are JSON. */
#include <stdlib.h>
#include <time.h>

#include "tests/conformance/suites.h"
#include "tests/conformance/values.h"

static const struct durable_callback_opts json = { .json = true };

static int do_nothing(struct durable_step *step, void *arg, struct json_object **out,
                      struct durable_error *err)
{
    (void)step, (void)arg, (void)out, (void)err;
    return 0;
}

/* A callback `name`; then a step where there is one; then a wait of `wait_s` unless that is 0; then
 * the result. */
struct plan {
    const char *name;
    struct durable_callback_opts opts;
    durable_step_fn *step;
    int64_t wait_s;
};

static enum durable_rc run(struct durable_ctx *ctx, const struct plan *plan,
                           struct json_object **out, struct durable_error *err)
{
    auto_durable_callback struct durable_callback cb = { 0 };
    DURABLE_TRY(durable_callback_create(ctx, plan->name, &plan->opts, &cb, err));
    if (plan->step)
        DURABLE_TRY(durable_step(ctx, NULL, plan->step, NULL, NULL, NULL, err));
    if (plan->wait_s)
        DURABLE_TRY(durable_wait(ctx, NULL, plan->wait_s, err));
    return durable_callback_result(ctx, &cb, out, err);
}

/* A handler with a plan for a callback whose name is the input. */
#define PLAN(handler, ...)                                                                         \
    static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,     \
                                   struct json_object **out, struct durable_error *err)            \
    {                                                                                              \
        (void)arg;                                                                                 \
        const struct plan plan = { .name = text_of(in), __VA_ARGS__ };                             \
        return run(ctx, &plan, out, err);                                                          \
    }

PLAN(basic, .opts = { .json = true })
PLAN(timed, .opts = { .timeout_s = 5 })
PLAN(silent, .opts = { .heartbeat_timeout_s = 5 })
PLAN(beating, .opts = { .json = true, .heartbeat_timeout_s = 10 })
PLAN(timed_with_step, .opts = { .timeout_s = 5 }, .step = do_nothing)
PLAN(during_wait, .opts = { .json = true }, .wait_s = 5)
PLAN(timeout_during_wait, .opts = { .timeout_s = 3 }, .wait_s = 6)

static enum durable_rc approval(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    const struct plan plan = { .name = "approval", .opts = { .json = true } };
    return run(ctx, &plan, out, err);
}

/* ---- deserialisers --------------------------------------------------------------------------- */

/* A message with its time in ISO 8601 becomes one with its time in seconds. */
static int read_message(const char *text, size_t len, const struct durable_payload_of *of,
                        void *arg, struct json_object **value, struct durable_error *err)
{
    (void)len, (void)of, (void)arg;
    struct json_object *message = json_tokener_parse(text);
    struct tm tm = { 0 };
    if (!strptime(text_at(message, "timestamp"), "%Y-%m-%dT%H:%M:%S", &tm)) {
        durable_error_set(err, "Error", "the message has no timestamp");
        json_object_put(message);
        return -1;
    }
    json_object_object_add(message, "timestamp", json_object_new_int64(timegm(&tm)));
    *value = message;
    return 0;
}

static int read_number(const char *text, size_t len, const struct durable_payload_of *of, void *arg,
                       struct json_object **value, struct durable_error *err)
{
    (void)len, (void)of, (void)arg, (void)err;
    *value = json_object_new_int64(strtoll(text, NULL, 10));
    return 0;
}

static const struct durable_serdes messages = { .deserialise = read_message };
static const struct durable_serdes numbers = { .deserialise = read_number };

static enum durable_rc received(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)arg;
    const struct plan plan = { .name = text_of(in), .opts = { .serdes = &messages } };
    struct json_object *message = NULL;
    DURABLE_TRY(run(ctx, &plan, &message, err));
    *out = json_object_new_object();
    json_object_object_add(*out, "received", message);
    return DURABLE_OK;
}

static enum durable_rc doubled(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    const struct plan plan = { .name = text_of(in), .opts = { .serdes = &numbers } };
    struct json_object *number = NULL;
    DURABLE_TRY(run(ctx, &plan, &number, err));
    *out = json_object_new_object();
    json_object_object_add(*out, "count", number);
    json_object_object_add(*out, "doubled",
                           json_object_new_int64(json_object_get_int64(number) * 2));
    return DURABLE_OK;
}

static enum durable_rc caught(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)arg;
    const struct plan plan = { .name = text_of(in), .opts = { .json = true } };
    enum durable_rc rc = run(ctx, &plan, NULL, err);
    if (rc != DURABLE_FAILED)
        return rc;
    return wait_and_give(ctx, 2, new_text(err->message), out, err);
}

/* ---- several --------------------------------------------------------------------------------- */

static enum durable_rc create_nth(struct durable_ctx *ctx, struct json_object *names, size_t n,
                                  struct durable_callback *cb, struct durable_error *err)
{
    return durable_callback_create(ctx, text_of(json_object_array_get_idx(names, n)), &json, cb,
                                   err);
}

static enum durable_rc add_result(struct durable_ctx *ctx, const struct durable_callback *cb,
                                  struct json_object *results, struct durable_error *err)
{
    struct json_object *value = NULL;
    DURABLE_TRY(durable_callback_result(ctx, cb, &value, err));
    json_object_array_add(results, value);
    return DURABLE_OK;
}

static enum durable_rc one_by_one(struct durable_ctx *ctx, struct json_object *in,
                                  struct json_object *results, struct durable_error *err)
{
    for (size_t i = 0; i < 2; i++) {
        auto_durable_callback struct durable_callback cb = { 0 };
        DURABLE_TRY(create_nth(ctx, in, i, &cb, err));
        DURABLE_TRY(add_result(ctx, &cb, results, err));
    }
    return DURABLE_OK;
}

static enum durable_rc both_first(struct durable_ctx *ctx, struct json_object *in,
                                  struct json_object *results, struct durable_error *err)
{
    auto_durable_callback struct durable_callback a = { 0 }, b = { 0 };
    DURABLE_TRY(create_nth(ctx, in, 0, &a, err));
    DURABLE_TRY(create_nth(ctx, in, 1, &b, err));
    DURABLE_TRY(add_result(ctx, &a, results, err));
    return add_result(ctx, &b, results, err);
}

#define TWO(handler, how)                                                                          \
    static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,     \
                                   struct json_object **out, struct durable_error *err)            \
    {                                                                                              \
        (void)arg;                                                                                 \
        struct json_object *results = json_object_new_array();                                     \
        enum durable_rc rc = how(ctx, in, results, err);                                           \
        if (rc == DURABLE_OK)                                                                      \
            *out = results;                                                                        \
        else                                                                                       \
            json_object_put(results);                                                              \
        return rc;                                                                                 \
    }

TWO(sequential, one_by_one)
TWO(concurrent, both_first)

const struct conformance_case callback_cases[] = {
    { "4-1", basic },           { "4-2", approval },
    { "4-3", timed },           { "4-4", silent },
    { "4-5", beating },         { "4-6", basic },
    { "4-8", timed_with_step }, { "4-9", during_wait },
    { "4-10", during_wait },    { "4-11", timeout_during_wait },
    { "4-13", caught },         { "4-15", received },
    { "4-16", doubled },        { "4-17", sequential },
    { "4-18", concurrent },     { NULL, NULL },
};

/* Suite 8: parallel branches. */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/batch.h"
#include "tests/conformance/suites.h"
#include "tests/conformance/values.h"

#define BRANCHES_MAX 4

/* ---- branches -------------------------------------------------------------------------------- */

/* `arg` points to the text to give; NULL in its place: to fail. */
static enum durable_rc direct(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in;
    const char *text = *(const char **)arg;
    if (!text) {
        durable_error_set(err, "Error", "the branch fails");
        return DURABLE_FAILED;
    }
    *out = new_text(text);
    return DURABLE_OK;
}

static enum durable_rc by_step(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in;
    return durable_step(ctx, NULL, give_text, arg, NULL, out, err);
}

/* Branches of one kind, one at a time unless `opts` says otherwise. */
struct plan {
    const char *name;
    durable_fn *branch;
    const char *texts[BRANCHES_MAX]; /* of `count` branches */
    const char *names[BRANCHES_MAX];
    size_t count;
    struct durable_batch_opts opts;
};

static enum durable_rc run(struct durable_ctx *ctx, struct plan *p, struct durable_batch **batch,
                           struct durable_error *err)
{
    struct durable_branch branches[BRANCHES_MAX] = { 0 };
    if (!p->opts.max_concurrency.set)
        p->opts.max_concurrency = durable_limit(1);
    for (size_t i = 0; i < p->count; i++)
        branches[i] = (struct durable_branch){ p->names[i], p->branch, &p->texts[i] };
    return durable_parallel(ctx, p->name, branches, p->count, &p->opts, batch, err);
}

/* A handler that runs a plan; `end` makes *out of `batch`. */
#define PLAN(handler, end, ...)                                                                    \
    static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,     \
                                   struct json_object **out, struct durable_error *err)            \
    {                                                                                              \
        (void)in, (void)arg;                                                                       \
        struct durable_batch *batch = NULL;                                                        \
        struct plan plan = { __VA_ARGS__ };                                                        \
        DURABLE_TRY(run(ctx, &plan, &batch, err));                                                 \
        end;                                                                                       \
    }
#define RESULTS                                                                                    \
    do {                                                                                           \
        *out = results_of(batch);                                                                  \
        return DURABLE_OK;                                                                         \
    } while (0)
#define TELL(what)                                                                                 \
    do {                                                                                           \
        *out = tell(batch, what);                                                                  \
        return DURABLE_OK;                                                                         \
    } while (0)

PLAN(basic, RESULTS, .name = "parallel", .branch = by_step, .texts = { "task-1", "task-2" },
     .count = 2)
PLAN(nameless, RESULTS, .branch = direct, .texts = { "alpha", "beta" }, .count = 2)
PLAN(named_branches, RESULTS, .name = "named", .branch = direct, .texts = { "one", "two" },
     .names = { "first", "second" }, .count = 2)
PLAN(empty, RESULTS, .name = "empty", .count = 0)
PLAN(fail_fast, TELL(TELL_ALL), .name = "failfast", .branch = direct,
     .texts = { "ok", NULL, "never" }, .count = 3,
     .opts.completion.tolerated_failure_count = DURABLE_LIMIT(0))
PLAN(throwing, return rethrow(batch, out, err), .name = "throwing", .branch = direct,
     .texts = { NULL, "never" }, .count = 2,
     .opts.completion.tolerated_failure_count = DURABLE_LIMIT(0))
PLAN(min_successful, TELL(TELL_REASON | TELL_SUCCEEDED | TELL_TOTAL), .name = "min-successful",
     .branch = direct, .texts = { "a", "b", "c", "d" }, .count = 4,
     .opts.completion.min_successful = DURABLE_LIMIT(2))
PLAN(tolerated, TELL(TELL_ALL), .name = "tolerated", .branch = direct, .texts = { "a", NULL, "c" },
     .count = 3, .opts.completion.tolerated_failure_count = DURABLE_LIMIT(1))
PLAN(concurrent, RESULTS, .name = "concurrent", .branch = direct, .texts = { "r0", "r1", "r2" },
     .count = 3, .opts.max_concurrency = DURABLE_LIMIT(2))
PLAN(flat, RESULTS, .name = "flat", .branch = by_step, .texts = { "fa", "fb" }, .count = 2,
     .opts.flat = true)
PLAN(tolerated_percentage, TELL(TELL_REASON | TELL_SUCCEEDED | TELL_FAILED | TELL_TOTAL),
     .name = "tolerated-pct", .branch = direct, .texts = { NULL, NULL, "c", "d" }, .count = 4,
     .opts.completion.tolerated_failure_percentage = DURABLE_LIMIT(25))
PLAN(all_fail, TELL(TELL_ALL), .name = "all-fail", .branch = direct, .count = 3,
     .opts.completion.tolerated_failure_count = DURABLE_LIMIT(3))
PLAN(bad_concurrency, RESULTS, .name = "bad-concurrency", .branch = direct, .texts = { "a", "b" },
     .count = 2, .opts.max_concurrency = DURABLE_LIMIT(0))
PLAN(percentage_reached, TELL(TELL_ALL), .name = "pct-boundary", .branch = direct,
     .texts = { NULL, "b", "c", "d" }, .count = 4,
     .opts.completion.tolerated_failure_percentage = DURABLE_LIMIT(25))

/* ---- others ---------------------------------------------------------------------------------- */

static enum durable_rc give_arg(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in, (void)err;
    *out = json_object_get(arg);
    return DURABLE_OK;
}

static enum durable_rc values_of_any_type(struct durable_ctx *ctx, struct json_object *in,
                                          void *arg, struct json_object **out,
                                          struct durable_error *err)
{
    (void)in, (void)arg;
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "k", new_text("v"));
    struct json_object *values[] = { new_text("hello"), json_object_new_int(42), object };
    struct durable_branch branches[3];
    const struct durable_batch_opts opts = one_at_a_time();
    struct durable_batch *batch = NULL;
    for (size_t i = 0; i < 3; i++)
        branches[i] = (struct durable_branch){ NULL, give_arg, values[i] };
    enum durable_rc rc = durable_parallel(ctx, "hetero", branches, 3, &opts, &batch, err);
    for (size_t i = 0; i < 3; i++)
        json_object_put(values[i]);
    if (rc == DURABLE_OK)
        *out = results_of(batch);
    return rc;
}

/* {"wrapped": value} */
static int wrap(struct json_object *value, const struct durable_payload_of *of, void *arg,
                char **text, struct durable_error *err)
{
    (void)of, (void)arg, (void)err;
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "wrapped", json_object_get(value));
    *text = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
    json_object_put(o);
    return 0;
}

static int unwrap(const char *text, size_t len, const struct durable_payload_of *of, void *arg,
                  struct json_object **value, struct durable_error *err)
{
    (void)len, (void)of, (void)arg;
    struct json_object *o = json_tokener_parse(text), *inner = NULL;
    bool wrapped = json_object_object_get_ex(o, "wrapped", &inner);
    if (wrapped)
        *value = json_object_get(inner);
    else
        durable_error_set(err, "Error", "it is not wrapped: %s", text);
    json_object_put(o);
    return wrapped ? 0 : -1;
}

static const struct durable_serdes wrapping = { .serialise = wrap, .deserialise = unwrap };

PLAN(item_serdes, RESULTS, .name = "serde", .branch = direct, .texts = { "x", "y" }, .count = 2,
     .opts.item_serdes = &wrapping)

/* The lengths of the lists that a batch hands out. */
static struct json_object *accessors_of(struct durable_batch *batch)
{
    struct json_object *o = json_object_new_object();
    struct json_object *values = durable_batch_values(batch), *errors = durable_batch_errors(batch);
    json_object_object_add(o, "hasFailure",
                           json_object_new_boolean(durable_batch_has_failure(batch)));
    json_object_object_add(o, "successCount",
                           json_object_new_int64((int64_t)json_object_array_length(values)));
    json_object_object_add(o, "failureCount",
                           json_object_new_int64((int64_t)durable_batch_failed(batch)));
    json_object_object_add(o, "errorCount",
                           json_object_new_int64((int64_t)json_object_array_length(errors)));
    json_object_put(values);
    json_object_put(errors);
    durable_batch_free(batch);
    return o;
}

PLAN(accessors, *out = accessors_of(batch);
     return DURABLE_OK, .name = "accessors", .branch = direct, .texts = { "a", NULL, "c" },
            .count = 3, .opts.completion.tolerated_failure_count = DURABLE_LIMIT(1))

PLAN(inner, RESULTS, .name = "inner", .branch = by_step, .texts = { "i1", "i2" }, .count = 2)

static enum durable_rc nested(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    const struct durable_branch branch = { NULL, inner, NULL };
    const struct durable_batch_opts opts = one_at_a_time();
    struct durable_batch *batch = NULL;
    DURABLE_TRY(durable_parallel(ctx, "outer", &branch, 1, &opts, &batch, err));
    *out = results_of(batch);
    return DURABLE_OK;
}

const struct conformance_case parallel_cases[] = {
    { "8-1", basic },
    { "8-2", nameless },
    { "8-3", named_branches },
    { "8-4", values_of_any_type },
    { "8-5", empty },
    { "8-6", fail_fast },
    { "8-7", throwing },
    { "8-8", min_successful },
    { "8-9", tolerated },
    { "8-11", concurrent },
    { "8-12", flat },
    { "8-13", tolerated_percentage },
    { "8-15", item_serdes },
    { "8-16", all_fail },
    { "8-19", bad_concurrency },
    { "8-20", accessors },
    { "8-21", nested },
    { "8-22", percentage_reached },
    { NULL, NULL },
};

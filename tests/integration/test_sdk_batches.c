/* What maps and parallels come to, from plans in JSON: when they are complete and why, what is in
 * them and in which order, with records of their own, flat, and too large to be recorded; and that
 * a later invocation sees the same. The engine's time runs fast. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/sdk_rig.h"

#define ITEMS_MAX 16
#define SPEED     10

/* ---- the handler ----------------------------------------------------------------------------- */

static int give(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    (void)step, (void)err;
    *out = json_object_get(arg);
    return 0;
}

static enum durable_rc batch(struct durable_ctx *ctx, struct json_object *plan,
                             struct durable_batch **out, struct durable_error *err);

/* An item's plan: {"wait":S,"retry":N,"fail":MESSAGE,"size":BYTES,"map":PLAN,"step":VALUE}, done in
 * this order; without any it gives itself. */
static enum durable_rc item_of(struct durable_ctx *ctx, struct json_object *plan,
                               struct json_object **out, struct durable_error *err)
{
    int64_t wait = json_get_int(plan, "wait", 0), size = json_get_int(plan, "size", 0);
    const char *fail = json_get_str(plan, "fail");
    if (wait)
        DURABLE_TRY(durable_wait(ctx, NULL, wait, err));
    if (fail) {
        durable_error_set(err, "Planned", "%s", fail);
        return DURABLE_FAILED;
    }
    if (size) {
        char *text = mem_alloc((size_t)size);
        memset(text, 'x', (size_t)size);
        *out = json_object_new_string_len(text, (int)size);
        free(text);
        return DURABLE_OK;
    }
    if (json_get_obj(plan, "map")) {
        auto_durable_batch struct durable_batch *inner = NULL;
        DURABLE_TRY(batch(ctx, json_get_obj(plan, "map"), &inner, err));
        *out = durable_batch_values(inner);
        return DURABLE_OK;
    }
    if (json_get(plan, "step"))
        return durable_step(ctx, NULL, give, json_get(plan, "step"), NULL, out, err);
    *out = json_object_get(plan);
    return DURABLE_OK;
}

static enum durable_rc item(struct durable_ctx *ctx, struct json_object *plan, size_t index,
                            void *arg, struct json_object **out, struct durable_error *err)
{
    (void)index, (void)arg;
    return item_of(ctx, plan, out, err);
}

/* A branch gets its plan as text: objects do not cross threads. */
static enum durable_rc branch(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)in;
    struct error why;
    auto_json struct json_object *plan = NULL;
    if (json_parse_str(arg, &plan, &why) < 0)
        return DURABLE_FATAL;
    return item_of(ctx, plan, out, err);
}

static enum durable_verdict by_successes(const struct durable_batch *so_far, void *arg)
{
    const int64_t *wanted = arg;
    if (durable_batch_failed(so_far) > 0)
        return DURABLE_COMPLETE_FAILED;
    return (int64_t)durable_batch_succeeded(so_far) >= *wanted ? DURABLE_COMPLETE_SUCCEEDED
                                                               : DURABLE_GO_ON;
}

static struct durable_limit limit(struct json_object *plan, const char *key)
{
    return json_get(plan, key) ? durable_limit(json_get_double(plan, key, 0))
                               : (struct durable_limit){ 0 };
}

/* {"items":[...],"max","min","failures","percentage","custom":SUCCESSES,"flat","parallel"} */
static enum durable_rc batch(struct durable_ctx *ctx, struct json_object *plan,
                             struct durable_batch **out, struct durable_error *err)
{
    struct json_object *items = json_get_arr(plan, "items");
    int64_t custom = json_get_int(plan, "custom", 0);
    struct durable_batch_opts opts = {
        .max_concurrency = limit(plan, "max"),
        .completion = { .min_successful = limit(plan, "min"),
                        .tolerated_failure_count = limit(plan, "failures"),
                        .tolerated_failure_percentage = limit(plan, "percentage"),
                        .should_complete = custom ? by_successes : NULL,
                        .arg = &custom },
        .flat = json_get_bool(plan, "flat", false),
    };
    if (!json_get_bool(plan, "parallel", false))
        return durable_map(ctx, "batch", items, item, NULL, &opts, out, err);
    struct durable_branch branches[ITEMS_MAX] = { 0 };
    char *texts[ITEMS_MAX] = { 0 };
    size_t count = json_object_array_length(items);
    for (size_t i = 0; i < count && i < ITEMS_MAX; i++) {
        texts[i] = mem_dup(json_text(json_object_array_get_idx(items, i), NULL));
        branches[i] = (struct durable_branch){ NULL, branch, texts[i] };
    }
    enum durable_rc rc = durable_parallel(ctx, "batch", branches, count, &opts, out, err);
    for (size_t i = 0; i < ITEMS_MAX; i++)
        free(texts[i]);
    return rc;
}

/* Everything that a batch tells; long values by their lengths. */
static char *describe(const struct durable_batch *b)
{
    auto_buf struct buf out = BUF_INIT(1 << 20);
    buf_printf(&out, "%s %s %zu/%zu/%zu of %zu%s:", durable_batch_reason_name(b),
               durable_batch_status_name(b), durable_batch_succeeded(b), durable_batch_failed(b),
               durable_batch_started(b), durable_batch_total(b),
               durable_batch_has_failure(b) ? " !" : "");
    for (size_t i = 0; i < durable_batch_total(b); i++) {
        const struct durable_error *e = durable_batch_error(b, i);
        size_t len;
        const char *value = json_text(durable_batch_value(b, i), &len);
        buf_printf(&out, " %zu", i);
        if (durable_batch_item(b, i) == DURABLE_ITEM_STARTED)
            buf_add_str(&out, "-");
        else if (e)
            buf_printf(&out, "(%s of %s: %s)", e->type, e->cause_type, e->message);
        else if (len > 1000)
            buf_printf(&out, "[%zu]", len);
        else
            buf_printf(&out, "=%s", value);
    }
    return buf_take(&out, NULL);
}

static int remember(struct durable_step *step, void *arg, struct json_object **out,
                    struct durable_error *err)
{
    (void)step, (void)err;
    *out = json_object_new_string(arg);
    return 0;
}

static enum durable_rc twice(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)arg;
    auto_durable_batch struct durable_batch *b = NULL;
    auto_json struct json_object *first = NULL;
    DURABLE_TRY(batch(ctx, in, &b, err));
    auto_free char *seen = describe(b);
    DURABLE_TRY(durable_step(ctx, "remember", remember, seen, NULL, &first, err));
    DURABLE_TRY(durable_wait(ctx, "again", 1, err));
    *out = json_object_new_array();
    json_object_array_add(*out, MOVE(first));
    json_object_array_add(*out, json_object_new_string(seen));
    return DURABLE_OK;
}

static enum durable_rc checked(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg, (void)out;
    auto_durable_batch struct durable_batch *b = NULL;
    DURABLE_TRY(batch(ctx, in, &b, err));
    return durable_batch_check(b, err);
}

const struct sdk_rig_handler sdk_rig_handlers[] = {
    { "twice", twice, "\"durable\":{\"executionTimeoutSeconds\":864000}" },
    { "checked", checked, "\"durable\":{\"executionTimeoutSeconds\":864000}" },
    { NULL, NULL, NULL },
};

/* ---- the tests ------------------------------------------------------------------------------- */

static struct lambda_rig rig;

static void begin(void)
{
    sdk_rig_start(&rig);
    sdk_rig_speed(&rig, SPEED);
}

static void end(void)
{
    lambda_rig_stop(&rig);
}

TestSuite(batches, .init = begin, .fini = end, .timeout = 300);

/* `members` besides the items. Both invocations see `want`. */
static void expect(const char *items, const char *members, const char *want)
{
    struct error err;
    auto_free char *input = mem_printf("{\"items\":%s%s%s}", items, *members ? "," : "", members);
    auto_free char *result = sdk_rig_result(&rig, "twice", input);
    auto_json struct json_object *both = NULL;
    cr_assert_eq(json_parse_str(result, &both, &err), 0, "%s", result);
    const char *first = json_object_get_string(json_object_array_get_idx(both, 0));
    const char *again = json_object_get_string(json_object_array_get_idx(both, 1));
    cr_assert_str_eq(first, want, "%s: %s", input, first);
    cr_assert_str_eq(again, first, "%s: in the next invocation %s", input, again);
}

#define BAD     "{\"fail\":\"no\"}"
#define ERR     "(ChildContextError of Planned: no)"
#define FOREVER "{\"wait\":600000}"

struct plan {
    const char *items, *members, *want;
};

/* One at a time, so that the order of ends is the order of items. */
static const struct plan plans[] = {
    { "[]", "", "ALL_COMPLETED SUCCEEDED 0/0/0 of 0:" },
    { "[1,null,\"a\"]", "", "ALL_COMPLETED SUCCEEDED 3/0/0 of 3: 0=1 1=null 2=\"a\"" },
    { "[1," BAD ",3]", "", "FAILURE_TOLERANCE_EXCEEDED FAILED 1/1/0 of 2 !: 0=1 1" ERR },
    { "[" BAD "]", "", "FAILURE_TOLERANCE_EXCEEDED FAILED 0/1/0 of 1 !: 0" ERR },
    { "[1,2,3]", "\"min\":1", "MIN_SUCCESSFUL_REACHED SUCCEEDED 1/0/0 of 1: 0=1" },
    { "[1]", "\"min\":1", "ALL_COMPLETED SUCCEEDED 1/0/0 of 1: 0=1" },
    { "[" BAD ",2,3]", "\"min\":1", "MIN_SUCCESSFUL_REACHED FAILED 1/1/0 of 2 !: 0" ERR " 1=2" },
    { "[" BAD "," BAD ",3]", "\"min\":2",
      "ALL_COMPLETED FAILED 1/2/0 of 3 !: 0" ERR " 1" ERR " 2=3" },
    { "[" BAD ",2]", "\"failures\":1", "ALL_COMPLETED FAILED 1/1/0 of 2 !: 0" ERR " 1=2" },
    { "[" BAD "," BAD ",3]", "\"failures\":1",
      "FAILURE_TOLERANCE_EXCEEDED FAILED 0/2/0 of 2 !: 0" ERR " 1" ERR },
    { "[" BAD "," BAD ",3,4]", "\"percentage\":50",
      "ALL_COMPLETED FAILED 2/2/0 of 4 !: 0" ERR " 1" ERR " 2=3 3=4" },
    { "[" BAD "," BAD "," BAD ",4]", "\"percentage\":50",
      "FAILURE_TOLERANCE_EXCEEDED FAILED 0/3/0 of 3 !: 0" ERR " 1" ERR " 2" ERR },
    { "[" BAD "," BAD ",3]", "\"percentage\":66.6",
      "FAILURE_TOLERANCE_EXCEEDED FAILED 0/2/0 of 2 !: 0" ERR " 1" ERR },
    { "[" BAD "," BAD ",3]", "\"percentage\":66.7",
      "ALL_COMPLETED FAILED 1/2/0 of 3 !: 0" ERR " 1" ERR " 2=3" },
    { "[" BAD ",2,3]", "\"percentage\":0,\"min\":1",
      "FAILURE_TOLERANCE_EXCEEDED FAILED 0/1/0 of 1 !: 0" ERR },
    { "[1," BAD ",3]", "\"min\":2,\"failures\":1",
      "ALL_COMPLETED FAILED 2/1/0 of 3 !: 0=1 1" ERR " 2=3" },
    { "[1,2,3,4]", "\"custom\":2", "CUSTOM_COMPLETION_SUCCEEDED SUCCEEDED 2/0/0 of 2: 0=1 1=2" },
    { "[1," BAD ",3]", "\"custom\":3", "CUSTOM_COMPLETION_FAILED FAILED 1/1/0 of 2 !: 0=1 1" ERR },
    { "[1,2]", "\"custom\":9", "ALL_COMPLETED SUCCEEDED 2/0/0 of 2: 0=1 1=2" },
    { "[{\"wait\":2,\"step\":1},{\"step\":[2]}]", "",
      "ALL_COMPLETED SUCCEEDED 2/0/0 of 2: 0=1 1=[2]" },
};

static void sequential(const char *more)
{
    for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
        auto_free char *members =
            mem_printf("\"max\":1%s%s%s", more, *plans[i].members ? "," : "", plans[i].members);
        expect(plans[i].items, members, plans[i].want);
    }
}

Test(batches, of_maps_complete)
{
    sequential("");
}

Test(batches, of_parallels_complete)
{
    sequential(",\"parallel\":true");
}

Test(batches, that_are_flat_complete)
{
    sequential(",\"flat\":true");
}

Test(batches, abandon_what_has_not_ended)
{
    static const char want[] = "MIN_SUCCESSFUL_REACHED SUCCEEDED 1/0/1 of 2: 0- 1=2";
    expect("[" FOREVER ",{\"wait\":1,\"step\":2}]", "\"min\":1", want);
    expect("[" FOREVER ",{\"wait\":1,\"step\":2}]", "\"min\":1,\"parallel\":true", want);
    expect("[" FOREVER ",{\"wait\":1,\"step\":2}]", "\"min\":1,\"flat\":true", want);
    expect("[" FOREVER ",{\"wait\":1,\"fail\":\"no\"}," FOREVER "]", "",
           "FAILURE_TOLERANCE_EXCEEDED FAILED 0/1/2 of 3 !: 0- 1" ERR " 2-");
}

/* More than is recorded of a batch: its items are rebuilt from their own records, or by running the
 * bodies of flat ones again. */
Test(batches, that_are_large_are_rebuilt)
{
#define BIG "{\"size\":100000}"
    static const char *const kinds[] = { "", ",\"parallel\":true", ",\"flat\":true" };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        auto_free char *tolerant = mem_printf("\"failures\":1,\"max\":2%s", kinds[i]);
        auto_free char *early = mem_printf("\"min\":3%s", kinds[i]);
        expect("[" BIG "," BAD "," BIG "," BIG ",{\"step\":4}]", tolerant,
               "ALL_COMPLETED FAILED 4/1/0 of 5 !: 0[100002] 1" ERR " 2[100002] 3[100002] 4=4");
        expect("[" FOREVER ",{\"wait\":1,\"size\":100000},{\"wait\":1,\"size\":100000},"
               "{\"wait\":1,\"size\":100000}]",
               early,
               "MIN_SUCCESSFUL_REACHED SUCCEEDED 3/0/1 of 4: 0- 1[100002] 2[100002] 3[100002]");
    }
    expect("[{\"size\":300000}]", "", "ALL_COMPLETED SUCCEEDED 1/0/0 of 1: 0[300002]");
    expect("[{\"map\":{\"items\":[" BIG "," BIG "," BIG "]}}," BAD "]", "\"failures\":1",
           "ALL_COMPLETED FAILED 1/1/0 of 2 !: 0[300010] 1" ERR);
}

Test(batches, nest)
{
#define INNER(a, b) "{\"map\":{\"items\":[" a "," b "]}}"
    static const char want[] = "ALL_COMPLETED SUCCEEDED 2/0/0 of 2: 0=[[1,2],[3,4]] 1=[[5,6],7]";
    expect("[" INNER(INNER("1", "2"), INNER("{\"wait\":1,\"step\":3}", "4")) "," INNER(
               INNER("5", "{\"wait\":2,\"step\":6}"), "7") "]",
           "", want);
    expect("[" INNER(INNER("1", "2"), INNER("{\"wait\":1,\"step\":3}", "4")) "," INNER(
               INNER("5", "{\"wait\":2,\"step\":6}"), "7") "]",
           "\"flat\":true,\"max\":2", want);
}

Test(batches, refuse_limits_that_make_no_sense)
{
    static const char *const wrong[] = {
        "\"max\":0",
        "\"max\":-1",
        "\"max\":1.5",
        "\"min\":0",
        "\"min\":3",
        "\"min\":1.5",
        "\"failures\":-1",
        "\"failures\":0.5",
        "\"percentage\":-1",
        "\"percentage\":101",
        "\"custom\":1,\"min\":1",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        static const char *const kinds[] = { "", ",\"parallel\":true", ",\"flat\":true" };
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            auto_free char *input = mem_printf("{\"items\":[1,2],%s%s}", wrong[i], kinds[k]);
            auto_free char *arn = lambda_rig_begin(&rig, "checked:$LATEST", input);
            auto_json struct json_object *ended = lambda_rig_end(&rig, arn, "FAILED");
            cr_assert_str_eq(json_get_str(json_get_obj(ended, "Error"), "ErrorType"),
                             "ValidationError", "%s: %s", input, json_text(ended, NULL));
            auto_free char *history = lambda_rig_history(&rig, arn);
            cr_assert_str_eq(history, "ExecutionStarted InvocationCompleted ExecutionFailed", "%s",
                             input);
        }
    }
}

Test(batches, become_errors_where_asked)
{
    sdk_rig_fails(&rig, "checked", "{\"items\":[1," BAD "]}", "ChildContextError", "no");
    sdk_rig_fails(&rig, "checked", "{\"items\":[1," BAD ",3],\"failures\":2}", "ChildContextError",
                  "no");
    free(sdk_rig_result(&rig, "checked", "{\"items\":[1,2]}"));
}

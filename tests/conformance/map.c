/* Suite 9: map. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/batch.h"
#include "tests/conformance/suites.h"
#include "tests/conformance/values.h"

/* ---- bodies ---------------------------------------------------------------------------------- */

static int greet(struct durable_step *step, void *arg, struct json_object **out,
                 struct durable_error *err)
{
    (void)step, (void)err;
    *out = new_text_f("Hello, %s!", text_of(arg));
    return 0;
}

static enum durable_rc greeting(struct durable_ctx *ctx, struct json_object *item, size_t index,
                                void *arg, struct json_object **out, struct durable_error *err)
{
    (void)index, (void)arg;
    return durable_step(ctx, NULL, greet, item, NULL, out, err);
}

static enum durable_rc by_step(struct durable_ctx *ctx, struct json_object *item, size_t index,
                               void *arg, struct json_object **out, struct durable_error *err)
{
    (void)index, (void)arg;
    return durable_step(ctx, NULL, give_json, item, NULL, out, err);
}

static enum durable_rc twice(struct durable_ctx *ctx, struct json_object *item, size_t index,
                             void *arg, struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)index, (void)arg, (void)err;
    *out = json_object_new_int64(json_object_get_int64(item) * 2);
    return DURABLE_OK;
}

static enum durable_rc ten_times(struct durable_ctx *ctx, struct json_object *item, size_t index,
                                 void *arg, struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)index, (void)arg, (void)err;
    *out = json_object_new_int64(json_object_get_int64(item) * 10);
    return DURABLE_OK;
}

static enum durable_rc plus_index(struct durable_ctx *ctx, struct json_object *item, size_t index,
                                  void *arg, struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)arg, (void)err;
    *out = json_object_new_int64(json_object_get_int64(item) + (int64_t)index);
    return DURABLE_OK;
}

static enum durable_rc upper(struct durable_ctx *ctx, struct json_object *item, size_t index,
                             void *arg, struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)index, (void)arg, (void)err;
    *out = upper_case(text_of(item));
    return DURABLE_OK;
}

/* Gives the item; the JSON null fails. */
static enum durable_rc unless_null(struct durable_ctx *ctx, struct json_object *item, size_t index,
                                   void *arg, struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)arg;
    if (!item) {
        durable_error_set(err, "Error", "item %zu fails", index);
        return DURABLE_FAILED;
    }
    *out = json_object_get(item);
    return DURABLE_OK;
}

static enum durable_rc large(struct durable_ctx *ctx, struct json_object *item, size_t index,
                             void *arg, struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)item, (void)arg, (void)err;
    *out = new_filler((char)('a' + index), 70 * 1024);
    return DURABLE_OK;
}

/* ---- serdes ---------------------------------------------------------------------------------- */

static int mark(struct json_object *value, const struct durable_payload_of *of, void *arg,
                char **text, struct durable_error *err)
{
    (void)of, (void)arg, (void)err;
    return asprintf(text, "wrapped:%s", text_of(value)) < 0 ? -1 : 0;
}

static int unmark(const char *text, size_t len, const struct durable_payload_of *of, void *arg,
                  struct json_object **value, struct durable_error *err)
{
    (void)len, (void)of, (void)arg;
    if (strncmp(text, "wrapped:", 8) != 0) {
        durable_error_set(err, "Error", "it has no mark: %s", text);
        return -1;
    }
    *value = new_text(text + 8);
    return 0;
}

/* The results of a whole batch, joined: "OPSERDE:X,Y". */
static int join(struct json_object *value, const struct durable_payload_of *of, void *arg,
                char **text, struct durable_error *err)
{
    (void)of, (void)arg, (void)err;
    struct json_object *all = json_object_object_get(value, "all");
    char joined[256] = "OPSERDE:";
    size_t len = strlen(joined);
    for (size_t i = 0; i < json_object_array_length(all); i++)
        len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%s", i ? "," : "",
                                text_at(json_object_array_get_idx(all, i), "result"));
    *text = strdup(joined);
    return 0;
}

static int split(const char *text, size_t len, const struct durable_payload_of *of, void *arg,
                 struct json_object **value, struct durable_error *err)
{
    (void)len, (void)of, (void)arg;
    if (strncmp(text, "OPSERDE:", 8) != 0) {
        durable_error_set(err, "Error", "not a joined result: %s", text);
        return -1;
    }
    struct json_object *all = json_object_new_array();
    const char *at = text + 8;
    for (int index = 0; at; index++) {
        const char *comma = strchr(at, ',');
        struct json_object *one = json_object_new_object();
        size_t n = comma ? (size_t)(comma - at) : strlen(at);
        json_object_object_add(one, "result", json_object_new_string_len(at, (int)n));
        json_object_object_add(one, "index", json_object_new_int(index));
        json_object_object_add(one, "status", new_text("SUCCEEDED"));
        json_object_array_add(all, one);
        at = comma ? comma + 1 : NULL;
    }
    *value = json_object_new_object();
    json_object_object_add(*value, "all", all);
    json_object_object_add(*value, "completionReason", new_text("ALL_COMPLETED"));
    return 0;
}

static const struct durable_serdes marking = { .serialise = mark, .deserialise = unmark };
static const struct durable_serdes joining = { .serialise = join, .deserialise = split };

/* ---- handlers -------------------------------------------------------------------------------- */

static void name_item(struct json_object *item, size_t index, void *arg,
                      char name[DURABLE_NAME_SIZE])
{
    (void)index, (void)arg;
    snprintf(name, DURABLE_NAME_SIZE, "item-%lld", (long long)json_object_get_int64(item));
}

/* Maps `items` (JSON text; NULL: the handler's input) with `body`, one item at a time unless `opts`
 * says otherwise. */
struct plan {
    const char *name;
    const char *items;
    durable_item_fn *body;
    struct durable_batch_opts opts;
};

static enum durable_rc run(struct durable_ctx *ctx, struct plan *p, struct json_object *in,
                           struct durable_batch **batch, struct durable_error *err)
{
    if (!p->opts.max_concurrency.set)
        p->opts.max_concurrency = durable_limit(1);
    struct json_object *items = p->items ? json_tokener_parse(p->items) : json_object_get(in);
    enum durable_rc rc = durable_map(ctx, p->name, items, p->body, NULL, &p->opts, batch, err);
    json_object_put(items);
    return rc;
}

/* A handler that runs a plan; `end` makes *out of `batch`. */
#define PLAN(handler, end, ...)                                                                    \
    static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,     \
                                   struct json_object **out, struct durable_error *err)            \
    {                                                                                              \
        (void)arg;                                                                                 \
        struct durable_batch *batch = NULL;                                                        \
        struct plan plan = { __VA_ARGS__ };                                                        \
        DURABLE_TRY(run(ctx, &plan, in, &batch, err));                                             \
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
#define THEN_WAIT return wait_and_give(ctx, 1, results_of(batch), out, err)

PLAN(basic, RESULTS, .name = "map", .body = greeting)
PLAN(nameless, RESULTS, .body = twice)
PLAN(indexed, RESULTS, .name = "indexed", .body = plus_index)
PLAN(empty, RESULTS, .name = "empty", .body = twice)
PLAN(fail_fast, TELL(TELL_ALL), .name = "failfast", .items = "[\"ok\",null,\"never\"]",
     .body = unless_null, .opts.completion.tolerated_failure_count = DURABLE_LIMIT(0))
PLAN(throwing, return rethrow(batch, out, err), .name = "throwing", .items = "[null,\"never\"]",
     .body = unless_null, .opts.completion.tolerated_failure_count = DURABLE_LIMIT(0))
PLAN(tolerated, TELL(TELL_ALL), .name = "tolerated", .items = "[\"a\",null,\"c\"]",
     .body = unless_null, .opts.completion.tolerated_failure_count = DURABLE_LIMIT(1))
PLAN(exceeded, TELL(TELL_REASON | TELL_SUCCEEDED | TELL_FAILED | TELL_TOTAL),
     .name = "tolerated-exceeded", .items = "[null,null,\"never\"]", .body = unless_null,
     .opts.completion.tolerated_failure_count = DURABLE_LIMIT(1))
PLAN(concurrent, RESULTS, .name = "concurrent", .items = "[\"r0\",\"r1\",\"r2\"]",
     .body = unless_null, .opts.max_concurrency = DURABLE_LIMIT(2))
PLAN(flat, RESULTS, .name = "flat", .items = "[\"fa\",\"fb\"]", .body = by_step, .opts.flat = true)
PLAN(named_items, RESULTS, .name = "named-items", .body = ten_times, .opts.namer = name_item)
PLAN(item_serdes, RESULTS, .name = "serdes", .items = "[\"x\",\"y\"]", .body = upper,
     .opts.item_serdes = &marking)
PLAN(large_batch, TELL(TELL_SUCCEEDED | TELL_TOTAL), .name = "large", .items = "[0,1,2,3]",
     .body = large)
PLAN(then_wait, THEN_WAIT, .name = "then-wait", .items = "[\"a\",\"b\"]", .body = upper)
PLAN(serdes, RESULTS, .name = "op-serde", .items = "[\"x\",\"y\"]", .body = upper,
     .opts.serdes = &joining)
PLAN(serdes_replayed, THEN_WAIT, .name = "op-serde-replay", .items = "[\"x\",\"y\"]", .body = upper,
     .opts.serdes = &joining)

const struct conformance_case map_cases[] = {
    { "9-1", basic },        { "9-2", nameless },
    { "9-3", indexed },      { "9-4", empty },
    { "9-5", fail_fast },    { "9-6", throwing },
    { "9-8", tolerated },    { "9-9", exceeded },
    { "9-11", concurrent },  { "9-12", flat },
    { "9-13", named_items }, { "9-14", item_serdes },
    { "9-16", large_batch }, { "9-17", then_wait },
    { "9-19", serdes },      { "9-20", serdes_replayed },
    { NULL, NULL },
};

#include <unistd.h>

#include "tests/unit/durable/fake.h"

/* Batches in branches of other batches, on threads: what a branch's own batch does while none of
 * its branches can go on. Bodies are counted; nothing depends on how long anything takes. */
#define LIMIT_MS 60000
#define INNER    60

struct world {
    unsigned items; /* of the inner map */
    unsigned outer_runs;
    unsigned inner_runs;
    unsigned passed; /* inner bodies behind their wait */
    unsigned steps;
    unsigned maps;   /* branches with a map in them */
    unsigned until;  /* the last branch's step ends when so many have passed */
    bool one_by_one; /* or does steps as long as there are waits */
    bool deep;
    struct durable_batch_opts opts;
};

static unsigned ended;    /* waits */
static unsigned recorded; /* ends of the inner map's branches */

static void count(unsigned *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_ACQ_REL);
}

static unsigned counted(const unsigned *counter)
{
    return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static enum durable_rc waits(struct durable_ctx *ctx, struct json_object *item, size_t index,
                             void *arg, struct json_object **out, struct durable_error *err)
{
    struct world *w = arg;
    (void)item, (void)index, (void)out;
    count(&w->inner_runs);
    DURABLE_TRY(durable_wait(ctx, "w", 3600, err));
    count(&w->passed);
    return DURABLE_OK;
}

static enum durable_rc map_of(struct durable_ctx *ctx, size_t n, durable_item_fn *body,
                              struct world *w, const struct durable_batch_opts *opts,
                              struct durable_error *err)
{
    auto_json struct json_object *items = json_object_new_array();
    auto_durable_batch struct durable_batch *b = NULL;
    for (size_t i = 0; i < n; i++)
        json_object_array_add(items, json_object_new_int((int)i));
    DURABLE_TRY(durable_map(ctx, "m", items, body, w, opts, &b, err));
    return durable_batch_check(b, err);
}

static enum durable_rc deeper(struct durable_ctx *ctx, struct json_object *item, size_t index,
                              void *arg, struct json_object **out, struct durable_error *err)
{
    struct world *w = arg;
    (void)item, (void)index, (void)out;
    return map_of(ctx, w->items, waits, w, NULL, err);
}

static int until_passed(struct durable_step *step, void *arg, struct json_object **out,
                        struct durable_error *err)
{
    struct world *w = arg;
    (void)out;
    count(&w->steps);
    for (int i = 0; i < LIMIT_MS && !durable_step_abandoned(step); i++) {
        if (counted(&w->passed) >= w->until)
            return 0;
        usleep(1000);
    }
    durable_error_set(err, "Stuck", "%u passed", counted(&w->passed));
    return -1;
}

/* The end of each step is recorded together with the end of a wait, and the next step lets the
 * inner map come to rest. */
static int rest(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    struct world *w = arg;
    (void)step, (void)out;
    for (int i = 0; i < LIMIT_MS; i++) {
        usleep(1000);
        if (counted(&w->passed) == counted(&ended) && counted(&recorded) == counted(&ended)) {
            usleep(1000);
            return 0;
        }
    }
    durable_error_set(err, "Stuck", "%u passed", counted(&w->passed));
    return -1;
}

static enum durable_rc steps(struct durable_ctx *ctx, struct world *w, struct durable_error *err)
{
    static const struct durable_step_opts once = { .retry = DURABLE_RETRY_NONE };
    if (!w->one_by_one)
        return durable_step(ctx, "s", until_passed, w, &once, NULL, err);
    while (counted(&ended) < w->items)
        DURABLE_TRY(durable_step(ctx, "s", rest, w, &once, NULL, err));
    return DURABLE_OK;
}

static enum durable_rc branch(struct durable_ctx *ctx, struct json_object *item, size_t index,
                              void *arg, struct json_object **out, struct durable_error *err)
{
    struct world *w = arg;
    (void)item, (void)out;
    if (index == w->maps)
        return steps(ctx, w, err);
    count(&w->outer_runs);
    return w->deep ? map_of(ctx, 1, deeper, w, NULL, err)
                   : map_of(ctx, w->items, waits, w, NULL, err);
}

static enum durable_rc nested(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    struct world *w = arg;
    (void)in, (void)out;
    return map_of(ctx, w->maps + 1, branch, w, &w->opts, err);
}

static unsigned waits_of(struct fake *f, const char *status, struct json_object **first)
{
    unsigned n = 0;
    for (size_t i = 0; i < json_object_array_length(f->ops); i++) {
        struct json_object *op = json_object_array_get_idx(f->ops, i);
        if (strcmp(json_get_str(op, "Type"), "WAIT") != 0 ||
            strcmp(json_get_str(op, "Status"), status) != 0)
            continue;
        if (n++ == 0 && first)
            *first = op;
    }
    return n;
}

static unsigned inner_ends(struct fake *f)
{
    unsigned n = 0;
    for (size_t i = 0; i < json_object_array_length(f->ops); i++) {
        struct json_object *op = json_object_array_get_idx(f->ops, i);
        n += strcmp(json_get_str(op, "Type"), "CONTEXT") == 0 &&
             strcmp(json_get_str(op, "SubType"), "MapIteration") == 0 &&
             strcmp(json_get_str(op, "Status"), "SUCCEEDED") == 0;
    }
    return n;
}

static void one_more(struct fake *f)
{
    struct json_object *first = NULL;
    auto_buf struct buf u = BUF_INIT(100000);
    fake_updates(f, f->requests, &u);
    __atomic_store_n(&recorded, inner_ends(f), __ATOMIC_RELEASE);
    if (!strstr(buf_str(&u), "SUCCEED STEP") || waits_of(f, "STARTED", &first) == 0)
        return;
    json_add_str(first, "Status", "SUCCEEDED");
    count(&ended);
}

static void run_one_by_one(struct world *w)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.max_threads = 8;
    f.tells_all = true;
    f.on_checkpoint = one_more;
    w->maps = 1;
    w->items = INNER;
    w->one_by_one = true;
    cr_assert_str_eq(fake_invoke(&f, nested, w), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_eq(w->passed, INNER);
    cr_assert_eq(w->outer_runs, 1, "the branch began %u times", w->outer_runs);
    cr_assert_leq(w->inner_runs, 2 * INNER, "%u runs of %d bodies that wait once", w->inner_runs,
                  INNER);
}

Test(nested, batch_goes_on_where_it_is_for_each_wait_that_ends)
{
    struct world w = { 0 };
    run_one_by_one(&w);
}

Test(nested, batch_of_a_batch_goes_on_where_it_is_too)
{
    struct world w = { .deep = true };
    run_one_by_one(&w);
}

static void run_suspends(struct world *w, unsigned threads)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.max_threads = threads;
    w->maps = 5;
    w->items = 4;
    cr_assert_str_eq(fake_invoke(&f, nested, w), "{\"Status\":\"PENDING\"}");
    cr_assert_eq(w->steps, 1);
    cr_assert_eq(waits_of(&f, "STARTED", NULL), 20);
    for (struct json_object *op = NULL; waits_of(&f, "STARTED", &op) > 0;)
        json_add_str(op, "Status", "SUCCEEDED");
    cr_assert_str_eq(fake_invoke(&f, nested, w), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_eq(w->passed, 20);
    cr_assert_eq(w->steps, 1);
}

Test(nested, batches_suspend_when_nobody_runs)
{
    struct world w = { 0 };
    run_suspends(&w, 64);
    w = (struct world){ .deep = true };
    run_suspends(&w, 64);
}

/* The last branch has to wait for a thread that a batch in another one waits on. */
Test(nested, batches_give_their_threads_to_those_who_have_none)
{
    for (unsigned threads = 0; threads <= 6; threads++) {
        struct world w = { 0 };
        run_suspends(&w, threads);
        w = (struct world){ .deep = true };
        run_suspends(&w, threads);
    }
}

Test(nested, batch_that_waits_is_abandoned)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.max_threads = 64;
    struct world w = {
        .maps = 3, .items = 4, .deep = true, .opts.completion.min_successful = DURABLE_LIMIT(1)
    };
    cr_assert_str_eq(fake_invoke(&f, nested, &w), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_eq(w.passed, 0);
}

/* One is abandoned, another told of the failure: in whatever state its batch is. */
Test(nested, batches_end_when_the_service_refuses)
{
    for (size_t at = 1; at < 40; at++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        f.max_threads = 8;
        f.fail_at = at;
        error_set(&f.failure, ERR_INVALID, 400, "no more");
        error_set_type(&f.failure, "InvalidParameterValueException");
        struct world w = { .maps = 2, .items = 3, .deep = at % 2 };
        const char *answer = fake_invoke(&f, nested, &w);
        if (f.requests >= at)
            cr_assert(strstr(answer, "CheckpointError"), "%s", answer);
        else
            cr_assert_str_eq(answer, "{\"Status\":\"PENDING\"}");
    }
}

Test(nested, batches_suspend_when_the_service_takes_no_more)
{
    for (size_t at = 1; at < 40; at++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        f.max_threads = 8;
        f.no_token_at = at;
        struct world w = { .maps = 2, .items = 3, .deep = at % 2 };
        cr_assert_str_eq(fake_invoke(&f, nested, &w), "{\"Status\":\"PENDING\"}");
    }
}

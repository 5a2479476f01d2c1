/* Suite 6: waiting for a condition. */
#include "tests/conformance/suites.h"
#include "tests/conformance/values.h"

/* A fixed delay between polls. */
static struct durable_polling every(int64_t seconds, unsigned max_attempts)
{
    return (struct durable_polling){ .max_attempts = max_attempts,
                                     .first_delay_s = seconds,
                                     .max_delay_s = seconds,
                                     .rate = 1,
                                     .jitter = DURABLE_JITTER_NONE };
}

/* Adds one to the state; done at the number `arg`. */
static int count_up(struct durable_step *step, struct json_object *state, void *arg,
                    struct json_object **next, bool *done, struct durable_error *err)
{
    (void)step, (void)err;
    int64_t n = json_object_get_int64(state) + 1;
    *next = json_object_new_int64(n);
    *done = n >= json_object_get_int64(arg);
    return 0;
}

static int unchanged(struct durable_step *step, struct json_object *state, void *arg,
                     struct json_object **next, bool *done, struct durable_error *err)
{
    (void)step, (void)err;
    *next = json_object_get(state);
    *done = json_object_get_int64(state) >= json_object_get_int64(arg);
    return 0;
}

static int never_done(struct durable_step *step, struct json_object *state, void *arg,
                      struct json_object **next, bool *done, struct durable_error *err)
{
    (void)step, (void)arg, (void)done, (void)err;
    *next = json_object_new_int64(json_object_get_int64(state) + 1);
    return 0;
}

static int failing(struct durable_step *step, struct json_object *state, void *arg,
                   struct json_object **next, bool *done, struct durable_error *err)
{
    (void)step, (void)state, (void)arg, (void)next, (void)done;
    durable_error_set(err, "Error", "the condition cannot be checked");
    return -1;
}

static int job_status(struct durable_step *step, struct json_object *state, void *arg,
                      struct json_object **next, bool *done, struct durable_error *err)
{
    (void)step, (void)arg, (void)err;
    int64_t attempts = json_object_get_int64(json_object_object_get(state, "attempts")) + 1;
    *done = attempts >= 2;
    *next = json_object_new_object();
    json_object_object_add(*next, "status", new_text(*done ? "DONE" : "PENDING"));
    json_object_object_add(*next, "attempts", json_object_new_int64(attempts));
    return 0;
}

static int nothing(struct durable_step *step, struct json_object *state, void *arg,
                   struct json_object **next, bool *done, struct durable_error *err)
{
    (void)step, (void)state, (void)arg, (void)next, (void)err;
    *done = true;
    return 0;
}

/* Counts from `first` to the handler's input. */
static enum durable_rc count_from(struct durable_ctx *ctx, const char *name, int64_t first,
                                  int64_t seconds, struct json_object *in, struct json_object **out,
                                  struct durable_error *err)
{
    struct json_object *initial = json_object_new_int64(first);
    const struct durable_condition_opts opts = { .initial = initial, .polling = every(seconds, 0) };
    enum durable_rc rc = durable_wait_for_condition(ctx, name, count_up, in, &opts, out, err);
    json_object_put(initial);
    return rc;
}

static enum durable_rc basic(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return count_from(ctx, NULL, 0, 1, in, out, err);
}

static enum durable_rc at_once(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    struct json_object *initial = json_object_new_int64(5);
    const struct durable_condition_opts opts = { .initial = initial };
    enum durable_rc rc = durable_wait_for_condition(ctx, NULL, unchanged, in, &opts, out, err);
    json_object_put(initial);
    return rc;
}

static enum durable_rc named(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return count_from(ctx, "poll-status", 0, 1, in, out, err);
}

static enum durable_rc initial_state(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                     struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return count_from(ctx, NULL, 5, 1, in, out, err);
}

static enum durable_rc fixed_delay(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return count_from(ctx, NULL, 0, 2, in, out, err);
}

static enum durable_rc exhausted(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)arg;
    const struct durable_condition_opts opts = { .initial = in, .polling = every(1, 3) };
    return durable_wait_for_condition(ctx, NULL, never_done, NULL, &opts, out, err);
}

static enum durable_rc check_fails(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return durable_wait_for_condition(ctx, NULL, failing, NULL, NULL, out, err);
}

static enum durable_rc structured(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    struct json_object *initial = json_object_new_object();
    json_object_object_add(initial, "status", new_text("PENDING"));
    json_object_object_add(initial, "attempts", json_object_new_int(0));
    const struct durable_condition_opts opts = { .initial = initial, .polling = every(1, 0) };
    enum durable_rc rc = durable_wait_for_condition(ctx, NULL, job_status, NULL, &opts, out, err);
    json_object_put(initial);
    return rc;
}

static enum durable_rc null_state(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return durable_wait_for_condition(ctx, NULL, nothing, NULL, NULL, out, err);
}

static int ten_times(struct durable_step *step, void *arg, struct json_object **out,
                     struct durable_error *err)
{
    (void)step, (void)err;
    *out = json_object_new_int64(json_object_get_int64(arg) * 10);
    return 0;
}

static enum durable_rc then_step(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)arg;
    struct json_object *counted = NULL;
    DURABLE_TRY(count_from(ctx, NULL, 0, 1, in, &counted, err));
    enum durable_rc rc = durable_step(ctx, NULL, ten_times, counted, NULL, out, err);
    json_object_put(counted);
    return rc;
}

const struct conformance_case condition_cases[] = {
    { "6-1", basic },       { "6-2", at_once },    { "6-3", named },       { "6-4", initial_state },
    { "6-5", fixed_delay }, { "6-6", exhausted },  { "6-7", check_fails }, { "6-9", structured },
    { "6-10", null_state }, { "6-12", then_step }, { NULL, NULL },
};

/* Suite 1: step. */
#include <unistd.h>

#include "tests/conformance/suites.h"
#include "tests/conformance/values.h"

static int greet(struct durable_step *step, void *arg, struct json_object **out,
                 struct durable_error *err)
{
    (void)step, (void)err;
    *out = new_text_f("Hello, %s!", text_of(arg));
    return 0;
}

static enum durable_rc greeting(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return durable_step(ctx, NULL, greet, in, NULL, out, err);
}

static enum durable_rc named(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return durable_step(ctx, "custom_step_name", greet, in, NULL, out, err);
}

static int add_second(struct durable_step *step, void *arg, struct json_object **out,
                      struct durable_error *err)
{
    (void)step, (void)err;
    *out = new_text_f("%s_second", text_of(arg));
    return 0;
}

static enum durable_rc sequence(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    const char *text = "first";
    struct json_object *first = NULL;
    DURABLE_TRY(durable_step(ctx, NULL, give_text, &text, NULL, &first, err));
    enum durable_rc rc = durable_step(ctx, NULL, add_second, first, NULL, out, err);
    json_object_put(first);
    return rc;
}

static int describe(struct durable_step *step, void *arg, struct json_object **out,
                    struct durable_error *err)
{
    (void)step, (void)err;
    struct json_object *tags = json_object_object_get(arg, "tags");
    *out = json_object_new_object();
    json_object_object_add(*out, "user", json_object_get(arg));
    json_object_object_add(*out, "count",
                           json_object_new_int64((int64_t)json_object_array_length(tags)));
    return 0;
}

static enum durable_rc complex_object(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                      struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return durable_step(ctx, NULL, describe, in, NULL, out, err);
}

static enum durable_rc nothing(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return durable_step(ctx, NULL, give_json, NULL, NULL, out, err);
}

static enum durable_rc serdes(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_step_opts opts = { .serdes = &shouting };
    return durable_step(ctx, NULL, give_json, in, &opts, out, err);
}

static int greet_and_log(struct durable_step *step, void *arg, struct json_object **out,
                         struct durable_error *err)
{
    const char *name = text_of(arg);
    durable_step_log(step, DURABLE_LOG_INFO, "Greeting step started for: %s", name);
    int rc = greet(step, arg, out, err);
    durable_step_log(step, DURABLE_LOG_INFO, "Greeting step completed with: Hello, %s!", name);
    return rc;
}

static enum durable_rc logging(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return durable_step(ctx, NULL, greet_and_log, in, NULL, out, err);
}

static int log_and_give(struct durable_step *step, void *arg, struct json_object **out,
                        struct durable_error *err)
{
    durable_step_log(step, DURABLE_LOG_INFO, "step executed");
    return give_text(step, arg, out, err);
}

/* A step, and then a wait: the second invocation finds the step done. */
static enum durable_rc step_and_wait(struct durable_ctx *ctx, durable_step_fn *body,
                                     const char *text, int64_t seconds, struct json_object **out,
                                     struct durable_error *err)
{
    struct json_object *value = NULL;
    DURABLE_TRY(durable_step(ctx, NULL, body, &text, NULL, &value, err));
    return wait_and_give(ctx, seconds, value, out, err);
}

static enum durable_rc replay(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return step_and_wait(ctx, give_text, "computed", 2, out, err);
}

static enum durable_rc replay_skips(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                    struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return step_and_wait(ctx, log_and_give, "cached_value", 1, out, err);
}

static enum durable_rc retried(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    const char *text = "Operation succeeded";
    const struct durable_step_opts opts = { .retry = every_second(3) };
    return durable_step(ctx, NULL, fail_once, &text, &opts, out, err);
}

static enum durable_rc exhausted(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    const struct durable_step_opts opts = { .retry = every_second(4) };
    return durable_step(ctx, NULL, fail_always, NULL, &opts, out, err);
}

static int third_time_lucky(struct durable_step *step, void *arg, struct json_object **out,
                            struct durable_error *err)
{
    if (durable_step_attempt(step) < 3)
        return fail_always(step, arg, out, err);
    *out = new_text("third attempt");
    return 0;
}

static enum durable_rc default_retry(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                     struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return durable_step(ctx, NULL, third_time_lucky, NULL, NULL, out, err);
}

static enum durable_rc backoff(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    static const struct durable_step_opts opts = {
        .retry = { .max_attempts = 5, .first_delay_s = 2, .rate = 3, .jitter = DURABLE_JITTER_NONE }
    };
    return durable_step(ctx, NULL, third_time_lucky, NULL, &opts, out, err);
}

static int transient_once(struct durable_step *step, void *arg, struct json_object **out,
                          struct durable_error *err)
{
    (void)arg;
    if (durable_step_attempt(step) > 1) {
        *out = new_text("recovered");
        return 0;
    }
    durable_error_set(err, "TransientError", "it will be well in a second");
    return -1;
}

static enum durable_rc by_type(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    static const char *const types[] = { "TransientError", NULL };
    struct durable_step_opts opts = { .retry = every_second(3) };
    opts.retry.only_types = types;
    return durable_step(ctx, NULL, transient_once, NULL, &opts, out, err);
}

static int log_and_die(struct durable_step *step, void *arg, struct json_object **out,
                       struct durable_error *err)
{
    (void)out, (void)err;
    durable_step_log(step, DURABLE_LOG_INFO, "about to end the process: %s", text_of(arg));
    _exit(1);
}

static enum durable_rc at_most_once(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                    struct json_object **out, struct durable_error *err)
{
    (void)arg;
    struct durable_step_opts opts = no_retry;
    opts.at_most_once = true;
    return durable_step(ctx, "at_most_once_flaky_step", log_and_die, in, &opts, out, err);
}

static enum durable_rc never_retried(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                     struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return durable_step(ctx, NULL, fail_always, NULL, &no_retry, out, err);
}

const struct conformance_case step_cases[] = {
    { "1-1", greeting },       { "1-2", named },      { "1-3", sequence },
    { "1-4", complex_object }, { "1-5", nothing },    { "1-6", serdes },
    { "1-7", logging },        { "1-8", replay },     { "1-9", replay_skips },
    { "1-11", retried },       { "1-12", exhausted }, { "1-13", default_retry },
    { "1-14", backoff },       { "1-15", by_type },   { "1-17", at_most_once },
    { "1-19", never_retried }, { NULL, NULL },
};

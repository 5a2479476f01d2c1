/* Suite 7: a callback, the step that submits its id, and the wait for it, as one operation. */
#include "tests/conformance/suites.h"
#include "tests/conformance/values.h"

/* The external system finds the callback by itself. */
static int submit(struct durable_step *step, const char *callback_id, void *arg,
                  struct durable_error *err)
{
    (void)step, (void)callback_id, (void)arg, (void)err;
    return 0;
}

static int cannot_submit(struct durable_step *step, const char *callback_id, void *arg,
                         struct durable_error *err)
{
    (void)callback_id, (void)arg;
    durable_error_set(err, "Error", "attempt %u to submit fails", durable_step_attempt(step));
    return -1;
}

/* A handler with the input as the name, and its options. */
#define NAMED_BY_INPUT(handler, submitter, ...)                                                    \
    static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,     \
                                   struct json_object **out, struct durable_error *err)            \
    {                                                                                              \
        (void)arg;                                                                                 \
        const struct durable_wait_for_callback_opts opts = { __VA_ARGS__ };                        \
        return durable_wait_for_callback(ctx, text_of(in), submitter, NULL, &opts, out, err);      \
    }

NAMED_BY_INPUT(basic, submit, .callback = { .json = false })
NAMED_BY_INPUT(timed, submit, .callback = { .timeout_s = 3 })
NAMED_BY_INPUT(unsubmitted, cannot_submit, .retry = every_second(2))
NAMED_BY_INPUT(silent, submit, .callback = { .heartbeat_timeout_s = 5 })
NAMED_BY_INPUT(beating, submit, .callback = { .heartbeat_timeout_s = 10 })

static enum durable_rc approval(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return durable_wait_for_callback(ctx, "approval", submit, NULL, NULL, out, err);
}

static enum durable_rc nameless(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return durable_wait_for_callback(ctx, NULL, submit, NULL, NULL, out, err);
}

static enum durable_rc in_child(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return durable_child(ctx, "wrapper", basic, in, NULL, NULL, out, err);
}

static enum durable_rc two(struct durable_ctx *ctx, struct json_object *in, void *arg,
                           struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    DURABLE_TRY(durable_wait_for_callback(ctx, "first", submit, NULL, NULL, NULL, err));
    return durable_wait_for_callback(ctx, "second", submit, NULL, NULL, out, err);
}

static enum durable_rc json_payload(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                    struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_wait_for_callback_opts opts = { .callback = { .json = true } };
    struct json_object *answer = NULL;
    DURABLE_TRY(durable_wait_for_callback(ctx, text_of(in), submit, NULL, &opts, &answer, err));
    *out = new_text(text_at(answer, "status"));
    json_object_put(answer);
    return DURABLE_OK;
}

const struct conformance_case wait_for_callback_cases[] = {
    { "7-1", basic },         { "7-2", approval },    { "7-3", nameless }, { "7-4", basic },
    { "7-5", timed },         { "7-7", unsubmitted }, { "7-8", in_child }, { "7-9", two },
    { "7-11", json_payload }, { "7-12", silent },     { "7-13", beating }, { "7-15", basic },
    { NULL, NULL },
};

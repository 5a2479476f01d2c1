/* What an operation gives to the handler is the same in the invocation in which it happens and in
 * every later one, value or error, member by member. Each case runs one operation, records what it
 * gave by a step of its own, waits, and looks at it again in the next invocation. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/sdk_rig.h"

#define SPEED 10 /* of the engine's waits and timeouts */

/* ---- operations ------------------------------------------------------------------------------ */

typedef enum durable_rc operation(struct durable_ctx *ctx, struct json_object **out,
                                  struct durable_error *err);

static int fail(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    (void)step, (void)arg, (void)out;
    durable_error_set(err, "Order.OutOfStock", "none of \"%s\" is left\n\xc3\xbc", "it");
    durable_error_set_data(err, "{\"sku\":7}");
    return -1;
}

static int fail_at_length(struct durable_step *step, void *arg, struct json_object **out,
                          struct durable_error *err)
{
    (void)step, (void)arg, (void)out;
    char *text = mem_alloc(100001);
    memset(text, '\n', 100000); /* twice as long once it is escaped */
    text[100000] = '\0';
    durable_error_set(err, "Long", "%s", text);
    durable_error_set_data(err, text);
    free(text);
    return -1;
}

static int fail_silently(struct durable_step *step, void *arg, struct json_object **out,
                         struct durable_error *err)
{
    (void)step, (void)arg, (void)out, (void)err;
    return -1;
}

static const struct durable_step_opts once = { .retry = DURABLE_RETRY_NONE };

static enum durable_rc step_fails(struct durable_ctx *ctx, struct json_object **out,
                                  struct durable_error *err)
{
    return durable_step(ctx, "s", fail, NULL, &once, out, err);
}

static enum durable_rc step_fails_at_length(struct durable_ctx *ctx, struct json_object **out,
                                            struct durable_error *err)
{
    return durable_step(ctx, "s", fail_at_length, NULL, &once, out, err);
}

static enum durable_rc step_fails_silently(struct durable_ctx *ctx, struct json_object **out,
                                           struct durable_error *err)
{
    return durable_step(ctx, "s", fail_silently, NULL, &once, out, err);
}

static int not_json(struct durable_step *step, void *arg, struct json_object **out,
                    struct durable_error *err)
{
    (void)step, (void)arg, (void)err;
    *out = json_object_new_string("\xff\xfe");
    return 0;
}

static enum durable_rc step_not_json(struct durable_ctx *ctx, struct json_object **out,
                                     struct durable_error *err)
{
    return durable_step(ctx, "s", not_json, NULL, &once, out, err);
}

static const char awkward[] =
    "{\"empty\":{},\"list\":[[],null,true,-0.0,1e300,9223372036854775807,-9223372036854775808,"
    "0.1],\"text\":\"\\u0000\\u001f\\\"\\\\/\\u20ac\\ud83d\\ude00\",\"\":\"\"}";

static int give_awkward(struct durable_step *step, void *arg, struct json_object **out,
                        struct durable_error *err)
{
    (void)step, (void)arg;
    struct error why;
    if (json_parse_str(awkward, out, &why) == 0)
        return 0;
    durable_error_set(err, "Parse", "%s", why.msg);
    return -1;
}

static enum durable_rc step_awkward(struct durable_ctx *ctx, struct json_object **out,
                                    struct durable_error *err)
{
    return durable_step(ctx, "s", give_awkward, NULL, &once, out, err);
}

static int give_size(struct durable_step *step, void *arg, struct json_object **out,
                     struct durable_error *err)
{
    (void)step, (void)err;
    size_t len = *(const size_t *)arg - 2; /* its quotes */
    char *text = mem_alloc(len);
    memset(text, 'x', len);
    *out = json_object_new_string_len(text, (int)len);
    free(text);
    return 0;
}

/* Only the size of the value is looked at. */
static enum durable_rc sized(struct durable_ctx *ctx, size_t size, struct json_object **out,
                             struct durable_error *err)
{
    struct json_object *value = NULL;
    DURABLE_TRY(durable_step(ctx, "s", give_size, &size, &once, &value, err));
    *out = json_object_new_int(json_object_get_string_len(value));
    json_object_put(value);
    return DURABLE_OK;
}

static enum durable_rc step_at_the_limit(struct durable_ctx *ctx, struct json_object **out,
                                         struct durable_error *err)
{
    return sized(ctx, 262144, out, err);
}

static enum durable_rc step_too_large(struct durable_ctx *ctx, struct json_object **out,
                                      struct durable_error *err)
{
    return sized(ctx, 262145, out, err);
}

static enum durable_rc failing_body(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                    struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return step_fails(ctx, out, err);
}

static enum durable_rc own_error_body(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                      struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in, (void)arg, (void)out;
    durable_error_set(err, "Own", "the body's own");
    durable_error_set_data(err, "data");
    return DURABLE_FAILED;
}

static enum durable_rc child_step_fails(struct durable_ctx *ctx, struct json_object **out,
                                        struct durable_error *err)
{
    return durable_child(ctx, "c", failing_body, NULL, NULL, NULL, out, err);
}

static enum durable_rc child_fails(struct durable_ctx *ctx, struct json_object **out,
                                   struct durable_error *err)
{
    return durable_child(ctx, "c", own_error_body, NULL, NULL, NULL, out, err);
}

static enum durable_rc flat_child_fails(struct durable_ctx *ctx, struct json_object **out,
                                        struct durable_error *err)
{
    static const struct durable_child_opts flat = { .flat = true };
    return durable_child(ctx, NULL, own_error_body, NULL, NULL, &flat, out, err);
}

static enum durable_rc grandchild_body(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                       struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return child_fails(ctx, out, err);
}

static enum durable_rc grandchild_fails(struct durable_ctx *ctx, struct json_object **out,
                                        struct durable_error *err)
{
    return durable_child(ctx, "g", grandchild_body, NULL, NULL, NULL, out, err);
}

static int submit(struct durable_step *step, const char *callback_id, void *arg,
                  struct durable_error *err)
{
    (void)callback_id;
    return arg ? fail(step, NULL, NULL, err) : 0;
}

static enum durable_rc waited(struct durable_ctx *ctx, bool submitted,
                              struct durable_callback_opts callback, struct json_object **out,
                              struct durable_error *err)
{
    const struct durable_wait_for_callback_opts opts = { .callback = callback,
                                                         .retry = DURABLE_RETRY_NONE };
    return durable_wait_for_callback(ctx, "w", submit, submitted ? NULL : ctx, &opts, out, err);
}

/* The external system answers these two by what the test says. */
static enum durable_rc wait_answered(struct durable_ctx *ctx, struct json_object **out,
                                     struct durable_error *err)
{
    return waited(ctx, true, (struct durable_callback_opts){ 0 }, out, err);
}

static enum durable_rc wait_answered_json(struct durable_ctx *ctx, struct json_object **out,
                                          struct durable_error *err)
{
    return waited(ctx, true, (struct durable_callback_opts){ .json = true }, out, err);
}

static enum durable_rc wait_times_out(struct durable_ctx *ctx, struct json_object **out,
                                      struct durable_error *err)
{
    return waited(ctx, true, (struct durable_callback_opts){ .timeout_s = 1 }, out, err);
}

static enum durable_rc wait_is_silent(struct durable_ctx *ctx, struct json_object **out,
                                      struct durable_error *err)
{
    return waited(ctx, true, (struct durable_callback_opts){ .heartbeat_timeout_s = 1 }, out, err);
}

static enum durable_rc wait_not_submitted(struct durable_ctx *ctx, struct json_object **out,
                                          struct durable_error *err)
{
    return waited(ctx, false, (struct durable_callback_opts){ 0 }, out, err);
}

static enum durable_rc callback_of(struct durable_ctx *ctx, struct durable_callback_opts opts,
                                   struct json_object **out, struct durable_error *err)
{
    auto_durable_callback struct durable_callback cb = { 0 };
    DURABLE_TRY(durable_callback_create(ctx, "cb", &opts, &cb, err));
    return durable_callback_result(ctx, &cb, out, err);
}

static enum durable_rc callback_answered(struct durable_ctx *ctx, struct json_object **out,
                                         struct durable_error *err)
{
    return callback_of(ctx, (struct durable_callback_opts){ 0 }, out, err);
}

static enum durable_rc callback_answered_json(struct durable_ctx *ctx, struct json_object **out,
                                              struct durable_error *err)
{
    return callback_of(ctx, (struct durable_callback_opts){ .json = true }, out, err);
}

static enum durable_rc callback_times_out(struct durable_ctx *ctx, struct json_object **out,
                                          struct durable_error *err)
{
    return callback_of(ctx, (struct durable_callback_opts){ .timeout_s = 1 }, out, err);
}

static int check_fails(struct durable_step *step, struct json_object *state, void *arg,
                       struct json_object **next, bool *done, struct durable_error *err)
{
    (void)state, (void)next, (void)done;
    return fail(step, arg, NULL, err);
}

static int never(struct durable_step *step, struct json_object *state, void *arg,
                 struct json_object **next, bool *done, struct durable_error *err)
{
    (void)step, (void)arg, (void)done, (void)err;
    *next = json_object_new_int(json_object_get_int(state) + 1);
    return 0;
}

static enum durable_rc condition_fails(struct durable_ctx *ctx, struct json_object **out,
                                       struct durable_error *err)
{
    return durable_wait_for_condition(ctx, "w", check_fails, NULL, NULL, out, err);
}

static enum durable_rc condition_exhausted(struct durable_ctx *ctx, struct json_object **out,
                                           struct durable_error *err)
{
    static const struct durable_condition_opts opts = {
        .polling = { .max_attempts = 2, .first_delay_s = 1, .jitter = DURABLE_JITTER_NONE }
    };
    return durable_wait_for_condition(ctx, "w", never, NULL, &opts, out, err);
}

/* A strategy of one's own may stop where the check says nothing. */
static int at_two(struct json_object *state, bool done, unsigned attempt, void *arg,
                  struct durable_decision *decision, struct durable_error *err)
{
    (void)done, (void)arg, (void)err;
    decision->retry = json_object_get_int(state) < 2;
    decision->delay_s = attempt;
    return 0;
}

static enum durable_rc condition_decided(struct durable_ctx *ctx, struct json_object **out,
                                         struct durable_error *err)
{
    static const struct durable_condition_opts opts = { .polling = { .decide = at_two } };
    return durable_wait_for_condition(ctx, "w", never, NULL, &opts, out, err);
}

static enum durable_rc invoked(struct durable_ctx *ctx, const char *function,
                               struct json_object **out, struct durable_error *err)
{
    return durable_invoke(ctx, "i", function, NULL, NULL, out, err);
}

static enum durable_rc invoke_fails(struct durable_ctx *ctx, struct json_object **out,
                                    struct durable_error *err)
{
    return invoked(ctx, "failing:$LATEST", out, err);
}

static enum durable_rc invoke_gives(struct durable_ctx *ctx, struct json_object **out,
                                    struct durable_error *err)
{
    return invoked(ctx, "giving:$LATEST", out, err);
}

static enum durable_rc invoke_unknown(struct durable_ctx *ctx, struct json_object **out,
                                      struct durable_error *err)
{
    return invoked(ctx, "nobody:$LATEST", out, err);
}

static enum durable_rc invoke_times_out(struct durable_ctx *ctx, struct json_object **out,
                                        struct durable_error *err)
{
    return invoked(ctx, "lasting:$LATEST", out, err);
}

static const struct {
    const char *name;
    operation *run;
} operations[] = {
    { "step_fails", step_fails },
    { "step_fails_at_length", step_fails_at_length },
    { "step_fails_silently", step_fails_silently },
    { "step_not_json", step_not_json },
    { "step_awkward", step_awkward },
    { "step_at_the_limit", step_at_the_limit },
    { "step_too_large", step_too_large },
    { "child_step_fails", child_step_fails },
    { "child_fails", child_fails },
    { "flat_child_fails", flat_child_fails },
    { "grandchild_fails", grandchild_fails },
    { "wait_answered", wait_answered },
    { "wait_answered_json", wait_answered_json },
    { "wait_times_out", wait_times_out },
    { "wait_is_silent", wait_is_silent },
    { "wait_not_submitted", wait_not_submitted },
    { "callback_answered", callback_answered },
    { "callback_answered_json", callback_answered_json },
    { "callback_times_out", callback_times_out },
    { "condition_fails", condition_fails },
    { "condition_exhausted", condition_exhausted },
    { "condition_decided", condition_decided },
    { "invoke_fails", invoke_fails },
    { "invoke_gives", invoke_gives },
    { "invoke_unknown", invoke_unknown },
    { "invoke_times_out", invoke_times_out },
};

/* ---- the handler ----------------------------------------------------------------------------- */

static int remember(struct durable_step *step, void *arg, struct json_object **out,
                    struct durable_error *err)
{
    (void)step, (void)err;
    *out = json_object_new_string(arg);
    return 0;
}

/* As text, so that nothing is read back and changed on the way. Long texts are told by length. */
static char *describe(enum durable_rc rc, struct json_object *value,
                      const struct durable_error *err)
{
    if (rc == DURABLE_OK)
        return mem_printf("value %s", json_text(value, NULL));
    size_t message = err->message ? strlen(err->message) : 0;
    return mem_printf("%s of %s: %.100s (%zu); data %.100s (%zu); %zu frames", err->type,
                      err->cause_type ? err->cause_type : "-", err->message ? err->message : "-",
                      message, err->data ? err->data : "-", err->data ? strlen(err->data) : 0,
                      err->stack_count);
}

static enum durable_rc twice(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)arg;
    auto_json struct json_object *value = NULL, *first = NULL;
    enum durable_rc rc = DURABLE_FATAL;
    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        if (strcmp(operations[i].name, json_object_get_string(in)) == 0)
            rc = operations[i].run(ctx, &value, err);
    if (rc != DURABLE_OK && rc != DURABLE_FAILED)
        return rc;
    auto_free char *seen = describe(rc, value, err);
    DURABLE_TRY(durable_step(ctx, "remember", remember, seen, NULL, &first, err));
    DURABLE_TRY(durable_wait(ctx, "again", 1, err));
    *out = json_object_new_array();
    json_object_array_add(*out, MOVE(first));
    json_object_array_add(*out, json_object_new_string(seen));
    return DURABLE_OK;
}

static enum durable_rc failing(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    return own_error_body(ctx, NULL, NULL, out, err);
}

static enum durable_rc giving(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    *out = json_object_new_string("given");
    return DURABLE_OK;
}

static enum durable_rc lasting(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg, (void)out;
    return durable_wait(ctx, NULL, 3600, err);
}

const struct sdk_rig_handler sdk_rig_handlers[] = {
    { "twice", twice, NULL },
    { "failing", failing, NULL },
    { "giving", giving, NULL },
    { "lasting", lasting, "\"durable\":{\"executionTimeoutSeconds\":1}" },
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

TestSuite(outcomes, .init = begin, .fini = end, .timeout = 300);

/* What both invocations saw is what `want` begins with. */
static void expect_of(const char *arn, const char *name, const char *want)
{
    struct error err;
    struct history_facts facts;
    auto_json struct json_object *ended = lambda_rig_end(&rig, arn, "SUCCEEDED");
    auto_json struct json_object *both = NULL;
    cr_assert_eq(json_parse_str(json_get_str(ended, "Result"), &both, &err), 0);
    const char *first = json_object_get_string(json_object_array_get_idx(both, 0));
    const char *again = json_object_get_string(json_object_array_get_idx(both, 1));
    cr_assert_str_eq(first, again, "%s", name);
    cr_assert_eq(strncmp(first, want, strlen(want)), 0, "%s: %s", name, first);
    sdk_rig_history(&rig, arn, &facts);
}

static char *run(const char *name)
{
    auto_free char *input = mem_printf("\"%s\"", name);
    return lambda_rig_begin(&rig, "twice:$LATEST", input);
}

static void expect(const char *name, const char *want)
{
    auto_free char *arn = run(name);
    expect_of(arn, name, want);
}

#define FAILURE "none of \"it\" is left\n\xc3\xbc (23); data {\"sku\":7} (9); 0 frames"

Test(outcomes, of_steps)
{
    expect("step_fails", "StepError of Order.OutOfStock: " FAILURE);
    expect("step_fails_at_length", "StepError of Long: \n\n\n");
    expect("step_fails_silently", "StepError of Error: ");
    expect("step_not_json", "StepError of SerdesError: ");
    expect("step_at_the_limit", "value 262142");
    expect("step_too_large", "StepError of PayloadTooLargeError: ");
    expect("step_awkward", "value {\"empty\":{},\"list\":[[],null,true,");
}

Test(outcomes, of_children)
{
    expect("child_step_fails", "ChildContextError of StepError: " FAILURE);
    expect("child_fails", "ChildContextError of Own: the body's own (14); data data (4)");
    expect("flat_child_fails", "ChildContextError of Own: the body's own (14); data data (4)");
    expect("grandchild_fails", "ChildContextError of ChildContextError: the body's own (14)");
}

/* Answers the one callback of a run. */
static void answered(const char *name, const char *result, const char *failure, const char *want)
{
    struct error err;
    auto_free char *arn = run(name);
    auto_free char *id = lambda_rig_callback(&rig, arn);
    int rc = failure ? lambda_callback_failure(rig.aws, id, failure, &err)
                     : lambda_callback_success(rig.aws, id, result, strlen(result), &err);
    cr_assert_eq(rc, 0, "%s", err.msg);
    expect_of(arn, name, want);
}

Test(outcomes, of_callbacks)
{
    static const char failure[] = "{\"ErrorType\":\"Disk.Full\",\"ErrorMessage\":\"no room\","
                                  "\"ErrorData\":\"d\",\"StackTrace\":[\"a\",\"b\"]}";
    static const char want[] = "CallbackExternalError of Disk.Full: no room (7); data d (1); ";
    static const char *const raw[] = { "callback_answered", "wait_answered" };
    static const char *const json[] = { "callback_answered_json", "wait_answered_json" };
    for (size_t i = 0; i < 2; i++) {
        answered(raw[i], "{\"x\": 1}", NULL, "value \"{\\\"x\\\": 1}\"");
        answered(json[i], "{\"x\": 1}", NULL, "value {\"x\":1}");
        answered(raw[i], "", NULL, "value null");
        answered(json[i], "", NULL, "value null");
        answered(raw[i], NULL, failure, want);
        answered(raw[i], NULL, "{}", "CallbackExternalError of ");
    }
    answered("callback_answered_json", "{x", NULL, "SerdesError of ");
    expect("callback_times_out", "CallbackTimeoutError of Callback.Timeout: ");
    expect("wait_times_out", "CallbackTimeoutError of Callback.Timeout: ");
    expect("wait_is_silent", "CallbackTimeoutError of Callback.Heartbeat: ");
    expect("wait_not_submitted", "CallbackSubmitterError of Order.OutOfStock: ");
}

Test(outcomes, of_conditions)
{
    expect("condition_fails", "WaitForConditionError of Order.OutOfStock: " FAILURE);
    expect("condition_exhausted", "WaitForConditionError of ");
    expect("condition_decided", "value 2");
}

Test(outcomes, of_invokes)
{
    expect("invoke_fails", "InvokeError of Own: the body's own (14); data data (4)");
    expect("invoke_gives", "value \"given\"");
    expect("invoke_unknown", "InvokeError of ResourceNotFoundException: ");
    expect("invoke_times_out", "InvokeError of ");
}

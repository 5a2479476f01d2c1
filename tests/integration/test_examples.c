/* Each example does what its comment says, on a real local-aws. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/lambda_rig.h"

static struct lambda_rig rig;

static void add(struct json_object *functions, const char *name, const char *target)
{
    const char *bin = getenv("BIN_DIR");
    auto_free char *program = mem_printf("%s/../examples/%s", bin ? bin : "build/bin", name);
    struct json_object *f = json_object_new_object(), *command = json_object_new_array();
    struct json_object *env = json_object_new_object(), *durable = json_object_new_object();
    json_object_array_add(command, json_object_new_string(program));
    json_add_str(env, "ASAN_OPTIONS", "detect_leaks=0");
    json_add_str(env, "INVOKE_TARGET", target);
    json_add_int(durable, "executionTimeoutSeconds", 300);
    json_add(f, "command", command);
    json_add(f, "environment", env);
    json_add(f, "durable", durable);
    json_add(functions, name, f);
}

static void begin(void)
{
    static const char *const names[] = {
        "hello", "retry", "wait", "callback", "wait_for_callback", "condition", "parallel",
        "map",   "child", "saga", "order"
    };
    struct json_object *functions = json_object_new_object();
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        add(functions, names[i], NULL);
    add(functions, "invoke", "hello:$LATEST");
    lambda_rig_start_with(&rig, functions);
}

static void end(void)
{
    lambda_rig_stop(&rig);
}

TestSuite(examples, .init = begin, .fini = end);

static char *qualified(const char *name)
{
    return mem_printf("%s:$LATEST", name);
}

/* `want` is the whole result, in the order of json_canonical. */
static void expect_result(const char *name, const char *input, const char *want)
{
    auto_free char *function = qualified(name);
    auto_free char *result = lambda_rig_invoke(&rig, function, input, false);
    cr_assert_str_eq(result, want, "%s %s: %s", name, input, result);
}

static void expect_failure(const char *name, const char *input, const char *type,
                           const char *message)
{
    struct error err;
    auto_free char *function = qualified(name);
    auto_free char *text = lambda_rig_invoke(&rig, function, input, true);
    auto_json struct json_object *o = NULL;
    cr_assert_eq(json_parse_str(text, &o, &err), 0, "%s", text);
    cr_assert_str_eq(json_get_str(o, "errorType"), type, "%s", text);
    cr_assert_str_eq(json_get_str(o, "errorMessage"), message, "%s", text);
}

Test(examples, hello)
{
    expect_result("hello", "{\"name\":\"Ada\"}", "{\"greeting\":\"Hello, Ada!\"}");
    expect_failure("hello", "{}", "StepError", "the input has no \"name\"");
}

Test(examples, retry)
{
    expect_result("retry", "{\"failures\":2}", "{\"attempts\":3}");
    expect_failure("retry", "{\"failures\":9}", "StepError", "attempt 3 met an overload");
}

Test(examples, wait)
{
    auto_free char *arn = lambda_rig_begin(&rig, "wait:$LATEST", "{\"seconds\":1}");
    auto_json struct json_object *ended = lambda_rig_end(&rig, arn, "SUCCEEDED");
    cr_assert_not_null(strstr(json_get_str(ended, "Result"), "\"waitedSeconds\":1"));
    auto_free char *history = lambda_rig_history(&rig, arn);
    cr_assert_str_eq(history, "ExecutionStarted StepStarted StepSucceeded WaitStarted "
                              "InvocationCompleted WaitSucceeded InvocationCompleted "
                              "ExecutionSucceeded");
}

/* Starts it, answers its callback and returns the result, the caller's. */
static char *answered(const char *name, const char *input, const char *result, const char *failure)
{
    struct error err;
    auto_free char *function = qualified(name);
    auto_free char *arn = lambda_rig_begin(&rig, function, input);
    auto_free char *id = lambda_rig_callback(&rig, arn);
    int rc = result ? lambda_callback_success(rig.aws, id, result, strlen(result), &err)
                    : lambda_callback_failure(rig.aws, id, failure, &err);
    cr_assert_eq(rc, 0, "%s", err.msg);
    auto_json struct json_object *ended = lambda_rig_end(&rig, arn, "SUCCEEDED");
    return mem_dup(json_get_str(ended, "Result"));
}

Test(examples, callback)
{
    auto_free char *result = answered("callback", "{}", "{\"ok\":true}", NULL);
    cr_assert_str_eq(result, "{\"approval\":{\"ok\":true}}");
}

Test(examples, wait_for_callback)
{
    static const char failure[] = "{\"ErrorType\":\"Disk.Full\",\"ErrorMessage\":\"no room\"}";
    auto_free char *good = answered("wait_for_callback", "{\"job\":\"resize\"}", "[1,2]", NULL);
    cr_assert_str_eq(good, "[1,2]");
    auto_free char *bad = answered("wait_for_callback", "{\"job\":\"resize\"}", NULL, failure);
    cr_assert_str_eq(bad, "{\"failed\":\"Disk.Full\",\"why\":\"no room\"}");
}

Test(examples, condition)
{
    expect_result("condition", "{\"polls\":3}", "{\"progress\":100,\"polls\":3}");
}

Test(examples, parallel)
{
    expect_result("parallel", "{}", "{\"stock\":7,\"price\":19}");
}

Test(examples, map)
{
    expect_result("map",
                  "{\"orders\":[{\"id\":1,\"amount\":10},{\"id\":2,\"amount\":-1},"
                  "{\"id\":3,\"amount\":5}]}",
                  "{\"charged\":[1,3],\"failed\":[\"order 2: the amount is negative\"],"
                  "\"reason\":\"ALL_COMPLETED\"}");
}

Test(examples, invoke)
{
    expect_result("invoke", "{\"name\":\"Bo\"}", "{\"answer\":{\"greeting\":\"Hello, Bo!\"}}");
    expect_result("invoke", "{}",
                  "{\"failed\":\"StepError\",\"why\":\"the input has no \\\"name\\\"\"}");
}

Test(examples, child)
{
    expect_result("child", "{\"customers\":[\"a\",\"b\"]}", "{\"a\":2,\"b\":2}");
}

Test(examples, order)
{
    struct error err;
    auto_free char *good = answered("order", "{\"id\":7}", "yes", NULL);
    cr_assert_str_eq(good, "\"yes\"");
    auto_free char *arn = lambda_rig_begin(&rig, "order:$LATEST", "{\"id\":8}");
    auto_free char *id = lambda_rig_callback(&rig, arn);
    cr_assert_eq(lambda_callback_failure(rig.aws, id, "{\"ErrorMessage\":\"too dear\"}", &err), 0);
    auto_json struct json_object *ended = lambda_rig_end(&rig, arn, "FAILED");
    struct json_object *why = json_get_obj(ended, "Error");
    cr_assert_str_eq(json_get_str(why, "ErrorType"), "Order.NotApproved");
    cr_assert_str_eq(json_get_str(why, "ErrorMessage"), "too dear");
}

Test(examples, saga)
{
    expect_result("saga", "{}", "{\"booked\":[\"flight\",\"hotel\",\"car\"]}");
    auto_free char *arn = lambda_rig_begin(&rig, "saga:$LATEST", "{\"car\":\"full\"}");
    auto_json struct json_object *ended = lambda_rig_end(&rig, arn, "FAILED");
    cr_assert_str_eq(json_get_str(json_get_obj(ended, "Error"), "ErrorMessage"),
                     "there is no car left");
    auto_free char *history = lambda_rig_history(&rig, arn);
    cr_assert_str_eq(history,
                     "ExecutionStarted StepStarted StepSucceeded StepStarted StepSucceeded "
                     "StepStarted StepFailed InvocationCompleted StepStarted StepFailed "
                     "StepStarted StepSucceeded StepStarted StepSucceeded "
                     "InvocationCompleted ExecutionFailed");
}

/* Chained invokes on a real local-aws: durable and plain targets, and how each can end. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/lambda_rig.h"

/* Starts one that invokes `target` with the text `payload` (NULL: none); its ARN, the caller's. */
static char *begin(struct lambda_rig *r, const char *target, const char *payload)
{
    auto_json struct json_object *input = json_object_new_object();
    json_add_str(input, "mode", "invoke");
    json_add_str(input, "target", target);
    json_add_str(input, "payload", payload);
    return lambda_rig_begin(r, "f:1", json_text(input, NULL));
}

static void expect_result(struct lambda_rig *r, const char *arn, const char *wanted)
{
    auto_json struct json_object *o = lambda_rig_end(r, arn, "SUCCEEDED");
    cr_expect_str_eq(json_get_str(o, "Result"), wanted);
}

static void expect_history(struct lambda_rig *r, const char *arn, const char *wanted)
{
    auto_free char *found = lambda_rig_history(r, arn);
    cr_expect_str_eq(found, wanted);
}

/* The caller has suspended and was invoked again. On a slow machine the target may end before the
 * caller has suspended: the same events in another order. */
static void expect_after(struct lambda_rig *r, const char *arn, const char *how)
{
    auto_free char *usual = mem_printf("ExecutionStarted ChainedInvokeStarted InvocationCompleted "
                                       "ChainedInvoke%s InvocationCompleted ExecutionSucceeded",
                                       how);
    auto_free char *hasty = mem_printf("ExecutionStarted ChainedInvokeStarted ChainedInvoke%s "
                                       "InvocationCompleted InvocationCompleted ExecutionSucceeded",
                                       how);
    auto_free char *found = lambda_rig_history(r, arn);
    cr_expect(strcmp(found, usual) == 0 || strcmp(found, hasty) == 0, "%s", found);
}

/* The target's ARN as the caller's history names it, the caller's. */
static char *target_arn(struct lambda_rig *r, const char *arn)
{
    auto_json struct json_object *event = lambda_rig_event(r, arn, "ChainedInvokeStarted");
    return mem_dup(
        json_get_str(json_get_obj(event, "ChainedInvokeStartedDetails"), "DurableExecutionArn"));
}

Test(local_chained, each_target_ends_it_in_its_own_way, .timeout = 120)
{
    static const char at_once[] = "ExecutionStarted ChainedInvokeStarted ChainedInvokeFailed "
                                  "InvocationCompleted ExecutionSucceeded";
    static const struct {
        const char *target, *payload, *result, *after; /* how, or NULL: it is not looked at */
    } cases[] = {
        /* Each slow enough that the caller has suspended before: see rig function. */
        { "f:live", "{\"mode\":\"wait\",\"seconds\":1}", "SUCCEEDED \"waited\"", "Succeeded" },
        { "p", "{\"sleep\":1}", "SUCCEEDED {\"sleep\":1}", "Succeeded" },
        { "mortal:1", "{\"mode\":\"callback\"}",
          "TIMED_OUT {\"ErrorType\":\"ChainedInvoke.Timeout\",\"ErrorMessage\":"
          "\"CHAINED_INVOKE timed out after 1 seconds.\"}",
          "TimedOut" },
        { "nobody", "1",
          "FAILED {\"ErrorType\":\"ResourceNotFoundException\",\"ErrorMessage\":\"Function not "
          "found: arn:aws:lambda:us-east-1:123456789012:function:nobody\"}",
          at_once },
        { "f", "1",
          "FAILED {\"ErrorType\":\"InvalidParameterValueException\",\"ErrorMessage\":\"You cannot "
          "invoke a durable function using an unqualified ARN.\"}",
          at_once },
        { "f:1", "{\"mode\":\"fail\"}",
          "FAILED {\"ErrorMessage\":\"as asked\",\"ErrorType\":\"Mine\",\"ErrorData\":\"d\"}",
          NULL },
        { "f:$LATEST", "{\"a\":[1]}", "SUCCEEDED {\"a\":[1]}", NULL },
        { "f:1", NULL, "SUCCEEDED {}", NULL },
        { "p", NULL, "SUCCEEDED {}", NULL },
        { "arn:aws:lambda:us-east-1:123456789012:function:p", "\"x\"", "SUCCEEDED \"x\"", NULL },
    };
    struct lambda_rig r;
    char *arns[ARRAY_LEN(cases)];
    lambda_rig_start(&r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        arns[i] = begin(&r, cases[i].target, cases[i].payload);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect_result(&r, arns[i], cases[i].result);
        if (cases[i].after == at_once)
            expect_history(&r, arns[i], at_once);
        else if (cases[i].after)
            expect_after(&r, arns[i], cases[i].after);
        free(arns[i]);
    }
    lambda_rig_stop(&r);
}

Test(local_chained, a_crash_of_a_plain_target_is_a_failure, .timeout = 60)
{
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    auto_free char *arn = begin(&r, "p", "{\"exit\":1}");
    auto_json struct json_object *o = lambda_rig_end(&r, arn, "SUCCEEDED");
    const char *result = json_get_str(o, "Result");
    cr_expect_not_null(strstr(result, "FAILED {\"ErrorType\":\"Runtime.ExitError\""), "%s", result);
    lambda_rig_stop(&r);
}

Test(local_chained, the_history_names_version_execution_input_and_tenant, .timeout = 60)
{
    struct lambda_rig r;
    struct error err;
    lambda_rig_start(&r, NULL);
    auto_free char *arn = lambda_rig_begin(
        &r, "f:1",
        "{\"mode\":\"invoke\",\"target\":\"f:live\",\"tenant\":\"blue team\",\"payload\":"
        "\"{\\\"mode\\\":\\\"callback\\\"}\"}");
    auto_json struct json_object *event = lambda_rig_event(&r, arn, "ChainedInvokeStarted");
    struct json_object *details = json_get_obj(event, "ChainedInvokeStartedDetails");
    cr_expect_str_eq(json_get_str(details, "FunctionName"), "f:live");
    cr_expect_str_eq(json_get_str(details, "ExecutedVersion"), "1");
    cr_expect_str_eq(json_get_str(details, "TenantId"), "blue team");
    cr_expect_str_eq(json_get_str(json_get_obj(details, "Input"), "Payload"),
                     "{\"mode\":\"callback\"}");
    const char *child = json_get_str(details, "DurableExecutionArn");
    cr_assert_not_null(child);
    cr_expect_not_null(strstr(child, ":function:f:1/durable-execution/"), "%s", child);

    /* It is an execution like any other: it can be described, answered and stopped. */
    auto_json struct json_object *o = NULL;
    cr_assert_eq(lambda_get_execution(r.aws, child, &o, &err), 0, "%s", err.msg);
    cr_expect_str_eq(json_get_str(o, "Status"), "RUNNING");
    cr_expect_str_eq(json_get_str(o, "InputPayload"), "{\"mode\":\"callback\"}");
    auto_free char *callback = lambda_rig_callback(&r, child);
    cr_assert_eq(lambda_callback_success(r.aws, callback, "5", 1, &err), 0, "%s", err.msg);
    expect_result(&r, arn, "SUCCEEDED 5");
    lambda_rig_stop(&r);
}

Test(local_chained, a_stop_of_the_target_ends_the_caller_and_not_the_other_way, .timeout = 60)
{
    struct lambda_rig r;
    struct error err;
    lambda_rig_start(&r, NULL);
    auto_free char *arn = begin(&r, "f:1", "{\"mode\":\"callback\"}");
    auto_free char *target = target_arn(&r, arn);
    cr_assert_eq(lambda_stop(r.aws, target, "Cancelled", "by hand", &err), 0, "%s", err.msg);
    expect_result(&r, arn, "STOPPED {\"ErrorMessage\":\"by hand\",\"ErrorType\":\"Cancelled\"}");
    expect_after(&r, arn, "Stopped");

    auto_free char *parent = begin(&r, "f:1", "{\"mode\":\"callback\"}");
    auto_free char *child = target_arn(&r, parent);
    cr_assert_eq(lambda_stop(r.aws, parent, NULL, NULL, &err), 0, "%s", err.msg);
    json_object_put(lambda_rig_end(&r, parent, "STOPPED"));
    auto_free char *callback = lambda_rig_callback(&r, child);
    cr_assert_eq(lambda_callback_success(r.aws, callback, "5", 1, &err), 0, "%s", err.msg);
    expect_result(&r, child, "5");
    /* The stop may come before the caller has suspended. */
    auto_free char *found = lambda_rig_history(&r, parent);
    cr_expect(strcmp(found, "ExecutionStarted ChainedInvokeStarted InvocationCompleted "
                            "ExecutionStopped") == 0 ||
                  strcmp(found, "ExecutionStarted ChainedInvokeStarted ExecutionStopped "
                                "InvocationCompleted") == 0,
              "%s", found);
    lambda_rig_stop(&r);
}

Test(local_chained, killed_and_started_again_every_caller_gets_its_answer, .timeout = 120)
{
    struct lambda_rig r;
    struct error err;
    lambda_rig_start(&r, NULL);
    auto_free char *waits = begin(&r, "f:1", "{\"mode\":\"wait\",\"seconds\":2}");
    auto_free char *calls = begin(&r, "f:1", "{\"mode\":\"callback\"}");
    auto_free char *plain = begin(&r, "p", "{\"sleep\":2}");
    auto_free char *orphan = begin(&r, "p", "{\"sleep\":2}");
    auto_free char *child = target_arn(&r, calls);
    auto_free char *callback = lambda_rig_callback(&r, child);
    char *const all[] = { waits, calls, plain, orphan };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        json_object_put(lambda_rig_event(&r, all[i], "InvocationCompleted"));
    cr_assert_eq(lambda_stop(r.aws, orphan, NULL, NULL, &err), 0, "%s", err.msg);
    lambda_rig_kill(&r);
    lambda_rig_restart(&r);
    cr_assert_eq(lambda_callback_success(r.aws, callback, "5", 1, &err), 0, "%s", err.msg);
    expect_result(&r, waits, "SUCCEEDED \"waited\"");
    expect_result(&r, calls, "SUCCEEDED 5");
    expect_result(&r, plain, "SUCCEEDED {\"sleep\":2}");
    for (size_t i = 0; i < 3; i++)
        expect_after(&r, all[i], "Succeeded");
    lambda_rig_stop(&r);
}

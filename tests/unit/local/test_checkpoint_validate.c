#include "local/aws/checkpoint_validate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"

/* An execution with an operation in each state, named TYPE-STATE. */
static struct execution *make_execution(void)
{
    static const struct {
        const char *id;
        enum operation_type type;
        enum operation_status status;
    } ops[] = {
        { "step-started", OP_STEP, OP_STARTED },
        { "step-pending", OP_STEP, OP_PENDING },
        { "step-ready", OP_STEP, OP_READY },
        { "step-succeeded", OP_STEP, OP_SUCCEEDED },
        { "step-failed", OP_STEP, OP_FAILED },
        { "ctx-started", OP_CONTEXT, OP_STARTED },
        { "ctx-succeeded", OP_CONTEXT, OP_SUCCEEDED },
        { "wait-started", OP_WAIT, OP_STARTED },
        { "wait-succeeded", OP_WAIT, OP_SUCCEEDED },
        { "cb-started", OP_CALLBACK, OP_STARTED },
        { "cb-succeeded", OP_CALLBACK, OP_SUCCEEDED },
        { "ci-started", OP_CHAINED_INVOKE, OP_STARTED },
    };
    struct execution *e = execution_new();
    snprintf(e->id, sizeof(e->id), "the-execution");
    e->arn = mem_dup("arn:aws:lambda:us-east-1:123456789012:function:f:1/durable-execution/n/"
                     "the-execution");
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        struct operation *op = execution_add(e, ops[i].id, ops[i].type);
        op->status = ops[i].status;
        op->name = mem_dup("n");
        op->sub_type = mem_dup("Sub");
        execution_changed(e, op);
    }
    struct operation *child = execution_add(e, "child", OP_STEP);
    child->parent = execution_find(e, "ctx-started");
    execution_changed(e, child);
    return e;
}

/* NULL where the batch is accepted; else the error's text, the caller's, its code in `code`. */
static char *judge(const char *updates, char code[64])
{
    struct error err;
    auto_json struct json_object *o = NULL;
    auto_updates struct update_list list = { 0 };
    struct execution *e = make_execution();
    cr_assert_eq(json_parse_str(updates, &o, &err), 0, "%s: %s", updates, err.msg);
    int rc = update_list_parse(o, &list, &err);
    if (rc == 0)
        rc = checkpoint_validate(e, &list, &err);
    execution_free(e);
    code[0] = '\0';
    if (rc == 0)
        return NULL;
    snprintf(code, 64, "%s", err.type);
    return mem_dup(err.msg);
}

static void expect(const char *updates, const char *text)
{
    char code[64];
    auto_free char *found = judge(updates, code);
    if (!text) {
        cr_expect_null(found, "%s: %s", updates, found);
        return;
    }
    cr_expect_str_eq(found ? found : "(accepted)", text, "%s", updates);
    cr_expect_str_eq(code, "InvalidParameterValueException", "%s", updates);
}

Test(checkpoint_validate, knows_every_transition)
{
    static const char start[] = "Invalid current STEP state to start.";
    static const char end[] = "Invalid current STEP state to close.";
    static const char retry[] = "Invalid current STEP state to re-attempt.";
    static const char action[] = "Invalid action for the given operation type.";
    static const char context[] = "Cannot start a CONTEXT that already exist.";
    static const char context_end[] = "Invalid current CONTEXT state to close.";
    static const char wait[] = "Cannot start a WAIT that already exist.";
    static const char cancel[] =
        "Cannot cancel a WAIT that does not exist or has already completed.";
    static const char callback[] = "Cannot start a CALLBACK that already exist.";
    static const struct {
        const char *type, *id, *action, *text;
    } cases[] = {
        { "STEP", "new", "START", NULL },
        { "STEP", "step-ready", "START", NULL },
        { "STEP", "step-started", "START", start },
        { "STEP", "step-pending", "START", start },
        { "STEP", "step-succeeded", "START", start },
        { "STEP", "new", "SUCCEED", NULL },
        { "STEP", "step-started", "SUCCEED", NULL },
        { "STEP", "step-ready", "SUCCEED", NULL },
        { "STEP", "step-pending", "SUCCEED", end },
        { "STEP", "step-succeeded", "SUCCEED", end },
        { "STEP", "step-started", "FAIL", NULL },
        { "STEP", "step-failed", "FAIL", end },
        { "STEP", "new", "RETRY", NULL },
        { "STEP", "step-started", "RETRY", NULL },
        { "STEP", "step-ready", "RETRY", NULL },
        { "STEP", "step-pending", "RETRY", retry },
        { "STEP", "step-failed", "RETRY", retry },
        { "STEP", "step-started", "CANCEL", action },
        { "CONTEXT", "new", "START", NULL },
        { "CONTEXT", "ctx-started", "START", context },
        { "CONTEXT", "ctx-started", "SUCCEED", NULL },
        { "CONTEXT", "ctx-started", "FAIL", NULL },
        { "CONTEXT", "ctx-succeeded", "SUCCEED", context_end },
        { "CONTEXT", "new", "SUCCEED", context_end },
        { "CONTEXT", "ctx-started", "RETRY", action },
        { "WAIT", "new", "START", NULL },
        { "WAIT", "wait-started", "START", wait },
        { "WAIT", "wait-started", "CANCEL", NULL },
        { "WAIT", "wait-succeeded", "CANCEL", cancel },
        { "WAIT", "new", "CANCEL", cancel },
        { "WAIT", "wait-started", "SUCCEED", action },
        { "CALLBACK", "new", "START", NULL },
        { "CALLBACK", "cb-started", "START", callback },
        { "CALLBACK", "cb-started", "SUCCEED", action },
        { "CALLBACK", "cb-started", "CANCEL", action },
        { "CHAINED_INVOKE", "new", "CANCEL", action },
        { "CHAINED_INVOKE", "new", "START", NULL },
        { "CHAINED_INVOKE", "ci-started", "START",
          "Cannot start a CHAINED_INVOKE that already exist." },
        { "CHAINED_INVOKE", "ci-started", "CANCEL", action },
        { "EXECUTION", "any", "SUCCEED", NULL },
        { "EXECUTION", "any", "FAIL", NULL },
        { "EXECUTION", "any", "START", "Invalid EXECUTION action." },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *options = "";
        if (strcmp(cases[i].action, "RETRY") == 0)
            options = ",\"StepOptions\":{\"NextAttemptDelaySeconds\":1}";
        else if (strcmp(cases[i].type, "WAIT") == 0)
            options = ",\"WaitOptions\":{\"WaitSeconds\":1}";
        else if (strcmp(cases[i].type, "CHAINED_INVOKE") == 0)
            options = ",\"ChainedInvokeOptions\":{\"FunctionName\":\"f:1\"}";
        auto_free char *text = mem_printf("[{\"Id\":\"%s\",\"Type\":\"%s\",\"Action\":\"%s\"%s}]",
                                          cases[i].id, cases[i].type, cases[i].action, options);
        expect(text, cases[i].text);
    }
}

#define STEP(id, action)    "{\"Id\":\"" id "\",\"Type\":\"STEP\",\"Action\":\"" action "\"}"
#define CONTEXT(id, action) "{\"Id\":\"" id "\",\"Type\":\"CONTEXT\",\"Action\":\"" action "\"}"
#define CHILD(id, parent)                                                                          \
    "{\"Id\":\"" id "\",\"Type\":\"STEP\",\"Action\":\"START\",\"ParentId\":\"" parent "\"}"
#define EXECUTION "{\"Id\":\"x\",\"Type\":\"EXECUTION\",\"Action\":\"SUCCEED\"}"

Test(checkpoint_validate, looks_across_the_batch)
{
    static const char twice[] = "Cannot update the same operation twice in a single request.";
    static const char parent[] = "Invalid parent operation id.";
    static const struct {
        const char *updates, *text;
    } cases[] = {
        { "[]", NULL },
        { "[" STEP("a", "START") "," STEP("a", "SUCCEED") "]", NULL },
        { "[" STEP("step-ready", "START") "," STEP("step-ready", "FAIL") "]", NULL },
        { "[" CONTEXT("a", "START") "," CONTEXT("a", "FAIL") "]", NULL },
        { "[" STEP("a", "START") "," STEP("a", "SUCCEED") "," STEP("a", "FAIL") "]", twice },
        { "[" STEP("a", "SUCCEED") "," STEP("a", "START") "]", twice },
        { "[" STEP("a", "START") "," STEP("a", "START") "]", twice },
        { "[" STEP("a", "START") "," CONTEXT("a", "SUCCEED") "]", twice },
        { "[" EXECUTION "," EXECUTION "]", "Cannot checkpoint multiple EXECUTION updates." },
        { "[" EXECUTION "," STEP("a", "START") "]",
          "EXECUTION checkpoint must be the last update." },
        { "[" STEP("a", "START") "," EXECUTION "]", NULL },
        { "[" CHILD("a", "ctx-started") "]", NULL },
        { "[" CHILD("a", "ctx-succeeded") "]", NULL },
        { "[" CONTEXT("c", "START") "," CHILD("a", "c") "," CONTEXT("c", "SUCCEED") "]", NULL },
        { "[" CONTEXT("c", "START") "," CONTEXT("c", "SUCCEED") "," CHILD("a", "c") "]", NULL },
        { "[" CHILD("a", "c") "," CONTEXT("c", "START") "]", parent },
        { "[" CHILD("a", "step-started") "]", parent },
        { "[" CHILD("a", "nothing") "]", parent },
        { "[" CHILD("a", "the-execution") "]", parent },
        { "[" STEP("the-execution", "START") "]", "Inconsistent operation type." },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect(cases[i].updates, cases[i].text);
}

Test(checkpoint_validate, wants_the_same_operation_again)
{
#define AGAIN(members) "[{\"Id\":\"step-started\",\"Action\":\"SUCCEED\"," members "}]"
    expect(AGAIN("\"Type\":\"STEP\",\"Name\":\"n\",\"SubType\":\"Sub\""), NULL);
    expect(AGAIN("\"Type\":\"CONTEXT\""), "Inconsistent operation type.");
    expect(AGAIN("\"Type\":\"STEP\",\"SubType\":\"Other\""), "Inconsistent operation subtype.");
    expect(AGAIN("\"Type\":\"STEP\",\"Name\":\"other\""), "Inconsistent operation name.");
    expect(AGAIN("\"Type\":\"STEP\",\"ParentId\":\"ctx-started\""),
           "Inconsistent parent operation id.");
    expect("[" STEP("child", "SUCCEED") "]", "Inconsistent parent operation id.");
    expect(
        "[{\"Id\":\"child\",\"Type\":\"STEP\",\"Action\":\"FAIL\",\"ParentId\":\"ctx-started\"}]",
        NULL);
}

Test(checkpoint_validate, wants_content_and_options_that_fit)
{
#define ONE(type, action, members)                                                                 \
    "[{\"Id\":\"a\",\"Type\":\"" type "\",\"Action\":\"" action "\"" members "}]"
    static const char options[] = "Invalid StepOptions for the given action.";
    expect(ONE("STEP", "SUCCEED", ",\"Error\":{}"), "Cannot provide an Error for SUCCEED action.");
    expect(ONE("STEP", "FAIL", ",\"Payload\":\"1\""), "Cannot provide a Payload for FAIL action.");
    expect(ONE("STEP", "RETRY",
               ",\"Payload\":\"1\",\"Error\":{},\"StepOptions\":{\"NextAttemptDelaySeconds\":1}"),
           "Cannot provide both error and payload to RETRY a STEP.");
    expect(ONE("STEP", "RETRY", ""), options);
    expect(ONE("STEP", "RETRY", ",\"StepOptions\":{}"), options);
    expect(ONE("STEP", "START", ",\"StepOptions\":{\"NextAttemptDelaySeconds\":1}"), options);
    expect(ONE("WAIT", "START", ""), "Update for WAIT operation requires WaitOptions.");
    expect(ONE("CHAINED_INVOKE", "START", ""),
           "Update for CHAINED_INVOKE operation requires ChainedInvokeOptions.");
    expect(ONE("STEP", "FAIL",
               ",\"Error\":{\"ErrorType\":\"T\",\"StackTrace\":[\"a\"],\"Unknown\":1}"),
           NULL);
    expect(ONE("STEP", "SUCCEED", ",\"Error\":null,\"Payload\":\"1\""), NULL);
}

Test(checkpoint_validate, wants_a_target_of_this_account_and_region)
{
#define CHAINED(options)                                                                           \
    "[{\"Id\":\"a\",\"Type\":\"CHAINED_INVOKE\",\"Action\":\"START\","                             \
    "\"ChainedInvokeOptions\":{" options "}}]"
#define TARGET(name) CHAINED("\"FunctionName\":\"" name "\"")
    char code[64];
    expect(TARGET("nobody-knows:7"), NULL);
    expect(TARGET("123456789012:function:f:1"), NULL);
    expect(TARGET("arn:aws:lambda:us-east-1:123456789012:function:f:1"), NULL);
    expect(TARGET("arn:aws:lambda:us-east-1:123456789013:function:f:1"),
           "Cannot start a CHAINED_INVOKE on a function in another account.");
    expect(TARGET("arn:aws:lambda:eu-west-1:123456789012:function:f:1"),
           "Cannot start a CHAINED_INVOKE on a function in another region.");
    expect(TARGET("a b"), "The function name is not valid: a b");
    expect(CHAINED("\"FunctionName\":\"f\",\"TenantId\":\"a.b_c:/=+-@ d\""), NULL);
    free(judge(CHAINED("\"FunctionName\":\"f\",\"TenantId\":\"a,b\""), code));
    cr_expect_str_eq(code, "ValidationException");
    free(judge(CHAINED("\"FunctionName\":\"\""), code));
    cr_expect_str_eq(code, "ValidationException");
}

static char *with_text(const char *before, size_t len, const char *after)
{
    auto_free char *text = mem_alloc(len + 1);
    memset(text, 'x', len);
    return mem_printf("%s%s%s", before, text, after);
}

Test(checkpoint_validate, limits_sizes)
{
    static const char step[] =
        "[{\"Id\":\"a\",\"Type\":\"STEP\",\"Action\":\"SUCCEED\",\"Payload\":\"";
    static const char chained[] =
        "[{\"Id\":\"a\",\"Type\":\"CHAINED_INVOKE\",\"Action\":\"START\",\"Payload\":\"";
    static const char fail[] =
        "[{\"Id\":\"a\",\"Type\":\"STEP\",\"Action\":\"FAIL\",\"Error\":{\"ErrorMessage\":\"";
    auto_free char *fits = with_text(step, PAYLOAD_MAX, "\"}]");
    auto_free char *large = with_text(step, PAYLOAD_MAX + 1, "\"}]");
    auto_free char *input = with_text(chained, CHAINED_PAYLOAD_MAX + 1, "\"}]");
    auto_free char *error_fits = with_text(fail, 32767 - 19, "\"}}]");
    auto_free char *error_large = with_text(fail, 32768 - 19, "\"}}]");
    expect(fits, NULL);
    expect(large, "STEP payload size must be less than or equal to 262144 bytes.");
    expect(input, "CHAINED_INVOKE input payload size must be less than or equal to 1048576 bytes.");
    expect(error_fits, NULL);
    expect(error_large, "Error object size must be less than 32768 bytes.");
}

Test(checkpoint_validate, limits_the_number_of_operations)
{
    struct error err;
    struct update u[2] = { { .id = "a", .type = OP_STEP, .action = ACTION_START },
                           { .id = "b", .type = OP_STEP, .action = ACTION_START } };
    const struct update_list one = { u, 1 }, two = { u, 2 };
    struct execution *e = make_execution();
    e->metered = EXECUTION_OPERATIONS - 1;
    cr_assert_eq(checkpoint_validate(e, &one, &err), 0);
    cr_assert_eq(checkpoint_validate(e, &two, &err), -1);
    execution_free(e);
}

Test(checkpoint_validate, limits_the_batch_and_what_is_written)
{
    struct error err;
    struct execution *e = make_execution();
    struct update *u = mem_array(251, sizeof(*u));
    char ids[251][8];
    for (size_t i = 0; i < 251; i++) {
        snprintf(ids[i], sizeof(ids[i]), "n%zu", i);
        u[i] = (struct update){ .id = ids[i], .type = OP_STEP, .action = ACTION_START };
    }
    const struct update_list fits = { u, 250 }, many = { u, 251 }, one = { u, 1 };
    cr_assert_eq(checkpoint_validate(e, &fits, &err), 0);
    cr_assert_eq(checkpoint_validate(e, &many, &err), -1);
    u[0].action = ACTION_SUCCEED;
    u[0].payload = "1234";
    u[0].payload_len = 4;
    e->written = EXECUTION_BYTES - 4;
    cr_assert_eq(checkpoint_validate(e, &one, &err), 0);
    e->written++;
    cr_assert_eq(checkpoint_validate(e, &one, &err), -1);
    cr_assert_str_eq(err.msg, "A durable execution may persist at most 100 MB.");
    free(u);
    execution_free(e);
}

Test(checkpoint_validate, refuses_what_is_no_update)
{
    static const struct {
        const char *updates, *code;
    } cases[] = {
        { "[1]", "SerializationException" },
        { "[{\"Id\":1,\"Type\":\"STEP\",\"Action\":\"START\"}]", "SerializationException" },
        { "[{\"Id\":\"a\",\"Type\":\"STEP\",\"Action\":\"SUCCEED\",\"Payload\":{}}]",
          "SerializationException" },
        { "[{\"Id\":\"a\",\"Type\":\"STEP\",\"Action\":\"FAIL\",\"Error\":{\"ErrorType\":1}}]",
          "SerializationException" },
        { "[{\"Id\":\"a\",\"Type\":\"WAIT\",\"Action\":\"START\",\"WaitOptions\":"
          "{\"WaitSeconds\":\"1\"}}]",
          "SerializationException" },
        { "[{\"Type\":\"STEP\",\"Action\":\"START\"}]", "ValidationException" },
        { "[{\"Id\":\"a b\",\"Type\":\"STEP\",\"Action\":\"START\"}]", "ValidationException" },
        { "[{\"Id\":\"a\",\"Type\":\"STAP\",\"Action\":\"START\"}]", "ValidationException" },
        { "[{\"Id\":\"a\",\"Type\":\"STEP\",\"Action\":\"BEGIN\"}]", "ValidationException" },
        { "[{\"Id\":\"a\",\"Type\":\"STEP\",\"Action\":\"START\",\"Name\":\"\\u00e9\"}]",
          "ValidationException" },
        { "[{\"Id\":\"a\",\"Type\":\"STEP\",\"Action\":\"START\",\"Name\":\"\"}]",
          "ValidationException" },
        { "[{\"Id\":\"a\",\"Type\":\"STEP\",\"Action\":\"START\",\"SubType\":\"a b\"}]",
          "ValidationException" },
        { "[{\"Id\":\"a\",\"Type\":\"STEP\",\"Action\":\"START\",\"ParentId\":\"/\"}]",
          "ValidationException" },
        { "[{\"Id\":\"a\",\"Type\":\"WAIT\",\"Action\":\"START\",\"WaitOptions\":"
          "{\"WaitSeconds\":0}}]",
          "ValidationException" },
        { "[{\"Id\":\"a\",\"Type\":\"WAIT\",\"Action\":\"START\",\"WaitOptions\":"
          "{\"WaitSeconds\":31622401}}]",
          "ValidationException" },
        { "[{\"Id\":\"a\",\"Type\":\"CALLBACK\",\"Action\":\"START\",\"CallbackOptions\":"
          "{\"TimeoutSeconds\":-1}}]",
          "ValidationException" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char code[64];
        auto_free char *text = judge(cases[i].updates, code);
        cr_expect_not_null(text, "%s", cases[i].updates);
        cr_expect_str_eq(code, cases[i].code, "%s: %s", cases[i].updates, text);
    }
}

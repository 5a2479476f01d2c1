#include "local/faults.h"

#include <criterion/criterion.h>
#include <string.h>

static int add(struct faults *f, const char *json, struct error *err)
{
    auto_json struct json_object *o = NULL;
    cr_assert_eq(json_parse_str(json, &o, NULL), 0);
    return faults_add(f, o, err);
}

static bool meets(struct faults *f, const char *operation)
{
    struct fault *fault = faults_take(f, operation, NULL);
    fault_free(fault);
    return fault != NULL;
}

Test(faults, meets_its_operation_as_often_as_ordered)
{
    struct faults *f = faults_new();
    cr_assert_eq(
        add(f, "{\"operation\":\"RunTask\",\"action\":\"drop\",\"times\":2,\"skip\":1}", NULL), 0);
    cr_assert_not(meets(f, "StopTask"));
    cr_assert_not(meets(f, "RunTask"), "the first one passes");
    cr_assert(meets(f, "RunTask"));
    cr_assert(meets(f, "RunTask"));
    cr_assert_not(meets(f, "RunTask"));
    faults_free(f);
}

Test(faults, meets_one_at_a_time_the_oldest_first)
{
    struct faults *f = faults_new();
    cr_assert_eq(add(f, "{\"operation\":\"*\",\"action\":\"delay\",\"delayMs\":5}", NULL), 0);
    cr_assert_eq(add(f,
                     "{\"operation\":\"RunTask\",\"action\":\"error\",\"status\":429,"
                     "\"code\":\"ThrottlingException\",\"message\":\"Slow\","
                     "\"retryAfterSeconds\":3,\"times\":-1}",
                     NULL),
                 0);
    struct fault *first = faults_take(f, "RunTask", NULL);
    cr_assert_eq(first->action, FAULT_DELAY);
    cr_assert_eq(first->delay_ms, 5);
    fault_free(first);
    for (int i = 0; i < 5; i++) {
        struct fault *later = faults_take(f, "RunTask", NULL);
        cr_assert_eq(later->action, FAULT_ERROR);
        cr_assert_eq(later->status, 429);
        cr_assert_eq(later->retry_after_s, 3);
        cr_assert_str_eq(later->code, "ThrottlingException");
        cr_assert_str_eq(later->message, "Slow");
        fault_free(later);
    }
    faults_clear(f);
    cr_assert_not(meets(f, "RunTask"));
    faults_free(f);
}

Test(faults, orders_what_becomes_of_tasks)
{
    static const struct {
        const char *word;
        enum ecs_fate fate;
    } cases[] = {
        { "no-capacity", ECS_FATE_NO_CAPACITY },     { "never-starts", ECS_FATE_NEVER_STARTS },
        { "image-pull", ECS_FATE_IMAGE_PULL },       { "spot", ECS_FATE_SPOT },
        { "out-of-memory", ECS_FATE_OUT_OF_MEMORY }, { "no-container", ECS_FATE_NO_CONTAINER },
        { "stopped-by-user", ECS_FATE_STOPPED },
    };
    struct faults *f = faults_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *json = mem_printf("{\"operation\":\"RunTask\",\"action\":\"task\","
                                          "\"outcome\":\"%s\",\"delayMs\":7,\"message\":\"m\"}",
                                          cases[i].word);
        cr_assert_eq(add(f, json, NULL), 0, "%s", json);
        struct fault *fault = faults_take(f, "RunTask", NULL);
        cr_assert_eq(fault->action, FAULT_TASK);
        cr_assert_eq(fault->outcome, cases[i].fate);
        cr_assert_str_eq(ecs_fate_word(fault->outcome), cases[i].word);
        cr_assert_eq(fault->delay_ms, 7);
        cr_assert_str_eq(fault->message, "m");
        fault_free(fault);
    }
    faults_free(f);
}

Test(faults, of_events_are_met_by_events_alone_and_by_their_source)
{
    struct faults *f = faults_new();
    cr_assert_eq(add(f, "{\"operation\":\"*\",\"action\":\"drop\",\"times\":-1}", NULL), 0);
    cr_assert_null(faults_take_event(f, "aws.ecs"), "an event is no request");
    faults_clear(f);
    cr_assert_eq(add(f,
                     "{\"operation\":\"PutEvents\",\"action\":\"double\",\"source\":"
                     "\"aws.ecs\",\"skip\":1}",
                     NULL),
                 0);
    cr_assert_null(faults_take_event(f, "aws.lambda"));
    cr_assert_null(faults_take_event(f, "aws.ecs"), "the first one passes");
    struct fault *fault = faults_take_event(f, "aws.ecs");
    cr_assert_eq(fault->action, FAULT_DOUBLE);
    fault_free(fault);
    cr_assert_null(faults_take_event(f, "aws.ecs"));
    cr_assert_null(faults_take_event(NULL, "aws.ecs"));
    faults_free(f);
}

Test(faults, refuses_what_makes_no_sense)
{
    static const struct {
        const char *json;
        const char *says;
    } cases[] = {
        { "[]", "object" },
        { "{\"action\":\"drop\"}", "/operation" },
        { "{\"operation\":\"\",\"action\":\"drop\"}", "/operation" },
        { "{\"operation\":\"*\"}", "/action" },
        { "{\"operation\":\"*\",\"action\":\"explode\"}", "/action" },
        { "{\"operation\":\"*\",\"action\":7}", "/action" },
        { "{\"operation\":\"*\",\"action\":\"drop\",\"times\":0}", "/times" },
        { "{\"operation\":\"*\",\"action\":\"drop\",\"times\":-2}", "/times" },
        { "{\"operation\":\"*\",\"action\":\"drop\",\"skip\":-1}", "/skip" },
        { "{\"operation\":\"*\",\"action\":\"error\",\"status\":200}", "/status" },
        { "{\"operation\":\"*\",\"action\":\"delay\",\"delayMs\":-1}", "/delayMs" },
        { "{\"operation\":\"*\",\"action\":\"kill-function\"}", "/function" },
        { "{\"operation\":\"*\",\"action\":\"drop\",\"more\":1}", "/more" },
        { "{\"operation\":\"*\",\"action\":\"drop\",\"when\":\"before\"}", "/when" },
        { "{\"operation\":\"*\",\"action\":\"kill-function\",\"function\":\"f\","
          "\"when\":\"now\"}",
          "/when" },
        { "{\"operation\":\"RunTask\",\"action\":\"task\"}", "/outcome" },
        { "{\"operation\":\"RunTask\",\"action\":\"task\",\"outcome\":\"rain\"}", "/outcome" },
        { "{\"operation\":\"RunTask\",\"action\":\"task\",\"outcome\":1}", "/outcome" },
        { "{\"operation\":\"RunTask\",\"action\":\"drop\",\"outcome\":\"spot\"}", "/outcome" },
        { "{\"operation\":\"*\",\"action\":\"task\",\"outcome\":\"spot\"}", "/action" },
        { "{\"operation\":\"PutEvents\",\"action\":\"error\"}", "/action" },
        { "{\"operation\":\"RunTask\",\"action\":\"double\"}", "/action" },
        { "{\"operation\":\"RunTask\",\"action\":\"drop\",\"source\":\"aws.ecs\"}", "/source" },
        { "{\"operation\":\"PutEvents\",\"action\":\"drop\",\"source\":\"aws.s3\"}", "/source" },
    };
    struct faults *f = faults_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = { 0 };
        cr_assert_eq(add(f, cases[i].json, &err), -1, "%s", cases[i].json);
        cr_assert_eq(err.code, ERR_INVALID);
        cr_assert_not_null(strstr(err.msg, cases[i].says), "%s: %s", cases[i].json, err.msg);
    }
    cr_assert_not(meets(f, "RunTask"));
    faults_free(f);
}

Test(faults, are_limited_in_number)
{
    struct faults *f = faults_new();
    struct error err = { 0 };
    for (int i = 0; i < FAULTS_MAX; i++)
        cr_assert_eq(add(f, "{\"operation\":\"*\",\"action\":\"drop\"}", NULL), 0);
    cr_assert_eq(add(f, "{\"operation\":\"*\",\"action\":\"drop\"}", &err), -1);
    cr_assert_eq(err.code, ERR_TOO_LARGE);
    faults_free(f);
}

Test(faults, an_order_for_a_function_counts_its_own_requests)
{
    struct error err;
    struct faults *f = faults_new();
    auto_json struct json_object *o = NULL;
    cr_assert_eq(json_parse_str("{\"operation\":\"CheckpointDurableExecution\",\"action\":"
                                "\"kill-function\",\"function\":\"a\",\"skip\":1}",
                                &o, &err),
                 0);
    cr_assert_eq(faults_add(f, o, &err), 0, "%s", err.msg);
    cr_assert_null(faults_take(f, "CheckpointDurableExecution", "a"));
    cr_assert_null(faults_take(f, "CheckpointDurableExecution", "b"));
    cr_assert_null(faults_take(f, "CheckpointDurableExecution", "b"));
    struct fault *met = faults_take(f, "CheckpointDurableExecution", "a");
    cr_assert_not_null(met);
    cr_assert_str_eq(met->function, "a");
    fault_free(met);
    cr_assert_null(faults_take(f, "CheckpointDurableExecution", "a"));
    faults_free(f);
}

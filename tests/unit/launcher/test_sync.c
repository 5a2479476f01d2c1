/* Pattern sync: exit code and stop code decide. */
#include "launcher/attempt.h"

#include "tests/unit/launcher/workflow_rig.h"

#define SYNC(more)                                                                                 \
    "{\"pattern\":\"sync\",\"task\":{\"command\":[\"a\"]},\"retry\":{\"maxAttempts\":1}" more "}"
#define TASK(status, more)                                                                         \
    "{\"tasks\":[{\"taskArn\":\"arn:task/1\",\"lastStatus\":\"" status "\"" more                   \
    "}],\"failures\":[]}"
#define EXITED(code)                                                                               \
    ",\"stopCode\":\"EssentialContainerExited\",\"stoppedReason\":\"Essential container in task "  \
    "exited\",\"containers\":[{\"name\":\"side\",\"exitCode\":9},{\"name\":\"job\",\"exitCode\":"  \
    "" code "}]"
#define MISSING "{\"tasks\":[],\"failures\":[{\"arn\":\"arn:task/1\",\"reason\":\"MISSING\"}]}"
#define NO_RULE                                                                                    \
    {                                                                                              \
        NULL, 0, NULL                                                                              \
    }

Test(sync, looks_at_the_task_until_it_has_ended)
{
    static const struct fake_rule rules[] = {
        { "DescribeTasks", 200, MISSING },
        { "DescribeTasks", 200, TASK("PROVISIONING", "") },
        { "DescribeTasks", 200, TASK("RUNNING", "") },
        { "DescribeTasks", 200,
          TASK("DEPROVISIONING", ",\"containers\":[{\"name\":\"job\","
                                 "\"exitCode\":0}]") },
        { "DescribeTasks", 200, TASK("STOPPED", EXITED("0")) },
        NO_RULE,
    };
    struct rig r;
    struct error err;
    rig_init(&r, SYNC(""), rules);
    rig_run(&r, "SUCCEEDED");
    cr_expect_eq(fake_count(r.aws, "DescribeTasks"), 5);
    cr_expect_eq(fake_count(r.aws, "RunTask"), 1);
    cr_expect_eq(fake_count(r.aws, "StopTask"), 0);
    cr_expect_eq(fake_count(r.aws, "PUT") + fake_count(r.aws, "DELETE"), 0, "nobody is told");
    auto_json struct json_object *result = NULL;
    cr_assert_eq(json_parse_str(json_get_str(r.answer, "Result"), &result, &err), 0);
    cr_expect_str_eq(json_text(result, NULL),
                     "{\"taskArn\":\"arn:task/1\",\"exitCode\":0,\"stopCode\":"
                     "\"EssentialContainerExited\",\"reason\":\"Essential container in task "
                     "exited\"}");
    const char *run = fake_nth(r.aws, "RunTask", 0)->body;
    cr_expect_null(strstr(run, "CALLBACK_URL"));
    cr_expect_null(strstr(run, "CALLBACK_TOKEN"));
    cr_expect_not_null(strstr(run, "CALLBACK_DISABLED"), "callback-run reports to nobody");
    rig_release(&r);
}

Test(sync, gives_each_end_its_type)
{
    static const struct {
        struct fake_rule rules[2];
        const char *type;
        const char *text;
    } table[] = {
        { { { "DescribeTasks", 200, TASK("STOPPED", EXITED("3")) }, NO_RULE },
          "Task.ExitCode",
          "exit code 3" },
        { { { "DescribeTasks", 200, TASK("STOPPED", EXITED("139")) }, NO_RULE },
          "Task.Signal",
          "SIGSEGV" },
        { { { "DescribeTasks", 200,
              TASK("STOPPED", ",\"stopCode\":\"SpotInterruption\",\"stoppedReason\":\"taken\"") },
            NO_RULE },
          "Task.SpotInterruption",
          "taken" },
        { { { "DescribeTasks", 200,
              TASK("STOPPED", ",\"stopCode\":\"UserInitiated\",\"stoppedReason\":\"enough\","
                              "\"containers\":[{\"name\":\"job\",\"exitCode\":0}]") },
            NO_RULE },
          "Task.StoppedByUser",
          "enough" },
        { { { "DescribeTasks", 200,
              TASK("STOPPED", ",\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":"
                              "\"CannotPullContainerError: no\"") },
            NO_RULE },
          "Task.ImagePull",
          "CannotPullContainerError" },
        { { { "DescribeTasks", 200, TASK("STOPPED", ",\"containers\":[]") }, NO_RULE },
          "Task.NoReport",
          "not known" },
        { { { "DescribeTasks", 200, MISSING }, NO_RULE }, "Task.NoReport", "no longer knows" },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rig r;
        rig_init(&r, SYNC(""), table[i].rules);
        rig_run(&r, "FAILED");
        auto_json struct json_object *data = rig_error(&r, table[i].type);
        cr_expect_str_eq(json_get_str(data, "taskArn"), "arn:task/1");
        cr_expect_not_null(strstr(r.durable.answer, table[i].text), "%s", r.durable.answer);
        rig_release(&r);
    }
}

Test(sync, stops_the_task_when_its_time_is_over)
{
    static const struct {
        const char *input;
        const char *status;
        const char *type;
        int64_t after_s;
    } table[] = {
        { SYNC(",\"timeoutSeconds\":90"), TASK("RUNNING", ""), "Task.Timeout", 90 },
        { SYNC(",\"timeoutSeconds\":90,\"startTimeoutSeconds\":20"), TASK("PENDING", ""),
          "Task.StartTimeout", 20 },
        { SYNC(",\"timeoutSeconds\":90,\"startTimeoutSeconds\":20"), TASK("RUNNING", ""),
          "Task.Timeout", 90 },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rig r;
        const struct fake_rule rules[] = { { "DescribeTasks", 200, table[i].status }, NO_RULE };
        rig_init(&r, table[i].input, rules);
        rig_run(&r, "FAILED");
        json_object_put(rig_error(&r, table[i].type));
        cr_expect_eq(fake_count(r.aws, "StopTask"), 1);
        cr_expect_eq(fake_count(r.aws, "DELETE"), 0, "there is no registration");
        cr_expect_eq(r.durable.offset_ms / 1000, table[i].after_s);
        rig_release(&r);
    }
}

Test(sync, survives_looks_that_fail)
{
    static const struct fake_rule rules[] = {
        { "DescribeTasks", 200, TASK("RUNNING", "") },
        { "DescribeTasks", 0, "" },
        { "DescribeTasks", 500, "{\"__type\":\"ServerException\",\"message\":\"oops\"}" },
        { "DescribeTasks", 400, "{\"__type\":\"ThrottlingException\",\"message\":\"slow\"}" },
        { "DescribeTasks", 400, "{\"__type\":\"ThrottlingException\",\"message\":\"slow\"}" },
        { "DescribeTasks", 200, TASK("STOPPED", EXITED("0")) },
        NO_RULE,
    };
    struct rig r;
    rig_init(&r, SYNC(""), rules);
    rig_run(&r, "SUCCEEDED");
    cr_expect_eq(fake_count(r.aws, "StopTask"), 0);
    rig_release(&r);
}

Test(sync, fails_and_stops_where_ecs_may_not_be_asked)
{
    static const struct fake_rule rules[] = {
        { "DescribeTasks", 400, "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}" },
        NO_RULE,
    };
    struct rig r;
    rig_init(&r, SYNC(""), rules);
    rig_run(&r, "FAILED");
    json_object_put(rig_error(&r, "Task.NoReport"));
    cr_expect_not_null(strstr(r.durable.answer, "AccessDeniedException"));
    cr_expect_eq(fake_count(r.aws, "DescribeTasks"), 1);
    cr_expect_eq(fake_count(r.aws, "StopTask"), 1);
    rig_release(&r);
}

Test(sync, returns_what_the_sample_returns)
{
    static const struct fake_rule rules[] = {
        { "DescribeTasks", 200, TASK("STOPPED", EXITED("0")) },
        NO_RULE,
    };
    struct rig r;
    rig_init(&r, "{\"pattern\":\"sync\",\"message\":\"hi\",\"processingTime\":3}", rules);
    rig_run(&r, "SUCCEEDED");
    cr_expect_str_eq(json_get_str(r.answer, "Result"),
                     "{\"statusCode\":200,\"body\":\"{\\\"status\\\":\\\"success\\\",\\\"message"
                     "\\\":\\\"Processed: hi\\\",\\\"processingTime\\\":3,\\\"taskArn\\\":"
                     "\\\"arn:task/1\\\"}\"}");
    rig_release(&r);
}

Test(sync, tries_again_by_policy_with_a_task_of_its_own)
{
    static const struct fake_rule rules[] = {
        { "RunTask", 200, "{\"tasks\":[{\"taskArn\":\"arn:task/1\"}]}" },
        { "RunTask", 200, "{\"tasks\":[{\"taskArn\":\"arn:task/2\"}]}" },
        { "DescribeTasks", 200, TASK("STOPPED", EXITED("3")) },
        { "DescribeTasks", 200, TASK("STOPPED", EXITED("0")) },
        NO_RULE,
    };
    struct rig r;
    struct error err;
    rig_init(&r, "{\"pattern\":\"sync\",\"retry\":{\"maxAttempts\":2,\"retryOn\":[\"*\"]}}", rules);
    rig_run(&r, "SUCCEEDED");
    cr_assert_eq(fake_count(r.aws, "RunTask"), 2);
    auto_json struct json_object *one = NULL, *two = NULL;
    cr_assert_eq(json_parse_str(fake_nth(r.aws, "RunTask", 0)->body, &one, &err), 0);
    cr_assert_eq(json_parse_str(fake_nth(r.aws, "RunTask", 1)->body, &two, &err), 0);
    cr_expect_str_neq(json_get_str(one, "clientToken"), json_get_str(two, "clientToken"));
    cr_expect_not_null(strstr(r.durable.answer, "arn:task/2"));
    rig_release(&r);
}

Test(sync, repeats_the_start_with_the_same_bytes_after_a_crash)
{
    static const struct fake_rule rules[] = {
        { "DescribeTasks", 200, TASK("STOPPED", EXITED("0")) },
        NO_RULE,
    };
    for (unsigned lost = 1; lost <= 8; lost++) {
        struct rig r;
        rig_init(&r, SYNC(""), rules);
        r.durable.lose_checkpoint = lost;
        rig_run(&r, "SUCCEEDED");
        for (size_t i = 1; i < fake_count(r.aws, "RunTask"); i++)
            cr_expect_str_eq(fake_nth(r.aws, "RunTask", 0)->body,
                             fake_nth(r.aws, "RunTask", i)->body);
        rig_release(&r);
    }
}

/* The execution has waited for a free environment of the function for five minutes. */
Test(sync, counts_its_times_from_when_the_task_is_asked_for)
{
    static const struct fake_rule rules[] = {
        { "DescribeTasks", 200, TASK("PENDING", "") },
        { "DescribeTasks", 200, TASK("RUNNING", "") },
        { "DescribeTasks", 200, TASK("STOPPED", EXITED("0")) },
        NO_RULE,
    };
    static const char input[] = SYNC(",\"timeoutSeconds\":90,\"startTimeoutSeconds\":20");
    struct rig r;
    rig_init(&r, input, rules);
    fake_durable_release(&r.durable);
    fake_durable_init(&r.durable, input, 300000);
    rig_run(&r, "SUCCEEDED");
    cr_expect_eq(fake_count(r.aws, "DescribeTasks"), 3);
    rig_release(&r);
}

#define REFUSED "{\"tasks\":[],\"failures\":[{\"reason\":\"RESOURCE:CPU\"}]}"
#define STARTED "{\"tasks\":[{\"taskArn\":\"arn:task/1\"}],\"failures\":[]}"

Test(sync, counts_the_wait_for_capacity_as_time_to_start)
{
    static const struct fake_rule rules[] = {
        { "RunTask", 200, REFUSED },
        { "RunTask", 200, REFUSED },
        { "RunTask", 200, STARTED },
        { "DescribeTasks", 200, TASK("PENDING", "") },
        NO_RULE,
    };
    struct rig r;
    rig_init(&r, SYNC(",\"timeoutSeconds\":90,\"startTimeoutSeconds\":20"), rules);
    rig_run(&r, "FAILED");
    json_object_put(rig_error(&r, "Task.StartTimeout"));
    cr_expect_eq(fake_count(r.aws, "RunTask"), 3);
    cr_expect_eq(r.durable.offset_ms / 1000, 20);
    rig_release(&r);
}

/* ECS may not know a task yet that it has just given, however long it was waited for. */
Test(sync, waits_for_a_task_to_be_seen_that_had_to_wait_for_capacity)
{
    static const struct fake_rule rules[] = {
        { "RunTask", 200, REFUSED },
        { "RunTask", 200, REFUSED },
        { "RunTask", 200, REFUSED },
        { "RunTask", 200, REFUSED },
        { "RunTask", 200, REFUSED },
        { "RunTask", 200, REFUSED },
        { "RunTask", 200, STARTED },
        { "DescribeTasks", 200, MISSING },
        { "DescribeTasks", 200, TASK("RUNNING", "") },
        { "DescribeTasks", 200, TASK("STOPPED", EXITED("0")) },
        NO_RULE,
    };
    struct rig r;
    rig_init(&r, SYNC(""), rules);
    rig_run(&r, "SUCCEEDED");
    cr_expect_gt(r.durable.offset_ms, 60000, "the wait was too short to tell");
    cr_expect_lt(r.durable.offset_ms, 200000);
    rig_release(&r);
}

#include "launcher/attempts.h"

#include "tests/unit/launcher/workflow_rig.h"

#define NO_ROOM "{\"tasks\":[],\"failures\":[{\"reason\":\"RESOURCE:CPU\"}]}"
#define SLOW    "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}"
#define STARTED "{\"tasks\":[{\"taskArn\":\"arn:task/1\"}]}"

Test(attempts, waits_out_capacity_and_throttling_with_a_new_step_each_time)
{
    static const struct fake_rule room[] = { { "RunTask", 200, NO_ROOM },
                                             { "RunTask", 200, NO_ROOM },
                                             { "RunTask", 200, STARTED },
                                             { NULL, 0, NULL } };
    static const struct fake_rule rate[] = { { "RunTask", 400, SLOW },    { "RunTask", 400, SLOW },
                                             { "RunTask", 400, SLOW },    { "RunTask", 400, SLOW },
                                             { "RunTask", 200, STARTED }, { NULL, 0, NULL } };
    static const struct {
        const struct fake_rule *rules;
        size_t second; /* the first call of the second step */
    } table[] = { { room, 1 }, { rate, 2 } };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rig r;
        rig_init(&r, CALLBACK, table[i].rules);
        rig_run(&r, "PENDING");
        struct error err;
        auto_json struct json_object *one = NULL, *two = NULL;
        cr_assert_eq(json_parse_str(fake_nth(r.aws, "RunTask", 0)->body, &one, &err), 0);
        cr_assert_eq(json_parse_str(fake_nth(r.aws, "RunTask", table[i].second)->body, &two, &err),
                     0);
        cr_expect_str_neq(json_get_str(one, "clientToken"), json_get_str(two, "clientToken"));
        cr_expect_eq(fake_count(r.aws, "ListTasks"), 4, "each later step looks first");
        cr_expect_eq(r.durable.invocations, 3);
        cr_expect_gt(r.durable.offset_ms, 2000);
        fake_durable_callback(&r.durable, "SUCCEEDED", "1");
        rig_run(&r, "SUCCEEDED");
        rig_release(&r);
    }
}

Test(attempts, fails_for_capacity_at_the_start_deadline)
{
    static const struct fake_rule rules[] = { { "RunTask", 200, NO_ROOM }, { NULL, 0, NULL } };
    struct rig r;
    rig_init(&r, "{\"pattern\":\"callback\",\"startTimeoutSeconds\":30}", rules);
    rig_run(&r, "FAILED");
    auto_json struct json_object *data = rig_error(&r, "Task.Capacity");
    int64_t waited_s = json_get_int(data, "waitedSeconds", -1);
    cr_expect_geq(waited_s, 29);
    cr_expect_leq(waited_s, 31);
    cr_expect_eq(r.durable.offset_ms / 1000, 30);
    cr_expect_leq(fake_count(r.aws, "RunTask"), 8);
    cr_expect_null(json_get(data, "attempts"), "it is not tried again: the deadline is over");
    cr_expect_eq(fake_count(r.aws, "DELETE"), 1);
    rig_release(&r);
}

/* The execution has waited for a free environment of the function for two hours. */
Test(attempts, counts_the_start_deadline_from_the_registration)
{
    static const struct fake_rule rules[] = { { "RunTask", 200, NO_ROOM },
                                              { "RunTask", 200, STARTED },
                                              { NULL, 0, NULL } };
    static const char input[] = "{\"pattern\":\"callback\",\"startTimeoutSeconds\":30}";
    struct rig r;
    rig_init(&r, input, rules);
    fake_durable_release(&r.durable);
    fake_durable_init(&r.durable, input, 7200000);
    rig_run(&r, "PENDING");
    cr_expect_eq(fake_count(r.aws, "RunTask"), 2);
    rig_release(&r);
}

#define SPOT                                                                                       \
    "{\"tasks\":[{\"taskArn\":\"arn:task/"                                                         \
    "1\",\"lastStatus\":\"STOPPED\",\"stopCode\":"                                                 \
    "\"SpotInterruption\",\"stoppedReason\":\"taken\",\"containers\":[]}]}"
#define RUNNING                                                                                    \
    "{\"tasks\":[{\"taskArn\":\"arn:task/1\",\"lastStatus\":\"RUNNING\",\"containers\":[]}]}"
#define LOST "{\"ErrorType\":\"Task.HeartbeatLost\",\"ErrorMessage\":\"silent\"}"

Test(attempts, tries_again_what_another_attempt_can_cure)
{
    static const struct fake_rule rules[] = {
        { "RunTask", 200, STARTED },
        { "RunTask", 200, "{\"tasks\":[{\"taskArn\":\"arn:task/2\"}]}" },
        { "DescribeTasks", 200, SPOT },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, "{\"message\":\"x\"}", rules);
    rig_run(&r, "PENDING");
    fake_durable_callback(&r.durable, "FAILED", LOST);
    rig_run(&r, "PENDING");
    cr_expect_eq(fake_count(r.aws, "RunTask"), 2);
    cr_expect_eq(fake_count(r.aws, "PUT"), 2);
    cr_expect_str_neq(fake_nth(r.aws, "PUT", 0)->path, fake_nth(r.aws, "PUT", 1)->path);
    cr_expect_str_neq(fake_nth(r.aws, "RunTask", 0)->body, fake_nth(r.aws, "RunTask", 1)->body);
    cr_expect_eq(fake_count(r.aws, "DELETE"), 1, "the first registration is closed");
    cr_expect_eq(fake_count(r.aws, "StopTask"), 0);
    fake_durable_callback(&r.durable, "SUCCEEDED", "1");
    rig_run(&r, "SUCCEEDED");
    cr_expect_not_null(strstr(r.durable.answer, "arn:task/2"));
    rig_release(&r);
}

Test(attempts, starts_the_next_attempt_only_when_the_earlier_task_has_stopped)
{
    static const struct fake_rule rules[] = {
        { "DescribeTasks", 200, RUNNING }, /* silent, but there */
        { "DescribeTasks", 200, RUNNING }, { "DescribeTasks", 200, RUNNING },
        { "DescribeTasks", 200, SPOT },    { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, "{\"message\":\"x\"}", rules);
    rig_run(&r, "PENDING");
    fake_durable_callback(&r.durable, "FAILED", LOST);
    rig_run(&r, "PENDING");
    cr_expect_eq(fake_count(r.aws, "StopTask"), 1);
    cr_expect_eq(fake_count(r.aws, "RunTask"), 2);
    size_t described = 0;
    for (size_t i = 0; strcmp(r.aws->asked[i].operation, "RunTask") != 0 || described == 0; i++)
        described += strcmp(r.aws->asked[i].operation, "DescribeTasks") == 0;
    cr_expect_eq(described, 4, "the second RunTask came behind the task's end");
    rig_release(&r);
}

Test(attempts, never_runs_two_tasks_beside_each_other)
{
    static const struct fake_rule rules[] = { { "DescribeTasks", 200, RUNNING },
                                              { NULL, 0, NULL } };
    struct rig r;
    rig_init(&r, "{\"message\":\"x\"}", rules);
    rig_run(&r, "PENDING");
    fake_durable_callback(&r.durable, "FAILED", LOST);
    rig_run(&r, "FAILED");
    auto_json struct json_object *data = rig_error(&r, "Task.HeartbeatLost");
    cr_expect_not_null(json_get_str(data, "notRetried"));
    cr_expect_str_eq(json_get_str(data, "taskArn"), "arn:task/1");
    cr_expect_eq(fake_count(r.aws, "RunTask"), 1);
    cr_expect_lt(r.durable.offset_ms, 400 * 1000, "the wait is bounded");
    rig_release(&r);
}

Test(attempts, ends_with_the_last_attempts_failure)
{
    static const struct {
        const char *retry;
        const char *reported;
        const char *type;
        size_t tasks;
    } table[] = {
        { "{\"maxAttempts\":2}", "{\"ErrorType\":\"Task.SpotInterruption\"}",
          "Task.SpotInterruption", 2 },
        { "{\"maxAttempts\":3,\"firstDelaySeconds\":1}", "{\"ErrorType\":\"Task.ExitCode\"}",
          "Task.ExitCode", 1 },
        { "{\"maxAttempts\":3,\"retryOn\":[\"Order.Busy\"]}", "{\"ErrorType\":\"Order.Busy\"}",
          "Order.Busy", 3 },
        { "{\"maxAttempts\":4,\"retryOn\":[\"*\"]}", "{\"ErrorType\":\"A\"}", "A", 4 },
        { "{\"retryOn\":[\"B\"]}", "{\"ErrorType\":\"Task.SpotInterruption\"}",
          "Task.SpotInterruption", 1 },
        { "{\"maxAttempts\":1}", "{\"ErrorType\":\"Task.SpotInterruption\"}",
          "Task.SpotInterruption", 1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rig r;
        auto_free char *input =
            mem_printf("{\"pattern\":\"callback\",\"retry\":%s}", table[i].retry);
        rig_init(&r, input, NULL);
        for (size_t n = 0; n < table[i].tasks; n++) {
            rig_run(&r, "PENDING");
            cr_expect_eq(fake_count(r.aws, "RunTask"), n + 1);
            fake_durable_callback(&r.durable, "FAILED", table[i].reported);
        }
        rig_run(&r, "FAILED");
        auto_json struct json_object *data = rig_error(&r, table[i].type);
        cr_expect_eq(fake_count(r.aws, "RunTask"), table[i].tasks);
        cr_expect_eq(fake_count(r.aws, "DELETE"), table[i].tasks);
        cr_expect_eq((size_t)json_get_int(data, "attempts", 1), table[i].tasks);
        rig_release(&r);
    }
}

/* What the api handler asks ECS and the receiver about a workflow's jobs, and tells them. */
#include <criterion/criterion.h>

#include "tests/unit/launcher/api_rig.h"

#define STARTED(id)                                                                                \
    "{\"EventType\":\"CallbackStarted\",\"CallbackStartedDetails\":{\"CallbackId\":\"" id "\"}}"
#define STEP(what) "{\"EventType\":\"Step" what "\"}"
#define ENDED      "{\"Status\":\"STOPPED\"}"

static int stop_it(struct rig *r)
{
    return ask(r, &(struct ask){ .method = "DELETE", .path = "/workflows/" ID });
}

Test(api_jobs, shows_the_tasks)
{
    static const struct fake_rule rules[] = {
        { "Execution", 200, RUNNING },
        { "ListTasks", 200, "{\"taskArns\":[\"arn:t1\"]}" },
        { "ListTasks", 200, "{\"taskArns\":[\"arn:t2\"]}" },
        { "DescribeTasks", 200,
          "{\"tasks\":[{\"taskArn\":\"arn:t1\",\"taskDefinitionArn\":\"arn:d\",\"lastStatus\":"
          "\"RUNNING\",\"desiredStatus\":\"RUNNING\",\"createdAt\":1764700000.1,\"overrides\":{"
          "\"containerOverrides\":[{\"environment\":[{\"name\":\"CALLBACK_TOKEN\",\"value\":"
          "\"secret\"}]}]}},{\"taskArn\":\"arn:t2\",\"lastStatus\":\"STOPPED\",\"stopCode\":"
          "\"EssentialContainerExited\",\"stoppedReason\":\"r\",\"stoppedAt\":1764700001,"
          "\"containers\":[{\"name\":\"sidecar\",\"exitCode\":9},{\"name\":\"job\",\"exitCode\":0,"
          "\"reason\":\"c\"}]}]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, rules);
    cr_assert_eq(get(&r, "/workflows/" ID, "include=tasks"), 200);
    cr_expect_str_eq(
        json_text(json_get_arr(r.body, "tasks"), NULL),
        "[{\"taskArn\":\"arn:t1\",\"taskDefinitionArn\":\"arn:d\",\"lastStatus\":\"RUNNING\","
        "\"desiredStatus\":\"RUNNING\",\"createdAt\":\"2025-12-02T18:26:40.100Z\"},{\"taskArn\":"
        "\"arn:t2\",\"lastStatus\":\"STOPPED\",\"stopCode\":\"EssentialContainerExited\","
        "\"stoppedReason\":\"r\",\"exitCode\":0,\"containerReason\":\"c\",\"stoppedAt\":"
        "\"2025-12-02T18:26:41.000Z\"}]");
    cr_expect_null(json_get(r.body, "unavailable"));
    cr_expect_null(strstr(json_text(r.reply, NULL), "secret"));
    rig_release(&r);
}

Test(api_jobs, shows_the_progress_that_the_receiver_knows)
{
    static const struct fake_rule rules[] = {
        { "Execution", 200, RUNNING },
        { "History", 200, "{\"Events\":[" STARTED("AAAA") "],\"NextMarker\":\"m\"}" },
        { "History", 200, "{\"Events\":[" STARTED("BBBB") "," STARTED("CCCC") "]}" },
        { "GET", 404, "{\"title\":\"Not Found\"}" },
        { "GET", 200,
          "{\"id\":\"x\",\"state\":\"pending\",\"workflow\":\"w\",\"job\":\"job\",\"progress\":{"
          "\"progress\":0.5,\"message\":\"half\"},\"attempts\":0}" },
        { "GET", 200, "{\"state\":\"accepted\",\"job\":\"job\",\"report\":{\"body\":\"result\"}}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init_receiver(&r, rules);
    cr_assert_eq(get(&r, "/workflows/" ID, "include=progress"), 200);
    cr_expect_str_eq(json_text(json_get_arr(r.body, "progress"), NULL),
                     "[{\"job\":\"job\",\"state\":\"pending\",\"progress\":{\"progress\":0.5,"
                     "\"message\":\"half\"},\"attempts\":0},{\"job\":\"job\",\"state\":"
                     "\"accepted\"}]");
    cr_expect_null(strstr(json_text(r.reply, NULL), "BBBB"));
    struct error err = { 0 };
    struct token_content content;
    char public_id[TOKEN_PUBLIC_ID];
    token_public_id("AAAA", public_id);
    auto_free char *path = mem_printf("/v1/callbacks/%s", public_id);
    const struct fake_asked *asked = fake_nth(r.aws, "GET", 0);
    cr_expect_str_eq(asked->path, path);
    cr_assert_eq(strncmp(asked->auth, "Bearer ", 7), 0);
    cr_assert_eq(token_open(r.keys, asked->auth + 7, strlen(asked->auth + 7),
                            clock_wall_ms(&r.clock) / 1000, &content, &err),
                 0);
    cr_expect_str_eq(content.callback_id, "AAAA");
    cr_expect_eq(content.scope, TOKEN_SCOPE_LAUNCHER);
    cr_assert_eq(get(&r, "/workflows/" ID, "include=progress"), 200);
    cr_expect_eq(fake_count(r.aws, "History"), 2, "the callbacks are known for a moment");
    cr_expect_eq(fake_count(r.aws, "GET"), 6, "their progress is asked for each time");
    rig_release(&r);
}

Test(api_jobs, names_what_cannot_be_had_now)
{
    static const struct fake_rule rules[] = {
        { "Execution", 200, RUNNING },
        { "History", 429, "{\"__type\":\"TooManyRequestsException\"}" },
        { "ListTasks", 400, "{\"__type\":\"ThrottlingException\"}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init_receiver(&r, rules);
    cr_assert_eq(get(&r, "/workflows/" ID, "include=progress,tasks"), 200);
    cr_expect_str_eq(json_get_str(r.body, "status"), "RUNNING");
    cr_expect_str_eq(json_text(json_get_arr(r.body, "unavailable"), NULL),
                     "[\"tasks\",\"progress\"]");
    rig_release(&r);
}

Test(api_jobs, a_stop_closes_the_registrations)
{
    static const struct fake_rule rules[] = {
        { "Execution", 200, ENDED },
        { "History", 200,
          "{\"Events\":[" STARTED("AAAA") "," STEP("Started") "," STEP("Succeeded") "]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init_receiver(&r, rules);
    cr_assert_eq(stop_it(&r), 200);
    cr_expect_str_eq(json_get_str(r.body, "status"), "STOPPED");
    cr_expect_eq(fake_count(r.aws, "DELETE"), 1);
    cr_expect_str_eq(fake_nth(r.aws, "DELETE", 0)->body, "{\"outcome\":\"Workflow.Stopped\"}");
    cr_expect_eq(fake_count(r.aws, "ListTasks"), 1);
    cr_expect_eq(r.slept_ms, 0);
    rig_release(&r);
}

Test(api_jobs, a_stop_in_the_middle_of_a_step_waits_for_its_task)
{
    static const struct fake_rule rules[] = {
        { "Execution", 200, ENDED },
        { "History", 200,
          "{\"Events\":[" STARTED("AAAA") "," STEP("Started") "," STEP("Succeeded") "," STEP(
              "Started") "]}" },
        { "ListTasks", 200, "{\"taskArns\":[]}" },
        { "ListTasks", 200, "{\"taskArns\":[]}" },
        { "ListTasks", 200, "{\"taskArns\":[\"arn:late\"]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init_receiver(&r, rules);
    cr_assert_eq(stop_it(&r), 200);
    cr_expect_eq(fake_count(r.aws, "ListTasks"), 3);
    cr_expect_eq(fake_count(r.aws, "StopTask"), 1);
    cr_expect_eq(fake_count(r.aws, "DELETE"), 3, "the registration may have come late too");
    rig_release(&r);
}

#define CHILD(n)                                                                                   \
    "arn:aws:lambda:us-east-1:123456789012:function:launcher:1/durable-execution/c" n              \
    "/9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc" n
#define CHAINED(n)                                                                                 \
    "{\"EventType\":\"ChainedInvokeStarted\",\"Id\":\"op" n                                        \
    "\",\"ChainedInvokeStartedDetails\":{\"FunctionName\":\"launcher:1\",\"DurableExecutionArn\":" \
    "\"" CHILD(n) "\"}}"

Test(api_jobs, a_stop_reaches_the_workflows_of_a_batch)
{
    static const struct fake_rule rules[] = {
        { "Execution", 200, ENDED },
        { "History", 200,
          "{\"Events\":[" CHAINED("1") "," CHAINED(
              "2") ","
                   "{\"EventType\":\"ChainedInvokeSucceeded\",\"Id\":\"op1\"}," CHAINED("3") "]}" },
        { "Stop", 200, "{\"StopTimestamp\":1764700000.5}" },
        { "Stop", 400, "{\"__type\":\"InvalidParameterValueException\",\"message\":\"closed\"}" },
        { "Stop", 200, "{\"StopTimestamp\":1764700000.5}" },
        { "ListTasks", 200, "{\"taskArns\":[\"arn:t1\"]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init_receiver(&r, rules);
    cr_assert_eq(stop_it(&r), 200);
    cr_assert_eq(fake_count(r.aws, "Stop"), 3, "the batch, and the two jobs that have not ended");
    cr_expect_not_null(strstr(fake_nth(r.aws, "Stop", 1)->path, "5ec51c34ffc2"));
    cr_expect_not_null(strstr(fake_nth(r.aws, "Stop", 2)->path, "5ec51c34ffc3"));
    cr_expect_not_null(strstr(fake_nth(r.aws, "ListTasks", 0)->body, "5ec51c34ffc2"));
    cr_expect_eq(fake_count(r.aws, "StopTask"), 3, "one of each job, one of its own");
    rig_release(&r);
}

Test(api_jobs, a_stop_does_not_wait_for_ever)
{
    static const struct fake_rule rules[] = {
        { "Execution", 200, ENDED },
        { "History", 200, "{\"Events\":[" STEP("Started") "]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init_receiver(&r, rules);
    cr_assert_eq(stop_it(&r), 200);
    cr_expect(r.slept_ms > 0 && r.slept_ms <= 4000, "%lld", (long long)r.slept_ms);
    rig_release(&r);
}

Test(api_jobs, a_stop_that_came_after_a_success_closes_nothing)
{
    static const struct fake_rule rules[] = {
        { "Execution", 200, "{\"Status\":\"SUCCEEDED\",\"Result\":\"1\"}" },
        { "ListTasks", 200, "{\"taskArns\":[\"arn:t1\"]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init_receiver(&r, rules);
    cr_assert_eq(stop_it(&r), 200);
    cr_expect_str_eq(json_get_str(r.body, "status"), "SUCCEEDED");
    cr_expect_eq(fake_count(r.aws, "DELETE"), 0);
    cr_expect_eq(fake_count(r.aws, "StopTask"), 1);
    rig_release(&r);
}

Test(api_jobs, a_stop_succeeds_while_the_receiver_is_away)
{
    static const struct fake_rule rules[] = {
        { "Execution", 200, ENDED },
        { "History", 200, "{\"Events\":[" STARTED("AAAA") "]}" },
        { "DELETE", 503, "{}" },
        { "ListTasks", 200, "{\"taskArns\":[\"arn:t1\"]}" },
        { "ListTasks", 200, "{\"taskArns\":[]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init_receiver(&r, rules);
    cr_assert_eq(stop_it(&r), 200);
    cr_expect_eq(fake_count(r.aws, "StopTask"), 1);
    rig_release(&r);
}

/* What its job says while it is stopped would be accepted otherwise, and never be delivered. */
Test(api_jobs, a_registration_is_closed_by_a_receiver_that_comes_back)
{
    static const struct fake_rule rules[] = {
        { "Execution", 200, ENDED },
        { "History", 200, "{\"Events\":[" STARTED("AAAA") "]}" },
        { "DELETE", 503, "{}" },
        { "DELETE", 503, "{}" },
        { "DELETE", 503, "{}" },
        { "DELETE", 503, "{}" },
        { "DELETE", 200, "{}" },
        { "ListTasks", 200, "{\"taskArns\":[\"arn:t1\"]}" },
        { "ListTasks", 200, "{\"taskArns\":[]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init_receiver(&r, rules);
    cr_assert_eq(stop_it(&r), 200);
    cr_expect_eq(fake_count(r.aws, "DELETE"), 5);
    cr_expect_eq(fake_count(r.aws, "StopTask"), 1);
    rig_release(&r);
}

#define SILENT_MS 8000 /* half of it is what a receiver may cost that does not answer */

Test(api_jobs, a_stop_has_time_for_the_tasks_though_the_receiver_does_not_answer)
{
    static const struct fake_rule rules[] = {
        { "Execution", 200, ENDED },
        { "History", 200, "{\"Events\":[" STARTED("AAAA") "," STARTED("BBBB") "]}" },
        { "ListTasks", 200, "{\"taskArns\":[\"arn:t1\"]}" },
        { "ListTasks", 200, "{\"taskArns\":[]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    struct error err = { 0 };
    auto_close int silent = -1;
    rig_init_receiver(&r, rules);
    auto_free char *url = fake_silence(&silent);
    receiver_client_free(r.tools.receiver);
    r.tools.receiver = receiver_client_new(url, clock_system(), &err);
    r.left_ms = SILENT_MS;
    cr_expect_eq(stop_it(&r), 200);
    cr_expect_eq(fake_count(r.aws, "StopTask"), 1);
    rig_release(&r);
}

/* A stop that has not stopped everything is not answered with success: it can be asked for again.
 * Each task is tried, whatever becomes of the one before. */
Test(api_jobs, a_stop_that_leaves_something_is_no_success)
{
    static const char busy[] = "{\"__type\":\"ServerException\",\"message\":\"busy\"}";
    static const struct fake_rule kept[] = {
        { "Execution", 200, ENDED },
        { "History", 200, "{\"Events\":[]}" },
        { "ListTasks", 200, "{\"taskArns\":[\"arn:t1\",\"arn:t2\"]}" },
        { "StopTask", 500, busy },
        { "StopTask", 500, busy },
        { "StopTask", 200, "{\"task\":{}}" },
        { NULL, 0, NULL },
    };
    static const struct fake_rule unlisted[] = {
        { "Execution", 200, ENDED },
        { "History", 500, busy },
        { "ListTasks", 500, busy },
        { "ListTasks", 500, busy },
        { "ListTasks", 200, "{\"taskArns\":[\"arn:t1\",\"arn:t2\"]}" },
        { NULL, 0, NULL },
    };
    static const struct fake_rule running[] = {
        { "Execution", 200, RUNNING },
        { "Stop", 400, "{\"__type\":\"InvalidParameterValueException\",\"message\":\"no\"}" },
        { NULL, 0, NULL },
    };
    static const struct fake_rule unread[] = {
        { "Execution", 500, busy },
        { NULL, 0, NULL },
    };
    static const struct {
        const struct fake_rule *rules;
        size_t stopped; /* StopTask, after the first DELETE */
        int again;      /* the second DELETE */
    } table[] = { { kept, 3, 200 }, { unlisted, 0, 200 }, { running, 0, 0 }, { unread, 0, 0 } };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rig r;
        rig_init(&r, table[i].rules);
        int first = stop_it(&r);
        cr_expect(first >= 400, "case %zu: %d", i, first);
        cr_expect_eq(fake_count(r.aws, "StopTask"), table[i].stopped, "case %zu: %zu", i,
                     fake_count(r.aws, "StopTask"));
        if (table[i].again) {
            cr_expect_eq(stop_it(&r), table[i].again, "case %zu", i);
            cr_expect_eq(fake_count(r.aws, "StopTask"), table[i].stopped + 2, "case %zu", i);
        }
        rig_release(&r);
    }
}

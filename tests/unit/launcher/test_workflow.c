#include "launcher/workflow.h"

#include "tests/unit/launcher/workflow_rig.h"

#define TIMEOUT "{\"ErrorType\":\"Callback.Timeout\",\"ErrorMessage\":\"Callback timed out\"}"
#define HELD(kind, body)                                                                           \
    "{\"id\":\"x\",\"state\":\"accepted\",\"report\":{\"kind\":\"" kind                            \
    "\",\"mediaType\":\"application/json\",\"body\":\"" body "\"}}"

static const char *variable(struct json_object *request, const char *name)
{
    struct json_object *o = json_get_arr(json_get_obj(request, "overrides"), "containerOverrides");
    o = json_get_arr(json_object_array_get_idx(o, 0), "environment");
    for (size_t i = 0; i < json_object_array_length(o); i++)
        if (strcmp(json_get_str(json_object_array_get_idx(o, i), "name"), name) == 0)
            return json_get_str(json_object_array_get_idx(o, i), "value");
    return NULL;
}

Test(workflow, runs_one_task_in_two_invocations)
{
    struct rig r;
    rig_init(&r, CALLBACK, NULL);
    rig_run(&r, "PENDING");
    cr_expect_eq(r.durable.invocations, 1);
    cr_expect_eq(r.aws->count, 2);
    cr_expect_str_eq(r.aws->asked[0].operation, "PUT");
    cr_expect_str_eq(r.aws->asked[1].operation, "RunTask");
    fake_durable_callback(&r.durable, "SUCCEEDED", "{\"b\":1.50,\"a\":\"\xc3\xa9/\"}");
    rig_run(&r, "SUCCEEDED");
    cr_expect_eq(r.durable.invocations, 2);
    cr_expect_eq(r.aws->count, 2, "nothing is asked on the happy path's second half");
    cr_expect_eq(r.durable.checkpoints, 4, "one for each effect, and the attempt's end");
    cr_expect_str_eq(json_get_str(r.answer, "Result"), "{\"b\":1.50,\"a\":\"\xc3\xa9/\"}");
    rig_release(&r);
}

Test(workflow, passes_on_lambdas_own_heartbeat_timeout)
{
    struct rig r;
    rig_init(&r, "{\"pattern\":\"callback\",\"engineHeartbeatSeconds\":30}", NULL);
    rig_run(&r, "PENDING");
    cr_expect_not_null(strstr(fake_nth(r.aws, "PUT", 0)->body, "\"engineHeartbeatSeconds\":30,"));
    cr_expect_not_null(strstr(json_text(r.durable.operations, NULL), "\"CALLBACK\""));
    rig_release(&r);
}

Test(workflow, registers_the_job_and_hands_it_a_token_of_its_own)
{
    struct rig r;
    struct error err = { 0 };
    char id[TOKEN_PUBLIC_ID];
    token_public_id(FAKE_CALLBACK, id);
    rig_init(&r, CALLBACK, NULL);
    rig_run(&r, "PENDING");

    const struct fake_asked *put = fake_nth(r.aws, "PUT", 0);
    auto_free char *path = mem_printf("/v1/callbacks/%s", id);
    cr_expect_str_eq(put->path, path);
    cr_expect_str_eq(put->body, "{\"input\":{\"n\":1},\"heartbeatSeconds\":60,\"workflow\":"
                                "\"launcher.1.e1.9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9\",\"job\":"
                                "\"job\"}");
    struct token_content content;
    cr_assert_eq(strncmp(put->auth, "Bearer ", 7), 0);
    cr_assert_eq(token_open(r.keys, put->auth + 7, strlen(put->auth + 7), 0, &content, &err), 0);
    cr_expect_eq(content.scope, TOKEN_SCOPE_LAUNCHER);
    int64_t launcher_expires_s = content.expires_s;

    auto_json struct json_object *run = NULL;
    cr_assert_eq(json_parse_str(fake_nth(r.aws, "RunTask", 0)->body, &run, &err), 0);
    cr_expect_str_eq(json_get_str(run, "startedBy"),
                     "durable/9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9");
    cr_expect_eq(strlen(json_get_str(run, "clientToken")), 64);
    auto_free char *url = mem_printf("http://callbacks/v1/callbacks/%s", id);
    cr_expect_str_eq(variable(run, "CALLBACK_URL"), url);
    cr_expect_str_eq(variable(run, "HEARTBEAT_SECONDS"), "60");
    cr_expect_str_eq(variable(run, "STOP_TIMEOUT_SECONDS"), "30");
    cr_expect_str_eq(variable(run, "JOB_NAME"), "job");
    const char *token = variable(run, "CALLBACK_TOKEN");
    cr_assert_eq(token_open(r.keys, token, strlen(token), 0, &content, &err), 0);
    cr_expect_eq(content.scope, TOKEN_SCOPE_JOB);
    cr_expect_str_eq(content.callback_id, FAKE_CALLBACK);
    int64_t now_s = clock_wall_ms(clock_system()) / 1000;
    cr_expect_leq(llabs(content.expires_s - (now_s + 3600 + 3600)), 60);
    cr_expect_eq(launcher_expires_s - content.expires_s, 24 * 3600);
    cr_expect_null(strstr(fake_nth(r.aws, "RunTask", 0)->body, FAKE_CALLBACK));
    cr_expect_null(strstr(json_text(r.durable.operations, NULL), token), "a token is recorded");
    rig_release(&r);
}

Test(workflow, gives_the_samples_result)
{
    struct rig r;
    rig_init(&r, "{\"message\":\"hi\",\"processingTime\":2}", NULL);
    rig_run(&r, "PENDING");
    struct error err;
    auto_json struct json_object *run = NULL;
    cr_assert_eq(json_parse_str(fake_nth(r.aws, "RunTask", 0)->body, &run, &err), 0);
    cr_expect_str_eq(variable(run, "MESSAGE"), "hi");
    cr_expect_str_eq(variable(run, "PROCESSING_TIME"), "2");
    fake_durable_callback(&r.durable, "SUCCEEDED", "{\"status\":\"success\"}");
    rig_run(&r, "SUCCEEDED");
    cr_expect_str_eq(
        json_get_str(r.answer, "Result"),
        "{\"statusCode\":200,\"body\":\"{\\\"status\\\":\\\"success\\\",\\\"message\\\":"
        "\\\"ECS task completed and sent callback\\\",\\\"taskArn\\\":\\\"arn:task/"
        "1\\\",\\\"result\\\":\\\"{\\\\\\\"status\\\\\\\":\\\\\\\"success\\\\\\\"}"
        "\\\"}\"}");
    rig_release(&r);
}

Test(workflow, asks_for_the_same_task_when_it_dies_before_the_checkpoint)
{
    struct rig r;
    rig_init(&r, CALLBACK, NULL);
    r.durable.lose_checkpoint = 3; /* callback, register, run-task */
    rig_run(&r, "PENDING");
    cr_expect_eq(r.durable.invocations, 2);
    cr_expect_eq(fake_count(r.aws, "PUT"), 1);
    cr_assert_eq(fake_count(r.aws, "RunTask"), 2);
    cr_expect_str_eq(fake_nth(r.aws, "RunTask", 0)->body, fake_nth(r.aws, "RunTask", 1)->body);
    cr_expect_eq(fake_count(r.aws, "ListTasks"), 0);
    rig_release(&r);
}

Test(workflow, registers_with_the_same_bytes_again)
{
    struct rig r;
    rig_init(&r, CALLBACK, NULL);
    r.durable.lose_checkpoint = 2;
    rig_run(&r, "PENDING");
    cr_assert_eq(fake_count(r.aws, "PUT"), 2);
    cr_expect_str_eq(fake_nth(r.aws, "PUT", 0)->body, fake_nth(r.aws, "PUT", 1)->body);
    cr_expect_str_eq(fake_nth(r.aws, "PUT", 0)->auth, fake_nth(r.aws, "PUT", 1)->auth);
    rig_release(&r);
}

Test(workflow, looks_for_the_task_before_a_repeated_try)
{
    static const struct fake_rule rules[] = {
        { "RunTask", 500, "{\"__type\":\"ServerException\",\"message\":\"oops\"}" },
        { "ListTasks", 200, "{\"taskArns\":[]}" },
        { "ListTasks", 200, "{\"taskArns\":[\"arn:task/old\"]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, "{\"message\":\"x\"}", rules);
    rig_run(&r, "PENDING");
    cr_expect_eq(fake_count(r.aws, "RunTask"), 2, "two tries of the first attempt alone");
    cr_expect_not_null(strstr(fake_nth(r.aws, "ListTasks", 0)->body, "RUNNING"));
    cr_expect_not_null(strstr(fake_nth(r.aws, "ListTasks", 1)->body, "STOPPED"));
    fake_durable_callback(&r.durable, "SUCCEEDED", "1");
    rig_run(&r, "SUCCEEDED");
    cr_expect_not_null(strstr(r.durable.answer, "arn:task/old"));
    rig_release(&r);
}

Test(workflow, repeats_a_lost_start_with_the_same_bytes)
{
    static const struct fake_rule rules[] = {
        { "RunTask", 0, "" },
        { "RunTask", 0, "" },
        { "RunTask", 500, "{\"__type\":\"ServerException\",\"message\":\"oops\"}" },
        { "RunTask", 500, "{\"__type\":\"ServerException\",\"message\":\"oops\"}" },
        { "RunTask", 200, "{\"tasks\":[{\"taskArn\":\"arn:task/1\"}]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, CALLBACK, rules);
    rig_run(&r, "PENDING");
    size_t tries = fake_count(r.aws, "RunTask");
    cr_assert_geq(tries, 5);
    for (size_t i = 1; i < tries; i++)
        cr_expect_str_eq(fake_nth(r.aws, "RunTask", 0)->body, fake_nth(r.aws, "RunTask", i)->body);
    cr_expect_eq(fake_count(r.aws, "ListTasks"), 4, "two states in each repeated attempt");
    rig_release(&r);
}

Test(workflow, looks_first_when_the_step_runs_long_after_the_start)
{
    static const struct fake_rule rules[] = {
        { "ListTasks", 200, "{\"taskArns\":[\"arn:task/old\"]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, CALLBACK, rules);
    fake_durable_release(&r.durable);
    fake_durable_init(&r.durable, CALLBACK, 3600 * 1000);
    rig_run(&r, "PENDING");
    cr_expect_eq(fake_count(r.aws, "RunTask"), 0);
    rig_release(&r);
}

Test(workflow, adopts_the_task_that_a_conflict_names)
{
    static const struct fake_rule rules[] = {
        { "RunTask", 400,
          "{\"__type\":\"ConflictException\",\"message\":\"used\",\"resourceIds\":"
          "[\"arn:task/first\"]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, "{\"message\":\"x\"}", rules);
    rig_run(&r, "PENDING");
    fake_durable_callback(&r.durable, "SUCCEEDED", "1");
    rig_run(&r, "SUCCEEDED");
    cr_expect_not_null(strstr(r.durable.answer, "arn:task/first"));
    rig_release(&r);
}

Test(workflow, fails_at_once_where_the_start_is_refused)
{
    static const struct {
        struct fake_rule rules[2];
        const char *type;
        const char *text;
    } table[] = {
        { { { "RunTask", 200, "{\"tasks\":[],\"failures\":[{\"reason\":\"ATTRIBUTE\"}]}" } },
          "Task.StartFailed",
          "ATTRIBUTE" },
        { { { "RunTask", 400,
              "{\"__type\":\"ClientException\",\"message\":\"TaskDefinition not found.\"}" } },
          "Task.StartFailed",
          "ClientException: " },
        { { { "RunTask", 400, "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}" } },
          "Task.StartFailed",
          "AccessDeniedException: " },
        { { { "RunTask", 400,
              "{\"__type\":\"ClusterNotFoundException\",\"message\":\"Cluster not found.\"}" } },
          "Task.StartFailed",
          "ClusterNotFoundException: " },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rig r;
        rig_init(&r, CALLBACK, table[i].rules);
        rig_run(&r, "FAILED");
        json_object_put(rig_error(&r, table[i].type));
        cr_expect_not_null(strstr(r.durable.answer, table[i].text), "%s", r.durable.answer);
        cr_expect_eq(fake_count(r.aws, "RunTask"), 1);
        cr_expect_eq(fake_count(r.aws, "DELETE"), 1, "the registration stays open");
        cr_expect_eq(fake_count(r.aws, "StopTask"), 0);
        rig_release(&r);
    }
}

Test(workflow, refuses_bad_input_before_anything_is_done)
{
    static const char *const inputs[] = { "{}", "[]", "7", "{\"pattern\":\"poll\"}",
                                          ("{\"pattern\":\"callback\",\"task\":{\"environment\":{"
                                           "\"AWS_X\":\"\"}}}") };
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
        struct rig r;
        rig_init(&r, inputs[i], NULL);
        rig_run(&r, "FAILED");
        auto_json struct json_object *data = rig_error(&r, "Workflow.InvalidInput");
        cr_expect_gt(json_object_array_length(json_get_arr(data, "errors")), 0);
        cr_expect_eq(r.aws->count, 0);
        rig_release(&r);
    }
}

Test(workflow, never_starts_a_task_without_a_registration)
{
    static const struct fake_rule refused[] = {
        { "PUT", 409, "{\"detail\":\"registered with other content\"}" }, { NULL, 0, NULL }
    };
    static const struct fake_rule away[] = { { "PUT", 503, "{}" }, { NULL, 0, NULL } };
    static const struct fake_rule back[] = {
        { "PUT", 503, "{}" }, { "PUT", 0, "" }, { "PUT", 200, "{}" }, { NULL, 0, NULL }
    };
    static const struct {
        const struct fake_rule *rules;
        const char *status;
        size_t puts;
        size_t tasks;
    } table[] = { { refused, "FAILED", 1, 0 },
                  { away, "FAILED", 18, 0 },
                  { back, "PENDING", 3, 1 } };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rig r;
        rig_init(&r, CALLBACK, table[i].rules);
        rig_run(&r, table[i].status);
        if (strcmp(table[i].status, "FAILED") == 0) {
            json_object_put(rig_error(&r, "Workflow.RegistrationFailed"));
        }
        cr_expect_geq(fake_count(r.aws, "PUT"), table[i].puts);
        cr_expect_eq(fake_count(r.aws, "RunTask"), table[i].tasks);
        rig_release(&r);
    }
}

Test(workflow, fails_with_the_jobs_own_error_and_cleans_up)
{
    struct rig r;
    rig_init(&r, CALLBACK, NULL);
    rig_run(&r, "PENDING");
    fake_durable_callback(&r.durable, "FAILED",
                          "{\"ErrorType\":\"Order.Empty\",\"ErrorMessage\":\"nothing in it\","
                          "\"ErrorData\":\"{\\\"order\\\":7}\",\"StackTrace\":[\"main.c:1\"]}");
    rig_run(&r, "FAILED");
    auto_json struct json_object *data = rig_error(&r, "Order.Empty");
    struct json_object *error = json_get_obj(r.answer, "Error");
    cr_expect_str_eq(json_get_str(error, "ErrorMessage"), "nothing in it");
    cr_expect_str_eq(json_get_str(data, "taskArn"), "arn:task/1");
    cr_expect_str_eq(json_get_str(data, "stopCode"), "EssentialContainerExited");
    cr_expect_eq(json_get_int(data, "exitCode", -1), 137);
    cr_expect_eq(json_get_int(json_get_obj(data, "errorData"), "order", -1), 7);
    cr_expect_eq(json_object_array_length(json_get_arr(error, "StackTrace")), 1);
    cr_expect_eq(fake_count(r.aws, "GET"), 0, "the callback was answered: nobody is asked");
    cr_expect_eq(fake_count(r.aws, "DELETE"), 1);
    cr_expect_eq(fake_count(r.aws, "StopTask"), 0, "it is stopped");
    rig_release(&r);
}

Test(workflow, finds_the_true_reason_behind_silence)
{
    static const char *const noticed[] = { "Task.HeartbeatLost", "Task.StartTimeout" };
    for (size_t i = 0; i < ARRAY_LEN(noticed); i++) {
        struct rig r;
        rig_init(&r, CALLBACK, NULL);
        rig_run(&r, "PENDING");
        auto_free char *error =
            mem_printf("{\"ErrorType\":\"%s\",\"ErrorMessage\":\"silent\"}", noticed[i]);
        fake_durable_callback(&r.durable, "FAILED", error);
        rig_run(&r, "FAILED");
        auto_json struct json_object *data = rig_error(&r, "Task.Signal");
        cr_expect_eq(json_get_int(data, "signal", -1), 9);
        cr_expect_eq(json_get_int(data, "exitCode", -1), 137);
        cr_expect_str_eq(json_get_str(data, "noticedBy"), noticed[i]);
        rig_release(&r);
    }
}

Test(workflow, takes_a_held_report_as_the_outcome)
{
    static const struct fake_rule success[] = {
        { "GET", 200, HELD("success", "{\\\"ok\\\":true}") }, { NULL, 0, NULL }
    };
    static const struct fake_rule late[] = {
        { "GET", 200, "{\"state\":\"pending\"}" },
        { "GET", 200, HELD("success", "{\\\"ok\\\":true}") },
        { NULL, 0, NULL },
    };
    static const struct fake_rule away[] = {
        { "GET", 503, "{}" },
        { "GET", 0, "" },
        { "GET", 200, HELD("success", "{\\\"ok\\\":true}") },
        { NULL, 0, NULL },
    };
    const struct fake_rule *const table[] = { success, late, away };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rig r;
        rig_init(&r, CALLBACK, table[i]);
        rig_run(&r, "PENDING");
        fake_durable_callback(&r.durable, "TIMED_OUT", TIMEOUT);
        rig_run(&r, "SUCCEEDED");
        cr_expect_str_eq(json_get_str(r.answer, "Result"), "{\"ok\":true}");
        cr_expect_eq(fake_count(r.aws, "StopTask"), 0);
        rig_release(&r);
    }
}

/* Text is a string, and so is what says that it is JSON and is not. */
Test(workflow, takes_a_held_text_as_a_string)
{
    static const char *const media[] = { "text/plain; charset=utf-8", "application/json" };
    for (size_t i = 0; i < ARRAY_LEN(media); i++) {
        auto_free char *held = mem_printf("{\"id\":\"x\",\"state\":\"accepted\",\"report\":"
                                          "{\"kind\":\"success\",\"mediaType\":\"%s\","
                                          "\"body\":\"%s\"}}",
                                          media[i], i == 0 ? "[1]" : "[1");
        const struct fake_rule rules[] = { { "GET", 200, held }, { NULL, 0, NULL } };
        struct rig r;
        rig_init(&r, CALLBACK, rules);
        rig_run(&r, "PENDING");
        fake_durable_callback(&r.durable, "TIMED_OUT", TIMEOUT);
        rig_run(&r, "SUCCEEDED");
        cr_expect_str_eq(json_get_str(r.answer, "Result"), i == 0 ? "\"[1]\"" : "\"[1\"");
        rig_release(&r);
    }
}

Test(workflow, takes_a_held_failure_as_the_outcome)
{
    static const struct fake_rule rules[] = {
        { "GET", 200,
          HELD("failure", "{\\\"ErrorType\\\":\\\"Job.Bad\\\",\\\"ErrorMessage\\\":\\\"no\\\"}") },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, CALLBACK, rules);
    rig_run(&r, "PENDING");
    fake_durable_callback(&r.durable, "TIMED_OUT", TIMEOUT);
    rig_run(&r, "FAILED");
    auto_json struct json_object *data = rig_error(&r, "Job.Bad");
    cr_expect_str_eq(json_get_str(data, "taskArn"), "arn:task/1");
    rig_release(&r);
}

Test(workflow, stops_what_runs_on_after_a_timeout)
{
    static const struct fake_rule rules[] = {
        { "DescribeTasks", 200,
          "{\"tasks\":[{\"taskArn\":\"arn:task/"
          "1\",\"lastStatus\":\"RUNNING\",\"containers\":[]}]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, CALLBACK, rules);
    rig_run(&r, "PENDING");
    fake_durable_callback(&r.durable, "TIMED_OUT", TIMEOUT);
    rig_run(&r, "FAILED");
    auto_json struct json_object *data = rig_error(&r, "Task.Timeout");
    cr_expect_str_eq(json_get_str(data, "lastStatus"), "RUNNING");
    cr_expect_eq(fake_count(r.aws, "GET"), 2, "asked, closed, asked once more");
    cr_expect_eq(fake_count(r.aws, "StopTask"), 1);
    cr_expect_not_null(strstr(fake_nth(r.aws, "StopTask", 0)->body, "arn:task/1"));
    rig_release(&r);
}

Test(workflow, fails_as_timed_out_when_neither_receiver_nor_ecs_can_tell)
{
    static const struct fake_rule rules[] = {
        { "GET", 404, "{}" },
        { "DELETE", 403, "{}" },
        { "DescribeTasks", 200, "{\"tasks\":[],\"failures\":[{\"reason\":\"MISSING\"}]}" },
        { "StopTask", 400,
          "{\"__type\":\"InvalidParameterException\",\"message\":\"The referenced task was not "
          "found.\"}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, CALLBACK, rules);
    rig_run(&r, "PENDING");
    fake_durable_callback(&r.durable, "TIMED_OUT", TIMEOUT);
    rig_run(&r, "FAILED");
    auto_json struct json_object *data = rig_error(&r, "Task.Timeout");
    cr_expect_str_eq(json_get_str(data, "taskArn"), "arn:task/1");
    rig_release(&r);
}

Test(workflow, stops_asking_a_receiver_that_stays_away)
{
    static const struct fake_rule rules[] = { { "GET", 503, "{}" },
                                              { "DELETE", 503, "{}" },
                                              { NULL, 0, NULL } };
    struct rig r;
    rig_init(&r, CALLBACK, rules);
    rig_run(&r, "PENDING");
    fake_durable_callback(&r.durable, "TIMED_OUT", TIMEOUT);
    rig_run(&r, "FAILED");
    auto_json struct json_object *data = rig_error(&r, "Task.Signal");
    cr_expect_str_eq(json_get_str(data, "noticedBy"), "Task.Timeout");
    cr_expect_eq(fake_count(r.aws, "GET"), 12);
    cr_expect_eq(fake_count(r.aws, "DELETE"), 8);
    rig_release(&r);
}

Test(workflow, waits_for_a_task_that_is_about_to_end)
{
    static const struct fake_rule rules[] = {
        { "DescribeTasks", 200,
          "{\"tasks\":[{\"taskArn\":\"arn:task/1\",\"lastStatus\":\"DEPROVISIONING\","
          "\"containers\":[]}]}" },
        { "DescribeTasks", 200,
          "{\"tasks\":[{\"taskArn\":\"arn:task/1\",\"lastStatus\":\"STOPPED\",\"stopCode\":"
          "\"SpotInterruption\",\"containers\":[]}]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, CALLBACK, rules);
    rig_run(&r, "PENDING");
    fake_durable_callback(&r.durable, "FAILED", "{\"ErrorType\":\"Task.HeartbeatLost\"}");
    rig_run(&r, "FAILED");
    json_object_put(rig_error(&r, "Task.SpotInterruption"));
    cr_expect_eq(fake_count(r.aws, "DescribeTasks"), 2);
    rig_release(&r);
}

Test(workflow, wraps_its_result_for_a_batch)
{
    static const struct {
        const char *result;
        const char *wrapped;
    } table[] = {
        { "[1,2,3]", "\"result\":[1,2,3]}" },
        { "[1,2,3,4]", "\"resultBytes\":9}" },
        { "null", "\"result\":null}" },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rig r;
        rig_init(&r, "{\"pattern\":\"callback\",\"wrapResultBytes\":8}", NULL);
        rig_run(&r, "PENDING");
        fake_durable_callback(&r.durable, "SUCCEEDED", table[i].result);
        rig_run(&r, "SUCCEEDED");
        auto_free char *expected = mem_printf(
            "{\"workflow\":\"launcher.1.e1.9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9\",\"taskArn\":"
            "\"arn:task/1\",%s",
            table[i].wrapped);
        cr_expect_str_eq(json_get_str(r.answer, "Result"), expected);
        rig_release(&r);
    }
}

Test(workflow, names_itself_in_its_failure_for_a_batch)
{
    struct rig r;
    rig_init(&r, "{\"pattern\":\"callback\",\"wrapResultBytes\":8,\"retry\":{\"maxAttempts\":1}}",
             NULL);
    rig_run(&r, "PENDING");
    fake_durable_callback(&r.durable, "FAILED", "{\"ErrorType\":\"Order.Empty\"}");
    rig_run(&r, "FAILED");
    auto_json struct json_object *data = rig_error(&r, "Order.Empty");
    cr_expect_str_eq(json_get_str(data, "workflow"),
                     "launcher.1.e1.9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9");
    cr_expect_str_eq(json_get_str(data, "taskArn"), "arn:task/1");
    rig_release(&r);
}

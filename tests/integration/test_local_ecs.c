/* ECS of the real local-aws, without any function. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "shared/aws/ecs_client.h"
#include "tests/integration/local_rig.h"

/* ---- tasks ------------------------------------------------------------------------------------*/

Test(local_ecs, runs_a_command_and_tells_how_it_ended)
{
    struct local_rig r;
    local_rig_begin(&r);
    auto_free char *arn =
        local_rig_run(&r, "echo hello $FROM $WORD; echo err >&2; env; pwd; exit 3",
                      ",\"startedBy\":\"durable/e1\"");
    cr_assert_eq(strncmp(arn, "arn:aws:ecs:us-east-1:123456789012:task/local/", 46), 0, "%s", arn);
    auto_json struct json_object *task = local_rig_until(&r, arn, "STOPPED");
    cr_assert_eq(json_get_int(local_rig_container(task), "exitCode", -1), 3);
    cr_assert_str_eq(json_get_str(task, "stopCode"), "EssentialContainerExited");
    cr_assert_str_eq(json_get_str(task, "stoppedReason"), "Essential container in task exited");
    cr_assert_str_eq(json_get_str(task, "startedBy"), "durable/e1");
    cr_assert_str_eq(json_get_str(task, "taskDefinitionArn"),
                     "arn:aws:ecs:us-east-1:123456789012:task-definition/job:2");
    cr_assert_eq(json_get_int(task, "version", 0), 5);
    double created = json_get_double(task, "createdAt", 0), started = 0, stopped = 0;
    started = json_get_double(task, "startedAt", 0);
    stopped = json_get_double(task, "stoppedAt", 0);
    cr_assert(created > 1e9 && created < 1e11 && created <= started && started <= stopped);
    auto_free char *text = local_rig_output(&r, arn, "/state/tasks/");
    cr_assert_not_null(strstr(text, "hello definition w o r d\nerr\n"), "%s", text);
    cr_assert_null(strstr(text, "AWS_"), "a task gets no AWS variables: %s", text);
    cr_assert_null(strstr(text, "not-for-tasks"));
    local_rig_end(&r);
}

Test(local_ecs, tells_signals_as_128_and_their_number)
{
    struct local_rig r;
    local_rig_begin(&r);
    auto_free char *killed = local_rig_run(&r, "kill -KILL $$", ""),
                   *ended = local_rig_run(&r, "kill -TERM $$", "");
    auto_free char *outside = local_rig_run(&r, "exec sleep 300", "");
    json_object_put(local_rig_until(&r, outside, "RUNNING"));
    cr_assert_eq(kill(local_rig_task_pid(&r, outside), SIGKILL), 0);
    local_rig_expect_exit(&r, killed, 137, "EssentialContainerExited");
    local_rig_expect_exit(&r, ended, 143, "EssentialContainerExited");
    local_rig_expect_exit(&r, outside, 137, "EssentialContainerExited");
    cr_assert_eq(local_rig_task_pid(&r, outside), 0);
    local_rig_end(&r);
}

Test(local_ecs, says_that_a_command_cannot_be_started)
{
    struct local_rig r;
    local_rig_begin(&r);
    auto_json struct json_object *o = local_rig_must(
        &r, "RunTask",
        "{\"cluster\":\"local\",\"taskDefinition\":\"job\",\"overrides\":{"
        "\"containerOverrides\":[{\"name\":\"job\",\"command\":[\"/no/such/command\"]}]}}");
    const char *arn =
        json_get_str(json_object_array_get_idx(json_get_arr(o, "tasks"), 0), "taskArn");
    auto_json struct json_object *task = local_rig_until(&r, arn, "STOPPED");
    cr_assert_str_eq(json_get_str(task, "stopCode"), "TaskFailedToStart");
    cr_assert_null(json_get(local_rig_container(task), "exitCode"));
    const char *reason = json_get_str(local_rig_container(task), "reason");
    cr_assert_eq(strncmp(reason, "CannotStartContainerError: ", 27), 0, "%s", reason);
    cr_assert_not_null(strstr(reason, "/no/such/command"), "%s", reason);
    local_rig_end(&r);
}

Test(local_ecs, stops_a_task_with_sigterm)
{
    struct local_rig r;
    local_rig_begin(&r);
    auto_free char *arn = local_rig_run(
        &r, "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done", "");
    free(local_rig_output(&r, arn, "ready"));
    local_rig_stop(&r, arn);
    local_rig_stop(&r, arn); /* twice is the same */
    local_rig_expect_exit(&r, arn, 7, "UserInitiated");
    local_rig_stop(&r, arn);
    auto_json struct json_object *task = local_rig_describe(&r, arn);
    cr_assert_str_eq(json_get_str(task, "stoppedReason"), "enough");
    cr_assert_eq(json_get_int(task, "version", 0), 8, "%s", json_text(task, NULL));
    local_rig_end(&r);
}

Test(local_ecs, kills_a_task_that_ignores_sigterm_after_its_stop_timeout)
{
    struct local_rig r;
    local_rig_begin(&r);
    auto_free char *arn =
        local_rig_run(&r, "trap '' TERM; echo ready; while :; do sleep 0.05; done", "");
    free(local_rig_output(&r, arn, "ready"));
    json_object_put(local_rig_until(&r, arn, "RUNNING"));
    int64_t before = clock_mono_ms(clock_system());
    local_rig_stop(&r, arn);
    auto_json struct json_object *task = local_rig_describe(&r, arn);
    cr_assert_str_eq(json_get_str(task, "lastStatus"), "STOPPING");
    local_rig_expect_exit(&r, arn, 137, "UserInitiated");
    cr_assert_geq(clock_mono_ms(clock_system()) - before, 950);
    local_rig_end(&r);
}

Test(local_ecs, kills_what_a_task_leaves_behind)
{
    struct local_rig r;
    local_rig_begin(&r);
    auto_free char *arn =
        local_rig_run(&r,
                      "setsid sh -c 'setsid sleep 300 & echo orphan $! >&2; wait' & "
                      "while ! grep -q orphan output.log; do sleep 0.02; done",
                      "");
    local_rig_expect_exit(&r, arn, 0, "EssentialContainerExited");
    auto_free char *text = local_rig_output(&r, arn, "orphan ");
    cr_assert_neq(kill((pid_t)atoi(strstr(text, "orphan ") + 7), 0), 0, "the orphan still lives");
    local_rig_end(&r);
}

/* ---- client tokens, refusals, lists -----------------------------------------------------------*/

Test(local_ecs, starts_one_task_for_one_client_token)
{
    struct local_rig r;
    struct error err = { 0 };
    local_rig_begin(&r);
    auto_free char *first = local_rig_run(&r, "exec sleep 300", ",\"clientToken\":\"t-1\"");
    auto_free char *again = local_rig_run(&r, "exec sleep 300", ",\"clientToken\":\"t-1\"");
    auto_free char *other = local_rig_run(&r, "exec sleep 300", ",\"clientToken\":\"T-1\"");
    cr_assert_str_eq(first, again);
    cr_assert_str_neq(first, other, "tokens are case-sensitive");
    auto_json struct json_object *body = NULL;
    cr_assert_eq(
        local_rig_ecs(&r, "RunTask",
                      "{\"cluster\":\"local\",\"taskDefinition\":\"job\",\"clientToken\":\"t-1\"}",
                      &body, &err),
        -1);
    cr_assert_str_eq(err.type, "ConflictException");
    cr_assert_eq(err.detail, 400);
    struct json_object *ids = json_get_arr(body, "resourceIds");
    cr_assert_eq(json_object_array_length(ids), 1);
    cr_assert_str_eq(json_object_get_string(json_object_array_get_idx(ids, 0)), first);
    program_kill(r.program);
    local_rig_restart(&r);
    auto_free char *later = local_rig_run(&r, "exec sleep 300", ",\"clientToken\":\"t-1\"");
    cr_assert_str_eq(first, later, "the token outlives local-aws");
    local_rig_stop(&r, first);
    local_rig_expect_exit(&r, first, 143, "UserInitiated");
    auto_free char *stopped = local_rig_run(&r, "exec sleep 300", ",\"clientToken\":\"t-1\"");
    cr_assert_str_eq(first, stopped, "and the task for an hour");
    local_rig_end(&r);
}

Test(local_ecs, refuses_with_the_exceptions_of_ecs)
{
    static const struct {
        const char *operation;
        const char *json;
        const char *type;
    } cases[] = {
        { "RunTask", "{", "SerializationException" },
        { "RunTask", "[]", "SerializationException" },
        { "RunTask", "{\"cluster\":\"local\"}", "InvalidParameterException" },
        { "RunTask", "{\"taskDefinition\":\"job\"}", "ClusterNotFoundException" },
        { "RunTask", "{\"cluster\":\"x\",\"taskDefinition\":\"job\"}", "ClusterNotFoundException" },
        { "RunTask", "{\"cluster\":\"local\",\"taskDefinition\":\"x\"}", "ClientException" },
        { "RunTask", "{\"cluster\":\"local\",\"taskDefinition\":\"job\",\"count\":11}",
          "InvalidParameterException" },
        { "RunTask",
          "{\"cluster\":\"local\",\"taskDefinition\":\"job\",\"overrides\":{"
          "\"containerOverrides\":[{\"name\":\"nobody\"}]}}",
          "InvalidParameterException" },
        { "DescribeTasks", "{\"cluster\":\"local\"}", "InvalidParameterException" },
        { "DescribeTasks", "{\"cluster\":\"local\",\"tasks\":[7]}", "InvalidParameterException" },
        { "DescribeTasks", "{\"cluster\":\"local\",\"tasks\":[\"arn:aws:ecs:x\"]}",
          "InvalidParameterException" },
        { "StopTask", "{\"cluster\":\"local\",\"task\":\"nobody\"}", "InvalidParameterException" },
        { "StopTask", "{\"cluster\":\"local\"}", "InvalidParameterException" },
        { "ListTasks", "{\"cluster\":\"x\"}", "ClusterNotFoundException" },
        { "ListTasks", "{\"cluster\":\"local\",\"nextToken\":\"?\"}", "InvalidParameterException" },
        { "ListTasks", "{\"cluster\":\"local\",\"maxResults\":101}", "InvalidParameterException" },
        { "DeleteCluster", "{}", "UnknownOperationException" },
    };
    struct local_rig r;
    local_rig_begin(&r);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = { 0 };
        auto_json struct json_object *out = NULL;
        cr_assert_eq(local_rig_ecs(&r, cases[i].operation, cases[i].json, &out, &err), -1, "%s %s",
                     cases[i].operation, cases[i].json);
        cr_assert_str_eq(err.type, cases[i].type, "%s %s: %s", cases[i].operation, cases[i].json,
                         err.msg);
        cr_assert_eq(err.detail, 400);
    }
    auto_json struct json_object *none = local_rig_must(&r, "ListTasks", "{\"cluster\":\"local\"}");
    cr_assert_eq(json_object_array_length(json_get_arr(none, "taskArns")), 0);
    auto_json struct json_object *missing =
        local_rig_must(&r, "DescribeTasks", "{\"cluster\":\"local\",\"tasks\":[\"nobody\"]}");
    struct json_object *failure = json_object_array_get_idx(json_get_arr(missing, "failures"), 0);
    cr_assert_str_eq(json_get_str(failure, "reason"), "MISSING");
    cr_assert_str_eq(json_get_str(failure, "arn"),
                     "arn:aws:ecs:us-east-1:123456789012:task/local/nobody");
    local_rig_end(&r);
}

Test(local_ecs, lists_by_filter_and_in_pages)
{
    struct local_rig r;
    struct error err = { 0 };
    local_rig_begin(&r);
    auto_json struct json_object *three = local_rig_must(
        &r, "RunTask",
        "{\"cluster\":\"local\",\"taskDefinition\":\"job:2\",\"count\":3,\"startedBy\":\"a\","
        "\"overrides\":{\"containerOverrides\":[{\"name\":\"job\",\"command\":[\"/bin/sleep\","
        "\"300\"]}]}}");
    cr_assert_eq(json_object_array_length(json_get_arr(three, "tasks")), 3);
    auto_free char *other = local_rig_run(&r, "exec sleep 300", ",\"startedBy\":\"b\"");
    auto_json struct json_object *all = NULL, *of_b = NULL, *stopped = NULL;
    auto_json struct json_object *page = local_rig_must(
        &r, "ListTasks", "{\"cluster\":\"local\",\"startedBy\":\"a\",\"maxResults\":2}");
    cr_assert_eq(json_object_array_length(json_get_arr(page, "taskArns")), 2);
    auto_free char *next =
        mem_printf("{\"cluster\":\"local\",\"startedBy\":\"a\",\"maxResults\":2,\"nextToken\":"
                   "\"%s\"}",
                   json_get_str(page, "nextToken"));
    auto_json struct json_object *rest = local_rig_must(&r, "ListTasks", next);
    cr_assert_eq(json_object_array_length(json_get_arr(rest, "taskArns")), 1);
    cr_assert_null(json_get(rest, "nextToken"));
    cr_assert_eq(ecs_list_tasks(r.aws, "local", "a", "RUNNING", &all, &err), 0, "%s", err.msg);
    cr_assert_eq(json_object_array_length(all), 3);
    local_rig_stop(&r, other);
    cr_assert_eq(ecs_list_tasks(r.aws, "local", "b", "RUNNING", &of_b, &err), 0, "%s", err.msg);
    cr_assert_eq(json_object_array_length(of_b), 0);
    cr_assert_eq(ecs_list_tasks(r.aws, "local", "b", "STOPPED", &stopped, &err), 0, "%s", err.msg);
    cr_assert_eq(json_object_array_length(stopped), 1);
    local_rig_end(&r);
}

/* ---- death and restart ------------------------------------------------------------------------*/

Test(local_ecs, finds_its_tasks_again_after_kill_9)
{
    struct local_rig r;
    local_rig_begin(&r);
    auto_free char *goes_on = local_rig_run(&r, "echo ready; exec sleep 300", "");
    auto_free char *ends = local_rig_run(&r, "while ! [ -e go ]; do sleep 0.02; done; exit 5", "");
    auto_free char *stops =
        local_rig_run(&r, "trap '' TERM; echo ready; while :; do sleep 0.05; done", "");
    free(local_rig_output(&r, goes_on, "ready"));
    free(local_rig_output(&r, stops, "ready"));
    json_object_put(local_rig_until(&r, ends, "RUNNING"));
    local_rig_stop(&r, stops);
    pid_t pid = local_rig_task_pid(&r, goes_on), ending = local_rig_task_pid(&r, ends);
    auto_free char *just = local_rig_run(&r, "exit 6", "");
    program_kill(r.program);
    cr_assert_eq(kill(pid, 0), 0, "a task outlives local-aws");
    auto_free char *go = mem_printf("touch %s/state/tasks/%s/go", r.dir, strrchr(ends, '/') + 1);
    cr_assert_eq(system(go), 0);
    local_rig_gone(ending);
    local_rig_restart(&r);
    local_rig_expect_exit(&r, ends, 5, "EssentialContainerExited");
    local_rig_expect_exit(&r, just, 6, "EssentialContainerExited");
    local_rig_expect_exit(&r, stops, 137, "UserInitiated");
    auto_json struct json_object *running = local_rig_describe(&r, goes_on);
    cr_assert_str_eq(json_get_str(running, "lastStatus"), "RUNNING");
    cr_assert_eq(local_rig_task_pid(&r, goes_on), pid);
    local_rig_stop(&r, goes_on);
    local_rig_expect_exit(&r, goes_on, 143, "UserInitiated");
    auto_free char *once = local_rig_output(&r, goes_on, "ready");
    cr_assert_str_eq(once, "ready\n", "started once");
    local_rig_end(&r);
}

/* The parent of a process, from /proc. */
static pid_t parent(pid_t pid)
{
    auto_free char *path = mem_printf("/proc/%d/stat", (int)pid);
    int found = 0;
    FILE *f = fopen(path, "r");
    cr_assert(f && fscanf(f, "%*d %*s %*c %d", &found) == 1);
    fclose(f);
    return found;
}

Test(local_ecs, counts_a_task_as_killed_that_was_lost_with_its_shim)
{
    struct local_rig r;
    local_rig_begin(&r);
    auto_free char *arn = local_rig_run(&r, "exec sleep 300", "");
    json_object_put(local_rig_until(&r, arn, "RUNNING"));
    pid_t pid = local_rig_task_pid(&r, arn);
    cr_assert_eq(kill(parent(pid), SIGKILL), 0);
    local_rig_expect_exit(&r, arn, 137, "EssentialContainerExited");
    local_rig_gone(pid);
    local_rig_end(&r);
}

Test(local_ecs, stops_its_tasks_when_it_is_told_to_stop)
{
    struct local_rig r;
    local_rig_begin(&r);
    auto_free char *arn = local_rig_run(&r, "exec sleep 300", "");
    json_object_put(local_rig_until(&r, arn, "RUNNING"));
    pid_t pid = local_rig_task_pid(&r, arn);
    cr_assert_eq(program_stop(r.program, SOON_MS), 0);
    local_rig_gone(pid);
    local_rig_restart(&r);
    local_rig_expect_exit(&r, arn, 143, "TerminationNotice");
    local_rig_end(&r);
}

/* ---- boto3 ------------------------------------------------------------------------------------*/

Test(local_ecs, agrees_with_boto3)
{
    struct local_rig r;
    local_rig_begin(&r);
    auto_free char *command = mem_printf(
        "command -v python3 >/dev/null || { echo 'skipped: there is no python3'; exit; };"
        " exec python3 tests/integration/boto3_ecs.py %s 2>&1",
        r.options.endpoint);
    FILE *f = popen(command, "r");
    cr_assert_not_null(f);
    char text[4096];
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    int status = pclose(f);
    printf("%s", text);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", text);
    local_rig_end(&r);
}

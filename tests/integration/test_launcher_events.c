/* The true reason of each end, told by ECS's own events, and no orphans, on the real programs. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "shared/aws/lambda_client.h"
#include "tests/integration/world.h"

#define PLAIN(command, more)                                                                       \
    "{\"pattern\":\"callback\",\"timeoutSeconds\":60,\"retry\":{\"maxAttempts\":1},"               \
    "\"task\":{\"taskDefinition\":\"plain\",\"command\":[\"sh\",\"-c\",\"" command "\"]}" more "}"
#define BEAT                                                                                       \
    "curl -sS -X POST $CALLBACK_URL/heartbeat -H \\\"Authorization: Bearer $CALLBACK_TOKEN\\\"; "
#define FAIL                                                                                       \
    "curl -sS -X POST $CALLBACK_URL/failure -H \\\"Authorization: Bearer $CALLBACK_TOKEN\\\" -d "  \
    "'{\\\"errorType\\\":\\\"Order.Unknown\\\",\\\"errorMessage\\\":\\\"no order 7\\\"}'; "

static void start(struct world *w, int execution_timeout_s)
{
    static const char *const env[] = { "EVENTS_DELAY_SECONDS=0", "LOG_GROUP=/jobs",
                                       "LOG_STREAM_PREFIX=ecs", NULL };
    const struct stack_options o = { .events = true,
                                     .launcher_env = env,
                                     .execution_timeout_s = execution_timeout_s };
    world_start(w, &o);
}

/* What the failure's data says of the task. */
static void check_data(struct world *w, const char *id, const char *stop_code)
{
    auto_json struct json_object *end = world_end(w, id);
    struct json_object *data = json_get_obj(json_get_obj(end, "error"), "data");
    const char *arn = json_get_str(data, "taskArn");
    const char *stream = json_get_str(data, "logStream");
    if (!stop_code)
        return;
    cr_expect_str_eq(json_get_str(data, "stopCode"), stop_code, "%s", json_text(end, NULL));
    cr_assert(arn && stream, "%s", json_text(end, NULL));
    cr_expect(strncmp(stream, "ecs/job/", 8) == 0 && strstr(arn, stream + 8), "%s", stream);
    cr_expect_str_eq(json_get_str(data, "logGroup"), "/jobs");
    cr_expect_not_null(json_get(data, "reason"));
}

/* Whether the wait was ended by Lambda's timer, and not by anything that was told. */
static bool timed_out(struct world *w, const char *id)
{
    struct error err = { 0 };
    auto_free char *arn = world_arn(id);
    auto_json struct json_object *history = NULL;
    cr_assert_eq(lambda_get_history(w->aws, arn, true, NULL, 1000, &history, &err), 0, "%s",
                 err.msg);
    return strstr(json_text(history, NULL), "CallbackTimedOut") != NULL;
}

Test(launcher_events, each_end_has_its_type_and_reason_and_leaves_nothing_running)
{
    static const struct {
        const char *outcome; /* ordered from local-aws, or NULL */
        const char *body;
        const char *type;
        const char *reason;
        const char *stop_code; /* NULL: there is no task, or it is being stopped */
        bool timer;            /* nobody knows more than that its time is over */
    } cases[] = {
        { NULL, PLAIN("exit 3", ""), "Task.ExitCode", "exit code 3", "EssentialContainerExited",
          false },
        { NULL, PLAIN("kill -SEGV $$", ""), "Task.Signal", "SIGSEGV", "EssentialContainerExited",
          false },
        { NULL, PLAIN("true", ""), "Task.NoReport", "exit code 0 and sent no report",
          "EssentialContainerExited", false },
        { NULL, PLAIN(FAIL "exit 1", ""), "Order.Unknown", "no order 7", NULL, false },
        { NULL, PLAIN(BEAT "exec sleep 60", ",\"heartbeatSeconds\":1"), "Task.HeartbeatLost", "",
          NULL, false },
        { NULL,
          "{\"pattern\":\"callback\",\"timeoutSeconds\":2,\"task\":{\"taskDefinition\":\"plain\","
          "\"command\":[\"sleep\",\"60\"]}}",
          "Task.Timeout", "timeoutSeconds", NULL, true },
        { "image-pull", PLAIN("sleep 60", ""), "Task.ImagePull", "CannotPullContainerError",
          "TaskFailedToStart", false },
        { "spot", PLAIN("sleep 60", ""), "Task.SpotInterruption", "AWS took the capacity back",
          "SpotInterruption", false },
        { "out-of-memory", PLAIN("sleep 60", ""), "Task.OutOfMemory", "OutOfMemoryError",
          "EssentialContainerExited", false },
        { "no-container", PLAIN("sleep 60", ""), "Task.SpotInterruption", "AWS took the capacity",
          "TerminationNotice", false },
        { "stopped-by-user", PLAIN("sleep 60", ""), "Task.StoppedByUser", "stopped from outside",
          "UserInitiated", false },
        { "never-starts", PLAIN("sleep 60", ",\"startTimeoutSeconds\":1"), "Task.StartTimeout", "",
          NULL, false },
        { "no-capacity", PLAIN("sleep 60", ",\"startTimeoutSeconds\":1"), "Task.Capacity",
          "no capacity until the start deadline", NULL, false },
    };
    struct world w;
    start(&w, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct facts f = { 0 };
        auto_free char *fault =
            mem_printf("{\"operation\":\"RunTask\",\"action\":\"task\",\"outcome\":\"%s\","
                       "\"delayMs\":100,\"times\":-1}",
                       cases[i].outcome);
        if (cases[i].outcome)
            world_fault(&w, fault);
        auto_free char *id = world_post(&w, cases[i].body);
        world_expect(&w, id, "FAILED", cases[i].type, &f);
        cr_expect(f.reason && strstr(f.reason, cases[i].reason), "case %zu: %s", i, f.reason);
        cr_expect_eq(timed_out(&w, id), cases[i].timer, "case %zu: by whom it was ended", i);
        check_data(&w, id, cases[i].stop_code);
        world_no_task_runs(&w);
        facts_release(&f);
        world_fault(&w, NULL);
    }
    world_stop(&w);
}

/* The sum of a metric over all lines, and how many there are with the dimension's value. */
static int64_t metric(struct world *w, const char *name, const char *dimension, const char *value,
                      int *lines)
{
    auto_free char *word = mem_printf("\"Name\":\"%s\"", name);
    auto_json struct json_object *all = world_log_lines(w, word);
    int64_t sum = 0;
    *lines = 0;
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object *line = json_object_array_get_idx(all, i);
        const char *its = json_get_str(line, dimension);
        if (!its || strcmp(its, value) != 0)
            continue;
        (*lines)++;
        sum += json_get_int(line, name, -1000000);
    }
    return sum;
}

Test(launcher_events, and_workflows_are_counted_once_each_in_logs_that_name_them)
{
    struct world w;
    struct facts f = { 0 };
    int lines = 0;
    start(&w, 0);
    auto_free char *good = world_post(&w, "{\"pattern\":\"callback\",\"task\":{\"command\":"
                                          "[\"echo\",\"1\"]}}");
    auto_free char *bad = world_post(&w, PLAIN("exit 3", ""));
    world_expect(&w, good, "SUCCEEDED", NULL, &f);
    facts_release(&f);
    world_expect(&w, bad, "FAILED", "Task.ExitCode", &f);
    facts_release(&f);
    for (int i = 0; i < 600 && metric(&w, "TaskStartLatency", "Cluster", "local", &lines) >= 0;
         i++) {
        if (lines >= 2)
            break;
        clock_sleep_ms(clock_system(), 100);
    }
    cr_expect_eq(lines, 2, "%d tasks told how long their start took", lines);
    cr_expect_eq(metric(&w, "WorkflowsStarted", "Pattern", "callback", &lines), 2);
    cr_expect_eq(metric(&w, "WorkflowsSucceeded", "Pattern", "callback", &lines), 1);
    cr_expect_eq(metric(&w, "WorkflowsFailed", "ErrorType", "Task.ExitCode", &lines), 1);
    cr_expect_geq(metric(&w, "CallbackLatency", "Pattern", "callback", &lines), 0);
    cr_expect_eq(lines, 2);
    auto_json struct json_object *started = world_log_lines(&w, "\"task_started\"");
    cr_assert_eq(json_object_array_length(started), 2);
    for (size_t i = 0; i < 2; i++) {
        struct json_object *line = json_object_array_get_idx(started, i);
        const char *workflow = json_get_str(line, "workflow");
        cr_expect(strcmp(workflow, good) == 0 || strcmp(workflow, bad) == 0, "%s", workflow);
        cr_expect_str_eq(json_get_str(line, "operation"), "run-task-1");
        cr_expect_not_null(json_get_str(line, "task"));
        cr_expect_not_null(json_get_str(line, "requestId"));
    }
    world_stop(&w);
}

Test(launcher_events, that_are_doubled_change_nothing_and_the_error_says_all)
{
    struct world w;
    start(&w, 0);
    world_fault(&w, "{\"operation\":\"PutEvents\",\"action\":\"double\",\"times\":-1}");
    auto_free char *id = world_post(&w, PLAIN("exit 7", ""));
    auto_json struct json_object *end = world_end(&w, id);
    struct json_object *error = json_get_obj(end, "error");
    cr_assert_not_null(error, "%s", json_text(end, NULL));
    cr_expect(strstr(json_text(error, NULL), "Task.ExitCode"), "%s", json_text(error, NULL));
    cr_expect(strstr(json_text(error, NULL), ":task/local/"), "%s", json_text(error, NULL));
    world_stop(&w);
}

Test(launcher_events, a_stop_from_the_console_leaves_no_task)
{
    struct world w;
    struct facts f = { 0 };
    struct error err = { 0 };
    start(&w, 0);
    auto_free char *id = world_post(&w, PLAIN("exec sleep 60", ""));
    int pid = world_task_pid(&w, id);
    auto_free char *callback = world_callback_id(&w, id);
    auto_free char *arn = world_arn(id);
    cr_assert_eq(lambda_stop(w.aws, arn, NULL, NULL, &err), 0, "%s", err.msg);
    world_gone(pid);
    world_expect(&w, id, "STOPPED", NULL, &f);
    auto_free char *state = world_state(&w, callback);
    cr_expect_str_eq(state, "closed");
    facts_release(&f);
    world_stop(&w);
}

Test(launcher_events, the_executions_own_timeout_leaves_no_task)
{
    struct world w;
    struct facts f = { 0 };
    start(&w, 2);
    auto_free char *id = world_post(&w, PLAIN("exec sleep 60", ""));
    int pid = world_task_pid(&w, id);
    world_expect(&w, id, "TIMED_OUT", NULL, &f);
    world_gone(pid);
    facts_release(&f);
    world_stop(&w);
}

/* The event of the first attempt's end comes when the second one works: it is nobody's any more. */
Test(launcher_events, that_come_late_change_nothing)
{
    struct world w;
    struct facts f = { 0 };
    start(&w, 0);
    world_fault(&w,
                "{\"operation\":\"PutEvents\",\"action\":\"delay\",\"delayMs\":4000,\"times\":-1,"
                "\"source\":\"aws.ecs\"}");
    auto_free char *mark = mem_printf("%s/mark", stack_state_dir(w.stack));
    auto_free char *body =
        mem_printf("{\"pattern\":\"callback\",\"retry\":{\"maxAttempts\":2,\"firstDelaySeconds\":1,"
                   "\"retryOn\":[\"*\"]},\"task\":{\"command\":[\"sh\",\"-c\","
                   "\"[ -e %s ] || { touch %s; exit 3; }; sleep 6; echo 7\"]}}",
                   mark, mark);
    auto_free char *id = world_post(&w, body);
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    cr_expect_str_eq(f.result, "7");
    cr_expect_eq(f.tasks, 2);
    size_t late = 0;
    for (int i = 0; i < 600 && late == 0; i++) {
        auto_json struct json_object *lines = world_log_lines(&w, "\"task_end_known\"");
        late = json_object_array_length(lines);
        clock_sleep_ms(clock_system(), late ? 0 : 100);
    }
    cr_expect_geq(late, 1, "the late event was handled");
    facts_release(&f);
    world_stop(&w);
}

Test(launcher_events, that_are_lost_are_made_up_for_by_the_timeouts)
{
    struct world w;
    struct facts f = { 0 };
    start(&w, 0);
    world_fault(&w, "{\"operation\":\"PutEvents\",\"action\":\"drop\",\"times\":-1}");
    auto_free char *id = world_post(
        &w, "{\"pattern\":\"callback\",\"timeoutSeconds\":6,\"retry\":{\"maxAttempts\":1},"
            "\"task\":{\"taskDefinition\":\"plain\",\"command\":[\"sh\",\"-c\",\"exit 3\"]}}");
    world_expect(&w, id, "FAILED", "Task.ExitCode", &f);
    facts_release(&f);
    world_stop(&w);
}

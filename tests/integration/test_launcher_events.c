/* The true reason of each end, told by ECS's own events, and no orphans, on the real programs. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "shared/aws/lambda_client.h"
#include "tests/integration/world.h"

#define PLAIN(command, more)                                                                       \
    "{\"pattern\":\"callback\",\"timeoutSeconds\":60,\"retry\":{\"maxAttempts\":1},"               \
    "\"task\":{\"taskDefinition\":\"plain\",\"command\":[\"sh\",\"-c\",\"" command "\"]}" more "}"
#define SOON_MS 15000 /* for what takes a second or two */

static void start(struct world *w, int execution_timeout_s)
{
    static const char *const env[] = { "EVENTS_DELAY_SECONDS=0", "LOG_GROUP=/jobs",
                                       "LOG_STREAM_PREFIX=ecs", NULL };
    const struct stack_options o = { .events = true,
                                     .launcher_env = env,
                                     .execution_timeout_s = execution_timeout_s };
    world_start(w, &o);
}

Test(launcher_events, each_end_has_its_type_and_leaves_nothing_running)
{
    static const struct {
        const char *outcome; /* ordered from local-aws, or NULL */
        const char *body;
        const char *type;
    } cases[] = {
        { NULL, PLAIN("exit 3", ""), "Task.ExitCode" },
        { NULL, PLAIN("kill -SEGV $$", ""), "Task.Signal" },
        { NULL, PLAIN("true", ""), "Task.NoReport" },
        { "image-pull", PLAIN("sleep 60", ""), "Task.ImagePull" },
        { "spot", PLAIN("sleep 60", ""), "Task.SpotInterruption" },
        { "out-of-memory", PLAIN("sleep 60", ""), "Task.OutOfMemory" },
        { "no-container", PLAIN("sleep 60", ""), "Task.SpotInterruption" },
        { "stopped-by-user", PLAIN("sleep 60", ""), "Task.StoppedByUser" },
        { "never-starts", PLAIN("sleep 60", ",\"startTimeoutSeconds\":1"), "Task.StartTimeout" },
        { "no-capacity", PLAIN("sleep 60", ",\"startTimeoutSeconds\":1"), "Task.Capacity" },
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
        cr_expect_lt(f.took_ms, SOON_MS, "case %zu took %d ms", i, (int)f.took_ms);
        facts_release(&f);
        world_fault(&w, NULL);
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

Test(launcher_events, that_are_lost_are_made_up_for_by_the_timeouts)
{
    struct world w;
    struct facts f = { 0 };
    start(&w, 0);
    world_fault(&w, "{\"operation\":\"PutEvents\",\"action\":\"drop\",\"times\":-1}");
    auto_free char *id = world_post(
        &w, "{\"pattern\":\"callback\",\"timeoutSeconds\":2,\"retry\":{\"maxAttempts\":1},"
            "\"task\":{\"taskDefinition\":\"plain\",\"command\":[\"sh\",\"-c\",\"exit 3\"]}}");
    world_expect(&w, id, "FAILED", "Task.ExitCode", &f);
    facts_release(&f);
    world_stop(&w);
}

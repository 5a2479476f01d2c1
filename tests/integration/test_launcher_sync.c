/* Pattern sync on the real programs: exit code and stop code decide, whatever is lost. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/world.h"

#define SYNC(command, more)                                                                        \
    "{\"pattern\":\"sync\",\"timeoutSeconds\":60,\"retry\":{\"maxAttempts\":1},\"task\":{"         \
    "\"taskDefinition\":\"plain\",\"command\":[\"sh\",\"-c\",\"" command "\"]}" more "}"

/* Ends as it should, with one task that has stopped, and its error has the task's words. */
static void expect(struct world *w, const char *body, const char *status, const char *type,
                   const char *reason)
{
    struct facts f = { 0 };
    auto_free char *id = world_post(w, body);
    world_expect(w, id, status, type, &f);
    cr_expect_eq(f.tasks, 1, "%s: %d tasks", body, f.tasks);
    if (reason)
        cr_expect(f.reason && strstr(f.reason, reason), "%s: %s", body, f.reason);
    world_no_task_runs(w);
    facts_release(&f);
}

Test(launcher_sync, gives_each_end_its_type)
{
    static const struct {
        const char *outcome; /* ordered from local-aws, or NULL */
        const char *body;
        const char *type; /* NULL: it succeeds */
        const char *reason;
    } cases[] = {
        { NULL, SYNC("exit 0", ""), NULL, NULL },
        { NULL, SYNC("exit 3", ""), "Task.ExitCode", "exit code 3" },
        { NULL, SYNC("kill -SEGV $$", ""), "Task.Signal", "SIGSEGV" },
        { "image-pull", SYNC("sleep 60", ""), "Task.ImagePull", "CannotPullContainerError" },
        { "spot", SYNC("sleep 60", ""), "Task.SpotInterruption", "capacity back" },
        { "out-of-memory", SYNC("sleep 60", ""), "Task.OutOfMemory", "more memory than it may" },
        { "no-container", SYNC("sleep 60", ""), "Task.SpotInterruption", "capacity back" },
        { "stopped-by-user", SYNC("sleep 60", ""), "Task.StoppedByUser", "from outside" },
        { "never-starts", SYNC("sleep 60", ",\"startTimeoutSeconds\":1"), "Task.StartTimeout",
          "startTimeoutSeconds" },
    };
    struct world w;
    world_start(&w, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *fault =
            mem_printf("{\"operation\":\"RunTask\",\"action\":\"task\",\"outcome\":\"%s\","
                       "\"delayMs\":100,\"times\":-1}",
                       cases[i].outcome);
        if (cases[i].outcome)
            world_fault(&w, fault);
        expect(&w, cases[i].body, cases[i].type ? "FAILED" : "SUCCEEDED", cases[i].type,
               cases[i].reason);
        world_fault(&w, NULL);
    }
    world_stop(&w);
}

Test(launcher_sync, stops_a_task_that_takes_too_long)
{
    struct world w;
    world_start(&w, NULL);
    expect(&w,
           "{\"pattern\":\"sync\",\"timeoutSeconds\":2,\"task\":{\"taskDefinition\":\"plain\","
           "\"command\":[\"sleep\",\"60\"]}}",
           "FAILED", "Task.Timeout", "timeoutSeconds");
    world_stop(&w);
}

/* The same input twice is two workflows with a task each; the sample's own token of its input would
 * make them one. */
Test(launcher_sync, takes_the_samples_input_and_starts_a_task_for_each)
{
    static const char body[] = "{\"pattern\":\"sync\",\"message\":\"Hi\",\"processingTime\":1}";
    struct world w;
    struct facts one = { 0 }, two = { 0 };
    world_start(&w, NULL);
    auto_free char *first = world_post(&w, body);
    auto_free char *second = world_post(&w, body);
    cr_assert_str_neq(first, second);
    world_expect(&w, first, "SUCCEEDED", NULL, &one);
    world_expect(&w, second, "SUCCEEDED", NULL, &two);
    cr_expect_eq(one.tasks, 1);
    cr_expect_eq(two.tasks, 1);
    cr_expect_str_neq(one.result, two.result, "their tasks are two");
    const char *parts[] = { "\"statusCode\":200", "Processed: Hi", "processingTime", "taskArn" };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        cr_expect(strstr(one.result, parts[i]), "no %s in %s", parts[i], one.result);
    facts_release(&one);
    facts_release(&two);
    world_stop(&w);
}

Test(launcher_sync, is_stopped_with_its_task)
{
    struct world w;
    struct error err = { 0 };
    auto_answer struct api_answer a = { 0 };
    world_start(&w, NULL);
    auto_free char *id = world_post(&w, SYNC("exec sleep 60", ""));
    auto_free char *path = mem_printf("/workflows/%s", id);
    int pid = world_task_pid(&w, id);
    cr_assert_eq(api_send(w.api, "DELETE", path, NULL, NULL, &a, &err), 0, "%s", err.msg);
    cr_assert_eq(a.status, 200, "%s", a.text);
    cr_expect_str_eq(json_get_str(a.json, "status"), "STOPPED");
    world_gone(pid);
    world_stop(&w);
}

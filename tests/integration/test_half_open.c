/* A connection on which no answer comes any more, and that is not closed either: as after a NAT
 * gateway has forgotten it, or the other machine has gone. What was asked on it is asked again on
 * another one, in time for the work to be done in the same invocation. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/integration/cutter.h"
#include "tests/integration/world.h"

#define FUNCTION_S 10 /* time limit of the function: a call may not take it all */

struct silence {
    const char *word; /* of the request that gets no answer */
    int skip;
    const char *script;
    const char *status;
    const char *type;
    int invocations; /* at most: as where nothing is lost; fewer where the job is quick */
};

static void post_and_expect(struct world *w, struct cutter *c, const struct silence *s)
{
    struct facts f = { 0 };
    struct history_facts history;
    cutter_mute(c, s->word, s->skip);
    auto_free char *body = mem_printf("{\"pattern\":\"callback\",\"retry\":{\"maxAttempts\":1},"
                                      "\"task\":{\"command\":[\"sh\",\"-c\",\"%s\"]}}",
                                      s->script);
    auto_free char *id = world_post(w, body);
    world_expect(w, id, s->status, s->type, &f);
    world_history(w, id, &history);
    cr_expect(cutter_muted(c), "%s: was not asked", s->word);
    cr_expect_leq(history.invocations, s->invocations, "%s: %d invocations", s->word,
                  history.invocations);
    cr_expect_eq(f.tasks, 1, "%s: %d tasks", s->word, f.tasks);
    world_no_task_runs(w);
    facts_release(&f);
}

/* Lambda and ECS are reached through the proxy. */
static void silent_aws(const struct silence *s)
{
    struct world w;
    int port = program_free_port(), target = program_free_port();
    auto_free char *lambda = mem_printf("AWS_ENDPOINT_URL_LAMBDA=http://127.0.0.1:%d", port);
    auto_free char *ecs = mem_printf("AWS_ENDPOINT_URL_ECS=http://127.0.0.1:%d", port);
    const char *env[] = { lambda, ecs, NULL };
    const struct stack_options options = { .aws_port = target,
                                           .launcher_env = env,
                                           .launcher_timeout_s = FUNCTION_S };
    struct cutter *c = cutter_start(port, target);
    world_start(&w, &options);
    post_and_expect(&w, c, s);
    world_stop(&w);
    cutter_stop(c);
}

Test(half_open, a_checkpoint_is_sent_again)
{
    silent_aws(&(struct silence){ .word = "/checkpoint",
                                  .skip = 1,
                                  .script = "true",
                                  .status = "SUCCEEDED",
                                  .invocations = 2 });
}

Test(half_open, a_task_is_started_once)
{
    silent_aws(&(struct silence){
        .word = ".RunTask", .script = "sleep 9", .status = "SUCCEEDED", .invocations = 2 });
}

/* On the connection of RunTask, which was kept since. */
Test(half_open, a_task_is_described)
{
    silent_aws(&(struct silence){ .word = ".DescribeTasks",
                                  .script = "exit 3",
                                  .status = "FAILED",
                                  .type = "Task.ExitCode",
                                  .invocations = 2 });
}

Test(half_open, a_workflow_is_posted)
{
    silent_aws(&(struct silence){
        .word = "/invocations", .script = "true", .status = "SUCCEEDED", .invocations = 2 });
}

Test(half_open, a_job_is_registered)
{
    struct world w;
    int port = program_free_port(), target = program_free_port();
    auto_free char *receiver = mem_printf("RECEIVER_URL=http://127.0.0.1:%d", port);
    const char *env[] = { receiver, NULL };
    const struct stack_options options = { .callbacks_port = target,
                                           .launcher_env = env,
                                           .launcher_timeout_s = FUNCTION_S };
    struct cutter *c = cutter_start(port, target);
    world_start(&w, &options);
    post_and_expect(
        &w, c,
        &(struct silence){
            .word = "PUT /v1", .script = "true", .status = "SUCCEEDED", .invocations = 2 });
    world_stop(&w);
    cutter_stop(c);
}

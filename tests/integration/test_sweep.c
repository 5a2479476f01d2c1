/* Every boundary once, on the real programs: the launcher killed before and after each checkpoint,
 * the answer of each call of ECS, Lambda and the receiver lost. One after the other, until a run
 * goes by untouched; whatever was lost, the job runs once, and the workflow ends as it should. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/cutter.h"
#include "tests/integration/world.h"

#define SWEEP_MAX 40 /* no flow has so many calls of one operation */
#define METERED_MAX                                                                                \
    12 /* operations of an attempt that Lambda counts, retries included; of 3,000                  \
        */

/* A job that leaves a mark for each time that it runs. */
struct flow {
    const char *more;   /* members of the workflow */
    const char *script; /* after its mark, the number of which is $n */
    const char *status;
    const char *type;   /* of the error, or NULL */
    const char *result; /* or NULL */
    int runs;           /* of the job, each in a task of its own */
};

#define ONCE  "\"timeoutSeconds\":60,\"retry\":{\"maxAttempts\":1}"
#define TWICE "\"retry\":{\"maxAttempts\":2,\"firstDelaySeconds\":1,\"retryOn\":[\"*\"]}"

static const struct flow GOOD = {
    .more = "\"pattern\":\"callback\"," ONCE,
    .script = "echo '{\\\"n\\\":7}'",
    .status = "SUCCEEDED",
    .result = "{\"n\":7}",
    .runs = 1,
};
static const struct flow BAD = {
    .more = "\"pattern\":\"callback\"," ONCE,
    .script = "exit 3",
    .status = "FAILED",
    .type = "Task.ExitCode",
    .runs = 1,
};
static const struct flow SILENT = {
    .more = "\"pattern\":\"callback\",\"timeoutSeconds\":5",
    .script = "sleep 60",
    .status = "FAILED",
    .type = "Task.Timeout",
    .runs = 1,
};
static const struct flow AGAIN = {
    .more = "\"pattern\":\"callback\"," TWICE,
    .script = "[ $n = 2 ] || exit 3; echo $n",
    .status = "SUCCEEDED",
    .result = "2",
    .runs = 2,
};
static const struct flow SYNC = {
    .more = "\"pattern\":\"sync\"," ONCE,
    .script = "exit 0",
    .status = "SUCCEEDED",
    .runs = 1,
};
static const struct flow SYNC_BAD = {
    .more = "\"pattern\":\"sync\"," ONCE,
    .script = "exit 3",
    .status = "FAILED",
    .type = "Task.ExitCode",
    .runs = 1,
};
static const struct flow SYNC_LONG = {
    .more = "\"pattern\":\"sync\",\"timeoutSeconds\":5",
    .script = "sleep 60",
    .status = "FAILED",
    .type = "Task.Timeout",
    .runs = 1,
};
static const struct flow BATCH = {
    .more = "\"pattern\":\"batch\",\"toleratedFailures\":1,"
            "\"tasks\":[{},{\"environment\":{\"BAD\":\"1\"}}]",
    .script = "[ -z $BAD ]",
    .status = "SUCCEEDED",
    .runs = 2,
};

static size_t count_lines(const char *path)
{
    size_t n = 0;
    FILE *f = fopen(path, "r");
    for (int ch; f && (ch = fgetc(f)) != EOF;)
        n += ch == '\n';
    if (f)
        fclose(f);
    return n;
}

/* One run of a flow in a world of its own. */
struct run {
    struct world world;
    char *marks;
    char *id;
};

static void begin(struct run *r, const struct flow *flow, int n)
{
    r->marks = mem_printf("%s/marks-%d", stack_state_dir(r->world.stack), n);
    unlink(r->marks);
    auto_free char *body = mem_printf(
        "{%s,\"task\":{\"command\":[\"sh\",\"-c\",\"echo x >>%s; n=$(wc -l <%s); %s\"]}}",
        flow->more, r->marks, r->marks, flow->script);
    r->id = world_post(&r->world, body);
}

static void end_of_job(struct run *r, const struct flow *flow, const char *what, int n)
{
    struct facts f = { 0 };
    struct history_facts history;
    world_expect(&r->world, r->id, flow->status, flow->type, &f);
    world_history(&r->world, r->id, &history);
    int ran = (int)count_lines(r->marks);
    cr_assert_eq(ran, flow->runs, "%s, %d: the job ran %d times", what, n, ran);
    cr_assert_eq(f.tasks, flow->runs, "%s, %d: %d tasks", what, n, f.tasks);
    if (flow->result)
        cr_assert_str_eq(f.result, flow->result, "%s, %d", what, n);
    cr_assert_leq(history.metered, METERED_MAX * flow->runs, "%s, %d: %d operations", what, n,
                  history.metered);
    world_no_task_runs(&r->world);
    facts_release(&f);
    free(MOVE(r->marks));
    free(MOVE(r->id));
}

/* Runs at the same time: most of a run is waiting. */
#define TEAM 3

static void team_start(struct run team[TEAM])
{
    for (int k = 0; k < TEAM; k++)
        world_start(&team[k].world, NULL);
}

static void team_stop(struct run team[TEAM])
{
    for (int k = 0; k < TEAM; k++)
        world_stop(&team[k].world);
}

/* `fault`: the members of a fault but its skip. Returns how many runs were touched. */
static int sweep(struct run team[TEAM], const struct flow *flow, const char *fault)
{
    for (int n = 0; n < SWEEP_MAX; n += TEAM) {
        int untouched = TEAM;
        for (int k = 0; k < TEAM; k++) {
            auto_free char *json = mem_printf("{%s,\"times\":1,\"skip\":%d}", fault, n + k);
            world_fault(&team[k].world, json);
            begin(&team[k], flow, n + k);
        }
        for (int k = 0; k < TEAM; k++) {
            end_of_job(&team[k], flow, fault, n + k);
            if (world_faults_left(&team[k].world) > 0 && k < untouched)
                untouched = k;
            world_fault(&team[k].world, NULL);
        }
        if (untouched < TEAM)
            return n + untouched;
    }
    cr_assert_fail("%s: no end", fault);
    return 0;
}

static void kill_sweep(const struct flow *flow, const char *when, int least)
{
    struct run team[TEAM];
    auto_free char *fault =
        mem_printf("\"operation\":\"CheckpointDurableExecution\",\"action\":"
                   "\"kill-function\",\"function\":\"launcher\",\"when\":\"%s\"",
                   when);
    team_start(team);
    int touched = sweep(team, flow, fault);
    cr_assert_geq(touched, least, "%d checkpoints", touched);
    team_stop(team);
}

Test(sweep, the_launcher_dies_before_each_checkpoint)
{
    kill_sweep(&GOOD, "before", 3);
}

Test(sweep, the_launcher_dies_after_each_checkpoint)
{
    kill_sweep(&GOOD, "after", 3);
}

Test(sweep, the_launcher_dies_before_each_checkpoint_of_a_failed_job)
{
    kill_sweep(&BAD, "before", 5);
}

Test(sweep, the_launcher_dies_after_each_checkpoint_of_a_failed_job)
{
    kill_sweep(&BAD, "after", 5);
}

Test(sweep, the_launcher_dies_before_each_checkpoint_of_two_attempts)
{
    kill_sweep(&AGAIN, "before", 9);
}

Test(sweep, the_launcher_dies_after_each_checkpoint_of_two_attempts)
{
    kill_sweep(&AGAIN, "after", 9);
}

Test(sweep, the_launcher_dies_before_each_checkpoint_of_sync)
{
    kill_sweep(&SYNC, "before", 4);
}

Test(sweep, the_launcher_dies_after_each_checkpoint_of_sync)
{
    kill_sweep(&SYNC, "after", 4);
}

Test(sweep, the_launcher_dies_after_each_checkpoint_of_sync_that_takes_too_long)
{
    kill_sweep(&SYNC_LONG, "after", 5);
}

Test(sweep, the_launcher_dies_before_each_checkpoint_of_a_batch)
{
    kill_sweep(&BATCH, "before", 8);
}

Test(sweep, the_launcher_dies_after_each_checkpoint_of_a_batch)
{
    kill_sweep(&BATCH, "after", 8);
}

static void answers(const struct flow *flow, const char *const *operations)
{
    struct run team[TEAM];
    team_start(team);
    for (; *operations; operations++) {
        auto_free char *fault = mem_printf("\"operation\":\"%s\",\"action\":\"drop\"", *operations);
        cr_assert_geq(sweep(team, flow, fault), 1, "%s is not called", *operations);
    }
    team_stop(team);
}

Test(sweep, each_answer_of_Lambda_and_ECS_is_lost)
{
    static const char *const operations[] = {
        "RunTask", "CheckpointDurableExecution", "SendDurableExecutionCallbackSuccess",
        "Invoke",  "GetDurableExecution",        NULL
    };
    answers(&GOOD, operations);
}

Test(sweep, each_answer_of_Lambda_and_ECS_to_a_failed_job_is_lost)
{
    static const char *const operations[] = { "RunTask", "DescribeTasks",
                                              "CheckpointDurableExecution",
                                              "SendDurableExecutionCallbackFailure", NULL };
    answers(&BAD, operations);
}

Test(sweep, each_answer_of_ECS_to_a_job_that_says_nothing_is_lost)
{
    static const char *const operations[] = { "DescribeTasks", "StopTask", NULL };
    answers(&SILENT, operations);
}

Test(sweep, each_answer_of_Lambda_and_ECS_to_sync_is_lost)
{
    static const char *const operations[] = { "RunTask", "DescribeTasks",
                                              "CheckpointDurableExecution", NULL };
    answers(&SYNC_BAD, operations);
}

Test(sweep, each_answer_of_ECS_to_sync_that_takes_too_long_is_lost)
{
    static const char *const operations[] = { "StopTask", NULL };
    answers(&SYNC_LONG, operations);
}

Test(sweep, each_answer_of_ECS_to_two_attempts_is_lost)
{
    static const char *const operations[] = { "RunTask", "DescribeTasks", NULL };
    answers(&AGAIN, operations);
}

/* Tasks are listed where a start is repeated: all answers of the first attempt are lost. */
Test(sweep, each_answer_of_ListTasks_is_lost)
{
    struct run team[TEAM];
    team_start(team);
    for (int n = 0; n < SWEEP_MAX; n += TEAM) {
        int untouched = 0;
        for (int k = 0; k < TEAM; k++) {
            auto_free char *json = mem_printf("{\"operation\":\"ListTasks\",\"action\":\"drop\","
                                              "\"times\":1,\"skip\":%d}",
                                              n + k);
            world_fault(&team[k].world,
                        "{\"operation\":\"RunTask\",\"action\":\"drop\",\"times\":3}");
            world_fault(&team[k].world, json);
            begin(&team[k], &GOOD, n + k);
        }
        for (int k = 0; k < TEAM; k++) {
            end_of_job(&team[k], &GOOD, "ListTasks", n + k);
            untouched += world_faults_left(&team[k].world) > 0;
            world_fault(&team[k].world, NULL);
        }
        cr_assert(n > 0 || untouched < TEAM, "tasks are not listed");
        if (untouched == TEAM)
            break;
    }
    team_stop(team);
}

/* Launcher and container talk to the receiver through a proxy. */
static void receiver_answers(const struct flow *flow, int least)
{
    struct run r;
    int port = program_free_port(), target = program_free_port(), n = 0;
    auto_free char *receiver = mem_printf("RECEIVER_URL=http://127.0.0.1:%d", port);
    auto_free char *base = mem_printf("CALLBACK_BASE_URL=http://127.0.0.1:%d", port);
    const char *env[] = { receiver, base, NULL };
    const struct stack_options options = { .callbacks_port = target, .launcher_env = env };
    struct cutter *cutter = cutter_start(port, target);
    world_start(&r.world, &options);
    for (;; n++) {
        cr_assert_lt(n, SWEEP_MAX);
        cutter_order(cutter, n);
        begin(&r, flow, n);
        end_of_job(&r, flow, "receiver", n);
        bool untouched = !cutter_done(cutter);
        cutter_order(cutter, -1);
        if (untouched)
            break;
    }
    cr_assert_geq(n, least, "%d answers", n);
    world_stop(&r.world);
    cutter_stop(cutter);
}

Test(sweep, each_answer_of_the_receiver_is_lost)
{
    receiver_answers(&GOOD, 3);
}

Test(sweep, each_answer_of_the_receiver_to_a_failed_job_is_lost)
{
    receiver_answers(&BAD, 4);
}

/* Asked for a held report, closed, asked once more. */
Test(sweep, each_answer_of_the_receiver_to_a_job_that_says_nothing_is_lost)
{
    receiver_answers(&SILENT, 4);
}

Test(sweep, each_answer_of_the_receiver_to_two_attempts_is_lost)
{
    receiver_answers(&AGAIN, 7);
}

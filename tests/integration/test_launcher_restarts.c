/* local-aws (and with it every function) killed again and again while workflows of every kind are
 * on their way: each ends as it should, and no job runs twice. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/opts.h"
#include "tests/integration/world.h"

#define EACH        4  /* workflows of a kind */
#define KILLS       12 /* or what the variable KILLS says */
#define PAUSE_MAX   700
#define METERED_MAX 30

static const struct kind {
    const char *more;
    const char *script; /* after its mark, the number of which is $n */
    const char *status;
    const char *type;
    int runs;
} kinds[] = {
    { "\"pattern\":\"callback\"", "sleep 1; echo 7", "SUCCEEDED", NULL, 1 },
    { "\"pattern\":\"callback\"", "sleep 2; exit 3", "FAILED", "Task.ExitCode", 1 },
    { "\"pattern\":\"sync\"", "sleep 1", "SUCCEEDED", NULL, 1 },
    { "\"pattern\":\"sync\"", "sleep 1; exit 4", "FAILED", "Task.ExitCode", 1 },
    { "\"pattern\":\"callback\",\"timeoutSeconds\":3", "sleep 300", "FAILED", "Task.Timeout", 1 },
    { "\"pattern\":\"callback\",\"retry\":{\"maxAttempts\":2,\"firstDelaySeconds\":1,"
      "\"retryOn\":[\"*\"]}",
      "[ $n = 2 ] || exit 3; echo 2", "SUCCEEDED", NULL, 2 },
};

struct job {
    const struct kind *kind;
    char *id;
    char *marks;
};

static void begin(struct world *w, struct job *job, size_t n)
{
    job->marks = mem_printf("%s/marks-%zu", stack_state_dir(w->stack), n);
    auto_free char *body = mem_printf(
        "{%s,\"task\":{\"command\":[\"sh\",\"-c\",\"echo x >>%s; n=$(wc -l <%s); %s\"]}}",
        job->kind->more, job->marks, job->marks, job->kind->script);
    job->id = world_post(w, body);
}

static int count_lines(const char *path)
{
    int n = 0;
    FILE *f = fopen(path, "r");
    for (int ch; f && (ch = fgetc(f)) != EOF;)
        n += ch == '\n';
    if (f)
        fclose(f);
    return n;
}

static void end_of_job(struct world *w, struct job *job)
{
    struct facts f = { 0 };
    struct history_facts history;
    world_expect(w, job->id, job->kind->status, job->kind->type, &f);
    world_history(w, job->id, &history);
    cr_expect_eq(count_lines(job->marks), job->kind->runs, "%s: it ran %d times", job->kind->script,
                 count_lines(job->marks));
    cr_expect_eq(f.tasks, job->kind->runs, "%s: %d tasks", job->kind->script, f.tasks);
    cr_expect_leq(history.metered, METERED_MAX, "%s: %d operations", job->kind->script,
                  history.metered);
    facts_release(&f);
    free(job->id);
    free(job->marks);
}

static int64_t kills(void)
{
    int64_t n = KILLS;
    const char *text = getenv("KILLS");
    if (text && *text)
        cr_assert_eq(opts_int(text, 1, 10000, &n), 0, "KILLS: 1 to 10000");
    return n;
}

Test(restarts, of_local_aws_at_any_moment_lose_nothing_and_run_nothing_twice)
{
    struct world w;
    struct error err = { 0 };
    struct job jobs[ARRAY_LEN(kinds) * EACH];
    const struct stack_options o = { .events = true };
    unsigned seed = (unsigned)clock_wall_ms(clock_system());
    world_start(&w, &o);
    fprintf(stderr, "seed %u\n", seed);
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        jobs[i] = (struct job){ .kind = &kinds[i % ARRAY_LEN(kinds)] };
        begin(&w, &jobs[i], i);
    }
    for (int64_t k = kills(); k > 0; k--) {
        clock_sleep_ms(clock_system(), rand_r(&seed) % PAUSE_MAX);
        stack_kill(w.stack, STACK_LOCAL_AWS);
        cr_assert_eq(stack_revive(w.stack, STACK_LOCAL_AWS, &err), 0, "%s", err.msg);
    }
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
        end_of_job(&w, &jobs[i]);
    world_no_task_runs(&w);
    world_stop(&w);
}

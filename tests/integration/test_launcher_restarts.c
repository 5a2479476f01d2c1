/* local-aws (and with it every function) killed again and again while workflows of every kind are
 * on their way: each ends as it should, and no job runs twice. */
#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "local/stack/folder.h"
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
    { "\"pattern\":\"callback\",\"timeoutSeconds\":15", "sleep 300", "FAILED", "Task.Timeout", 1 },
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

/* A stack whose state and ports are the same each time. */
struct home {
    char *folder;
    struct stack_options options;
};

static void home_new(struct home *h)
{
    struct error err = { 0 };
    h->folder = folder_new("lambda-ecs-durable", &err);
    cr_assert_not_null(h->folder, "%s", err.msg);
    h->options = (struct stack_options){
        .state_dir = h->folder,
        .http_port = program_free_port(),
        .callbacks_port = program_free_port(),
        .ops_port = program_free_port(),
        .aws_port = program_free_port(),
        .events = true,
    };
}

static void home_free(struct home *h)
{
    struct error err = { 0 };
    cr_expect_eq(folder_remove(h->folder, &err), 0, "%s", err.msg);
    free(h->folder);
}

/* A job that works for long in its first task, and not at all in its next. */
static char *post_twice(struct world *w, const char *folder, const char *pattern,
                        const char *definition)
{
    auto_free char *body = mem_printf(
        "{\"pattern\":\"%s\",\"task\":{\"taskDefinition\":\"%s\",\"command\":[\"sh\",\"-c\","
        "\"m=%s/ran-%s; [ -e $m ] || { touch $m; sleep 600; }; echo 7\"]}}",
        pattern, definition, folder, definition);
    return world_post(w, body);
}

static void has_begun(const char *folder, const char *definition)
{
    auto_free char *mark = mem_printf("%s/ran-%s", folder, definition);
    int64_t until_ms = clock_mono_ms(clock_system()) + 60000;
    while (access(mark, F_OK) != 0) {
        cr_assert_lt(clock_mono_ms(clock_system()), until_ms, "%s does not run", definition);
        clock_sleep_ms(clock_system(), 20);
    }
}

/* A stack that is stopped ends its tasks, as a host does that is switched off: by policy the jobs
 * are tried again when it runs again, each once. */
Test(restarts, of_everything_go_on_where_it_was)
{
    struct home h;
    struct world w;
    struct facts f = { 0 };
    home_new(&h);
    world_start(&w, &h.options);
    auto_free char *id = post_twice(&w, h.folder, "callback", "job");
    auto_free char *sync = post_twice(&w, h.folder, "sync", "plain");
    has_begun(h.folder, "job");
    has_begun(h.folder, "plain");
    world_stop(&w);
    world_start(&w, &h.options);
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    cr_expect_str_eq(f.result, "7");
    cr_expect_eq(f.tasks, 2, "%d tasks", f.tasks);
    facts_release(&f);
    world_expect(&w, sync, "SUCCEEDED", NULL, &f);
    cr_expect_eq(f.tasks, 2, "%d tasks", f.tasks);
    facts_release(&f);
    world_stop(&w);
    home_free(&h);
}

/* The state of an older version is refused with a word on what to do, and is left as it is. */
Test(restarts, on_the_state_of_another_version_are_refused)
{
    struct home h;
    struct world w;
    sqlite3 *db = NULL;
    home_new(&h);
    world_start(&w, &h.options);
    world_stop(&w);
    auto_free char *path = mem_printf("%s/local-aws.db", h.folder);
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, "UPDATE schemas SET version = 999 WHERE module = 'lambda'", NULL,
                              NULL, NULL),
                 SQLITE_OK);
    sqlite3_close(db);
    for (int i = 0; i < 2; i++) {
        struct error err = { 0 };
        h.options.bin_dir = getenv("BIN_DIR") ? getenv("BIN_DIR") : "build/bin";
        cr_assert_null(stack_start(&h.options, &err));
        cr_expect(strstr(err.msg, "version 999") && strstr(err.msg, "empty folder"), "%s", err.msg);
    }
    home_free(&h);
}

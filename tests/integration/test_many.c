/* Many workflows at once: MANY of them (150, or what the variable MANY says)
 * are posted, all their containers run at the same time, then all report. Each ends, and none runs
 * its job twice. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/opts.h"
#include "tests/integration/world.h"

#define MANY        150
#define ALL_MS      300000
#define PAUSE_MS    100
#define METERED_MAX 12

static size_t many(void)
{
    int64_t n = MANY;
    const char *text = getenv("MANY");
    if (text && *text)
        cr_assert_eq(opts_int(text, 1, 5000, &n), 0, "MANY: 1 to 5000");
    return (size_t)n;
}

/* Every line of the file must be a number of its own below `count`; returns how many there are. */
static size_t read_marks(const char *path, size_t count)
{
    auto_free bool *seen = mem_array(count, sizeof(*seen));
    char line[32];
    size_t lines = 0;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f)) {
        int64_t n = -1;
        line[strcspn(line, "\n")] = '\0';
        cr_assert_eq(opts_int(line, 0, (int64_t)count - 1, &n), 0, "%s", line);
        cr_assert_not(seen[n], "job %lld ran twice", (long long)n);
        seen[n] = true;
        lines++;
    }
    if (f)
        fclose(f);
    return lines;
}

static void wait_for_marks(const char *path, size_t count)
{
    int64_t until = clock_mono_ms(clock_system()) + ALL_MS;
    while (read_marks(path, count) < count) {
        cr_assert_lt(clock_mono_ms(clock_system()), until, "%zu of %zu jobs run",
                     read_marks(path, count), count);
        clock_sleep_ms(clock_system(), PAUSE_MS);
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* As many tasks as workflows, each started by another one. */
static void check_tasks(struct world *w, size_t count)
{
    struct error err = { 0 };
    auto_answer struct api_answer a = { 0 };
    cr_assert_eq(api_send(w->local, "GET", "/_local/tasks", NULL, NULL, &a, &err), 0, "%s",
                 err.msg);
    struct json_object *tasks = json_get_arr(a.json, "tasks");
    cr_assert_eq(json_object_array_length(tasks), count);
    auto_free const char **by = mem_array(count, sizeof(*by));
    for (size_t i = 0; i < count; i++)
        by[i] = json_get_str(json_object_array_get_idx(tasks, i), "startedBy");
    qsort(by, count, sizeof(*by), compare);
    for (size_t i = 1; i < count; i++)
        cr_assert_str_neq(by[i - 1], by[i], "two tasks of one workflow");
}

static void check_end(struct world *w, const char *id, size_t i)
{
    struct history_facts history;
    auto_json struct json_object *ended = world_end(w, id);
    auto_free char *result = mem_printf("%zu", i);
    cr_assert_str_eq(json_get_str(ended, "status"), "SUCCEEDED", "%s", json_text(ended, NULL));
    cr_assert_str_eq(json_text(json_get(ended, "result"), NULL), result);
    world_history(w, id, &history);
    cr_assert_leq(history.metered, METERED_MAX, "%s: %d operations", id, history.metered);
}

static int64_t lap(int64_t *since_ms)
{
    int64_t now_ms = clock_mono_ms(clock_system()), took_ms = now_ms - *since_ms;
    *since_ms = now_ms;
    return took_ms;
}

Test(many, workflows_at_once_end_and_none_runs_twice)
{
    struct world w;
    size_t count = many();
    world_start(&w, NULL);
    auto_free char **ids = mem_array(count, sizeof(*ids));
    auto_free char *marks = mem_printf("%s/marks", stack_state_dir(w.stack));
    auto_free char *gate = mem_printf("%s/gate", stack_state_dir(w.stack));
    cr_assert_eq(mkfifo(gate, 0600), 0);
    int64_t at_ms = clock_mono_ms(clock_system());
    for (size_t i = 0; i < count; i++) {
        /* Each waits, without asking again and again, until somebody writes to the gate. */
        auto_free char *body =
            mem_printf("{\"pattern\":\"callback\",\"task\":{\"command\":[\"sh\",\"-c\","
                       "\"echo %zu >>%s; : <%s; echo %zu\"]}}",
                       i, marks, gate, i);
        ids[i] = world_post(&w, body);
    }
    int64_t posted_ms = lap(&at_ms);
    wait_for_marks(marks, count);
    int64_t started_ms = lap(&at_ms);
    int fd = open(gate, O_RDWR | O_CLOEXEC); /* both, so that it stays open */
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    for (size_t i = 0; i < count; i++)
        check_end(&w, ids[i], i);
    int64_t ended_ms = lap(&at_ms);
    close(fd);
    cr_assert_eq(read_marks(marks, count), count);
    check_tasks(&w, count);
    fprintf(stderr, "%zu workflows: posted in %lld ms, all run %lld ms later, ended in %lld ms\n",
            count, (long long)posted_ms, (long long)started_ms, (long long)ended_ms);
    for (size_t i = 0; i < count; i++)
        free(ids[i]);
    world_stop(&w);
}

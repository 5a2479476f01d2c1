/* Pattern batch on the real programs: jobs in order, failures by policy, stops that reach every
 * job, and few operations for many jobs. BATCH says how many jobs there are in the large one (60).
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/aws/lambda_client.h"
#include "shared/base/opts.h"
#include "tests/integration/world.h"

#define LARGE       60
#define LARGE_MAX   1000
#define OPERATIONS  3000 /* that an execution may have */
#define PATIENCE_MS 300000
#define SH(script)  "{\"command\":[\"sh\",\"-c\",\"" script "\"]}"

static void start(struct world *w, int execution_timeout_s)
{
    const struct stack_options o = { .events = true, .execution_timeout_s = execution_timeout_s };
    world_start(w, &o);
}

static struct json_object *job_of(struct json_object *doc, size_t i)
{
    return json_object_array_get_idx(json_get_arr(doc, "jobs"), i);
}

static int metered(struct world *w, const char *id)
{
    struct history_facts history;
    world_history(w, id, &history);
    return history.metered;
}

/* The ARNs of the executions that the batch has begun; the caller's. */
static struct json_object *children(struct world *w, const char *id)
{
    struct error err = { 0 };
    auto_free char *arn = world_arn(id);
    auto_json struct json_object *history = NULL;
    struct json_object *arns = json_object_new_array();
    cr_assert_eq(lambda_get_history(w->aws, arn, true, NULL, 1000, &history, &err), 0, "%s",
                 err.msg);
    struct json_object *events = json_get_arr(history, "Events");
    for (size_t i = 0; i < json_object_array_length(events); i++) {
        struct json_object *event = json_object_array_get_idx(events, i);
        struct json_object *details = json_get_obj(event, "ChainedInvokeStartedDetails");
        const char *child = json_get_str(details, "DurableExecutionArn");
        if (child)
            json_object_array_add(arns, json_object_new_string(child));
    }
    return arns;
}

/* Waits until `count` tasks of the stack run. */
static void wait_for_tasks(struct world *w, size_t count)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + PATIENCE_MS;
    for (;;) {
        struct error err = { 0 };
        auto_answer struct api_answer a = { 0 };
        size_t running = 0;
        cr_assert_eq(api_send(w->local, "GET", "/_local/tasks", NULL, NULL, &a, &err), 0);
        struct json_object *tasks = json_get_arr(a.json, "tasks");
        for (size_t i = 0; i < json_object_array_length(tasks); i++) {
            const char *status = json_get_str(json_object_array_get_idx(tasks, i), "lastStatus");
            running += status && strcmp(status, "RUNNING") == 0;
        }
        if (running >= count)
            return;
        cr_assert_lt(clock_mono_ms(clock_system()), until_ms, "%zu of %zu tasks run", running,
                     count);
        clock_sleep_ms(clock_system(), 50);
    }
}

/* Waits until none of the executions runs, and checks how they ended. */
static void all_stopped(struct world *w, struct json_object *arns)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + PATIENCE_MS;
    for (size_t i = 0; i < json_object_array_length(arns); i++) {
        const char *arn = json_object_get_string(json_object_array_get_idx(arns, i));
        for (;;) {
            struct error err = { 0 };
            auto_json struct json_object *e = NULL;
            cr_assert_eq(lambda_get_execution(w->aws, arn, &e, &err), 0, "%s", err.msg);
            const char *status = json_get_str(e, "Status");
            if (strcmp(status, "RUNNING") != 0)
                break;
            cr_assert_lt(clock_mono_ms(clock_system()), until_ms, "%s still runs", arn);
            clock_sleep_ms(clock_system(), 50);
        }
    }
}

/* ---- ends ------------------------------------------------------------------------------------ */

Test(launcher_batch, lists_each_job_in_order)
{
    struct world w;
    struct facts f = { 0 };
    struct error err;
    start(&w, 0);
    auto_free char *id = world_post(
        &w,
        "{\"pattern\":\"batch\",\"task\":" SH(
            "cat $CALLBACK_INPUT_FILE") ",\"tasks\":["
                                        "{\"input\":{\"n\":0}}," SH("sleep 1; echo $A$B") "," SH(
                                            "echo no such order >&2; exit 3") ","
                                                                              "{\"command\":["
                                                                              "\"sh\",\"-c\","
                                                                              "\"echo "
                                                                              "$B\"],"
                                                                              "\"environment\":{"
                                                                              "\"B\":\"3\"}},"
                                                                              "{\"input\":\"four\"}"
                                                                              "],"
                                                                              "\"toleratedFailures"
                                                                              "\":1,"
                                                                              "\"maxConcurrency\":"
                                                                              "3}");
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    auto_json struct json_object *doc = NULL;
    cr_assert_eq(json_parse_str(f.result, &doc, &err), 0);
    cr_expect_eq(json_get_int(doc, "total", -1), 5, "%s", f.result);
    cr_expect_eq(json_get_int(doc, "succeeded", -1), 4);
    cr_expect_eq(json_get_int(doc, "failed", -1), 1);
    cr_assert_eq(json_object_array_length(json_get_arr(doc, "jobs")), 5);
    static const char *const results[] = { "{\"n\":0}", "null", NULL, "3", "\"four\"" };
    for (size_t i = 0; i < 5; i++) {
        struct json_object *job = job_of(doc, i);
        cr_expect_eq(json_get_int(job, "index", -1), (int64_t)i);
        cr_expect_str_eq(json_get_str(job, "status"), results[i] ? "SUCCEEDED" : "FAILED");
        cr_expect_not_null(json_get_str(job, "workflow"));
        if (results[i])
            cr_expect_str_eq(json_text(json_get(job, "result"), NULL), results[i], "job %zu: %s", i,
                             f.result);
    }
    struct json_object *error = json_get_obj(job_of(doc, 2), "error");
    cr_expect_str_eq(json_get_str(error, "type"), "Task.ExitCode", "%s", f.result);
    cr_expect_not_null(json_get_str(json_get_obj(error, "data"), "taskArn"), "%s", f.result);
    cr_expect_leq(metered(&w, id), 12, "2 operations a job");
    world_no_task_runs(&w);
    facts_release(&f);
    world_stop(&w);
}

Test(launcher_batch, fails_with_too_many_failures_and_stops_the_rest)
{
    struct world w;
    struct facts f = { 0 };
    start(&w, 0);
    auto_free char *id =
        world_post(&w, "{\"pattern\":\"batch\",\"task\":{\"command\":[\"sleep\",\"300\"]},"
                       "\"retry\":{\"maxAttempts\":1},\"tasks\":[{}," SH(
                           "sleep 2; exit 3") ",{},{},{},{}],\"maxConcurrency\":4}");
    world_expect(&w, id, "FAILED", "Workflow.TooManyFailures", &f);
    cr_expect(strstr(f.reason, "1 of 6 jobs"), "%s", f.reason);
    auto_json struct json_object *end = world_end(&w, id);
    struct json_object *data = json_get_obj(json_get_obj(end, "error"), "data");
    cr_expect_eq(json_get_int(data, "total", -1), 6, "%s", json_text(end, NULL));
    cr_expect_eq(json_get_int(job_of(data, 0), "index", -1), 1);
    auto_json struct json_object *arns = children(&w, id);
    cr_expect_eq(json_object_array_length(arns), 4, "no other is begun");
    all_stopped(&w, arns);
    world_no_task_runs(&w);
    facts_release(&f);
    world_stop(&w);
}

Test(launcher_batch, keeps_big_results_where_they_can_be_had)
{
    struct world w;
    struct facts f = { 0 };
    struct error err;
    start(&w, 0);
    auto_free char *id = world_post(
        &w, "{\"pattern\":\"batch\",\"task\":" SH(
                "head -c $SIZE /dev/zero | tr '\\\\0' x; echo") ",\"tasks\":[{\"environment\":{"
                                                                "\"SIZE\":\"200000\"}},"
                                                                "{\"environment\":{\"SIZE\":"
                                                                "\"150000\"}},{\"environment\":{"
                                                                "\"SIZE\":\"10\"}}]}");
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    auto_json struct json_object *doc = NULL;
    cr_assert_eq(json_parse_str(f.result, &doc, &err), 0);
    cr_expect_leq(strlen(f.result), 262144);
    cr_expect_eq(json_get_int(job_of(doc, 0), "resultBytes", -1), 200002, "in quotes");
    cr_expect_null(json_get(job_of(doc, 0), "result"));
    cr_expect_eq(strlen(json_get_str(job_of(doc, 1), "result")), 150000);
    cr_expect_str_eq(json_get_str(job_of(doc, 2), "result"), "xxxxxxxxxx");
    const char *job = json_get_str(job_of(doc, 0), "workflow");
    auto_json struct json_object *whole = world_end(&w, job);
    const char *result = json_get_str(json_get_obj(whole, "result"), "result");
    cr_assert_not_null(result, "%.300s", json_text(whole, NULL));
    cr_expect_eq(strlen(result), 200000);
    facts_release(&f);
    world_stop(&w);
}

/* ---- stops ----------------------------------------------------------------------------------- */

#define FOREVER                                                                                    \
    "{\"pattern\":\"batch\",\"task\":{\"command\":[\"sleep\",\"300\"]},\"tasks\":[{},{},{},{},{}," \
    "{}],"                                                                                         \
    "\"maxConcurrency\":4}"

Test(launcher_batch, is_stopped_with_all_its_jobs)
{
    struct world w;
    struct error err = { 0 };
    auto_answer struct api_answer a = { 0 };
    start(&w, 0);
    auto_free char *id = world_post(&w, FOREVER);
    auto_free char *path = mem_printf("/workflows/%s", id);
    auto_free char *progress = mem_printf("%s?include=progress", path);
    wait_for_tasks(&w, 4);
    cr_assert_eq(api_send(w.api, "GET", progress, NULL, NULL, &a, &err), 0, "%s", err.msg);
    cr_expect_str_eq(json_text(json_get_obj(a.json, "jobs"), NULL),
                     "{\"begun\":4,\"succeeded\":0,\"failed\":0}", "%s", a.text);
    api_answer_release(&a);
    auto_json struct json_object *arns = children(&w, id);
    cr_assert_eq(api_send(w.api, "DELETE", path, NULL, NULL, &a, &err), 0, "%s", err.msg);
    cr_assert_eq(a.status, 200, "%s", a.text);
    cr_expect_str_eq(json_get_str(a.json, "status"), "STOPPED");
    all_stopped(&w, arns);
    world_no_task_runs(&w);
    world_stop(&w);
}

Test(launcher_batch, is_stopped_with_all_its_jobs_from_the_console)
{
    struct world w;
    struct error err = { 0 };
    start(&w, 0);
    auto_free char *id = world_post(&w, FOREVER);
    auto_free char *arn = world_arn(id);
    wait_for_tasks(&w, 4);
    auto_json struct json_object *arns = children(&w, id);
    cr_assert_eq(lambda_stop(w.aws, arn, NULL, NULL, &err), 0, "%s", err.msg);
    all_stopped(&w, arns);
    world_no_task_runs(&w);
    world_stop(&w);
}

Test(launcher_batch, leaves_nothing_when_its_own_time_is_over)
{
    struct world w;
    struct facts f = { 0 };
    start(&w, 8);
    auto_free char *id = world_post(&w, FOREVER);
    world_expect(&w, id, "TIMED_OUT", NULL, &f);
    auto_json struct json_object *arns = children(&w, id);
    all_stopped(&w, arns);
    world_no_task_runs(&w);
    facts_release(&f);
    world_stop(&w);
}

/* ---- pace and size --------------------------------------------------------------------------- */

Test(launcher_batch, waits_out_the_limits_of_RunTask)
{
    struct world w;
    struct facts f = { 0 };
    start(&w, 0);
    world_fault(&w, "{\"operation\":\"RunTask\",\"action\":\"error\",\"status\":400,\"code\":"
                    "\"ThrottlingException\",\"message\":\"Rate exceeded\",\"times\":12}");
    auto_free char *id = world_post(&w, "{\"pattern\":\"batch\",\"task\":{\"command\":[\"true\"]},"
                                        "\"tasks\":[{},{},{},{},{},{}]}");
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    cr_expect(strstr(f.result, "\"succeeded\":6"), "%s", f.result);
    cr_expect_eq(world_faults_left(&w), 0);
    facts_release(&f);
    world_stop(&w);
}

static size_t large(void)
{
    int64_t n = LARGE;
    const char *text = getenv("BATCH");
    if (text && *text)
        cr_assert_eq(opts_int(text, 10, LARGE_MAX, &n), 0, "BATCH: 10 to %d", LARGE_MAX);
    return (size_t)n;
}

Test(launcher_batch, of_many_jobs_ends_right_with_some_of_them_failing)
{
    struct world w;
    struct error err = { 0 };
    size_t count = large();
    start(&w, 0);
    auto_free char *marks = mem_printf("%s/marks", stack_state_dir(w.stack));
    auto_buf struct buf body = BUF_INIT(1 << 20);
    buf_printf(&body, "{\"pattern\":\"batch\",\"maxConcurrency\":50,\"toleratedFailures\":\"20%%\","
                      "\"retry\":{\"maxAttempts\":1},\"tasks\":[");
    for (size_t i = 0; i < count; i++)
        buf_printf(&body, "%s{\"command\":[\"sh\",\"-c\",\"echo %zu >>%s; exit %d\"]}",
                   i ? "," : "", i, marks, i % 10 == 7);
    buf_add_str(&body, "]}");
    auto_free char *id = world_post(&w, buf_str(&body));
    auto_json struct json_object *ended = NULL;
    cr_assert_eq(api_wait(w.api, id, 900000, &ended, &err), 0, "%s", err.msg);
    cr_assert_str_eq(json_get_str(ended, "status"), "SUCCEEDED", "%.500s", json_text(ended, NULL));
    struct json_object *doc = json_get_obj(ended, "result");
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *job = job_of(doc, i);
        bool bad = strcmp(json_get_str(job, "status"), "FAILED") == 0;
        cr_assert_eq(json_get_int(job, "index", -1), (int64_t)i);
        cr_expect_eq(bad, i % 10 == 7, "job %zu", i);
        failed += bad;
    }
    cr_expect_eq(json_get_int(doc, "failed", -1), (int64_t)failed);
    size_t ran = 0;
    FILE *f = fopen(marks, "r");
    for (int ch; f && (ch = fgetc(f)) != EOF;)
        ran += ch == '\n';
    if (f)
        fclose(f);
    cr_expect_eq(ran, count, "%zu runs of %zu jobs", ran, count);
    int operations = metered(&w, id);
    fprintf(stderr, "%zu jobs: %d metered operations\n", count, operations);
    cr_expect_leq(operations, 2 * (int)count + 10);
    cr_expect_lt(operations, OPERATIONS);
    world_no_task_runs(&w);
    world_stop(&w);
}

/* By the console, so that the handler events has all to do. */
Test(launcher_batch, of_many_jobs_that_is_stopped_in_the_middle_leaves_nothing_running)
{
    struct world w;
    struct error err = { 0 };
    size_t count = large();
    start(&w, 0);
    auto_buf struct buf body = BUF_INIT(1 << 20);
    buf_printf(&body,
               "{\"pattern\":\"batch\",\"maxConcurrency\":%zu,\"task\":"
               "{\"taskDefinition\":\"plain\",\"command\":[\"sleep\",\"3600\"]},\"tasks\":[{}",
               count / 2);
    for (size_t i = 1; i < count; i++)
        buf_add_str(&body, ",{}");
    buf_add_str(&body, "]}");
    auto_free char *id = world_post(&w, buf_str(&body));
    auto_free char *arn = world_arn(id);
    wait_for_tasks(&w, count / 4);
    cr_assert_eq(lambda_stop(w.aws, arn, NULL, NULL, &err), 0, "%s", err.msg);
    auto_json struct json_object *arns = children(&w, id);
    cr_expect_geq(json_object_array_length(arns), count / 4);
    all_stopped(&w, arns);
    world_no_task_runs(&w);
    auto_json struct json_object *end = world_end(&w, id);
    cr_expect_str_eq(json_get_str(end, "status"), "STOPPED");
    world_stop(&w);
}

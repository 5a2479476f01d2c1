#include "launcher/metrics.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/json.h"

static int64_t noon(void *arg)
{
    (void)arg;
    return 1790000000123;
}

/* What one metric wrote, parsed; the caller's. */
static struct json_object *written(const struct metrics_of *of, const char *name, int64_t ms)
{
    const struct clock clock = { .wall_ms = noon };
    struct error err;
    struct json_object *o = NULL;
    char text[8192];
    int fd[2];
    cr_assert_eq(pipe(fd), 0);
    struct metrics *m = metrics_open(fd[1], "Jobs", &clock);
    if (ms == INT64_MIN)
        metrics_count(m, name, of);
    else
        metrics_time(m, name, ms, of);
    metrics_close(m);
    close(fd[1]);
    ssize_t n = read(fd[0], text, sizeof(text) - 1);
    close(fd[0]);
    cr_assert_gt(n, 0);
    cr_expect_eq(text[n - 1], '\n');
    text[n] = '\0';
    cr_expect_eq(strchr(text, '\n'), text + n - 1, "one line");
    cr_assert_eq(json_parse_str(text, &o, &err), 0, "%s", err.msg);
    return o;
}

Test(metrics, are_lines_in_the_embedded_format)
{
    const struct metrics_of of = { .function = "launcher",
                                   .pattern = "callback",
                                   .error_type = "Task.ExitCode",
                                   .workflow = "launcher.1.n.e" };
    auto_json struct json_object *o = written(&of, "WorkflowsFailed", INT64_MIN);
    cr_expect_str_eq(
        json_text(o, NULL),
        "{\"_aws\":{\"Timestamp\":1790000000123,\"CloudWatchMetrics\":[{\"Namespace\":\"Jobs\","
        "\"Dimensions\":[[\"Function\"],[\"Function\",\"Pattern\"],"
        "[\"Function\",\"Pattern\",\"ErrorType\"]],"
        "\"Metrics\":[{\"Name\":\"WorkflowsFailed\",\"Unit\":\"Count\"}]}]},"
        "\"Function\":\"launcher\",\"Pattern\":\"callback\",\"ErrorType\":\"Task.ExitCode\","
        "\"WorkflowsFailed\":1,\"errorType\":\"Task.ExitCode\",\"workflow\":\"launcher.1.n.e\"}");
}

Test(metrics, are_bounded_in_number_whatever_jobs_call_their_failures)
{
    static const char *const types[] = { "Order.Unknown", "Task.ExitCode2", "", "x" };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        const struct metrics_of of = { .function = "f", .error_type = types[i] };
        auto_json struct json_object *o = written(&of, "WorkflowsFailed", INT64_MIN);
        cr_expect_str_eq(json_get_str(o, "ErrorType"), "Job");
        cr_expect_str_eq(json_get_str(o, "errorType"), types[i]);
    }
}

Test(metrics, tell_of_a_failure_whatever_the_length_of_its_type)
{
    char type[20000];
    memset(type, '"', sizeof(type));
    type[sizeof(type) - 1] = '\0';
    const struct metrics_of of = { .function = "launcher", .error_type = type };
    auto_json struct json_object *o = written(&of, "WorkflowsFailed", INT64_MIN);
    cr_expect_eq(json_get_int(o, "WorkflowsFailed", 0), 1);
    cr_expect_eq(strlen(json_get_str(o, "errorType")), 256);
}

Test(metrics, of_times_are_never_negative)
{
    const struct metrics_of of = { .cluster = "local", .task = "arn:task/1" };
    auto_json struct json_object *o = written(&of, "TaskStartLatency", 1500);
    auto_json struct json_object *early = written(&of, "TaskStartLatency", -3);
    cr_expect_eq(json_get_int(o, "TaskStartLatency", -1), 1500);
    cr_expect_eq(json_get_int(early, "TaskStartLatency", -1), 0);
    cr_expect_not_null(strstr(json_text(o, NULL), "\"Unit\":\"Milliseconds\""));
    cr_expect_not_null(strstr(json_text(o, NULL), "\"Dimensions\":[[\"Cluster\"]]"));
}

Test(metrics, are_not_written_where_there_is_no_namespace)
{
    const struct metrics_of of = { .function = "f" };
    struct metrics *m = metrics_open(-1, NULL, clock_system());
    cr_expect_null(m);
    metrics_count(m, "WorkflowsStarted", &of);
    metrics_close(m);
}

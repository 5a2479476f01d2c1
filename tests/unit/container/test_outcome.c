#include "container/outcome.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "shared/base/json.h"
#include "shared/base/utf8.h"

static const struct result no_result = { .state = RESULT_ABSENT };

static const struct {
    struct outcome o;
    const char *type, *message;
    int status;
} ends[] = {
    { { .end = OUTCOME_EXITED, .number = 1 }, "Task.ExitCode", "exit status 1", 1 },
    { { .end = OUTCOME_EXITED, .number = 255 }, "Task.ExitCode", "exit status 255", 255 },
    { { .end = OUTCOME_EXITED, .number = 143, .stop_signal = SIGTERM },
      "Task.ExitCode",
      "exit status 143",
      143 },
    { { .end = OUTCOME_SIGNALED, .number = SIGKILL },
      "Task.Signal",
      "killed by signal 9 (SIGKILL)",
      137 },
    { { .end = OUTCOME_SIGNALED, .number = SIGSEGV, .stop_signal = SIGTERM },
      "Task.Signal",
      "killed by signal 11 (SIGSEGV)",
      139 },
    { { .end = OUTCOME_SIGNALED, .number = SIGKILL, .stop_signal = SIGTERM },
      "Task.Signal",
      "killed by signal 9 (SIGKILL)",
      137 },
    { { .end = OUTCOME_SIGNALED, .number = SIGTERM },
      "Task.Signal",
      "killed by signal 15 (SIGTERM)",
      143 },
    { { .end = OUTCOME_SIGNALED, .number = SIGTERM, .stop_signal = SIGTERM },
      "Task.Stopped",
      "stopped: killed by signal 15 (SIGTERM)",
      143 },
    { { .end = OUTCOME_SIGNALED, .number = SIGINT, .stop_signal = SIGINT },
      "Task.Stopped",
      "stopped: killed by signal 2 (SIGINT)",
      130 },
    { { .end = OUTCOME_SIGNALED, .number = SIGKILL, .stop_signal = SIGTERM, .killed = true },
      "Task.Stopped",
      "killed by signal 9 (SIGKILL): SIGTERM did not end it in time",
      137 },
    { { .end = OUTCOME_SIGNALED, .number = SIGTERM, .timeout_s = 5 },
      "Task.Timeout",
      "stopped because it ran longer than 5 s",
      124 },
    { { .end = OUTCOME_EXITED, .number = 0, .timeout_s = 5 },
      "Task.Timeout",
      "stopped because it ran longer than 5 s",
      124 },
    { { .end = OUTCOME_SIGNALED, .number = SIGKILL, .killed = true, .timeout_s = 5 },
      "Task.Timeout",
      "stopped because it ran longer than 5 s; SIGTERM did not end it",
      124 },
    { { .end = OUTCOME_EXITED, .number = 0, .max_output = 1000 },
      "Task.OutputTooLarge",
      "stopped because it wrote more than 1000 bytes",
      153 },
    { { .end = OUTCOME_SIGNALED, .number = SIGKILL, .oom_kills = 1 },
      "Task.OutOfMemory",
      "killed by the kernel: the container has no more memory",
      137 },
    { { .end = OUTCOME_EXITED, .number = 137, .oom_kills = 2 },
      "Task.OutOfMemory",
      "exit status 137 after the kernel killed a process of the container: it has no more memory",
      137 },
    { { .end = OUTCOME_SIGNALED, .number = SIGSEGV, .oom_kills = 1 },
      "Task.Signal",
      "killed by signal 11 (SIGSEGV)",
      139 },
    { { .end = OUTCOME_SIGNALED,
        .number = SIGKILL,
        .stop_signal = SIGTERM,
        .killed = true,
        .oom_kills = 1 },
      "Task.Stopped",
      "killed by signal 9 (SIGKILL): SIGTERM did not end it in time",
      137 },
    { { .end = OUTCOME_NEVER_STARTED, .stop_signal = SIGTERM },
      "Task.Stopped",
      "stopped by SIGTERM before the command was started",
      143 },
    { { .end = OUTCOME_NOT_FOUND, .detail = "command not found: x" },
      "Task.NotFound",
      "command not found: x",
      127 },
    { { .end = OUTCOME_NOT_EXECUTABLE, .detail = "cannot execute x: Permission denied" },
      "Task.NotExecutable",
      "cannot execute x: Permission denied",
      126 },
    { { .end = OUTCOME_START_FAILED, .detail = "cannot start a process" },
      "Task.StartFailed",
      "cannot start a process",
      71 },
    { { .end = OUTCOME_NO_INPUT, .detail = "input: away" },
      "Task.InputUnavailable",
      "input: away",
      74 },
};

Test(outcome, each_end_has_its_type_message_and_exit_status)
{
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct report report = { 0 };
        auto_json struct json_object *body = NULL;
        outcome_report(&ends[i].o, &no_result, &report);
        cr_assert_eq(report.kind, REPORT_FAILURE);
        cr_assert_str_eq(report.media_type, "application/json");
        cr_assert_eq(json_parse(report.body, report.len, JSON_DEPTH, &body, NULL), 0);
        cr_assert_str_eq(json_get_str(body, "errorType"), ends[i].type, "case %zu", i);
        cr_assert_str_eq(json_get_str(body, "errorMessage"), ends[i].message, "case %zu", i);
        cr_assert_eq(outcome_exit_status(&ends[i].o), ends[i].status, "case %zu", i);
        report_release(&report);
    }
}

Test(outcome, a_failure_carries_what_helps_to_understand_it)
{
    const struct outcome o = { .end = OUTCOME_EXITED,
                               .number = 3,
                               .job = "resize",
                               .errors = "no \"disk\"\n",
                               .errors_len = 10,
                               .duration_ms = 1234,
                               .max_rss_bytes = 4096 };
    struct report report = { 0 };
    auto_json struct json_object *body = NULL;
    outcome_report(&o, &no_result, &report);
    cr_assert_eq(json_parse(report.body, report.len, JSON_DEPTH, &body, NULL), 0);
    cr_assert_str_eq(json_get_str(body, "errorData"),
                     "{\"exitCode\":3,\"stderr\":\"no \\\"disk\\\"\\n\",\"durationMs\":1234,"
                     "\"maxRssBytes\":4096,\"job\":\"resize\"}");
    report_release(&report);
}

Test(outcome, a_command_that_succeeded_without_a_killed_child_succeeded)
{
    const struct outcome o = { .end = OUTCOME_EXITED, .oom_kills = 1 };
    struct report report = { 0 };
    outcome_report(&o, &no_result, &report);
    cr_assert_eq(report.kind, REPORT_SUCCESS);
    report_release(&report);
}

Test(outcome, a_success_is_json_as_it_came_or_text)
{
    static const struct {
        const char *in;
        size_t len;
        const char *type, *body;
    } cases[] = {
        { "{ \"a\" : 1.50 }", 14, "application/json", "{ \"a\" : 1.50 }" },
        { "42", 2, "application/json", "42" },
        { "null", 4, "application/json", "null" },
        { "hello", 5, "text/plain", "hello" },
        { "{\"a\":", 5, "text/plain", "{\"a\":" },
        { "\"\\\\u0000\"", 9, "application/json", "\"\\\\u0000\"" },
        { "\"\\u0000\"", 8, "text/plain", "\"\\u0000\"" },
        { "NaN", 3, "text/plain", "NaN" },
        { "a\0b", 3, "text/plain",
          "a\xef\xbf\xbd"
          "b" },
        { "\xff\xc3\xa4", 3, "text/plain", "\xef\xbf\xbd\xc3\xa4" },
    };
    const struct outcome o = { .end = OUTCOME_EXITED };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct result result = { RESULT_PRESENT, cases[i].in, cases[i].len, cases[i].len };
        struct report report = { 0 };
        outcome_report(&o, &result, &report);
        cr_assert_eq(report.kind, REPORT_SUCCESS);
        cr_assert_str_eq(report.media_type, cases[i].type, "case %zu", i);
        cr_assert_str_eq(report.body, cases[i].body, "case %zu", i);
        cr_assert_eq(report.len, strlen(cases[i].body));
        report_release(&report);
    }
    struct report report = { 0 };
    outcome_report(&o, &no_result, &report);
    cr_assert_str_eq(report.body, "null", "no result is the JSON null");
    report_release(&report);
}

Test(outcome, a_result_that_is_too_large_is_a_failure_with_its_size)
{
    const struct outcome o = { .end = OUTCOME_EXITED };
    const struct result result = { .state = RESULT_TOO_LARGE, .size = 12345678 };
    struct report report = { 0 };
    auto_json struct json_object *body = NULL;
    outcome_report(&o, &result, &report);
    cr_assert_eq(report.kind, REPORT_FAILURE);
    cr_assert_eq(json_parse(report.body, report.len, JSON_DEPTH, &body, NULL), 0);
    cr_assert_str_eq(json_get_str(body, "errorType"), "Task.ResultTooLarge");
    cr_assert(strstr(json_get_str(body, "errorMessage"), "12345678 bytes"));
    cr_assert(strstr(json_get_str(body, "errorData"), "\"resultBytes\":12345678"));
    report_release(&report);
}

Test(outcome, a_failure_fits_whatever_was_on_stderr)
{
    /* Each of these grows differently when it is quoted twice. */
    static const char *const units[] = { "a", "\"", "\\", "\n", "\x01", "\xff", "\xc3\xa4" };
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t unit = strlen(units[i]), len = 20000 / unit * unit;
        auto_free char *text = mem_alloc(len);
        for (size_t at = 0; at < len; at += unit)
            memcpy(text + at, units[i], unit);
        const struct outcome o = {
            .end = OUTCOME_EXITED, .number = 1, .errors = text, .errors_len = len
        };
        struct report report = { 0 };
        outcome_report(&o, &no_result, &report);
        cr_assert_leq(report.len, REPORT_FAILURE_MAX, "unit %zu: %zu", i, report.len);
        cr_assert_geq(report.len, REPORT_FAILURE_MAX / 4, "as much as fits, about: %zu",
                      report.len);
        auto_json struct json_object *body = NULL, *data = NULL;
        cr_assert_eq(json_parse(report.body, report.len, JSON_DEPTH, &body, NULL), 0);
        cr_assert_eq(json_parse_str(json_get_str(body, "errorData"), &data, NULL), 0);
        const char *kept = json_get_str(data, "stderr");
        cr_assert(utf8_valid(kept, strlen(kept)));
        if (unit == 2)
            cr_assert_null(strstr(kept, "\xef\xbf\xbd"), "no character is cut");
        report_release(&report);
    }
}

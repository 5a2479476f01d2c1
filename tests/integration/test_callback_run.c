#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "local/stack/program.h"
#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "tests/integration/fake_receiver.h"

#define LIST(...)  ((const char *const[]){ __VA_ARGS__, NULL })
#define RULES(...) ((const struct fake_rule[]){ __VA_ARGS__, { NULL, 0, 0, 0, NULL } })

/* The one report that came, as JSON; the caller's. */
static struct json_object *only_report(struct fake *f, const char *path)
{
    struct json_object *body = NULL;
    cr_assert_eq(fake_count(f, NULL), 1, "%d reports", fake_count(f, NULL));
    const struct fake_request *req = fake_get(f, path, 0);
    cr_assert_not_null(req, "no %s", path);
    cr_assert(req->authorized);
    cr_assert_eq(json_parse(req->body, req->len, JSON_DEPTH, &body, NULL), 0, "%s", req->body);
    return body;
}

static struct json_object *error_data(struct json_object *body)
{
    struct json_object *data = NULL;
    cr_assert_eq(json_parse_str(json_get_str(body, "errorData"), &data, NULL), 0);
    return data;
}

Test(callback_run, reports_each_failure_with_its_type)
{
    static const struct {
        const char *script;
        int status;
        const char *type, *message;
        const char *key; /* of errorData */
        int value;
    } cases[] = {
        { "exit 1", 1, "Task.ExitCode", "exit status 1", "exitCode", 1 },
        { "echo working; exit 3", 3, "Task.ExitCode", "exit status 3", "exitCode", 3 },
        { "exit 127", 127, "Task.ExitCode", "exit status 127", "exitCode", 127 },
        { "exit 255", 255, "Task.ExitCode", "exit status 255", "exitCode", 255 },
        { "kill -9 $$", 137, "Task.Signal", "killed by signal 9 (SIGKILL)", "signal", 9 },
        { "kill -15 $$", 143, "Task.Signal", "killed by signal 15 (SIGTERM)", "signal", 15 },
        { "kill -10 $$", 138, "Task.Signal", "killed by signal 10 (SIGUSR1)", "signal", 10 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake *f = fake_start(0, NULL, NULL);
        struct job j;
        const struct job_setup setup = { .port = fake_port(f), .vars = LIST("JOB_NAME=resize") };
        job_start(&j, &setup, cases[i].script);
        job_wait(&j, 60000);
        cr_assert_eq(j.status, cases[i].status, "%s: %d, %s", cases[i].script, j.status, j.err);
        auto_json struct json_object *body = only_report(f, "failure");
        auto_json struct json_object *data = error_data(body);
        cr_assert_str_eq(json_get_str(body, "errorType"), cases[i].type);
        cr_assert_str_eq(json_get_str(body, "errorMessage"), cases[i].message);
        cr_assert_eq(json_get_int(data, cases[i].key, -1), cases[i].value);
        cr_assert_str_eq(json_get_str(data, "job"), "resize");
        cr_assert_geq(json_get_int(data, "durationMs", -1), 0);
        cr_assert_gt(json_get_int(data, "maxRssBytes", -1), 100000);
        job_release(&j);
        fake_stop(f);
    }
}

Test(callback_run, reports_what_cannot_be_started)
{
    static const struct {
        const char *command;
        int status;
        const char *type, *message;
    } cases[] = {
        { "no-such-command", 127, "Task.NotFound", "command not found: no-such-command" },
        { "/etc/passwd", 126, "Task.NotExecutable",
          "cannot execute /etc/passwd: Permission denied" },
        { "/", 126, "Task.NotExecutable", "cannot execute /: Permission denied" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake *f = fake_start(0, NULL, NULL);
        struct job j;
        const struct job_setup setup = { .port = fake_port(f) };
        job_start_args(&j, &setup, LIST("--", cases[i].command));
        job_wait(&j, 60000);
        cr_assert_eq(j.status, cases[i].status, "%s", j.err);
        auto_json struct json_object *body = only_report(f, "failure");
        cr_assert_str_eq(json_get_str(body, "errorType"), cases[i].type);
        cr_assert_str_eq(json_get_str(body, "errorMessage"), cases[i].message);
        job_release(&j);
        fake_stop(f);
    }
}

Test(callback_run, a_failure_carries_the_end_of_stderr)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f), .options = LIST("--stderr-tail=20") };
    job_start(&j, &setup,
              "echo a long beginning that is cut off >&2; echo the very end >&2; exit 1");
    job_wait(&j, 60000);
    auto_json struct json_object *body = only_report(f, "failure");
    auto_json struct json_object *data = error_data(body);
    cr_assert_str_eq(json_get_str(data, "stderr"), "ut off\nthe very end\n");
    cr_assert(strstr(j.err, "a long beginning that is cut off\nthe very end\n"));
    job_release(&j);
    fake_stop(f);
}

Test(callback_run, finds_the_result)
{
    static const struct {
        const char *options[4];
        const char *script;
        const char *type, *body;
    } cases[] = {
        { { NULL }, "echo '{\"n\": 1}'", "application/json", "{\"n\": 1}" },
        { { NULL }, "echo first; echo 42; echo", "application/json", "42" },
        { { NULL }, "printf 'no newline'", "text/plain", "no newline" },
        { { NULL }, "true", "application/json", "null" },
        { { NULL }, "echo line; echo '[1]' >$CALLBACK_RESULT_FILE", "application/json", "[1]\n" },
        { { NULL }, "echo line; : >$CALLBACK_RESULT_FILE", "text/plain", "line" },
        { { NULL },
          "echo x >$CALLBACK_RESULT_FILE.new; mv $CALLBACK_RESULT_FILE.new "
          "$CALLBACK_RESULT_FILE; echo y",
          "text/plain",
          "x\n" },
        { { "--result=last-line" },
          "echo a; echo b; test -z \"$CALLBACK_RESULT_FILE\" && echo c",
          "text/plain",
          "c" },
        { { "--result", "file" },
          "echo line; echo file >$CALLBACK_RESULT_FILE",
          "text/plain",
          "file\n" },
        { { "--result", "file" }, "echo line", "application/json", "null" },
        { { "--result", "stdout" }, "echo one; echo two", "text/plain", "one\ntwo\n" },
        { { "--result", "stdout" },
          "printf '{\\n\"a\":\\n1}\\n'",
          "application/json",
          "{\n\"a\":\n1}\n" },
        { { "--result", "none" }, "echo line", "application/json", "null" },
        { { NULL }, "printf '\\377\\303\\244'", "text/plain", "\xef\xbf\xbd\xc3\xa4" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake *f = fake_start(0, NULL, NULL);
        struct job j;
        const struct job_setup setup = { .port = fake_port(f), .options = cases[i].options };
        job_start(&j, &setup, cases[i].script);
        job_wait(&j, 60000);
        cr_assert_eq(j.status, 0, "%s: %s", cases[i].script, j.err);
        cr_assert_eq(fake_count(f, NULL), 1);
        const struct fake_request *req = fake_get(f, "success", 0);
        cr_assert_not_null(req);
        cr_assert_str_eq(req->type, cases[i].type, "%s", cases[i].script);
        cr_assert_str_eq(req->body, cases[i].body, "%s", cases[i].script);
        job_release(&j);
        fake_stop(f);
    }
}

Test(callback_run, a_result_file_from_before_is_no_result)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f),
                                     .shell = "echo old >$FOLDER/mine; \"$@\" --result-file "
                                              "$FOLDER/mine -- sh -c 'echo fresh'; exit $?" };
    job_start_args(&j, &setup, NULL);
    job_wait(&j, 60000);
    cr_assert_eq(j.status, 0, "%s", j.err);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "fresh");
    job_release(&j);
    fake_stop(f);
}

Test(callback_run, a_result_that_is_too_large_becomes_a_failure)
{
    static const struct {
        const char *script;
        const char *size;
        bool refused; /* by the receiver */
    } cases[] = {
        { "head -c 300000 /dev/zero | tr '\\0' x", "300000", false },
        { "head -c 300000 /dev/zero | tr '\\0' x >$CALLBACK_RESULT_FILE", "300000", false },
        { "head -c 250000 /dev/zero | tr '\\0' x", "250000", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake *f = fake_start(0, RULES({ "success", 1, 0, 413, NULL }), NULL);
        struct job j;
        const struct job_setup setup = { .port = fake_port(f) };
        job_start(&j, &setup, cases[i].script);
        job_wait(&j, 60000);
        cr_assert_eq(j.status, 0, "%s", j.err);
        cr_assert_eq(fake_count(f, "success"), cases[i].refused ? 1 : 0);
        cr_assert_eq(fake_count(f, "failure"), 1);
        const char *body = fake_get(f, "failure", 0)->body;
        cr_assert(strstr(body, "Task.ResultTooLarge") && strstr(body, cases[i].size), "%s", body);
        job_release(&j);
        fake_stop(f);
    }
}

/* Neither null nor the last line takes the place of a result that is there. */
Test(callback_run, a_result_that_cannot_be_read_becomes_a_failure)
{
    static const char *const scripts[] = { "echo line; mkdir \"$CALLBACK_RESULT_FILE\"",
                                           "mkfifo \"$CALLBACK_RESULT_FILE\"",
                                           "f=$CALLBACK_RESULT_FILE; ln -s \"$f\" \"$f\"" };
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        struct fake *f = fake_start(0, NULL, NULL);
        struct job j;
        job_start(&j, &(struct job_setup){ .port = fake_port(f) }, scripts[i]);
        job_wait(&j, 60000);
        cr_assert_eq(j.status, 0, "case %zu: %d %s", i, j.status, j.err);
        auto_json struct json_object *body = only_report(f, "failure");
        cr_assert_str_eq(json_get_str(body, "errorType"), "Task.ResultUnreadable");
        cr_assert_not_null(
            strstr(json_get_str(body, "errorMessage"), "the result was written, but"));
        job_release(&j);
        fake_stop(f);
    }
}

Test(callback_run, retries_the_report_until_it_is_accepted)
{
    static const struct {
        struct fake_rule rule;
        int tries;
        int64_t at_least_ms;
    } cases[] = {
        { { "success", 1, 3, 500, NULL }, 4, 0 },
        { { "success", 1, 1, 503, NULL }, 2, 0 },
        { { "success", 1, 2, FAKE_ABORT, NULL }, 3, 0 },
        { { "success", 1, 1, 429, "1" }, 2, 1000 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake *f = fake_start(0, RULES(cases[i].rule), NULL);
        struct job j;
        const struct job_setup setup = { .port = fake_port(f) };
        job_start(&j, &setup, "echo '\"done\"'");
        job_wait(&j, 60000);
        cr_assert_eq(j.status, 0, "case %zu: %s", i, j.err);
        cr_assert_eq(fake_count(f, "success"), cases[i].tries, "case %zu", i);
        for (int n = 0; n < cases[i].tries; n++)
            cr_assert_str_eq(fake_get(f, "success", n)->body, "\"done\"");
        cr_assert_geq(fake_get(f, "success", 1)->at_ms - fake_get(f, "success", 0)->at_ms,
                      cases[i].at_least_ms);
        job_release(&j);
        fake_stop(f);
    }
}

Test(callback_run, accepts_a_definite_answer)
{
    static const struct {
        int report; /* what the receiver says */
        const char *script;
        int status;
        const char *says;
        bool saved;
    } cases[] = {
        { 409, "exit 0", 0, "reported_before", false },
        { 409, "exit 5", 5, "reported_before", false },
        { 410, "exit 0", 75, "workflow_no_longer_waits", false },
        { 400, "echo 1", 74, "report_not_delivered", true },
        { 401, "exit 5", 74, "report_not_delivered", true },
        { 403, "exit 0", 74, "report_not_delivered", true },
        { 404, "exit 0", 74, "report_not_delivered", true },
        { 413, "exit 5", 74, "report_not_delivered", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_rule rules[] = { { "success", 1, 0, cases[i].report, NULL },
                                           { "failure", 1, 0, cases[i].report, NULL },
                                           { NULL, 0, 0, 0, NULL } };
        struct fake *f = fake_start(0, rules, NULL);
        struct job j;
        const struct job_setup setup = { .port = fake_port(f) };
        job_start(&j, &setup, cases[i].script);
        job_wait(&j, 60000);
        cr_assert_eq(j.status, cases[i].status, "case %zu: %d %s", i, j.status, j.err);
        cr_assert_eq(fake_count(f, NULL), 1, "it is not repeated");
        cr_assert(strstr(j.err, cases[i].says), "%s", j.err);
        cr_assert_eq(strstr(j.err, "savedTo") != NULL, cases[i].saved);
        job_release(&j);
        fake_stop(f);
    }
}

Test(callback_run, keeps_a_report_that_cannot_be_delivered)
{
    struct job j;
    const struct job_setup setup = { .port = program_free_port(),
                                     .options = LIST("--report-deadline=1", "--no-input") };
    job_start(&j, &setup, "echo '{\"a\":1}'");
    job_wait(&j, 60000);
    cr_assert_eq(j.status, 74, "%s", j.err);
    cr_assert_str_eq(j.out, "{\"a\":1}\n");
    const char *path = strstr(j.err, j.folder);
    cr_assert_not_null(path, "%s", j.err);
    auto_free char *name =
        mem_dup_len(path + strlen(j.folder) + 1, strcspn(path, "\"") - strlen(j.folder) - 1);
    auto_free char *text = job_file(&j, name);
    cr_assert_not_null(text);
    cr_assert_str_eq(text, "{\"kind\":\"success\",\"mediaType\":\"application/json\","
                           "\"body\":\"{\\\"a\\\":1}\"}\n");
    job_release(&j);
}

Test(callback_run, survives_a_receiver_that_comes_back)
{
    /* Away at the start and at the end: it is there only after the command has ended. */
    int port = program_free_port();
    struct job j;
    const struct job_setup setup = { .port = port, .options = LIST("--input-timeout=1") };
    job_start(&j, &setup, "touch $FOLDER/ran; echo '\"late\"'");
    job_await_file(&j, "ran");
    cr_assert_lt(monotonic_ms() - j.started_ms, 2000, "the start was held up");
    clock_sleep_ms(clock_system(), 200);
    struct fake *f = fake_start(port, NULL, "{}");
    job_wait(&j, 60000);
    cr_assert_eq(j.status, 0, "%s", j.err);
    cr_assert(strstr(j.err, "started_without_input"));
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "\"late\"");
    job_release(&j);
    fake_stop(f);
}

Test(callback_run, hands_the_input_over)
{
    const char *input = "{\"items\": [1, 2]}";
    struct fake *f = fake_start(0, NULL, input);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f) };
    job_start(&j, &setup,
              "stat -c %a $CALLBACK_INPUT_FILE $(dirname $CALLBACK_INPUT_FILE); echo "
              "$CALLBACK_INPUT_FILE >$FOLDER/path; cat $CALLBACK_INPUT_FILE");
    job_wait(&j, 60000);
    cr_assert_eq(j.status, 0, "%s", j.err);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, input);
    cr_assert(strncmp(j.out, "600\n700\n", 8) == 0, "%s", j.out);
    auto_free char *path = job_file(&j, "path");
    path[strcspn(path, "\n")] = '\0';
    cr_assert_neq(access(path, F_OK), 0, "it is removed at the end");
    job_release(&j);
    fake_stop(f);
}

Test(callback_run, without_input_the_variable_is_not_set)
{
    static const struct {
        const char *options[3];
        struct fake_rule rule;
        int status;
        const char *type; /* of the failure */
        int asked;        /* at least */
    } cases[] = {
        { { NULL }, { NULL, 0, 0, 0, NULL }, 0, NULL, 1 },
        { { "--no-input" }, { NULL, 0, 0, 0, NULL }, 0, NULL, 0 },
        { { "--input-timeout=1" }, { "input", 1, 0, 503, NULL }, 0, NULL, 2 },
        { { "--input-timeout=1" }, { "input", 1, 0, FAKE_SILENT, NULL }, 0, NULL, 1 },
        { { NULL }, { "input", 1, 0, 403, NULL }, 0, NULL, 1 },
        { { "--require-input" }, { NULL, 0, 0, 0, NULL }, 74, "Task.InputUnavailable", 1 },
        { { "--require-input", "--input-timeout=1" },
          { "input", 1, 0, 500, NULL },
          74,
          "Task.InputUnavailable",
          2 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake *f = fake_start(0, RULES(cases[i].rule), NULL);
        struct job j;
        const struct job_setup setup = { .port = fake_port(f),
                                         .options = cases[i].options,
                                         .vars = LIST("CALLBACK_INPUT_FILE=/of/somebody/else") };
        job_start(&j, &setup, "echo \"<$CALLBACK_INPUT_FILE>\"");
        job_wait(&j, 60000);
        cr_assert_eq(j.status, cases[i].status, "case %zu: %s", i, j.err);
        cr_assert_geq(fake_count(f, "input"), cases[i].asked, "case %zu", i);
        if (cases[i].type)
            cr_assert(strstr(fake_get(f, "failure", 0)->body, cases[i].type));
        else
            cr_assert_str_eq(fake_get(f, "success", 0)->body, "<>");
        job_release(&j);
        fake_stop(f);
    }
}

Test(callback_run, without_a_command_it_does_the_samples_job)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f),
                                     .vars = LIST("MESSAGE=say \"hi\"", "PROCESSING_TIME=1") };
    job_start(&j, &setup, NULL);
    job_wait(&j, 60000);
    cr_assert_eq(j.status, 0, "%s", j.err);
    cr_assert_geq(monotonic_ms() - j.started_ms, 1000);
    auto_json struct json_object *body = only_report(f, "success");
    cr_assert_str_eq(json_get_str(body, "status"), "success");
    cr_assert_str_eq(json_get_str(body, "message"), "Processed: say \"hi\"");
    cr_assert_eq(json_get_int(body, "processingTime", -1), 1);
    int64_t at;
    cr_assert_eq(clock_parse(json_get_str(body, "timestamp"), &at), 0);
    job_release(&j);
    fake_stop(f);
}

Test(callback_run, the_sample_refuses_a_time_that_is_none)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f), .vars = LIST("PROCESSING_TIME=soon") };
    job_start(&j, &setup, NULL);
    job_wait(&j, 60000);
    cr_assert_eq(j.status, 64);
    auto_json struct json_object *body = only_report(f, "failure");
    auto_json struct json_object *data = error_data(body);
    cr_assert(strstr(json_get_str(data, "stderr"), "PROCESSING_TIME: must be a whole number"));
    job_release(&j);
    fake_stop(f);
}

Test(callback_run, needs_somebody_to_report_to)
{
    struct job j;
    job_start(&j, &(struct job_setup){ 0 }, "touch $FOLDER/ran");
    job_wait(&j, 60000);
    cr_assert_eq(j.status, 64);
    cr_assert(strstr(j.err, "CALLBACK_URL is not set"), "%s", j.err);
    cr_assert_null(job_file(&j, "ran"), "the command was not started");
    job_release(&j);
    job_start(&j, &(struct job_setup){ .options = LIST("--no-callback") }, "echo out; exit 9");
    job_wait(&j, 60000);
    cr_assert_eq(j.status, 9);
    cr_assert_str_eq(j.out, "out\n");
    job_release(&j);
}

Test(callback_run, makes_single_calls_for_scripts)
{
    static const struct {
        const char *args[5];
        struct fake_rule rule;
        int status;
        const char *path, *type, *body; /* path NULL: nothing is sent */
        int times;
    } cases[] = {
        { { "heartbeat" }, { 0 }, 0, "heartbeat", "", "", 1 },
        { { "progress", "0.4", "half \"way\"" },
          { 0 },
          0,
          "heartbeat",
          "application/json",
          "{\"progress\":0.4,\"message\":\"half \\\"way\\\"\"}",
          1 },
        { { "progress", "1" }, { 0 }, 0, "heartbeat", "application/json", "{\"progress\":1}", 1 },
        { { "progress", "1.5" }, { 0 }, 64, NULL, NULL, NULL, 0 },
        { { "progress", "nan" }, { 0 }, 64, NULL, NULL, NULL, 0 },
        { { "progress", "half" }, { 0 }, 64, NULL, NULL, NULL, 0 },
        { { "success" }, { 0 }, 0, "success", "application/json", "null", 1 },
        { { "success", "{\"a\":1}" }, { 0 }, 0, "success", "application/json", "{\"a\":1}", 1 },
        { { "success", "fine" }, { 0 }, 0, "success", "text/plain", "fine", 1 },
        { { "success", "1" },
          { "success", 1, 2, 503, NULL },
          0,
          "success",
          "application/json",
          "1",
          3 },
        { { "success", "1" },
          { "success", 1, 0, 409, NULL },
          74,
          "success",
          "application/json",
          "1",
          1 },
        { { "failure", "My.Type", "because" },
          { 0 },
          0,
          "failure",
          "application/json",
          "{\"errorType\":\"My.Type\",\"errorMessage\":\"because\"}",
          1 },
        { { "heartbeat" }, { "heartbeat", 1, 0, 410, NULL }, 75, "heartbeat", "", "", 1 },
        { { "heartbeat" }, { "heartbeat", 1, 0, 401, NULL }, 74, "heartbeat", "", "", 1 },
        { { "walk" }, { 0 }, 64, NULL, NULL, NULL, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake *f = fake_start(0, RULES(cases[i].rule), NULL);
        struct job j;
        job_start_args(&j, &(struct job_setup){ .port = fake_port(f) }, cases[i].args);
        job_wait(&j, 60000);
        cr_assert_eq(j.status, cases[i].status, "case %zu: %d %s", i, j.status, j.err);
        if (cases[i].path) {
            cr_assert_eq(fake_count(f, cases[i].path), cases[i].times, "case %zu", i);
            cr_assert_str_eq(fake_get(f, cases[i].path, 0)->type, cases[i].type, "case %zu", i);
            cr_assert_str_eq(fake_get(f, cases[i].path, 0)->body, cases[i].body, "case %zu", i);
        }
        job_release(&j);
        fake_stop(f);
    }
}

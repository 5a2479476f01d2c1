#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/encode.h"
#include "tests/integration/lambda_rig.h"

static void expect_history(struct lambda_rig *r, const char *arn, const char *wanted)
{
    auto_free char *found = lambda_rig_history(r, arn);
    cr_expect_str_eq(found, wanted);
}

static void expect_result(struct lambda_rig *r, const char *arn, const char *wanted)
{
    auto_json struct json_object *o = lambda_rig_end(r, arn, "SUCCEEDED");
    const char *result = json_get_str(o, "Result");
    cr_expect_str_eq(result ? result : "(none)", wanted);
}

/* The ErrorType of an invocation's end. */
static void expect_trouble(struct lambda_rig *r, const char *arn, const char *type)
{
    auto_json struct json_object *event = lambda_rig_event(r, arn, "InvocationCompleted");
    struct json_object *details = json_get_obj(event, "InvocationCompletedDetails");
    struct json_object *error = json_get_obj(json_get_obj(details, "Error"), "Payload");
    cr_expect_str_eq(error ? json_get_str(error, "ErrorType") : "(none)", type);
}

Test(local_lambda, a_wait_suspends_and_resumes_in_the_same_process, .timeout = 60)
{
    struct lambda_rig r;
    int first, second;
    int64_t invocations;
    lambda_rig_start(&r, NULL);
    auto_free char *arn = lambda_rig_begin(&r, "f:live", "{\"mode\":\"wait\",\"seconds\":1}");
    json_object_put(lambda_rig_event(&r, arn, "InvocationCompleted"));
    cr_assert_eq(lambda_rig_processes(&r, "f", &first, &invocations), 1);
    expect_result(&r, arn, "\"waited\"");
    cr_assert_eq(lambda_rig_processes(&r, "f", &second, &invocations), 1);
    cr_assert_eq(first, second);
    cr_assert_eq(invocations, 2);
    expect_history(&r, arn,
                   "ExecutionStarted WaitStarted InvocationCompleted WaitSucceeded "
                   "InvocationCompleted ExecutionSucceeded");
    lambda_rig_stop(&r);
}

Test(local_lambda, a_callback_resumes_it_once, .timeout = 60)
{
    struct lambda_rig r;
    struct error err;
    lambda_rig_start(&r, NULL);
    auto_free char *arn = lambda_rig_begin(&r, "f:1", "{\"mode\":\"callback\"}");
    auto_free char *id = lambda_rig_callback(&r, arn);
    cr_assert_eq(lambda_callback_heartbeat(r.aws, id, &err), 0, "%s", err.msg);
    cr_assert_eq(lambda_callback_success(r.aws, id, "{\"ok\":1}", 8, &err), 0, "%s", err.msg);
    cr_assert_eq(lambda_callback_success(r.aws, id, "2", 1, &err), -1);
    cr_assert_str_eq(err.type, "CallbackTimeoutException");
    expect_result(&r, arn, "{\"ok\":1}");
    cr_assert_eq(lambda_callback_failure(r.aws, id, "{}", &err), -1);
    cr_assert_str_eq(err.type, "CallbackTimeoutException");
    id[100] = id[100] == 'A' ? 'B' : 'A';
    auto_free char *other = lambda_rig_begin(&r, "f:1", "{\"mode\":\"callback\"}");
    auto_free char *forged = lambda_rig_callback(&r, other);
    forged[100] = forged[100] == 'A' ? 'B' : 'A';
    cr_assert_eq(lambda_callback_success(r.aws, forged, "2", 1, &err), -1);
    cr_assert_str_eq(err.type, "InvalidParameterValueException");
    lambda_rig_stop(&r);
}

Test(local_lambda, trouble_is_recorded_and_tried_again, .timeout = 60)
{
    static const struct {
        const char *function, *mode, *type;
    } cases[] = {
        { "f:1", "exit", "Runtime.ExitError" },
        { "f:1", "error", "AsAsked" },
        { "brief:1", "hang", "Sandbox.Timedout" },
    };
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *input = mem_printf("{\"mode\":\"%s\"}", cases[i].mode);
        auto_free char *arn = lambda_rig_begin(&r, cases[i].function, input);
        expect_result(&r, arn, "\"recovered\"");
        expect_trouble(&r, arn, cases[i].type);
        expect_history(&r, arn,
                       "ExecutionStarted StepStarted InvocationCompleted StepSucceeded "
                       "InvocationCompleted ExecutionSucceeded");
    }
    lambda_rig_stop(&r);
}

static bool is_alive(int pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    const char *state = n ? strrchr(text, ')') : NULL;
    return state && state[2] != 'Z';
}

Test(local_lambda, killed_and_started_again_it_goes_on, .timeout = 90)
{
    struct lambda_rig r;
    struct error err;
    int pid;
    int64_t invocations;
    lambda_rig_start(&r, NULL);
    auto_free char *callback = lambda_rig_begin(&r, "f:1", "{\"mode\":\"callback\"}");
    auto_free char *wait = lambda_rig_begin(&r, "f:1", "{\"mode\":\"wait\",\"seconds\":2}");
    auto_free char *past = lambda_rig_begin(&r, "f:1", "{\"mode\":\"wait\",\"seconds\":1}");
    auto_free char *slow = lambda_rig_begin(&r, "f:1", "{\"mode\":\"slow\"}");
    auto_free char *id = lambda_rig_callback(&r, callback);
    json_object_put(lambda_rig_event(&r, past, "InvocationCompleted"));
    json_object_put(lambda_rig_event(&r, slow, "StepStarted"));
    cr_assert_gt(lambda_rig_processes(&r, "f", &pid, &invocations), 0);
    lambda_rig_kill(&r);
    clock_sleep_ms(clock_system(), 1200); /* one of the waits comes due while nobody is there */
    cr_assert_not(is_alive(pid), "its functions die with it");

    lambda_rig_restart(&r);
    expect_result(&r, past, "\"waited\"");
    expect_result(&r, wait, "\"waited\"");
    expect_result(&r, slow, "\"recovered\"");
    expect_trouble(&r, slow, "Runtime.ExitError");
    cr_assert_eq(lambda_callback_success(r.aws, id, "1", 1, &err), 0, "%s", err.msg);
    expect_result(&r, callback, "1");
    expect_history(&r, callback,
                   "ExecutionStarted CallbackStarted InvocationCompleted CallbackSucceeded "
                   "InvocationCompleted ExecutionSucceeded");
    lambda_rig_stop(&r);
}

Test(local_lambda, as_many_run_at_the_same_time_as_the_function_may, .timeout = 90)
{
    struct lambda_rig r;
    char *arns[12];
    int pid;
    int64_t invocations;
    lambda_rig_start(&r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(arns); i++)
        arns[i] = lambda_rig_begin(&r, "f:1", "{\"mode\":\"hang\"}");
    for (size_t i = 0; i < 10; i++) /* maxConcurrency */
        json_object_put(lambda_rig_event(&r, arns[i], "StepStarted"));
    cr_assert_eq(lambda_rig_processes(&r, "f", &pid, &invocations), 10);
    auto_free char *rest = lambda_rig_history(&r, arns[11]);
    cr_assert_str_eq(rest, "ExecutionStarted");
    for (size_t i = 0; i < ARRAY_LEN(arns); i++)
        free(arns[i]);
    lambda_rig_stop(&r);
}

Test(local_lambda, stop_ends_it_whatever_its_invocation_does, .timeout = 60)
{
    struct lambda_rig r;
    struct error err;
    lambda_rig_start(&r, NULL);
    auto_free char *arn = lambda_rig_begin(&r, "f:1", "{\"mode\":\"slow\"}");
    json_object_put(lambda_rig_event(&r, arn, "StepStarted"));
    cr_assert_eq(lambda_stop(r.aws, arn, "Cancelled", "by hand", &err), 0, "%s", err.msg);
    auto_json struct json_object *o = lambda_rig_end(&r, arn, "STOPPED");
    cr_assert_str_eq(json_text(json_get_obj(o, "Error"), NULL),
                     "{\"ErrorMessage\":\"by hand\",\"ErrorType\":\"Cancelled\"}");
    cr_assert_eq(lambda_stop(r.aws, arn, NULL, NULL, &err), 0, "once more changes nothing");
    /* Its checkpoint is refused, and that is an error of the invocation. */
    json_object_put(lambda_rig_event(&r, arn, "InvocationCompleted"));
    expect_history(&r, arn, "ExecutionStarted StepStarted ExecutionStopped InvocationCompleted");
    expect_trouble(&r, arn, "InvalidParameterValueException");
    lambda_rig_stop(&r);
}

Test(local_lambda, an_execution_has_a_time_limit, .timeout = 60)
{
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    auto_free char *body = lambda_rig_invoke(&r, "mortal:1", "{\"mode\":\"callback\"}", true);
    cr_assert_str_eq(body, "{\"errorMessage\":\"Execution timed out after 1 seconds.\"}");
    lambda_rig_stop(&r);
}

Test(local_lambda, envelopes_and_tokens_follow_the_protocol, .timeout = 60)
{
    static const struct {
        const char *mode;
        bool error;
        const char *answer;
    } cases[] = {
        { "tokens", false,
          "\"replayed, InvalidParameterValueException: CheckpointDurableExecution: "
          "Invalid checkpoint token\"" },
        { "close", false, "\"large\"" },
        { "atomic", false,
          "\"CheckpointDurableExecution: Update for WAIT operation requires WaitOptions. 1\"" },
        { "pending", true,
          "{\"errorMessage\":\"Cannot return PENDING status with no pending operations.\","
          "\"errorType\":\"InvalidParameterValueException\"}" },
        { "nonsense", true,
          "{\"errorMessage\":\"Invalid Status in invocation output.\","
          "\"errorType\":\"InvalidParameterValueException\"}" },
    };
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *input = mem_printf("{\"mode\":\"%s\"}", cases[i].mode);
        auto_free char *answer = lambda_rig_invoke(&r, "f:1", input, cases[i].error);
        cr_expect_str_eq(answer, cases[i].answer);
    }
    lambda_rig_stop(&r);
}

/* The code of the error that an Invoke gives, or "". */
static const char *refusal(struct lambda_rig *r, const struct lambda_invoke *req, struct error *err)
{
    struct lambda_invoked out = { 0 };
    int rc = lambda_invoke(r->aws, req, &out, err);
    lambda_invoked_release(&out);
    return rc < 0 ? err->type : "";
}

Test(local_lambda, a_name_is_one_execution, .timeout = 60)
{
    struct lambda_rig r;
    struct error err;
    lambda_rig_start(&r, NULL);
    struct lambda_invoke req = { .function = "f:live",
                                 .type = "Event",
                                 .execution_name = "only-one",
                                 .payload = "{\"mode\":\"callback\"}",
                                 .payload_len = 19 };
    struct lambda_invoked a = { 0 }, b = { 0 }, c = { 0 };
    cr_assert_eq(lambda_invoke(r.aws, &req, &a, &err), 0, "%s", err.msg);
    cr_assert_eq(lambda_invoke(r.aws, &req, &b, &err), 0, "%s", err.msg);
    cr_assert_str_eq(a.execution_arn, b.execution_arn);
    req.payload_len = 2;
    req.payload = "{}";
    cr_assert_str_eq(refusal(&r, &req, &err), "DurableExecutionAlreadyStartedException");
    req.function = "f:$LATEST";
    req.payload = "{\"mode\":\"callback\"}";
    req.payload_len = 19;
    cr_assert_str_eq(refusal(&r, &req, &err), "DurableExecutionAlreadyStartedException");
    auto_free char *id = lambda_rig_callback(&r, a.execution_arn);
    cr_assert_eq(lambda_callback_success(r.aws, id, "7", 1, &err), 0, "%s", err.msg);
    expect_result(&r, a.execution_arn, "7");
    req.function = "f:1";
    req.type = "RequestResponse";
    cr_assert_eq(lambda_invoke(r.aws, &req, &c, &err), 0, "%s", err.msg);
    cr_assert_str_eq(c.payload, "7", "a closed one gives its result");
    lambda_invoked_release(&a);
    lambda_invoked_release(&b);
    lambda_invoked_release(&c);
    lambda_rig_stop(&r);
}

Test(local_lambda, invoke_refuses_what_it_must, .timeout = 60)
{
    static const struct {
        const char *function, *type, *name, *payload, *code;
    } cases[] = {
        { "f", "Event", NULL, "{}", "InvalidParameterValueException" },
        { "f:2", "Event", NULL, "{}", "ResourceNotFoundException" },
        { "f:dead", "Event", NULL, "{}", "ResourceNotFoundException" },
        { "g:1", "Event", NULL, "{}", "ResourceNotFoundException" },
        { "f:1", "Now", NULL, "{}", "InvalidParameterValueException" },
        { "f:1", "Event", "a b", "{}", "ValidationException" },
        { "f:1", "Event", NULL, "{", "InvalidRequestContentException" },
        { "lasting:1", "RequestResponse", NULL, "{}", "InvalidParameterValueException" },
        { "p", "Event", "n", "{}", "InvalidParameterValueException" },
        { "arn:aws:lambda:eu-west-1:123456789012:function:f:1", "Event", NULL, "{}",
          "ResourceNotFoundException" },
    };
    struct lambda_rig r;
    struct error err;
    lambda_rig_start(&r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct lambda_invoke req = { .function = cases[i].function,
                                           .type = cases[i].type,
                                           .execution_name = cases[i].name,
                                           .payload = cases[i].payload,
                                           .payload_len = strlen(cases[i].payload) };
        cr_expect_str_eq(refusal(&r, &req, &err), cases[i].code, "%s %s: %s", cases[i].function,
                         cases[i].payload, err.msg);
    }
    auto_free char *large = mem_alloc(1048580);
    memset(large, ' ', 1048579);
    large[0] = '1';
    struct lambda_invoke req = {
        .function = "f:1", .type = "Event", .payload = large, .payload_len = 1048577
    };
    cr_expect_str_eq(refusal(&r, &req, &err), "RequestTooLargeException");
    int pid;
    int64_t invocations;
    cr_assert_eq(lambda_rig_processes(&r, "f", &pid, &invocations), 0, "nothing was started");
    lambda_rig_stop(&r);
}

Test(local_lambda, plain_functions_answer_and_crash, .timeout = 60)
{
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    auto_free char *echo = lambda_rig_invoke(&r, "p", "{\"x\":1}", false);
    cr_assert_str_eq(echo, "{\"x\":1}");
    auto_free char *crash = lambda_rig_invoke(&r, "p", "{\"exit\":1}", true);
    cr_assert_not_null(strstr(crash, "Runtime.ExitError"), "%s", crash);
    cr_assert_not_null(strstr(crash, "exit status 7"), "%s", crash);
    auto_free char *again = lambda_rig_invoke(&r, "p", "[]", false);
    cr_assert_str_eq(again, "[]");
    lambda_rig_stop(&r);
}

/* The end of the log that came with the answer, decoded, the caller's; NULL: none came. */
static char *log_of(struct lambda_rig *r, const char *type, const char *payload, int status)
{
    struct error err = { 0 };
    auto_response struct http_response resp = { 0 };
    char text[8192];
    size_t len;
    const struct http_header headers[] = { { type ? "X-Amz-Log-Type" : NULL, type },
                                           { NULL, NULL } };
    const struct aws_call call = { .service = AWS_LAMBDA,
                                   .method = "POST",
                                   .path = "/2015-03-31/functions/p/invocations",
                                   .headers = headers,
                                   .body = payload,
                                   .body_len = strlen(payload) };
    int rc = aws_send(r->aws, &call, &resp, &err);
    cr_assert_eq(rc, status == 200 ? 0 : -1, "%s", err.msg);
    cr_assert_eq(rc == 0 ? resp.status : err.detail, status);
    if (!http_response_header(&resp, "X-Amz-Log-Result", text, sizeof(text)))
        return NULL;
    char *log = (char *)decode_base64(text, strlen(text), &len);
    cr_assert_not_null(log, "%s", text);
    return log;
}

Test(local_lambda, the_end_of_the_log_comes_with_the_answer, .timeout = 60)
{
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    auto_free char *none = log_of(&r, "None", "{\"print\":3}", 200);
    cr_assert_null(none);
    auto_free char *unasked = log_of(&r, NULL, "{\"print\":3}", 200);
    cr_assert_null(unasked);
    auto_free char *two = log_of(&r, "Tail", "{\"print\":2}", 200);
    cr_assert_str_eq(two, "line 1\nline 2\n", "nothing of those before");
    auto_free char *silent = log_of(&r, "Tail", "{}", 200);
    cr_assert_null(silent, "where nothing was printed there is no header");
    auto_free char *many = log_of(&r, "Tail", "{\"print\":5000}", 200);
    cr_assert_eq(strlen(many), 4096);
    cr_assert_str_eq(many + 4096 - strlen("line 4999\nline 5000\n"), "line 4999\nline 5000\n");
    auto_free char *crash = log_of(&r, "Tail", "{\"print\":1,\"exit\":true}", 200);
    cr_assert_str_eq(crash, "line 1\n");
    auto_free char *wrong = log_of(&r, "All", "{}", 400);
    cr_assert_null(wrong);
    lambda_rig_stop(&r);
}

Test(local_lambda, a_function_that_cannot_start_fails_its_caller, .timeout = 60)
{
    struct lambda_rig r;
    lambda_rig_start(&r, "[\"/nonexistent/bootstrap\"]");
    auto_free char *answer = lambda_rig_invoke(&r, "p", "{}", true);
    cr_assert_not_null(strstr(answer, "\"errorType\":\"Runtime.InvalidEntrypoint\""), "%s", answer);
    cr_assert_not_null(strstr(answer, "cannot execute /nonexistent/bootstrap: No such file"), "%s",
                       answer);
    lambda_rig_stop(&r);
}

Test(local_lambda, web_pages_and_strangers_are_refused, .timeout = 60)
{
    static const char path[] = "/2015-03-31/functions/f%3A1/invocations";
    static const struct {
        const char *name, *value;
        int status;
    } cases[] = {
        { "Origin", "http://127.0.0.1", 403 },
        { "Origin", "null", 403 },
        { "Host", "evil.example", 403 },
        { "Host", "127.0.0.1.evil.example:80", 403 },
        { "Host", "localhost:x", 403 },
        { "Content-Type", "text/plain", 415 },
        { "Content-Type", "application/x-www-form-urlencoded; charset=utf-8", 415 },
        { "Content-Type", "multipart/form-data; boundary=x", 415 },
        { "Host", "localhost", 403 }, /* but only for want of a signature */
        { "Content-Type", "application/json", 403 },
        { "Authorization", "AWS4-HMAC-SHA256 Credential=x", 403 },
    };
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct http_header headers[] = { { "Content-Type", "application/json" },
                                               { cases[i].name, cases[i].value },
                                               { NULL, NULL } };
        bool own_type = strcmp(cases[i].name, "Content-Type") == 0;
        auto_free char *body = NULL;
        cr_expect_eq(lambda_rig_raw(&r, "POST", path, headers + own_type, "{}", &body),
                     cases[i].status, "%s: %s: %s", cases[i].name, cases[i].value, body);
        bool foreign = i < 8;
        cr_expect_eq(strstr(body, "__type") == NULL, foreign, "%s", body);
    }
    static const struct http_header origin[] = { { "Origin", "http://a" }, { NULL, NULL } };
    cr_assert_eq(lambda_rig_raw(&r, "GET", "/_local/functions", origin, NULL, NULL), 403);
    cr_assert_eq(
        lambda_rig_raw(&r, "GET", "/2015-03-31/functions/%zz/invocations", NULL, NULL, NULL), 404);
    cr_assert_eq(lambda_rig_raw(&r, "GET", "/", NULL, NULL, NULL), 404);
    int pid;
    int64_t invocations;
    cr_assert_eq(lambda_rig_processes(&r, "f", &pid, &invocations), 0, "nothing was started");
    lambda_rig_stop(&r);
}

/* One signed request; the error's code, or "". */
static void expect_code(struct lambda_rig *r, const char *method, const char *path,
                        const char *query, const char *body, const char *code)
{
    struct error err;
    auto_response struct http_response resp = { 0 };
    const struct aws_call call = { .service = AWS_LAMBDA,
                                   .method = method,
                                   .path = path,
                                   .query = query,
                                   .body = body,
                                   .body_len = body ? strlen(body) : 0 };
    int rc = aws_send(r->aws, &call, &resp, &err);
    cr_expect_str_eq(rc < 0 ? err.type : "", code, "%s %s: %s", method, path, err.msg);
}

Test(local_lambda, bad_input_is_refused_and_changes_nothing, .timeout = 60)
{
#define ARN                                                                                        \
    "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af%3A1%2Fdurable-execution%2F"
#define BASE "/2025-12-01/durable-executions/"
    static const char bad_token[] = "{\"CheckpointToken\":\"abc=\"}";
    static const char sent[] = "InvalidParameterValueException";
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    expect_code(&r, "POST", BASE "x/checkpoint", NULL, bad_token, "ValidationException");
    expect_code(&r, "POST", BASE ARN "a%2Fb/checkpoint", NULL, "{", "SerializationException");
    expect_code(&r, "POST", BASE ARN "a%2Fb/checkpoint", NULL, "[]", "SerializationException");
    expect_code(&r, "POST", BASE ARN "a%2Fb/checkpoint", NULL, "{}", "ValidationException");
    expect_code(&r, "POST", BASE ARN "a%2Fb/checkpoint", NULL, bad_token, sent);
    expect_code(&r, "GET", BASE ARN "a%2Fb/state", "CheckpointToken=abc%3D", NULL, sent);
    expect_code(&r, "GET", BASE ARN "a%2Fb/state", NULL, NULL, "ValidationException");
    expect_code(&r, "GET", BASE ARN "a%2Fb", NULL, NULL, "ResourceNotFoundException");
    expect_code(&r, "GET", BASE ARN "a%2Fb/history", NULL, NULL, "ResourceNotFoundException");
    expect_code(&r, "GET", BASE ARN "a%2Fb/history", "MaxItems=1001", NULL, "ValidationException");
    expect_code(&r, "GET", BASE ARN "a%2Fb/history", "ReverseOrder=1", NULL, "ValidationException");
    expect_code(&r, "GET", BASE ARN "a%2Fb/history", "Marker=x", NULL, sent);
    expect_code(&r, "POST", BASE ARN "a%2Fb/stop", NULL, "{}", "ResourceNotFoundException");
    expect_code(&r, "POST", BASE ARN "a%2Fb/stop", NULL, "{\"ErrorType\":1}", sent);
    expect_code(&r, "GET", "/2025-12-01/functions/f/durable-executions", "Statuses=DONE", NULL,
                "ValidationException");
    expect_code(&r, "POST", "/2025-12-01/durable-execution-callbacks/abc%3D/succeed", NULL, "1",
                sent);
    auto_free char *huge = mem_alloc((8U << 20) + 2);
    memset(huge, ' ', (8U << 20) + 1);
    expect_code(&r, "POST", "/2015-03-31/functions/f%3A1/invocations", NULL, huge,
                "RequestTooLargeException");
    expect_code(&r, "DELETE", "/2015-03-31/functions/f", NULL, NULL, "UnknownOperationException");
    lambda_rig_stop(&r);
}

/* The interpreter that has boto3, or NULL; the caller's. */
static char *find_boto3(void)
{
    static const char probe[] =
        "python3 -c 'import sys, boto3; boto3.client(\"lambda\", region_name=\"x\")."
        "send_durable_execution_callback_success; print(sys.executable)' 2>/dev/null";
    char line[256] = "";
    FILE *p = popen(probe, "r");
    if (!p)
        return NULL;
    bool ok = fgets(line, sizeof(line), p) != NULL;
    line[strcspn(line, "\n")] = '\0';
    return (pclose(p) == 0 && ok) ? mem_dup(line) : NULL;
}

Test(local_lambda, boto3_works_unmodified, .timeout = 120)
{
    static const char script[] = "tests/integration/boto3_lambda.py";
    auto_free char *python = find_boto3();
    if (!python) {
        printf("skipped: no python3 with a boto3 that knows durable executions\n");
        return;
    }
    char cwd[256];
    cr_assert_not_null(getcwd(cwd, sizeof(cwd)));
    auto_free char *command = mem_printf("[\"%s\",\"%s/%s\",\"function\"]", python, cwd, script);
    struct lambda_rig r;
    lambda_rig_start(&r, command);
    auto_free char *check = mem_printf("'%s' %s check %s >&2", python, script, r.url);
    int status = system(check);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", check);
    lambda_rig_stop(&r);
}

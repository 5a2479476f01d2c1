/* Runtimes that attach from outside, and what a function prints. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/lambda_rig.h"

static void expect_result(struct lambda_rig *r, const char *arn, const char *wanted)
{
    auto_json struct json_object *o = lambda_rig_end(r, arn, "SUCCEEDED");
    cr_expect_str_eq(json_get_str(o, "Result"), wanted);
}

/* The ErrorType of its first invocation's end, the caller's. */
static char *trouble(struct lambda_rig *r, const char *arn)
{
    auto_json struct json_object *event = lambda_rig_event(r, arn, "InvocationCompleted");
    struct json_object *details = json_get_obj(event, "InvocationCompletedDetails");
    const char *type =
        json_get_str(json_get_obj(json_get_obj(details, "Error"), "Payload"), "ErrorType");
    return mem_dup(type ? type : "");
}

Test(local_attach, what_waits_is_done_when_a_runtime_attaches, .timeout = 60)
{
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    auto_free char *a = lambda_rig_begin(&r, "outside:1", "{\"mode\":\"wait\",\"seconds\":1}");
    auto_free char *b = lambda_rig_begin(&r, "outside:1", "{\"x\":1}");
    auto_free char *before = lambda_rig_history(&r, a);
    cr_assert_str_eq(before, "ExecutionStarted");
    struct program *one = lambda_rig_attach(&r), *two = lambda_rig_attach(&r);
    expect_result(&r, a, "\"waited\"");
    expect_result(&r, b, "{\"x\":1}");
    program_free(one);
    program_free(two);
    lambda_rig_stop(&r);
}

Test(local_attach, a_runtime_that_dies_fails_its_invocation_at_once, .timeout = 60)
{
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    struct program *one = lambda_rig_attach(&r);
    auto_free char *first = lambda_rig_begin(&r, "outside:1", "{\"x\":1}");
    expect_result(&r, first, "{\"x\":1}");
    auto_free char *slow = lambda_rig_begin(&r, "outside:1", "{\"mode\":\"slow\"}");
    json_object_put(lambda_rig_event(&r, slow, "StepStarted"));
    program_kill(one);
    auto_free char *type = trouble(&r, slow);
    cr_expect_str_eq(type, "Runtime.ExitError");
    struct program *two = lambda_rig_attach(&r);
    expect_result(&r, slow, "\"recovered\"");
    program_free(one);
    program_free(two);
    lambda_rig_stop(&r);
}

Test(local_attach, a_runtime_that_takes_too_long_is_given_up, .timeout = 60)
{
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    struct program *one = lambda_rig_attach(&r);
    auto_free char *hangs = lambda_rig_begin(&r, "outside:1", "{\"mode\":\"hang\"}");
    auto_free char *type = trouble(&r, hangs);
    cr_expect_str_eq(type, "Sandbox.Timedout");
    struct program *two = lambda_rig_attach(&r);
    expect_result(&r, hangs, "\"recovered\"");
    program_free(one);
    program_free(two);
    lambda_rig_stop(&r);
}

/* One request of a runtime that uses a new connection for each, as a shell script with curl does.
 */
static int shell(const char *url, const char *method, const char *body, struct http_response *resp)
{
    struct error err;
    struct http_client *http = http_client_new(&err);
    const struct http_request req = { .method = method,
                                      .url = url,
                                      .body = body,
                                      .body_len = body ? strlen(body) : 0,
                                      .timeout_ms = 30000 };
    cr_assert_eq(http_send(http, &req, resp, &err), 0, "%s", err.msg);
    http_client_free(http);
    return resp->status;
}

Test(local_attach, a_shell_script_with_curl_is_a_runtime, .timeout = 60)
{
    struct lambda_rig r;
    struct error err;
    auto_response struct http_response next = { 0 }, answer = { 0 }, late = { 0 };
    char id[64], tenant[64], function[128];
    lambda_rig_start(&r, NULL);
    auto_free char *api = program_url(r.program, "runtime-api");
    auto_free char *path = mem_printf("%s/2018-06-01/runtime/invocation/next", api);
    static const struct http_header headers[] = { { "X-Amz-Invocation-Type", "Event" },
                                                  { "X-Amz-Tenant-Id", "blue" },
                                                  { NULL, NULL } };
    auto_response struct http_response invoked = { 0 };
    const struct aws_call call = { .service = AWS_LAMBDA,
                                   .method = "POST",
                                   .path = "/2015-03-31/functions/outside%3A1/invocations",
                                   .headers = headers,
                                   .body = "{}",
                                   .body_len = 2 };
    char arn[512];
    cr_assert_eq(aws_send(r.aws, &call, &invoked, &err), 0, "%s", err.msg);
    cr_assert(http_response_header(&invoked, "X-Amz-Durable-Execution-Arn", arn, sizeof(arn)));
    cr_assert_eq(shell(path, "GET", NULL, &next), 200);
    cr_assert(http_response_header(&next, "Lambda-Runtime-Aws-Request-Id", id, sizeof(id)));
    cr_assert(http_response_header(&next, "Lambda-Runtime-Aws-Tenant-Id", tenant, sizeof(tenant)));
    cr_expect_str_eq(tenant, "blue");
    cr_assert(http_response_header(&next, "Lambda-Runtime-Invoked-Function-Arn", function,
                                   sizeof(function)));
    cr_expect_str_eq(function, "arn:aws:lambda:us-east-1:123456789012:function:outside:1");
    auto_free char *post = mem_printf("%s/2018-06-01/runtime/invocation/%s/response", api, id);
    cr_assert_eq(shell(post, "POST", "{\"Status\":\"SUCCEEDED\",\"Result\":\"7\"}", &answer), 202);
    cr_expect_eq(shell(post, "POST", "{}", &late), 400, "once is enough");
    expect_result(&r, arn, "7");
    lambda_rig_stop(&r);
}

Test(local_attach, what_a_function_prints_names_its_execution, .timeout = 60)
{
    static const char script[] =
        "[\"/bin/sh\",\"-c\",\"echo starting; echo bad thing >&2; exit 3\"]";
    struct lambda_rig r;
    struct error err;
    char path[128], line[2048];
    lambda_rig_start(&r, script);
    auto_free char *answer = lambda_rig_invoke(&r, "p", "{}", true);
    cr_expect_not_null(strstr(answer, "exit status 3"), "%s", answer);
    snprintf(path, sizeof(path), "%s/logs/p.log", r.dir);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    static const char *const wanted[] = { "starting", "bad thing" };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        auto_json struct json_object *o = NULL;
        cr_assert_not_null(fgets(line, sizeof(line), f));
        cr_assert_eq(json_parse_str(line, &o, &err), 0, "%s", line);
        cr_expect_str_eq(json_get_str(o, "message"), wanted[i]);
    }
    fclose(f);
    lambda_rig_stop(&r);
}

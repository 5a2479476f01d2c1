#include "launcher/api.h"

#include <criterion/criterion.h>

#include "tests/unit/launcher/api_rig.h"

Test(api, starts_a_workflow)
{
    struct rig r;
    rig_init(&r, NULL);
    cr_assert_eq(post(&r, "order-7", "arn:me", GOOD), 202);
    const struct fake_asked *invoke = fake_nth(r.aws, "Invoke", 0);
    cr_expect_str_eq(invoke->path, "/2015-03-31/functions/launcher%3Alive/invocations");
    cr_expect_str_eq(invoke->body,
                     "{\"input\":{\"a\":2,\"b\":1},\"pattern\":\"callback\",\"task\":{\"command\":["
                     "\"a\"]}}");
    cr_expect_eq(strlen(invoke->name), 43);
    auto_free char *id = mem_printf("launcher.1.%s." EXECUTION, invoke->name);
    auto_free char *url = mem_printf("/workflows/%s", id);
    auto_free char *history = mem_printf("/workflows/%s/history", id);
    cr_expect_str_eq(header(&r, "location"), url);
    cr_expect_str_eq(header(&r, "content-type"), "application/json");
    cr_expect_str_eq(json_get_str(r.body, "id"), id);
    cr_expect_str_eq(json_get_str(r.body, "status"), "RUNNING");
    cr_expect_str_eq(json_get_str(r.body, "statusUrl"), url);
    cr_expect_str_eq(json_get_str(r.body, "stopUrl"), url);
    cr_expect_str_eq(json_get_str(r.body, "historyUrl"), history);
    rig_release(&r);
}

Test(api, names_the_execution_by_caller_and_key)
{
    struct rig r;
    rig_init(&r, NULL);
    const char *const asked[][2] = { { "k", "arn:me" },  { "k", "arn:me" },  { "k", "arn:you" },
                                     { "k2", "arn:me" }, { NULL, "arn:me" }, { NULL, "arn:me" } };
    for (size_t i = 0; i < ARRAY_LEN(asked); i++)
        cr_assert_eq(post(&r, asked[i][0], asked[i][1], GOOD), 202);
    cr_expect_str_eq(fake_nth(r.aws, "Invoke", 0)->name, fake_nth(r.aws, "Invoke", 1)->name);
    for (size_t i = 1; i < ARRAY_LEN(asked); i++)
        for (size_t j = i + 1; j < ARRAY_LEN(asked); j++)
            cr_expect_str_neq(fake_nth(r.aws, "Invoke", i)->name,
                              fake_nth(r.aws, "Invoke", j)->name);
    rig_release(&r);
}

Test(api, sends_the_same_payload_for_the_same_content)
{
    struct rig r;
    rig_init(&r, NULL);
    cr_assert_eq(post(&r, "k", NULL, "{\"message\":\"x\",\"processingTime\":1}"), 202);
    cr_assert_eq(post(&r, "k", NULL, " {\"processingTime\" : 1,\n\"message\":\"\\u0078\"} "), 202);
    cr_expect_str_eq(fake_nth(r.aws, "Invoke", 0)->body, fake_nth(r.aws, "Invoke", 1)->body);
    rig_release(&r);
}

Test(api, passes_the_trace_on_beside_the_payload)
{
    static const char *const traces[][2] = {
        { "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
          "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1" },
        { "nonsense\r\nX: y",
          "Root=1-67891233-abcdef012345678912345678;Parent=2345678912345678;Sampled=0" },
        { NULL, "Root=1-67891233-abcdef012345678912345678;Parent=2345678912345678;Sampled=0" },
    };
    struct rig r;
    rig_init(&r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(traces); i++) {
        const struct ask a = { .method = "POST",
                               .path = "/workflows",
                               .type = JSON_TYPE,
                               .key = "k",
                               .trace = traces[i][0],
                               .body = GOOD };
        cr_assert_eq(ask(&r, &a), 202);
        const struct fake_asked *invoke = fake_nth(r.aws, "Invoke", i);
        cr_expect_str_eq(invoke->trace, traces[i][1]);
        cr_expect_str_eq(invoke->body, fake_nth(r.aws, "Invoke", 0)->body);
        cr_expect_str_eq(invoke->name, fake_nth(r.aws, "Invoke", 0)->name);
    }
    rig_release(&r);
}

Test(api, takes_a_base64_body)
{
    struct rig r;
    rig_init(&r, NULL);
    struct ask a = { .method = "POST",
                     .path = "/workflows",
                     .type = "Application/JSON; charset=utf-8",
                     .body = "eyJtZXNzYWdlIjoieCJ9",
                     .base64 = true };
    cr_assert_eq(ask(&r, &a), 202);
    cr_expect_str_eq(fake_nth(r.aws, "Invoke", 0)->body, "{\"message\":\"x\"}");
    rig_release(&r);
}

Test(api, keeps_the_prefix_of_a_stage)
{
    struct rig r;
    rig_init(&r, NULL);
    struct ask a = {
        .method = "POST", .path = "/v2/workflows", .stage = "v2", .type = JSON_TYPE, .body = GOOD
    };
    cr_assert_eq(ask(&r, &a), 202);
    cr_expect_eq(strncmp(header(&r, "location"), "/v2/workflows/launcher.1.", 25), 0);
    rig_release(&r);
}

static const struct {
    struct ask ask;
    int status;
    const char *pointer; /* of the first error; NULL: none */
} refused[] = {
    { { .method = "POST", .path = "/workflows", .type = "text/plain", .body = GOOD }, 415, NULL },
    { { .method = "POST",
        .path = "/workflows",
        .type = "application/json-patch+json",
        .body = GOOD },
      415,
      NULL },
    { { .method = "POST", .path = "/workflows", .body = GOOD }, 415, NULL },
    { { .method = "POST", .path = "/workflows", .type = JSON_TYPE }, 400, NULL },
    { { .method = "POST", .path = "/workflows", .type = JSON_TYPE, .body = "{" }, 400, NULL },
    { { .method = "POST", .path = "/workflows", .type = JSON_TYPE, .body = "{}x" }, 400, NULL },
    { { .method = "POST", .path = "/workflows", .type = JSON_TYPE, .body = "[]" }, 400, "" },
    { { .method = "POST", .path = "/workflows", .type = JSON_TYPE, .body = "{}" },
      400,
      "/pattern" },
    { { .method = "POST",
        .path = "/workflows",
        .type = JSON_TYPE,
        .body = "{\"pattern\":\"poll\"}" },
      400,
      "/pattern" },
    { { .method = "POST", .path = "/workflows", .type = JSON_TYPE, .body = "{\"message\":1}" },
      400,
      "/message" },
    { { .method = "POST",
        .path = "/workflows",
        .type = JSON_TYPE,
        .body = "{\"pattern\":\"callback\",\"task\":{\"taskDefinition\":\"x\"}}" },
      400,
      "/task/taskDefinition" },
    { { .method = "POST", .path = "/workflows", .type = JSON_TYPE, .body = GOOD, .key = "" },
      400,
      NULL },
    { { .method = "POST", .path = "/workflows", .type = JSON_TYPE, .body = GOOD, .key = "a\tb" },
      400,
      NULL },
    { { .method = "POST",
        .path = "/workflows",
        .type = JSON_TYPE,
        .body = GOOD,
        .key = "\xc3\xa9" },
      400,
      NULL },
    { { .method = "GET", .path = "/workflows" }, 405, NULL },
    { { .method = "POST", .path = "/workflows/" ID, .type = JSON_TYPE, .body = GOOD }, 405, NULL },
    { { .method = "DELETE", .path = "/workflows/" ID "/history" }, 405, NULL },
    { { .method = "GET", .path = "/" }, 404, NULL },
    { { .method = "GET", .path = "/workflowsx" }, 404, NULL },
    { { .method = "GET", .path = "/workflows/" }, 404, NULL },
    { { .method = "GET", .path = "/workflows/x" }, 404, NULL },
    { { .method = "GET", .path = "/workflows/other.1.n1." EXECUTION }, 404, NULL },
    { { .method = "GET", .path = "/workflows/launcher.live.n1." EXECUTION }, 404, NULL },
    { { .method = "GET", .path = "/workflows/%00" }, 404, NULL },
    { { .method = "GET", .path = "/workflows/" ID "/" }, 404, NULL },
    { { .method = "GET", .path = "/workflows/" ID "/events" }, 404, NULL },
    { { .method = "GET", .path = "/workflows/" ID "%2Fhistory" }, 404, NULL },
    { { .method = "GET", .path = "/workflows/" ID, .query = "wait=21" }, 400, NULL },
    { { .method = "GET", .path = "/workflows/" ID, .query = "wait=" }, 400, NULL },
    { { .method = "GET", .path = "/workflows/" ID, .query = "wait=-1" }, 400, NULL },
    { { .method = "GET", .path = "/workflows/" ID, .query = "include=" }, 400, NULL },
    { { .method = "GET", .path = "/workflows/" ID, .query = "include=tasks," }, 400, NULL },
    { { .method = "GET", .path = "/workflows/" ID, .query = "include=all" }, 400, NULL },
    { { .method = "GET", .path = "/workflows/" ID, .query = "include=progress" }, 400, NULL },
    { { .method = "GET", .path = "/workflows/" ID, .query = "wait=%zz" }, 400, NULL },
    { { .method = "GET", .path = "/workflows/" ID "/history", .query = "limit=1" }, 400, NULL },
    { { .method = "DELETE", .path = "/workflows/" ID, .query = "force=1" }, 400, NULL },
};

Test(api, refuses_with_a_problem_and_asks_nobody)
{
    struct rig r;
    rig_init(&r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        const struct ask *a = &refused[i].ask;
        cr_expect_eq(ask(&r, a), refused[i].status, "%s %s %s: %s", a->method, a->path,
                     a->body ? a->body : "", json_text(r.reply, NULL));
        cr_expect_str_eq(header(&r, "content-type"), "application/problem+json");
        cr_expect_eq(json_get_int(r.body, "status", 0), refused[i].status);
        cr_expect_not_null(json_get_str(r.body, "title"));
        cr_expect_not_null(json_get_str(r.body, "detail"));
        struct json_object *errors = json_get_arr(r.body, "errors");
        cr_expect_eq(!errors, !refused[i].pointer);
        if (errors && refused[i].pointer)
            cr_expect_str_eq(json_get_str(json_object_array_get_idx(errors, 0), "pointer"),
                             refused[i].pointer);
    }
    cr_expect_eq(r.aws->count, 0);
    rig_release(&r);
}

Test(api, refuses_a_command_where_it_is_switched_off)
{
    struct rig r;
    rig_init(&r, NULL);
    r.cfg.refuse_command = true;
    cr_expect_eq(post(&r, NULL, NULL, GOOD), 400);
    cr_expect_str_eq(
        json_get_str(json_object_array_get_idx(json_get_arr(r.body, "errors"), 0), "pointer"),
        "/task/command");
    cr_expect_eq(r.aws->count, 0);
    cr_expect_eq(post(&r, NULL, NULL, "{\"pattern\":\"callback\"}"), 202);
    rig_release(&r);
}

Test(api, names_what_is_allowed)
{
    struct rig r;
    rig_init(&r, NULL);
    cr_assert_eq(ask(&r, &(struct ask){ .method = "PUT", .path = "/workflows" }), 405);
    cr_expect_str_eq(header(&r, "allow"), "POST");
    cr_assert_eq(ask(&r, &(struct ask){ .method = "PUT", .path = "/workflows/" ID }), 405);
    cr_expect_str_eq(header(&r, "allow"), "GET, DELETE");
    rig_release(&r);
}

/* An account may have a smaller limit than the one that is checked here. */
Test(api, says_what_lambda_takes_for_too_large)
{
    static const struct fake_rule rules[] = {
        { "Invoke", 413,
          "{\"__type\":\"RequestTooLargeException\",\"message\":\"must be smaller than 262144\"}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, rules);
    cr_expect_eq(post(&r, NULL, NULL, GOOD), 413);
    cr_expect_not_null(strstr(json_get_str(r.body, "detail"), "more than Lambda takes"));
    rig_release(&r);
}

Test(api, refuses_what_is_too_large)
{
    struct rig r;
    rig_init(&r, NULL);
    auto_buf struct buf body = BUF_INIT(4U << 20);
    buf_add_str(&body, "{\"pattern\":\"callback\",\"input\":\"");
    for (size_t i = 0; i < 1100000; i++)
        buf_add_char(&body, 'x');
    buf_add_str(&body, "\"}");
    cr_expect_eq(post(&r, NULL, NULL, buf_str(&body)), 413);
    buf_reset(&body);
    buf_add_str(&body, "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"BIG\":\"");
    for (size_t i = 0; i < 8000; i++)
        buf_add_char(&body, 'x');
    buf_add_str(&body, "\"}}}");
    cr_expect_eq(post(&r, NULL, NULL, buf_str(&body)), 400);
    cr_expect_str_eq(
        json_get_str(json_object_array_get_idx(json_get_arr(r.body, "errors"), 0), "pointer"),
        "/task/environment/BIG");
    char key[300];
    memset(key, 'k', sizeof(key));
    key[256] = '\0';
    cr_expect_eq(post(&r, key, NULL, GOOD), 400);
    cr_expect_eq(r.aws->count, 0);
    rig_release(&r);
}

Test(api, tells_what_lambda_answers)
{
    static const struct {
        struct fake_rule rules[2];
        int status;
    } table[] = {
        { { { "Invoke", 409, "{\"__type\":\"DurableExecutionAlreadyStartedException\"}" } }, 409 },
        { { { "Invoke", 429, "{\"__type\":\"TooManyRequestsException\"}" } }, 503 },
        { { { "Invoke", 500, "{\"__type\":\"ServiceException\"}" } }, 503 },
        { { { "Invoke", 0, "" } }, 503 },
        { { { "Invoke", 403, "{\"__type\":\"AccessDeniedException\",\"message\":\"role x\"}" } },
          500 },
        { { { "Invoke", 404, "{\"__type\":\"ResourceNotFoundException\"}" } }, 500 },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rig r;
        rig_init(&r, table[i].rules);
        cr_expect_eq(post(&r, "k", NULL, GOOD), table[i].status, "case %zu", i);
        cr_expect_eq(!header(&r, "retry-after"), table[i].status != 503);
        cr_expect_null(strstr(json_text(r.body, NULL), "role x"));
        rig_release(&r);
    }
}

Test(api, shows_status_result_and_error)
{
    static const struct fake_rule rules[] = {
        { "Execution", 200, RUNNING },
        { "Execution", 200,
          "{\"Status\":\"SUCCEEDED\",\"StartTimestamp\":1764700000.1,\"EndTimestamp\":1764700003,"
          "\"Result\":\"{\\\"a\\\":1}\"}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, rules);
    cr_assert_eq(get(&r, "/workflows/" ID, NULL), 200);
    cr_expect_str_eq(json_text(r.body, NULL),
                     "{\"id\":\"" ID "\",\"status\":\"RUNNING\",\"startedAt\":"
                     "\"2025-12-02T18:26:40.100Z\"}");
    r.slept_ms += API_FRESH_MS; /* what runs is not asked for again at once */
    cr_assert_eq(get(&r, "/workflows/" ID, NULL), 200);
    cr_expect_str_eq(json_text(r.body, NULL),
                     "{\"id\":\"" ID "\",\"status\":\"SUCCEEDED\",\"startedAt\":\"2025-12-02T18:26:"
                     "40.100Z\",\"endedAt\":\"2025-12-02T18:26:43.000Z\",\"result\":{\"a\":1}}");
    cr_assert_eq(get(&r, "/workflows/" ID, NULL), 200);
    cr_expect_eq(fake_count(r.aws, "Execution"), 2, "what is closed is not asked for again");
    auto_free char *path = mem_printf(
        "/2025-12-01/durable-executions/arn%%3Aaws%%3Alambda%%3Aus-east-1%%3A123456789012%%3A"
        "function%%3Alauncher%%3A1%%2Fdurable-execution%%2Fn1%%2F%s",
        EXECUTION);
    cr_expect_eq(strncmp(fake_nth(r.aws, "Execution", 0)->path, path, strlen(path)), 0);
    rig_release(&r);
}

Test(api, turns_every_end_into_a_document)
{
    static const struct {
        const char *execution;
        const char *doc;
    } table[] = {
        { "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"Task.Signal\",\"ErrorMessage\":\"m\","
          "\"ErrorData\":\"{\\\"exitCode\\\":137}\",\"StackTrace\":[\"s\"]}}",
          "{\"id\":\"i\",\"status\":\"FAILED\",\"error\":{\"type\":\"Task.Signal\",\"message\":"
          "\"m\","
          "\"data\":{\"exitCode\":137},\"stackTrace\":[\"s\"]}}" },
        { "{\"Status\":\"FAILED\",\"Error\":{\"ErrorData\":\"plain\"}}",
          "{\"id\":\"i\",\"status\":\"FAILED\",\"error\":{\"data\":\"plain\"}}" },
        { "{\"Status\":\"STOPPED\",\"Error\":{\"ErrorType\":\"Workflow.Stopped\"}}",
          "{\"id\":\"i\",\"status\":\"STOPPED\",\"error\":{\"type\":\"Workflow.Stopped\"}}" },
        { "{\"Status\":\"TIMED_OUT\"}", "{\"id\":\"i\",\"status\":\"TIMED_OUT\",\"error\":{"
                                        "\"type\":\"Workflow.Timeout\",\"message\":"
                                        "\"the execution timeout has passed\"}}" },
        { "{\"Status\":\"SUCCEEDED\",\"Result\":\"\"}", "{\"id\":\"i\",\"status\":\"SUCCEEDED\"}" },
        { "{\"Status\":\"SUCCEEDED\",\"Result\":\"null\"}",
          "{\"id\":\"i\",\"status\":\"SUCCEEDED\",\"result\":null}" },
        { "{\"Status\":\"SUCCEEDED\",\"Result\":\"not json\",\"StartTimestamp\":1e300}",
          "{\"id\":\"i\",\"status\":\"SUCCEEDED\",\"result\":\"not json\"}" },
        { "{}", "{\"id\":\"i\",\"status\":\"UNKNOWN\"}" },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct error err;
        auto_json struct json_object *execution = NULL;
        cr_assert_eq(json_parse_str(table[i].execution, &execution, &err), 0);
        auto_json struct json_object *doc = api_status_doc("i", execution);
        cr_expect_str_eq(json_text(doc, NULL), table[i].doc);
    }
}

Test(api, waits_for_the_end)
{
    static const struct fake_rule rules[] = {
        { "Execution", 200, RUNNING },
        { "Execution", 429, "{\"__type\":\"TooManyRequestsException\"}" },
        { "Execution", 429, "{\"__type\":\"TooManyRequestsException\"}" },
        { "Execution", 200, "{\"Status\":\"SUCCEEDED\",\"Result\":\"1\"}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, rules);
    cr_assert_eq(get(&r, "/workflows/" ID, "wait=10"), 200);
    cr_expect_str_eq(json_get_str(r.body, "status"), "SUCCEEDED");
    cr_expect_eq(fake_count(r.aws, "Execution"), 4);
    rig_release(&r);
}

Test(api, waits_no_longer_than_asked)
{
    static const struct fake_rule rules[] = { { "Execution", 200, RUNNING }, { NULL, 0, NULL } };
    struct rig r;
    rig_init(&r, rules);
    int64_t began_ms = clock_mono_ms(&r.clock);
    cr_assert_eq(get(&r, "/workflows/" ID, "wait=1"), 200);
    cr_expect_geq(clock_mono_ms(&r.clock) - began_ms, 950);
    cr_expect_leq(r.slept_ms, 1000);
    cr_expect_str_eq(json_get_str(r.body, "status"), "RUNNING");
    cr_expect_leq(fake_count(r.aws, "Execution"), 6);
    rig_release(&r);
}

Test(api, says_later_when_throttled_and_gone_when_unknown)
{
    static const struct fake_rule throttled[] = {
        { "Execution", 429, "{\"__type\":\"TooManyRequestsException\"}" }, { NULL, 0, NULL }
    };
    static const struct fake_rule unknown[] = {
        { "Execution", 404, "{\"__type\":\"ResourceNotFoundException\"}" }, { NULL, 0, NULL }
    };
    struct rig r;
    rig_init(&r, throttled);
    cr_expect_eq(get(&r, "/workflows/" ID, NULL), 503);
    cr_expect_str_eq(header(&r, "retry-after"), "2");
    rig_release(&r);
    rig_init(&r, unknown);
    cr_expect_eq(get(&r, "/workflows/" ID, NULL), 404);
    rig_release(&r);
}

Test(api, leaves_callback_ids_out_of_the_history)
{
    static const struct fake_rule rules[] = {
        { "History", 200,
          "{\"Events\":[{\"EventType\":\"ExecutionStarted\",\"ExecutionStartedDetails\":{\"Input\":"
          "{"
          "\"Payload\":\"{}\"}}},{\"EventType\":\"CallbackStarted\",\"CallbackStartedDetails\":{"
          "\"CallbackId\":\"secret\",\"Timeout\":3}},{\"X\":[[{\"CallbackId\":{\"a\":\"secret\"}}]]"
          "}],"
          "\"NextMarker\":\"a/b=\"}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, rules);
    cr_assert_eq(get(&r, "/workflows/" ID "/history", "marker=x%2By"), 200);
    cr_expect_null(strstr(json_text(r.reply, NULL), "secret"));
    cr_expect_eq(json_object_array_length(json_get_arr(r.body, "events")), 3);
    cr_expect_not_null(strstr(json_text(r.body, NULL), "\"Timeout\":3"));
    cr_expect_str_eq(json_get_str(r.body, "nextUrl"), "/workflows/" ID "/history?marker=a%2Fb%3D");
    cr_expect_not_null(strstr(fake_nth(r.aws, "History", 0)->path, "Marker=x%2By"));
    cr_expect_not_null(strstr(fake_nth(r.aws, "History", 0)->path, "IncludeExecutionData=true"));
    rig_release(&r);
}

Test(api, refuses_a_marker_that_lambda_does_not_know)
{
    static const struct fake_rule rules[] = {
        { "History", 400,
          "{\"__type\":\"InvalidParameterValueException\",\"message\":\"Invalid Marker\"}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, rules);
    cr_expect_eq(get(&r, "/workflows/" ID "/history", "marker=x"), 400);
    cr_expect_eq(get(&r, "/workflows/" ID "/history", ""), 500, "none was given");
    rig_release(&r);
}

Test(api, stops_the_execution_and_its_tasks)
{
    static const struct fake_rule rules[] = {
        { "ListTasks", 200, "{\"taskArns\":[\"arn:t1\",\"arn:t2\"]}" },
        { "StopTask", 400,
          "{\"__type\":\"InvalidParameterException\",\"message\":\"The referenced task was not "
          "found.\"}" },
        { "StopTask", 200, "{\"task\":{}}" },
        { "Execution", 200, "{\"Status\":\"STOPPED\"}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, rules);
    const struct ask a = { .method = "DELETE", .path = "/workflows/" ID };
    cr_assert_eq(ask(&r, &a), 200);
    cr_expect_str_eq(json_get_str(r.body, "status"), "STOPPED");
    cr_expect_not_null(strstr(fake_nth(r.aws, "Stop", 0)->body, "Workflow.Stopped"));
    cr_expect_not_null(
        strstr(fake_nth(r.aws, "ListTasks", 0)->body, "\"startedBy\":\"durable/" EXECUTION "\""));
    cr_expect_eq(fake_count(r.aws, "StopTask"), 2);
    cr_assert_eq(ask(&r, &a), 200);
    cr_expect_eq(fake_count(r.aws, "StopTask"), 4, "tasks may outlive their workflow");
    rig_release(&r);
}

Test(api, stops_tasks_of_a_closed_execution_that_cannot_be_stopped)
{
    static const struct fake_rule rules[] = {
        { "Stop", 400, "{\"__type\":\"InvalidParameterValueException\",\"message\":\"closed\"}" },
        { "ListTasks", 200, "{\"taskArns\":[\"arn:t1\"]}" },
        { "Execution", 200, "{\"Status\":\"SUCCEEDED\",\"Result\":\"1\"}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, rules);
    cr_assert_eq(ask(&r, &(struct ask){ .method = "DELETE", .path = "/workflows/" ID }), 200);
    cr_expect_str_eq(json_get_str(r.body, "status"), "SUCCEEDED");
    cr_expect_eq(fake_count(r.aws, "StopTask"), 1);
    rig_release(&r);
}

Test(api, refuses_events_of_another_kind)
{
    static const char *const events[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"httpMethod\":\"GET\",\"path\":\"/\"}",
        ("{\"rawPath\":\"/"
         "\",\"requestContext\":{\"http\":{\"method\":\"GET\"}},\"isBase64Encoded\":"
         "true,\"body\":\"%\"}"),
    };
    struct rig r;
    rig_init(&r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        struct error err = { 0 };
        auto_buf struct buf response = BUF_INIT(1000);
        const struct lambda_invocation inv = { .function_arn = INVOKE_ARN,
                                               .payload = events[i],
                                               .payload_len = strlen(events[i]) };
        cr_expect_eq(api_handle(&inv, &r.tools, &response, &err), -1, "%s", events[i]);
    }
    rig_release(&r);
}

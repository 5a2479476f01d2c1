#include "launcher/api.h"

#include <criterion/criterion.h>

#include "tests/unit/launcher/fake_aws.h"

#include "shared/base/json.h"

#define EXECUTION  "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
#define ID         "launcher.1.n1." EXECUTION
#define RUNNING    "{\"Status\":\"RUNNING\",\"StartTimestamp\":1764700000.1}"
#define GOOD       "{\"pattern\":\"callback\",\"task\":{\"command\":[\"a\"]},\"input\":{\"b\":1,\"a\":2}}"
#define JSON_TYPE  "application/json"
#define INVOKE_ARN "arn:aws:lambda:us-east-1:123456789012:function:api"

/* The API function with its surroundings. */
struct rig {
    struct fake_aws *aws;
    struct config cfg;
    struct aws_options options;
    struct api_tools tools;
    struct json_object *reply; /* of the last request */
    struct json_object *body;
};

static char *allowed[] = { NULL };

static void rig_init(struct rig *r, const struct fake_rule *rules)
{
    *r = (struct rig){ .aws = fake_start(rules) };
    r->cfg = (struct config){ .handler = CONFIG_API,
                              .cluster = mem_dup("local"),
                              .container = mem_dup("job"),
                              .workflow_function = mem_dup("launcher:live"),
                              .function_name = "launcher",
                              .allowed = allowed,
                              .subnets = allowed,
                              .security_groups = allowed,
                              .capacity_providers = allowed };
    r->tools = (struct api_tools){ .cfg = &r->cfg,
                                   .aws = fake_client(r->aws, &r->options),
                                   .cache = api_cache_new(4, 1U << 20),
                                   .clock = clock_system() };
}

static void rig_release(struct rig *r)
{
    json_object_put(r->reply);
    json_object_put(r->body);
    api_cache_free(r->tools.cache);
    fake_client_free(r->tools.aws, &r->options);
    free(r->cfg.cluster);
    free(r->cfg.container);
    free(r->cfg.workflow_function);
    fake_stop(r->aws);
}

struct ask {
    const char *method;
    const char *path;
    const char *query;
    const char *type; /* Content-Type */
    const char *key;  /* Idempotency-Key */
    const char *caller;
    const char *stage;
    const char *body;
    bool base64;
};

static struct json_object *event_of(const struct ask *a)
{
    struct json_object *event = json_object_new_object();
    struct json_object *context = json_object_new_object();
    struct json_object *http = json_object_new_object();
    struct json_object *headers = json_object_new_object();
    struct json_object *iam = json_object_new_object();
    struct json_object *authorizer = json_object_new_object();
    json_add_str(event, "version", "2.0");
    json_add_str(event, "rawPath", a->path);
    json_add_str(event, "rawQueryString", a->query ? a->query : "");
    json_add_str(headers, "content-type", a->type);
    json_add_str(headers, "idempotency-key", a->key);
    json_add(event, "headers", headers);
    json_add_str(http, "method", a->method);
    json_add(context, "http", http);
    json_add_str(context, "stage", a->stage ? a->stage : "$default");
    json_add_str(iam, "userArn", a->caller);
    json_add(authorizer, "iam", iam);
    json_add(context, "authorizer", authorizer);
    json_add(event, "requestContext", context);
    json_add_str(event, "body", a->body);
    json_add_bool(event, "isBase64Encoded", a->base64);
    return event;
}

/* Asks and gives the status; reply and body (NULL where it is not JSON) stay in the rig. */
static int ask(struct rig *r, const struct ask *a)
{
    struct error err = { 0 };
    auto_json struct json_object *event = event_of(a);
    auto_buf struct buf response = BUF_INIT(8U << 20);
    size_t len;
    const char *text = json_text(event, &len);
    const struct lambda_invocation inv = { .request_id = "r",
                                           .function_arn = INVOKE_ARN,
                                           .trace_id = "",
                                           .deadline_ms = clock_wall_ms(clock_system()) + 30000,
                                           .payload = text,
                                           .payload_len = len };
    cr_assert_eq(api_handle(&inv, &r->tools, &response, &err), 0, "%s", err.msg);
    json_put_ptr(&r->reply);
    json_put_ptr(&r->body);
    cr_assert_eq(json_parse(buf_str(&response), response.len, JSON_DEPTH, &r->reply, &err), 0);
    cr_assert_eq(json_parse_str(json_get_str(r->reply, "body"), &r->body, &err), 0);
    cr_expect(!json_get_bool(r->reply, "isBase64Encoded", true));
    return (int)json_get_int(r->reply, "statusCode", 0);
}

static const char *header(const struct rig *r, const char *name)
{
    return json_get_str(json_get_obj(r->reply, "headers"), name);
}

static int post(struct rig *r, const char *key, const char *caller, const char *body)
{
    return ask(r, &(struct ask){ .method = "POST",
                                 .path = "/workflows",
                                 .type = JSON_TYPE,
                                 .key = key,
                                 .caller = caller,
                                 .body = body });
}

static int get(struct rig *r, const char *path, const char *query)
{
    return ask(r, &(struct ask){ .method = "GET", .path = path, .query = query });
}

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
        .body = "{\"pattern\":\"sync\"}" },
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
    { { .method = "GET", .path = "/workflows/" ID, .query = "include=tasks" }, 400, NULL },
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
    int64_t began_ms = clock_mono_ms(clock_system());
    cr_assert_eq(get(&r, "/workflows/" ID, "wait=1"), 200);
    int64_t took_ms = clock_mono_ms(clock_system()) - began_ms;
    cr_expect(took_ms >= 950 && took_ms < 3000, "%lld", (long long)took_ms);
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

/* What tests order from the real local-aws, and its HTTP API, without any function. */
#include <criterion/criterion.h>
#include <string.h>

#include "shared/base/httpd.h"
#include "tests/integration/local_rig.h"

/* ---- faults -----------------------------------------------------------------------------------*/

static void fault(struct local_rig *r, const char *json, int status)
{
    auto_answer struct api_answer a = { 0 };
    cr_assert_eq(api_send(r->local, "POST", "/_local/faults", NULL, json, &a, NULL), 0);
    cr_assert_eq(a.status, status, "%s: %s", json, a.text);
}

/* RunTask whose answer gets lost; sent once, however the connection ends. */
static void run_and_lose(struct local_rig *r, const char *body)
{
    static const struct http_header headers[] = {
        { "Content-Type", "application/x-amz-json-1.1" },
        { "X-Amz-Target", "AmazonEC2ContainerServiceV20141113.RunTask" },
        { NULL, NULL },
    };
    const struct aws_call call = { .service = AWS_ECS,
                                   .method = "POST",
                                   .path = "/",
                                   .headers = headers,
                                   .body = body,
                                   .body_len = strlen(body),
                                   .attempts = 1 };
    struct error err = { 0 };
    auto_response struct http_response resp = { 0 };
    cr_assert_eq(aws_send(r->aws, &call, &resp, &err), -1);
    cr_assert_eq(err.code, ERR_NET, "%s", err.msg);
}

static size_t count_tasks(struct local_rig *r)
{
    auto_json struct json_object *o = local_rig_must(r, "ListTasks", "{\"cluster\":\"local\"}");
    return json_object_array_length(json_get_arr(o, "taskArns"));
}

Test(local_http, fails_as_it_is_told)
{
    static const char body[] =
        "{\"cluster\":\"local\",\"taskDefinition\":\"job\",\"clientToken\":\"x\",\"overrides\":{"
        "\"containerOverrides\":[{\"name\":\"job\",\"command\":[\"/bin/sleep\",\"300\"]}]}}";
    struct local_rig r;
    local_rig_begin(&r);
    struct error err = { 0 };
    auto_json struct json_object *out = NULL;
    fault(&r,
          "{\"operation\":\"RunTask\",\"action\":\"error\",\"status\":429,\"code\":"
          "\"ThrottlingException\",\"message\":\"Rate exceeded\",\"retryAfterSeconds\":2}",
          201);
    cr_assert_eq(local_rig_ecs(&r, "RunTask", body, &out, &err), -1);
    cr_assert_str_eq(err.type, "ThrottlingException");
    cr_assert_eq(err.detail, 429);
    cr_assert_eq(aws_retry_after_ms(r.aws), 2000);
    cr_assert_eq(count_tasks(&r), 0, "an error comes instead of the effect");

    fault(&r, "{\"operation\":\"RunTask\",\"action\":\"drop\"}", 201);
    run_and_lose(&r, body);
    cr_assert_eq(count_tasks(&r), 1, "a lost answer comes after the effect");

    fault(&r, "{\"operation\":\"*\",\"action\":\"delay\",\"delayMs\":200}", 201);
    int64_t before = clock_mono_ms(clock_system());
    json_object_put(local_rig_must(&r, "RunTask", body));
    cr_assert_geq(clock_mono_ms(clock_system()) - before, 200);
    cr_assert_eq(count_tasks(&r), 1);

    fault(&r, "{\"operation\":\"*\",\"action\":\"drop\",\"times\":-1}", 201);
    auto_answer struct api_answer a = { 0 };
    cr_assert_eq(api_send(r.local, "DELETE", "/_local/faults", NULL, NULL, &a, NULL), 0);
    cr_assert_eq(a.status, 204);
    cr_assert_eq(count_tasks(&r), 1);
    fault(&r, "{\"operation\":\"RunTask\",\"action\":\"explode\"}", 400);

    cr_assert_eq(
        api_send(r.local, "GET", "/_local/requests?operation=RunTask", NULL, NULL, &a, NULL), 0);
    struct json_object *list = json_get_arr(a.json, "requests");
    static const int statuses[] = { 429, 0, 200 };
    cr_assert_eq(json_object_array_length(list), ARRAY_LEN(statuses), "%s", a.text);
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        cr_assert_eq(json_get_int(item, "status", -1), statuses[i]);
        cr_assert_str_eq(json_get_str(item, "body"), body);
        cr_assert_str_eq(json_get_str(item, "service"), "ecs");
    }
    local_rig_end(&r);
}

Test(local_http, takes_orders_from_programs_only)
{
    static const struct {
        const char *name, *value;
        int status;
    } cases[] = {
        { "Content-Type", "text/plain", 415 },
        { "Content-Type", "application/octet-stream", 415 },
        { "Origin", "http://localhost:3000", 403 },
        { "Host", "evil.example", 403 },
    };
    struct local_rig r;
    local_rig_begin(&r);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct http_header headers[] = { { cases[i].name, cases[i].value }, { NULL, NULL } };
        auto_answer struct api_answer a = { 0 };
        cr_assert_eq(api_send(r.local, "POST", "/_local/faults", headers,
                              "{\"operation\":\"*\",\"action\":\"drop\"}", &a, NULL),
                     0);
        cr_assert_eq(a.status, cases[i].status, "%s: %s", cases[i].value, a.text);
    }
    cr_assert_eq(count_tasks(&r), 0, "and no fault was ordered");
    local_rig_end(&r);
}

/* ---- the HTTP API -----------------------------------------------------------------------------*/

static void add_header(void *arg, const char *name, const char *value)
{
    json_add_str(arg, name, value);
}

/* Answers with what it was sent. */
static void echo(struct httpd_request *req, void *arg)
{
    (void)arg;
    static const struct httpd_header headers[] = {
        { "X-Answer", "yes" }, { "Retry-After", "7" }, { "Location", "/elsewhere" }, { NULL, NULL }
    };
    auto_json struct json_object *o = json_object_new_object();
    struct json_object *list = json_object_new_object();
    size_t len;
    json_add_str(o, "method", httpd_method(req));
    json_add_str(o, "path", httpd_path(req));
    json_add_str(o, "query", httpd_query(req));
    json_add_str(o, "body", httpd_body(req, &len));
    httpd_each_header(req, add_header, list);
    json_add(o, "headers", list);
    const char *text = json_text(o, &len);
    httpd_reply(req, 202, "application/problem+json", text, len, headers);
}

Test(local_http, passes_requests_on_to_a_server)
{
    struct local_rig r;
    struct error err = { 0 };
    const struct httpd_config cfg = {
        .listen = "127.0.0.1:0", .threads = 1, .max_body = 11 << 20, .handler = echo
    };
    struct httpd *target = httpd_start(&cfg, &err);
    cr_assert_not_null(target, "%s", err.msg);
    local_rig_begin_with(&r, httpd_port(target));
    const struct http_header headers[] = {
        { "Authorization", "Bearer v1.x" },
        { "Content-Type", "application/x-www-form-urlencoded" },
        { "X-Forwarded-For", "192.0.2.9" },
        { "Connection", "close, X-Private" },
        { "X-Private", "1" },
        { "X-Public", "2" },
        { NULL, NULL },
    };
    auto_answer struct api_answer a = { 0 };
    cr_assert_eq(api_send(r.http, "POST", "/v1/callbacks/a%2Fb/success?x=%20y", headers,
                          "{\"ok\":true}", &a, &err),
                 0, "%s", err.msg);
    cr_assert_eq(a.status, 202, "%s", a.text);
    cr_assert_str_eq(a.type, "application/problem+json");
    cr_assert_str_eq(json_get_str(a.json, "method"), "POST");
    cr_assert_str_eq(json_get_str(a.json, "path"), "/v1/callbacks/a%2Fb/success");
    cr_assert_str_eq(json_get_str(a.json, "query"), "x=%20y");
    cr_assert_str_eq(json_get_str(a.json, "body"), "{\"ok\":true}");
    struct json_object *got = json_get_obj(a.json, "headers");
    cr_assert_str_eq(json_get_str(got, "Authorization"), "Bearer v1.x");
    cr_assert_str_eq(json_get_str(got, "Content-Type"), "application/x-www-form-urlencoded");
    cr_assert_str_eq(json_get_str(got, "X-Forwarded-For"), "192.0.2.9, 127.0.0.1");
    cr_assert_str_eq(json_get_str(got, "X-Forwarded-Proto"), "http");
    cr_assert_not_null(json_get_str(got, "X-Forwarded-Host"));
    cr_assert_str_eq(json_get_str(got, "X-Public"), "2");
    cr_assert_null(json_get(got, "X-Private"));
    auto_answer struct api_answer get = { 0 };
    cr_assert_eq(api_send(r.http, "GET", "/v1/callbacks/x", NULL, NULL, &get, &err), 0);
    cr_assert_eq(get.status, 202, "the server judges who may read");
    httpd_stop(target);
    auto_answer struct api_answer away = { 0 };
    cr_assert_eq(api_send(r.http, "GET", "/v1/callbacks/x", NULL, NULL, &away, &err), 0);
    cr_assert_eq(away.status, 503, "%s", away.text);
    local_rig_end(&r);
}

Test(local_http, refuses_what_a_web_page_could_send)
{
    static const struct {
        const char *method, *path, *name, *value;
        int status;
    } cases[] = {
        { "GET", "/elsewhere", "X-Any", "1", 404 },
        { "GET", "/v1/callbacks/../x", "X-Any", "1", 404 },
        { "POST", "/v1/callbacks/x/success", "X-Any", "1", 401 },
        { "DELETE", "/v1/callbacks/x", "X-Any", "1", 401 },
        { "POST", "/v1/callbacks/x/success", "Origin", "http://evil.example", 403 },
        { "GET", "/v1/callbacks/x", "Origin", "null", 403 },
        { "GET", "/v1/callbacks/x", "Host", "evil.example", 403 },
        { "GET", "/v1/callbacks/x", "Host", "127.0.0.1.evil.example:80", 403 },
        { "GET", "/v1/callbacks/x", "Host", "localhost", 503 },
    };
    struct local_rig r;
    struct error err = { 0 };
    local_rig_begin(&r);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct http_header headers[] = { { cases[i].name, cases[i].value }, { NULL, NULL } };
        auto_answer struct api_answer a = { 0 };
        cr_assert_eq(api_send(r.http, cases[i].method, cases[i].path, headers, NULL, &a, &err), 0,
                     "%s", err.msg);
        cr_assert_eq(a.status, cases[i].status, "%s %s %s: %d %s", cases[i].method, cases[i].path,
                     cases[i].value, a.status, a.text);
        cr_assert_not_null(json_get_str(a.json, "message"));
    }
    const struct http_header bearer[] = { { "Authorization", "Bearer x" }, { NULL, NULL } };
    size_t len = (10U << 20) + 1;
    auto_free char *big = mem_alloc(len + 1);
    memset(big, 'x', len);
    auto_answer struct api_answer a = { 0 };
    cr_assert_eq(api_send(r.http, "POST", "/v1/callbacks/x/success", bearer, big, &a, &err), 0,
                 "%s", err.msg);
    cr_assert_eq(a.status, 413);
    local_rig_end(&r);
}

#include "local/gateway_event.h"

#include <criterion/criterion.h>
#include <string.h>

static struct config *config(void)
{
    static const char text[] = "{\"credentials\":{\"test\":\"test\"},"
                               "\"functions\":{\"api\":{\"command\":[\"/x\"]}},"
                               "\"httpApi\":[{\"path\":\"/workflows\",\"function\":\"api\"},"
                               "{\"path\":\"/v1/callbacks\",\"proxy\":\"http://127.0.0.1:1\"},"
                               "{\"path\":\"/v1/callbacks/special/\",\"function\":\"api\"}]}";
    struct config *c = config_parse(text, strlen(text), "test", NULL);
    cr_assert_not_null(c);
    return c;
}

Test(gateway, takes_the_longest_path_that_ends_with_a_segment)
{
    static const struct {
        const char *path;
        const char *route;
    } cases[] = {
        { "/workflows", "/workflows" },
        { "/workflows/", "/workflows" },
        { "/workflows/a.b/history", "/workflows" },
        { "/workflowsx", NULL },
        { "/workflow", NULL },
        { "/", NULL },
        { "", NULL },
        { "/v1/callbacks/x%2Fy/success", "/v1/callbacks" },
        { "/v1/callbacks/special/x", "/v1/callbacks/special/" },
        { "/v1/callbacks/special", "/v1/callbacks/special/" },
        { "/v1/callbacks/specials", "/v1/callbacks" },
        { "/v1", NULL },
        { "/v1/callbacks/../../metrics", NULL },
        { "/v1/callbacks/%2e%2E/x", NULL },
        { "/v1/callbacks/./x", NULL },
        { "/v1/callbacks/a..b", "/v1/callbacks" },
        { "/v1/callbacks//x", "/v1/callbacks" },
    };
    struct config *c = config();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct config_route *r = gateway_route(c, cases[i].path);
        if (cases[i].route)
            cr_assert(r && strcmp(r->path, cases[i].route) == 0, "%s", cases[i].path);
        else
            cr_assert_null(r, "%s", cases[i].path);
    }
    config_free(c);
}

static struct json_object *event(const char *path, const char *query,
                                 const struct httpd_header *headers, const char *body)
{
    static const struct httpd_header none[] = { { NULL, NULL } };
    const struct gateway_request g = { .method = "POST",
                                       .path = path,
                                       .query = query,
                                       .headers = headers ? headers : none,
                                       .body = body,
                                       .body_len = strlen(body),
                                       .source_ip = "127.0.0.1",
                                       .account_id = "123456789012",
                                       .route_path = "/workflows",
                                       .request_id = "JKJaXmPLvHcESHA=",
                                       .port = 8080,
                                       .time_ms = 1583348638390 };
    auto_buf struct buf out = BUF_INIT(1 << 20);
    struct json_object *o = NULL;
    if (gateway_event(&g, &out, NULL) < 0)
        return NULL;
    cr_assert_eq(json_parse_str(buf_str(&out), &o, NULL), 0);
    return o;
}

Test(gateway, makes_an_event_of_format_2_0)
{
    static const struct httpd_header headers[] = {
        { "Host", "localhost:8080" },
        { "Content-Type", "application/json; charset=utf-8" },
        { "User-Agent", "agent" },
        { "X-Many", "1" },
        { "Cookie", "a=1; b=2" },
        { "x-many", "2" },
        { "X-Forwarded-For", "192.0.2.1" },
        { "X-Forwarded-Proto", "https" },
        { NULL, NULL },
    };
    auto_json struct json_object *e =
        event("/workflows/a%20b/history", "wait=5&x=a+b&x=%26&flag", headers, "{\"a\":1}");
    static const char expected[] =
        "{\"body\":\"{\\\"a\\\":1}\",\"cookies\":[\"a=1\",\"b=2\"],\"isBase64Encoded\":false,"
        "\"pathParameters\":{\"proxy\":\"a b/history\"},"
        "\"queryStringParameters\":{\"flag\":\"\",\"wait\":\"5\",\"x\":\"a b,&\"},"
        "\"rawPath\":\"/workflows/a b/history\",\"rawQueryString\":\"wait=5&x=a+b&x=%26&flag\","
        "\"requestContext\":{\"accountId\":\"123456789012\",\"apiId\":\"local\","
        "\"domainName\":\"localhost\",\"domainPrefix\":\"localhost\",\"http\":{\"method\":\"POST\","
        "\"path\":\"/workflows/a b/history\",\"protocol\":\"HTTP/1.1\",\"sourceIp\":\"127.0.0.1\","
        "\"userAgent\":\"agent\"},\"requestId\":\"JKJaXmPLvHcESHA=\","
        "\"routeKey\":\"ANY /workflows/{proxy+}\",\"stage\":\"$default\","
        "\"time\":\"04/Mar/2020:19:03:58 +0000\",\"timeEpoch\":1583348638390},"
        "\"routeKey\":\"ANY /workflows/{proxy+}\",\"version\":\"2.0\"}";
    struct json_object *h = json_get_obj(e, "headers");
    cr_assert_str_eq(json_get_str(h, "x-many"), "1,2");
    cr_assert_str_eq(json_get_str(h, "x-forwarded-for"), "192.0.2.1,127.0.0.1");
    cr_assert_str_eq(json_get_str(h, "x-forwarded-proto"), "http");
    cr_assert_str_eq(json_get_str(h, "content-length"), "7");
    cr_assert_null(json_get(h, "cookie"));
    cr_assert_eq(strncmp(json_get_str(h, "x-amzn-trace-id"), "Root=1-5e5ffb9e-", 16), 0);
    json_object_object_del(e, "headers");
    auto_buf struct buf text = BUF_INIT(1 << 20);
    json_canonical(&text, e);
    cr_assert_str_eq(buf_str(&text), expected, "%s", buf_str(&text));
}

Test(gateway, leaves_out_what_a_request_does_not_have)
{
    auto_json struct json_object *e = event("/workflows", "", NULL, "");
    cr_assert_null(json_get(e, "body"));
    cr_assert_null(json_get(e, "cookies"));
    cr_assert_null(json_get(e, "queryStringParameters"));
    cr_assert_null(json_get(e, "pathParameters"));
    cr_assert_not(json_get_bool(e, "isBase64Encoded", true));
    cr_assert_str_eq(json_get_str(e, "rawQueryString"), "");
    cr_assert_str_eq(json_get_str(e, "routeKey"), "ANY /workflows");
}

Test(gateway, sends_what_is_not_text_as_base64)
{
    static const struct httpd_header form[] = {
        { "Content-Type", "application/x-www-form-urlencoded" }, { NULL, NULL }
    };
    static const struct httpd_header json[] = { { "Content-Type", "application/json" },
                                                { NULL, NULL } };
    auto_json struct json_object *a = event("/workflows", "", form, "a=1");
    cr_assert(json_get_bool(a, "isBase64Encoded", false));
    cr_assert_str_eq(json_get_str(a, "body"), "YT0x");
    auto_json struct json_object *b = event("/workflows", "", json, "\xff");
    cr_assert(json_get_bool(b, "isBase64Encoded", false));
    cr_assert_str_eq(json_get_str(b, "body"), "/w==");
}

Test(gateway, survives_bytes_that_are_no_text)
{
    static const struct httpd_header headers[] = { { "X-Odd", "a\xff" }, { NULL, NULL } };
    auto_json struct json_object *e = event("/workflows", "%ff=%fe&\xff", headers, "");
    cr_assert_str_eq(json_get_str(json_get_obj(e, "headers"), "x-odd"), "a\xef\xbf\xbd");
    cr_assert_null(event("/workflows/%zz", "", NULL, ""));
    cr_assert_null(event("/workflows/%ff", "", NULL, ""));
    cr_assert_null(event("/workflows/%00", "", NULL, ""));
    cr_assert_null(event("/workflows", "a=%0", NULL, ""));
}

Test(gateway, decodes_what_a_function_answers)
{
    static const struct {
        const char *payload;
        int status; /* 0: refused */
        const char *type;
        const char *body;
        const char *header; /* "name: value" of the first, or NULL */
    } cases[] = {
        { "{\"statusCode\":202,\"headers\":{\"Content-Type\":\"application/json\","
          "\"Location\":\"/workflows/x\",\"Content-Length\":\"99\"},\"body\":\"{}\"}",
          202, "application/json", "{}", "Location: /workflows/x" },
        { "{\"statusCode\":204}", 204, "text/plain; charset=utf-8", "", NULL },
        { "{\"statusCode\":200,\"body\":\"aGk=\",\"isBase64Encoded\":true}", 200,
          "text/plain; charset=utf-8", "hi", NULL },
        { "{\"statusCode\":200,\"cookies\":[\"a=1\"],\"headers\":{}}", 200,
          "text/plain; charset=utf-8", "", "Set-Cookie: a=1" },
        { "{\"statusCode\":200,\"headers\":{\"Retry-After\":3}}", 200, "text/plain; charset=utf-8",
          "", "Retry-After: 3" },
        { "{\"a\":1}", 200, "application/json", "{\"a\":1}", NULL },
        { "\"hello\"", 200, "application/json", "\"hello\"", NULL },
        { "null", 200, "application/json", "null", NULL },
        { "not json", 0, NULL, NULL, NULL },
        { "", 0, NULL, NULL, NULL },
        { "{\"statusCode\":\"x\"}", 0, NULL, NULL, NULL },
        { "{\"statusCode\":99}", 0, NULL, NULL, NULL },
        { "{\"statusCode\":600}", 0, NULL, NULL, NULL },
        { "{\"statusCode\":200,\"headers\":[]}", 0, NULL, NULL, NULL },
        { "{\"statusCode\":200,\"cookies\":{}}", 0, NULL, NULL, NULL },
        { "{\"statusCode\":200,\"body\":{}}", 0, NULL, NULL, NULL },
        { "{\"statusCode\":200,\"body\":\"?\",\"isBase64Encoded\":true}", 0, NULL, NULL, NULL },
        { "{\"statusCode\":200,\"headers\":{\"A\":\"b\\r\\nC: d\"}}", 0, NULL, NULL, NULL },
        { "{\"statusCode\":200,\"headers\":{\"a b\":\"c\"}}", 0, NULL, NULL, NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gateway_answer a = { 0 };
        int rc = gateway_answer(cases[i].payload, strlen(cases[i].payload), &a, NULL);
        cr_assert_eq(rc, cases[i].status ? 0 : -1, "%s", cases[i].payload);
        if (rc == 0) {
            cr_assert_eq(a.status, cases[i].status);
            cr_assert_str_eq(a.type, cases[i].type, "%s", cases[i].payload);
            cr_assert_str_eq(a.body, cases[i].body);
            cr_assert_eq(a.header_count, cases[i].header ? 1 : 0, "%s", cases[i].payload);
            if (cases[i].header) {
                auto_free char *h = mem_printf("%s: %s", a.headers[0].name, a.headers[0].value);
                cr_assert_str_eq(h, cases[i].header);
            }
        }
        gateway_answer_release(&a);
    }
}

Test(gateway, knows_its_own_hosts)
{
    static const struct {
        const char *host;
        bool ours;
    } cases[] = {
        { "localhost", true },
        { "LOCALHOST:8080", true },
        { "127.0.0.1:1", true },
        { "[::1]:8080", true },
        { "192.0.2.7:8080", true },
        { "192.0.2.8", false },
        { "evil.example", false },
        { "localhost.evil.example", false },
        { "localhost:80@evil", false },
        { "localhost:", true },
        { "[::1", false },
        { "", false },
        { NULL, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_assert_eq(gateway_host_is_ours(cases[i].host, "192.0.2.7:8080"), cases[i].ours, "%s",
                     cases[i].host ? cases[i].host : "(none)");
}

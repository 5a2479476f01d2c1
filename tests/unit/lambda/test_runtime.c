#include "shared/lambda/runtime.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/httpd.h"

#define EVENTS 8

/* A Runtime API: hands out events and keeps what is posted. One thread serves, the test reads after
 * the loop has ended. */
struct api {
    struct httpd *httpd;
    const char *event[EVENTS]; /* payloads in order; when they are used up: status 500 */
    int next_status[EVENTS];   /* 0: 200; -1: the connection is cut; else that status, no event */
    int post_status[EVENTS];   /* for the n-th post; 0: 202; -1: cut */
    size_t nexts, given, posts;
    char path[EVENTS][128];
    char type[EVENTS][128];
    char error_type[EVENTS][128];
    char *body[EVENTS];
    char peer[64];
    bool one_connection;
};

static void serve_next(struct api *a, struct httpd_request *req)
{
    int status = a->nexts < EVENTS ? a->next_status[a->nexts] : 0;
    a->nexts++;
    if (status < 0) {
        httpd_abort(req);
    } else if (status > 0) {
        httpd_reply_json(req, status, "{\"errorMessage\":\"m\",\"errorType\":\"t\"}", NULL);
    } else if (a->given == EVENTS || !a->event[a->given]) {
        httpd_reply_json(req, 500, "{}", NULL);
    } else {
        char id[32];
        snprintf(id, sizeof(id), "req %zu", ++a->given); /* a space: it must be encoded in paths */
        const struct httpd_header headers[] = {
            { "lambda-runtime-aws-request-id", id },
            { "Lambda-Runtime-Deadline-Ms", "1764700060000" },
            { "Lambda-Runtime-Invoked-Function-Arn",
              "arn:aws:lambda:us-east-1:123456789012:function:f:1" },
            { "Lambda-Runtime-Trace-Id", "Root=1-5" },
            { NULL, NULL },
        };
        const char *text = a->event[a->given - 1];
        httpd_reply(req, 200, "application/json", text, strlen(text), headers);
    }
}

static void copy(char *to, const char *from)
{
    snprintf(to, 128, "%s", from ? from : "");
}

static void serve_post(struct api *a, struct httpd_request *req)
{
    size_t n = a->posts++;
    int status = n < EVENTS ? a->post_status[n] : 0;
    if (n < EVENTS) {
        size_t len;
        const char *body = httpd_body(req, &len);
        copy(a->path[n], httpd_path(req));
        copy(a->type[n], httpd_header(req, "Content-Type"));
        copy(a->error_type[n], httpd_header(req, "Lambda-Runtime-Function-Error-Type"));
        a->body[n] = mem_dup_len(body, len);
    }
    if (status < 0)
        httpd_abort(req);
    else
        httpd_reply_json(req, status ? status : 202, "{\"status\":\"OK\"}", NULL);
}

static void on_request(struct httpd_request *req, void *arg)
{
    struct api *a = arg;
    char peer[64];
    httpd_peer(req, peer);
    if (!a->peer[0])
        snprintf(a->peer, sizeof(a->peer), "%s", peer);
    a->one_connection = a->one_connection && strcmp(a->peer, peer) == 0;
    if (strcmp(httpd_method(req), "GET") == 0)
        serve_next(a, req);
    else
        serve_post(a, req);
}

static void api_start(struct api *a)
{
    struct error err = { 0 };
    const struct httpd_config cfg = {
        .listen = "127.0.0.1:0", .threads = 1, .max_body = 16 << 20, .handler = on_request, .arg = a
    };
    a->one_connection = true;
    a->httpd = httpd_start(&cfg, &err);
    cr_assert(a->httpd, "%s", err.msg);
    http_global_init();
}

static void api_stop(struct api *a)
{
    httpd_stop(a->httpd);
    for (size_t i = 0; i < EVENTS; i++)
        free(a->body[i]);
    http_global_cleanup();
}
#define auto_api __attribute__((cleanup(api_stop)))

/* "fail TYPE" fails, "large N" answers with N bytes, the rest is given back. */
static int handler(const struct lambda_invocation *inv, void *arg, struct buf *response,
                   struct error *err)
{
    (void)arg;
    cr_assert_eq(inv->deadline_ms, 1764700060000);
    cr_assert_str_eq(inv->trace_id, "Root=1-5");
    cr_assert_str_eq(inv->function_arn, "arn:aws:lambda:us-east-1:123456789012:function:f:1");
    cr_assert_eq(strlen(inv->payload), inv->payload_len);
    if (strncmp(inv->payload, "fail", 4) == 0) {
        error_set(err, ERR_INVALID, 0, "it \"failed\"");
        error_set_type(err, inv->payload + 4);
        return -1;
    }
    if (strncmp(inv->payload, "large ", 6) == 0)
        for (unsigned long i = strtoul(inv->payload + 6, NULL, 10); i > 0; i--)
            buf_add_char(response, 'x');
    else
        buf_printf(response, "{\"got\":\"%s\",\"for\":\"%s\"}", inv->payload, inv->request_id);
    return 0;
}

static int run(struct api *a, unsigned max_invocations, struct error *err)
{
    const struct lambda_runtime_config cfg = { .api = httpd_address(a->httpd),
                                               .clock = clock_system(),
                                               .max_invocations = max_invocations,
                                               .give_up_ms = 300 };
    return lambda_runtime_run(&cfg, handler, NULL, err);
}

Test(runtime, serves_one_invocation_after_the_other_on_one_connection)
{
    auto_api struct api a = { .event = { "one", "two", "three" } };
    struct error err = { 0 };
    api_start(&a);
    cr_assert_eq(run(&a, 3, &err), 0, "%s", err.msg);
    cr_assert_eq(a.posts, 3);
    cr_assert_str_eq(a.path[1], "/2018-06-01/runtime/invocation/req%202/response");
    cr_assert_str_eq(a.body[2], "{\"got\":\"three\",\"for\":\"req 3\"}");
    cr_assert_str_eq(a.type[0], "application/json");
    cr_assert(a.one_connection);
}

Test(runtime, reports_a_failure_of_the_handler)
{
    auto_api struct api a = { .event = { "fail", "failOrder.Away", "failBad \xc3\xa4type" } };
    struct error err = { 0 };
    api_start(&a);
    cr_assert_eq(run(&a, 3, &err), 0);
    cr_assert_str_eq(a.path[0], "/2018-06-01/runtime/invocation/req%201/error");
    cr_assert_str_eq(a.type[0], "application/vnd.aws.lambda.error+json");
    cr_assert_str_eq(a.error_type[0], "HandlerError");
    cr_assert_str_eq(a.error_type[1], "Order.Away");
    cr_assert_str_eq(a.error_type[2], "Bad___type", "nothing gets into the header by it");
    cr_assert_str_eq(
        a.body[1],
        "{\"errorMessage\":\"it \\\"failed\\\"\",\"errorType\":\"Order.Away\",\"stackTrace\":[]}");
}

Test(runtime, survives_lost_polls_and_lost_answers)
{
    auto_api struct api a = { .event = { "one", "two", "three" },
                              .next_status = { -1, 403, 0, -1, 0, 0 },
                              .post_status = { -1, 0, -1, -1, -1, 0 } };
    struct error err = { 0 };
    api_start(&a);
    cr_assert_eq(run(&a, 3, &err), 0, "%s", err.msg);
    cr_assert_eq(a.given, 3);
    cr_assert_str_eq(a.body[1], "{\"got\":\"one\",\"for\":\"req 1\"}", "sent again");
    cr_assert_str_eq(a.body[a.posts - 1], "{\"got\":\"three\",\"for\":\"req 3\"}",
                     "the second's answer was lost for good");
}

Test(runtime, tells_lambda_of_a_refused_or_impossible_response_and_goes_on)
{
    static const struct {
        const char *event;
        int refusal;
        size_t posts;
        const char *error_type;
    } cases[] = {
        { "one", 413, 3, "Function.ResponseSizeTooLarge" },
        { "one", 400, 3, "ResponseRefused" },
        { "large 6291456", 0, 2, NULL },
        { "large 6291457", 0, 2, "Function.ResponseSizeTooLarge" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_api struct api a = { .event = { cases[i].event, "two" },
                                  .post_status = { cases[i].refusal } };
        struct error err = { 0 };
        api_start(&a);
        cr_assert_eq(run(&a, 2, &err), 0, "%s", err.msg);
        cr_assert_eq(a.posts, cases[i].posts, "case %zu: %zu posts", i, a.posts);
        cr_assert_str_eq(a.error_type[a.posts - 2], cases[i].error_type ? cases[i].error_type : "");
        cr_assert_str_eq(a.body[a.posts - 1], "{\"got\":\"two\",\"for\":\"req 2\"}");
    }
}

Test(runtime, ends_on_a_5xx_of_the_runtime_api)
{
    auto_api struct api none = { .event = { NULL } };
    struct error err = { 0 };
    api_start(&none);
    cr_assert_eq(run(&none, 0, &err), -1);
    cr_assert_eq(none.nexts, 1);
    cr_assert_eq(err.detail, 500);
    auto_api struct api post = { .event = { "one", "two" }, .post_status = { 500 } };
    api_start(&post);
    cr_assert_eq(run(&post, 0, &err), -1);
    cr_assert_eq(post.nexts, 1);
}

Test(runtime, ends_when_the_api_stays_away)
{
    struct api a = { .event = { NULL } };
    struct error err = { 0 };
    api_start(&a);
    auto_free char *address = mem_dup(httpd_address(a.httpd));
    httpd_stop(a.httpd);
    a.httpd = NULL;
    const struct lambda_runtime_config cfg = { .api = address,
                                               .clock = clock_system(),
                                               .give_up_ms = 200 };
    int64_t begun = clock_mono_ms(clock_system());
    cr_assert_eq(lambda_runtime_run(&cfg, handler, NULL, &err), -1);
    int64_t took = clock_mono_ms(clock_system()) - begun;
    cr_assert(took >= 200 && took < 60000, "%lld ms", (long long)took);
    cr_assert_eq(err.code, ERR_NET);
    api_stop(&a);
}

Test(runtime, refuses_an_invocation_without_an_id)
{
    struct api a = { .event = { NULL }, .next_status = { 200, 200, 200, 200, 200, 200, 200, 200 } };
    struct error err = { 0 };
    api_start(&a);
    cr_assert_eq(run(&a, 0, &err), -1);
    cr_assert_eq(a.posts, 0);
    api_stop(&a);
}

static void hold(struct httpd_request *req, void *arg)
{
    (void)arg;
    httpd_park(req); /* as `next` does while there is nothing to do */
}

static void *stop_soon(void *arg)
{
    clock_sleep_ms(clock_system(), 150);
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

Test(runtime, stops_between_two_invocations)
{
    struct error err = { 0 };
    const struct httpd_config server = { .listen = "127.0.0.1:0", .threads = 1, .handler = hold };
    struct httpd *h = httpd_start(&server, &err);
    cr_assert(h, "%s", err.msg);
    http_global_init();
    atomic_bool stop = false;
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, stop_soon, &stop), 0);
    const struct lambda_runtime_config cfg = { .api = httpd_address(h),
                                               .clock = clock_system(),
                                               .stop = &stop };
    cr_assert_eq(lambda_runtime_run(&cfg, handler, NULL, &err), 0);
    pthread_join(thread, NULL);
    httpd_stop(h);
    http_global_cleanup();
}

static int64_t standing(void *arg)
{
    return *(int64_t *)arg;
}

Test(runtime, says_when_calls_must_have_ended)
{
    static const struct {
        int64_t left_ms, reserve_ms, want_ms;
    } cases[] = {
        { 60000, 3000, 57000 }, { 4000, 3000, 2000 }, { 1, 3000, 1 },
        { 0, 3000, 1 },         { -5000, 3000, 1 },   { 2000, 0, 2000 },
    };
    int64_t now_ms = 1764700000000;
    const struct clock clock = { .wall_ms = standing, .mono_ms = standing, .arg = &now_ms };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(lambda_call_deadline(&clock, now_ms + cases[i].left_ms, cases[i].reserve_ms) -
                         now_ms,
                     cases[i].want_ms, "case %zu", i);
    cr_expect_eq(lambda_call_deadline(&clock, 0, 3000), 0, "none was told");
}

Test(runtime, reports_that_the_function_could_not_start)
{
    auto_api struct api a = { .event = { NULL } };
    struct error why = { 0 };
    api_start(&a);
    const struct lambda_runtime_config cfg = { .api = httpd_address(a.httpd),
                                               .clock = clock_system() };
    error_set(&why, ERR_INVALID, 0, "no region");
    lambda_runtime_init_error(&cfg, &why);
    cr_assert_str_eq(a.path[0], "/2018-06-01/runtime/init/error");
    cr_assert_str_eq(a.error_type[0], "Runtime.InitError");
    cr_assert_str_eq(
        a.body[0],
        "{\"errorMessage\":\"no region\",\"errorType\":\"Runtime.InitError\",\"stackTrace\":[]}");
}

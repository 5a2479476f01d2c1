#include "shared/base/httpd.h"
#include "shared/durable/durable.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"

/* Runtime API and Lambda in one server: durable_serve end to end over HTTP. */

#define ARN                                                                                        \
    "arn:aws:lambda:us-east-1:123456789012:function:fn:$LATEST/durable-execution/e1/9f7d84c9"
#define ENCODED                                                                                    \
    "/2025-12-01/durable-executions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Afn" \
    "%3A%24LATEST%2Fdurable-execution%2Fe1%2F9f7d84c9"
#define KEPT 16

struct service {
    struct httpd *httpd;
    const char *event;
    bool given;
    int lose;   /* that many answers to checkpoints are lost after they are received */
    int refuse; /* or refused with this status, always */
    size_t checkpoints, pages, answers;
    char *checkpoint[KEPT];
    char path[512];
    char answer_path[128];
    char *answer;
    char error_type[128];
};

static void give_event(struct service *s, struct httpd_request *req)
{
    static const struct httpd_header headers[] = { { "Lambda-Runtime-Aws-Request-Id", "req-1" },
                                                   { "Lambda-Runtime-Deadline-Ms",
                                                     "4102444800000" },
                                                   { NULL, NULL } };
    if (s->given)
        httpd_reply_json(req, 500, "{}", NULL); /* ends the loop */
    else
        httpd_reply_json(req, 200, s->event, headers);
    s->given = true;
}

static void take_checkpoint(struct service *s, struct httpd_request *req)
{
    size_t len;
    const char *body = httpd_body(req, &len);
    cr_assert_lt(s->checkpoints, KEPT);
    s->checkpoint[s->checkpoints++] = mem_dup_len(body, len);
    snprintf(s->path, sizeof(s->path), "%s", httpd_path(req));
    if (s->lose > 0) {
        s->lose--;
        httpd_abort(req);
    } else if (s->refuse == 403) {
        httpd_reply_json(req, 403, "{\"__type\":\"AccessDeniedException\",\"Message\":\"no\"}",
                         NULL);
    } else if (s->refuse) {
        static const struct httpd_header headers[] = {
            { "x-amzn-ErrorType", "InvalidParameterValueException" }, { NULL, NULL }
        };
        httpd_reply_json(req, s->refuse,
                         "{\"Type\":\"User\",\"message\":\"Invalid checkpoint token\"}", headers);
    } else {
        httpd_reply_json(
            req, 200,
            "{\"CheckpointToken\":\"TmV4dA==\",\"NewExecutionState\":{\"Operations\":[]}}", NULL);
    }
}

static void on_request(struct httpd_request *req, void *arg)
{
    struct service *s = arg;
    const char *path = httpd_path(req);
    if (strstr(path, "/invocation/next")) {
        give_event(s, req);
    } else if (strstr(path, "/runtime/")) {
        size_t len;
        const char *body = httpd_body(req, &len);
        const char *type = httpd_header(req, "Lambda-Runtime-Function-Error-Type");
        free(s->answer);
        s->answer = mem_dup_len(body, len);
        s->answers++;
        snprintf(s->answer_path, sizeof(s->answer_path), "%s", path);
        snprintf(s->error_type, sizeof(s->error_type), "%s", type ? type : "");
        httpd_reply_json(req, 202, "{}", NULL);
    } else if (strstr(path, "/state")) {
        auto_free char *marker = httpd_query_get(req, "Marker");
        auto_free char *token = httpd_query_get(req, "CheckpointToken");
        cr_assert_str_eq(marker, "a+b/=");
        cr_assert_str_eq(token, "dG9r+/A=");
        s->pages++;
        httpd_reply_json(
            req, 200,
            "{\"Operations\":[{\"Id\":\"c4ca4238a0b92382\",\"Type\":\"STEP\",\"SubType\":\"Step\","
            "\"Status\":\"SUCCEEDED\",\"StepDetails\":{\"Result\":\"41\"}}]}",
            NULL);
    } else {
        take_checkpoint(s, req);
    }
}

static int add_one(struct durable_step *step, void *arg, struct json_object **out,
                   struct durable_error *err)
{
    (void)step, (void)err;
    *out = json_object_new_int(*(int *)arg + 1);
    return 0;
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    auto_json struct json_object *first = NULL;
    int n = 0;
    DURABLE_TRY(durable_step(ctx, NULL, add_one, &n, NULL, &first, err));
    n = json_object_get_int(first);
    return durable_step(ctx, NULL, add_one, &n, NULL, out, err);
}

static int serve(struct service *s, struct durable_error *err)
{
    struct error e = { 0 };
    const struct httpd_config cfg = {
        .listen = "127.0.0.1:0", .threads = 1, .max_body = 1 << 20, .handler = on_request, .arg = s
    };
    s->httpd = httpd_start(&cfg, &e);
    cr_assert(s->httpd, "%s", e.msg);
    auto_free char *api = mem_printf("AWS_LAMBDA_RUNTIME_API=%s", httpd_address(s->httpd));
    auto_free char *endpoint = mem_printf("AWS_ENDPOINT_URL=http://%s", httpd_address(s->httpd));
    char key[] = "AWS_ACCESS_KEY_ID=test", secret[] = "AWS_SECRET_ACCESS_KEY=test";
    char *const env[] = { api, endpoint, key, secret, NULL };
    int rc = durable_serve(env, handler, NULL, err);
    httpd_stop(s->httpd);
    return rc;
}

static void release(struct service *s)
{
    for (size_t i = 0; i < s->checkpoints; i++)
        free(s->checkpoint[i]);
    free(s->answer);
}
#define auto_service __attribute__((cleanup(release)))

#define EVENT(marker)                                                                              \
    "{\"DurableExecutionArn\":\"" ARN                                                              \
    "\",\"CheckpointToken\":\"dG9r+/A=\",\"InitialExecutionState\":{"                              \
    "\"Operations\":[{\"Id\":\"9f7d84c9\",\"Type\":\"EXECUTION\",\"Name\":\"e1\",\"Status\":"      \
    "\"STARTED\","                                                                                 \
    "\"StartTimestamp\":1795410283266,\"ExecutionDetails\":{\"InputPayload\":\"{}\"}}]," marker    \
    "}}"

Test(serve, answers_an_invocation_over_http)
{
    auto_service struct service s = { .event = EVENT("\"NextMarker\":\"\"") };
    auto_durable_error struct durable_error err = { 0 };
    cr_assert_eq(serve(&s, &err), -1, "the Runtime API's 500 ends it");
    cr_assert(strstr(err.message, "500"), "%s", err.message);
    cr_assert_str_eq(s.answer, "{\"Status\":\"SUCCEEDED\",\"Result\":\"2\"}");
    cr_assert_str_eq(s.answer_path, "/2018-06-01/runtime/invocation/req-1/response");
    cr_assert_str_eq(s.path, ENCODED "/checkpoint", "one encoded segment: %s", s.path);
    /* Two steps; where the machine is slow, a START has a request of its own. */
    cr_assert(s.checkpoints >= 2 && s.checkpoints <= 4, "%zu", s.checkpoints);
    cr_assert(strstr(s.checkpoint[1], "\"CheckpointToken\":\"TmV4dA==\""));
}

Test(serve, repeats_a_checkpoint_whose_answer_was_lost_with_the_same_bytes)
{
    auto_service struct service s = { .event = EVENT("\"NextMarker\":null"), .lose = 2 };
    auto_durable_error struct durable_error err = { 0 };
    serve(&s, &err);
    cr_assert_str_eq(s.answer, "{\"Status\":\"SUCCEEDED\",\"Result\":\"2\"}");
    cr_assert(s.checkpoints >= 4 && s.checkpoints <= 6, "%zu", s.checkpoints);
    cr_assert_str_eq(s.checkpoint[1], s.checkpoint[0]);
    cr_assert_str_eq(s.checkpoint[2], s.checkpoint[0]);
    auto_json struct json_object *first = NULL, *next = NULL;
    cr_assert_eq(json_parse_str(s.checkpoint[0], &first, NULL), 0);
    cr_assert_eq(json_parse_str(s.checkpoint[3], &next, NULL), 0);
    cr_assert_str_neq(json_get_str(first, "ClientToken"), json_get_str(next, "ClientToken"));
}

Test(serve, reports_a_stale_token_and_never_repeats_the_call)
{
    auto_service struct service s = { .event = EVENT("\"NextMarker\":\"\""), .refuse = 400 };
    auto_durable_error struct durable_error err = { 0 };
    serve(&s, &err);
    cr_assert_eq(s.checkpoints, 1);
    cr_assert_str_eq(s.answer_path, "/2018-06-01/runtime/invocation/req-1/error");
    cr_assert_str_eq(s.error_type, "CheckpointError");
}

Test(serve, fails_the_execution_where_it_may_not_checkpoint)
{
    auto_service struct service s = { .event = EVENT("\"NextMarker\":\"\""), .refuse = 403 };
    auto_durable_error struct durable_error err = { 0 };
    serve(&s, &err);
    cr_assert_eq(s.checkpoints, 1);
    cr_assert_str_eq(s.answer_path, "/2018-06-01/runtime/invocation/req-1/response");
    cr_assert(strstr(s.answer, "{\"Status\":\"FAILED\""), "%s", s.answer);
}

Test(serve, loads_the_state_page_by_page)
{
    auto_service struct service s = { .event = EVENT("\"NextMarker\":\"a+b/=\"") };
    auto_durable_error struct durable_error err = { 0 };
    serve(&s, &err);
    cr_assert_eq(s.pages, 1);
    cr_assert_str_eq(s.answer, "{\"Status\":\"SUCCEEDED\",\"Result\":\"42\"}");
    cr_assert(s.checkpoints == 1 || s.checkpoints == 2, "%zu", s.checkpoints);
}

Test(serve, says_what_is_missing)
{
    auto_durable_error struct durable_error err = { 0 };
    char *const none[] = { NULL };
    cr_assert_eq(durable_serve(none, handler, NULL, &err), -1);
    cr_assert(strstr(err.message, "AWS_LAMBDA_RUNTIME_API"));

    auto_service struct service s = { .event = EVENT("\"NextMarker\":\"\"") };
    struct error e = { 0 };
    const struct httpd_config cfg = {
        .listen = "127.0.0.1:0", .threads = 1, .max_body = 1 << 20, .handler = on_request, .arg = &s
    };
    s.httpd = httpd_start(&cfg, &e);
    auto_free char *api = mem_printf("AWS_LAMBDA_RUNTIME_API=%s", httpd_address(s.httpd));
    char *const env[] = { api, NULL };
    cr_assert_eq(durable_serve(env, handler, NULL, &err), -1);
    httpd_stop(s.httpd);
    cr_assert_str_eq(s.answer_path, "/2018-06-01/runtime/init/error");
    cr_assert(strstr(s.answer, "AWS_ACCESS_KEY_ID"), "%s", s.answer);
}

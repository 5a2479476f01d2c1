#include "shared/aws/lambda_client.h"

#include "shared/aws/http_pool.h"
#include "shared/base/json.h"
#include "tests/unit/aws/served.h"

struct room {
    struct served *s;
    struct aws *a;
    struct moved m;
};

static void room_open(struct room *r, const struct answer *answers, size_t count)
{
    static char region[] = "us-east-1";
    static char key[] = "key";
    http_global_init();
    moved_init(&r->m);
    r->s = served_start(answers, count);
    struct aws_options o = {
        .region = region, .endpoint = r->s->url, .access_key = key, .secret_key = key
    };
    struct error err = { 0 };
    r->a = aws_new(&o, &r->m.clock, &err);
    cr_assert_not_null(r->a, "%s", err.msg);
}

static void room_close(struct room *r)
{
    aws_free(r->a);
    served_stop(r->s);
}

#define ARN                                                                                        \
    "arn:aws:lambda:us-east-1:123456789012:function:my_fn:$LATEST/durable-execution/my-exec/"      \
    "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
#define ARN_PATH                                                                                   \
    "/2025-12-01/durable-executions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction"      \
    "%3Amy_fn%3A%24LATEST%2Fdurable-execution%2Fmy-exec%2F9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
#define CALLBACK_PATH "/2025-12-01/durable-execution-callbacks/Ab%2B%2Fcd%3D%3D"

static const struct answer ok[] = { { .status = 200, .body = "{\"a\":1}" } };

Test(lambda_client, addresses_executions_by_one_encoded_segment)
{
    struct room r;
    room_open(&r, ok, 1);
    struct error err = { 0 };
    struct json_object *out[6] = { NULL };
    size_t n = 0;
    cr_assert_eq(lambda_checkpoint(r.a, ARN, "{\"x\":2}", 7, &out[n++], &err), 0, "%s", err.msg);
    cr_assert_eq(lambda_get_state(r.a, ARN, "dG9r+/A=", NULL, 0, &out[n++], &err), 0);
    cr_assert_eq(lambda_get_state(r.a, ARN, "t", "a/b c", 1000, &out[n++], &err), 0);
    cr_assert_eq(lambda_get_execution(r.a, ARN, &out[n++], &err), 0);
    cr_assert_eq(lambda_get_history(r.a, ARN, true, "m=", 5, &out[n++], &err), 0);
    cr_assert_eq(lambda_get_history(r.a, ARN, false, NULL, 0, &out[n++], &err), 0);
    static const char *const lines[] = {
        "POST " ARN_PATH "/checkpoint",
        "GET " ARN_PATH "/state?CheckpointToken=dG9r%2B%2FA%3D",
        "GET " ARN_PATH "/state?CheckpointToken=t&Marker=a%2Fb%20c&MaxItems=1000",
        "GET " ARN_PATH "?IncludeExecutionData=true",
        "GET " ARN_PATH "/history?IncludeExecutionData=true&Marker=m%3D&MaxItems=5",
        "GET " ARN_PATH "/history?IncludeExecutionData=false",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        cr_expect_str_eq(r.s->asked[i].line, lines[i]);
        cr_expect_str_eq(json_text(out[i], NULL), "{\"a\":1}");
        json_put_ptr(&out[i]);
    }
    char value[1024];
    cr_expect_str_eq(r.s->asked[0].body, "{\"x\":2}");
    cr_expect_str_eq(served_value(r.s, 0, "Content-Type", value), "application/json");
    room_close(&r);
}

Test(lambda_client, repeats_a_checkpoint_byte_for_byte)
{
    static const struct answer lost[] = { { .status = 0 }, { .status = 200, .body = "{}" } };
    static const char body[] = "{\"CheckpointToken\":\"t\",\"ClientToken\":\"c\"}";
    struct room r;
    room_open(&r, lost, 2);
    struct error err = { 0 };
    auto_json struct json_object *out = NULL;
    cr_assert_eq(lambda_checkpoint(r.a, ARN, body, strlen(body), &out, &err), 0, "%s", err.msg);
    cr_expect_eq(r.s->count, 2);
    cr_expect_str_eq(r.s->asked[0].body, body);
    cr_expect_str_eq(r.s->asked[1].body, body);
    room_close(&r);
}

Test(lambda_client, refuses_answers_that_make_no_sense)
{
    static const struct answer odd[] = { { .status = 200, .body = "nonsense" },
                                         { .status = 200, .body = "[]" },
                                         { .status = 200 },
                                         { .status = 200, .body = "{\"a\":" } };
    struct room r;
    room_open(&r, odd, ARRAY_LEN(odd));
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        struct error err = { 0 };
        struct json_object *out = NULL;
        cr_expect_eq(lambda_get_execution(r.a, ARN, &out, &err), -1);
        cr_expect_eq(err.code, ERR_PROTOCOL, "%s", err.msg);
        cr_expect_null(out);
    }
    cr_expect_eq(r.s->count, ARRAY_LEN(odd), "none is repeated");
    room_close(&r);
}

Test(lambda_client, stops_with_an_error_object)
{
    struct room r;
    room_open(&r, ok, 1);
    struct error err = { 0 };
    cr_expect_eq(lambda_stop(r.a, ARN, "Cancelled", "by \"me\"", &err), 0, "%s", err.msg);
    cr_expect_eq(lambda_stop(r.a, ARN, NULL, NULL, &err), 0);
    cr_expect_str_eq(r.s->asked[0].line, "POST " ARN_PATH "/stop");
    cr_expect_str_eq(r.s->asked[0].body,
                     "{\"ErrorType\":\"Cancelled\",\"ErrorMessage\":\"by \\\"me\\\"\"}");
    cr_expect_str_eq(r.s->asked[1].body, "{}");
    room_close(&r);
}

/* ---- invoke ---------------------------------------------------------------------------------- */

Test(lambda_client, invokes_by_name_and_reads_the_headers)
{
    static const struct answer answers[] = {
        { .status = 202, .headers = { { "X-Amz-Durable-Execution-Arn", ARN } } },
        { .status = 200,
          .body = "{\"errorMessage\":\"no\"}",
          .headers = { { "X-Amz-Function-Error", "Unhandled" },
                       { "X-Amz-Executed-Version", "3" } } },
        { .status = 204 },
    };
    struct room r;
    room_open(&r, answers, 3);
    struct error err = { 0 };
    struct lambda_invoked out;
    struct lambda_invoke req = { .function = "launcher",
                                 .qualifier = "live",
                                 .type = "Event",
                                 .execution_name = "name-1",
                                 .trace_header = "Root=1-2",
                                 .payload = "{\"x\":1}",
                                 .payload_len = 7 };
    cr_assert_eq(lambda_invoke(r.a, &req, &out, &err), 0, "%s", err.msg);
    cr_expect_eq(out.status, 202);
    cr_expect_str_eq(out.execution_arn, ARN);
    cr_expect_null(out.function_error);
    cr_expect_null(out.version);
    cr_expect_str_eq(out.payload, "");
    lambda_invoked_release(&out);

    req = (struct lambda_invoke){ .function = "arn:aws:lambda:us-east-1:1:function:f:1",
                                  .type = "RequestResponse" };
    cr_assert_eq(lambda_invoke(r.a, &req, &out, &err), 0, "%s", err.msg);
    cr_expect_str_eq(out.function_error, "Unhandled");
    cr_expect_str_eq(out.version, "3");
    cr_expect_str_eq(out.payload, "{\"errorMessage\":\"no\"}");
    cr_expect_eq(out.payload_len, strlen(out.payload));
    cr_expect_null(out.execution_arn);
    lambda_invoked_release(&out);

    req.type = "DryRun";
    cr_assert_eq(lambda_invoke(r.a, &req, &out, &err), 0, "%s", err.msg);
    cr_expect_eq(out.status, 204);
    lambda_invoked_release(&out);
    lambda_invoked_release(&out);

    static const struct {
        const char *name;
        const char *first;
        const char *second;
    } headers[] = {
        { "X-Amz-Invocation-Type", "Event", "RequestResponse" },
        { "X-Amz-Durable-Execution-Name", "name-1", "" },
        { "X-Amzn-Trace-Id", "Root=1-2", "" },
        { "Content-Length", "7", "0" },
    };
    char value[1024];
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        cr_expect_str_eq(served_value(r.s, 0, headers[i].name, value), headers[i].first);
        cr_expect_str_eq(served_value(r.s, 1, headers[i].name, value), headers[i].second);
    }
    cr_expect_str_eq(r.s->asked[0].line,
                     "POST /2015-03-31/functions/launcher/invocations?Qualifier=live");
    cr_expect_str_eq(r.s->asked[0].body, "{\"x\":1}");
    cr_expect_str_eq(r.s->asked[1].line,
                     "POST /2015-03-31/functions/"
                     "arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Afunction%3Af%3A1/invocations");
    room_close(&r);
}

Test(lambda_client, repeats_an_invocation_only_where_it_has_a_name)
{
    static const struct answer down[] = { { .status = 500, .body = "{}" } };
    struct room r;
    room_open(&r, down, 1);
    struct error err = { 0 };
    struct lambda_invoked out;
    struct lambda_invoke req = { .function = "f", .type = "Event" };
    cr_expect_eq(lambda_invoke(r.a, &req, &out, &err), -1);
    lambda_invoked_release(&out);
    cr_expect_eq(r.s->count, 1);
    req.execution_name = "n";
    cr_expect_eq(lambda_invoke(r.a, &req, &out, &err), -1);
    lambda_invoked_release(&out);
    cr_expect_eq(r.s->count, 4);
    cr_expect_eq(err.code, ERR_UNAVAILABLE);
    room_close(&r);
}

Test(lambda_client, reports_a_name_in_use_as_conflict)
{
    static const struct answer used[] = {
        { .status = 409,
          .body = "{\"Type\":\"User\",\"Message\":\"Execution already started\"}",
          .headers = { { "x-amzn-ErrorType", "DurableExecutionAlreadyStartedException" } } }
    };
    struct room r;
    room_open(&r, used, 1);
    struct error err = { 0 };
    struct lambda_invoked out;
    struct lambda_invoke req = { .function = "f", .type = "Event", .execution_name = "n" };
    cr_expect_eq(lambda_invoke(r.a, &req, &out, &err), -1);
    cr_expect_eq(err.code, ERR_CONFLICT);
    cr_expect_str_eq(err.type, "DurableExecutionAlreadyStartedException");
    cr_expect_str_eq(err.msg, "Invoke: Execution already started");
    cr_expect_eq(r.s->count, 1);
    room_close(&r);
}

/* ---- callbacks ------------------------------------------------------------------------------- */

Test(lambda_client, sends_callback_results_as_they_are)
{
    static const struct answer answers[] = { { .status = 200, .body = "{}" }, { .status = 200 } };
    struct room r;
    room_open(&r, answers, 2);
    struct error err = { 0 };
    static const char result[] = " \"raw \\u00e4\"\n";
    cr_expect_eq(lambda_callback_success(r.a, "Ab+/cd==", result, strlen(result), &err), 0);
    cr_expect_eq(lambda_callback_failure(r.a, "Ab+/cd==", "{\"ErrorType\":\"E\"}", &err), 0);
    cr_expect_eq(lambda_callback_heartbeat(r.a, "Ab+/cd==", &err), 0);
    cr_expect_eq(lambda_callback_success(r.a, "Ab+/cd==", NULL, 0, &err), 0);
    static const struct {
        const char *line;
        const char *body;
        const char *type;
    } want[] = {
        { "POST " CALLBACK_PATH "/succeed", result, "application/octet-stream" },
        { "POST " CALLBACK_PATH "/fail", "{\"ErrorType\":\"E\"}", "application/json" },
        { "POST " CALLBACK_PATH "/heartbeat", "", "" },
        { "POST " CALLBACK_PATH "/succeed", "", "application/octet-stream" },
    };
    char value[1024];
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        cr_expect_str_eq(r.s->asked[i].line, want[i].line);
        cr_expect_str_eq(r.s->asked[i].body, want[i].body);
        cr_expect_str_eq(served_value(r.s, i, "Content-Type", value), want[i].type);
        auto_free char *length = mem_printf("%zu", strlen(want[i].body));
        cr_expect_str_eq(served_value(r.s, i, "Content-Length", value), length);
    }
    room_close(&r);
}

Test(lambda_client, tells_a_closed_callback_from_a_bad_one)
{
    static const struct answer answers[] = {
        { .status = 400,
          .body = "{\"Message\":\"The callback is either timed out or already completed\"}",
          .headers = { { "x-amzn-ErrorType", "CallbackTimeoutException" } } },
        { .status = 400,
          .body = "{\"message\":\"Invalid callback id\"}",
          .headers = { { "x-amzn-ErrorType", "InvalidParameterValueException" } } }
    };
    struct room r;
    room_open(&r, answers, 2);
    struct error err = { 0 };
    cr_expect_eq(lambda_callback_success(r.a, "Ab+/cd==", "1", 1, &err), -1);
    cr_expect_eq(err.code, ERR_GONE);
    cr_expect_str_eq(err.type, "CallbackTimeoutException");
    cr_expect(!err.retryable);
    cr_expect_null(strstr(err.msg, "Ab"), "no id in an error: %s", err.msg);
    cr_expect_eq(lambda_callback_success(r.a, "Ab+/cd==", "1", 1, &err), -1);
    cr_expect_eq(err.code, ERR_INVALID);
    room_close(&r);
}

Test(lambda_client, sends_a_result_once_and_a_heartbeat_again)
{
    static const struct answer down[] = { { .status = 0 } };
    struct room r;
    room_open(&r, down, 1);
    struct error err = { 0 };
    cr_expect_eq(lambda_callback_success(r.a, "A", "1", 1, &err), -1);
    cr_expect_eq(err.code, ERR_NET);
    cr_expect(err.retryable);
    cr_expect_eq(r.s->count, 1);
    cr_expect_eq(lambda_callback_failure(r.a, "A", "{}", &err), -1);
    cr_expect_eq(r.s->count, 2);
    cr_expect_eq(lambda_callback_heartbeat(r.a, "A", &err), -1);
    cr_expect_eq(r.s->count, 5);
    room_close(&r);
}

struct told {
    unsigned times;
    int rc;
    struct error err;
};

static void tell(void *arg, int rc, struct http_response *resp, struct error *err)
{
    (void)resp;
    struct told *t = arg;
    t->times++;
    t->rc = rc;
    if (rc < 0)
        t->err = *err;
}

Test(lambda_client, starts_callback_results_one_beside_the_other)
{
    static const struct answer answers[] = {
        { .status = 200, .body = "{}" },
        { .status = 200 },
        { .status = 400,
          .body = "{\"Message\":\"The callback is either timed out or already completed\"}",
          .headers = { { "x-amzn-ErrorType", "CallbackTimeoutException" } } },
        { .status = 0 },
    };
    static const struct {
        bool failed;
        const char *body;
        const char *line;
        const char *type;
        enum error_code code;
    } cases[] = {
        { false, "\"raw\"", "POST " CALLBACK_PATH "/succeed", "application/octet-stream", 0 },
        { true, "{\"ErrorType\":\"E\"}", "POST " CALLBACK_PATH "/fail", "application/json", 0 },
        { false, "1", "POST " CALLBACK_PATH "/succeed", "application/octet-stream", ERR_GONE },
        { true, "{}", "POST " CALLBACK_PATH "/fail", "application/json", ERR_NET },
    };
    struct room r;
    room_open(&r, answers, 4);
    struct error err = { 0 };
    struct http_pool *pool = http_pool_new(4, &err);
    cr_assert_not_null(pool, "%s", err.msg);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct told t = { 0 };
        struct lambda_callback c = { .callback_id = "Ab+/cd==",
                                     .failed = cases[i].failed,
                                     .body = cases[i].body,
                                     .len = strlen(cases[i].body),
                                     .done = tell,
                                     .arg = &t };
        char value[1024];
        cr_assert_eq(lambda_callback_start(r.a, pool, &c, &err), 0, "%s", err.msg);
        for (int n = 0; http_pool_running(pool) > 0 && n < 600; n++)
            http_pool_drive(pool, 100);
        cr_assert_eq(t.times, 1);
        cr_expect_eq(t.rc, cases[i].code ? -1 : 0, "case %zu: %s", i, t.err.msg);
        cr_expect_eq(t.err.code, cases[i].code, "case %zu: %s", i, t.err.msg);
        cr_expect_null(strstr(t.err.msg, "Ab"), "no id in an error: %s", t.err.msg);
        cr_expect_str_eq(r.s->asked[i].line, cases[i].line);
        cr_expect_str_eq(r.s->asked[i].body, cases[i].body);
        cr_expect_str_eq(served_value(r.s, i, "Content-Type", value), cases[i].type);
    }
    cr_expect_eq(r.s->count, 4);
    http_pool_free(pool);
    room_close(&r);
}

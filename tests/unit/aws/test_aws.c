#include "shared/aws/aws.h"

#include "shared/aws/credentials.h"
#include "shared/aws/http_pool.h"
#include "shared/aws/sigv4_check.h"
#include "shared/base/json.h"
#include "tests/unit/aws/served.h"

#define ACCESS_KEY "AKIDEXAMPLE"
#define SECRET_KEY "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define TOKEN      "session/token+=="

struct room {
    struct served *s;
    struct aws *a;
    struct moved m;
    struct aws_options o;
};

static void room_open(struct room *r, const struct answer *answers, size_t count)
{
    http_global_init();
    moved_init(&r->m);
    r->s = served_start(answers, count);
    r->o = (struct aws_options){ .region = mem_dup("eu-test-1"),
                                 .endpoint = mem_printf("%s/", r->s->url),
                                 .access_key = mem_dup(ACCESS_KEY),
                                 .secret_key = mem_dup(SECRET_KEY),
                                 .session_token = mem_dup(TOKEN) };
    struct error err = { 0 };
    r->a = aws_new(&r->o, &r->m.clock, &err);
    cr_assert_not_null(r->a, "%s", err.msg);
}

static void room_close(struct room *r)
{
    aws_free(r->a);
    served_stop(r->s);
    free(r->o.region);
    free(r->o.endpoint);
    free(r->o.access_key);
    free(r->o.secret_key);
    free(r->o.session_token);
}

#define PATH "/2025-12-01/durable-executions/arn%3Aaws%3A%24LATEST%2Fx/checkpoint"

static const struct http_header typed[] = { { "Content-Type", "application/json" },
                                            { "X-Amzn-Trace-Id", "Root=1-2" },
                                            { NULL, NULL } };
static const struct aws_call checkpoint = { .service = AWS_LAMBDA,
                                            .method = "POST",
                                            .path = PATH,
                                            .query = "b=2&a=%2F",
                                            .headers = typed,
                                            .body = "{\"a\":1}",
                                            .body_len = 7 };

/* Checks the signature of request `n` as a server does: from what came over the wire. */
static int check_signature(const struct room *r, size_t n, int64_t now_ms, struct error *err)
{
    const struct asked *asked = &r->s->asked[n];
    auto_free char *line = mem_dup(asked->line);
    auto_free char *lines = mem_dup(asked->headers);
    struct http_header headers[32] = { { NULL, NULL } };
    size_t count = 0;
    char *save = NULL;
    for (char *h = strtok_r(lines, "\n", &save); h && count < 31; h = strtok_r(NULL, "\n", &save)) {
        char *colon = strstr(h, ": ");
        *colon = '\0';
        headers[count++] = (struct http_header){ h, colon + 2 };
    }
    char *path = strchr(line, ' ');
    *path++ = '\0';
    char *query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    char hash[DIGEST_SHA256_HEX];
    char authorization[1024];
    digest_sha256_hex(asked->body, asked->body_len, hash);
    struct sigv4_request req = {
        .method = line, .path = path, .query = query, .headers = headers, .body_hash = hash
    };
    struct sigv4_claim claim;
    auto_sigv4 struct sigv4 stages = { 0 };
    if (sigv4_claim_parse(served_value(r->s, n, "Authorization", authorization), &claim, err) < 0)
        return -1;
    cr_expect_str_eq(claim.access_key, ACCESS_KEY);
    cr_expect_str_eq(claim.region, "eu-test-1");
    return sigv4_check(&claim, SECRET_KEY, &req, SIGV4_USUAL, now_ms, &stages, err);
}

Test(aws, signs_what_goes_over_the_wire)
{
    static const struct answer ok[] = { { .status = 200, .body = "{}" } };
    struct room r;
    room_open(&r, ok, 1);
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    cr_assert_eq(aws_send(r.a, &checkpoint, &resp, &err), 0, "%s", err.msg);
    cr_expect_str_eq(r.s->asked[0].line, "POST " PATH "?b=2&a=%2F");
    int64_t now = clock_wall_ms(&r.m.clock);
    cr_expect_eq(check_signature(&r, 0, now, &err), 0, "%s", err.msg);
    char value[1024];
    cr_expect_str_eq(served_value(r.s, 0, "X-Amz-Security-Token", value), TOKEN);
    cr_expect_str_eq(served_value(r.s, 0, "X-Amzn-Trace-Id", value), "Root=1-2");
    served_value(r.s, 0, "Authorization", value);
    cr_expect_not_null(strstr(value, "SignedHeaders=content-type;host;x-amz-date;"
                                     "x-amz-security-token,"));
    cr_expect_not_null(strstr(value, "/eu-test-1/lambda/aws4_request"));
    /* and the check sees a change */
    r.s->asked[0].body[1] = '!';
    cr_expect_eq(check_signature(&r, 0, now, &err), -1);
    room_close(&r);
}

Test(aws, repeats_the_same_bytes_with_a_new_signature)
{
    static const struct answer answers[] = {
        { .status = 500, .body = "{\"__type\":\"ServerException\"}" },
        { .status = 400,
          .body = "{\"__type\":\"a.b#ThrottlingException\"}",
          .headers = { { "Retry-After", "3" } } },
        { .status = 200, .body = "{}" },
    };
    struct room r;
    room_open(&r, answers, 3);
    aws_set_retry(r.a, 3, 4000, 4000);
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    cr_assert_eq(aws_send(r.a, &checkpoint, &resp, &err), 0, "%s", err.msg);
    cr_expect_eq(err.code, ERR_NONE);
    cr_expect_eq(r.s->count, 3);
    cr_expect_geq(r.m.slept_ms, 3000);
    char first[1024];
    char last[1024];
    served_value(r.s, 0, "X-Amz-Date", first);
    served_value(r.s, 2, "X-Amz-Date", last);
    cr_expect_str_neq(first, last);
    for (size_t i = 0; i < 3; i++) {
        cr_expect_str_eq(r.s->asked[i].body, "{\"a\":1}");
        cr_expect_eq(check_signature(&r, i, clock_wall_ms(&r.m.clock), &err), 0, "%s", err.msg);
    }
    room_close(&r);
}

/* One answer, one try; gives the error. */
static struct error failed(const struct answer *answer, unsigned attempts, size_t *requests)
{
    struct room r;
    room_open(&r, answer, 1);
    struct aws_call call = checkpoint;
    call.attempts = attempts;
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    cr_expect_eq(aws_send(r.a, &call, &resp, &err), -1);
    if (requests)
        *requests = r.s->count;
    room_close(&r);
    return err;
}

/* What came of a call that was started. */
struct told {
    struct aws *a;
    struct aws_started started;
    unsigned times;
    int rc;
    int status;
    int64_t retry_after_ms;
    struct error err;
};

static void tell(void *arg, int rc, struct http_response *resp, struct error *err)
{
    struct told *t = arg;
    t->times++;
    t->rc = rc;
    t->status = resp->status;
    t->retry_after_ms = aws_retry_after_ms(t->a);
    if (rc < 0)
        t->err = *err;
}

static struct http_pool *open_pool(void)
{
    struct error err = { 0 };
    struct http_pool *pool = http_pool_new(4, &err);
    cr_assert_not_null(pool, "%s", err.msg);
    return pool;
}

static void finish(struct http_pool *pool)
{
    for (int i = 0; http_pool_running(pool) > 0 && i < 600; i++)
        http_pool_drive(pool, 100);
    cr_assert_eq(http_pool_running(pool), 0);
}

/* The same by a pool. */
static struct error failed_started(const struct answer *answer, size_t *requests)
{
    struct room r;
    room_open(&r, answer, 1);
    struct http_pool *pool = open_pool();
    struct told t = { .a = r.a };
    struct error err = { 0 };
    cr_assert_eq(aws_start(r.a, pool, &checkpoint, &t.started, tell, &t, &err), 0, "%s", err.msg);
    finish(pool);
    cr_expect_eq(t.times, 1);
    cr_expect_eq(t.rc, -1);
    *requests = r.s->count;
    http_pool_free(pool);
    room_close(&r);
    return t.err;
}

Test(aws, decodes_errors_in_every_encoding)
{
    static const struct {
        struct answer answer;
        const char *type;
        const char *msg;
    } cases[] = {
        { { 400,
            "{\"Type\":\"User\",\"message\":\"Invalid checkpoint token\"}",
            { { "x-amzn-ErrorType", "InvalidParameterValueException" } },
            0 },
          "InvalidParameterValueException",
          "Invalid checkpoint token" },
        { { 404,
            "{\"Message\":\"capital\"}",
            { { "X-AMZN-ERRORTYPE", "ResourceNotFoundException:http://internal/x" } },
            0 },
          "ResourceNotFoundException",
          "capital" },
        { { 400, "{\"errorMessage\":\"third\"}", { { "x-amzn-ErrorType", "A,B" } }, 0 },
          "A",
          "third" },
        { { 400,
            "{\"__type\":\"Lost\",\"code\":\"FromBody:x\",\"message\":\"m\"}",
            { { NULL, NULL } },
            0 },
          "FromBody",
          "m" },
        { { 400, "{\"__type\":\"com.amazon#ClientException\",\"message\":\"m\"}", { { 0 } }, 0 },
          "ClientException",
          "m" },
        { { 400, "{\"__type\":\"Plain:http://x\",\"message\":\"m\"}", { { 0 } }, 0 },
          "Plain",
          "m" },
        { { 400, "{\"Type\":\"User\",\"message\":\"m\"}", { { 0 } }, 0 }, "", "m" },
        { { 400, "{\"code\":7,\"message\":[1]}", { { 0 } }, 0 },
          "",
          "AWS answered with status 400" },
        { { 403, "<html>no</html>", { { "x-amzn-ErrorType", "Denied" } }, 0 },
          "Denied",
          "AWS answered with status 403, Denied" },
        { { 400, NULL, { { 0 } }, 0 }, "", "AWS answered with status 400" },
        { { 403,
            "{\"message\":\"does not match.\\n\\nThe Canonical String\\nx-amz-security-token:"
            "secret\"}",
            { { 0 } },
            0 },
          "",
          "does not match." },
        { { 501,
            "{\"message\":\"broken\"}",
            { { "x-amzn-RequestId", "3f0c" }, { "x-amzn-ErrorType", "ServiceException" } },
            0 },
          "ServiceException",
          "broken (request 3f0c)" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = failed(&cases[i].answer, 1, NULL);
        cr_expect_str_eq(err.type, cases[i].type, "case %zu: %s", i, err.type);
        cr_expect_str_eq(err.msg, cases[i].msg, "case %zu: %s", i, err.msg);
        cr_expect_eq(err.detail, cases[i].answer.status);
        size_t requests;
        struct error started = failed_started(&cases[i].answer, &requests);
        cr_expect_str_eq(started.type, err.type, "case %zu: %s", i, started.type);
        cr_expect_str_eq(started.msg, err.msg, "case %zu: %s", i, started.msg);
        cr_expect_eq(started.code, err.code);
        cr_expect_eq(started.detail, err.detail);
        cr_expect_eq(started.retryable, err.retryable);
        cr_expect_eq(requests, 1, "a call that is started is never repeated");
    }
}

Test(aws, sorts_errors_by_name_and_status)
{
    static const struct {
        int status;
        const char *type;
        enum error_code code;
        bool retryable;
    } cases[] = {
        { 429, "TooManyRequestsException", ERR_THROTTLED, true },
        { 429, "", ERR_THROTTLED, true },
        { 400, "ThrottlingException", ERR_THROTTLED, true },
        { 400, "Throttling", ERR_THROTTLED, true },
        { 400, "RequestLimitExceeded", ERR_THROTTLED, true },
        { 503, "ThrottledException", ERR_THROTTLED, true },
        { 401, "", ERR_DENIED, false },
        { 403, "AccessDeniedException", ERR_DENIED, false },
        { 400, "AccessDeniedException", ERR_DENIED, false },
        { 400, "UnrecognizedClientException", ERR_DENIED, false },
        { 400, "ExpiredTokenException", ERR_DENIED, false },
        { 404, "ResourceNotFoundException", ERR_NOT_FOUND, false },
        { 400, "ClusterNotFoundException", ERR_NOT_FOUND, false },
        { 409, "DurableExecutionAlreadyStartedException", ERR_CONFLICT, false },
        { 400, "ConflictException", ERR_CONFLICT, false },
        { 413, "RequestTooLargeException", ERR_TOO_LARGE, false },
        { 408, "", ERR_TIMEOUT, true },
        { 400, "InvalidParameterValueException", ERR_INVALID, false },
        { 422, "", ERR_INVALID, false },
        { 500, "ServiceException", ERR_UNAVAILABLE, true },
        { 504, "", ERR_UNAVAILABLE, true },
        { 502, "KMSAccessDeniedException", ERR_UNAVAILABLE, false },
        { 302, "", ERR_PROTOCOL, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = { .status = cases[i].status,
                                 .body = "{}",
                                 .headers = { { "x-amzn-ErrorType", cases[i].type } } };
        size_t requests = 0;
        struct error err = failed(&answer, 2, &requests);
        cr_expect_eq(err.code, cases[i].code, "case %zu: %s", i, error_code_name(err.code));
        cr_expect_eq(err.retryable, cases[i].retryable, "case %zu", i);
        cr_expect_eq(requests, cases[i].retryable ? 2 : 1, "case %zu: %zu requests", i, requests);
    }
}

Test(aws, does_not_repeat_a_call_that_says_once)
{
    static const struct answer cut[] = { { .status = 0 } };
    size_t requests = 0;
    struct error err = failed(cut, 1, &requests);
    cr_expect_eq(err.code, ERR_NET);
    cr_expect(err.retryable);
    cr_expect_eq(requests, 1);
    err = failed(cut, 0, &requests);
    cr_expect_eq(err.code, ERR_NET);
    cr_expect_eq(requests, 3, "three tries are the default");
}

Test(aws, leaves_a_long_wait_to_its_caller)
{
    static const struct answer busy[] = {
        { .status = 429, .body = "{}", .headers = { { "Retry-After", "21" } } },
        { .status = 200, .body = "{}" }
    };
    struct room r;
    room_open(&r, busy, 2);
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    cr_expect_eq(aws_send(r.a, &checkpoint, &resp, &err), -1);
    cr_expect_eq(err.code, ERR_THROTTLED);
    cr_expect_eq(aws_retry_after_ms(r.a), 21000);
    cr_expect_eq(r.s->count, 1);
    cr_expect_eq(aws_send(r.a, &checkpoint, &resp, &err), 0);
    cr_expect_eq(aws_retry_after_ms(r.a), -1);
    room_close(&r);
}

Test(aws, keeps_deadline_cancel_and_timeout)
{
    static const struct answer busy[] = { { .status = 503, .body = "{}", .delay_ms = 3000 } };
    struct room r;
    room_open(&r, busy, 1);
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    aws_set_timeout(r.a, 1000);
    aws_set_retry(r.a, 2, 10, 10);
    cr_expect_eq(aws_send(r.a, &checkpoint, &resp, &err), -1);
    cr_expect_eq(err.code, ERR_TIMEOUT);
    cr_expect_eq(r.s->count, 2);
    aws_set_deadline(r.a, r.m.now_ms);
    cr_expect_eq(aws_send(r.a, &checkpoint, &resp, &err), -1);
    cr_expect_eq(err.code, ERR_TIMEOUT);
    cr_expect_eq(r.s->count, 2);
    aws_set_deadline(r.a, 0);
    atomic_bool cancel = true;
    aws_set_cancel(r.a, &cancel);
    cr_expect_eq(aws_send(r.a, &checkpoint, &resp, &err), -1);
    cr_expect_eq(err.code, ERR_CANCELLED);
    cr_expect_eq(r.s->count, 2);
    room_close(&r);
}

/* The signing key is kept from call to call; it is of one day. */
Test(aws, signs_what_a_pool_sends_day_after_day)
{
    static const struct answer ok[] = { { .status = 200, .body = "{}" } };
    struct room r;
    room_open(&r, ok, 1);
    struct http_pool *pool = open_pool();
    struct error err = { 0 };
    for (size_t day = 0; day < 3; day++) {
        struct told told[2] = { { .a = r.a }, { .a = r.a } };
        for (size_t i = 0; i < 2; i++) {
            aws_set_traceparent(r.a, i ? "00-trace" : NULL);
            cr_assert_eq(aws_start(r.a, pool, &checkpoint, &told[i].started, tell, &told[i], &err),
                         0, "%s", err.msg);
        }
        finish(pool);
        for (size_t i = 0; i < 2; i++) {
            cr_expect_eq(told[i].rc, 0, "%s", told[i].err.msg);
            cr_expect_eq(told[i].status, 200);
            cr_expect_eq(check_signature(&r, 2 * day + i, clock_wall_ms(&r.m.clock), &err), 0,
                         "day %zu: %s", day, err.msg);
        }
        char first[1024], second[1024];
        served_value(r.s, 2 * day, "traceparent", first);
        served_value(r.s, 2 * day + 1, "traceparent", second);
        cr_expect_eq(strlen(first) + strlen(second), strlen("00-trace"), "of one call each");
        r.m.now_ms += 86400000;
    }
    http_pool_free(pool);
    room_close(&r);
}

Test(aws, tells_what_a_started_call_was_asked_to_wait)
{
    static const struct answer answers[] = {
        { .status = 429, .body = "{}", .headers = { { "Retry-After", "7" } } },
        { .status = 503, .body = "{}" },
        { .status = 0 },
    };
    static const struct {
        enum error_code code;
        int64_t after_ms;
    } want[] = { { ERR_THROTTLED, 7000 }, { ERR_UNAVAILABLE, -1 }, { ERR_NET, -1 } };
    struct room r;
    room_open(&r, answers, 3);
    struct http_pool *pool = open_pool();
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct told t = { .a = r.a };
        struct error err = { 0 };
        cr_assert_eq(aws_start(r.a, pool, &checkpoint, &t.started, tell, &t, &err), 0);
        finish(pool);
        cr_expect_eq(t.err.code, want[i].code, "case %zu: %s", i, t.err.msg);
        cr_expect_eq(t.retry_after_ms, want[i].after_ms, "case %zu", i);
    }
    cr_expect_eq(r.s->count, 3);
    http_pool_free(pool);
    room_close(&r);
}

Test(aws, a_call_that_cannot_be_started_is_told_at_once)
{
    static const struct answer ok[] = { { .status = 200, .body = "{}" } };
    struct room r;
    room_open(&r, ok, 1);
    struct http_pool *pool = open_pool();
    struct told t = { .a = r.a };
    struct error err = { 0 };
    aws_set_deadline(r.a, r.m.now_ms);
    cr_expect_eq(aws_start(r.a, pool, &checkpoint, &t.started, tell, &t, &err), -1);
    cr_expect_eq(err.code, ERR_TIMEOUT);
    free(r.o.access_key);
    free(r.o.secret_key);
    r.o.access_key = r.o.secret_key = NULL;
    r.o.container_full_uri = mem_dup("http://127.0.0.1:1/");
    struct aws *without = aws_new(&r.o, &r.m.clock, &err);
    cr_assert_not_null(without, "%s", err.msg);
    cr_expect_eq(aws_start(without, pool, &checkpoint, &t.started, tell, &t, &err), -1);
    cr_expect_eq(err.code, ERR_DENIED, "%s", err.msg);
    cr_expect_eq(err.detail, 0);
    cr_expect_eq(http_pool_running(pool), 0);
    cr_expect_eq(t.times, 0);
    cr_expect_eq(r.s->count, 0);
    aws_free(without);
    free(r.o.container_full_uri);
    http_pool_free(pool);
    room_close(&r);
}

Test(aws, chooses_the_service_s_own_endpoint_first)
{
    static const struct answer ok[] = { { .status = 200, .body = "{}" } };
    struct served *s = served_start(ok, 1);
    http_global_init();
    char region[] = "us-east-1";
    char nowhere[] = "http://127.0.0.1:1";
    char key[] = "k";
    struct aws_options o = { .region = region,
                             .endpoint = nowhere,
                             .endpoint_ecs = s->url,
                             .access_key = key,
                             .secret_key = key };
    struct error err = { 0 };
    struct aws *a = aws_new(&o, clock_system(), &err);
    cr_assert_not_null(a, "%s", err.msg);
    aws_set_retry(a, 1, 0, 0);
    struct json_object *out = NULL;
    cr_expect_eq(aws_send_json11(a, AWS_ECS, "X.Y", "{}", &out, &err), 0, "%s", err.msg);
    json_put_ptr(&out);
    cr_expect_eq(aws_send_json11(a, AWS_SECRETS_MANAGER, "X.Y", "{}", &out, &err), -1);
    cr_expect_eq(err.code, ERR_NET);
    cr_expect_null(out);
    char value[1024];
    cr_expect_str_eq(served_value(s, 0, "X-Amz-Security-Token", value), "", "no token, no header");
    aws_free(a);
    served_stop(s);
}

Test(aws, says_what_its_options_lack)
{
    static char region[] = "us-east-1";
    static char key[] = "key";
    static char empty[] = "";
    static char odd_region[] = "us/east";
    char *wrong[] = { (char[]){ "127.0.0.1:80" },     (char[]){ "ftp://h" },
                      (char[]){ "http://" },          (char[]){ "http://h/path" },
                      (char[]){ "http://user@host" }, (char[]){ "http://h?q" } };
    struct error err = { 0 };
    struct aws_options o = { .region = region, .access_key = key, .secret_key = key };
    http_global_init();
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        o.endpoint_lambda = wrong[i];
        cr_expect_null(aws_new(&o, clock_system(), &err));
        cr_expect_eq(err.code, ERR_INVALID, "%s", wrong[i]);
    }
    o.endpoint_lambda = NULL;
    o.region = odd_region;
    cr_expect_null(aws_new(&o, clock_system(), &err));
    cr_expect_eq(err.code, ERR_INVALID);
    o.region = region;
    o.secret_key = empty;
    cr_expect_null(aws_new(&o, clock_system(), &err));
    cr_expect_eq(err.code, ERR_DENIED);
    cr_expect_not_null(strstr(err.msg, "AWS_SECRET_ACCESS_KEY"));
    o.secret_key = key;
    struct aws *a = aws_new(&o, clock_system(), &err);
    cr_expect_not_null(a, "AWS's own endpoints: %s", err.msg);
    aws_free(a);
}

Test(aws, speaks_json11)
{
    static const struct answer answers[] = {
        { .status = 200, .body = "{\"a\":[1]}" },
        { .status = 200, .body = "[]" },
        { .status = 200, .body = "nonsense" },
        { .status = 400,
          .body =
              "{\"__type\":\"ConflictException\",\"resourceIds\":[\"arn\"],\"message\":\"m\"}" },
        { .status = 400, .body = "nonsense" },
    };
    static const struct {
        int rc;
        enum error_code code;
        const char *out;
    } want[] = {
        { 0, ERR_NONE, "{\"a\":[1]}" },
        { -1, ERR_PROTOCOL, NULL },
        { -1, ERR_PROTOCOL, NULL },
        { -1, ERR_CONFLICT,
          "{\"__type\":\"ConflictException\",\"resourceIds\":[\"arn\"],\"message\":\"m\"}" },
        { -1, ERR_INVALID, NULL },
    };
    struct room r;
    room_open(&r, answers, ARRAY_LEN(answers));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        auto_json struct json_object *out = NULL;
        struct error err = { 0 };
        cr_expect_eq(aws_send_json11(r.a, AWS_ECS, "Svc.Op", "{\"x\":1}", &out, &err), want[i].rc);
        cr_expect_eq(err.code, want[i].code, "case %zu: %s", i, err.msg);
        if (want[i].out)
            cr_expect_str_eq(json_text(out, NULL), want[i].out);
        else
            cr_expect_null(out);
        cr_expect_eq(check_signature(&r, i, clock_wall_ms(&r.m.clock), &err), 0, "%s", err.msg);
    }
    char value[1024];
    cr_expect_str_eq(r.s->asked[0].line, "POST /");
    cr_expect_str_eq(served_value(r.s, 0, "X-Amz-Target", value), "Svc.Op");
    cr_expect_str_eq(served_value(r.s, 0, "Content-Type", value), "application/x-amz-json-1.1");
    room_close(&r);
}

Test(credentials, are_lent_and_an_empty_token_is_none)
{
    struct error err = { 0 };
    struct credentials c;
    struct credentials_source *s = credentials_fixed_new("a", "s", "", &err);
    cr_assert_not_null(s);
    cr_assert_eq(credentials_get(s, &c, &err), 0);
    cr_expect_str_eq(c.access_key, "a");
    cr_expect_str_eq(c.secret_key, "s");
    cr_expect_null(c.session_token);
    credentials_free(s);
    credentials_free(NULL);
    cr_expect_null(credentials_fixed_new("a", NULL, NULL, &err));
    cr_expect_null(credentials_fixed_new("", "s", NULL, &err));
}

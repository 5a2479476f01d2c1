/* The real callback-receiver between jobs, a launcher and a Lambda that does as it is told: each
 * row of its HTTP interface and each promise about delivery. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/mem.h"
#include "tests/integration/rig.h"

#define ID    RIG_ID
#define OTHER "T3RoZXI="
#define JSON  "application/json"

RIG_TEST(receiver, registers_and_hands_out_the_input)
{
    struct rig *r = rig_start(NULL);
    auto_free char *launcher = rig_token(ID, TOKEN_SCOPE_LAUNCHER, 60);
    auto_free char *job = rig_token(ID, TOKEN_SCOPE_JOB, 60);
    static const char body[] =
        "{\"input\":{\"a\":[1,\"\xc3\xa4\"]},\"heartbeatSeconds\":9,\"workflow\":\"w\"}";
    static const char equal[] =
        "{\"workflow\":\"w\", \"heartbeatSeconds\":9, \"input\":{\"a\":[1,\"\xc3\xa4\"]}}";
    rig_expect(rig_say(r, "GET", "/input", job, NULL, NULL), 404, "");
    rig_expect(rig_say(r, "GET", "", job, NULL, NULL), 404, "");
    rig_expect(rig_say(r, "PUT", "", launcher, JSON, body), 201, "\"pending\"");
    rig_expect(rig_say(r, "PUT", "", launcher, JSON, body), 200, "\"pending\"");
    rig_expect(rig_say(r, "PUT", "", launcher, JSON, equal), 200, "\"pending\"");
    rig_expect(rig_say(r, "PUT", "", launcher, JSON, "{\"workflow\":\"w\"}"), 409, "\"pending\"");
    struct rig_answer a = rig_say(r, "GET", "/input", job, NULL, NULL);
    cr_assert_eq(a.status, 200);
    cr_assert_str_eq(a.type, JSON);
    cr_assert_str_eq(a.body, "{\"a\":[1,\"\xc3\xa4\"]}");
    a = rig_say(r, "GET", "", job, NULL, NULL);
    rig_expect(a, 200, "\"workflow\":\"w\"");
    cr_assert_not_null(strstr(a.body, "\"firstContactAt\""), "%s", a.body);
    rig_stop(r);
}

RIG_TEST(receiver, every_route_wants_a_token_of_this_callback_and_scope)
{
    static const struct {
        const char *method, *what;
        bool job, launcher;
    } rows[] = {
        { "PUT", "", false, true },         { "GET", "", true, true },
        { "DELETE", "", false, true },      { "POST", "/success", true, true },
        { "POST", "/failure", true, true }, { "POST", "/heartbeat", true, false },
        { "GET", "/input", true, false },
    };
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, NULL);
    auto_free char *launcher = rig_token(ID, TOKEN_SCOPE_LAUNCHER, 60);
    auto_free char *expired = rig_token(ID, TOKEN_SCOPE_JOB, -1);
    auto_free char *of_other = rig_token(OTHER, TOKEN_SCOPE_JOB, 60);
    auto_free char *forged = mem_dup(job);
    forged[strlen(forged) / 2] ^= 1;
    const char *const unknown[] = { NULL, "", "x", "v1.k1.AAAA", "v2.k1.AAAA", expired, forged };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t t = 0; t < ARRAY_LEN(unknown); t++) {
            struct rig_answer a = rig_say(r, rows[i].method, rows[i].what, unknown[t], JSON, "{}");
            cr_assert_eq(a.status, 401, "%s %s with token %zu: %d", rows[i].method, rows[i].what, t,
                         a.status);
            cr_assert_str_eq(a.challenge, "Bearer error=\"invalid_token\"");
        }
        rig_expect(rig_say(r, rows[i].method, rows[i].what, of_other, JSON, "{}"), 403, "another");
        if (!rows[i].job)
            rig_expect(rig_say(r, rows[i].method, rows[i].what, job, JSON, "{}"), 403, "not allow");
        if (!rows[i].launcher)
            rig_expect(rig_say(r, rows[i].method, rows[i].what, launcher, JSON, "{}"), 403,
                       "not allow");
    }
    auto_free char *state = rig_await_state(r, ID, "pending");
    cr_assert_null(strstr(state, "firstContactAt"), "nothing of it was contact: %s", state);
    cr_assert_eq(rig_calls(r), 0);
    rig_stop(r);
}

RIG_TEST(receiver, delivers_what_was_reported)
{
    static const struct {
        const char *what, *type, *body, *verb, *delivered;
    } cases[] = {
        { "/success", JSON, " {\"ok\": [1.0]}", "succeed", " {\"ok\": [1.0]}" },
        { "/success", "application/x-www-form-urlencoded", "{\"ok\":true}", "succeed",
          "{\"ok\":true}" },
        { "/success", "text/plain", "line\n\"quoted\"", "succeed", "\"line\\n\\\"quoted\\\"\"" },
        { "/failure", JSON, "{\"errorMessage\":\"m\",\"errorType\":\"T\",\"stackTrace\":[\"a\"]}",
          "fail", "{\"ErrorType\":\"T\",\"ErrorMessage\":\"m\",\"StackTrace\":[\"a\"]}" },
        { "/failure", JSON, "{}", "fail", "{}" },
    };
    struct rig *r = rig_start(NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char id[] = "QUFB+/Q=";
        id[0] = (char)('A' + i);
        auto_free char *job = rig_register(r, id, NULL);
        struct rig_answer a = rig_ask(r, &(struct rig_ask){ .method = "POST",
                                                            .callback_id = id,
                                                            .what = cases[i].what,
                                                            .token = job,
                                                            .type = cases[i].type,
                                                            .body = cases[i].body });
        rig_expect(a, 202, "{\"state\":\"accepted\"}");
        auto_free char *state = rig_await_state(r, id, "delivered");
        cr_assert_not_null(strstr(state, "\"deliveredAt\""), "%s", state);
        cr_assert_not_null(strstr(state, "\"attempts\":1"), "%s", state);
        struct rig_call call = rig_last_call(r);
        cr_assert_str_eq(call.verb, cases[i].verb);
        cr_assert_str_eq(call.callback_id, id);
        cr_assert_str_eq(call.body, cases[i].delivered);
        free(call.body);
    }
    cr_assert_eq(rig_calls(r), ARRAY_LEN(cases));
    rig_stop(r);
}

RIG_TEST(receiver, the_first_report_wins)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, NULL);
    auto_free char *launcher = rig_token(ID, TOKEN_SCOPE_LAUNCHER, 60);
    rig_lambda(r, RIG_THROTTLES, 0, RIG_THROTTLES);
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "{\"n\":1}"), 202, "accepted");
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "{\"n\":1}"), 202, "accepted");
    rig_expect(rig_say(r, "POST", "/success", launcher, NULL, "{\"n\":1}"), 202, "accepted");
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "{\"n\":2}"), 409,
               "\"state\":\"accepted\"");
    rig_expect(rig_say(r, "POST", "/success", job, "text/plain", "{\"n\":1}"), 409, "accepted");
    rig_expect(rig_say(r, "POST", "/failure", launcher, JSON, "{}"), 409, "accepted");
    rig_expect(rig_say(r, "POST", "/heartbeat", job, NULL, NULL), 200, "accepted");
    auto_free char *held = rig_await_state(r, ID, "accepted");
    cr_assert_not_null(strstr(held, "\"report\":{\"kind\":\"success\",\"mediaType\":"
                                    "\"application/json\",\"body\":\"{\\\"n\\\":1}\"}"),
                       "%s", held);
    rig_expect(rig_say(r, "GET", "", job, NULL, NULL), 200, "accepted");
    cr_assert_null(strstr(rig_say(r, "GET", "", job, NULL, NULL).body, "\"report\""),
                   "the held report is the launcher's");
    rig_lambda(r, RIG_TAKES, 0, RIG_TAKES);
    free(rig_await_state(r, ID, "delivered"));
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "{\"n\":1}"), 200,
               "{\"state\":\"delivered\"}");
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "{\"n\":2}"), 409,
               "\"state\":\"delivered\"");
    unsigned calls = rig_calls(r);
    clock_sleep_ms(clock_system(), 300);
    cr_assert_eq(rig_calls(r), calls, "what is delivered is not sent again");
    rig_stop(r);
}

RIG_TEST(receiver, bad_bodies_change_nothing)
{
    static const struct {
        const char *method, *what, *type, *body;
        int status;
    } cases[] = {
        { "POST", "/success", JSON, "{", 400 },
        { "POST", "/success", JSON, NULL, 400 },
        { "POST", "/success", JSON, "\"\\u0000\"", 400 },
        { "POST", "/success", JSON, "\"\xff\"", 400 },
        { "POST", "/success", "application/x-www-form-urlencoded", "ok=true", 400 },
        { "POST", "/success", "application/xml", "<ok/>", 415 },
        { "POST", "/failure", JSON, "{\"errorType\":1}", 400 },
        { "POST", "/failure", JSON, "{\"unknown\":1}", 400 },
        { "POST", "/failure", JSON, "\"x\"", 400 },
        { "POST", "/failure", "text/plain", "x", 415 },
        { "POST", "/heartbeat", JSON, "{\"progress\":2}", 400 },
        { "POST", "/heartbeat", "text/plain", "x", 415 },
        { "PUT", "", JSON, "{\"heartbeatSeconds\":\"x\"}", 400 },
        { "PUT", "", JSON, "{\"unknown\":1}", 400 },
        { "PUT", "", JSON, "nonsense", 400 },
        { "PUT", "", "text/plain", "{}", 415 },
        { "DELETE", "", JSON, "{\"outcome\":1}", 400 },
        { "DELETE", "", JSON, "[", 400 },
    };
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_token(ID, TOKEN_SCOPE_JOB, 60);
    auto_free char *launcher = rig_token(ID, TOKEN_SCOPE_LAUNCHER, 60);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool by_job = strcmp(cases[i].method, "POST") == 0;
        struct rig_answer a = rig_say(r, cases[i].method, cases[i].what, by_job ? job : launcher,
                                      cases[i].type, cases[i].body);
        cr_assert_eq(a.status, cases[i].status, "case %zu: %d %s", i, a.status, a.body);
    }
    rig_expect(rig_say(r, "GET", "", launcher, NULL, NULL), 404, "not registered");
    static const struct {
        const char *method, *what;
        size_t len;
        int status;
    } sizes[] = {
        { "POST", "/success", 240000, 202 },  { "POST", "/success", 240001, 413 },
        { "POST", "/success", 2000000, 413 }, { "POST", "/heartbeat", 16385, 413 },
        { "POST", "/failure", 30000, 413 },
    };
    for (size_t i = ARRAY_LEN(sizes); i-- > 0;) {
        bool failure = strcmp(sizes[i].what, "/failure") == 0;
        char *big = mem_alloc(sizes[i].len + 1);
        memset(big, 'x', sizes[i].len);
        big[0] = big[sizes[i].len - 1] = '"';
        auto_free char *wrapped = mem_printf("{\"errorData\":%s}", big);
        struct rig_answer a =
            rig_say(r, sizes[i].method, sizes[i].what, job, JSON, failure ? wrapped : big);
        cr_assert_eq(a.status, sizes[i].status, "size %zu: %d %s", i, a.status, a.body);
        free(big);
    }
    free(rig_await_state(r, ID, "delivered"));
    rig_stop(r);
}

RIG_TEST(receiver, a_whole_mebibyte_of_input_and_no_more)
{
    struct rig *r = rig_start(NULL);
    auto_free char *launcher = rig_token(ID, TOKEN_SCOPE_LAUNCHER, 60);
    auto_free char *job = rig_token(ID, TOKEN_SCOPE_JOB, 60);
    for (size_t over = 1; over <= 1; over--) {
        size_t len = (1U << 20) - 2 + over;
        char *fill = mem_alloc(len + 1);
        memset(fill, 'y', len);
        auto_free char *body = mem_printf("{\"input\":\"%s\"}", fill);
        free(fill);
        rig_expect(rig_say(r, "PUT", "", launcher, JSON, body), over ? 413 : 201,
                   over ? "input" : "");
    }
    struct rig_answer a = rig_say(r, "GET", "/input", job, NULL, NULL);
    cr_assert_eq(a.status, 200);
    cr_assert_eq(a.body_len, 1U << 20);
    rig_stop(r);
}

RIG_TEST(receiver, closed_is_closed)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, NULL);
    auto_free char *launcher = rig_token(ID, TOKEN_SCOPE_LAUNCHER, 60);
    rig_lambda(r, RIG_FAILS, 0, RIG_FAILS);
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "1"), 202, "accepted");
    rig_expect(rig_say(r, "DELETE", "", launcher, JSON, "{\"outcome\":\"TIMED_OUT\"}"), 200,
               "closed");
    rig_expect(rig_say(r, "DELETE", "", launcher, NULL, NULL), 200, "closed");
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "1"), 410, "\"state\":\"closed\"");
    rig_expect(rig_say(r, "POST", "/failure", job, JSON, "{}"), 410, "closed");
    rig_expect(rig_say(r, "POST", "/heartbeat", job, NULL, NULL), 410, "closed");
    rig_expect(rig_say(r, "GET", "/input", job, NULL, NULL), 410, "closed");
    rig_expect(rig_say(r, "PUT", "", launcher, JSON, "{\"input\":{\"n\":1}}"), 410, "closed");
    struct rig_answer a = rig_say(r, "GET", "", launcher, NULL, NULL);
    rig_expect(a, 200, "\"state\":\"closed\"");
    rig_expect(a, 200, "\"report\""); /* the outcome is still to be had */
    unsigned calls = rig_calls(r);
    clock_sleep_ms(clock_system(), 500);
    cr_assert_leq(rig_calls(r), calls + 1, "deliveries end");
    /* A callback that was never registered can be closed too, before its job says anything. */
    auto_free char *other = rig_token(OTHER, TOKEN_SCOPE_LAUNCHER, 60);
    auto_free char *other_job = rig_token(OTHER, TOKEN_SCOPE_JOB, 60);
    struct rig_ask late = { .callback_id = OTHER, .what = "", .method = "DELETE", .token = other };
    rig_expect(rig_ask(r, &late), 200, "closed");
    late = (struct rig_ask){
        .callback_id = OTHER, .what = "/success", .method = "POST", .token = other_job, .body = "1"
    };
    rig_expect(rig_ask(r, &late), 410, "closed");
    rig_stop(r);
}

RIG_TEST(receiver, a_report_without_a_registration_is_kept_and_delivered)
{
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_token(ID, TOKEN_SCOPE_JOB, 60);
    rig_expect(rig_say(r, "POST", "/heartbeat", job, NULL, NULL), 200, "pending");
    rig_expect(rig_say(r, "GET", "/input", job, NULL, NULL), 404, "not registered");
    rig_expect(rig_say(r, "POST", "/success", job, NULL, "{\"early\":true}"), 202, "accepted");
    free(rig_await_state(r, ID, "delivered"));
    free(rig_register(r, ID, NULL));
    rig_stop(r);
}

Test(receiver, paths_and_methods)
{
    static const struct {
        const char *method, *path;
        int status;
        const char *allow;
    } cases[] = {
        { "GET", "/healthz", 200, "" },
        { "HEAD", "/healthz", 200, "" },
        { "POST", "/healthz", 405, "GET, HEAD" },
        { "GET", "/", 404, "" },
        { "GET", "/readyz", 404, "" },
        { "GET", "/metrics", 404, "" },
        { "GET", "/v1/callbacks", 404, "" },
        { "GET", "/v1/callbacks/", 404, "" },
        { "GET", "/v1/callbacks/AAAA/", 404, "" },
        { "POST", "/v1/callbacks/AAAA/success/", 404, "" },
        { "POST", "/v1/callbacks/AAAA/explode", 404, "" },
        { "GET", "/v1/callbacks//success", 404, "" },
        { "GET", "/v1/callbacks/../healthz", 404, "" },
        { "POST", "/v1/callbacks/AAAA", 405, "PUT, GET, HEAD, DELETE" },
        { "OPTIONS", "/v1/callbacks/AAAA", 405, "PUT, GET, HEAD, DELETE" },
        { "GET", "/v1/callbacks/AAAA/success", 405, "POST" },
        { "PUT", "/v1/callbacks/AAAA/failure", 405, "POST" },
        { "DELETE", "/v1/callbacks/AAAA/heartbeat", 405, "POST" },
        { "POST", "/v1/callbacks/AAAA/input", 405, "GET, HEAD" },
        { "GET", "/v1/callbacks/%00%2e%2e", 401, "" },
    };
    struct rig *r = rig_start(NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rig_answer a = rig_get(r, false, cases[i].method, cases[i].path, NULL);
        cr_assert_eq(a.status, cases[i].status, "%s %s: %d", cases[i].method, cases[i].path,
                     a.status);
        cr_assert_str_eq(a.allow, cases[i].allow, "%s %s: %s", cases[i].method, cases[i].path,
                         a.allow);
    }
    rig_stop(r);
}

RIG_TEST(receiver, the_operations_port_is_for_operators)
{
    static const char *const env[] = { "OPS_TOKEN=0123456789abcdef", NULL };
    static const struct {
        const char *method, *path, *header, *value;
        int status;
    } cases[] = {
        { "GET", "/healthz", NULL, NULL, 200 },
        { "HEAD", "/healthz", NULL, NULL, 200 },
        { "GET", "/readyz", NULL, NULL, 200 },
        { "GET", "/metrics", NULL, NULL, 200 },
        { "GET", "/pending", NULL, NULL, 200 },
        { "GET", "/pending?limit=1", NULL, NULL, 200 },
        { "GET", "/pending?limit=0", NULL, NULL, 400 },
        { "GET", "/pending?limit=x", NULL, NULL, 400 },
        { "POST", "/pending", NULL, NULL, 405 },
        { "GET", "/redeliver/AAAAAAAAAAAAAAAAAAAAAAAA", NULL, NULL, 405 },
        { "POST", "/redeliver/short", NULL, NULL, 404 },
        { "GET", "/nothing", NULL, NULL, 404 },
        { "GET", "/pending", "Host", "evil.example", 401 },
        { "GET", "/pending", "Origin", "http://evil.example", 401 },
        { "GET", "/pending", "Authorization", "Bearer wrong", 401 },
        { "POST", "/redeliver/AAAAAAAAAAAAAAAAAAAAAAAA", "Origin", "null", 401 },
        { "GET", "/healthz", "Host", "evil.example", 200 },
    };
    struct rig *r = rig_start(env);
    free(rig_register(r, ID, NULL));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_header headers[] = { { cases[i].header, cases[i].value }, { NULL, NULL } };
        struct rig_answer a = rig_get(r, true, cases[i].method, cases[i].path, headers);
        cr_assert_eq(a.status, cases[i].status, "%s %s (%zu): %d", cases[i].method, cases[i].path,
                     i, a.status);
    }
    struct http_header with_token[] = { { "Host", "evil.example" },
                                        { "Authorization", "Bearer 0123456789abcdef" },
                                        { NULL, NULL } };
    cr_assert_eq(rig_get(r, true, "GET", "/metrics", with_token).status, 200);
    rig_expect(rig_get(r, true, "GET", "/metrics", NULL), 200,
               "callback_receiver_registrations_total 1\n");
    rig_expect(rig_get(r, true, "GET", "/pending", NULL), 200, "\"state\":\"pending\"");
    rig_stop(r);
}

Test(receiver, the_token_command_seals_what_the_api_opens)
{
    const char *bin = getenv("BIN_DIR");
    static const struct {
        const char *arguments;
        int status;
    } cases[] = {
        { "--callback-id-stdin --scope job --expires 60", 0 },
        { "--callback-id-stdin --public-id", 0 },
        { "--scope job", 1 },
        { "--callback-id-stdin --scope admin", 1 },
        { "--callback-id-stdin --expires 0", 1 },
        { "--callback-id-stdin extra", 1 },
        { "--help", 0 },
    };
    struct rig *r = rig_start(NULL);
    char id[TOKEN_PUBLIC_ID];
    token_public_id(ID, id);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *command = mem_printf("printf '%s' | CALLBACK_TOKEN_KEYS='" RIG_KEYS
                                             "' %s/callback-receiver token %s 2>/dev/null",
                                             ID, bin ? bin : "build/bin", cases[i].arguments);
        char line[TOKEN_MAX] = "";
        FILE *f = popen(command, "r");
        cr_assert_not_null(f);
        if (fgets(line, sizeof(line), f))
            line[strcspn(line, "\n")] = '\0';
        while (fgetc(f) != EOF)
            ;
        int status = pclose(f);
        cr_assert_eq(WEXITSTATUS(status), cases[i].status, "case %zu", i);
        if (i == 0)
            rig_expect(rig_say(r, "POST", "/heartbeat", line, NULL, NULL), 200, "pending");
        else if (i == 1)
            cr_assert_str_eq(line, id);
    }
    rig_stop(r);
}

Test(receiver, refuses_to_start_with_a_configuration_that_makes_no_sense)
{
    static const struct {
        const char *env[6];
        const char *says;
    } cases[] = {
        { { NULL }, "CALLBACK_TOKEN_KEYS" },
        { { "CALLBACK_TOKEN_KEYS={\"k\":\"short\"}", NULL }, "token keys" },
        { { "CALLBACK_TOKEN_KEYS=" RIG_KEYS, "CALLBACK_STORE=redis://x", NULL }, "Redis" },
        { { "CALLBACK_TOKEN_KEYS=" RIG_KEYS, "OPS_LISTEN=0.0.0.0:0", NULL }, "OPS_TOKEN" },
        { { "CALLBACK_TOKEN_KEYS=" RIG_KEYS, "LISTEN=nowhere", NULL }, "listen" },
        { { "CALLBACK_TOKEN_KEYS=" RIG_KEYS, "LOG_LEVEL=loud", NULL }, "LOG_LEVEL" },
        { { "CALLBACK_TOKEN_KEYS=" RIG_KEYS, "DELIVERY_CALLS=1025", NULL }, "DELIVERY_CALLS" },
        { { "CALLBACK_TOKEN_KEYS=" RIG_KEYS, "AWS_SECRET_ACCESS_KEY=", NULL }, "AWS_SECRET" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *says = rig_refused(cases[i].env);
        cr_assert_not_null(strstr(says, cases[i].says), "case %zu: %s", i, says);
        cr_assert_null(strstr(says, "aaaaaaaa"), "case %zu: %s", i, says);
    }
}

/* Input that nobody should send, to every HTTP entry: the documented error, nothing changed, still
 * serving. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/world.h"

struct request {
    const char *method;
    const char *path;
    const char *type; /* Content-Type; NULL: none */
    const char *body;
    const char *header; /* "Name: value", or NULL */
    int status;
    const char *says; /* in the answer's body; NULL: anything */
};

static void send_all(struct api *api, const char *problem_type, const struct request *requests,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct request *r = &requests[i];
        struct error err = { 0 };
        auto_answer struct api_answer a = { 0 };
        struct http_header headers[3] = { { 0 } };
        auto_free char *name = mem_dup(r->header);
        size_t n = 0;
        if (r->type)
            headers[n++] = (struct http_header){ "Content-Type", r->type };
        if (name) {
            char *colon = strchr(name, ':');
            *colon = '\0';
            headers[n++] = (struct http_header){ name, colon + 2 };
        }
        cr_assert_eq(api_send(api, r->method, r->path, headers, r->body, &a, &err), 0, "%s %s: %s",
                     r->method, r->path, err.msg);
        cr_expect_eq(a.status, r->status, "%s %s %.80s: %d %s", r->method, r->path,
                     r->body ? r->body : "", a.status, a.text);
        if (r->says)
            cr_expect(strstr(a.text, r->says), "%s %s: no \"%s\" in %s", r->method, r->path,
                      r->says, a.text);
        if (problem_type)
            cr_expect(a.type && strcmp(a.type, problem_type) == 0, "%s %s: Content-Type %s",
                      r->method, r->path, a.type ? a.type : "none");
    }
}

static char *big_json(size_t len)
{
    char *body = mem_alloc(len + 3);
    memset(body, 'x', len + 2);
    body[0] = body[len + 1] = '"';
    return body;
}

#define JSON    "application/json"
#define PROBLEM "application/problem+json"

Test(bad_input, the_clients_api_refuses_and_starts_nothing)
{
    struct world w;
    world_start(&w, NULL);
    auto_free char *big = big_json(2000000);
    auto_free char *long_command =
        mem_printf("{\"pattern\":\"callback\",\"task\":{\"command\":[\"%0*d\"]}}", 9000, 1);
    const struct request requests[] = {
        { "POST", "/workflows", JSON, "{\"pattern\":", NULL, 400, NULL },
        { "POST", "/workflows", JSON, "", NULL, 400, NULL },
        { "POST", "/workflows", JSON, "[]", NULL, 400, NULL },
        { "POST", "/workflows", JSON, "{\"pattern\":7}", NULL, 400, "/pattern" },
        { "POST", "/workflows", JSON, "{\"pattern\":\"callback\",\"colour\":1}", NULL, 400,
          "/colour" },
        { "POST", "/workflows", JSON, "{\"pattern\":\"callback\",\"task\":{\"command\":\"ls\"}}",
          NULL, 400, "/task/command" },
        { "POST", "/workflows", JSON, "{\"pattern\":\"callback\",\"task\":{\"command\":[1]}}", NULL,
          400, "/task/command/0" },
        { "POST", "/workflows", JSON,
          "{\"pattern\":\"callback\",\"task\":{\"command\":[\"a\"],\"environment\":{\"LD_PRELOAD\":"
          "\"x\"}}}",
          NULL, 400, "/task/environment/LD_PRELOAD" },
        { "POST", "/workflows", JSON,
          "{\"pattern\":\"callback\",\"task\":{\"command\":[\"a\"],\"environment\":{\"CALLBACK_"
          "URL\":\"x\"}}}",
          NULL, 400, "/task/environment/CALLBACK_URL" },
        { "POST", "/workflows", JSON, "{\"pattern\":\"callback\",\"task\":{},\"timeoutSeconds\":0}",
          NULL, 400, "/timeoutSeconds" },
        { "POST", "/workflows", JSON,
          "{\"pattern\":\"callback\",\"task\":{},\"heartbeatSeconds\":-1}", NULL, 400,
          "/heartbeatSeconds" },
        { "POST", "/workflows", JSON, "{\"message\":1,\"processingTime\":1}", NULL, 400,
          "/message" },
        { "POST", "/workflows", JSON, "{\"message\":\"x\",\"processingTime\":\"soon\"}", NULL, 400,
          "/processingTime" },
        { "POST", "/workflows", JSON, long_command, NULL, 400, "command" },
        { "POST", "/workflows", JSON, big, NULL, 413, NULL },
        { "POST", "/workflows", "text/plain", "{}", NULL, 415, NULL },
        { "POST", "/workflows", "application/x-www-form-urlencoded", "a=b", NULL, 415, NULL },
        { "POST", "/workflows", JSON, "{\"message\":\"x\",\"processingTime\":1}",
          "Origin: http://evil.example", 403, NULL },
        { "POST", "/workflows", JSON, "{\"message\":\"x\",\"processingTime\":1}",
          "Host: evil.example", 403, NULL },
        { "POST", "/workflows", JSON, "{\"message\":\"x\",\"processingTime\":1}",
          "Idempotency-Key: \x01", 400, NULL },
        { "PUT", "/workflows", JSON, "{}", NULL, 405, NULL },
        { "GET", "/workflows/nonsense", NULL, NULL, NULL, 404, NULL },
        { "GET", "/workflows/launcher.1.a.b", NULL, NULL, NULL, 404, NULL },
        { "GET", "/workflows/other.1.a.b", NULL, NULL, NULL, 404, NULL },
        { "GET", "/workflows/launcher.1.a.b/secrets", NULL, NULL, NULL, 404, NULL },
        { "DELETE", "/workflows/launcher.1.a.b", NULL, NULL, NULL, 404, NULL },
        { "GET", "/elsewhere", NULL, NULL, NULL, 404, NULL },
        { "GET", "/workflows/../workflows", NULL, NULL, NULL, 404, NULL },
        { "GET", "/workflows/%00", NULL, NULL, NULL, 404, NULL },
    };
    send_all(w.api, PROBLEM, requests, ARRAY_LEN(requests));
    auto_json struct json_object *runs = world_requests(&w, "RunTask");
    auto_json struct json_object *invokes = world_requests(&w, "Invoke");
    cr_assert_eq(json_object_array_length(runs), 0);
    cr_assert_eq(json_object_array_length(invokes), 0, "%s", json_text(invokes, NULL));
    struct facts f = { 0 };
    auto_free char *id =
        world_post(&w, "{\"pattern\":\"callback\",\"task\":{\"command\":[\"echo\",\"1\"]}}");
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    facts_release(&f);
    world_stop(&w);
}

Test(bad_input, the_receiver_refuses_and_keeps_its_state)
{
    struct world w;
    world_start(&w, NULL);
    auto_free char *id =
        world_post(&w, "{\"pattern\":\"callback\",\"task\":{\"taskDefinition\":\"plain\","
                       "\"command\":[\"sleep\",\"60\"]}}");
    world_task_pid(&w, id);
    auto_free char *callback = world_callback_id(&w, id);
    auto_free char *token = world_token(&w, callback, false, 600);
    auto_free char *big = big_json(240001);
    static const struct {
        const char *method;
        const char *what;
        const char *body;
        int status;
    } cases[] = {
        { "POST", "/success", "{\"n\":", 400 },
        { "POST", "/success", "\"\\u0000\"", 400 },
        { "POST", "/success", "\"\xff\"", 400 },
        { "POST", "/failure", "{\"errorType\":7}", 400 },
        { "POST", "/failure", "{\"colour\":\"red\"}", 400 },
        { "POST", "/failure", "[]", 400 },
        { "POST", "/heartbeat", "{\"progress\":2}", 400 },
        { "POST", "/heartbeat", "{\"progress\":\"much\"}", 400 },
        { "GET", "/success", NULL, 405 },
        { "POST", "", "{}", 405 },
        { "PATCH", "", "{}", 405 },
        { "POST", "/sucess", "{}", 404 },
        { "PUT", "", "{}", 403 },
    };
    auto_answer struct api_answer a = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int status =
            world_report(&w, cases[i].method, callback, cases[i].what, token, cases[i].body, &a);
        cr_expect_eq(status, cases[i].status, "%s %s %s: %d %s", cases[i].method, cases[i].what,
                     cases[i].body ? cases[i].body : "", status, a.text);
        cr_expect_str_eq(a.type ? a.type : "", PROBLEM);
    }
    cr_expect_eq(world_report(&w, "POST", callback, "/success", token, big, &a), 413, "%.200s",
                 a.text);
    auto_free char *state = world_state(&w, callback);
    cr_assert_str_eq(state, "pending");
    world_stop(&w);
}

Test(bad_input, the_aws_port_refuses_what_a_web_page_could_send)
{
    struct world w;
    world_start(&w, NULL);
    static const struct request requests[] = {
        { "POST", "/_local/faults", "text/plain", "{}", NULL, 415, NULL },
        { "POST", "/_local/faults", JSON, "{", NULL, 400, NULL },
        { "POST", "/_local/faults", JSON, "{\"operation\":\"RunTask\",\"action\":\"explode\"}",
          NULL, 400, "/action" },
        { "GET", "/_local/tasks", NULL, NULL, "Origin: http://evil.example", 403, NULL },
        { "GET", "/_local/tasks", NULL, NULL, "Host: evil.example", 403, NULL },
        { "POST", "/2015-03-31/functions/launcher%3A1/invocations", JSON, "{}",
          "Origin: http://evil.example", 403, NULL },
        { "POST", "/2015-03-31/functions/launcher%3A1/invocations", JSON, "{}", NULL, 403, NULL },
        { "POST", "/", "application/x-amz-json-1.1", "{}",
          "X-Amz-Target: AmazonEC2ContainerServiceV20141113.RunTask", 400,
          "MissingAuthentication" },
    };
    send_all(w.local, NULL, requests, ARRAY_LEN(requests));
    auto_json struct json_object *runs = world_requests(&w, "RunTask");
    for (size_t i = 0; i < json_object_array_length(runs); i++)
        cr_assert_neq(json_get_int(json_object_array_get_idx(runs, i), "status", 0), 200);
    world_stop(&w);
}

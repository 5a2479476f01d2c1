/* Every answer of the clients' API as docs/openapi.json has it, and everything that is in there. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/contract.h"
#include "tests/integration/schema.h"
#include "tests/integration/world.h"

#define UNKNOWN "/workflows/launcher.1.n1.9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
#define JOB     "{\"pattern\":\"callback\",\"task\":{\"command\":[\"true\"]}}"

/* A contract, a world, and the answer of the last request. */
struct rig {
    struct contract *contract;
    struct world world;
    struct api_answer answer;
};

static int ask(struct rig *r, const char *method, const char *path, const char *body)
{
    return contract_send(r->contract, r->world.api, method, path, NULL, body, &r->answer);
}

static int post(struct rig *r, const char *key, const char *type, const char *body)
{
    const struct http_header headers[] = { { "Content-Type", type },
                                           { key ? "Idempotency-Key" : NULL, key },
                                           { NULL, NULL } };
    return contract_send(r->contract, r->world.api, "POST", "/workflows", headers, body,
                         &r->answer);
}

static void rig_start(struct rig *r)
{
    *r = (struct rig){ .contract = contract_open() };
    world_start(&r->world, NULL);
}

static void rig_stop(struct rig *r)
{
    world_stop(&r->world);
    api_answer_release(&r->answer);
    contract_close(r->contract);
}

static const char as_json[] = "application/json";

static void starts(struct rig *r)
{
    static const char *const taken[] = {
        JOB,
        "{\"message\":\"Hi\",\"processingTime\":0}",
        "{\"processingTime\":0}",
        "{\"pattern\":\"sync\",\"message\":\"Hi\"}",
        "{\"pattern\":\"batch\",\"tasks\":[{\"command\":[\"true\"],\"input\":[1]},"
        "{\"environment\":{\"A\":\"1\"},\"cpu\":256}],\"task\":{\"command\":[\"true\"]},"
        "\"maxConcurrency\":1,\"toleratedFailures\":\"50%\",\"timeoutSeconds\":60}",
        "{\"pattern\":\"batch\",\"tasks\":[{}],\"toleratedFailures\":1}",
        "{\"pattern\":\"sync\",\"task\":{\"command\":[\"true\"]},\"timeoutSeconds\":60,"
        "\"startTimeoutSeconds\":30,\"retry\":{\"maxAttempts\":2}}",
        "{\"pattern\":\"callback\",\"input\":[1,{\"a\":null}],\"timeoutSeconds\":60,"
        "\"startTimeoutSeconds\":30,\"heartbeatSeconds\":5,\"engineHeartbeatSeconds\":6,\"task\":{"
        "\"environment\":{\"A\":\"\"},"
        "\"cpu\":256,\"memory\":\"512\",\"taskDefinition\":\"plain\"},\"retry\":{\"maxAttempts\":2,"
        "\"firstDelaySeconds\":1,\"maxDelaySeconds\":2,\"backoffRate\":1.5,\"retryOn\":[\"*\"]}}",
        "{\"pattern\":\"callback\",\"retry\":{\"maxAttempts\":1}}",
    };
    auto_free char *large = mem_printf("{\"pattern\":\"callback\",\"input\":\"%01100000d\"}", 1);
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        cr_assert_eq(post(r, NULL, as_json, taken[i]), 202, "%s", r->answer.text);
    cr_assert_eq(post(r, "a", as_json, JOB), 202);
    cr_assert_eq(post(r, "a", as_json, "{\"pattern\":\"callback\"}"), 409);
    cr_assert_eq(post(r, NULL, as_json, "{\"pattern\":\"callback\",\"x\":1}"), 400);
    cr_assert_eq(post(r, NULL, as_json, "{"), 400);
    cr_assert_eq(post(r, NULL, as_json, large), 413);
    cr_assert_eq(post(r, NULL, "application/xml", ""), 415);
    cr_assert_eq(ask(r, "PUT", "/workflows", "{}"), 405);
}

static void reads_and_stops(struct rig *r, const char *path)
{
    auto_free char *whole = mem_printf("%s?wait=20&include=tasks,progress", path);
    auto_free char *wrong = mem_printf("%s?colour=red", path);
    auto_free char *history = mem_printf("%s/history", path);
    auto_free char *wrong_history = mem_printf("%s/history?colour=red", path);
    cr_assert_eq(ask(r, "GET", path, NULL), 200);
    cr_assert_eq(ask(r, "GET", whole, NULL), 200);
    cr_assert_eq(ask(r, "GET", wrong, NULL), 400);
    cr_assert_eq(ask(r, "GET", UNKNOWN, NULL), 404);
    cr_assert_eq(ask(r, "GET", "/workflows/nonsense", NULL), 404);
    cr_assert_eq(ask(r, "GET", history, NULL), 200);
    cr_assert_eq(ask(r, "GET", wrong_history, NULL), 400);
    cr_assert_eq(ask(r, "GET", UNKNOWN "/history", NULL), 404);
    cr_assert_eq(ask(r, "DELETE", wrong, NULL), 400);
    cr_assert_eq(ask(r, "DELETE", UNKNOWN, NULL), 404);
    cr_assert_eq(ask(r, "DELETE", path, NULL), 200);
    cr_assert_eq(ask(r, "PATCH", path, NULL), 405);
    cr_assert_eq(ask(r, "DELETE", history, NULL), 405);
    cr_assert_eq(ask(r, "GET", "/workflows/a/b/c", NULL), 404);
}

/* AWS refuses everything with `status`. */
static void upstream_fails(struct rig *r, int status, const char *code, int answered)
{
    auto_free char *fault =
        mem_printf("{\"operation\":\"*\",\"action\":\"error\",\"times\":-1,\"status\":%d,"
                   "\"code\":\"%s\"}",
                   status, code);
    world_fault(&r->world, fault);
    cr_assert_eq(post(r, NULL, as_json, JOB), answered);
    cr_assert_eq(ask(r, "GET", UNKNOWN, NULL), answered);
    cr_assert_eq(ask(r, "GET", UNKNOWN "/history", NULL), answered);
    cr_assert_eq(ask(r, "DELETE", UNKNOWN, NULL), answered);
    world_fault(&r->world, NULL);
}

Test(contract, holds_for_every_operation_and_status)
{
    struct rig r;
    rig_start(&r);
    cr_assert_eq(post(&r, NULL, as_json, JOB), 202);
    auto_free char *path = mem_dup(json_get_str(r.answer.json, "statusUrl"));
    starts(&r);
    reads_and_stops(&r, path);
    upstream_fails(&r, 400, "ThrottlingException", 503);
    upstream_fails(&r, 403, "AccessDeniedException", 500);
    contract_complete(r.contract);
    rig_stop(&r);
}

Test(contract, holds_for_every_end_of_a_workflow)
{
    static const struct {
        const char *body;
        const char *status;
    } ends[] = {
        { "{\"pattern\":\"callback\",\"task\":{\"command\":[\"echo\",\"[1]\"]}}", "SUCCEEDED" },
        { "{\"pattern\":\"callback\",\"task\":{\"command\":[\"false\"]}}", "FAILED" },
        { "{\"pattern\":\"sync\",\"task\":{\"command\":[\"true\"]}}", "SUCCEEDED" },
        { "{\"pattern\":\"batch\",\"tasks\":[{\"command\":[\"true\"]},{\"command\":[\"false\"]}],"
          "\"toleratedFailures\":1}",
          "SUCCEEDED" },
        { "{\"pattern\":\"batch\",\"tasks\":[{\"command\":[\"false\"]}]}", "FAILED" },
        { "{\"pattern\":\"callback\",\"task\":{\"taskDefinition\":\"plain\",\"command\":[\"true\"]}"
          ",\"timeoutSeconds\":1,\"retry\":{\"maxAttempts\":1}}",
          "FAILED" },
    };
    struct rig r;
    int batches = 0;
    rig_start(&r);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        cr_assert_eq(post(&r, NULL, as_json, ends[i].body), 202);
        const char *url = json_get_str(r.answer.json, "statusUrl");
        auto_free char *path = mem_printf("%s?wait=20&include=progress,tasks", url);
        auto_free char *history = mem_printf("%s/history", url);
        cr_assert_eq(ask(&r, "GET", path, NULL), 200);
        cr_assert_str_eq(json_get_str(r.answer.json, "status"), ends[i].status, "%s",
                         r.answer.text);
        struct json_object *data = json_get_obj(json_get_obj(r.answer.json, "error"), "data");
        struct json_object *value = data ? data : json_get_obj(r.answer.json, "result");
        if (json_get(value, "jobs"))
            contract_value(r.contract, "BatchResult", value);
        batches += json_get(value, "jobs") != NULL;
        cr_assert_eq(ask(&r, "GET", history, NULL), 200);
    }
    cr_assert_eq(batches, 2);
    rig_stop(&r);
}

/* A checker that finds nothing would let the file drift. */
Test(contract, the_checker_finds_what_is_wrong)
{
    static const struct {
        const char *schema;
        const char *value;
        int rc;
    } table[] = {
        { "{\"type\":\"integer\"}", "1", 0 },
        { "{\"type\":\"integer\"}", "1.5", -1 },
        { "{\"type\":[\"integer\",\"string\"]}", "\"a\"", 0 },
        { "{\"type\":\"number\",\"minimum\":2}", "1", -1 },
        { "{\"enum\":[\"a\",1]}", "1", 0 },
        { "{\"enum\":[\"a\",1]}", "2", -1 },
        { "{\"required\":[\"a\"]}", "{\"b\":1}", -1 },
        { "{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"a\":1}", -1 },
        { "{\"properties\":{\"a\":false}}", "{\"a\":1}", -1 },
        { "{\"properties\":{\"a\":{}},\"additionalProperties\":false}", "{\"a\":1}", 0 },
        { "{\"properties\":{\"a\":{}},\"additionalProperties\":false}", "{\"b\":1}", -1 },
        { "{\"additionalProperties\":{\"type\":\"string\"}}", "{\"b\":1}", -1 },
        { "{\"items\":{\"items\":{\"type\":\"string\"}}}", "[[\"a\",1]]", -1 },
        { "{\"maxItems\":1}", "[1,2]", -1 },
        { "{\"minLength\":1}", "\"\"", -1 },
        { "{\"pattern\":\"^a+$\"}", "\"aab\"", -1 },
        { "{\"format\":\"date-time\"}", "\"2026-01-23T17:57:58.103Z\"", 0 },
        { "{\"format\":\"date-time\"}", "\"yesterday\"", -1 },
        { "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}", "1", 0 },
        { "{\"oneOf\":[{\"minimum\":0},{\"type\":\"integer\"}]}", "1", -1 },
        { "{\"$ref\":\"#/$ref\"}", "1", -1 },
        { "{\"uniqueItems\":true}", "[]", -1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct error err = { 0 };
        auto_json struct json_object *schema = NULL, *value = NULL;
        cr_assert_eq(json_parse_str(table[i].schema, &schema, &err), 0);
        cr_assert_eq(json_parse_str(table[i].value, &value, &err), 0);
        struct json_object *root = json_object_new_object();
        cr_expect_eq(schema_check(root, schema, value, &err), table[i].rc, "%s %s: %s",
                     table[i].schema, table[i].value, err.msg);
        json_object_put(root);
    }
}

#include "launcher/plan.h"

#include <criterion/criterion.h>
#include <string.h>

#include "shared/token/token.h"

static char *none[] = { NULL };
static char *subnets[] = { NULL, NULL };

static struct config config(void)
{
    static char cluster[] = "local";
    static char definition[] = "job:1";
    static char container[] = "job";
    return (struct config){
        .cluster = cluster,
        .task_definition = definition,
        .container = container,
        .subnets = none,
        .security_groups = none,
        .capacity_providers = none,
        .stop_timeout_s = 30,
    };
}

static void parse(const char *json, struct input *in)
{
    struct error err;
    auto_json struct json_object *doc = NULL;
    auto_json struct json_object *faults = NULL;
    static const char *const allowed[] = { "tool", NULL };
    cr_assert_eq(json_parse_str(json, &doc, &err), 0);
    cr_assert_eq(input_parse(doc, allowed, in, &faults), 0, "%s", json);
}

static const struct plan_job job = { .name = "job",
                                     .callback_url = "http://c/v1/callbacks/x",
                                     .token = "v1.k.T",
                                     .client_token = "t0",
                                     .started_by = "durable/e" };

Test(plan, asks_for_what_input_and_configuration_say)
{
    static char subnet[] = "subnet-1";
    static char type[] = "FARGATE";
    struct config c = config();
    subnets[0] = subnet;
    c.subnets = subnets;
    c.launch_type = type;
    auto_input struct input in = { 0 };
    auto_buf struct buf body = BUF_INIT(10000);
    parse(
        "{\"pattern\":\"callback\",\"task\":{\"command\":[\"run\",\"-x\"],\"environment\":{\"A\":"
        "\"1\"},\"cpu\":256,\"memory\":512,\"taskDefinition\":\"tool:2\"},\"heartbeatSeconds\":9}",
        &in);
    plan_run_task(&c, &in, &job, &body);
    cr_expect_str_eq(
        buf_str(&body),
        "{\"cluster\":\"local\",\"taskDefinition\":\"tool:2\",\"launchType\":\"FARGATE\",\"count\":"
        "1,"
        "\"clientToken\":\"t0\",\"startedBy\":\"durable/e\",\"enableECSManagedTags\":true,"
        "\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":[\"subnet-1\"],"
        "\"assignPublicIp\":\"DISABLED\"}},\"overrides\":{\"cpu\":\"256\",\"memory\":\"512\","
        "\"containerOverrides\":[{\"name\":\"job\",\"command\":[\"run\",\"-x\"],\"environment\":["
        "{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"CALLBACK_URL\",\"value\":\"http://c/v1/"
        "callbacks/"
        "x\"},{\"name\":\"CALLBACK_TOKEN\",\"value\":\"v1.k.T\"},{\"name\":\"HEARTBEAT_SECONDS\","
        "\"value\":\"9\"},{\"name\":\"STOP_TIMEOUT_SECONDS\",\"value\":\"30\"},{\"name\":\"JOB_"
        "NAME\","
        "\"value\":\"job\"}]}]}}");
}

Test(plan, is_the_same_bytes_for_the_same_arguments)
{
    struct config c = config();
    auto_buf struct buf first = BUF_INIT(10000);
    for (int i = 0; i < 3; i++) {
        auto_input struct input in = { 0 };
        auto_buf struct buf body = BUF_INIT(10000);
        parse("{\"message\":\"x\",\"processingTime\":3}", &in);
        plan_run_task(&c, &in, &job, i ? &body : &first);
        if (i)
            cr_expect_str_eq(buf_str(&body), buf_str(&first));
    }
}

Test(plan, leaves_room_for_any_token)
{
    struct error err = { 0 };
    struct token_content content = { .scope = TOKEN_SCOPE_LAUNCHER, .expires_s = INT64_MAX };
    struct token_keys *keys = token_keys_new("{\"abcdefghijklmnopqrstuvwxyz012345\":"
                                             "\"0123456789012345678901234567890123456789012\"}",
                                             NULL, &err);
    auto_buf struct buf token = BUF_INIT(TOKEN_MAX);
    memset(content.callback_id, 'A', TOKEN_CALLBACK_ID);
    cr_assert_eq(token_seal(keys, &content, &token, &err), 0, "%s", err.msg);
    cr_expect_leq(token.len, PLAN_TOKEN_MAX);
    token_keys_free(keys);
}

/* {"pattern":"callback","task":{"environment":{"A":"xxx"},"command":["c","yyy"]}} */
static void sized(struct buf *b, size_t variable, size_t argument)
{
    buf_add_str(b, "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"A\":\"");
    while (variable-- > 0)
        buf_add_char(b, 'x');
    buf_add_str(b, "\"},\"command\":[\"c\",\"");
    while (argument-- > 0)
        buf_add_char(b, 'y');
    buf_add_str(b, "\"]}}");
}

Test(plan, refuses_what_ecs_would_refuse_and_names_the_biggest_part)
{
    static const struct {
        size_t variable;
        size_t argument;
        const char *pointer; /* NULL: it fits */
    } table[] = {
        { 10, 10, NULL },
        { 5000, 10, NULL },
        { 7000, 10, "/task/environment/A" },
        { 1000, 5800, "/task/command" },
        { 10, 8000, "/task/command" },
    };
    struct config c = config();
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        auto_buf struct buf json = BUF_INIT(100000);
        auto_input struct input in = { 0 };
        auto_json struct json_object *faults = NULL;
        sized(&json, table[i].variable, table[i].argument);
        parse(buf_str(&json), &in);
        int rc = plan_check_size(&c, &in, &faults);
        cr_expect_eq(rc, table[i].pointer ? -1 : 0, "case %zu", i);
        if (table[i].pointer)
            cr_expect_str_eq(json_get_str(json_object_array_get_idx(faults, 0), "pointer"),
                             table[i].pointer);
    }
}

Test(plan, names_the_samples_message)
{
    struct config c = config();
    auto_buf struct buf json = BUF_INIT(100000);
    auto_input struct input in = { 0 };
    auto_json struct json_object *faults = NULL;
    buf_add_str(&json, "{\"message\":\"");
    for (int i = 0; i < 8000; i++)
        buf_add_char(&json, 'x');
    buf_add_str(&json, "\"}");
    parse(buf_str(&json), &in);
    cr_assert_eq(plan_check_size(&c, &in, &faults), -1);
    cr_expect_str_eq(json_get_str(json_object_array_get_idx(faults, 0), "pointer"), "/message");
}

Test(plan, carries_the_trace_unless_the_workflow_has_its_own)
{
    static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    static const struct {
        const char *input;
        const char *trace;
        const char *expected; /* NULL: no such variable */
    } table[] = {
        { "{\"pattern\":\"callback\"}", trace, trace },
        { "{\"pattern\":\"callback\"}", "", NULL },
        { "{\"pattern\":\"callback\"}", NULL, NULL },
        { "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"TRACEPARENT\":\"mine\"}}}", trace,
          "mine" },
    };
    struct config c = config();
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        auto_input struct input in = { 0 };
        auto_buf struct buf body = BUF_INIT(10000);
        struct plan_job traced = job;
        traced.traceparent = table[i].trace;
        parse(table[i].input, &in);
        plan_run_task(&c, &in, &traced, &body);
        const char *found = strstr(buf_str(&body), "\"TRACEPARENT\"");
        cr_assert_eq(!found, !table[i].expected, "case %zu: %s", i, buf_str(&body));
        if (!found)
            continue;
        auto_free char *pair = mem_printf("\"TRACEPARENT\",\"value\":\"%s\"", table[i].expected);
        cr_expect_eq(strncmp(found, pair, strlen(pair)), 0, "%s", found);
        cr_expect_null(strstr(found + 1, "\"TRACEPARENT\""), "once only");
    }
}

Test(plan, judges_each_job_of_a_batch_and_names_its_place)
{
    struct config c = config();
    auto_buf struct buf json = BUF_INIT(100000);
    auto_input struct input in = { 0 };
    auto_json struct json_object *faults = NULL;
    buf_printf(
        &json,
        "{\"pattern\":\"batch\",\"task\":{\"command\":[\"a\"]},\"tasks\":[{},{\"environment\":"
        "{\"A\":\"%07000d\"}},{\"command\":[\"%07000d\"]}]}",
        1, 1);
    parse(buf_str(&json), &in);
    cr_expect_eq(plan_check(&c, &in, &faults), -1);
    cr_assert_eq(json_object_array_length(faults), 2);
    cr_expect_str_eq(json_get_str(json_object_array_get_idx(faults, 0), "pointer"),
                     "/tasks/1/environment/A");
    cr_expect_str_eq(json_get_str(json_object_array_get_idx(faults, 1), "pointer"),
                     "/tasks/2/command");
}

Test(plan, asks_of_a_sync_task_no_report)
{
    struct config c = config();
    auto_input struct input in = { 0 };
    auto_buf struct buf body = BUF_INIT(100000);
    const struct plan_job sync = { .name = "job", .client_token = "t", .started_by = "s" };
    parse("{\"pattern\":\"sync\",\"task\":{\"command\":[\"a\"]}}", &in);
    plan_run_task(&c, &in, &sync, &body);
    cr_expect_null(strstr(buf_str(&body), "CALLBACK_URL"));
    cr_expect_null(strstr(buf_str(&body), "HEARTBEAT_SECONDS"));
    cr_expect_not_null(
        strstr(buf_str(&body), "{\"name\":\"CALLBACK_DISABLED\",\"value\":\"true\"}"));
}

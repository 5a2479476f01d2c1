#include "shared/aws/ecs_client.h"

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
        .region = region, .endpoint_ecs = r->s->url, .access_key = key, .secret_key = key
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

static const char *const subnets[] = { "subnet-1", "subnet-2", NULL };
static const char *const groups[] = { "sg-1", NULL };
static const char *const command[] = { "sh", "-c", "echo \"ä\"\n", NULL };
static const char *const spot[] = { "FARGATE_SPOT", "FARGATE", NULL };
static const struct ecs_pair environment[] = { { "A", "1" }, { "B", "" }, { NULL, NULL } };

#define OVERRIDES                                                                                  \
    "{\"cpu\":\"256\",\"memory\":\"512\",\"containerOverrides\":[{\"name\":\"job\","               \
    "\"command\":[\"sh\",\"-c\",\"echo \\\"ä\\\"\\n\"],"                                          \
    "\"environment\":[{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"B\",\"value\":\"\"}]}]}"

Test(ecs_client, writes_run_task_in_a_fixed_order)
{
    static const struct {
        struct ecs_run_task task;
        const char *body;
        size_t overrides_len;
    } cases[] = {
        { { .cluster = "c",
            .task_definition = "job:7",
            .client_token = "tok",
            .started_by = "durable/e1",
            .launch_type = "FARGATE",
            .subnets = subnets,
            .security_groups = groups,
            .container = "job",
            .command = command,
            .environment = environment,
            .cpu = "256",
            .memory = "512" },
          "{\"cluster\":\"c\",\"taskDefinition\":\"job:7\",\"launchType\":\"FARGATE\",\"count\":1,"
          "\"clientToken\":\"tok\",\"startedBy\":\"durable/e1\",\"enableECSManagedTags\":true,"
          "\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":[\"subnet-1\","
          "\"subnet-2\"],\"securityGroups\":[\"sg-1\"],\"assignPublicIp\":\"DISABLED\"}},"
          "\"overrides\":" OVERRIDES "}",
          sizeof(OVERRIDES) - 1 },
        { { .task_definition = "job",
            .capacity_providers = spot,
            .subnets = subnets,
            .assign_public_ip = true,
            .container = "job" },
          "{\"taskDefinition\":\"job\",\"capacityProviderStrategy\":[{\"capacityProvider\":"
          "\"FARGATE_SPOT\"},{\"capacityProvider\":\"FARGATE\"}],\"count\":1,"
          "\"enableECSManagedTags\":true,\"networkConfiguration\":{\"awsvpcConfiguration\":"
          "{\"subnets\":[\"subnet-1\",\"subnet-2\"],\"assignPublicIp\":\"ENABLED\"}},"
          "\"overrides\":{\"containerOverrides\":[{\"name\":\"job\"}]}}",
          sizeof("{\"containerOverrides\":[{\"name\":\"job\"}]}") - 1 },
        { { .task_definition = "job" },
          "{\"taskDefinition\":\"job\",\"count\":1,\"enableECSManagedTags\":true}",
          0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_buf struct buf body = BUF_INIT(100000);
        ecs_run_task_body(&cases[i].task, &body);
        cr_expect_str_eq(buf_str(&body), cases[i].body, "%s", buf_str(&body));
        cr_expect_eq(ecs_overrides_len(&cases[i].task), cases[i].overrides_len, "%zu",
                     ecs_overrides_len(&cases[i].task));
        auto_json struct json_object *parsed = NULL;
        struct error err = { 0 };
        cr_expect_eq(json_parse_str(buf_str(&body), &parsed, &err), 0, "%s", err.msg);
    }
}

Test(ecs_client, says_when_a_body_does_not_fit)
{
    struct ecs_run_task t = { .task_definition = "job", .container = "job", .command = command };
    auto_buf struct buf body = BUF_INIT(50);
    ecs_run_task_body(&t, &body);
    cr_expect(buf_overflowed(&body));
}

Test(ecs_client, hands_out_what_run_task_says)
{
    static const struct answer answers[] = {
        { .status = 0 },
        { .status = 200, .body = "{\"tasks\":[],\"failures\":[{\"reason\":\"AGENT\"}]}" },
        { .status = 400,
          .body = "{\"__type\":\"ConflictException\",\"resourceIds\":[\"arn:x\"],"
                  "\"message\":\"m\"}" },
    };
    struct room r;
    room_open(&r, answers, 3);
    struct error err = { 0 };
    struct json_object *out = NULL;
    cr_expect_eq(ecs_run_task(r.a, "{\"x\":1}", &out, &err), 0, "%s", err.msg);
    cr_expect_eq(json_object_array_length(json_get_arr(out, "failures")), 1);
    json_put_ptr(&out);
    cr_expect_eq(r.s->count, 2);
    cr_expect_str_eq(r.s->asked[0].body, r.s->asked[1].body);
    cr_expect_eq(ecs_run_task(r.a, "{\"x\":1}", &out, &err), -1);
    cr_expect_eq(err.code, ERR_CONFLICT);
    cr_expect_eq(json_object_array_length(json_get_arr(out, "resourceIds")), 1);
    json_put_ptr(&out);
    char value[1024];
    cr_expect_str_eq(served_value(r.s, 0, "X-Amz-Target", value),
                     "AmazonEC2ContainerServiceV20141113.RunTask");
    room_close(&r);
}

Test(ecs_client, tells_a_missing_task_from_an_odd_answer)
{
    static const struct {
        const char *body;
        int rc;
        const char *task;
    } cases[] = {
        { "{\"tasks\":[{\"taskArn\":\"t\"}],\"failures\":[]}", 0, "{\"taskArn\":\"t\"}" },
        { "{\"tasks\":[],\"failures\":[{\"arn\":\"t\",\"reason\":\"MISSING\"}]}", 0, NULL },
        { "{\"failures\":[{\"arn\":\"t\",\"reason\":\"MISSING\"}]}", 0, NULL },
        { "{\"tasks\":[],\"failures\":[{\"reason\":\"OTHER\"}]}", -1, NULL },
        { "{\"tasks\":[],\"failures\":[]}", -1, NULL },
        { "{\"tasks\":[7]}", -1, NULL },
        { "{\"tasks\":{},\"failures\":[null]}", -1, NULL },
        { "{}", -1, NULL },
    };
    struct answer answers[ARRAY_LEN(cases)] = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        answers[i] = (struct answer){ .status = 200, .body = cases[i].body };
    struct room r;
    room_open(&r, answers, ARRAY_LEN(cases));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_json struct json_object *out = NULL;
        struct error err = { 0 };
        cr_expect_eq(ecs_describe_task(r.a, "c", "t", &out, &err), cases[i].rc, "case %zu", i);
        cr_expect_eq(err.code, cases[i].rc ? ERR_PROTOCOL : ERR_NONE);
        if (cases[i].task)
            cr_expect_str_eq(json_text(out, NULL), cases[i].task);
        else
            cr_expect_null(out);
    }
    cr_expect_str_eq(r.s->asked[0].body, "{\"cluster\":\"c\",\"tasks\":[\"t\"]}");
    room_close(&r);
}

Test(ecs_client, stops_with_a_reason)
{
    static const struct answer answers[] = {
        { .status = 200, .body = "{\"task\":{}}" },
        { .status = 400, .body = "{\"__type\":\"InvalidParameterException\",\"message\":\"no\"}" },
    };
    struct room r;
    room_open(&r, answers, 2);
    struct error err = { 0 };
    cr_expect_eq(ecs_stop_task(r.a, "c", "t", "because", &err), 0, "%s", err.msg);
    cr_expect_str_eq(r.s->asked[0].body,
                     "{\"cluster\":\"c\",\"task\":\"t\",\"reason\":\"because\"}");
    cr_expect_eq(ecs_stop_task(r.a, NULL, "t", NULL, &err), -1);
    cr_expect_str_eq(err.msg, "StopTask: no");
    cr_expect_str_eq(r.s->asked[1].body, "{\"task\":\"t\"}");
    room_close(&r);
}

Test(ecs_client, lists_all_pages)
{
    static const struct answer answers[] = {
        { .status = 200, .body = "{\"taskArns\":[\"a\",\"b\"],\"nextToken\":\"n\\\"1\"}" },
        { .status = 200, .body = "{\"taskArns\":[\"c\",7],\"nextToken\":\"\"}" },
        { .status = 200, .body = "{\"taskArns\":[]}" },
        { .status = 200, .body = "{}" },
        { .status = 200, .body = "{\"taskArns\":[],\"nextToken\":\"again\"}" },
    };
    struct room r;
    room_open(&r, answers, 5);
    struct error err = { 0 };
    struct json_object *out = NULL;
    cr_assert_eq(ecs_list_tasks(r.a, "c", "durable/e", "RUNNING", &out, &err), 0, "%s", err.msg);
    cr_expect_str_eq(json_text(out, NULL), "[\"a\",\"b\",\"c\"]");
    json_put_ptr(&out);
    cr_expect_str_eq(r.s->asked[0].body, "{\"cluster\":\"c\",\"startedBy\":\"durable/e\","
                                         "\"desiredStatus\":\"RUNNING\"}");
    cr_expect_str_eq(r.s->asked[1].body, "{\"cluster\":\"c\",\"startedBy\":\"durable/e\","
                                         "\"desiredStatus\":\"RUNNING\",\"nextToken\":\"n\\\"1\"}");
    cr_assert_eq(ecs_list_tasks(r.a, "c", "e", "STOPPED", &out, &err), 0);
    cr_expect_str_eq(json_text(out, NULL), "[]");
    json_put_ptr(&out);
    cr_expect_eq(ecs_list_tasks(r.a, "c", "e", "STOPPED", &out, &err), -1);
    cr_expect_eq(err.code, ERR_PROTOCOL);
    cr_expect_null(out);
    cr_expect_eq(ecs_list_tasks(r.a, "c", "e", "STOPPED", &out, &err), -1, "pages without end");
    cr_expect_eq(err.code, ERR_PROTOCOL);
    cr_expect_null(out);
    room_close(&r);
}

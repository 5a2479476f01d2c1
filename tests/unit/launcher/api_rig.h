/* api_rig.h - for tests: the api handler with an AWS and a receiver of its own, asked with events
 * of API Gateway. */
#ifndef TESTS_UNIT_LAUNCHER_API_RIG_H
#define TESTS_UNIT_LAUNCHER_API_RIG_H

#include "launcher/api.h"
#include "shared/base/json.h"
#include "tests/unit/launcher/fake_aws.h"

#define EXECUTION  "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
#define ID         "launcher.1.n1." EXECUTION
#define RUNNING    "{\"Status\":\"RUNNING\",\"StartTimestamp\":1764700000.1}"
#define GOOD       "{\"pattern\":\"callback\",\"task\":{\"command\":[\"a\"]},\"input\":{\"b\":1,\"a\":2}}"
#define JSON_TYPE  "application/json"
#define KEYS       "{\"a\":\"0123456789012345678901234567890123456789012\"}"
#define INVOKE_ARN "arn:aws:lambda:us-east-1:123456789012:function:api"

/* The API function with its surroundings. */
struct rig {
    struct fake_aws *aws;
    struct config cfg;
    struct aws_options options;
    struct api_tools tools;
    struct token_keys *keys;
    struct clock clock; /* the machine's, and what was slept on it without sleeping */
    int64_t slept_ms;
    int64_t left_ms;           /* of an invocation; 0: 30,000 */
    struct json_object *reply; /* of the last request */
    struct json_object *body;
};

static char *allowed[] = { NULL };

static int64_t rig_wall_ms(void *arg)
{
    return clock_wall_ms(clock_system()) + *(int64_t *)arg;
}

static int64_t rig_mono_ms(void *arg)
{
    return clock_mono_ms(clock_system()) + *(int64_t *)arg;
}

static void rig_sleep_ms(void *arg, int64_t ms)
{
    *(int64_t *)arg += ms;
}

UNUSED static void rig_init(struct rig *r, const struct fake_rule *rules)
{
    *r = (struct rig){ .aws = fake_start(rules) };
    r->clock = (struct clock){ rig_wall_ms, rig_mono_ms, rig_sleep_ms, &r->slept_ms };
    r->cfg = (struct config){ .handler = CONFIG_API,
                              .cluster = mem_dup("local"),
                              .container = mem_dup("job"),
                              .workflow_function = mem_dup("launcher:live"),
                              .function_name = "launcher",
                              .allowed = allowed,
                              .subnets = allowed,
                              .security_groups = allowed,
                              .capacity_providers = allowed };
    r->tools = (struct api_tools){ .cfg = &r->cfg,
                                   .aws = fake_client(r->aws, &r->options),
                                   .cache = api_cache_new(4, 1U << 20),
                                   .clock = &r->clock };
}

/* The same with a receiver. */
UNUSED static void rig_init_receiver(struct rig *r, const struct fake_rule *rules)
{
    struct error err = { 0 };
    rig_init(r, rules);
    r->keys = token_keys_new(KEYS, NULL, &err);
    r->tools.keys = r->keys;
    r->tools.receiver = receiver_client_new(r->aws->url, clock_system(), &err);
    cr_assert(r->keys && r->tools.receiver, "%s", err.msg);
    receiver_client_set_retry(r->tools.receiver, 1, 1);
}

UNUSED static void rig_release(struct rig *r)
{
    receiver_client_free(r->tools.receiver);
    token_keys_free(r->keys);
    json_object_put(r->reply);
    json_object_put(r->body);
    api_cache_free(r->tools.cache);
    fake_client_free(r->tools.aws, &r->options);
    free(r->cfg.cluster);
    free(r->cfg.container);
    free(r->cfg.workflow_function);
    fake_stop(r->aws);
}

struct ask {
    const char *method;
    const char *path;
    const char *query;
    const char *type;  /* Content-Type */
    const char *key;   /* Idempotency-Key */
    const char *trace; /* traceparent */
    const char *caller;
    const char *stage;
    const char *body;
    bool base64;
};

static struct json_object *event_of(const struct ask *a)
{
    struct json_object *event = json_object_new_object();
    struct json_object *context = json_object_new_object();
    struct json_object *http = json_object_new_object();
    struct json_object *headers = json_object_new_object();
    struct json_object *iam = json_object_new_object();
    struct json_object *authorizer = json_object_new_object();
    json_add_str(event, "version", "2.0");
    json_add_str(event, "rawPath", a->path);
    json_add_str(event, "rawQueryString", a->query ? a->query : "");
    json_add_str(headers, "content-type", a->type);
    json_add_str(headers, "idempotency-key", a->key);
    json_add_str(headers, "traceparent", a->trace);
    json_add_str(headers, "x-amzn-trace-id", "Root=1-67891233-abcdef012345678912345678");
    json_add(event, "headers", headers);
    json_add_str(http, "method", a->method);
    json_add(context, "http", http);
    json_add_str(context, "stage", a->stage ? a->stage : "$default");
    json_add_str(iam, "userArn", a->caller);
    json_add(authorizer, "iam", iam);
    json_add(context, "authorizer", authorizer);
    json_add(event, "requestContext", context);
    json_add_str(event, "body", a->body);
    json_add_bool(event, "isBase64Encoded", a->base64);
    return event;
}

/* Asks and gives the status; reply and body (NULL where it is not JSON) stay in the rig. */
UNUSED static int ask(struct rig *r, const struct ask *a)
{
    struct error err = { 0 };
    auto_json struct json_object *event = event_of(a);
    auto_buf struct buf response = BUF_INIT(8U << 20);
    size_t len;
    const char *text = json_text(event, &len);
    const struct lambda_invocation inv = { .request_id = "r",
                                           .function_arn = INVOKE_ARN,
                                           .trace_id = "",
                                           .deadline_ms = clock_wall_ms(&r->clock) +
                                                          (r->left_ms ? r->left_ms : 30000),
                                           .payload = text,
                                           .payload_len = len };
    cr_assert_eq(api_handle(&inv, &r->tools, &response, &err), 0, "%s", err.msg);
    json_put_ptr(&r->reply);
    json_put_ptr(&r->body);
    cr_assert_eq(json_parse(buf_str(&response), response.len, JSON_DEPTH, &r->reply, &err), 0);
    cr_assert_eq(json_parse_str(json_get_str(r->reply, "body"), &r->body, &err), 0);
    cr_expect(!json_get_bool(r->reply, "isBase64Encoded", true));
    return (int)json_get_int(r->reply, "statusCode", 0);
}

UNUSED static const char *header(const struct rig *r, const char *name)
{
    return json_get_str(json_get_obj(r->reply, "headers"), name);
}

UNUSED static int post(struct rig *r, const char *key, const char *caller, const char *body)
{
    return ask(r, &(struct ask){ .method = "POST",
                                 .path = "/workflows",
                                 .type = JSON_TYPE,
                                 .key = key,
                                 .caller = caller,
                                 .body = body });
}

UNUSED static int get(struct rig *r, const char *path, const char *query)
{
    return ask(r, &(struct ask){ .method = "GET", .path = path, .query = query });
}

#endif

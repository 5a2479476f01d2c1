/* The clients' API: any event, and any answers of AWS behind it. What it answers is what API
 * Gateway takes, with a document as its body, and names no callback. */
#include <string.h>

#include "launcher/api.h"
#include "shared/base/json.h"
#include "tests/fuzz/answers.h"

#define ROOM (8U << 20)
#define KEYS "{\"k1\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"
#define ARN  "arn:aws:lambda:us-east-1:123456789012:function:api"

static char *none[] = { NULL };

static struct api_tools *tools_of(const struct answers *a)
{
    static char local_name[] = "local";
    static char job_name[] = "job";
    static char launcher_name[] = "launcher:live";
    static struct config cfg = { .handler = CONFIG_API,
                                 .cluster = local_name,
                                 .container = job_name,
                                 .workflow_function = launcher_name,
                                 .function_name = "launcher",
                                 .allowed = none,
                                 .subnets = none,
                                 .security_groups = none,
                                 .capacity_providers = none };
    static struct api_tools tools;
    struct error err;
    if (!tools.cfg) {
        tools = (struct api_tools){ .cfg = &cfg,
                                    .aws = answers_aws(a),
                                    .receiver = receiver_client_new(a->url, &answers_clock, &err),
                                    .keys = token_keys_new(KEYS, NULL, &err),
                                    .clock = &answers_clock };
        FUZZ_MUST(tools.receiver && tools.keys);
        receiver_client_set_retry(tools.receiver, 1, 1);
    }
    return &tools;
}

static void check_answer(const struct buf *response)
{
    struct error err;
    auto_json struct json_object *o = NULL;
    auto_json struct json_object *body = NULL;
    FUZZ_MUST(json_parse(buf_str(response), response->len, JSON_DEPTH, &o, &err) == 0);
    int64_t status = json_get_int(o, "statusCode", 0);
    FUZZ_MUST(status >= 200 && status < 600);
    const char *text = json_get_str(o, "body");
    FUZZ_MUST(text && json_parse_str(text, &body, &err) == 0);
    FUZZ_MUST(!strstr(text, "\"CallbackId\""));
    struct json_object *headers = json_get_obj(o, "headers");
    FUZZ_MUST(headers);
    json_object_object_foreach(headers, name, value)
    {
        FUZZ_MUST(!strpbrk(name, "\r\n") && !strpbrk(json_object_get_string(value), "\r\n"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    size_t len = 0;
    struct answers *a = answers_of(data, size);
    struct api_tools *tools = tools_of(a);
    auto_free char *event = parts_next(&a->parts, &len);
    auto_buf struct buf response = BUF_INIT(ROOM);
    const struct lambda_invocation inv = { .request_id = "r",
                                           .function_arn = ARN,
                                           .trace_id = "",
                                           .payload = event ? event : "",
                                           .payload_len = len,
                                           .deadline_ms = clock_wall_ms(&answers_clock) + 30000 };
    tools->cache = api_cache_new(API_CACHE_ENTRIES, API_CACHE_BYTES);
    if (api_handle(&inv, tools, &response, &err) == 0)
        check_answer(&response);
    else
        FUZZ_MUST(err.msg[0]);
    api_cache_free(tools->cache);
    return 0;
}

/* EventBridge's events and batches of a queue, and any answers of ECS, Lambda and the receiver
 * behind them. A batch is answered message by message. */
#include <string.h>

#include "launcher/events.h"
#include "shared/base/json.h"
#include "tests/fuzz/answers.h"

#define KEYS "{\"k1\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"

static struct events_seen seen;

static struct events_tools *tools_of(const struct answers *a)
{
    static char local_name[] = "local";
    static char job_name[] = "job";
    static struct config cfg = { .cluster = local_name,
                                 .container = job_name,
                                 .events_delay_s = 2 };
    static struct events_tools tools;
    struct error err;
    if (!tools.cfg) {
        tools = (struct events_tools){
            .cfg = &cfg,
            .aws = answers_aws(a),
            .receiver = receiver_client_new(a->url, &answers_clock, &err),
            .keys = token_keys_new(KEYS, NULL, &err),
            .clock = &answers_clock,
            .seen = &seen,
        };
        FUZZ_MUST(tools.receiver && tools.keys);
        receiver_client_set_retry(tools.receiver, 1, 1);
    }
    return &tools;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    size_t len = 0;
    struct answers *a = answers_of(data, size);
    struct events_tools *tools = tools_of(a);
    auto_free char *event = parts_next(&a->parts, &len);
    auto_json struct json_object *in = NULL;
    auto_json struct json_object *out = NULL;
    auto_buf struct buf response = BUF_INIT(8U << 20);
    const struct lambda_invocation inv = { .request_id = "r",
                                           .function_arn = "arn",
                                           .trace_id = "",
                                           .payload = event ? event : "",
                                           .payload_len = len,
                                           .deadline_ms = clock_wall_ms(&answers_clock) + 30000 };
    seen = (struct events_seen){ .next = 0 };
    if (events_handle(&inv, tools, &response, &err) < 0) {
        FUZZ_MUST(err.msg[0]);
        return 0;
    }
    FUZZ_MUST(json_parse(inv.payload, len, JSON_DEPTH, &in, &err) == 0);
    FUZZ_MUST(json_parse(buf_str(&response), response.len, JSON_DEPTH, &out, &err) == 0);
    struct json_object *records = json_get_arr(in, "Records");
    struct json_object *again = json_get_arr(out, "batchItemFailures");
    FUZZ_MUST(!records == !again);
    FUZZ_MUST(!records || json_object_array_length(again) <= json_object_array_length(records));
    return 0;
}

/* An invocation's event, and the service's answers to checkpoints and for state pages, the parts of
 * the input behind it: a handler with operations of each kind runs on whatever they tell. It ends
 * with one of the three answers, or with an error for Lambda. */
#include <string.h>

#include "shared/base/json.h"
#include "shared/durable/invocation.h"
#include "tests/fuzz/parts.h"

#define CALLS_MAX 4096

static int calls;

static int next_answer(struct parts *p, struct json_object **out, struct error *err)
{
    size_t len;
    auto_free char *part = parts_next(p, &len);
    FUZZ_MUST(++calls < CALLS_MAX);
    if (!part)
        return error_set(err, ERR_UNAVAILABLE, 500, "nothing is left");
    if (part[0] == '!') {
        error_set(err, ERR_INVALID, 400 + (unsigned char)part[1] % 128, "%.100s", part + 1);
        error_set_type(err, "InvalidParameterValueException");
        return -1;
    }
    return json_parse(part, len, JSON_DEPTH, out, err);
}

static int checkpoint(void *arg, const char *arn, const char *body, size_t len,
                      struct json_object **answer, struct error *err)
{
    auto_json struct json_object *o = NULL;
    FUZZ_MUST(arn && json_parse(body, len, JSON_DEPTH, &o, err) == 0);
    FUZZ_MUST(json_get_str(o, "CheckpointToken") && json_get_str(o, "ClientToken"));
    return next_answer(arg, answer, err);
}

static int state(void *arg, const char *arn, const char *token, const char *marker,
                 unsigned max_items, struct json_object **page, struct error *err)
{
    FUZZ_MUST(arn && token && marker && max_items > 0);
    return next_answer(arg, page, err);
}

static int64_t now_ms(void *arg)
{
    (void)arg;
    return INT64_C(1790000000000);
}

static void write_log(void *arg, const char *line, size_t len)
{
    (void)arg;
    FUZZ_MUST(len > 0 && line[len - 1] == '\n' && !memchr(line, '\n', len - 1));
}

static int step_body(struct durable_step *step, void *arg, struct json_object **out,
                     struct durable_error *err)
{
    (void)arg, (void)err;
    durable_step_log(step, DURABLE_LOG_INFO, "attempt %u", durable_step_attempt(step));
    *out = json_object_new_int(7);
    return 0;
}

static enum durable_rc child_body(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    (void)in;
    return durable_step(ctx, "inner", step_body, arg, NULL, out, err);
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    auto_durable_callback struct durable_callback cb = { 0 };
    auto_json struct json_object *one = NULL;
    auto_json struct json_object *two = NULL;
    auto_json struct json_object *three = NULL;
    DURABLE_TRY(durable_step(ctx, "one", step_body, arg, NULL, &one, err));
    DURABLE_TRY(durable_wait(ctx, "two", 1, err));
    DURABLE_TRY(durable_child(ctx, "three", child_body, in, arg, NULL, &two, err));
    DURABLE_TRY(durable_callback_create(ctx, "four", NULL, &cb, err));
    DURABLE_TRY(durable_callback_result(ctx, &cb, &three, err));
    return durable_invoke(ctx, "five", "other:1", in, NULL, out, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parts p = { .data = data, .size = size };
    const struct durable_edge edge = {
        .checkpoint = checkpoint, .state = state, .now_ms = now_ms, .log = write_log, .arg = &p
    };
    size_t len = 0;
    auto_free char *event = parts_next(&p, &len);
    const struct invocation inv = {
        .event = event ? event : "", .event_len = len, .request_id = "r", .edge = &edge
    };
    auto_buf struct buf response = BUF_INIT(16U << 20);
    auto_json struct json_object *o = NULL;
    struct error err = { 0 };
    calls = 0;
    if (invocation_run(&inv, handler, NULL, &response, &err) < 0) {
        FUZZ_MUST(err.type[0] && err.msg[0]);
        return 0;
    }
    FUZZ_MUST(json_parse(buf_str(&response), response.len, JSON_DEPTH, &o, &err) == 0);
    const char *status = json_get_str(o, "Status");
    FUZZ_MUST(status && (strcmp(status, "SUCCEEDED") == 0 || strcmp(status, "FAILED") == 0 ||
                         strcmp(status, "PENDING") == 0));
    return 0;
}

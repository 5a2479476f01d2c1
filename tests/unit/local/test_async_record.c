#include "local/aws/async_record.h"

#include <criterion/criterion.h>
#include <string.h>

#include "shared/base/json.h"

static struct config config = { .region = (char[]){ "eu-west-1" },
                                .account_id = (char[]){ "123456789012" } };

static struct json_object *record(const char *payload, const char *response, size_t len)
{
    struct error err;
    struct json_object *o = NULL;
    auto_buf struct buf out = BUF_INIT(ASYNC_RECORD_MAX);
    const struct async_record r = { .config = &config,
                                    .function = "f",
                                    .version = "7",
                                    .request_id = "r",
                                    .condition = ASYNC_NO_MORE_TRIES,
                                    .tries = 3,
                                    .now_ms = 1000,
                                    .payload = payload,
                                    .response = response,
                                    .response_len = len };
    async_record_write(&out, &r);
    cr_assert_not(buf_overflowed(&out));
    cr_assert_eq(json_parse(buf_str(&out), out.len, JSON_DEPTH, &o, &err), 0, "%s", err.msg);
    cr_assert_str_eq(json_get_str(json_get_obj(o, "requestContext"), "functionArn"),
                     "arn:aws:lambda:eu-west-1:123456789012:function:f:7");
    return o;
}

Test(async_record, has_both_payloads)
{
    static const char error[] = "{\"errorType\":\"E\"}";
    auto_json struct json_object *o = record("[1]", error, strlen(error));
    cr_expect_str_eq(json_get_str(o, "timestamp"), "1970-01-01T00:00:01.000Z");
    cr_expect_eq(json_object_array_length(json_get_arr(o, "requestPayload")), 1);
    cr_expect_str_eq(json_get_str(json_get_obj(o, "responsePayload"), "errorType"), "E");
    cr_expect_str_eq(json_get_str(json_get_obj(o, "responseContext"), "executedVersion"), "7");
}

Test(async_record, takes_an_error_that_is_no_json_as_text)
{
    auto_json struct json_object *o = record("{}", "it \"broke\"\n", 12);
    cr_expect_str_eq(json_get_str(o, "responsePayload"), "it \"broke\"\n");
}

Test(async_record, has_no_response_where_there_was_no_try)
{
    auto_json struct json_object *o = record("{}", NULL, 0);
    cr_expect_null(json_get(o, "responsePayload"));
    cr_expect_null(json_get(o, "responseContext"));
}

Test(async_record, leaves_out_what_is_too_long)
{
    size_t len = ASYNC_RECORD_MAX;
    auto_free char *response = mem_alloc(len + 1);
    memset(response, 'x', len);
    auto_json struct json_object *o = record("[1]", response, len);
    cr_expect(json_object_object_get_ex(o, "requestPayload", NULL));
    cr_expect_null(json_get(o, "requestPayload"));
    cr_expect_null(json_get(o, "responsePayload"));
    cr_expect_not_null(json_get(o, "responseContext"));
}

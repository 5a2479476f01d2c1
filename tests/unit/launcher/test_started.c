#include "launcher/started.h"

#include <criterion/criterion.h>
#include <string.h>

#include "shared/base/json.h"

/* What RunTask gave: an answer (JSON or NULL), and where it failed the error. */
static const struct {
    const char *answer;
    struct error why;   /* code ERR_NONE: success */
    const char *result; /* NULL: unknown, to be asked again */
} table[] = {
    { "{\"tasks\":[{\"taskArn\":\"t1\"}]}", { 0 }, "{\"taskArn\":\"t1\"}" },
    { "{\"tasks\":[{\"taskArn\":\"t1\"}],\"failures\":[{\"reason\":\"x\"}]}",
      { 0 },
      "{\"taskArn\":\"t1\"}" },
    { "{\"tasks\":[],\"failures\":[{\"reason\":\"RESOURCE:MEMORY\"}]}",
      { 0 },
      "{\"refused\":{\"type\":\"Task.Capacity\",\"reason\":\"RESOURCE:MEMORY\",\"again\":true}}" },
    { "{\"failures\":[{}]}",
      { 0 },
      "{\"refused\":{\"type\":\"Task.StartFailed\",\"reason\":\"no reason given\"}}" },
    { "{\"tasks\":[],\"failures\":[]}", { 0 }, NULL },
    { "{\"tasks\":[{}]}", { 0 }, NULL },
    { "{}", { 0 }, NULL },
    { "{\"resourceIds\":[\"t9\"]}",
      { .code = ERR_CONFLICT, .type = "ConflictException" },
      "{\"taskArn\":\"t9\"}" },
    { "{\"resourceIds\":[]}", { .code = ERR_CONFLICT, .type = "ConflictException" }, NULL },
    { NULL, { .code = ERR_CONFLICT }, NULL },
    { NULL,
      { .code = ERR_INVALID, .type = "ClientException", .msg = "no such revision" },
      "{\"refused\":{\"type\":\"Task.StartFailed\",\"reason\":\"ClientException: no such "
      "revision\"}}" },
    { NULL,
      { .code = ERR_INVALID,
        .type = "ClientException",
        .msg = "You've reached the limit on the number of vCPUs" },
      "{\"refused\":{\"type\":\"Task.Capacity\",\"reason\":\"ClientException: You've reached the "
      "limit on the number of vCPUs\",\"again\":true}}" },
    { NULL,
      { .code = ERR_DENIED, .type = "AccessDeniedException", .msg = "no" },
      "{\"refused\":{\"type\":\"Task.StartFailed\",\"reason\":\"AccessDeniedException: no\"}}" },
    { NULL, { .code = ERR_DENIED, .type = "ExpiredTokenException" }, NULL },
    { NULL,
      { .code = ERR_THROTTLED, .retryable = true, .type = "ThrottlingException", .msg = "slow" },
      "{\"refused\":{\"type\":\"Task.Capacity\",\"reason\":\"ThrottlingException: slow\","
      "\"again\":true}}" },
    { NULL,
      { .code = ERR_THROTTLED, .retryable = true, .msg = "429" },
      "{\"refused\":{\"type\":\"Task.Capacity\",\"reason\":\"429\",\"again\":true}}" },
    { NULL, { .code = ERR_UNAVAILABLE, .retryable = true }, NULL },
    { NULL, { .code = ERR_NET, .retryable = true }, NULL },
    { NULL, { .code = ERR_TIMEOUT, .retryable = true }, NULL },
    { NULL, { .code = ERR_PROTOCOL }, NULL },
    { NULL, { .code = ERR_CANCELLED }, NULL },
};

Test(started, tells_a_task_from_a_refusal_from_an_unknown_outcome)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct error err = { 0 };
        auto_json struct json_object *answer = NULL;
        auto_json struct json_object *result = NULL;
        if (table[i].answer)
            cr_assert_eq(json_parse_str(table[i].answer, &answer, &err), 0);
        int rc = started_judge(table[i].why.code == ERR_NONE ? 0 : -1, answer, &table[i].why,
                               &result, &err);
        cr_expect_eq(rc, table[i].result ? 0 : -1, "case %zu", i);
        if (table[i].result && result)
            cr_expect_str_eq(json_text(result, NULL), table[i].result);
        else
            cr_expect_neq(err.code, ERR_NONE);
    }
}

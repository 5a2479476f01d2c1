#include "launcher/workflow_id.h"

#include <criterion/criterion.h>
#include <string.h>

#define EXECUTION "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
#define ARN(v)                                                                                     \
    "arn:aws:lambda:us-east-1:123456789012:function:my_fn:" v "/durable-execution/n-1/" EXECUTION
#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 65 */

Test(workflow_id, goes_from_arn_to_text_and_back)
{
    static const struct {
        const char *arn;
        const char *text;
    } table[] = {
        { ARN("12"), "my_fn.12.n-1." EXECUTION },
        { ARN("$LATEST"), "my_fn.$LATEST.n-1." EXECUTION },
        { ARN("$LATEST.PUBLISHED"), "my_fn.$LATEST.PUBLISHED.n-1." EXECUTION },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct workflow_id a = { 0 };
        struct workflow_id b = { 0 };
        struct workflow_place place;
        char text[WORKFLOW_ID_TEXT];
        char arn[WORKFLOW_ARN];
        cr_assert_eq(workflow_id_from_arn(&a, &place, table[i].arn), 0);
        workflow_id_text(&a, text);
        cr_expect_str_eq(text, table[i].text);
        cr_assert_eq(workflow_id_parse(&b, text), 0);
        workflow_id_arn(&b, &place, arn);
        cr_expect_str_eq(arn, table[i].arn);
    }
}

Test(workflow_id, refuses_everything_else)
{
    static const char *const texts[] = {
        "",
        ".",
        "...",
        "a.1.n",
        "a.1.n.",
        ".1.n.e",
        "a..n.e",
        "a.1..e",
        "a.live.n.e",
        "a.1.n.e.f",
        "a.$latest.n.e",
        "a.1x.n.e",
        "a b.1.n.e",
        "a.1.n/x.e",
        "a.1.n.e/../x",
        "a.1.n.\xc3\xa9",
        LONG ".1.n.e",
        "a.1." LONG ".e",
        "a.1.n." LONG,
        LONG LONG LONG LONG LONG,

        "a.-1.n.e",
    };
    static const char *const arns[] = {
        "",
        "arn:",
        "arn:aws:lambda:us-east-1:123456789012:function:f",
        "arn:aws:lambda:us-east-1:123456789012:function:f:1",
        "arn:aws:lambda:us-east-1:12345:function:f:1/durable-execution/n/e",
        "arn:aws:ecs:us-east-1:123456789012:function:f:1/durable-execution/n/e",
        "arn:aws:lambda:us-east-1:123456789012:function:f:live/durable-execution/n/e",
        "arn:aws:lambda:us-east-1:123456789012:function:f:1/durable-execution/n/e/x",
        "arn:aws:lambda:us-east-1:123456789012:function:f:1/other/n/e",
        "arn:aws:lambda::123456789012:function:f:1/durable-execution/n/e",
    };
    struct workflow_id id;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        cr_expect_eq(workflow_id_parse(&id, texts[i]), -1, "%s", texts[i]);
    for (size_t i = 0; i < ARRAY_LEN(arns); i++)
        cr_expect_eq(workflow_id_from_arn(&id, NULL, arns[i]), -1, "%s", arns[i]);
}

Test(workflow_id, learns_the_place_from_any_function)
{
    struct workflow_place p;
    char started_by[WORKFLOW_STARTED];
    struct workflow_id id = { .execution = EXECUTION };
    cr_assert_eq(workflow_place_from_arn(&p, "arn:aws-cn:lambda:cn-north-1:123456789012:function:"
                                             "api:live"),
                 0);
    cr_expect_str_eq(p.partition, "aws-cn");
    cr_expect_str_eq(p.region, "cn-north-1");
    cr_expect_str_eq(p.account, "123456789012");
    cr_expect_eq(workflow_place_from_arn(&p, "launcher"), -1);
    workflow_id_started_by(&id, started_by);
    cr_expect_str_eq(started_by, "durable/" EXECUTION);
}

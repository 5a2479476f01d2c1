#include "local/aws/names.h"

#include <criterion/criterion.h>
#include <string.h>

Test(names, tells_patterns_apart)
{
    cr_assert(name_is_word("aZ0-_", 64));
    cr_assert_not(name_is_word("", 64));
    cr_assert_not(name_is_word("a.b", 64));
    cr_assert_not(name_is_word("abc", 2));
    cr_assert(name_is_printable("a b~", 4));
    cr_assert_not(name_is_printable("\x7f", 4));
    cr_assert_not(name_is_printable("\xc3\xa9", 4));
    cr_assert(name_is_visible("!~", 64));
    cr_assert_not(name_is_visible("a b", 64));
    cr_assert(name_is_base64("aB+/9==", 2048));
    cr_assert_not(name_is_base64("a=b", 2048));
    cr_assert_not(name_is_base64("====", 2048));
    cr_assert_not(name_is_base64("ab-_", 2048));
}

Test(names, reads_functions_in_every_form)
{
    static const struct {
        const char *text, *qualifier, *name, *version, *account, *region;
    } cases[] = {
        { "fn", NULL, "fn", "", "", "" },
        { "fn:1", NULL, "fn", "1", "", "" },
        { "fn:$LATEST", NULL, "fn", "$LATEST", "", "" },
        { "fn", "live", "fn", "live", "", "" },
        { "fn:1", "1", "fn", "1", "", "" },
        { "123456789012:function:fn:live", NULL, "fn", "live", "123456789012", "" },
        { "arn:aws:lambda:eu-west-1:123456789012:function:my_fn-2:7", NULL, "my_fn-2", "7",
          "123456789012", "eu-west-1" },
        { "arn:aws:lambda:eu-west-1:123456789012:function:fn", NULL, "fn", "", "123456789012",
          "eu-west-1" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct function_name n;
        struct error err;
        cr_assert_eq(function_name_parse(cases[i].text, cases[i].qualifier, &n, &err), 0, "%s: %s",
                     cases[i].text, err.msg);
        cr_expect_str_eq(n.name, cases[i].name);
        cr_expect_str_eq(n.qualifier, cases[i].version);
        cr_expect_str_eq(n.account, cases[i].account);
        cr_expect_str_eq(n.region, cases[i].region);
    }
}

Test(names, refuses_what_is_no_function)
{
    static const char *const cases[] = { "",
                                         ":1",
                                         "fn:",
                                         "fn:a b",
                                         "f/n",
                                         "fn:1:2",
                                         "arn:aws:lambda:r:123456789012:layer:x",
                                         "arn:aws:lambda::123456789012:function:x",
                                         "arn:aws:lambda:r:1234567890123:function:x" };
    struct function_name n;
    struct error err;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_expect_eq(function_name_parse(cases[i], NULL, &n, &err), -1, "%s", cases[i]);
    cr_assert_eq(function_name_parse("fn:1", "2", &n, &err), -1, "two different qualifiers");
    cr_assert_eq(function_name_parse("fn", "a b", &n, &err), -1);
}

Test(names, reads_execution_arns)
{
    static const char good[] = "arn:aws:lambda:us-east-1:123456789012:function:my_fn:$LATEST/"
                               "durable-execution/my-exec/9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9";
    struct execution_arn arn;
    struct error err;
    cr_assert_eq(execution_arn_parse(good, &arn, &err), 0);
    cr_assert_str_eq(arn.function, "my_fn");
    cr_assert_str_eq(arn.version, "$LATEST");
    cr_assert_str_eq(arn.name, "my-exec");
    cr_assert_str_eq(arn.id, "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9");

#define BEFORE "arn:aws:lambda:us-east-1:123456789012:function:"
    static const char *const bad[] = {
        "",
        "x",
        BEFORE "fn/durable-execution/a/b",
        BEFORE "fn:live/durable-execution/a/b",
        BEFORE "fn:1/durable-execution/a",
        BEFORE "fn:1/durable-execution/a/",
        BEFORE "fn:1/durable-execution/a/b/",
        BEFORE "fn:1/durable-execution/a/b/c",
        BEFORE "fn:1/durable-execution//b",
        BEFORE "fn:1/durable-execution/a b/c",
        BEFORE "fn:1/other/a/b",
        "arn:aws:lambda:us-east-1:12345678901:function:fn:1/durable-execution/a/b",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_expect_eq(execution_arn_parse(bad[i], &arn, &err), -1, "%s", bad[i]);
}

Test(names, tokens_are_unique_and_awkward)
{
    char a[CHECKPOINT_TOKEN], b[CHECKPOINT_TOKEN];
    checkpoint_token_make(a);
    checkpoint_token_make(b);
    cr_assert_str_neq(a, b);
    cr_assert(name_is_base64(a, 2048));
    cr_assert(strchr(a, '+') && strchr(a, '/') && strchr(a, '='));
}

Test(names, callback_ids_name_their_operation_and_are_secret)
{
    char id[RANDOM_UUID], a[CALLBACK_ID], b[CALLBACK_ID], found[RANDOM_UUID];
    uint32_t number;
    random_uuid(id);
    callback_id_make(id, 70000, a);
    callback_id_make(id, 70000, b);
    cr_assert_str_neq(a, b);
    cr_assert_eq(strlen(a), 296);
    cr_assert(name_is_base64(a, 1024));
    cr_assert(strchr(a, '+') && strchr(a, '/') && strchr(a, '='));
    cr_assert_eq(callback_id_parse(a, found, &number), 0);
    cr_assert_str_eq(found, id);
    cr_assert_eq(number, 70000);
    cr_assert_eq(callback_id_parse("abc=", found, &number), -1);
    cr_assert_eq(callback_id_parse("", found, &number), -1);
    a[295] = 'A';
    cr_assert_eq(callback_id_parse(a, found, &number), -1, "the padding is part of it");
}

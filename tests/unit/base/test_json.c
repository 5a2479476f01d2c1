#include "shared/base/json.h"

#include <criterion/criterion.h>
#include <string.h>

static int parse(const char *text, size_t len)
{
    auto_json struct json_object *o = NULL;
    return json_parse(text, len, JSON_DEPTH, &o, NULL);
}

Test(json, takes_what_rfc_8259_takes)
{
    static const char *const good[] = {
        "null",
        "true",
        "0",
        "-0",
        "10",
        "-1.5e+3",
        "1E-2",
        "0.0",
        "[]",
        "{}",
        " [1 , 2] \r\n\t",
        "{\"a\":[1,-2.5,{\"b\":null}]}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\"",
        "\"NaN 01 1.\"",
        "\"\xc3\xa4\"",
        "[0,-0,0e1,\"\\\\\",1]",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        cr_assert_eq(parse(good[i], strlen(good[i])), 0, "%s", good[i]);
}

Test(json, refuses_what_rfc_8259_refuses)
{
    static const char *const bad[] = {
        "",
        " ",
        "nan",
        "NaN",
        "Infinity",
        "-Infinity",
        "[NaN]",
        "{\"a\":-Infinity}",
        "1.",
        "[1.]",
        ".5",
        "1.e3",
        "-01",
        "01",
        "[00]",
        "1e",
        "1e+",
        "+1",
        "- 1",
        "-",
        "0x10",
        "1 2",
        "TRUE",
        "True",
        "tru",
        "truex",
        "'a'",
        "{a:1}",
        "[1,]",
        "[,1]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "[1 2]",
        "\"a",
        "\"a\nb\"",
        "\"a\tb\"",
        "{\"a\n\":1}",
        "\"\x1f\"",
        "\"\\x\"",
        "\"\\u12\"",
        "/*c*/1",
        "\xef\xbb\xbf{}",
        "{}}",
        "]",
        "\"\xff\"",
        "\"\\",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_assert_eq(parse(bad[i], strlen(bad[i])), -1, "%s", bad[i]);
    cr_assert_eq(parse("\"a\0b\"", 5), -1, "a NUL in a string");
    cr_assert_eq(parse("1\0", 2), -1, "a NUL behind the value");
}

Test(json, refuses_what_is_nested_too_deeply)
{
    struct error err = { 0 };
    auto_json struct json_object *o = NULL;
    cr_assert_eq(json_parse("[[[1]]]", 7, 4, &o, &err), 0, "%s", err.msg);
    auto_json struct json_object *deep = NULL;
    cr_assert_eq(json_parse("[[[[1]]]]", 9, 3, &deep, &err), -1);
    cr_assert_eq(err.code, ERR_INVALID);
}

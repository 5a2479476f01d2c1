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

static struct json_object *parsed(const char *text)
{
    struct error err = { 0 };
    struct json_object *o = NULL;
    cr_assert_eq(json_parse_str(text, &o, &err), 0, "%s", err.msg);
    return o;
}

Test(json, canonical_text_depends_on_content_only)
{
    static const struct {
        const char *text;
        const char *canonical;
    } cases[] = {
        { "{\"b\":1,\"a\":{\"d\":[3,1,2],\"c\":null}}",
          "{\"a\":{\"c\":null,\"d\":[3,1,2]},\"b\":1}" },
        { " { \"a\" : { \"c\" : null , \"d\" : [ 3 , 1, 2 ] } , \"b\" : 1 } ",
          "{\"a\":{\"c\":null,\"d\":[3,1,2]},\"b\":1}" },
        { "{\"aa\":1,\"a\":2,\"B\":3,\"\\u00e4\":4}", "{\"B\":3,\"a\":2,\"aa\":1,\"\xc3\xa4\":4}" },
        { "\"\\u0041\\/\\n\"", "\"A/\\n\"" },
        { "{}", "{}" },
        { "[]", "[]" },
        { "[true,false,1.5]", "[true,false,1.5]" },
        { "null", "null" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_json struct json_object *o = parsed(cases[i].text);
        auto_buf struct buf b = BUF_INIT(1000);
        json_canonical(&b, o);
        cr_expect_str_eq(buf_str(&b), cases[i].canonical, "case %zu: %s", i, buf_str(&b));
    }
}

Test(json, lenient_reads_give_the_default_for_what_is_odd)
{
    auto_json struct json_object *o = parsed(
        "{\"s\":\"x\",\"i\":7,\"d\":1.5,\"b\":true,\"n\":null,\"o\":{},\"a\":[],\"big\":1e300}");
    cr_expect_str_eq(json_get_str(o, "s"), "x");
    cr_expect_eq(json_get_int(o, "i", -1), 7);
    cr_expect_eq(json_get_int(o, "d", -1), 1);
    cr_expect_eq(json_get_int(o, "big", -1), INT64_MAX);
    cr_expect_eq(json_get_double(o, "d", 0), 1.5);
    cr_expect_eq(json_get_double(o, "i", 0), 7);
    cr_expect(json_get_bool(o, "b", false));
    cr_expect_not_null(json_get_obj(o, "o"));
    cr_expect_not_null(json_get_arr(o, "a"));
    static const char *const odd[] = { "n", "absent", "o" };
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        cr_expect_null(json_get_str(o, odd[i]));
        cr_expect_eq(json_get_int(o, odd[i], -1), -1);
        cr_expect_eq(json_get_double(o, odd[i], -1), -1);
        cr_expect(json_get_bool(o, odd[i], true));
        cr_expect_null(json_get_arr(o, odd[i]));
    }
    cr_expect_eq(json_get_int(o, "s", -1), -1, "no conversions");
    cr_expect(!json_get_bool(o, "i", false));
    cr_expect_null(json_get_str(NULL, "s"));
    cr_expect_null(json_get(json_get(o, "a"), "x"), "no object");
}

#define REFUSED(call, text)                                                                        \
    do {                                                                                           \
        err = (struct error){ 0 };                                                                 \
        cr_expect_eq((call), -1, "%s", text);                                                      \
        cr_expect_eq(err.code, ERR_INVALID);                                                       \
        cr_expect_eq(strncmp(err.msg, text, strlen(text)), 0, "%s", err.msg);                      \
    } while (0)

Test(json, strict_reads_say_which_field_is_wrong)
{
    auto_json struct json_object *o =
        parsed("{\"s\":\"abc\",\"nul\":\"a\\u0000b\",\"i\":7,\"d\":0.5,\"b\":true,\"n\":null,"
               "\"o\":{},\"a\":[1,2],\"odd/"
               "~\":1,\"big\":9223372036854775808,\"bigger\":99999999999999999999}");
    struct error err = { 0 };
    const char *s = NULL;
    int64_t i = 0;
    double d = 0;
    bool b = false;
    struct json_object *sub = NULL;
    cr_expect_eq(json_field_str(o, "", "s", 3, &s, &err), 1);
    cr_expect_str_eq(s, "abc");
    cr_expect_eq(json_field_int(o, "", "i", 7, 7, &i, &err), 1);
    cr_expect_eq(i, 7);
    cr_expect_eq(json_field_double(o, "", "d", 0, 1, &d, &err), 1);
    cr_expect_eq(d, 0.5);
    cr_expect_eq(json_field_double(o, "", "i", 0, 7, &d, &err), 1, "an integer is a number");
    cr_expect_eq(json_field_bool(o, "", "b", &b, &err), 1);
    cr_expect(b);
    cr_expect_eq(json_field_obj(o, "", "o", &sub, &err), 1);
    cr_expect_eq(json_field_arr(o, "", "a", 2, &sub, &err), 1);
    s = "kept";
    cr_expect_eq(json_field_str(o, "", "n", 3, &s, &err), 0);
    cr_expect_eq(json_field_str(o, "", "absent", 3, &s, &err), 0);
    cr_expect_str_eq(s, "kept");

    static const char *const known[] = { "s", "nul", "i",   "d",      "b", "n",
                                         "o", "a",   "big", "bigger", NULL };
    REFUSED(json_field_str(o, "/x", "s", 2, &s, &err), "/x/s: must be at most 2 bytes");
    REFUSED(json_field_str(o, "", "nul", 9, &s, &err), "/nul: must not contain NUL");
    REFUSED(json_field_str(o, "", "i", 9, &s, &err), "/i: must be a string");
    REFUSED(json_field_int(o, "", "i", 8, 9, &i, &err), "/i: must be from 8 to 9");
    REFUSED(json_field_int(o, "", "d", 0, 9, &i, &err), "/d: must be an integer");
    REFUSED(json_field_int(o, "", "s", 0, 9, &i, &err), "/s: must be an integer");
    REFUSED(json_field_double(o, "", "d", 1, 2, &d, &err), "/d: must be from 1 to 2");
    REFUSED(json_field_double(o, "", "b", 1, 2, &d, &err), "/b: must be a number");
    REFUSED(json_field_bool(o, "", "i", &b, &err), "/i: must be true or false");
    REFUSED(json_field_obj(o, "", "a", &sub, &err), "/a: must be an object");
    REFUSED(json_field_arr(o, "", "o", 9, &sub, &err), "/o: must be an array");
    REFUSED(json_field_arr(o, "", "a", 1, &sub, &err), "/a: must have at most 1 items");
    REFUSED(json_field_obj(o, "/a~1", "odd/~", &sub, &err), "/a~1/odd~1~0: must be an object");
    REFUSED(json_field_known(o, "/top", known, &err), "/top/odd~1~0: unknown field");
    REFUSED(json_field_int(o, "", "big", 0, INT64_MAX, &i, &err), "/big: must be from 0 to");
    REFUSED(json_field_int(o, "", "bigger", 0, INT64_MAX, &i, &err), "/bigger: must be an integer");
}

Test(json, keeps_the_value_of_integers_beyond_64_bits)
{
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        { "18446744073709551615", "18446744073709551615" },
        { "18446744073709551616", "18446744073709551616.0" },
        { "-9223372036854775808", "-9223372036854775808" },
        { "-9223372036854775809", "-9223372036854775809.0" },
        { "[1,123456789012345678901234567890,\"18446744073709551616\"]",
          "[1,123456789012345678901234567890.0,\"18446744073709551616\"]" },
        { "{\"a\":-18446744073709551616 }", "{\"a\":-18446744073709551616.0}" },
        { "12345678901234567890123.25", "12345678901234567890123.25" },
        { "12345678901234567890e2", "12345678901234567890e2" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = { 0 };
        auto_json struct json_object *o = NULL;
        cr_assert_eq(json_parse_str(cases[i].in, &o, &err), 0, "%s: %s", cases[i].in, err.msg);
        cr_expect_str_eq(json_text(o, NULL), cases[i].out);
        auto_buf struct buf canonical = BUF_INIT(200);
        json_canonical(&canonical, o);
        cr_expect_str_eq(buf_str(&canonical), cases[i].out);
    }
}

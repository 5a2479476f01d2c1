#include "shared/base/buf.h"

#include <criterion/criterion.h>
#include <string.h>

Test(buf, keeps_what_fits_and_remembers_that_more_came)
{
    auto_buf struct buf b = BUF_INIT(5);
    cr_assert_eq(buf_add_str(&b, "abc"), 0);
    cr_assert_eq(buf_add_str(&b, "def"), -1);
    cr_assert_eq(buf_add_str(&b, "d"), -1, "after an overflow nothing is added");
    cr_assert(buf_overflowed(&b));
    cr_assert_str_eq(buf_str(&b), "abc");
    buf_reset(&b);
    cr_assert_eq(buf_add_str(&b, "vwxyz"), 0);
}

Test(buf, take_hands_out_and_leaves_it_empty)
{
    struct buf b = BUF_INIT(100);
    buf_printf(&b, "%d-%s", 7, "x");
    size_t len;
    auto_free char *s = buf_take(&b, &len);
    cr_assert_str_eq(s, "7-x");
    cr_assert_eq(len, 3);
    cr_assert_eq(b.len, 0);
    auto_free char *none = buf_take(&b, NULL);
    cr_assert_str_eq(none, "");
}

Test(buf, room_that_is_asked_for_is_no_content_and_no_overflow)
{
    auto_buf struct buf b = BUF_INIT(100);
    buf_reserve(&b, 1000);
    cr_assert_not(buf_overflowed(&b));
    cr_assert_str_eq(buf_str(&b), "");
    const char *at = b.data;
    for (int i = 0; i < 100; i++)
        cr_assert_eq(buf_add_char(&b, 'x'), 0);
    cr_assert_eq(b.data, at, "it did not move");
    buf_reserve(&b, 1);
    cr_assert_not(buf_overflowed(&b));
    cr_assert_eq(buf_add_char(&b, 'x'), -1);
    buf_reserve(&b, 1);
    cr_assert_eq(b.len, 100);
}

Test(buf, writes_json_strings)
{
    static const struct {
        const char *in;
        size_t len;
        const char *out;
    } cases[] = {
        { "", 0, "\"\"" },
        { "a\"b\\c/", 6, "\"a\\\"b\\\\c/\"" },
        { "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"" },
        { "\x00\x1f\x7f", 3, "\"\\u0000\\u001f\x7f\"" },
        { "\xc3\xa4\xf0\x9f\x98\x80", 6, "\"\xc3\xa4\xf0\x9f\x98\x80\"" },
        { "\xff\xc3", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_buf struct buf b = BUF_INIT(100);
        cr_assert_eq(buf_add_json(&b, cases[i].in, cases[i].len), 0);
        cr_assert_str_eq(buf_str(&b), cases[i].out, "case %zu: %s", i, buf_str(&b));
    }
}

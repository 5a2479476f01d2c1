#include "shared/base/utf8.h"

#include <criterion/criterion.h>
#include <string.h>

#include "shared/base/mem.h"

Test(utf8, accepts_what_rfc_3629_allows)
{
    static const struct {
        const char *bytes;
        size_t len;
        size_t sequence; /* of the first character; 0: invalid */
    } cases[] = {
        { "", 0, 0 },
        { "a", 1, 1 },
        { "\x00", 1, 1 },
        { "\x7f", 1, 1 },
        { "\x80", 1, 0 },
        { "\xc1\xbf", 2, 0 }, /* overlong */
        { "\xc2\x80", 2, 2 },
        { "\xdf\xbf", 2, 2 },
        { "\xc3", 1, 0 },     /* cut */
        { "\xc3\x28", 2, 0 }, /* no continuation */
        { "\xe0\x9f\xbf", 3, 0 },
        { "\xe0\xa0\x80", 3, 3 },
        { "\xed\x9f\xbf", 3, 3 },
        { "\xed\xa0\x80", 3, 0 }, /* surrogate */
        { "\xee\x80\x80", 3, 3 },
        { "\xef\xbf\xbf", 3, 3 },
        { "\xef\xbf", 2, 0 },
        { "\xef\xbf\x7f", 3, 0 },
        { "\xf0\x8f\xbf\xbf", 4, 0 },
        { "\xf0\x90\x80\x80", 4, 4 },
        { "\xf4\x8f\xbf\xbf", 4, 4 },
        { "\xf4\x90\x80\x80", 4, 0 }, /* beyond U+10FFFF */
        { "\xf5\x80\x80\x80", 4, 0 },
        { "\xff", 1, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cr_expect_eq(utf8_sequence(cases[i].bytes, cases[i].len), cases[i].sequence, "case %zu", i);
        bool valid = cases[i].sequence == cases[i].len;
        cr_expect_eq(utf8_valid(cases[i].bytes, cases[i].len), valid, "case %zu", i);
    }
    cr_expect(utf8_valid("a\xc3\xa4\xf0\x9f\x98\x80z", 8));
    cr_expect(!utf8_valid("a\xc3\xa4\xf0\x9f\x98", 6));
}

Test(utf8, cuts_between_characters)
{
    static const char text[] = "a\xc3\xa4\xf0\x9f\x98\x80z"; /* 1 + 2 + 4 + 1 */
    static const size_t want[] = { 0, 1, 1, 3, 3, 3, 3, 7, 8, 8 };
    for (size_t max = 0; max < ARRAY_LEN(want); max++)
        cr_expect_eq(utf8_cut(text, 8, max), want[max], "max %zu", max);
}

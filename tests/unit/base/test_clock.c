#include "shared/base/clock.h"

#include <criterion/criterion.h>

#include "shared/base/mem.h"

Test(clock, writes_utc_with_milliseconds)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { 1769191078103, "2026-01-23T17:57:58.103Z" },
        { 951782400000, "2000-02-29T00:00:00.000Z" },
        { 253402300799999, "9999-12-31T23:59:59.999Z" },
        { -53897292121897, "0262-01-23T17:57:58.103Z" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[CLOCK_TEXT];
        int64_t back = 0;
        clock_format(cases[i].ms, text);
        cr_expect_str_eq(text, cases[i].text);
        cr_expect_eq(clock_parse(text, &back), 0);
        cr_expect_eq(back, cases[i].ms);
    }
}

Test(clock, reads_offsets_and_fractions)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01t00:00:00z", 0 },
        { "1970-01-01 00:00:00Z", 0 },
        { "1970-01-01T01:00:00+01:00", 0 },
        { "1969-12-31T18:30:00-05:30", 0 },
        { "1970-01-01T00:00:00.5Z", 500 },
        { "1970-01-01T00:00:00.1239999999999999999999Z", 123 },
        { "1970-01-01T00:00:00.05-00:00", 50 },
        { "2000-02-29T00:00:00Z", 951782400000 },
        { "2016-12-31T23:59:60Z", 1483228800000 }, /* a leap second is the next one's first */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = -1;
        cr_expect_eq(clock_parse(cases[i].text, &ms), 0, "%s", cases[i].text);
        cr_expect_eq(ms, cases[i].ms, "%s gives %lld", cases[i].text, (long long)ms);
    }
}

Test(clock, refuses_what_is_no_time)
{
    static const char *const wrong[] = {
        "",
        "1970",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01T00:00:00Zx",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00Z",
        "1970-13-01T00:00:00Z",
        "1970-00-01T00:00:00Z",
        "1970-01-00T00:00:00Z",
        "1970-01-32T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2023-04-31T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:61Z",
        "1970-01-01T00:00:00+1:00",
        "1970-01-01T00:00:00+0100",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+01:60",
        "1970-01-01T00:00:00+",
        "1970/01/01T00:00:00Z",
        " 1970-01-01T00:00:00Z",
        "-970-01-01T00:00:00Z",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        int64_t ms = 7;
        cr_expect_eq(clock_parse(wrong[i], &ms), -1, "%s", wrong[i]);
        cr_expect_eq(ms, 7, "%s: untouched", wrong[i]);
    }
}

Test(clock, sleeps_and_moves_on)
{
    const struct clock *c = clock_system();
    int64_t start = clock_mono_ms(c);
    clock_sleep_ms(c, 20);
    cr_expect_geq(clock_mono_ms(c) - start, 20);
    clock_sleep_ms(c, 0);
    clock_sleep_ms(c, -5);
    cr_expect_gt(clock_wall_ms(c), 1700000000000);
}

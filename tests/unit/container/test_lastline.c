#include "container/lastline.h"

#include <criterion/criterion.h>
#include <string.h>

#include "container/capture.h"
#include "container/tail.h"

/* Fed in chunks of every size, so that each border falls everywhere. */
static void check(const char *stream, const char *expected)
{
    size_t len = strlen(stream);
    for (size_t chunk = 1; chunk <= len + 1; chunk++) {
        struct lastline l;
        lastline_init(&l, 1000);
        for (size_t i = 0; i < len; i += chunk)
            lastline_add(&l, stream + i, len - i < chunk ? len - i : chunk);
        size_t got = 0, size = 0;
        const char *line = lastline_text(&l, &got, &size);
        cr_assert_eq(size, got);
        cr_assert(got == strlen(expected) && memcmp(line, expected, got) == 0,
                  "%s in chunks of %zu: %.*s", stream, chunk, (int)got, line);
        lastline_release(&l);
    }
}

Test(lastline, is_the_last_one_that_is_not_blank_whatever_the_chunks)
{
    static const struct {
        const char *stream, *line;
    } cases[] = {
        { "", "" },
        { "\n\n", "" },
        { " \t\n", "" },
        { "one", "one" },
        { "one\n", "one" },
        { "one\ntwo", "two" },
        { "one\ntwo\n", "two" },
        { "one\ntwo\n\n\n", "two" },
        { "one\n  \n\t", "one" },
        { "one\r\ntwo\r\n\r\n", "two" },
        { "\none\n\n", "one" },
        { "a\nb\nc\n\n \nd", "d" },
        { "long line\n\nx\n \n", "x" },
        { "  padded  \n", "  padded  " },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(cases[i].stream, cases[i].line);
}

Test(lastline, counts_what_it_cannot_keep)
{
    struct lastline l;
    lastline_init(&l, 8);
    size_t len, size;
    for (int i = 0; i < 10; i++)
        lastline_add(&l, "abcd", 4);
    (void)lastline_text(&l, &len, &size);
    cr_assert_eq(len, 8);
    cr_assert_eq(size, 40);
    lastline_add(&l, "\n\n", 2);
    (void)lastline_text(&l, &len, &size);
    cr_assert_eq(size, 40, "also once it is complete");
    lastline_add(&l, "ok\n", 3);
    const char *line = lastline_text(&l, &len, &size);
    cr_assert(len == 2 && size == 2 && memcmp(line, "ok", 2) == 0);
    lastline_release(&l);
}

Test(lastline, a_line_that_begins_with_many_blanks_is_not_blank)
{
    struct lastline l;
    lastline_init(&l, 4);
    lastline_add(&l, "      x\n", 8);
    size_t len, size;
    (void)lastline_text(&l, &len, &size);
    cr_assert_eq(size, 7);
    lastline_release(&l);
}

Test(tail, keeps_the_last_bytes_whatever_the_chunks)
{
    const char *text = "0123456789abcdefghijklmnopqrstuvwxyz";
    size_t all = strlen(text);
    for (size_t max = 1; max <= all + 3; max++) {
        for (size_t chunk = 1; chunk <= all; chunk++) {
            struct tail t;
            tail_init(&t, max);
            for (size_t i = 0; i < all; i += chunk)
                tail_add(&t, text + i, all - i < chunk ? all - i : chunk);
            size_t len;
            const char *got = tail_text(&t, &len);
            size_t expected = max < all ? max : all;
            cr_assert(len == expected && memcmp(got, text + all - expected, len) == 0,
                      "max %zu, chunk %zu: %.*s", max, chunk, (int)len, got);
            tail_release(&t);
        }
    }
}

Test(tail, keeps_nothing_where_nothing_is_wanted)
{
    struct tail t;
    tail_init(&t, 0);
    tail_add(&t, "abc", 3);
    size_t len;
    cr_assert_str_eq(tail_text(&t, &len), "");
    cr_assert_eq(len, 0);
    tail_release(&t);
}

Test(capture, keeps_all_of_stdout_up_to_the_limit)
{
    struct capture *c = capture_new(RESULT_FROM_STDOUT);
    struct result result;
    capture_result(c, &result);
    cr_assert_eq(result.state, RESULT_ABSENT);
    capture_add(c, "one\n", 4);
    capture_add(c, "two\n", 4);
    capture_result(c, &result);
    cr_assert_eq(result.state, RESULT_PRESENT);
    cr_assert(result.len == 8 && memcmp(result.p, "one\ntwo\n", 8) == 0);
    auto_free char *much = mem_alloc(REPORT_RESULT_MAX);
    capture_add(c, much, REPORT_RESULT_MAX);
    capture_result(c, &result);
    cr_assert_eq(result.state, RESULT_TOO_LARGE);
    cr_assert_eq(result.size, REPORT_RESULT_MAX + 8);
    capture_free(c);
}

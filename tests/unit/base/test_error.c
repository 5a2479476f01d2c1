#include "shared/base/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "shared/base/utf8.h"

Test(error, carries_code_and_message)
{
    struct error err = { .type = "Old", .retryable = true };
    cr_assert_eq(error_set(&err, ERR_NOT_FOUND, 404, "no %s %d", "job", 7), -1);
    cr_expect_eq(err.code, ERR_NOT_FOUND);
    cr_expect_eq(err.detail, 404);
    cr_expect_str_eq(err.msg, "no job 7");
    cr_expect_str_eq(err.type, "", "what was there before is gone");
    cr_expect(!err.retryable);
}

Test(error, knows_what_can_succeed_later)
{
    for (int code = ERR_NONE; code <= ERR_INTERNAL; code++) {
        struct error err;
        error_set(&err, (enum error_code)code, 0, "x");
        bool later = code == ERR_THROTTLED || code == ERR_UNAVAILABLE || code == ERR_NET ||
                     code == ERR_TIMEOUT;
        cr_expect_eq(err.retryable, later, "%s", error_code_name((enum error_code)code));
        cr_expect_str_neq(error_code_name((enum error_code)code), "unknown");
    }
    cr_expect_str_eq(error_code_name((enum error_code)99), "unknown");
    cr_expect_str_eq(error_code_name(ERR_TOO_LARGE), "too_large");
}

Test(error, wraps_and_keeps_the_rest)
{
    struct error err = { 0 };
    error_set(&err, ERR_THROTTLED, 429, "slow down");
    error_set_type(&err, "ThrottlingException");
    cr_assert_eq(error_wrap(&err, "job %s", "j1"), -1);
    cr_expect_str_eq(err.msg, "job j1: slow down");
    cr_expect_str_eq(err.type, "ThrottlingException");
    cr_expect_eq(err.code, ERR_THROTTLED);
    cr_expect_eq(err.detail, 429);
    cr_expect(err.retryable);
}

Test(error, cuts_what_does_not_fit)
{
    char longer[2000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    struct error err = { 0 };
    error_set(&err, ERR_IO, 0, "%s", longer);
    cr_expect_eq(strlen(err.msg), sizeof(err.msg) - 1);
    error_wrap(&err, "%s", longer);
    cr_expect_eq(strlen(err.msg), sizeof(err.msg) - 1);
    error_wrap(&err, "p");
    cr_expect_eq(strncmp(err.msg, "p: xxx", 6), 0);
    error_set_type(&err, longer);
    cr_expect_eq(strlen(err.type), sizeof(err.type) - 1);
    error_set_type(&err, NULL);
    cr_expect_str_eq(err.type, "");
}

Test(error, cuts_behind_a_whole_character)
{
    static const char *const characters[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
    for (size_t i = 0; i < sizeof(characters) / sizeof(characters[0]); i++) {
        for (size_t before = sizeof(((struct error *)0)->msg) - 8;
             before < sizeof(((struct error *)0)->msg); before++) {
            char text[600] = "";
            struct error err = { 0 };
            memset(text, 'x', before);
            strcpy(text + before, characters[i]);
            size_t whole = before + strlen(characters[i]);
            error_set(&err, ERR_INVALID, 0, "%s", text);
            cr_expect_eq(strlen(err.msg), whole < sizeof(err.msg) ? whole : before);
            cr_expect_eq(strncmp(err.msg, text, strlen(err.msg)), 0);
            text[before - 6] = '\0';
            error_set(&err, ERR_INVALID, 0, "%s%s", text + 6, characters[i]);
            error_wrap(&err, "%s", "xxxxxxxxxx");
            cr_expect(utf8_valid(err.msg, strlen(err.msg)), "%zu", before);
        }
    }
    struct error err = { 0 };
    error_set(&err, ERR_INVALID, 0, "%.2s", "\xe2\x82\xac");
    cr_expect_str_eq(err.msg, "", "cut by whoever asked for it");
    error_set(&err, ERR_INVALID, 0, "a\xc3\xa9");
    cr_expect_str_eq(err.msg, "a\xc3\xa9");
}

Test(error, takes_its_own_message_as_an_argument)
{
    struct error err = { 0 };
    error_set(&err, ERR_NET, 0, "first");
    error_set(&err, ERR_IO, 0, "second after %s", err.msg);
    cr_expect_str_eq(err.msg, "second after first");
}

Test(error, explains_errno)
{
    struct error err = { 0 };
    cr_assert_eq(error_set_errno(&err, ENOENT, "open %s", "/x"), -1);
    cr_expect_eq(err.code, ERR_IO);
    cr_expect_eq(err.detail, ENOENT);
    cr_expect_str_eq(err.msg, "open /x: No such file or directory");
}

Test(error, may_be_ignored)
{
    cr_expect_eq(error_set(NULL, ERR_IO, 0, "x"), -1);
    cr_expect_eq(error_set_errno(NULL, EIO, "x"), -1);
    cr_expect_eq(error_wrap(NULL, "x"), -1);
    error_set_type(NULL, "x");
}

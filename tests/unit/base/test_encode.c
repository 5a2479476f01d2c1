#include "shared/base/encode.h"

#include <criterion/criterion.h>
#include <string.h>

/* RFC 4648 section 10, and bytes that need the last two digits of the alphabet. */
static const struct {
    const char *plain;
    size_t len;
    const char *base64;
    const char *url;
} pairs[] = {
    { "", 0, "", "" },
    { "f", 1, "Zg==", "Zg" },
    { "fo", 2, "Zm8=", "Zm8" },
    { "foo", 3, "Zm9v", "Zm9v" },
    { "foob", 4, "Zm9vYg==", "Zm9vYg" },
    { "fooba", 5, "Zm9vYmE=", "Zm9vYmE" },
    { "foobar", 6, "Zm9vYmFy", "Zm9vYmFy" },
    { "\xfb\xff\x00", 3, "+/8A", "-_8A" },
};

Test(encode, base64_goes_there_and_back)
{
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        auto_buf struct buf a = BUF_INIT(100);
        auto_buf struct buf b = BUF_INIT(100);
        encode_base64(&a, pairs[i].plain, pairs[i].len);
        encode_base64url(&b, pairs[i].plain, pairs[i].len);
        cr_expect_str_eq(buf_str(&a), pairs[i].base64);
        cr_expect_str_eq(buf_str(&b), pairs[i].url);
        size_t len = 99;
        auto_free uint8_t *x = decode_base64(buf_str(&a), a.len, &len);
        cr_assert_not_null(x);
        cr_expect_eq(len, pairs[i].len);
        cr_expect_eq(memcmp(x, pairs[i].plain, len), 0);
        auto_free uint8_t *y = decode_base64url(buf_str(&b), b.len, &len);
        cr_assert_not_null(y);
        cr_expect_eq(len, pairs[i].len);
        cr_expect_eq(memcmp(y, pairs[i].plain, len), 0);
    }
}

Test(encode, base64_is_read_strictly)
{
    static const char *const wrong[] = { "Z",        "Zg",   "Zg=",  "Zg===", "=",         "==",
                                         "====",     "Zh==", "Zm9=", "Z m9v", "Zm9\n",     "Zm9v\n",
                                         "Zg==Zg==", "Zm=v", "-_8A", "Zm9v=", "\xc3\xa4zz" };
    static const char *const wrong_url[] = { "Z", "Zg==", "Zh", "Zm9=", "+/8A", "Zm 9", "Zm8 " };
    size_t len;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        cr_expect_null(decode_base64(wrong[i], strlen(wrong[i]), &len), "%s", wrong[i]);
    for (size_t i = 0; i < ARRAY_LEN(wrong_url); i++)
        cr_expect_null(decode_base64url(wrong_url[i], strlen(wrong_url[i]), &len), "%s",
                       wrong_url[i]);
    cr_expect_null(decode_base64("Zm\0v", 4, &len), "a NUL is no digit");
}

Test(encode, hex_is_lower_case)
{
    char out[9];
    encode_hex(out, "\x00\xab\x7f\xff", 4);
    cr_expect_str_eq(out, "00ab7fff");
    encode_hex(out, "", 0);
    cr_expect_str_eq(out, "");
}

Test(encode, percent_leaves_only_unreserved_bytes)
{
    static const struct {
        const char *plain;
        size_t len;
        const char *encoded;
    } cases[] = {
        { "", 0, "" },
        { "azAZ09-._~", 10, "azAZ09-._~" },
        { "a b+c/d:e$f=%", 13, "a%20b%2Bc%2Fd%3Ae%24f%3D%25" },
        { "\xc3\xa4\xff", 3, "%C3%A4%FF" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_buf struct buf b = BUF_INIT(100);
        encode_percent(&b, cases[i].plain, cases[i].len);
        cr_expect_str_eq(buf_str(&b), cases[i].encoded);
        auto_free char *back = decode_percent(buf_str(&b), b.len);
        cr_assert_not_null(back);
        cr_expect_str_eq(back, cases[i].plain);
    }
}

Test(encode, percent_is_read_once_and_strictly)
{
    static const struct {
        const char *encoded;
        const char *plain; /* NULL: refused */
    } cases[] = {
        { "a+b", "a+b" }, { "%253A", "%3A" }, { "%2f%2F", "//" },       { "%", NULL },
        { "%2", NULL },   { "%zz", NULL },    { "%2g", NULL },          { "a%00b", NULL },
        { "% 2", NULL },  { "%41%", NULL },   { "%c3%a4", "\xc3\xa4" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *s = decode_percent(cases[i].encoded, strlen(cases[i].encoded));
        if (cases[i].plain)
            cr_expect_str_eq(s, cases[i].plain);
        else
            cr_expect_null(s, "%s", cases[i].encoded);
    }
    auto_free char *part = decode_percent("%41%42", 3);
    cr_expect_str_eq(part, "A", "not past the length");
    cr_expect_null(decode_percent("%41%42", 5));
}

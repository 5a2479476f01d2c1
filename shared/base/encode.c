#include "shared/base/encode.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(struct buf *out, const void *data, size_t len, const char *digits, bool pad)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t v = (uint32_t)p[i] << 16;
        if (n > 1)
            v |= (uint32_t)p[i + 1] << 8;
        if (n > 2)
            v |= p[i + 2];
        char four[4] = { digits[v >> 18], digits[(v >> 12) & 63],
                         n > 1 ? digits[(v >> 6) & 63] : '=', n > 2 ? digits[v & 63] : '=' };
        buf_add(out, four, pad ? 4 : n + 1);
    }
}

void encode_base64(struct buf *out, const void *p, size_t len)
{
    encode(out, p, len, alphabet, true);
}

void encode_base64url(struct buf *out, const void *p, size_t len)
{
    encode(out, p, len, alphabet_url, false);
}

/* Of both alphabets, from ' ' on; 64: no digit. */
static const uint8_t digit_values[96] = {
    // clang-format off
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62, 64, 62, 64, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 64, 64, 64,
    64,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 63,
    64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64,
    // clang-format on
};

/* The value of a digit, or 64; `last` are the digits for 62 and 63. */
static uint32_t digit_value(char c, const char last[2])
{
    unsigned at = (unsigned char)c - ' ';
    uint32_t value = at < sizeof(digit_values) ? digit_values[at] : 64;
    return value == 62 || value == 63 ? (c == last[value - 62] ? value : 64) : value;
}

static uint8_t *decode(const char *s, size_t len, size_t *out_len, const char *digits)
{
    if (len % 4 == 1)
        return NULL;
    uint8_t *out = mem_alloc(len / 4 * 3 + 3);
    size_t n = 0;
    uint32_t v = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < len; i++) {
        uint32_t digit = digit_value(s[i], digits + 62);
        if (digit > 63) {
            free(out);
            return NULL;
        }
        v = (v << 6) | digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (uint8_t)(v >> bits);
            v &= (1U << bits) - 1;
        }
    }
    if (v != 0) { /* bits beyond the last byte: not canonical */
        free(out);
        return NULL;
    }
    out[n] = 0;
    *out_len = n;
    return out;
}

uint8_t *decode_base64(const char *s, size_t len, size_t *out_len)
{
    if (len % 4 != 0)
        return NULL;
    size_t bare = len;
    while (bare > 0 && len - bare < 2 && s[bare - 1] == '=')
        bare--;
    return decode(s, bare, out_len, alphabet);
}

uint8_t *decode_base64url(const char *s, size_t len, size_t *out_len)
{
    return decode(s, len, out_len, alphabet_url);
}

void encode_hex(char *out, const void *p, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = p;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

static bool unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void encode_percent(struct buf *out, const char *s, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < len;) {
        size_t from = i;
        while (i < len && unreserved(s[i]))
            i++;
        buf_add(out, s + from, i - from);
        if (i == len)
            break;
        unsigned char c = (unsigned char)s[i++];
        char three[3] = { '%', digits[c >> 4], digits[c & 15] };
        buf_add(out, three, 3);
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

char *decode_percent(const char *s, size_t len)
{
    char *out = mem_alloc(len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] != '%') {
            out[n++] = s[i];
            continue;
        }
        int high = i + 2 < len ? hex_value(s[i + 1]) : -1;
        int low = i + 2 < len ? hex_value(s[i + 2]) : -1;
        if (high < 0 || low < 0 || (high == 0 && low == 0)) {
            free(out);
            return NULL;
        }
        out[n++] = (char)(high * 16 + low);
        i += 2;
    }
    return out;
}

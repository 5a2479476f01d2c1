#include "local/aws/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/encode.h"

#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

static bool is_all(const char *s, size_t max, const char *of)
{
    size_t len = strlen(s);
    return len >= 1 && len <= max && strspn(s, of) == len;
}

static bool is_range(const char *s, size_t max, char low, char high)
{
    size_t len = strlen(s);
    for (size_t i = 0; i < len; i++)
        if (s[i] < low || s[i] > high)
            return false;
    return len >= 1 && len <= max;
}

bool name_is_word(const char *s, size_t max)
{
    return is_all(s, max, WORD);
}

bool name_is_printable(const char *s, size_t max)
{
    return is_range(s, max, ' ', '~');
}

bool name_is_visible(const char *s, size_t max)
{
    return is_range(s, max, '!', '~');
}

bool name_is_tenant(const char *s)
{
    return is_all(s, 256, WORD ".:/=+@ ");
}

bool name_is_base64(const char *s, size_t max)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(s), body = strspn(s, alphabet);
    return body >= 1 && len <= max && len - body <= 2 && strspn(s + body, "=") == len - body;
}

/* The next part up to `end` (or the end of the text) into out; false where it is empty or too long.
 * *p then stands behind the separator, or at the NUL. */
static bool part(const char **p, char end, char *out, size_t size)
{
    const char *stop = strchr(*p, end);
    size_t len = stop ? (size_t)(stop - *p) : strlen(*p);
    if (len == 0 || len >= size)
        return false;
    memcpy(out, *p, len);
    out[len] = '\0';
    *p += len + (stop != NULL);
    return true;
}

static bool skip(const char **p, const char *prefix)
{
    size_t len = strlen(prefix);
    if (strncmp(*p, prefix, len) != 0)
        return false;
    *p += len;
    return true;
}

static bool is_digits(const char *s)
{
    return *s && strspn(s, "0123456789") == strlen(s);
}

static bool is_qualifier(const char *s)
{
    return is_all(s, 128, WORD "$");
}

/* What stands before the function's name. */
static bool parse_prefix(const char **p, struct function_name *out)
{
    char partition[32];
    if (skip(p, "arn:"))
        return part(p, ':', partition, sizeof(partition)) && skip(p, "lambda:") &&
               part(p, ':', out->region, sizeof(out->region)) &&
               part(p, ':', out->account, sizeof(out->account)) && skip(p, "function:");
    if (!strstr(*p, ":function:"))
        return true;
    return part(p, ':', out->account, sizeof(out->account)) && skip(p, "function:");
}

int function_name_parse(const char *text, const char *qualifier, struct function_name *out,
                        struct error *err)
{
    *out = (struct function_name){ 0 };
    const char *p = text;
    bool ok = parse_prefix(&p, out) && part(&p, ':', out->name, sizeof(out->name)) &&
              name_is_word(out->name, 64) && (!out->account[0] || is_digits(out->account));
    if (ok && p[-1] == ':')
        ok = part(&p, '\0', out->qualifier, sizeof(out->qualifier)) && is_qualifier(out->qualifier);
    if (!ok)
        return error_set(err, ERR_INVALID, 0, "The function name is not valid: %.200s", text);
    if (!qualifier)
        return 0;
    if (!is_qualifier(qualifier))
        return error_set(err, ERR_INVALID, 0, "The qualifier is not valid: %.200s", qualifier);
    if (out->qualifier[0] && strcmp(out->qualifier, qualifier) != 0)
        return error_set(err, ERR_INVALID, 0,
                         "The derived qualifier from the function name does not match the "
                         "specified qualifier.");
    snprintf(out->qualifier, sizeof(out->qualifier), "%s", qualifier);
    return 0;
}

int execution_arn_parse(const char *text, struct execution_arn *out, struct error *err)
{
    char partition[32];
    const char *p = text;
    *out = (struct execution_arn){ 0 };
    bool ok =
        strlen(text) <= 1024 && skip(&p, "arn:") && part(&p, ':', partition, sizeof(partition)) &&
        skip(&p, "lambda:") && part(&p, ':', out->region, sizeof(out->region)) &&
        part(&p, ':', out->account, sizeof(out->account)) && skip(&p, "function:") &&
        part(&p, ':', out->function, sizeof(out->function)) &&
        part(&p, '/', out->version, sizeof(out->version)) && skip(&p, "durable-execution/") &&
        part(&p, '/', out->name, sizeof(out->name)) && part(&p, '/', out->id, sizeof(out->id)) &&
        !*p && p[-1] != '/' && name_is_word(out->function, 64) && name_is_word(out->name, 64) &&
        name_is_word(out->id, 64) && strlen(out->account) == 12 && is_digits(out->account) &&
        (is_digits(out->version) || strcmp(out->version, "$LATEST") == 0 ||
         strcmp(out->version, "$LATEST.PUBLISHED") == 0);
    return ok ? 0 : error_set(err, ERR_INVALID, 0, "not the ARN of a durable execution");
}

/* base64 of these three bytes is "+++/". */
static const uint8_t awkward[3] = { 0xfb, 0xef, 0xbf };

void checkpoint_token_make(char out[CHECKPOINT_TOKEN])
{
    uint8_t bytes[70]; /* not a multiple of three: padding at the end */
    random_bytes(bytes, sizeof(bytes));
    memcpy(bytes + 33, awkward, sizeof(awkward));
    auto_buf struct buf b = BUF_INIT(CHECKPOINT_TOKEN);
    encode_base64(&b, bytes, sizeof(bytes));
    snprintf(out, CHECKPOINT_TOKEN, "%s", buf_str(&b));
}

/* Layout: 1 | execution (16) | operation (4, big-endian) | awkward (3) | random (197) */
#define ID_BYTES  221
#define ID_RANDOM 24

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int uuid_bytes(const char *uuid, uint8_t out[16])
{
    size_t n = 0;
    for (const char *p = uuid; *p && n < 16; p += *p == '-') {
        int high = hex_value(p[0]), low = high < 0 ? -1 : hex_value(p[1]);
        if (low < 0)
            return -1;
        out[n++] = (uint8_t)(high << 4 | low);
        p += 2;
    }
    return n == 16 ? 0 : -1;
}

void callback_id_make(const char *execution_id, uint32_t operation, char out[CALLBACK_ID])
{
    uint8_t bytes[ID_BYTES] = { 1 };
    if (uuid_bytes(execution_id, bytes + 1) < 0)
        abort(); /* execution ids are made by random_uuid alone */
    for (size_t i = 0; i < 4; i++)
        bytes[17 + i] = (uint8_t)(operation >> (24 - 8 * i));
    memcpy(bytes + 21, awkward, sizeof(awkward));
    random_bytes(bytes + ID_RANDOM, sizeof(bytes) - ID_RANDOM);
    auto_buf struct buf b = BUF_INIT(CALLBACK_ID);
    encode_base64(&b, bytes, sizeof(bytes));
    snprintf(out, CALLBACK_ID, "%s", buf_str(&b));
    mem_wipe(bytes, sizeof(bytes));
}

int callback_id_parse(const char *text, char execution_id[RANDOM_UUID], uint32_t *operation)
{
    size_t len;
    auto_free uint8_t *bytes = decode_base64(text, strlen(text), &len);
    if (!bytes || len != ID_BYTES || bytes[0] != 1)
        return -1;
    char hex[33];
    encode_hex(hex, bytes + 1, 16);
    snprintf(execution_id, RANDOM_UUID, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
             hex + 16, hex + 20);
    *operation = 0;
    for (size_t i = 0; i < 4; i++)
        *operation = *operation << 8 | bytes[17 + i];
    return 0;
}

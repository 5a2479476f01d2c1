#include "shared/base/error.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/utf8.h"

static bool code_retryable(enum error_code code)
{
    return code == ERR_THROTTLED || code == ERR_UNAVAILABLE || code == ERR_NET ||
           code == ERR_TIMEOUT;
}

/* A text that was cut in the middle of a character loses its beginning, too: messages end up in
 * JSON, where UTF-8 must be whole. */
static void trim(char *text)
{
    size_t len = strlen(text), at = len;
    while (at > 0 && len - at < 3 && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
        at--;
    if (at > 0 && (unsigned char)text[at - 1] >= 0xc0 &&
        utf8_sequence(text + at - 1, len - at + 1) == 0)
        text[at - 1] = '\0';
}

int error_set(struct error *err, enum error_code code, int detail, const char *fmt, ...)
{
    if (!err)
        return -1;
    struct error made = { .code = code, .detail = detail, .retryable = code_retryable(code) };
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(made.msg, sizeof(made.msg), fmt, ap); /* an argument may be err->msg itself */
    va_end(ap);
    trim(made.msg);
    *err = made;
    return -1;
}

/* glibc returns the text, wherever that is; musl, as POSIX has it, a number and fills the buffer.
 */
static const char *glibc_text(const char *text, const char *buffer)
{
    (void)buffer;
    return text;
}

static const char *posix_text(int rc, const char *buffer)
{
    return rc == 0 ? buffer : "unknown error";
}

#define ERRNO_TEXT(eno, buffer)                                                                    \
    _Generic(strerror_r(eno, buffer, sizeof(buffer)), int                                          \
             : posix_text, default                                                                 \
             : glibc_text)(strerror_r(eno, buffer, sizeof(buffer)), buffer)

int error_set_errno(struct error *err, int eno, const char *fmt, ...)
{
    if (!err)
        return -1;
    char text[400];
    char why[96];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_set(err, ERR_IO, eno, "%s: %s", text, ERRNO_TEXT(eno, why));
}

int error_wrap(struct error *err, const char *fmt, ...)
{
    if (!err)
        return -1;
    char prefix[sizeof(err->msg)];
    char whole[2 * sizeof(err->msg) + 2];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(prefix, sizeof(prefix), fmt, ap);
    va_end(ap);
    snprintf(whole, sizeof(whole), "%s: %s", prefix, err->msg);
    whole[sizeof(err->msg) - 1] = '\0';
    memcpy(err->msg, whole, sizeof(err->msg));
    trim(err->msg);
    return -1;
}

void error_set_type(struct error *err, const char *type)
{
    if (err)
        snprintf(err->type, sizeof(err->type), "%s", type ? type : "");
}

const char *error_code_name(enum error_code code)
{
    static const char *const names[] = {
        [ERR_NONE] = "none",
        [ERR_INVALID] = "invalid",
        [ERR_TOO_LARGE] = "too_large",
        [ERR_NOT_FOUND] = "not_found",
        [ERR_CONFLICT] = "conflict",
        [ERR_DENIED] = "denied",
        [ERR_GONE] = "gone",
        [ERR_THROTTLED] = "throttled",
        [ERR_UNAVAILABLE] = "unavailable",
        [ERR_NET] = "net",
        [ERR_TIMEOUT] = "timeout",
        [ERR_PROTOCOL] = "protocol",
        [ERR_IO] = "io",
        [ERR_CANCELLED] = "cancelled",
        [ERR_INTERNAL] = "internal",
    };
    return (size_t)code < ARRAY_LEN(names) && names[code] ? names[code] : "unknown";
}

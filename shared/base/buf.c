#include "shared/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/utf8.h"

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf)BUF_INIT(max);
}

void buf_release(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->overflowed = false;
    if (b->data)
        b->data[0] = '\0';
}

char *buf_take(struct buf *b, size_t *len)
{
    if (len)
        *len = b->len;
    char *out = b->data ? b->data : mem_alloc(1);
    buf_init(b, b->max);
    return out;
}

/* Room for `more` bytes and the NUL, or -1. */
static int buf_grow(struct buf *b, size_t more)
{
    if (b->overflowed || more > b->max - b->len) {
        b->overflowed = true;
        return -1;
    }
    size_t need = b->len + more + 1;
    if (need > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < need)
            cap *= 2;
        b->data = mem_resize(b->data, cap, 1);
        b->cap = cap;
    }
    return 0;
}

void buf_reserve(struct buf *b, size_t more)
{
    size_t left = b->max - b->len;
    if (!b->overflowed && buf_grow(b, more < left ? more : left) == 0)
        b->data[b->len] = '\0';
}

int buf_add(struct buf *b, const void *p, size_t len)
{
    if (buf_grow(b, len) < 0)
        return -1;
    if (len)
        memcpy(b->data + b->len, p, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

int buf_add_str(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

int buf_add_char(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    int rc = -1;
    if (n >= 0 && buf_grow(b, (size_t)n) == 0) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
        rc = 0;
    }
    va_end(again);
    return rc;
}

static int add_json_byte(struct buf *b, unsigned char c)
{
    static const char short_escape[] = { ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                         ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't' };
    if (c < sizeof(short_escape) && short_escape[c]) {
        char pair[2] = { '\\', short_escape[c] };
        return buf_add(b, pair, 2);
    }
    if (c < 0x20)
        return buf_printf(b, "\\u%04x", c);
    return buf_add(b, &c, 1);
}

int buf_add_json(struct buf *b, const char *s, size_t len)
{
    int rc = buf_add_char(b, '"');
    for (size_t i = 0; i < len && rc == 0;) {
        unsigned char c = (unsigned char)s[i];
        if (c < 0x80) {
            rc = add_json_byte(b, c);
            i++;
            continue;
        }
        size_t n = utf8_sequence(s + i, len - i);
        rc = n ? buf_add(b, s + i, n) : buf_add(b, "\xef\xbf\xbd", 3);
        i += n ? n : 1;
    }
    return rc == 0 ? buf_add_char(b, '"') : -1;
}

int buf_add_json_str(struct buf *b, const char *s)
{
    return buf_add_json(b, s, strlen(s));
}

const char *buf_str(const struct buf *b)
{
    return b->data ? b->data : "";
}

bool buf_overflowed(const struct buf *b)
{
    return b->overflowed;
}

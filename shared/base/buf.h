/* buf.h - a growing byte buffer that is born with a limit.
 *
 * Every buffer has a maximum: appending past it fails, marks the buffer as overflowed and keeps
 * what was there, so that a caller may append many times and ask once at the end (buf_overflowed).
 * The bytes are always followed by a NUL that is not counted. One thread at a time. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/base/mem.h"

struct buf {
    char *data; /* NULL while empty: use buf_str for a string that is never NULL */
    size_t len;
    size_t cap; /* private */
    size_t max; /* private */
    bool overflowed;
};

/* A buffer that may hold up to `max_` bytes. */
#define BUF_INIT(max_)                                                                             \
    {                                                                                              \
        .data = NULL, .len = 0, .cap = 0, .max = (max_), .overflowed = false                       \
    }

void buf_init(struct buf *b, size_t max);
/* Frees the bytes; the buffer can be used again with the same limit. Safe twice. */
void buf_release(struct buf *b);
#define auto_buf __attribute__((cleanup(buf_release)))
/* Makes room for `more` bytes in one go, as far as the limit allows: for who knows about how many
 * will come. */
void buf_reserve(struct buf *b, size_t more);
/* Empties it and keeps the memory. */
void buf_reset(struct buf *b);
/* Hands the bytes out (NUL-terminated, for free()) and leaves the buffer empty. Never NULL. */
char *buf_take(struct buf *b, size_t *len) CHECKED;

/* Each returns 0, or -1 where the limit was hit. */
int buf_add(struct buf *b, const void *p, size_t len);
int buf_add_str(struct buf *b, const char *s);
int buf_add_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Appends `s` as a JSON string with its quotes. Bytes must be UTF-8; what is not is replaced by
 * U+FFFD. */
int buf_add_json(struct buf *b, const char *s, size_t len);
int buf_add_json_str(struct buf *b, const char *s);

/* The bytes as a string; "" where there are none. */
const char *buf_str(const struct buf *b);
bool buf_overflowed(const struct buf *b);

#endif

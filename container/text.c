#include "container/text.h"

#include "shared/base/utf8.h"

void text_clean(struct buf *out, const char *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = p[i] ? utf8_sequence(p + i, len - i) : 0;
        if (n > 0)
            buf_add(out, p + i, n);
        else
            buf_add_str(out, "\xef\xbf\xbd");
        i += n > 0 ? n : 1;
    }
}

size_t text_last(const char *p, size_t len, size_t max)
{
    size_t at = len > max ? len - max : 0;
    /* A character has at most three continuation bytes; what has more is no UTF-8 anyway. */
    for (size_t i = 0; at > 0 && i < 3 && at < len && ((unsigned char)p[at] & 0xc0) == 0x80; i++)
        at++;
    return at;
}

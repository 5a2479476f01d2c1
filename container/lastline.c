#include "container/lastline.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static bool blank(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isspace((unsigned char)p[i]))
            return false;
    return true;
}

static void line_reset(struct line *line)
{
    buf_reset(&line->text);
    line->text.overflowed = false;
    line->size = 0;
}

static void line_add(struct line *line, const char *p, size_t len)
{
    size_t room = line->text.max - line->text.len;
    buf_add(&line->text, p, len < room ? len : room);
    line->size += len;
}

/* A line that is longer than what is kept of it is not blank: it is too large. */
static bool line_blank(const struct line *line)
{
    return line->size == line->text.len && blank(buf_str(&line->text), line->text.len);
}

void lastline_init(struct lastline *l, size_t max)
{
    *l = (struct lastline){ 0 };
    buf_init(&l->open.text, max);
    buf_init(&l->last.text, max);
}

void lastline_release(struct lastline *l)
{
    buf_release(&l->open.text);
    buf_release(&l->last.text);
}

static void close_open_line(struct lastline *l)
{
    if (!line_blank(&l->open)) {
        struct line swap = l->last;
        l->last = l->open;
        l->open = swap;
    }
    line_reset(&l->open);
}

/* `p` is whole lines, the last one's newline left out, none of them the open line. */
static void take_last_of(struct lastline *l, const char *p, size_t len)
{
    for (;;) {
        const char *before = memrchr(p, '\n', len);
        const char *line = before ? before + 1 : p;
        size_t line_len = len - (size_t)(line - p);
        if (!blank(line, line_len)) {
            line_reset(&l->last);
            line_add(&l->last, line, line_len);
            return;
        }
        if (!before)
            return;
        len = (size_t)(before - p);
    }
}

void lastline_add(struct lastline *l, const char *p, size_t len)
{
    const char *first = memchr(p, '\n', len);
    if (!first) {
        line_add(&l->open, p, len);
        return;
    }
    line_add(&l->open, p, (size_t)(first - p));
    close_open_line(l);
    const char *rest = first + 1;
    size_t rest_len = len - (size_t)(rest - p);
    const char *final = memrchr(rest, '\n', rest_len);
    if (final) {
        take_last_of(l, rest, (size_t)(final - rest));
        rest_len -= (size_t)(final + 1 - rest);
        rest = final + 1;
    }
    line_add(&l->open, rest, rest_len);
}

const char *lastline_text(struct lastline *l, size_t *len, size_t *size)
{
    struct line *line = line_blank(&l->open) ? &l->last : &l->open;
    *len = line->text.len;
    *size = line->size;
    if (*len > 0 && *len == *size && line->text.data[*len - 1] == '\r') {
        --*len;
        --*size;
    }
    return buf_str(&line->text);
}

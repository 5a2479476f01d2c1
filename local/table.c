#include "local/table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/buf.h"
#include "shared/base/utf8.h"

struct table {
    const char *const *heads;
    size_t columns;
    char **cells; /* row by row */
    size_t count;
};

struct table *table_new(const char *const *heads)
{
    struct table *t = mem_alloc(sizeof(*t));
    t->heads = heads;
    while (heads[t->columns])
        t->columns++;
    return t;
}

/* The text without control characters, at most TABLE_CELL characters. */
static char *clean(const char *text)
{
    auto_buf struct buf b = BUF_INIT(5 * TABLE_CELL);
    size_t left = text ? strlen(text) : 0, n = 0;
    while (left > 0 && n++ < TABLE_CELL) {
        size_t len = utf8_sequence(text, left);
        bool control = len < 2 && ((unsigned char)*text < ' ' || *text == 127);
        if (len == 0 || control ||
            (len == 2 && (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] < 0xa0))
            buf_add_char(&b, '?');
        else
            buf_add(&b, text, len);
        text += len ? len : 1;
        left -= len ? len : 1;
    }
    if (left > 0)
        buf_add_str(&b, "\xe2\x80\xa6");
    return buf_take(&b, NULL);
}

void table_row(struct table *t, const char *const *cells)
{
    t->cells = mem_resize(t->cells, t->count + t->columns, sizeof(*t->cells));
    for (size_t i = 0; i < t->columns; i++)
        t->cells[t->count++] = clean(cells[i]);
}

/* Characters, not bytes. */
static int width(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_row(const struct table *t, const char *const *cells, const int *widths, FILE *out)
{
    for (size_t i = 0; i + 1 < t->columns; i++)
        fprintf(out, "%s%*s", cells[i], widths[i] - width(cells[i]) + 2, "");
    fprintf(out, "%s\n", cells[t->columns - 1]);
}

void table_print(const struct table *t, FILE *out)
{
    int widths[TABLE_COLUMNS];
    for (size_t i = 0; i < t->columns; i++)
        widths[i] = width(t->heads[i]);
    for (size_t row = 0; row < t->count; row += t->columns)
        for (size_t i = 0; i < t->columns; i++)
            if (width(t->cells[row + i]) > widths[i])
                widths[i] = width(t->cells[row + i]);
    print_row(t, t->heads, widths, out);
    for (size_t i = 0; i < t->count; i += t->columns)
        print_row(t, (const char *const *)t->cells + i, widths, out);
}

void table_free(struct table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
}

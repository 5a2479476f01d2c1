#include "callback-receiver/store_record.h"

#include <string.h>

#include "callback-receiver/columns.h"

void store_record_columns(struct buf *out)
{
    size_t count;
    const struct column *columns = columns_all(&count);
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s%s", i ? "," : "", columns[i].name);
}

void store_record_places(struct buf *out)
{
    size_t count;
    (void)columns_all(&count);
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s?%zu", i ? "," : "", i + 1);
}

static int bind(sqlite3_stmt *st, int at, const struct column *col, const struct callback *c)
{
    if (col->type == COLUMN_TEXT)
        return sqlite3_bind_text(st, at, column_bytes(col, c), -1, SQLITE_STATIC);
    if (col->type == COLUMN_HASH)
        return sqlite3_bind_blob(st, at, column_bytes(col, c), (int)col->size, SQLITE_STATIC);
    return sqlite3_bind_int64(st, at, column_get(col, c));
}

int store_record_bind(sqlite3_stmt *st, const struct callback *c)
{
    size_t count;
    const struct column *columns = columns_all(&count);
    for (size_t i = 0; i < count; i++) {
        int rc = bind(st, (int)i + 1, &columns[i], c);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

void store_record_read(sqlite3_stmt *st, struct callback *c)
{
    size_t count;
    const struct column *columns = columns_all(&count);
    memset(c, 0, sizeof(*c));
    for (size_t i = 0; i < count; i++) {
        const struct column *col = &columns[i];
        if (col->type != COLUMN_TEXT && col->type != COLUMN_HASH) {
            column_set(col, c, sqlite3_column_int64(st, (int)i));
            continue;
        }
        const void *p = sqlite3_column_blob(st, (int)i);
        if (p)
            column_set_bytes(col, c, p, (size_t)sqlite3_column_bytes(st, (int)i));
    }
}

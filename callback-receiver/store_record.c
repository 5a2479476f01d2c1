#include "callback-receiver/store_record.h"

#include <stddef.h>
#include <string.h>

enum column_type {
    COLUMN_TEXT, /* a char array, NUL-terminated */
    COLUMN_HASH,
    COLUMN_INT64,
    COLUMN_ENUM,
    COLUMN_BOOL
};

struct column {
    const char *name;
    enum column_type type;
    size_t offset;
    size_t size;
};

#define COLUMN(type_, field_)                                                                      \
    {                                                                                              \
#field_, type_, offsetof(struct callback, field_), sizeof(((struct callback *)0)->field_)  \
    }

static const struct column columns[] = {
    COLUMN(COLUMN_TEXT, id),
    COLUMN(COLUMN_TEXT, callback_id),
    COLUMN(COLUMN_ENUM, state),
    COLUMN(COLUMN_BOOL, registered),
    COLUMN(COLUMN_HASH, registration),
    COLUMN(COLUMN_TEXT, workflow),
    COLUMN(COLUMN_TEXT, job),
    COLUMN(COLUMN_INT64, heartbeat_s),
    COLUMN(COLUMN_INT64, start_timeout_s),
    COLUMN(COLUMN_INT64, expires_s),
    COLUMN(COLUMN_INT64, created_ms),
    COLUMN(COLUMN_INT64, first_contact_ms),
    COLUMN(COLUMN_INT64, last_contact_ms),
    COLUMN(COLUMN_INT64, first_heartbeat_ms),
    COLUMN(COLUMN_INT64, judge_ms),
    COLUMN(COLUMN_INT64, reported_ms),
    COLUMN(COLUMN_INT64, delivered_ms),
    COLUMN(COLUMN_INT64, ended_ms),
    COLUMN(COLUMN_ENUM, report_by),
    COLUMN(COLUMN_ENUM, report_kind),
    COLUMN(COLUMN_ENUM, report_media),
    COLUMN(COLUMN_HASH, report_sha),
    COLUMN(COLUMN_INT64, attempts),
    COLUMN(COLUMN_INT64, failures),
    COLUMN(COLUMN_INT64, due_ms),
    COLUMN(COLUMN_BOOL, in_flight),
    COLUMN(COLUMN_BOOL, unanswered),
    COLUMN(COLUMN_TEXT, last_error),
    COLUMN(COLUMN_TEXT, outcome),
    COLUMN(COLUMN_TEXT, traceparent),
};

void store_record_columns(struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        buf_printf(out, "%s%s", i ? "," : "", columns[i].name);
}

void store_record_places(struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        buf_printf(out, "%s?%zu", i ? "," : "", i + 1);
}

static int bind(sqlite3_stmt *st, int at, const struct column *col, const char *field)
{
    int64_t number = 0;
    unsigned word = 0;
    bool flag = false;
    switch (col->type) {
    case COLUMN_TEXT:
        return sqlite3_bind_text(st, at, field, -1, SQLITE_STATIC);
    case COLUMN_HASH:
        return sqlite3_bind_blob(st, at, field, (int)col->size, SQLITE_STATIC);
    case COLUMN_INT64:
        memcpy(&number, field, sizeof(number));
        break;
    case COLUMN_ENUM:
        memcpy(&word, field, sizeof(word));
        number = word;
        break;
    case COLUMN_BOOL:
        memcpy(&flag, field, sizeof(flag));
        number = flag;
        break;
    }
    return sqlite3_bind_int64(st, at, number);
}

int store_record_bind(sqlite3_stmt *st, const struct callback *c)
{
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        int rc = bind(st, (int)i + 1, &columns[i], (const char *)c + columns[i].offset);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

static void read_bytes(sqlite3_stmt *st, int at, const struct column *col, char *field)
{
    const void *p = sqlite3_column_blob(st, at);
    size_t len = (size_t)sqlite3_column_bytes(st, at);
    size_t room = col->type == COLUMN_TEXT ? col->size - 1 : col->size;
    if (p)
        memcpy(field, p, len < room ? len : room);
}

void store_record_read(sqlite3_stmt *st, struct callback *c)
{
    memset(c, 0, sizeof(*c));
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        const struct column *col = &columns[i];
        char *field = (char *)c + col->offset;
        int64_t number = sqlite3_column_int64(st, (int)i);
        unsigned word = (unsigned)number;
        bool flag = number != 0;
        switch (col->type) {
        case COLUMN_TEXT:
        case COLUMN_HASH:
            read_bytes(st, (int)i, col, field);
            break;
        case COLUMN_INT64:
            memcpy(field, &number, sizeof(number));
            break;
        case COLUMN_ENUM:
            memcpy(field, &word, sizeof(word));
            break;
        case COLUMN_BOOL:
            memcpy(field, &flag, sizeof(flag));
            break;
        }
    }
}

#include "callback-receiver/columns.h"

#include <string.h>

#define COLUMN_SINCE(version_, type_, field_)                                                      \
    {                                                                                              \
#field_, type_, offsetof(struct callback, field_), sizeof(((struct callback *)0)->field_), \
            version_                                                                               \
    }
#define COLUMN(type_, field_) COLUMN_SINCE(1, type_, field_)

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
    COLUMN_SINCE(2, COLUMN_INT64, engine_heartbeat_s),
    COLUMN_SINCE(2, COLUMN_INT64, beat_ms),
};

const struct column *columns_all(size_t *count)
{
    *count = ARRAY_LEN(columns);
    return columns;
}

int64_t column_get(const struct column *col, const struct callback *c)
{
    const char *field = (const char *)c + col->offset;
    int64_t number = 0;
    unsigned word = 0;
    bool flag = false;
    if (col->type == COLUMN_INT64) {
        memcpy(&number, field, sizeof(number));
    } else if (col->type == COLUMN_ENUM) {
        memcpy(&word, field, sizeof(word));
        number = word;
    } else {
        memcpy(&flag, field, sizeof(flag));
        number = flag;
    }
    return number;
}

void column_set(const struct column *col, struct callback *c, int64_t number)
{
    char *field = (char *)c + col->offset;
    unsigned word = (unsigned)number;
    bool flag = number != 0;
    if (col->type == COLUMN_INT64)
        memcpy(field, &number, sizeof(number));
    else if (col->type == COLUMN_ENUM)
        memcpy(field, &word, sizeof(word));
    else
        memcpy(field, &flag, sizeof(flag));
}

const char *column_bytes(const struct column *col, const struct callback *c)
{
    return (const char *)c + col->offset;
}

void column_set_bytes(const struct column *col, struct callback *c, const void *p, size_t len)
{
    size_t room = col->type == COLUMN_TEXT ? col->size - 1 : col->size;
    memcpy((char *)c + col->offset, p, len < room ? len : room);
}

bool columns_sensible(const struct callback *c)
{
    return c->state > CALLBACK_ABSENT && c->state < CALLBACK_STATES &&
           c->report_kind <= CALLBACK_FAILURE && c->report_media <= CALLBACK_TEXT &&
           c->report_by <= CALLBACK_BY_RECEIVER &&
           (c->report_kind != 0 || (c->state != CALLBACK_ACCEPTED && c->due_ms == 0));
}

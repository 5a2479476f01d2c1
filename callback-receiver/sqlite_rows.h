/* sqlite_rows.h - callbacks and their payloads as rows of SQLite. One thread at a time, inside a
 * transaction. */
#ifndef RECEIVER_SQLITE_ROWS_H
#define RECEIVER_SQLITE_ROWS_H

#include <sqlite3.h>

#include "callback-receiver/callback.h"
#include "callback-receiver/store.h"

/* Where a callback is, and the values that it has in the indexes there. */
struct sqlite_row {
    int64_t n; /* 0: it is not there */
    enum callback_state state;
    int64_t expires_s, due_ms, judge_ms, beat_ms;
};

struct sqlite_rows;

/* `db` is borrowed. NULL with *err. */
struct sqlite_rows *sqlite_rows_new(sqlite3 *db, struct error *err) CHECKED;
void sqlite_rows_free(struct sqlite_rows *r); /* takes NULL */

/* "n,id,callback_id,...": what sqlite_rows_read expects of a statement. */
void sqlite_rows_columns(struct buf *out);
/* -1: what is there makes no sense. */
int sqlite_rows_read(sqlite3_stmt *st, struct sqlite_row *row, struct callback *c,
                     struct error *err) CHECKED;

/* Reads the callback `id`; where there is none, row->n is 0 and `c` is as it was. */
int sqlite_rows_load(struct sqlite_rows *r, const char *id, struct sqlite_row *row,
                     struct callback *c, struct error *err) CHECKED;
/* Writes `c`, which was read as `row` and is `row` from now on; indexes that have its values are
 * not touched. */
int sqlite_rows_save(struct sqlite_rows *r, struct sqlite_row *row, const struct callback *c,
                     struct error *err) CHECKED;

int sqlite_rows_put(struct sqlite_rows *r, int64_t n, enum store_payload kind, const char *text,
                    size_t len, struct error *err) CHECKED;
int sqlite_rows_drop(struct sqlite_rows *r, int64_t n, enum store_payload kind,
                     struct error *err) CHECKED;
/* `out` stays empty where there is none. */
int sqlite_rows_get(struct sqlite_rows *r, int64_t n, enum store_payload kind,
                    struct store_text *out, struct error *err) CHECKED;

/* How many callbacks are in each state, without looking: kept with each save. */
void sqlite_rows_counts(const struct sqlite_rows *r, int64_t counts[CALLBACK_STATES]);
/* `many` of `state` are gone. */
void sqlite_rows_gone(struct sqlite_rows *r, unsigned state, int64_t many);
/* The transaction begins; it has ended: were its changes kept? */
void sqlite_rows_began(struct sqlite_rows *r);
void sqlite_rows_ended(struct sqlite_rows *r, bool kept);

#endif

/* store_record.h - a struct callback as a row of SQLite. One thread at a time. */
#ifndef RECEIVER_STORE_RECORD_H
#define RECEIVER_STORE_RECORD_H

#include <sqlite3.h>

#include "callback-receiver/callback.h"

/* "id,callback_id,...": the columns in the order that the others use. */
void store_record_columns(struct buf *out);
/* "?1,?2,...": as many. */
void store_record_places(struct buf *out);
/* Binds the record's fields to ?1 and so on; borrowed until the statement is reset. 0 or a SQLite
 * code. */
int store_record_bind(sqlite3_stmt *st, const struct callback *c);
/* Reads a row of these columns. What does not fit is cut. */
void store_record_read(sqlite3_stmt *st, struct callback *c);

#endif

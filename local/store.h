/* store.h - local-aws's state on disk: one SQLite database, DIR/local-aws.db.
 *
 * Each module keeps its own tables: it names its schema once (store_schema), prepares its
 * statements, and writes through as its state changes, so that a local-aws that was killed goes on
 * where it was. The database must survive the death of the process, not of the machine: WAL with
 * synchronous=OFF.
 *
 * A write that fails can't be answered sensibly by the many callers that write, so the failure is
 * latched: from then on nothing is written, store_failed is true, no answer is sent any more
 * (aws_api.h) and the program ends. The loop's thread only. */
#ifndef LOCAL_STORE_H
#define LOCAL_STORE_H

#include <sqlite3.h>
#include <stdint.h>

#include "shared/base/error.h"

struct store;
typedef void store_failed_fn(void *arg);

/* Makes the folder `dir` where it is missing and opens the database in it. One local-aws at a time:
 * ERR_CONFLICT where another process has it open. */
struct store *store_open(const char *dir, struct error *err) CHECKED;
/* Finalises the statements of store_prepare; takes NULL. */
void store_close(struct store *s);
/* The folder, as given. */
const char *store_dir(const struct store *s);
sqlite3 *store_db(struct store *s);

/* Creates what `module` needs by the script `sql` where it is not there yet; a database that
 * another version of the module has written is ERR_INVALID. The format of a table changes so: new
 * number, new script, and a sentence in the commit about what happens to the old database. */
int store_schema(struct store *s, const char *module, int version, const char *sql,
                 struct error *err) CHECKED;
/* A statement that lives as long as the store. NULL with *err where the SQL is wrong. */
sqlite3_stmt *store_prepare(struct store *s, const char *sql, struct error *err) CHECKED;

/* Transactions nest: only the outermost commit writes. */
void store_begin(struct store *s);
void store_commit(struct store *s);

/* Binding; a NULL text is NULL. What is bound must live until the statement has run. */
void store_bind_text(sqlite3_stmt *st, int at, const char *text);
void store_bind_bytes(sqlite3_stmt *st, int at, const char *text, size_t len);
void store_bind_int(sqlite3_stmt *st, int at, int64_t v);
/* Runs a statement that gives no rows, then resets it. Failures are latched. */
void store_exec(struct store *s, sqlite3_stmt *st);
/* One row more: true with a row at hand; false at the end, when it has been reset, or on failure.
 */
bool store_step(struct store *s, sqlite3_stmt *st);
/* Ends a read before its last row. */
void store_reset(sqlite3_stmt *st);
/* A column's text ("" for NULL is not made: NULL stays NULL); until the next step. */
const char *store_text(sqlite3_stmt *st, int column);

/* Not NULL: what went wrong first. */
const struct error *store_failed(const struct store *s);
/* Called once, at the first failure. */
void store_on_failed(struct store *s, store_failed_fn *fn, void *arg);

#endif

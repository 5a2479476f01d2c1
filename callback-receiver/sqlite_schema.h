/* sqlite_schema.h - opens a store's file: its settings, its tables and how older ones become them.
 */
#ifndef RECEIVER_SQLITE_SCHEMA_H
#define RECEIVER_SQLITE_SCHEMA_H

#include <sqlite3.h>

#include "shared/base/error.h"

/* Opens `file`, makes it where it is not there, and brings its tables to the version that this
 * program knows. It is this process's alone from now on. Each commit is on the disk when it
 * returns (synchronous=FULL). The caller closes it. NULL with *err: ERR_CONFLICT where another
 * process has it open or a newer version has written it, ERR_IO. */
sqlite3 *sqlite_schema_open(const char *file, struct error *err) CHECKED;
/* *err is set to what the connection's last call failed with; returns -1. */
int sqlite_schema_fail(sqlite3 *db, const char *what, struct error *err);

#endif

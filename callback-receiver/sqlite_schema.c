#include "callback-receiver/sqlite_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "shared/base/mem.h"

/* To change the schema: raise SCHEMA_VERSION, append the statements that lead from the version
 * before to `migrations`, never touch the ones that are there. */
#define SCHEMA_VERSION 3

#define COLUMNS_2                                                                                  \
    "id,callback_id,state,registered,registration,workflow,job,heartbeat_s,start_timeout_s,"       \
    "expires_s,created_ms,first_contact_ms,last_contact_ms,first_heartbeat_ms,judge_ms,"           \
    "reported_ms,delivered_ms,ended_ms,report_by,report_kind,report_media,report_sha,attempts,"    \
    "failures,due_ms,in_flight,unanswered,last_error,outcome,traceparent,engine_heartbeat_s,"      \
    "beat_ms"

static const char *const migrations[SCHEMA_VERSION] = {
    "CREATE TABLE callback ("
    " id TEXT PRIMARY KEY, callback_id TEXT NOT NULL, state INTEGER NOT NULL,"
    " registered INTEGER NOT NULL, registration BLOB NOT NULL, workflow TEXT NOT NULL,"
    " job TEXT NOT NULL, heartbeat_s INTEGER NOT NULL, start_timeout_s INTEGER NOT NULL,"
    " expires_s INTEGER NOT NULL, created_ms INTEGER NOT NULL, first_contact_ms INTEGER NOT NULL,"
    " last_contact_ms INTEGER NOT NULL, first_heartbeat_ms INTEGER NOT NULL,"
    " judge_ms INTEGER NOT NULL, reported_ms INTEGER NOT NULL, delivered_ms INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL, report_by INTEGER NOT NULL, report_kind INTEGER NOT NULL,"
    " report_media INTEGER NOT NULL, report_sha BLOB NOT NULL, attempts INTEGER NOT NULL,"
    " failures INTEGER NOT NULL, due_ms INTEGER NOT NULL, in_flight INTEGER NOT NULL,"
    " unanswered INTEGER NOT NULL, last_error TEXT NOT NULL, outcome TEXT NOT NULL,"
    " traceparent TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX callback_due ON callback (due_ms) WHERE due_ms > 0;"
    "CREATE INDEX callback_judge ON callback (judge_ms) WHERE judge_ms > 0;"
    "CREATE INDEX callback_state ON callback (state, created_ms);"
    "CREATE INDEX callback_expires ON callback (expires_s);"
    "CREATE TABLE payload (id TEXT NOT NULL, kind INTEGER NOT NULL, body BLOB NOT NULL,"
    " UNIQUE (id, kind));"
    "CREATE TABLE probe (one INTEGER PRIMARY KEY CHECK (one = 1), at_ms INTEGER NOT NULL);",

    "ALTER TABLE callback ADD COLUMN engine_heartbeat_s INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE callback ADD COLUMN beat_ms INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX callback_beat ON callback (beat_ms) WHERE beat_ms > 0;"
    "CREATE INDEX callback_reported ON callback (reported_ms) WHERE state = 2;",

    /* Rows are in the order they came, no longer in that of their ids, which are hashes: what is
     * written at about the same time shares pages, so that a commit writes a few of them and not
     * several for each callback. Payloads have the key 4 * callback + kind. */
    "CREATE TABLE callback_3 ("
    " n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, callback_id TEXT NOT NULL,"
    " state INTEGER NOT NULL, registered INTEGER NOT NULL, registration BLOB NOT NULL,"
    " workflow TEXT NOT NULL, job TEXT NOT NULL, heartbeat_s INTEGER NOT NULL,"
    " start_timeout_s INTEGER NOT NULL, expires_s INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    " first_contact_ms INTEGER NOT NULL, last_contact_ms INTEGER NOT NULL,"
    " first_heartbeat_ms INTEGER NOT NULL, judge_ms INTEGER NOT NULL,"
    " reported_ms INTEGER NOT NULL, delivered_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,"
    " report_by INTEGER NOT NULL, report_kind INTEGER NOT NULL, report_media INTEGER NOT NULL,"
    " report_sha BLOB NOT NULL, attempts INTEGER NOT NULL, failures INTEGER NOT NULL,"
    " due_ms INTEGER NOT NULL, in_flight INTEGER NOT NULL, unanswered INTEGER NOT NULL,"
    " last_error TEXT NOT NULL, outcome TEXT NOT NULL, traceparent TEXT NOT NULL,"
    " engine_heartbeat_s INTEGER NOT NULL, beat_ms INTEGER NOT NULL);"
    "INSERT INTO callback_3 (" COLUMNS_2 ") SELECT " COLUMNS_2 " FROM callback ORDER BY created_ms;"
    "CREATE TABLE payload_3 (n INTEGER PRIMARY KEY, body BLOB NOT NULL);"
    "INSERT INTO payload_3 SELECT 4 * c.n + p.kind, p.body FROM callback_3 c JOIN payload p"
    " ON p.id = c.id ORDER BY c.n;"
    "DROP TABLE payload; DROP TABLE callback;"
    "ALTER TABLE callback_3 RENAME TO callback; ALTER TABLE payload_3 RENAME TO payload;"
    "CREATE INDEX callback_due ON callback (due_ms) WHERE due_ms > 0;"
    "CREATE INDEX callback_judge ON callback (judge_ms) WHERE judge_ms > 0;"
    "CREATE INDEX callback_state ON callback (state, created_ms, id);"
    "CREATE INDEX callback_expires ON callback (expires_s);"
    "CREATE INDEX callback_beat ON callback (beat_ms) WHERE beat_ms > 0;"
    "CREATE INDEX callback_reported ON callback (reported_ms) WHERE state = 2;",
};

int sqlite_schema_fail(sqlite3 *db, const char *what, struct error *err)
{
    int code = sqlite3_extended_errcode(db);
    return error_set(err, ERR_IO, code, "%s: %s", what, sqlite3_errmsg(db));
}

static int execute(sqlite3 *db, const char *sql, struct error *err)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return 0;
    sqlite_schema_fail(db, "open the store", err);
    if ((rc & 0xff) == SQLITE_BUSY)
        return error_set(err, ERR_CONFLICT, rc, "another process has it open");
    return -1;
}

static int migrate(sqlite3 *db, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int version = -1;
    if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        version = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    if (version < 0)
        return sqlite_schema_fail(db, "read the schema's version", err);
    if (version > SCHEMA_VERSION)
        return error_set(err, ERR_CONFLICT, 0,
                         "its schema has version %d, this program knows up to %d", version,
                         SCHEMA_VERSION);
    for (; version < SCHEMA_VERSION; version++) {
        auto_free char *sql = mem_printf("BEGIN; %s; PRAGMA user_version = %d; COMMIT;",
                                         migrations[version], version + 1);
        if (execute(db, sql, err) < 0)
            return -1;
    }
    return 0;
}

/* Callback ids and payloads are in the file: it is its owner's alone. SQLite gives the log beside
 * it the same mode. */
static int make_file(const char *file, struct error *err)
{
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open it");
    close(fd);
    return 0;
}

sqlite3 *sqlite_schema_open(const char *file, struct error *err)
{
    sqlite3 *db = NULL;
    if (make_file(file, err) < 0)
        return NULL;
    if (sqlite3_open_v2(file, &db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                        NULL) != SQLITE_OK)
        sqlite_schema_fail(db, "open the store", err);
    /* The lock is taken by the first access, which is journal_mode. The log goes into the file
     * every 16 MiB; pages that change again meanwhile go there once. */
    else if (execute(db,
                     "PRAGMA busy_timeout = 2000; PRAGMA locking_mode = EXCLUSIVE;"
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                     "PRAGMA wal_autocheckpoint = 4096; PRAGMA cache_size = -16384;"
                     "PRAGMA secure_delete = ON; BEGIN IMMEDIATE; COMMIT;",
                     err) == 0 &&
             migrate(db, err) == 0)
        return db;
    sqlite3_close(db);
    return NULL;
}

#include "local/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/clock.h"

#define LOCK_WAIT_MS 1000

struct store {
    char *dir;
    int lock; /* DIR/local-aws.lock, locked while open */
    sqlite3 *db;
    sqlite3_stmt *begin, *commit;
    unsigned depth; /* of transactions */
    bool is_failed;
    struct error failure;
    store_failed_fn *on_failed;
    void *arg;
};

static int sql_error(struct store *s, const char *what, struct error *err)
{
    int code = sqlite3_errcode(s->db) & 0xff;
    bool damaged = code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
    auto_free char *hint = damaged ? mem_printf(": %s/local-aws.db is damaged: start with an empty "
                                                "folder",
                                                s->dir)
                                   : mem_dup("");
    return error_set(err, ERR_IO, sqlite3_extended_errcode(s->db), "%s: %s%s", what,
                     sqlite3_errmsg(s->db), hint);
}

static void fail(struct store *s, const char *what)
{
    if (s->is_failed)
        return;
    s->is_failed = true;
    sql_error(s, what, &s->failure);
    if (s->on_failed)
        s->on_failed(s->arg);
}

static int lock_dir(struct store *s, struct error *err)
{
    if (mkdir(s->dir, 0700) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "cannot make the folder %s", s->dir);
    auto_free char *path = mem_printf("%s/local-aws.lock", s->dir);
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock < 0)
        return error_set_errno(err, errno, "cannot open %s", path);
    /* One that was just killed may take a moment to let go. */
    const struct clock *clock = clock_system();
    int64_t until = clock_mono_ms(clock) + LOCK_WAIT_MS;
    while (flock(s->lock, LOCK_EX | LOCK_NB) < 0) {
        if (clock_mono_ms(clock) >= until)
            return error_set(err, ERR_CONFLICT, errno, "%s is in use by another local-aws", s->dir);
        clock_sleep_ms(clock, 10);
    }
    return 0;
}

static int open_db(struct store *s, struct error *err)
{
    auto_free char *path = mem_printf("%s/local-aws.db", s->dir);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK)
        return s->db ? sql_error(s, path, err) : error_set(err, ERR_IO, 0, "cannot open %s", path);
    sqlite3_extended_result_codes(s->db, 1);
    static const char setup[] =
        "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
        "PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=8000;"
        "PRAGMA cache_size=-16000; PRAGMA foreign_keys=OFF;"
        "CREATE TABLE IF NOT EXISTS schemas (module TEXT PRIMARY KEY, version INTEGER NOT NULL)"
        " WITHOUT ROWID;";
    if (sqlite3_exec(s->db, setup, NULL, NULL, NULL) != SQLITE_OK)
        return sql_error(s, path, err);
    s->begin = store_prepare(s, "BEGIN IMMEDIATE", err);
    s->commit = s->begin ? store_prepare(s, "COMMIT", err) : NULL;
    return s->commit ? 0 : -1;
}

struct store *store_open(const char *dir, struct error *err)
{
    struct store *s = mem_alloc(sizeof(*s));
    s->dir = mem_dup(dir);
    s->lock = -1;
    if (lock_dir(s, err) < 0 || open_db(s, err) < 0) {
        store_close(s);
        return NULL;
    }
    return s;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    sqlite3_stmt *st;
    while (s->db && (st = sqlite3_next_stmt(s->db, NULL)))
        sqlite3_finalize(st);
    sqlite3_close(s->db);
    mem_close_fd(&s->lock);
    free(s->dir);
    free(s);
}

const char *store_dir(const struct store *s)
{
    return s->dir;
}

sqlite3 *store_db(struct store *s)
{
    return s->db;
}

int store_schema(struct store *s, const char *module, int version, const char *sql,
                 struct error *err)
{
    sqlite3_stmt *st = store_prepare(s, "SELECT version FROM schemas WHERE module = ?1", err);
    if (!st)
        return -1;
    store_bind_text(st, 1, module);
    int found = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int(st, 0) : 0;
    sqlite3_finalize(st);
    if (found == version)
        return 0;
    if (found != 0)
        return error_set(err, ERR_INVALID, found,
                         "%s/local-aws.db has version %d of the %s tables, this program knows %d: "
                         "start with an empty folder",
                         s->dir, found, module, version);
    auto_free char *script = mem_printf("BEGIN; %s; INSERT INTO schemas VALUES ('%s', %d); COMMIT;",
                                        sql, module, version);
    if (sqlite3_exec(s->db, script, NULL, NULL, NULL) != SQLITE_OK)
        return sql_error(s, module, err);
    return 0;
}

sqlite3_stmt *store_prepare(struct store *s, const char *sql, struct error *err)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK) {
        sql_error(s, sql, err);
        return NULL;
    }
    return st;
}

void store_begin(struct store *s)
{
    if (s->depth++ == 0)
        store_exec(s, s->begin);
}

void store_commit(struct store *s)
{
    if (--s->depth == 0)
        store_exec(s, s->commit);
}

void store_bind_text(sqlite3_stmt *st, int at, const char *text)
{
    if (text)
        sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(st, at);
}

void store_bind_bytes(sqlite3_stmt *st, int at, const char *text, size_t len)
{
    if (text)
        sqlite3_bind_text64(st, at, text, len, SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite3_bind_null(st, at);
}

void store_bind_int(sqlite3_stmt *st, int at, int64_t v)
{
    sqlite3_bind_int64(st, at, v);
}

void store_exec(struct store *s, sqlite3_stmt *st)
{
    if (!s->is_failed && sqlite3_step(st) != SQLITE_DONE)
        fail(s, sqlite3_sql(st));
    store_reset(st);
}

bool store_step(struct store *s, sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        return true;
    if (rc != SQLITE_DONE)
        fail(s, sqlite3_sql(st));
    store_reset(st);
    return false;
}

void store_reset(sqlite3_stmt *st)
{
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
}

const char *store_text(sqlite3_stmt *st, int column)
{
    return (const char *)sqlite3_column_text(st, column);
}

const struct error *store_failed(const struct store *s)
{
    return s->is_failed ? &s->failure : NULL;
}

void store_on_failed(struct store *s, store_failed_fn *fn, void *arg)
{
    s->on_failed = fn;
    s->arg = arg;
}

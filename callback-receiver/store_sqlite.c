/* The store on SQLite: one file, write-ahead log, synchronous=FULL, so that a commit is on the disk
 * when it returns. The file is held exclusively: a second receiver on it fails at its start. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "callback-receiver/store.h"
#include "callback-receiver/store_record.h"
#include "shared/base/mem.h"

/* To change the schema: raise SCHEMA_VERSION, append the statements that lead from the version
 * before to `migrations`, never touch the ones that are there. */
#define SCHEMA_VERSION 2

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
};

enum statement {
    ST_BEGIN,
    ST_COMMIT,
    ST_ROLLBACK,
    ST_LOAD,
    ST_SAVE,
    ST_PAYLOAD_GET,
    ST_PAYLOAD_PUT,
    ST_PAYLOAD_DROP,
    ST_DUE,
    ST_NEXT_DUE,
    ST_SILENT,
    ST_BEATS,
    ST_GRACE,
    ST_RELEASE,
    ST_LIST,
    ST_COUNT,
    ST_OLDEST,
    ST_PROBE,
    ST_PURGE_PAYLOADS,
    ST_PURGE,
    STATEMENTS
};

/* %C is the list of columns, %P its places. */
#define PURGEABLE                                                                                  \
    "SELECT id FROM callback WHERE expires_s < ?1 AND state <> 2"                                  \
    " AND (state <> 5 OR ended_ms < ?2) ORDER BY expires_s, id LIMIT ?3"
static const char *const statements[STATEMENTS] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_LOAD] = "SELECT %C FROM callback WHERE id = ?1",
    [ST_SAVE] = "INSERT OR REPLACE INTO callback (%C) VALUES (%P)",
    [ST_PAYLOAD_GET] = "SELECT body FROM payload WHERE id = ?1 AND kind = ?2",
    [ST_PAYLOAD_PUT] = "INSERT OR REPLACE INTO payload (id, kind, body) VALUES (?1, ?2, ?3)",
    [ST_PAYLOAD_DROP] = "DELETE FROM payload WHERE id = ?1 AND kind = ?2",
    [ST_DUE] = "SELECT %C FROM callback WHERE due_ms > 0 AND due_ms <= ?1 ORDER BY due_ms LIMIT ?2",
    [ST_NEXT_DUE] = "SELECT min(due_ms) FROM callback WHERE due_ms > 0",
    [ST_SILENT] =
        "SELECT %C FROM callback WHERE judge_ms > 0 AND judge_ms <= ?1 ORDER BY judge_ms LIMIT ?2",
    [ST_BEATS] =
        "SELECT %C FROM callback WHERE beat_ms > 0 AND beat_ms <= ?1 ORDER BY beat_ms LIMIT ?2",
    [ST_GRACE] = "UPDATE callback SET judge_ms = max(judge_ms, ?1 + 1000 * CASE WHEN"
                 " first_heartbeat_ms > 0 THEN heartbeat_s ELSE min(heartbeat_s, start_timeout_s)"
                 " END) WHERE judge_ms > 0",
    [ST_RELEASE] = "UPDATE callback SET in_flight = 0, unanswered = 1, due_ms = ?1"
                   " WHERE due_ms > 0 AND in_flight = 1",
    [ST_LIST] = "SELECT %C FROM callback WHERE state = ?1 AND (created_ms, id) > (?3, ?4)"
                " ORDER BY created_ms, id LIMIT ?2",
    [ST_COUNT] = "SELECT state, count(*) FROM callback GROUP BY state",
    [ST_OLDEST] = "SELECT min(reported_ms) FROM callback WHERE state = 2",
    [ST_PROBE] = "INSERT OR REPLACE INTO probe (one, at_ms) VALUES (1, ?1)",
    [ST_PURGE_PAYLOADS] = "DELETE FROM payload WHERE id IN (" PURGEABLE ")",
    [ST_PURGE] = "DELETE FROM callback WHERE id IN (" PURGEABLE ")",
};
_Static_assert(CALLBACK_ACCEPTED == 2 && CALLBACK_DEAD == 5, "PURGEABLE names them by number");

struct store_sqlite {
    struct store base;
    sqlite3 *db;
    sqlite3_stmt *st[STATEMENTS];
};

static int fail(const struct store_sqlite *s, const char *what, struct error *err)
{
    int code = sqlite3_extended_errcode(s->db);
    return error_set(err, ERR_IO, code, "%s: %s", what, sqlite3_errmsg(s->db));
}

/* Steps a statement that gives no rows. */
static int done(struct store_sqlite *s, enum statement which, struct error *err)
{
    sqlite3_stmt *st = s->st[which];
    int rc = sqlite3_step(st);
    if (rc != SQLITE_DONE)
        fail(s, "store", err);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return rc == SQLITE_DONE ? 0 : -1;
}

static int load(struct store_sqlite *s, const char *id, struct callback *c, struct error *err)
{
    sqlite3_stmt *st = s->st[ST_LOAD];
    sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        store_record_read(st, c);
    else if (rc != SQLITE_DONE)
        fail(s, "read a callback", err);
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -1;
}

static int save(struct store_sqlite *s, const struct callback *c, struct error *err)
{
    if (store_record_bind(s->st[ST_SAVE], c) != SQLITE_OK)
        return fail(s, "write a callback", err);
    return done(s, ST_SAVE, err);
}

static int put_payload(struct store_sqlite *s, const char *id, enum store_payload kind,
                       const char *text, size_t len, struct error *err)
{
    sqlite3_stmt *st = s->st[ST_PAYLOAD_PUT];
    sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_int(st, 2, (int)kind);
    if (sqlite3_bind_blob64(st, 3, len ? text : "", len, SQLITE_STATIC) != SQLITE_OK)
        return fail(s, "write a payload", err);
    return done(s, ST_PAYLOAD_PUT, err);
}

static int drop_payload(struct store_sqlite *s, const char *id, enum store_payload kind,
                        struct error *err)
{
    sqlite3_bind_text(s->st[ST_PAYLOAD_DROP], 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_int(s->st[ST_PAYLOAD_DROP], 2, (int)kind);
    return done(s, ST_PAYLOAD_DROP, err);
}

static int get_payload(struct store_sqlite *s, const char *id, enum store_payload kind,
                       struct store_text *out, struct error *err)
{
    sqlite3_stmt *st = s->st[ST_PAYLOAD_GET];
    sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_int(st, 2, (int)kind);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        const void *p = sqlite3_column_blob(st, 0);
        out->len = (size_t)sqlite3_column_bytes(st, 0);
        out->text = mem_dup_len(p ? p : "", out->len);
    } else if (rc != SQLITE_DONE) {
        fail(s, "read a payload", err);
    }
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -1;
}

/* ---- operations on one callback ----------------------------------------------------------- */

static int run_register(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    op->verdict = callback_register(&op->record, &op->who, &op->registration, op->now_ms);
    if (op->verdict != CALLBACK_CREATED)
        return 0;
    if (save(s, &op->record, err) < 0)
        return -1;
    return put_payload(s, op->id, STORE_INPUT, op->payload.text, op->payload.len, err);
}

static int run_report(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    op->verdict = callback_report(&op->record, &op->who, &op->report, op->now_ms);
    if (save(s, &op->record, err) < 0)
        return -1;
    if (op->verdict != CALLBACK_TAKEN)
        return 0;
    return put_payload(s, op->id, STORE_BODY, op->payload.text, op->payload.len, err);
}

static int run_heartbeat(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    op->verdict = callback_heartbeat(&op->record, &op->who, op->now_ms);
    if (save(s, &op->record, err) < 0)
        return -1;
    if (op->verdict != CALLBACK_DONE || !op->payload.text)
        return 0;
    return put_payload(s, op->id, STORE_PROGRESS, op->payload.text, op->payload.len, err);
}

static int run_close(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    op->verdict = callback_close(&op->record, &op->who, op->text ? op->text : "", op->now_ms);
    if (save(s, &op->record, err) < 0)
        return -1;
    return drop_payload(s, op->id, STORE_INPUT, err);
}

static int run_read(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    bool changed = false;
    op->verdict = callback_read(&op->record, &op->who, op->now_ms, &changed);
    if (changed && save(s, &op->record, err) < 0)
        return -1;
    for (size_t i = 0; op->verdict == CALLBACK_DONE && i < STORE_PAYLOADS; i++)
        if (op->want & 1U << i &&
            get_payload(s, op->id, (enum store_payload)i, &op->out[i], err) < 0)
            return -1;
    return 0;
}

static int run_finish(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    if (op->record.state == CALLBACK_ABSENT) { /* purged meanwhile */
        op->verdict = CALLBACK_NONE;
        return 0;
    }
    op->verdict = callback_finish(&op->record, &op->attempt, op->now_ms);
    return save(s, &op->record, err);
}

static int run_unbeat(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    op->verdict = CALLBACK_DONE;
    return callback_unbeat(&op->record) ? save(s, &op->record, err) : 0;
}

static int run_redeliver(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    op->verdict = callback_redeliver(&op->record, op->now_ms);
    return op->verdict == CALLBACK_DONE ? save(s, &op->record, err) : 0;
}

/* ---- operations on many -------------------------------------------------------------------- */

/* Appends the rows of `which` (bound already) to the items. */
static int collect(struct store_sqlite *s, enum statement which, struct store_op *op,
                   struct error *err)
{
    sqlite3_stmt *st = s->st[which];
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        op->items = mem_resize(op->items, op->count + 1, sizeof(*op->items));
        struct store_item *item = &op->items[op->count++];
        item->body = (struct store_text){ 0 };
        item->at_ms = 0;
        store_record_read(st, &item->record);
    }
    if (rc != SQLITE_DONE)
        fail(s, "read callbacks", err);
    sqlite3_reset(st);
    return rc == SQLITE_DONE ? 0 : -1;
}

static int run_claim(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    sqlite3_bind_int64(s->st[ST_DUE], 1, op->now_ms);
    sqlite3_bind_int64(s->st[ST_DUE], 2, (int64_t)op->limit);
    if (collect(s, ST_DUE, op, err) < 0)
        return -1;
    for (size_t i = 0; i < op->count; i++) {
        struct store_item *item = &op->items[i];
        if (callback_claim(&item->record, op->now_ms, op->lease_ms) &&
            (save(s, &item->record, err) < 0 ||
             get_payload(s, item->record.id, STORE_BODY, &item->body, err) < 0))
            return -1;
    }
    sqlite3_stmt *st = s->st[ST_NEXT_DUE];
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        op->next_ms = sqlite3_column_int64(st, 0);
    else
        fail(s, "read what is due", err);
    sqlite3_reset(st);
    return rc == SQLITE_ROW ? 0 : -1;
}

static int run_beats(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    size_t i = op->count;
    sqlite3_bind_int64(s->st[ST_BEATS], 1, op->now_ms + op->ahead_ms);
    sqlite3_bind_int64(s->st[ST_BEATS], 2, STORE_BEATS);
    if (collect(s, ST_BEATS, op, err) < 0)
        return -1;
    for (; i < op->count; i++) {
        struct store_item *item = &op->items[i];
        if (callback_beat(&item->record, op->now_ms + op->ahead_ms, &item->at_ms) &&
            save(s, &item->record, err) < 0)
            return -1;
    }
    return 0;
}

static int run_judge(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    sqlite3_bind_int64(s->st[ST_SILENT], 1, op->now_ms);
    sqlite3_bind_int64(s->st[ST_SILENT], 2, (int64_t)op->limit);
    if (collect(s, ST_SILENT, op, err) < 0)
        return -1;
    for (size_t i = 0; i < op->count; i++) {
        struct callback *c = &op->items[i].record;
        auto_buf struct buf body = BUF_INIT(CALLBACK_JUDGED_MAX);
        if (callback_judge(c, op->now_ms, &body) == CALLBACK_TAKEN &&
            (save(s, c, err) < 0 ||
             put_payload(s, c->id, STORE_BODY, body.data, body.len, err) < 0))
            return -1;
    }
    return run_beats(s, op, err);
}

static int run_start(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    sqlite3_bind_int64(s->st[ST_GRACE], 1, op->now_ms);
    if (done(s, ST_GRACE, err) < 0)
        return -1;
    if (op->action == STORE_GRACE)
        return 0;
    sqlite3_bind_int64(s->st[ST_RELEASE], 1, op->now_ms);
    return done(s, ST_RELEASE, err);
}

static int run_list(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    for (int state = CALLBACK_STATES - 1; state > 0 && op->count < op->limit; state--) {
        const struct store_cursor *after = &op->after;
        bool here = after->state == (unsigned)state;
        if (!(op->states & 1U << state) || (after->state && (unsigned)state > after->state))
            continue;
        sqlite3_bind_int64(s->st[ST_LIST], 3, here ? after->created_ms : -1);
        sqlite3_bind_text(s->st[ST_LIST], 4, here ? after->id : "", -1, SQLITE_STATIC);
        sqlite3_bind_int(s->st[ST_LIST], 1, state);
        sqlite3_bind_int64(s->st[ST_LIST], 2, (int64_t)(op->limit - op->count));
        if (collect(s, ST_LIST, op, err) < 0)
            return -1;
        if (op->count > 0 && op->count == op->limit)
            store_cursor_at(&op->last, &op->items[op->count - 1].record, (unsigned)state);
    }
    return 0;
}

static int run_count(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    sqlite3_stmt *st = s->st[ST_COUNT];
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        int state = sqlite3_column_int(st, 0);
        if (state > 0 && state < CALLBACK_STATES)
            op->counts[state] = sqlite3_column_int64(st, 1);
    }
    if (rc != SQLITE_DONE)
        fail(s, "count callbacks", err);
    sqlite3_reset(st);
    if (rc != SQLITE_DONE)
        return -1;
    st = s->st[ST_OLDEST];
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        op->oldest_ms = sqlite3_column_int64(st, 0);
    else
        fail(s, "find the oldest report", err);
    sqlite3_reset(st);
    return rc == SQLITE_ROW ? 0 : -1;
}

static int run_probe(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    sqlite3_bind_int64(s->st[ST_PROBE], 1, op->now_ms);
    return done(s, ST_PROBE, err);
}

static int run_purge(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    static const enum statement both[] = { ST_PURGE_PAYLOADS, ST_PURGE };
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        sqlite3_stmt *st = s->st[both[i]];
        sqlite3_bind_int64(st, 1, op->now_ms / 1000 - STORE_KEEP_S);
        sqlite3_bind_int64(st, 2, op->now_ms - STORE_KEEP_DEAD_S * INT64_C(1000));
        sqlite3_bind_int64(st, 3, (int64_t)op->limit);
        if (done(s, both[i], err) < 0)
            return -1;
    }
    return 0;
}

typedef int run_fn(struct store_sqlite *s, struct store_op *op, struct error *err);

static const struct {
    run_fn *run;
    bool one; /* on the callback op->id: its record is loaded */
} actions[] = {
    [STORE_REGISTER] = { run_register, true },   [STORE_REPORT] = { run_report, true },
    [STORE_HEARTBEAT] = { run_heartbeat, true }, [STORE_CLOSE] = { run_close, true },
    [STORE_READ] = { run_read, true },           [STORE_CLAIM] = { run_claim, false },
    [STORE_FINISH] = { run_finish, true },       [STORE_REDELIVER] = { run_redeliver, true },
    [STORE_JUDGE] = { run_judge, false },        [STORE_GRACE] = { run_start, false },
    [STORE_START] = { run_start, false },        [STORE_LIST] = { run_list, false },
    [STORE_COUNT] = { run_count, false },        [STORE_PROBE] = { run_probe, false },
    [STORE_PURGE] = { run_purge, false },        [STORE_UNBEAT] = { run_unbeat, true },
};

static int run_all(struct store_sqlite *s, struct store_op *const *ops, size_t count,
                   struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        store_op_clear(ops[i]);
        if (actions[ops[i]->action].one && load(s, ops[i]->id, &ops[i]->record, err) < 0)
            return -1;
        if (actions[ops[i]->action].run(s, ops[i], err) < 0)
            return -1;
    }
    return done(s, ST_COMMIT, err);
}

static int sqlite_run(struct store *base, struct store_op *const *ops, size_t count,
                      struct error *err)
{
    struct store_sqlite *s = (struct store_sqlite *)base;
    if (done(s, ST_BEGIN, err) < 0)
        return -1;
    if (run_all(s, ops, count, err) == 0)
        return 0;
    /* A failed COMMIT may leave the transaction open or may have ended it. */
    struct error ignored;
    if (!sqlite3_get_autocommit(s->db))
        (void)done(s, ST_ROLLBACK, &ignored);
    return -1;
}

/* ---- open and close ------------------------------------------------------------------------ */

static void sqlite_close(struct store *base)
{
    struct store_sqlite *s = (struct store_sqlite *)base;
    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(s->st[i]);
    sqlite3_close(s->db);
    free(s);
}

static int execute(struct store_sqlite *s, const char *sql, struct error *err)
{
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return 0;
    fail(s, "open the store", err);
    if ((rc & 0xff) == SQLITE_BUSY)
        return error_set(err, ERR_CONFLICT, rc, "another process has it open");
    return -1;
}

static int migrate(struct store_sqlite *s, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int version = -1;
    if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        version = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    if (version < 0)
        return fail(s, "read the schema's version", err);
    if (version > SCHEMA_VERSION)
        return error_set(err, ERR_CONFLICT, 0,
                         "its schema has version %d, this program knows up to %d", version,
                         SCHEMA_VERSION);
    for (; version < SCHEMA_VERSION; version++) {
        auto_free char *sql = mem_printf("BEGIN; %s; PRAGMA user_version = %d; COMMIT;",
                                         migrations[version], version + 1);
        if (execute(s, sql, err) < 0)
            return -1;
    }
    return 0;
}

static int prepare(struct store_sqlite *s, struct error *err)
{
    auto_buf struct buf columns = BUF_INIT(4096);
    auto_buf struct buf places = BUF_INIT(4096);
    store_record_columns(&columns);
    store_record_places(&places);
    for (size_t i = 0; i < STATEMENTS; i++) {
        auto_buf struct buf sql = BUF_INIT(16384);
        for (const char *p = statements[i]; *p; p++) {
            bool list = p[0] == '%' && (p[1] == 'C' || p[1] == 'P');
            if (list)
                buf_add_str(&sql, buf_str(*++p == 'C' ? &columns : &places));
            else
                buf_add_char(&sql, *p);
        }
        if (sqlite3_prepare_v3(s->db, buf_str(&sql), -1, SQLITE_PREPARE_PERSISTENT, &s->st[i],
                               NULL) != SQLITE_OK)
            return fail(s, "open the store", err);
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

static const struct store_driver driver = { .run = sqlite_run, .close = sqlite_close };

struct store *store_sqlite_open(const char *file, struct error *err)
{
    struct store_sqlite *s = mem_alloc(sizeof(*s));
    s->base.driver = &driver;
    if (make_file(file, err) < 0)
        goto fail;
    if (sqlite3_open_v2(file, &s->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                        NULL) != SQLITE_OK) {
        fail(s, "open the store", err);
        goto fail;
    }
    /* The lock is taken by the first access, which is journal_mode. */
    if (execute(s,
                "PRAGMA busy_timeout = 2000; PRAGMA locking_mode = EXCLUSIVE;"
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                "PRAGMA secure_delete = ON; BEGIN IMMEDIATE; COMMIT;",
                err) < 0 ||
        migrate(s, err) < 0 || prepare(s, err) < 0)
        goto fail;
    return &s->base;
fail:
    error_wrap(err, "store %s", file);
    sqlite_close(&s->base);
    return NULL;
}

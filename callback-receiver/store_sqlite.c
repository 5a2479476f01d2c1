/* The store on SQLite: one file, write-ahead log, synchronous=FULL, so that a commit is on the disk
 * when it returns. The file is held exclusively: a second receiver on it fails at its start. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "callback-receiver/sqlite_rows.h"
#include "callback-receiver/sqlite_schema.h"
#include "callback-receiver/store.h"
#include "shared/base/mem.h"

enum statement {
    ST_BEGIN,
    ST_COMMIT,
    ST_ROLLBACK,
    ST_DUE,
    ST_NEXT_DUE,
    ST_SILENT,
    ST_BEATS,
    ST_GRACE,
    ST_RELEASE,
    ST_LIST,
    ST_OLDEST,
    ST_PROBE,
    ST_PURGE_COUNTS,
    ST_PURGE_PAYLOADS,
    ST_PURGE,
    STATEMENTS
};

/* %C is the list of columns. */
#define PURGEABLE                                                                                  \
    "SELECT n FROM callback WHERE expires_s < ?1 AND state <> 2"                                   \
    " AND (state <> 5 OR ended_ms < ?2) ORDER BY expires_s, n LIMIT ?3"
static const char *const statements[STATEMENTS] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
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
    [ST_OLDEST] = "SELECT min(reported_ms) FROM callback WHERE state = 2",
    [ST_PROBE] = "INSERT OR REPLACE INTO probe (one, at_ms) VALUES (1, ?1)",
    [ST_PURGE_COUNTS] =
        "SELECT state, count(*) FROM callback WHERE n IN (" PURGEABLE ") GROUP BY state",
    [ST_PURGE_PAYLOADS] = "WITH gone(n) AS (" PURGEABLE "), kind(k) AS (VALUES (0), (1), (2), (3))"
                          " DELETE FROM payload WHERE n IN (SELECT 4 * gone.n + k FROM gone, kind)",
    [ST_PURGE] = "DELETE FROM callback WHERE n IN (" PURGEABLE ")",
};
_Static_assert(CALLBACK_ACCEPTED == 2 && CALLBACK_DEAD == 5, "PURGEABLE names them by number");

struct store_sqlite {
    struct store base;
    sqlite3 *db;
    struct sqlite_rows *rows;
    sqlite3_stmt *st[STATEMENTS];
    struct sqlite_row row;   /* of the operation's callback */
    struct sqlite_row *many; /* of its items */
    size_t many_room;
};

static int fail(const struct store_sqlite *s, const char *what, struct error *err)
{
    return sqlite_schema_fail(s->db, what, err);
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

/* The operation's callback. */
static int save(struct store_sqlite *s, const struct callback *c, struct error *err)
{
    return sqlite_rows_save(s->rows, &s->row, c, err);
}

static int put(struct store_sqlite *s, const struct store_op *op, enum store_payload kind,
               struct error *err)
{
    return sqlite_rows_put(s->rows, s->row.n, kind, op->payload.text, op->payload.len, err);
}

/* ---- operations on one callback ----------------------------------------------------------- */

static int run_register(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    op->verdict = callback_register(&op->record, &op->who, &op->registration, op->now_ms);
    if (op->verdict != CALLBACK_CREATED)
        return 0;
    if (save(s, &op->record, err) < 0)
        return -1;
    return put(s, op, STORE_INPUT, err);
}

static int run_report(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    op->verdict = callback_report(&op->record, &op->who, &op->report, op->now_ms);
    if (save(s, &op->record, err) < 0)
        return -1;
    if (op->verdict != CALLBACK_TAKEN)
        return 0;
    return put(s, op, STORE_BODY, err);
}

static int run_heartbeat(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    op->verdict = callback_heartbeat(&op->record, &op->who, op->now_ms);
    if (save(s, &op->record, err) < 0)
        return -1;
    if (op->verdict != CALLBACK_DONE || !op->payload.text)
        return 0;
    return put(s, op, STORE_PROGRESS, err);
}

static int run_close(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    op->verdict = callback_close(&op->record, &op->who, op->text ? op->text : "", op->now_ms);
    if (save(s, &op->record, err) < 0)
        return -1;
    return sqlite_rows_drop(s->rows, s->row.n, STORE_INPUT, err);
}

static int run_read(struct store_sqlite *s, struct store_op *op, struct error *err)
{
    bool changed = false;
    op->verdict = callback_read(&op->record, &op->who, op->now_ms, &changed);
    if (changed && save(s, &op->record, err) < 0)
        return -1;
    for (size_t i = 0; op->verdict == CALLBACK_DONE && i < STORE_PAYLOADS; i++)
        if (op->want & 1U << i &&
            sqlite_rows_get(s->rows, s->row.n, (enum store_payload)i, &op->out[i], err) < 0)
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

/* Appends the rows of `which` (bound already) to the items; where they are to s->many. */
static int collect(struct store_sqlite *s, enum statement which, struct store_op *op,
                   struct error *err)
{
    sqlite3_stmt *st = s->st[which];
    int rc = 0, step;
    while (rc == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
        if (op->count == s->many_room) {
            s->many_room = s->many_room ? 2 * s->many_room : 16;
            s->many = mem_resize(s->many, s->many_room, sizeof(*s->many));
        }
        if ((op->count & (op->count - 1)) == 0) /* grows by doubling */
            op->items = mem_resize(op->items, op->count ? 2 * op->count : 1, sizeof(*op->items));
        struct store_item *item = &op->items[op->count];
        item->body = (struct store_text){ 0 };
        item->at_ms = 0;
        rc = sqlite_rows_read(st, &s->many[op->count++], &item->record, err);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = fail(s, "read callbacks", err);
    sqlite3_reset(st);
    return rc;
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
            (sqlite_rows_save(s->rows, &s->many[i], &item->record, err) < 0 ||
             sqlite_rows_get(s->rows, s->many[i].n, STORE_BODY, &item->body, err) < 0))
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
            sqlite_rows_save(s->rows, &s->many[i], &item->record, err) < 0)
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
            (sqlite_rows_save(s->rows, &s->many[i], c, err) < 0 ||
             sqlite_rows_put(s->rows, s->many[i].n, STORE_BODY, body.data, body.len, err) < 0))
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
    sqlite_rows_counts(s->rows, op->counts);
    sqlite3_stmt *st = s->st[ST_OLDEST];
    int rc = sqlite3_step(st);
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
    static const enum statement all[] = { ST_PURGE_COUNTS, ST_PURGE_PAYLOADS, ST_PURGE };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        sqlite3_stmt *st = s->st[all[i]];
        sqlite3_bind_int64(st, 1, op->now_ms / 1000 - STORE_KEEP_S);
        sqlite3_bind_int64(st, 2, op->now_ms - STORE_KEEP_DEAD_S * INT64_C(1000));
        sqlite3_bind_int64(st, 3, (int64_t)op->limit);
        if (all[i] != ST_PURGE_COUNTS) {
            if (done(s, all[i], err) < 0)
                return -1;
            continue;
        }
        int rc;
        while ((rc = sqlite3_step(st)) == SQLITE_ROW)
            sqlite_rows_gone(s->rows, (unsigned)sqlite3_column_int(st, 0),
                             sqlite3_column_int64(st, 1));
        if (rc != SQLITE_DONE)
            fail(s, "count callbacks", err);
        sqlite3_reset(st);
        if (rc != SQLITE_DONE)
            return -1;
    }
    op->more = op->limit > 0 && (size_t)sqlite3_changes(s->db) == op->limit; /* by ST_PURGE */
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
        if (actions[ops[i]->action].one &&
            sqlite_rows_load(s->rows, ops[i]->id, &s->row, &ops[i]->record, err) < 0)
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
    sqlite_rows_began(s->rows);
    int rc = run_all(s, ops, count, err);
    sqlite_rows_ended(s->rows, rc == 0);
    if (rc == 0)
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
    sqlite_rows_free(s->rows);
    sqlite3_close(s->db);
    free(s->many);
    free(s);
}

static int prepare(struct store_sqlite *s, struct error *err)
{
    auto_buf struct buf columns = BUF_INIT(4096);
    sqlite_rows_columns(&columns);
    for (size_t i = 0; i < STATEMENTS; i++) {
        auto_buf struct buf sql = BUF_INIT(16384);
        const char *list = strstr(statements[i], "%C");
        const char *rest = list ? list + 2 : statements[i];
        if (list) {
            buf_add(&sql, statements[i], (size_t)(list - statements[i]));
            buf_add_str(&sql, buf_str(&columns));
        }
        buf_add_str(&sql, rest);
        if (sqlite3_prepare_v3(s->db, buf_str(&sql), -1, SQLITE_PREPARE_PERSISTENT, &s->st[i],
                               NULL) != SQLITE_OK)
            return fail(s, "open the store", err);
    }
    return 0;
}

static const struct store_driver driver = { .run = sqlite_run, .close = sqlite_close };

struct store *store_sqlite_open(const char *file, struct error *err)
{
    struct store_sqlite *s = mem_alloc(sizeof(*s));
    s->base.driver = &driver;
    s->db = sqlite_schema_open(file, err);
    s->rows = s->db ? sqlite_rows_new(s->db, err) : NULL;
    if (s->rows && prepare(s, err) == 0)
        return &s->base;
    error_wrap(err, "store %s", file);
    sqlite_close(&s->base);
    return NULL;
}

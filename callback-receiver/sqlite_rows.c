#include "callback-receiver/sqlite_rows.h"

#include <stdlib.h>
#include <string.h>

#include "callback-receiver/columns.h"
#include "callback-receiver/sqlite_schema.h"
#include "shared/base/mem.h"

enum statement {
    ST_LOAD,
    ST_INSERT,
    ST_GET,
    ST_PUT,
    ST_DROP,
    STATEMENTS
};

/* Columns that an index has, by the bit that says that they change. */
enum change {
    CHANGE_STATE = 1 << 0, /* with reported_ms: it changes with the state alone */
    CHANGE_EXPIRES = 1 << 1,
    CHANGE_DUE = 1 << 2,
    CHANGE_JUDGE = 1 << 3,
    CHANGE_BEAT = 1 << 4,
    CHANGES = 1 << 5,
    CHANGE_ALWAYS = 1 << 7
};

static const struct {
    const char *name;
    uint8_t change; /* 0: never after the row was made */
} indexed[] = {
    { "id", 0 },
    { "callback_id", 0 },
    { "created_ms", 0 },
    { "state", CHANGE_STATE },
    { "reported_ms", CHANGE_STATE },
    { "expires_s", CHANGE_EXPIRES },
    { "due_ms", CHANGE_DUE },
    { "judge_ms", CHANGE_JUDGE },
    { "beat_ms", CHANGE_BEAT },
};

struct sqlite_rows {
    sqlite3 *db;
    sqlite3_stmt *st[STATEMENTS];
    sqlite3_stmt *update[CHANGES]; /* each made when it is first needed */
    uint8_t *when;                 /* of each column: the changes that it is written with */
    int64_t counts[CALLBACK_STATES];
    int64_t began[CALLBACK_STATES];
};

static int prepare(struct sqlite_rows *r, const char *sql, sqlite3_stmt **out, struct error *err)
{
    if (sqlite3_prepare_v3(r->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) == SQLITE_OK)
        return 0;
    return sqlite_schema_fail(r->db, "open the store", err);
}

/* Steps a statement that gives no rows. */
static int done(struct sqlite_rows *r, sqlite3_stmt *st, struct error *err)
{
    int rc = sqlite3_step(st);
    if (rc != SQLITE_DONE)
        sqlite_schema_fail(r->db, "store", err);
    sqlite3_reset(st);
    return rc == SQLITE_DONE ? 0 : -1;
}

static void add_columns(struct buf *out)
{
    size_t count;
    const struct column *columns = columns_all(&count);
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s%s", i ? "," : "", columns[i].name);
}

void sqlite_rows_columns(struct buf *out)
{
    buf_add_str(out, "n,");
    add_columns(out);
}

static uint8_t when_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(indexed); i++)
        if (strcmp(indexed[i].name, name) == 0)
            return indexed[i].change;
    return CHANGE_ALWAYS;
}

/* Does an update of `changes` write column i? */
static bool writes(const struct sqlite_rows *r, size_t i, unsigned changes)
{
    return (r->when[i] & (changes | CHANGE_ALWAYS)) != 0;
}

static int prepare_update(struct sqlite_rows *r, unsigned changes, struct error *err)
{
    size_t count;
    const struct column *columns = columns_all(&count);
    auto_buf struct buf sql = BUF_INIT(8192);
    buf_add_str(&sql, "UPDATE callback SET ");
    const char *comma = "";
    for (size_t i = 0; i < count; i++) {
        if (!writes(r, i, changes))
            continue;
        buf_printf(&sql, "%s%s=?%zu", comma, columns[i].name, i + 1);
        comma = ",";
    }
    buf_printf(&sql, " WHERE n=?%zu", count + 1);
    return prepare(r, buf_str(&sql), &r->update[changes], err);
}

static int prepare_all(struct sqlite_rows *r, struct error *err)
{
    size_t count;
    (void)columns_all(&count);
    auto_buf struct buf load = BUF_INIT(8192);
    auto_buf struct buf insert = BUF_INIT(8192);
    buf_add_str(&load, "SELECT ");
    sqlite_rows_columns(&load);
    buf_add_str(&load, " FROM callback WHERE id=?1");
    buf_add_str(&insert, "INSERT INTO callback (");
    add_columns(&insert);
    for (size_t i = 0; i < count; i++)
        buf_printf(&insert, "%s?%zu", i ? "," : ") VALUES (", i + 1);
    buf_add_str(&insert, ")");
    const char *const sql[STATEMENTS] = {
        [ST_LOAD] = buf_str(&load),
        [ST_INSERT] = buf_str(&insert),
        [ST_GET] = "SELECT body FROM payload WHERE n=?1",
        [ST_PUT] = "INSERT OR REPLACE INTO payload (n, body) VALUES (?1, ?2)",
        [ST_DROP] = "DELETE FROM payload WHERE n=?1",
    };
    for (size_t i = 0; i < STATEMENTS; i++)
        if (prepare(r, sql[i], &r->st[i], err) < 0)
            return -1;
    return 0;
}

static int count_all(struct sqlite_rows *r, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int rc;
    if (prepare(r, "SELECT state, count(*) FROM callback GROUP BY state", &st, err) < 0)
        return -1;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        int state = sqlite3_column_int(st, 0);
        if (state > 0 && state < CALLBACK_STATES)
            r->counts[state] = sqlite3_column_int64(st, 1);
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? 0 : sqlite_schema_fail(r->db, "count callbacks", err);
}

struct sqlite_rows *sqlite_rows_new(sqlite3 *db, struct error *err)
{
    struct sqlite_rows *r = mem_alloc(sizeof(*r));
    size_t count;
    const struct column *columns = columns_all(&count);
    r->db = db;
    r->when = mem_array(count, sizeof(*r->when));
    for (size_t i = 0; i < count; i++)
        r->when[i] = when_of(columns[i].name);
    if (prepare_all(r, err) == 0 && count_all(r, err) == 0)
        return r;
    sqlite_rows_free(r);
    return NULL;
}

void sqlite_rows_free(struct sqlite_rows *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(r->st[i]);
    for (size_t i = 0; i < CHANGES; i++)
        sqlite3_finalize(r->update[i]);
    free(r->when);
    free(r);
}

/* ---- records --------------------------------------------------------------------------------- */

static void note(struct sqlite_row *row, const struct callback *c)
{
    row->state = c->state;
    row->expires_s = c->expires_s;
    row->due_ms = c->due_ms;
    row->judge_ms = c->judge_ms;
    row->beat_ms = c->beat_ms;
}

int sqlite_rows_read(sqlite3_stmt *st, struct sqlite_row *row, struct callback *c,
                     struct error *err)
{
    size_t count;
    const struct column *columns = columns_all(&count);
    memset(c, 0, sizeof(*c));
    row->n = sqlite3_column_int64(st, 0);
    for (size_t i = 0; i < count; i++) {
        const struct column *col = &columns[i];
        int at = (int)i + 1;
        if (col->type != COLUMN_TEXT && col->type != COLUMN_HASH) {
            column_set(col, c, sqlite3_column_int64(st, at));
            continue;
        }
        const void *p = sqlite3_column_blob(st, at);
        if (p)
            column_set_bytes(col, c, p, (size_t)sqlite3_column_bytes(st, at));
    }
    note(row, c);
    return columns_sensible(c)
               ? 0
               : error_set(err, ERR_PROTOCOL, 0, "callback %s in the file makes no sense", c->id);
}

int sqlite_rows_load(struct sqlite_rows *r, const char *id, struct sqlite_row *row,
                     struct callback *c, struct error *err)
{
    sqlite3_stmt *st = r->st[ST_LOAD];
    *row = (struct sqlite_row){ 0 };
    sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
    int step = sqlite3_step(st), rc = 0;
    if (step == SQLITE_ROW)
        rc = sqlite_rows_read(st, row, c, err);
    else if (step != SQLITE_DONE)
        rc = sqlite_schema_fail(r->db, "read a callback", err);
    sqlite3_reset(st);
    return rc;
}

static int bind(sqlite3_stmt *st, int at, const struct column *col, const struct callback *c)
{
    if (col->type == COLUMN_TEXT)
        return sqlite3_bind_text(st, at, column_bytes(col, c), -1, SQLITE_STATIC);
    if (col->type == COLUMN_HASH)
        return sqlite3_bind_blob(st, at, column_bytes(col, c), (int)col->size, SQLITE_STATIC);
    return sqlite3_bind_int64(st, at, column_get(col, c));
}

static unsigned changes_of(const struct sqlite_row *row, const struct callback *c)
{
    unsigned changes = 0;
    if (row->state != c->state)
        changes |= CHANGE_STATE;
    if (row->expires_s != c->expires_s)
        changes |= CHANGE_EXPIRES;
    if (row->due_ms != c->due_ms)
        changes |= CHANGE_DUE;
    if (row->judge_ms != c->judge_ms)
        changes |= CHANGE_JUDGE;
    if (row->beat_ms != c->beat_ms)
        changes |= CHANGE_BEAT;
    return changes;
}

int sqlite_rows_save(struct sqlite_rows *r, struct sqlite_row *row, const struct callback *c,
                     struct error *err)
{
    size_t count;
    const struct column *columns = columns_all(&count);
    unsigned changes = changes_of(row, c);
    if (row->n && !r->update[changes] && prepare_update(r, changes, err) < 0)
        return -1;
    sqlite3_stmt *st = row->n ? r->update[changes] : r->st[ST_INSERT];
    int rc = SQLITE_OK;
    for (size_t i = 0; i < count && rc == SQLITE_OK; i++)
        if (!row->n || writes(r, i, changes))
            rc = bind(st, (int)i + 1, &columns[i], c);
    if (rc == SQLITE_OK && row->n)
        rc = sqlite3_bind_int64(st, (int)count + 1, row->n);
    if (rc != SQLITE_OK)
        return sqlite_schema_fail(r->db, "write a callback", err);
    if (done(r, st, err) < 0)
        return -1;
    if (row->n)
        r->counts[row->state]--;
    else
        row->n = sqlite3_last_insert_rowid(r->db);
    r->counts[c->state]++;
    note(row, c);
    return 0;
}

/* ---- payloads -------------------------------------------------------------------------------- */

static int64_t key(int64_t n, enum store_payload kind)
{
    _Static_assert(STORE_PAYLOADS <= 4, "the schema has room for four kinds");
    return 4 * n + (int64_t)kind;
}

int sqlite_rows_put(struct sqlite_rows *r, int64_t n, enum store_payload kind, const char *text,
                    size_t len, struct error *err)
{
    sqlite3_stmt *st = r->st[ST_PUT];
    sqlite3_bind_int64(st, 1, key(n, kind));
    if (sqlite3_bind_blob64(st, 2, len ? text : "", len, SQLITE_STATIC) != SQLITE_OK)
        return sqlite_schema_fail(r->db, "write a payload", err);
    int rc = done(r, st, err);
    sqlite3_clear_bindings(st);
    return rc;
}

int sqlite_rows_drop(struct sqlite_rows *r, int64_t n, enum store_payload kind, struct error *err)
{
    sqlite3_bind_int64(r->st[ST_DROP], 1, key(n, kind));
    return done(r, r->st[ST_DROP], err);
}

int sqlite_rows_get(struct sqlite_rows *r, int64_t n, enum store_payload kind,
                    struct store_text *out, struct error *err)
{
    sqlite3_stmt *st = r->st[ST_GET];
    sqlite3_bind_int64(st, 1, key(n, kind));
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        const void *p = sqlite3_column_blob(st, 0);
        out->len = (size_t)sqlite3_column_bytes(st, 0);
        out->text = mem_dup_len(p ? p : "", out->len);
    } else if (rc != SQLITE_DONE) {
        sqlite_schema_fail(r->db, "read a payload", err);
    }
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -1;
}

/* ---- counts ---------------------------------------------------------------------------------- */

void sqlite_rows_counts(const struct sqlite_rows *r, int64_t counts[CALLBACK_STATES])
{
    memcpy(counts, r->counts, sizeof(r->counts));
}

void sqlite_rows_gone(struct sqlite_rows *r, unsigned state, int64_t many)
{
    r->counts[state] -= many;
}

void sqlite_rows_began(struct sqlite_rows *r)
{
    memcpy(r->began, r->counts, sizeof(r->counts));
}

void sqlite_rows_ended(struct sqlite_rows *r, bool kept)
{
    if (!kept)
        memcpy(r->counts, r->began, sizeof(r->counts));
}

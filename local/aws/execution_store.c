#include "local/aws/execution_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_VERSION 2

static const char schema[] =
    "CREATE TABLE executions (row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL UNIQUE, arn TEXT NOT NULL, function TEXT NOT NULL, version TEXT NOT NULL,"
    " status INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL,"
    " timeout INTEGER NOT NULL, input TEXT, result TEXT, error TEXT, trace TEXT,"
    " lane INTEGER NOT NULL, retry_at INTEGER NOT NULL, failures INTEGER NOT NULL,"
    " invocations INTEGER NOT NULL, request_id TEXT, invoked INTEGER NOT NULL,"
    " keep_until INTEGER NOT NULL DEFAULT 0, tenant TEXT, parent TEXT,"
    " parent_operation INTEGER NOT NULL);"
    "CREATE INDEX executions_function ON executions (function, row);"
    "CREATE INDEX executions_running ON executions (row) WHERE status = 0;"
    "CREATE INDEX executions_kept ON executions (keep_until) WHERE status <> 0;"
    "CREATE TABLE operations (execution INTEGER NOT NULL, number INTEGER NOT NULL, id TEXT NOT "
    "NULL,"
    " name TEXT, sub_type TEXT, parent INTEGER NOT NULL, type INTEGER NOT NULL,"
    " status INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL,"
    " replay INTEGER NOT NULL, attempt INTEGER NOT NULL, due INTEGER NOT NULL,"
    " wait INTEGER NOT NULL, callback_id TEXT, timeout INTEGER NOT NULL,"
    " heartbeat INTEGER NOT NULL, timeout_at INTEGER NOT NULL, heartbeat_at INTEGER NOT NULL,"
    " result TEXT, error TEXT, PRIMARY KEY (execution, number)) WITHOUT ROWID;"
    "CREATE TABLE events (execution INTEGER NOT NULL, event_id INTEGER NOT NULL,"
    " body TEXT NOT NULL, PRIMARY KEY (execution, event_id)) WITHOUT ROWID;"
    /* Chained invokes of plain functions that have not ended. */
    "CREATE TABLE calls (execution INTEGER NOT NULL, number INTEGER NOT NULL,"
    " function TEXT NOT NULL, version TEXT NOT NULL, tenant TEXT, input TEXT NOT NULL,"
    " PRIMARY KEY (execution, number)) WITHOUT ROWID";

#define RECORD                                                                                     \
    "SELECT row, id, name, arn, function, version, status, started, ended, timeout, input,"        \
    " result, error, trace, lane, retry_at, failures, invocations, request_id, invoked,"           \
    " tenant, parent, parent_operation"                                                            \
    " FROM executions "

enum statement {
    INSERT,
    CLOSE,
    LANE,
    OPERATION,
    EVENT,
    FIND,
    FIND_NAME,
    RUNNING,
    OPERATIONS,
    LAST_EVENT,
    EVENTS,
    EVENTS_REVERSE,
    LIST,
    LIST_REVERSE,
    RECENT,
    COUNT,
    EXPIRED,
    DELETE,
    DELETE_OPERATIONS,
    DELETE_EVENTS,
    CALL,
    CALLS,
    DELETE_CALL,
    STATEMENTS
};

#define LIST_WHERE                                                                                 \
    "WHERE function = ?1 AND (?2 IS NULL OR version = ?2) AND (?3 IS NULL OR name = ?3)"           \
    " AND (?4 = 0 OR (?4 >> status) & 1) AND started >= ?5 AND started <= ?6 "

static const char *const sql[STATEMENTS] = {
    [INSERT] = "INSERT INTO executions (id, name, arn, function, version, status, started, ended,"
               " timeout, input, trace, lane, retry_at, failures, invocations, invoked,"
               " tenant, parent, parent_operation)"
               " VALUES (?1,?2,?3,?4,?5,0,?6,0,?7,?8,?9,?10,0,0,0,0,?11,?12,?13)",
    [CLOSE] = "UPDATE executions SET status = ?2, ended = ?3, result = ?4, error = ?5,"
              " keep_until = ?6 WHERE row = ?1",
    [LANE] = "UPDATE executions SET lane = ?2, retry_at = ?3, failures = ?4, invocations = ?5,"
             " request_id = ?6, invoked = ?7 WHERE row = ?1",
    [OPERATION] = "INSERT OR REPLACE INTO operations VALUES"
                  " (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21)",
    [EVENT] = "INSERT INTO events VALUES (?1, ?2, ?3)",
    [FIND] = RECORD "WHERE id = ?1",
    [FIND_NAME] = RECORD "WHERE name = ?1",
    [RUNNING] = RECORD "WHERE status = 0 ORDER BY row",
    [OPERATIONS] = "SELECT * FROM operations WHERE execution = ?1 ORDER BY number",
    [LAST_EVENT] = "SELECT max(event_id) FROM events WHERE execution = ?1",
    [EVENTS] = "SELECT event_id, body FROM events WHERE execution = ?1 AND event_id > ?2"
               " ORDER BY event_id LIMIT ?3",
    [EVENTS_REVERSE] = "SELECT event_id, body FROM events WHERE execution = ?1 AND event_id < ?2"
                       " ORDER BY event_id DESC LIMIT ?3",
    [LIST] = RECORD LIST_WHERE "AND row > ?7 ORDER BY row LIMIT ?8",
    [LIST_REVERSE] = RECORD LIST_WHERE "AND row < ?7 ORDER BY row DESC LIMIT ?8",
    [RECENT] = "SELECT row, id, name, arn, function, version, status, started, ended"
               " FROM executions WHERE (?1 IS NULL OR function = ?1) AND"
               " (?2 IS NULL OR id = ?2 OR substr(name, 1, length(?2)) = ?2) AND"
               " (?3 = 0 OR (?3 >> status) & 1) AND row < ?4"
               " AND row >= min(?4, (SELECT max(row) + 1 FROM executions)) - 50000"
               " ORDER BY row DESC LIMIT ?5",
    [COUNT] = "SELECT status, count(*) FROM executions GROUP BY status",
    [EXPIRED] =
        "SELECT row, status FROM executions WHERE status <> 0 AND keep_until < ?1 LIMIT 100",
    [DELETE] = "DELETE FROM executions WHERE row = ?1",
    [DELETE_OPERATIONS] = "DELETE FROM operations WHERE execution = ?1",
    [DELETE_EVENTS] = "DELETE FROM events WHERE execution = ?1",
    [CALL] = "INSERT INTO calls VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [CALLS] = "SELECT c.execution, e.id, c.number, c.function, c.version, c.tenant, c.input"
              " FROM calls c JOIN executions e ON e.row = c.execution"
              " ORDER BY c.execution, c.number",
    [DELETE_CALL] = "DELETE FROM calls WHERE execution = ?1 AND number = ?2",
};

struct execution_store {
    struct store *store;
    sqlite3_stmt *st[STATEMENTS];
    int64_t counts[EXECUTION_STATUSES];
};

struct execution_store *execution_store_new(struct store *store, struct error *err)
{
    if (store_schema(store, "lambda", SCHEMA_VERSION, schema, err) < 0)
        return NULL;
    struct execution_store *s = mem_alloc(sizeof(*s));
    s->store = store;
    for (size_t i = 0; i < STATEMENTS; i++)
        if (!(s->st[i] = store_prepare(store, sql[i], err))) {
            free(s);
            return NULL;
        }
    while (store_step(store, s->st[COUNT]))
        s->counts[sqlite3_column_int(s->st[COUNT], 0)] = sqlite3_column_int64(s->st[COUNT], 1);
    return s;
}

void execution_store_free(struct execution_store *s)
{
    free(s);
}

/* ---- writing --------------------------------------------------------------------------------- */

void execution_store_insert(struct execution_store *s, struct execution *e)
{
    sqlite3_stmt *st = s->st[INSERT];
    store_bind_text(st, 1, e->id);
    store_bind_text(st, 2, e->name);
    store_bind_text(st, 3, e->arn);
    store_bind_text(st, 4, e->function_name);
    store_bind_text(st, 5, e->version);
    store_bind_int(st, 6, e->start_ms);
    store_bind_int(st, 7, e->timeout_s);
    store_bind_bytes(st, 8, e->input, e->input_len);
    store_bind_text(st, 9, e->trace);
    store_bind_int(st, 10, e->lane);
    store_bind_text(st, 11, e->tenant);
    store_bind_text(st, 12, e->parent[0] ? e->parent : NULL);
    store_bind_int(st, 13, e->parent_operation);
    store_exec(s->store, st);
    e->row = sqlite3_last_insert_rowid(store_db(s->store));
    s->counts[EX_RUNNING]++;
}

void execution_store_close(struct execution_store *s, const struct execution *e,
                           int64_t keep_until_ms)
{
    sqlite3_stmt *st = s->st[CLOSE];
    store_bind_int(st, 1, e->row);
    store_bind_int(st, 2, e->status);
    store_bind_int(st, 3, e->end_ms);
    store_bind_bytes(st, 4, e->result, e->result_len);
    store_bind_text(st, 5, e->error);
    store_bind_int(st, 6, keep_until_ms);
    store_exec(s->store, st);
    s->counts[EX_RUNNING]--;
    s->counts[e->status]++;
}

void execution_store_lane(struct execution_store *s, const struct execution *e)
{
    sqlite3_stmt *st = s->st[LANE];
    store_bind_int(st, 1, e->row);
    store_bind_int(st, 2, e->lane);
    store_bind_int(st, 3, e->retry_at_ms);
    store_bind_int(st, 4, e->failures);
    store_bind_int(st, 5, (int64_t)e->invocations);
    store_bind_text(st, 6, e->request_id);
    store_bind_int(st, 7, e->invoked_ms);
    store_exec(s->store, st);
}

void execution_store_operation(struct execution_store *s, const struct execution *e,
                               const struct operation *op)
{
    sqlite3_stmt *st = s->st[OPERATION];
    store_bind_int(st, 1, e->row);
    store_bind_int(st, 2, op->number);
    store_bind_text(st, 3, op->id);
    store_bind_text(st, 4, op->name);
    store_bind_text(st, 5, op->sub_type);
    store_bind_int(st, 6, op->parent ? op->parent->number : 0);
    store_bind_int(st, 7, op->type);
    store_bind_int(st, 8, op->status);
    store_bind_int(st, 9, op->start_ms);
    store_bind_int(st, 10, op->end_ms);
    store_bind_int(st, 11, op->replay_children);
    store_bind_int(st, 12, op->attempt);
    store_bind_int(st, 13, op->due_ms);
    store_bind_int(st, 14, op->wait_s);
    store_bind_text(st, 15, op->callback_id);
    store_bind_int(st, 16, op->timeout_s);
    store_bind_int(st, 17, op->heartbeat_s);
    store_bind_int(st, 18, op->timeout_at_ms);
    store_bind_int(st, 19, op->heartbeat_at_ms);
    store_bind_bytes(st, 20, op->result, op->result_len);
    store_bind_text(st, 21, op->error);
    store_exec(s->store, st);
}

void execution_store_event(struct execution_store *s, const struct execution *e, int64_t event_id,
                           const char *body, size_t len)
{
    sqlite3_stmt *st = s->st[EVENT];
    store_bind_int(st, 1, e->row);
    store_bind_int(st, 2, event_id);
    store_bind_bytes(st, 3, body, len);
    store_exec(s->store, st);
}

void execution_store_call(struct execution_store *s, const struct execution *e, uint32_t number,
                          const struct stored_call *call)
{
    sqlite3_stmt *st = s->st[CALL];
    store_bind_int(st, 1, e->row);
    store_bind_int(st, 2, number);
    store_bind_text(st, 3, call->function);
    store_bind_text(st, 4, call->version);
    store_bind_text(st, 5, call->tenant);
    store_bind_bytes(st, 6, call->input, call->input_len);
    store_exec(s->store, st);
}

void execution_store_forget_call(struct execution_store *s, int64_t row, uint32_t number)
{
    sqlite3_stmt *st = s->st[DELETE_CALL];
    store_bind_int(st, 1, row);
    store_bind_int(st, 2, number);
    store_exec(s->store, st);
}

/* ---- reading --------------------------------------------------------------------------------- */

static char *column(sqlite3_stmt *st, int at, size_t *len)
{
    const char *text = store_text(st, at);
    size_t n = (size_t)sqlite3_column_bytes(st, at);
    if (len)
        *len = text ? n : 0;
    return text ? mem_dup_len(text, n) : NULL;
}

static void read_summary(struct execution *e, sqlite3_stmt *st)
{
    e->row = sqlite3_column_int64(st, 0);
    snprintf(e->id, sizeof(e->id), "%s", store_text(st, 1));
    e->name = column(st, 2, NULL);
    e->arn = column(st, 3, NULL);
    e->function_name = column(st, 4, NULL);
    e->version = column(st, 5, NULL);
    e->status = (enum execution_status)sqlite3_column_int(st, 6);
    e->start_ms = sqlite3_column_int64(st, 7);
    e->end_ms = sqlite3_column_int64(st, 8);
}

static struct execution *read_record(sqlite3_stmt *st)
{
    struct execution *e = execution_new();
    read_summary(e, st);
    e->timeout_s = sqlite3_column_int64(st, 9);
    e->timeout_at_ms = e->start_ms + e->timeout_s * 1000;
    e->input = column(st, 10, &e->input_len);
    e->result = column(st, 11, &e->result_len);
    e->error = column(st, 12, NULL);
    e->trace = column(st, 13, NULL);
    e->lane = (enum lane_state)sqlite3_column_int(st, 14);
    e->retry_at_ms = sqlite3_column_int64(st, 15);
    e->failures = (unsigned)sqlite3_column_int(st, 16);
    e->invocations = (uint64_t)sqlite3_column_int64(st, 17);
    if (store_text(st, 18))
        snprintf(e->request_id, sizeof(e->request_id), "%s", store_text(st, 18));
    e->invoked_ms = sqlite3_column_int64(st, 19);
    e->tenant = column(st, 20, NULL);
    if (store_text(st, 21))
        snprintf(e->parent, sizeof(e->parent), "%s", store_text(st, 21));
    e->parent_operation = (uint32_t)sqlite3_column_int64(st, 22);
    return e;
}

static struct execution *find(struct execution_store *s, enum statement which, const char *key)
{
    sqlite3_stmt *st = s->st[which];
    store_bind_text(st, 1, key);
    struct execution *e = store_step(s->store, st) ? read_record(st) : NULL;
    store_reset(st);
    return e;
}

struct execution *execution_store_find(struct execution_store *s, const char *id)
{
    return find(s, FIND, id);
}

struct execution *execution_store_find_name(struct execution_store *s, const char *name)
{
    return find(s, FIND_NAME, name);
}

static void read_operation(struct execution *e, sqlite3_stmt *st)
{
    struct operation *op =
        execution_add(e, store_text(st, 2), (enum operation_type)sqlite3_column_int(st, 6));
    op->name = column(st, 3, NULL);
    op->sub_type = column(st, 4, NULL);
    op->parent = execution_operation(e, (uint32_t)sqlite3_column_int(st, 5));
    op->status = (enum operation_status)sqlite3_column_int(st, 7);
    op->start_ms = sqlite3_column_int64(st, 8);
    op->end_ms = sqlite3_column_int64(st, 9);
    op->replay_children = sqlite3_column_int(st, 10) != 0;
    op->attempt = sqlite3_column_int64(st, 11);
    op->due_ms = sqlite3_column_int64(st, 12);
    op->wait_s = sqlite3_column_int64(st, 13);
    op->callback_id = column(st, 14, NULL);
    op->timeout_s = sqlite3_column_int64(st, 15);
    op->heartbeat_s = sqlite3_column_int64(st, 16);
    op->timeout_at_ms = sqlite3_column_int64(st, 17);
    op->heartbeat_at_ms = sqlite3_column_int64(st, 18);
    op->result = column(st, 19, &op->result_len);
    op->error = column(st, 20, NULL);
    execution_changed(e, op);
    e->written += op->result_len + (op->error ? strlen(op->error) : 0);
    /* Each attempt but the first is a metered operation of its own. */
    int64_t again = op->attempt - (operation_is_closed(op) ? 1 : 0);
    e->metered += 1 + (op->type == OP_STEP && again > 0 ? (size_t)again : 0);
}

void execution_store_each_running(struct execution_store *s, execution_visit_fn *visit, void *arg)
{
    sqlite3_stmt *st = s->st[RUNNING];
    while (store_step(s->store, st)) {
        struct execution *e = read_record(st);
        sqlite3_stmt *ops = s->st[OPERATIONS], *last = s->st[LAST_EVENT];
        store_bind_int(ops, 1, e->row);
        while (store_step(s->store, ops))
            read_operation(e, ops);
        store_bind_int(last, 1, e->row);
        if (store_step(s->store, last))
            e->events = sqlite3_column_int64(last, 0);
        store_reset(last);
        e->metered++; /* the execution itself */
        execution_seen(e);
        visit(e, arg);
    }
}

void execution_store_each_call(struct execution_store *s, call_visit_fn *visit, void *arg)
{
    sqlite3_stmt *st = s->st[CALLS];
    while (store_step(s->store, st)) {
        const struct stored_call call = { .function = store_text(st, 3),
                                          .version = store_text(st, 4),
                                          .tenant = store_text(st, 5),
                                          .input = store_text(st, 6),
                                          .input_len = (size_t)sqlite3_column_bytes(st, 6) };
        visit(arg, sqlite3_column_int64(st, 0), store_text(st, 1),
              (uint32_t)sqlite3_column_int64(st, 2), &call);
    }
}

void execution_store_events(struct execution_store *s, int64_t row, int64_t from, bool reverse,
                            int64_t limit, event_visit_fn *visit, void *arg)
{
    sqlite3_stmt *st = s->st[reverse ? EVENTS_REVERSE : EVENTS];
    store_bind_int(st, 1, row);
    store_bind_int(st, 2, from);
    store_bind_int(st, 3, limit);
    while (store_step(s->store, st))
        if (!visit(arg, sqlite3_column_int64(st, 0), store_text(st, 1),
                   (size_t)sqlite3_column_bytes(st, 1)))
            break;
    store_reset(st);
}

void execution_store_list(struct execution_store *s, const struct execution_filter *f,
                          execution_visit_fn *visit, void *arg)
{
    sqlite3_stmt *st = s->st[f->reverse ? LIST_REVERSE : LIST];
    store_bind_text(st, 1, f->function);
    store_bind_text(st, 2, f->version);
    store_bind_text(st, 3, f->name);
    store_bind_int(st, 4, f->statuses);
    store_bind_int(st, 5, f->after_ms);
    store_bind_int(st, 6, f->before_ms ? f->before_ms : INT64_MAX);
    store_bind_int(st, 7, f->from || !f->reverse ? f->from : INT64_MAX);
    store_bind_int(st, 8, f->limit);
    while (store_step(s->store, st))
        visit(read_record(st), arg);
}

void execution_store_recent(struct execution_store *s, const struct execution_filter *f,
                            execution_visit_fn *visit, void *arg)
{
    sqlite3_stmt *st = s->st[RECENT];
    store_bind_text(st, 1, f->function);
    store_bind_text(st, 2, f->name);
    store_bind_int(st, 3, f->statuses);
    store_bind_int(st, 4, f->from ? f->from : INT64_MAX);
    store_bind_int(st, 5, f->limit);
    while (store_step(s->store, st)) {
        struct execution *e = execution_new();
        read_summary(e, st);
        visit(e, arg);
    }
}

const int64_t *execution_store_counts(const struct execution_store *s)
{
    return s->counts;
}

bool execution_store_purge(struct execution_store *s, int64_t now_ms)
{
    static const enum statement tables[] = { DELETE_EVENTS, DELETE_OPERATIONS, DELETE };
    int64_t rows[100];
    size_t n = 0;
    store_bind_int(s->st[EXPIRED], 1, now_ms);
    while (n < ARRAY_LEN(rows) && store_step(s->store, s->st[EXPIRED])) {
        rows[n++] = sqlite3_column_int64(s->st[EXPIRED], 0);
        s->counts[sqlite3_column_int(s->st[EXPIRED], 1)]--;
    }
    store_reset(s->st[EXPIRED]);
    if (n == 0)
        return false;
    store_begin(s->store);
    for (size_t i = 0; i < n; i++)
        for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
            store_bind_int(s->st[tables[t]], 1, rows[i]);
            store_exec(s->store, s->st[tables[t]]);
        }
    store_commit(s->store);
    return n == ARRAY_LEN(rows);
}

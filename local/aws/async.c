#include "local/aws/async.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local/aws/async_record.h"
#include "local/aws/start.h"
#include "local/service_time.h"

#define FIRST_MS  60000 /* before the second try; twice that before the third */
#define CALLS_MAX 50000

static const char SCHEMA[] =
    "CREATE TABLE async(id INTEGER PRIMARY KEY, function TEXT NOT NULL, version TEXT NOT NULL,"
    " request_id TEXT NOT NULL, payload TEXT NOT NULL, trace TEXT NOT NULL, tenant TEXT,"
    " begun_ms INTEGER NOT NULL, tries INTEGER NOT NULL, due_ms INTEGER NOT NULL)";

enum statement {
    ADD,
    PAYLOAD,
    AGAIN,
    DROP,
    ALL,
    STATEMENTS
};

static const char *const sql[STATEMENTS] = {
    [ADD] = "INSERT INTO async(function, version, request_id, payload, trace, tenant, begun_ms,"
            " tries, due_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?7)",
    [PAYLOAD] = "SELECT payload FROM async WHERE id = ?1",
    [AGAIN] = "UPDATE async SET tries = ?2, due_ms = ?3 WHERE id = ?1",
    [DROP] = "DELETE FROM async WHERE id = ?1",
    [ALL] = "SELECT id, function, version, request_id, trace, tenant, begun_ms, tries, due_ms"
            " FROM async ORDER BY id DESC", /* each goes before the last */
};

/* One that has not ended; its payload is in the store only. */
struct async_call {
    struct async *async;
    int64_t id;
    char *function, *version, *trace, *tenant;
    char request_id[RANDOM_UUID];
    int64_t begun_ms, due_ms;
    unsigned tries;           /* that have ended */
    struct loop_timer *timer; /* NULL: it waits for an environment, or runs */
    struct async_call *prev, *next;
};

struct async {
    struct lambda *lambda;
    const struct local *local;
    struct async_call *first;
    size_t count;
    sqlite3_stmt *st[STATEMENTS];
};

static struct async_call *call_new(struct async *a, const struct async_request *req)
{
    struct async_call *c = mem_alloc(sizeof(*c));
    c->async = a;
    c->function = mem_dup(req->function);
    c->version = mem_dup(req->version);
    c->trace = req->trace ? mem_dup(req->trace) : start_new_trace(lambda_now_ms(a->lambda));
    c->tenant = mem_dup(req->tenant);
    snprintf(c->request_id, sizeof(c->request_id), "%s", req->request_id);
    c->next = a->first;
    if (c->next)
        c->next->prev = c;
    a->first = c;
    a->count++;
    return c;
}

static void call_free(struct async_call *c)
{
    struct async *a = c->async;
    if (c->prev)
        c->prev->next = c->next;
    else
        a->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    a->count--;
    loop_cancel(a->local->loop, c->timer);
    free(c->function);
    free(c->version);
    free(c->trace);
    free(c->tenant);
    free(c);
}

/* Out of the store and forgotten. */
static void drop(struct async_call *c)
{
    struct async *a = c->async;
    store_bind_int(a->st[DROP], 1, c->id);
    store_exec(a->local->store, a->st[DROP]);
    call_free(c);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static void add_call(struct async *a, const struct async_request *req);

/* Tells the function that "onFailure" names. */
static void tell(struct async_call *c, const char *condition, const struct invocation_outcome *o)
{
    struct async *a = c->async;
    const struct config_function *f = config_function(a->local->config, c->function);
    auto_buf struct buf text = BUF_INIT(ASYNC_RECORD_MAX);
    char id[RANDOM_UUID];
    if (!f->async.on_failure)
        return;
    struct async_record record = { .config = a->local->config,
                                   .function = c->function,
                                   .version = c->version,
                                   .request_id = c->request_id,
                                   .condition = condition,
                                   .tries = c->tries,
                                   .now_ms = lambda_now_ms(a->lambda),
                                   .response = o ? o->body : NULL,
                                   .response_len = o ? o->len : 0 };
    store_bind_int(a->st[PAYLOAD], 1, c->id);
    if (!store_step(a->local->store, a->st[PAYLOAD]))
        return; /* the store has failed: the program ends */
    record.payload = store_text(a->st[PAYLOAD], 0);
    async_record_write(&text, &record);
    store_reset(a->st[PAYLOAD]);
    random_uuid(id);
    const struct async_request req = { .function = f->async.on_failure,
                                       .version = "$LATEST",
                                       .request_id = id,
                                       .payload = buf_str(&text),
                                       .len = text.len,
                                       .trace = c->trace,
                                       .tenant = c->tenant };
    add_call(a, &req);
}

/* `o` is the last try's end; NULL: there was none. */
static void give_up(struct async_call *c, const char *condition, const struct invocation_outcome *o)
{
    struct async *a = c->async;
    log_warn(a->local->log, log_event("async_given_up"), log_str("function", c->function),
             log_str("requestId", c->request_id), log_str("why", condition),
             log_int("tries", c->tries));
    store_begin(a->local->store);
    tell(c, condition, o);
    drop(c);
    store_commit(a->local->store);
}

static bool is_too_old(const struct async_call *c, int64_t at_ms)
{
    const struct config_function *f = config_function(c->async->local->config, c->function);
    return at_ms - c->begun_ms > f->async.max_age_s * 1000;
}

/* ---- tries ------------------------------------------------------------------------------------
 */

static void set_timer(struct async_call *c);

static bool on_begin(void *arg, const char *request_id, int64_t now_ms, struct buf *event)
{
    (void)request_id;
    struct async_call *c = arg;
    struct async *a = c->async;
    if (is_too_old(c, now_ms)) {
        give_up(c, ASYNC_TOO_OLD, NULL);
        return false;
    }
    store_bind_int(a->st[PAYLOAD], 1, c->id);
    if (!store_step(a->local->store, a->st[PAYLOAD]))
        return false; /* the store has failed: the program ends */
    buf_add(event, store_text(a->st[PAYLOAD], 0), (size_t)sqlite3_column_bytes(a->st[PAYLOAD], 0));
    store_reset(a->st[PAYLOAD]);
    return true;
}

static void on_done(void *arg, const struct invocation_outcome *o)
{
    struct async_call *c = arg;
    struct async *a = c->async;
    c->tries++;
    if (o->end != INVOCATION_ERROR) {
        drop(c);
        return;
    }
    const struct config_function *f = config_function(a->local->config, c->function);
    int64_t delay_ms = FIRST_MS * (int64_t)c->tries;
    c->due_ms = lambda_now_ms(a->lambda) + delay_ms;
    if (c->tries > f->async.max_retries) {
        give_up(c, ASYNC_NO_MORE_TRIES, o);
        return;
    }
    if (is_too_old(c, c->due_ms)) {
        give_up(c, ASYNC_TOO_OLD, o);
        return;
    }
    log_warn(a->local->log, log_event("async_failed"), log_str("function", c->function),
             log_str("requestId", c->request_id), log_int("tries", c->tries),
             log_int("retryInMs", delay_ms));
    store_bind_int(a->st[AGAIN], 1, c->id);
    store_bind_int(a->st[AGAIN], 2, c->tries);
    store_bind_int(a->st[AGAIN], 3, c->due_ms);
    store_exec(a->local->store, a->st[AGAIN]);
    set_timer(c);
}

static void queue(struct async_call *c)
{
    const struct invocation_handler handler = { .begin = on_begin, .done = on_done, .arg = c };
    const struct invocation_context context = {
        .version = c->version, .request_id = c->request_id, .trace = c->trace, .tenant = c->tenant
    };
    (void)function_invoke(map_get(&c->async->lambda->by_name, c->function), &context, &handler);
}

static void on_due(void *arg)
{
    struct async_call *c = arg;
    c->timer = NULL;
    if (lambda_now_ms(c->async->lambda) < c->due_ms)
        set_timer(c);
    else
        queue(c);
}

static void set_timer(struct async_call *c)
{
    const struct local *local = c->async->local;
    int64_t left_ms = c->due_ms - lambda_now_ms(c->async->lambda);
    loop_cancel(local->loop, c->timer);
    c->timer = loop_after(local->loop, left_ms > 0 ? service_time_real_ms(local->time, left_ms) : 0,
                          on_due, c);
}

/* ---- what comes in ----------------------------------------------------------------------------
 */

static void add_call(struct async *a, const struct async_request *req)
{
    struct async_call *c = call_new(a, req);
    sqlite3_stmt *add = a->st[ADD];
    c->begun_ms = c->due_ms = lambda_now_ms(a->lambda);
    store_bind_text(add, 1, c->function);
    store_bind_text(add, 2, c->version);
    store_bind_text(add, 3, c->request_id);
    store_bind_bytes(add, 4, req->payload, req->len);
    store_bind_text(add, 5, c->trace);
    store_bind_text(add, 6, c->tenant);
    store_bind_int(add, 7, c->begun_ms);
    store_exec(a->local->store, add);
    c->id = sqlite3_last_insert_rowid(store_db(a->local->store));
    queue(c);
}

bool async_invoke(struct async *a, const struct async_request *req)
{
    if (a->count >= CALLS_MAX)
        return false;
    add_call(a, req);
    return true;
}

void async_time_changed(struct async *a)
{
    for (struct async_call *c = a->first; c; c = c->next)
        if (c->timer)
            set_timer(c);
}

/* ---- life -------------------------------------------------------------------------------------
 */

struct async *async_new(struct lambda *l, struct error *err)
{
    struct store *s = l->local->store;
    struct async *a = mem_alloc(sizeof(*a));
    a->lambda = l;
    a->local = l->local;
    int rc = store_schema(s, "async", 1, SCHEMA, err);
    for (size_t i = 0; i < STATEMENTS && rc == 0; i++)
        rc = (a->st[i] = store_prepare(s, sql[i], err)) ? 0 : -1;
    if (rc == 0)
        return a;
    free(a);
    return NULL;
}

static void load_one(struct async *a)
{
    sqlite3_stmt *all = a->st[ALL];
    const struct async_request req = { .function = store_text(all, 1),
                                       .version = store_text(all, 2),
                                       .request_id = store_text(all, 3),
                                       .trace = store_text(all, 4),
                                       .tenant = store_text(all, 5) };
    struct async_call *c = call_new(a, &req);
    c->id = sqlite3_column_int64(all, 0);
    c->begun_ms = sqlite3_column_int64(all, 6);
    c->tries = (unsigned)sqlite3_column_int64(all, 7);
    c->due_ms = sqlite3_column_int64(all, 8);
}

void async_resume(struct async *a)
{
    while (store_step(a->local->store, a->st[ALL]))
        load_one(a);
    if (a->count > 0)
        log_info(a->local->log, log_event("async_resumed"), log_int("count", (int64_t)a->count));
    struct async_call *next;
    for (struct async_call *c = a->first; c; c = next) {
        const struct config_function *f = config_function(a->local->config, c->function);
        next = c->next;
        if (f && !f->durable) {
            set_timer(c);
            continue;
        }
        log_warn(a->local->log, log_event("async_without_function"),
                 log_str("function", c->function), log_str("requestId", c->request_id));
        drop(c);
    }
}

void async_free(struct async *a)
{
    if (!a)
        return;
    while (a->first)
        /* call_free() moves the head on. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        call_free(a->first);
    free(a);
}

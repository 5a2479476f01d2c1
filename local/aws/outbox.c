#include "local/aws/outbox.h"

#include <stdlib.h>
#include <string.h>

#include "local/aws/bridge.h"
#include "local/aws/lambda.h"
#include "local/faults.h"

#define TRIES_MAX   5    /* as the queue of template.yaml has it */
#define RETRY_MS    1000 /* before the second try, twice that before the third, ... */
#define FULL_MS     1000 /* where too much waits for the function already */
#define SENDING_MAX 32   /* at the same time; the function's concurrency limits it further */
#define EVENTS_MAX  50000

static const char SCHEMA[] =
    "CREATE TABLE outbox(id INTEGER PRIMARY KEY, body TEXT NOT NULL, tries INTEGER NOT NULL,"
    " due_ms INTEGER NOT NULL)";

/* One event that is not taken yet; its text is in the store only. */
struct entry {
    struct outbox *outbox;
    int64_t id;
    int64_t tries;
    int64_t due_ms;
    bool sending;
    struct entry *prev, *next;
};

struct outbox {
    const struct local *local;
    struct entry *first, *last;
    size_t count, sending;
    struct loop_timer *timer;
    int64_t timer_ms; /* when it is due */
    bool stopped;
    sqlite3_stmt *add, *get, *again, *drop;
};

static int64_t now(const struct outbox *o)
{
    return clock_wall_ms(o->local->clock);
}

static void send_due(void *arg);

static void wake_at(struct outbox *o, int64_t due_ms)
{
    if (o->stopped || (o->timer && o->timer_ms <= due_ms))
        return;
    int64_t wait_ms = due_ms - now(o);
    loop_cancel(o->local->loop, o->timer);
    o->timer_ms = due_ms;
    o->timer = loop_after(o->local->loop, wait_ms > 0 ? wait_ms : 0, send_due, o);
}

static struct entry *append(struct outbox *o, int64_t id, int64_t tries, int64_t due_ms)
{
    struct entry *e = mem_alloc(sizeof(*e));
    e->outbox = o;
    e->id = id;
    e->tries = tries;
    e->due_ms = due_ms;
    e->prev = o->last;
    if (o->last)
        o->last->next = e;
    else
        o->first = e;
    o->last = e;
    o->count++;
    return e;
}

static void forget(struct entry *e)
{
    struct outbox *o = e->outbox;
    if (e->prev)
        e->prev->next = e->next;
    else
        o->first = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else
        o->last = e->prev;
    o->count--;
    free(e);
}

/* ---- sending ----------------------------------------------------------------------------------*/

static void drop(struct entry *e)
{
    struct outbox *o = e->outbox;
    store_bind_int(o->drop, 1, e->id);
    store_exec(o->local->store, o->drop);
    forget(e);
}

static void try_again(struct entry *e)
{
    struct outbox *o = e->outbox;
    e->due_ms = now(o) + (RETRY_MS << e->tries);
    e->tries++;
    if (e->tries >= TRIES_MAX) {
        log_warn(o->local->log, log_event("event_given_up"),
                 log_str("function", o->local->config->events.function), log_int("id", e->id));
        drop(e);
        return;
    }
    store_bind_int(o->again, 1, e->id);
    store_bind_int(o->again, 2, e->tries);
    store_bind_int(o->again, 3, e->due_ms);
    store_exec(o->local->store, o->again);
}

static void on_done(void *arg, const struct lambda_outcome *outcome)
{
    struct entry *e = arg;
    struct outbox *o = e->outbox;
    e->sending = false;
    o->sending--;
    if (o->stopped)
        return; /* it was not tried: the next local-aws does */
    if (outcome->failed)
        try_again(e);
    else
        drop(e);
    wake_at(o, now(o));
}

static void send(struct outbox *o, struct entry *e)
{
    struct error err = { 0 };
    store_bind_int(o->get, 1, e->id);
    if (!store_step(o->local->store, o->get))
        return; /* the store has failed: the program ends */
    const char *body = store_text(o->get, 0);
    e->sending = true;
    const struct lambda_request req = { .function = o->local->config->events.function,
                                        .payload = body,
                                        .len = strlen(body) };
    if (lambda_call(o->local->lambda, &req, on_done, e, &err) < 0) {
        e->sending = false;
        e->due_ms = now(o) + FULL_MS;
    } else {
        o->sending++;
    }
    store_reset(o->get);
}

static void send_due(void *arg)
{
    struct outbox *o = arg;
    int64_t at = now(o), next_ms = INT64_MAX;
    o->timer = NULL;
    for (struct entry *e = o->first; e && o->sending < SENDING_MAX; e = e->next) {
        if (!e->sending && e->due_ms <= at)
            send(o, e);
        if (!e->sending && e->due_ms < next_ms)
            next_ms = e->due_ms;
    }
    /* Where all places are taken, the next end of an invocation looks again. */
    if (next_ms != INT64_MAX && o->sending < SENDING_MAX)
        wake_at(o, next_ms);
}

/* ---- what comes in ----------------------------------------------------------------------------*/

static void store_event(struct outbox *o, const char *body, int64_t due_ms)
{
    if (o->count >= EVENTS_MAX) {
        log_warn(o->local->log, log_event("event_dropped"), log_str("why", "too many wait"));
        return;
    }
    store_bind_text(o->add, 1, body);
    store_bind_int(o->add, 2, due_ms);
    store_exec(o->local->store, o->add);
    append(o, sqlite3_last_insert_rowid(store_db(o->local->store)), 0, due_ms);
    wake_at(o, due_ms);
}

static void put(struct outbox *o, const char *source, char *body)
{
    auto_free char *event = body;
    struct fault *fault = faults_take_event(o->local->faults, source);
    int64_t due_ms = now(o) + (fault && fault->action == FAULT_DELAY ? fault->delay_ms : 0);
    if (fault)
        log_info(o->local->log, log_event("fault"), log_str("operation", FAULT_EVENTS),
                 log_int("action", fault->action));
    if (!fault || fault->action != FAULT_DROP)
        store_event(o, event, due_ms);
    if (fault && fault->action == FAULT_DOUBLE)
        store_event(o, event, due_ms);
    fault_free(fault);
}

static bool wanted(char *const *list, const char *word)
{
    for (; list && *list; list++)
        if (strcmp(*list, word) == 0)
            return true;
    return false;
}

void outbox_task(struct outbox *o, const struct ecs_task *t)
{
    if (o && wanted(o->local->config->events.ecs, ecs_state_name(t->state)))
        put(o, BRIDGE_ECS, bridge_task(t, o->local->config, now(o)));
}

void outbox_execution(struct outbox *o, const struct execution *e)
{
    if (o && wanted(o->local->config->events.executions, execution_status_name(e->status)))
        put(o, BRIDGE_LAMBDA, bridge_execution(e, o->local->config, now(o)));
}

size_t outbox_count(const struct outbox *o)
{
    return o->count;
}

/* ---- life -------------------------------------------------------------------------------------*/

static int prepare(struct outbox *o, struct error *err)
{
    struct store *s = o->local->store;
    if (store_schema(s, "outbox", 1, SCHEMA, err) < 0)
        return -1;
    o->add = store_prepare(s, "INSERT INTO outbox(body, tries, due_ms) VALUES(?1, 0, ?2)", err);
    o->get = store_prepare(s, "SELECT body FROM outbox WHERE id = ?1", err);
    o->again = store_prepare(s, "UPDATE outbox SET tries = ?2, due_ms = ?3 WHERE id = ?1", err);
    o->drop = store_prepare(s, "DELETE FROM outbox WHERE id = ?1", err);
    return o->add && o->get && o->again && o->drop ? 0 : -1;
}

/* What an earlier local-aws left; where no function is named any more, nobody wants it. */
static int load(struct outbox *o, struct error *err)
{
    sqlite3_stmt *all =
        store_prepare(o->local->store, "SELECT id, tries, due_ms FROM outbox ORDER BY id", err);
    sqlite3_stmt *clear = store_prepare(o->local->store, "DELETE FROM outbox", err);
    if (!all || !clear)
        return -1;
    if (!o->local->config->events.function)
        store_exec(o->local->store, clear);
    while (store_step(o->local->store, all))
        append(o, sqlite3_column_int64(all, 0), sqlite3_column_int64(all, 1),
               sqlite3_column_int64(all, 2));
    if (o->first)
        wake_at(o, now(o));
    return 0;
}

struct outbox *outbox_new(const struct local *local, struct error *err)
{
    struct outbox *o = mem_alloc(sizeof(*o));
    o->local = local;
    if (prepare(o, err) < 0 || load(o, err) < 0) {
        outbox_free(o);
        return NULL;
    }
    return o;
}

void outbox_stop(struct outbox *o)
{
    if (!o)
        return;
    o->stopped = true;
    loop_cancel(o->local->loop, MOVE(o->timer));
}

void outbox_free(struct outbox *o)
{
    if (!o)
        return;
    outbox_stop(o);
    while (o->first)
        /* forget() moves the head on. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        forget(o->first);
    free(o);
}

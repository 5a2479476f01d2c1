#include "callback-receiver/store.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/mem.h"

void store_op_init(struct store_op *op)
{
    memset(op, 0, offsetof(struct store_op, record));
    op->record.state = CALLBACK_ABSENT;
    op->record.callback_id[0] = '\0';
}

/* What is secret of a record goes. */
static void forget(struct callback *c)
{
    mem_wipe(c->callback_id, strlen(c->callback_id));
    c->state = CALLBACK_ABSENT;
}

void store_op_clear(struct store_op *op)
{
    for (size_t i = 0; i < STORE_PAYLOADS; i++) {
        free(op->out[i].text);
        op->out[i] = (struct store_text){ 0 };
    }
    for (size_t i = 0; i < op->count; i++) {
        forget(&op->items[i].record);
        free(op->items[i].body.text);
    }
    free(op->items);
    op->items = NULL;
    op->count = 0;
    op->next_ms = 0;
    op->oldest_ms = 0;
    op->more = false;
    memset(&op->last, 0, sizeof(op->last));
    op->verdict = CALLBACK_DONE;
    forget(&op->record);
    memset(op->counts, 0, sizeof(op->counts));
}

void store_op_release(struct store_op *op)
{
    store_op_clear(op);
    free(op->payload.text);
    op->payload = (struct store_text){ 0 };
}

void store_cursor_at(struct store_cursor *at, const struct callback *c, unsigned state)
{
    at->state = state;
    at->created_ms = c->created_ms;
    memcpy(at->id, c->id, sizeof(at->id));
}

bool store_shared(const char *url)
{
    return strncmp(url, "redis://", 8) == 0 || strncmp(url, "rediss://", 9) == 0;
}

struct store *store_open(const char *url, struct error *err)
{
    static const char sqlite[] = "sqlite:";
    if (strncmp(url, sqlite, strlen(sqlite)) == 0 && url[strlen(sqlite)])
        return store_sqlite_open(url + strlen(sqlite), err);
    if (store_shared(url))
        return store_redis_open(url, err);
    error_set(err, ERR_INVALID, 0, "the store must be sqlite:FILE or redis://HOST:PORT/DB");
    return NULL;
}

int store_run(struct store *s, struct store_op *const *ops, size_t count, struct error *err)
{
    if (s->driver->run(s, ops, count, err) == 0)
        return 0;
    /* What a claim has found before its commit failed is nobody's. */
    for (size_t i = 0; i < count; i++)
        store_op_clear(ops[i]);
    return -1;
}

void store_close(struct store *s)
{
    if (s)
        s->driver->close(s);
}

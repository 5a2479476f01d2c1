#include "shared/durable/strand.h"

#include <stdlib.h>
#include <string.h>

/* durable-protocol 7: from 1 s on, 1 s more each time up to 10 s, 60 s after 95 times. */
#define ASK_MS      1000
#define ASK_MAX_MS  10000
#define ASK_MANY    95
#define ASK_RARE_MS 60000

void strand_release(struct strand *s)
{
    free(s->await);
    s->await = NULL;
    s->count = 0;
}

void strand_reset(struct strand *s)
{
    s->count = 0;
}

bool strand_abandoned(const struct strand *s)
{
    for (; s; s = s->parent)
        if (s->abandoned)
            return true;
    return false;
}

static void add(struct strand *s, const struct awaited *a)
{
    s->await = mem_resize(s->await, s->count + 1, sizeof(*s->await));
    s->await[s->count++] = *a;
}

void strand_await(struct strand *s, const char *id, int64_t scheduled_ms, int64_t now_ms)
{
    struct awaited a = { .ask_ms = scheduled_ms ? scheduled_ms : now_ms + ASK_MS };
    memcpy(a.id, id, sizeof(a.id));
    add(s, &a);
}

void strand_await_all(struct strand *to, const struct strand *from)
{
    for (size_t i = 0; i < from->count; i++)
        add(to, &from->await[i]);
}

bool strand_moved(const struct strand *s, const struct journal *j)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct operation *record = journal_find(j, s->await[i].id);
        if (operation_ended(record) || operation_status(record) == OP_READY)
            return true;
    }
    return false;
}

int64_t strand_next_ask(const struct strand *s)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < s->count; i++)
        if (s->await[i].ask_ms < next)
            next = s->await[i].ask_ms;
    return next;
}

static int64_t pause_ms(unsigned asked)
{
    if (asked > ASK_MANY)
        return ASK_RARE_MS;
    int64_t ms = ASK_MS * (int64_t)asked;
    return ms < ASK_MAX_MS ? ms : ASK_MAX_MS;
}

void strand_asked(struct strand *s, int64_t now_ms)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->await[i].ask_ms <= now_ms)
            s->await[i].ask_ms = now_ms + pause_ms(++s->await[i].asked);
}

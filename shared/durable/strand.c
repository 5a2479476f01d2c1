#include "shared/durable/strand.h"

#include <stdlib.h>
#include <string.h>

#define ASK_FIRST_MS 1000 /* durable-protocol 7 */
#define ROOM_FIRST   2

void strand_release(struct strand *s)
{
    free(s->await);
    s->await = NULL;
    s->count = s->room = 0;
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

void strand_add(struct strand *s, const struct awaited *a)
{
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : ROOM_FIRST;
        s->await = mem_resize(s->await, s->room, sizeof(*s->await));
    }
    s->await[s->count++] = *a;
}

void strand_await(struct strand *s, const char *id, int64_t scheduled_ms, int64_t now_ms)
{
    struct awaited a = { .ask_ms = scheduled_ms ? scheduled_ms : now_ms + ASK_FIRST_MS };
    memcpy(a.id, id, sizeof(a.id));
    strand_add(s, &a);
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

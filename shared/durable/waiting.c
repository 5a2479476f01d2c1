#include "shared/durable/waiting.h"

#include <stdlib.h>
#include <string.h>

/* durable-protocol 7: from 1 s on, 1 s more each time up to 10 s, 60 s after 95 times. */
#define ASK_MS      1000
#define ASK_MAX_MS  10000
#define ASK_MANY    95
#define ASK_RARE_MS 60000

#define ROOM_FIRST 16

void waiting_release(struct waiting *w)
{
    free(w->bucket);
    free(w->heap);
    *w = (struct waiting){ 0 };
}

/* ---- by id ----------------------------------------------------------------------------------- */

static struct awaited **chain(const struct waiting *w, const char *id)
{
    return &w->bucket[opid_hash(id) & (w->bucket_count - 1)];
}

static void link_in(struct waiting *w, struct awaited *a)
{
    struct awaited **first = chain(w, a->id);
    a->next = *first;
    *first = a;
}

static void link_out(struct waiting *w, struct awaited *a)
{
    struct awaited **at = chain(w, a->id);
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
}

size_t waiting_find(const struct waiting *w, const char *id)
{
    if (w->count == 0)
        return WAITING_NOBODY;
    for (const struct awaited *a = *chain(w, id); a; a = a->next)
        if (strcmp(a->id, id) == 0)
            return a->branch;
    return WAITING_NOBODY;
}

/* Room for one more; a chain has two entries on average at most. */
static void grow(struct waiting *w)
{
    if (w->count < w->room)
        return;
    w->room = w->room ? 2 * w->room : ROOM_FIRST;
    w->heap = mem_resize(w->heap, w->room, sizeof(struct awaited *));
    free(w->bucket);
    w->bucket_count = w->room / 2;
    w->bucket = mem_array(w->bucket_count, sizeof(struct awaited *));
    for (size_t i = 0; i < w->count; i++)
        link_in(w, w->heap[i]);
}

/* ---- by time --------------------------------------------------------------------------------- */

static void put(struct waiting *w, size_t at, struct awaited *a)
{
    w->heap[at] = a;
    a->place = at;
}

static void rise(struct waiting *w, size_t at, struct awaited *a)
{
    for (; at > 0 && a->ask_ms < w->heap[(at - 1) / 2]->ask_ms; at = (at - 1) / 2)
        put(w, at, w->heap[(at - 1) / 2]);
    put(w, at, a);
}

static void sink(struct waiting *w, size_t at, struct awaited *a)
{
    for (size_t below; (below = 2 * at + 1) < w->count; at = below) {
        if (below + 1 < w->count && w->heap[below + 1]->ask_ms < w->heap[below]->ask_ms)
            below++;
        if (a->ask_ms <= w->heap[below]->ask_ms)
            break;
        put(w, at, w->heap[below]);
    }
    put(w, at, a);
}

static void take_out(struct waiting *w, size_t at)
{
    struct awaited *last = w->heap[--w->count];
    if (at == w->count)
        return;
    bool up = at > 0 && last->ask_ms < w->heap[(at - 1) / 2]->ask_ms;
    if (up)
        rise(w, at, last);
    else
        sink(w, at, last);
}

int64_t waiting_next_ask(const struct waiting *w)
{
    return w->count ? w->heap[0]->ask_ms : INT64_MAX;
}

static int64_t pause_ms(unsigned asked)
{
    if (asked > ASK_MANY)
        return ASK_RARE_MS;
    int64_t ms = ASK_MS * (int64_t)asked;
    return ms < ASK_MAX_MS ? ms : ASK_MAX_MS;
}

void waiting_asked(struct waiting *w, int64_t now_ms)
{
    while (w->count && w->heap[0]->ask_ms <= now_ms) {
        struct awaited *a = w->heap[0];
        a->ask_ms = now_ms + pause_ms(++a->asked);
        sink(w, 0, a);
    }
}

/* ---- both ------------------------------------------------------------------------------------ */

void waiting_add(struct waiting *w, struct strand *s, size_t branch)
{
    for (size_t i = 0; i < s->count; i++) {
        struct awaited *a = &s->await[i];
        grow(w);
        a->branch = branch;
        link_in(w, a);
        rise(w, w->count++, a);
    }
}

void waiting_remove(struct waiting *w, struct strand *s)
{
    for (size_t i = 0; i < s->count; i++) {
        link_out(w, &s->await[i]);
        take_out(w, s->await[i].place);
    }
}

void waiting_await_all(const struct waiting *w, struct strand *to)
{
    for (size_t i = 0; i < w->count; i++)
        strand_add(to, w->heap[i]);
}

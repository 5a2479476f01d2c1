#include "shared/durable/testing/index.h"

#include <stdlib.h>
#include <string.h>

#define PLACES_FIRST 64

void *list_room(void *list, size_t count, size_t size)
{
    bool full = (count & (count - 1)) == 0; /* none, or a power of two */
    return full ? mem_resize(list, count ? 2 * count : 1, size) : list;
}

/* ---- by text --------------------------------------------------------------------------------- */

void index_release(struct index *x)
{
    free(x->entry);
    *x = (struct index){ 0 };
}

/* FNV-1a. */
static size_t hash(const char *key)
{
    uint64_t h = 14695981039346656037U;
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 1099511628211U;
    return (size_t)(h ^ (h >> 32));
}

/* Where `key` is, or the free place where it belongs. */
static struct index_entry *place(struct index *x, const char *key)
{
    size_t i = hash(key) & (x->places - 1);
    for (x->cost++; x->entry[i].key && strcmp(x->entry[i].key, key) != 0; x->cost++)
        i = (i + 1) & (x->places - 1);
    return &x->entry[i];
}

static void grow(struct index *x)
{
    struct index old = *x;
    x->places = old.places ? 2 * old.places : PLACES_FIRST;
    x->entry = mem_array(x->places, sizeof(*x->entry));
    for (size_t i = 0; i < old.places; i++)
        if (old.entry[i].key)
            *place(x, old.entry[i].key) = old.entry[i];
    free(old.entry);
}

void index_add(struct index *x, const char *key, size_t value)
{
    if (!key)
        return;
    if (2 * x->count >= x->places)
        grow(x);
    struct index_entry *e = place(x, key);
    if (e->key)
        return;
    *e = (struct index_entry){ key, value };
    x->count++;
}

size_t index_find(struct index *x, const char *key)
{
    const struct index_entry *e = key && x->places ? place(x, key) : NULL;
    return e && e->key ? e->value : INDEX_NONE;
}

/* ---- by time --------------------------------------------------------------------------------- */

void timers_release(struct timers *t)
{
    free(t->heap);
    *t = (struct timers){ 0 };
}

static bool before(const struct timer *a, const struct timer *b)
{
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms;
    return a->own == b->own ? a->which < b->which : b->own;
}

void timers_add(struct timers *t, struct timer timer)
{
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : PLACES_FIRST;
        t->heap = mem_resize(t->heap, t->room, sizeof(*t->heap));
    }
    size_t at = t->count++;
    for (; at > 0 && before(&timer, &t->heap[(at - 1) / 2]); at = (at - 1) / 2, t->cost++)
        t->heap[at] = t->heap[(at - 1) / 2];
    t->heap[at] = timer;
}

const struct timer *timers_first(const struct timers *t)
{
    return t->count ? t->heap : NULL;
}

void timers_drop_first(struct timers *t)
{
    const struct timer last = t->heap[--t->count];
    size_t at = 0;
    for (size_t below; (below = 2 * at + 1) < t->count; at = below, t->cost++) {
        if (below + 1 < t->count && before(&t->heap[below + 1], &t->heap[below]))
            below++;
        if (!before(&t->heap[below], &last))
            break;
        t->heap[at] = t->heap[below];
    }
    t->heap[at] = last;
}

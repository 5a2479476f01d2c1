#include "launcher/api_cache.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *key; /* NULL: free */
    char *text;
    size_t bytes;
    uint64_t used;      /* the tick of its last use */
    int64_t expires_ms; /* 0: never */
};

/* A few hundred entries: looking through all of them is nothing beside the call that they save. */
struct api_cache {
    struct entry *entries;
    size_t count;
    size_t bytes;
    size_t max_bytes;
    uint64_t tick;
};

struct api_cache *api_cache_new(size_t max_entries, size_t max_bytes)
{
    struct api_cache *c = mem_alloc(sizeof(*c));
    c->entries = mem_array(max_entries, sizeof(*c->entries));
    c->count = max_entries;
    c->max_bytes = max_bytes;
    return c;
}

static void drop(struct api_cache *c, struct entry *e)
{
    c->bytes -= e->bytes;
    free(e->key);
    mem_free_secret(e->text);
    *e = (struct entry){ .key = NULL };
}

void api_cache_free(struct api_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++)
        drop(c, &c->entries[i]);
    free(c->entries);
    free(c);
}

static struct entry *find(const struct api_cache *c, const char *key)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->entries[i].key && strcmp(c->entries[i].key, key) == 0)
            return &c->entries[i];
    return NULL;
}

const char *api_cache_get(struct api_cache *c, const char *key, int64_t now_ms)
{
    struct entry *e = find(c, key);
    if (!e)
        return NULL;
    if (e->expires_ms && now_ms >= e->expires_ms) {
        drop(c, e);
        return NULL;
    }
    e->used = ++c->tick;
    return e->text;
}

/* The oldest, or with `free_one` a free one where there is one. */
static struct entry *oldest(const struct api_cache *c, bool free_one)
{
    struct entry *best = NULL;
    for (size_t i = 0; i < c->count; i++) {
        struct entry *e = &c->entries[i];
        if (!e->key && free_one)
            return e;
        if (e->key && (!best || e->used < best->used))
            best = e;
    }
    return best;
}

void api_cache_put(struct api_cache *c, const char *key, const char *text, int64_t expires_ms)
{
    size_t bytes = strlen(key) + strlen(text) + 2;
    struct entry *e = find(c, key);
    if (e)
        drop(c, e);
    if (c->count == 0 || bytes > c->max_bytes / 8)
        return;
    while (c->bytes + bytes > c->max_bytes && (e = oldest(c, false)))
        drop(c, e);
    e = oldest(c, true);
    if (!e)
        return;
    if (e->key)
        drop(c, e);
    *e = (struct entry){ .key = mem_dup(key),
                         .text = mem_dup(text),
                         .bytes = bytes,
                         .used = ++c->tick,
                         .expires_ms = expires_ms };
    c->bytes += bytes;
}

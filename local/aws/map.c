#include "local/aws/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct map_entry {
    const char *key; /* NULL: free */
    void *value;
    uint64_t hash;
};

/* FNV-1a. Keys are ids that this program made or checked, and tables are small: no defence against
 * chosen collisions is needed. */
static uint64_t hash_of(const char *key)
{
    uint64_t h = 14695981039346656037ULL;
    for (const unsigned char *p = (const unsigned char *)key; *p; p++)
        h = (h ^ *p) * 1099511628211ULL;
    return h ^ h >> 29;
}

static size_t find(const struct map *m, const char *key, uint64_t hash)
{
    size_t at = hash & (m->cap - 1);
    while (m->entries[at].key &&
           (m->entries[at].hash != hash || strcmp(m->entries[at].key, key) != 0))
        at = (at + 1) & (m->cap - 1);
    return at;
}

static void grow(struct map *m)
{
    struct map old = *m;
    m->cap = old.cap ? 2 * old.cap : 16;
    m->entries = mem_array(m->cap, sizeof(*m->entries));
    for (size_t i = 0; i < old.cap; i++)
        if (old.entries[i].key)
            m->entries[find(m, old.entries[i].key, old.entries[i].hash)] = old.entries[i];
    free(old.entries);
}

void map_release(struct map *m)
{
    free(m->entries);
    *m = (struct map){ 0 };
}

void map_put(struct map *m, const char *key, void *value)
{
    if (4 * (m->count + 1) > 3 * m->cap)
        grow(m);
    uint64_t hash = hash_of(key);
    size_t at = find(m, key, hash);
    if (!m->entries[at].key)
        m->count++;
    m->entries[at] = (struct map_entry){ key, value, hash };
}

void *map_get(const struct map *m, const char *key)
{
    if (m->cap == 0)
        return NULL;
    const struct map_entry *e = &m->entries[find(m, key, hash_of(key))];
    return e->key ? e->value : NULL;
}

void map_remove(struct map *m, const char *key)
{
    if (m->cap == 0)
        return;
    size_t at = find(m, key, hash_of(key));
    if (!m->entries[at].key)
        return;
    m->count--;
    /* What follows in the same run moves up, so that no search ends too early. */
    size_t mask = m->cap - 1;
    for (size_t next = (at + 1) & mask; m->entries[next].key; next = (next + 1) & mask) {
        size_t home = m->entries[next].hash & mask;
        if (((next - home) & mask) >= ((next - at) & mask)) {
            m->entries[at] = m->entries[next];
            at = next;
        }
    }
    m->entries[at] = (struct map_entry){ 0 };
}

void map_each(const struct map *m, void (*fn)(void *value, void *arg), void *arg)
{
    for (size_t i = 0; i < m->cap; i++)
        if (m->entries[i].key)
            fn(m->entries[i].value, arg);
}

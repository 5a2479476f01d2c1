/* map.h - from strings to pointers: a hash table with open addressing. The keys are borrowed: they
 * must live as long as their entry. One thread at a time. */
#ifndef LOCAL_AWS_MAP_H
#define LOCAL_AWS_MAP_H

#include <stddef.h>

#include "shared/base/mem.h"

struct map_entry;

/* Zeroed memory is an empty map. */
struct map {
    struct map_entry *entries; /* private */
    size_t cap;                /* private: a power of two, or 0 */
    size_t count;
};

void map_release(struct map *m);
/* Replaces the value where the key is there already. */
void map_put(struct map *m, const char *key, void *value);
void *map_get(const struct map *m, const char *key) CHECKED;
void map_remove(struct map *m, const char *key);
/* Calls `fn` for each value; `fn` may not change the map. */
void map_each(const struct map *m, void (*fn)(void *value, void *arg), void *arg);

#endif

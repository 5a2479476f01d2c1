/* index.h - what the test service finds things with, so that a workflow of many operations costs
 * the same for each: numbers by text, and by time. Not for threads; `cost` counts the looks taken.
 */
#ifndef DURABLE_TESTING_INDEX_H
#define DURABLE_TESTING_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/mem.h"

#define INDEX_NONE SIZE_MAX

/* Numbers by text. All zero: empty. */
struct index {
    struct index_entry {
        const char *key; /* borrowed; NULL: free */
        size_t value;
    } * entry;
    size_t places; /* a power of two, or 0 */
    size_t count;
    uint64_t cost;
};

void index_release(struct index *x);
/* The first value for a key stays. `key` must live as long as the index; NULL is not added. */
void index_add(struct index *x, const char *key, size_t value);
/* INDEX_NONE: there is none. `key` may be NULL. */
size_t index_find(struct index *x, const char *key);

/* Something that is due at a time. At the same time what is sent comes before what times out, and
 * then the lower number. */
struct timer {
    int64_t at_ms;
    bool own; /* of operation `which`, else happening `which` */
    size_t which;
};
/* All zero: empty. */
struct timers {
    struct timer *heap;
    size_t count;
    size_t room;
    uint64_t cost;
};

void timers_release(struct timers *t);
void timers_add(struct timers *t, struct timer timer);
/* The earliest, or NULL. It lives until the next call that changes the heap. */
const struct timer *timers_first(const struct timers *t);
void timers_drop_first(struct timers *t);

/* Room in `list`, of `count` items, for one more: it doubles when full. */
void *list_room(void *list, size_t count, size_t size) CHECKED;

#endif

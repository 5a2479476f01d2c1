/* tail.h - the last bytes of a stream, in bounded memory. One thread at a time. */
#ifndef CONTAINER_TAIL_H
#define CONTAINER_TAIL_H

#include <stddef.h>

struct tail {
    char *data; /* private; twice max bytes */
    size_t len;
    size_t max;
};

/* Keeps the last `max` bytes (0: none). */
void tail_init(struct tail *t, size_t max);
void tail_release(struct tail *t);
void tail_add(struct tail *t, const char *p, size_t len);
/* What is kept, at most `max` bytes; borrowed until the next call. Never NULL. */
const char *tail_text(const struct tail *t, size_t *len);

#endif

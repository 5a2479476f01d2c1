#include "container/tail.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/mem.h"

void tail_init(struct tail *t, size_t max)
{
    *t = (struct tail){ .data = max ? mem_array(2, max) : NULL, .max = max };
}

void tail_release(struct tail *t)
{
    free(t->data);
    *t = (struct tail){ 0 };
}

void tail_add(struct tail *t, const char *p, size_t len)
{
    if (t->max == 0 || len == 0)
        return;
    if (len >= t->max) {
        memcpy(t->data, p + (len - t->max), t->max);
        t->len = t->max;
        return;
    }
    /* Twice the room, so that bytes are moved once every `max` bytes at most. */
    if (t->len + len > 2 * t->max) {
        size_t keep = t->max - len;
        memmove(t->data, t->data + (t->len - keep), keep);
        t->len = keep;
    }
    memcpy(t->data + t->len, p, len);
    t->len += len;
}

const char *tail_text(const struct tail *t, size_t *len)
{
    *len = t->len > t->max ? t->max : t->len;
    return t->data ? t->data + (t->len - *len) : "";
}

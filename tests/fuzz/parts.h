/* parts.h - inputs that are several things: the parts between bytes of 0x1e, which JSON does not
 * have. */
#ifndef FUZZ_PARTS_H
#define FUZZ_PARTS_H

#include <string.h>

#include "shared/base/mem.h"
#include "tests/fuzz/fuzz.h"

#define PARTS_END 0x1e

struct parts {
    const uint8_t *data;
    size_t size;
};

/* The next part, NUL-terminated, the caller's; NULL where nothing is left, *len is 0 then. */
static inline char *parts_next(struct parts *p, size_t *len)
{
    *len = 0;
    if (p->size == 0)
        return NULL;
    const uint8_t *end = memchr(p->data, PARTS_END, p->size);
    *len = end ? (size_t)(end - p->data) : p->size;
    char *part = mem_alloc(*len + 1);
    memcpy(part, p->data, *len);
    size_t taken = *len + (end ? 1 : 0);
    p->data += taken;
    p->size -= taken;
    return part;
}

#endif

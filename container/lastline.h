/* lastline.h - the last line of a stream that is not blank, in bounded memory.
 *
 * A line ends with a newline or with the stream; a carriage return before it does not belong to it.
 * A line of white space alone is blank. One thread at a time. */
#ifndef CONTAINER_LASTLINE_H
#define CONTAINER_LASTLINE_H

#include <stddef.h>

#include "shared/base/buf.h"

struct lastline {
    /* All private. A line is kept up to `max` bytes and counted beyond that. */
    struct line {
        struct buf text;
        size_t size;
    } open, last; /* the line that is being written, the last complete one that is not blank */
};

void lastline_init(struct lastline *l, size_t max);
void lastline_release(struct lastline *l);
void lastline_add(struct lastline *l, const char *p, size_t len);
/* The line, borrowed until the next call, and in *size its full length: where that is more than
 * *len the line was too long to be kept. Size 0: there is none. Call it when the stream has ended.
 */
const char *lastline_text(struct lastline *l, size_t *len, size_t *size);

#endif

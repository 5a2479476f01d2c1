/* text.h - bytes of unknown origin made fit for a report. Pure; any thread. */
#ifndef CONTAINER_TEXT_H
#define CONTAINER_TEXT_H

#include <stddef.h>

#include "shared/base/buf.h"

/* Appends `p` as UTF-8 without NUL, which is all that the receiver takes: a byte that is neither
 * becomes U+FFFD, so the result has up to three times the length. */
void text_clean(struct buf *out, const char *p, size_t len);
/* The last `max` bytes of `p` or a little less, so that they do not begin inside a character.
 * Returns their offset. */
size_t text_last(const char *p, size_t len, size_t max);

#endif

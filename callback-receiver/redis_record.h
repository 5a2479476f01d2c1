/* redis_record.h - a struct callback as one value of Redis.
 *
 * The format's version, then the fields that are not zero: the column's place in columns.h plus 1,
 * its type, then a number (8 bytes, big-endian) or a length (2 bytes) and as many bytes. Versions 1
 * and 2 are read; what is written is of the lowest version that has all its fields, so that
 * receivers of two versions can share a Redis while one replaces the other. A record of a later
 * version, or with a column that is not of its version, is refused: to write it back would lose
 * what it holds. Any thread. */
#ifndef RECEIVER_REDIS_RECORD_H
#define RECEIVER_REDIS_RECORD_H

#include "callback-receiver/callback.h"
#include "shared/base/error.h"

#define REDIS_RECORD_MAX 8192

/* Appends. */
void redis_record_write(struct buf *out, const struct callback *c);
/* -1: ERR_CONFLICT where a newer version wrote it, ERR_PROTOCOL where it is no record of `id`. */
int redis_record_read(const char *p, size_t len, const char *id, struct callback *c,
                      struct error *err) CHECKED;

#endif

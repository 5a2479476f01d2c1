/* columns.h - the fields of a struct callback as a table: what every store writes and reads.
 *
 * A column's place in the table is part of what is stored (redis_record.h): append, with the next
 * format's version as `since`, never reorder and never remove. Any thread. */
#ifndef RECEIVER_COLUMNS_H
#define RECEIVER_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "callback-receiver/callback.h"

enum column_type {
    COLUMN_TEXT, /* a char array, NUL-terminated */
    COLUMN_HASH,
    COLUMN_INT64,
    COLUMN_ENUM,
    COLUMN_BOOL
};

struct column {
    const char *name;
    enum column_type type;
    size_t offset;
    size_t size;
    uint8_t since; /* the version of the format that it came with */
};

#define COLUMNS_VERSION 2 /* of the last column */

/* Static. */
const struct column *columns_all(size_t *count);
/* The number in a field of type INT64, ENUM or BOOL. */
int64_t column_get(const struct column *col, const struct callback *c);
void column_set(const struct column *col, struct callback *c, int64_t number);
/* Where a field of type TEXT or HASH begins. */
const char *column_bytes(const struct column *col, const struct callback *c);
/* Copies what fits; the rest of the field stays as it is. */
void column_set_bytes(const struct column *col, struct callback *c, const void *p, size_t len);
/* Can a record that was read be one that was written? */
bool columns_sensible(const struct callback *c);

#endif

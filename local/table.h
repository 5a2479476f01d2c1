/* table.h - text in columns for people. What others have written may steer a terminal: control
 * characters are printed as '?'. One thread. */
#ifndef LOCAL_TABLE_H
#define LOCAL_TABLE_H

#include <stdio.h>

#define TABLE_COLUMNS 8

struct table;

/* `heads` ended by NULL, at most TABLE_COLUMNS; static. */
struct table *table_new(const char *const *heads);
/* One text for each head, copied (NULL: empty), cut after `TABLE_CELL` characters. */
#define TABLE_CELL 100
void table_row(struct table *t, const char *const *cells);
void table_print(const struct table *t, FILE *out);
void table_free(struct table *t); /* takes NULL */

#endif

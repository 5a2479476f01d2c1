/* screen.h - what people see: lines and a table on standard output, in colour on a terminal (not
 * where NO_COLOR is set, https://no-color.org). One thread. */
#ifndef STACK_SCREEN_H
#define STACK_SCREEN_H

#include <stdbool.h>

#include "local/stack/facts.h"

/* Colours from now on; main decides once. */
void screen_colour(bool on);
void screen_title(const char *text);
/* Something that goes its way; details below it; something that is done to it. printf-like. */
void screen_step(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void screen_detail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void screen_event(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void screen_table_head(void);
/* `wrong`: what is not as it should be, or NULL. */
void screen_table_row(const char *name, const struct facts *f, const char *wrong);
/* `bad`: rows that are wrong; `sum`: the times of all rows together. */
void screen_table_end(int bad, const struct facts *sum);

#endif

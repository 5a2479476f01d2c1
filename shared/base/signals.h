/* signals.h - signals are taken by one thread that waits for them, never by handlers. */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

#include <stdint.h>

/* Blocks SIGINT, SIGTERM and SIGHUP and ignores SIGPIPE. Call it in main before the first thread,
 * which then inherits it; a child must call signals_unblock before exec. */
void signals_block(void);
/* Waits for one of the blocked signals and returns its number. */
int signals_wait(void);
/* The same for `ms` at most: 0 where none came. */
int signals_wait_ms(int64_t ms);
/* Undoes signals_block, between fork and exec. Async-signal-safe. */
void signals_unblock(void);
/* "SIGKILL" for 9; NULL for a number without a name. */
const char *signals_name(int number);

#endif

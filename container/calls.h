/* calls.h - one call to the receiver, for scripts that report by themselves. */
#ifndef CONTAINER_CALLS_H
#define CONTAINER_CALLS_H

#include "container/config.h"

/* Makes the call that cfg->action names and tries again what can succeed later: a heartbeat for ten
 * seconds, a report until the report deadline, the input for the input timeout. The input is
 * printed on standard output: all of it byte for byte or, with a JSON pointer (RFC 6901), what is
 * there, a string without its quotes. Returns the exit status: 0, 64 (wrong arguments), 66 (no
 * input, or nothing there), 74 (not accepted), 75 (the workflow no longer waits); *err says why it
 * is not 0. */
int calls_make(const struct config *cfg, struct error *err) CHECKED;

#endif

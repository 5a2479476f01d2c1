/* signalbox.h - signals as something to read in an event loop. One thread, before others exist. */
#ifndef CONTAINER_SIGNALBOX_H
#define CONTAINER_SIGNALBOX_H

#include "shared/base/error.h"

/* Blocks the signals that callback-run passes on, SIGCHLD, and what a process in the background of
 * a terminal gets; ignores SIGPIPE. Returns a descriptor to poll, the caller's, or -1. */
int signalbox_open(struct error *err) CHECKED;
/* The next signal that came, or 0 where there is none. */
int signalbox_next(int fd);

#endif

/* fds.h - which file descriptors the command inherits: those that callback-run was given, and none
 * of its own. libcurl opens sockets that do not close on exec, so it is not enough to be careful
 * here. One thread. */
#ifndef CONTAINER_FDS_H
#define CONTAINER_FDS_H

#include <stdbool.h>

#define FDS_MAX 1024

struct fds {
    bool given[FDS_MAX];
};

/* Notes what is open; call it before anything else opens. Standard streams that are closed are held
 * (close-on-exec), so that no socket gets their number and the command finds them closed. -1 where
 * that fails. */
int fds_note(struct fds *f);
/* Between fork and exec: what was not given closes on exec. Async-signal-safe. */
void fds_keep_given(const struct fds *f);

#endif

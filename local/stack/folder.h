/* folder.h - state folders: made when a stack or a test begins, gone when it has ended. Any thread.
 */
#ifndef STACK_FOLDER_H
#define STACK_FOLDER_H

#include "shared/base/error.h"

/* Makes /tmp/NAME.XXXXXX and returns its path, the caller's; NULL with *err. */
char *folder_new(const char *name, struct error *err) CHECKED;
/* Removes it with all that is in it. A task that ends at the same time may still write: this tries
 * again until it is gone, at most some seconds. */
int folder_remove(const char *path, struct error *err);

#endif

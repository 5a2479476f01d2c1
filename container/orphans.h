/* orphans.h - the children of this process that it did not start: what the command's processes left
 * behind. The kernel hands them to the first process of a container, and to a subreaper. */
#ifndef CONTAINER_ORPHANS_H
#define CONTAINER_ORPHANS_H

/* Sends every child of this process `number`, as far as /proc can be read. Children of theirs are
 * its own only when their parents have ended: with SIGKILL, call it again until none is left. */
void orphans_signal(int number);

#endif

/* keeper.h - runs the storm in a process of its own and sees to it that nothing of it is left:
 * tasks outlive the programs that started them, as they shall, but not this one.
 *
 * SIGINT, SIGTERM and SIGHUP end the storm at once. However it ends, what it has started is killed
 * then: all of that descends from the keeper, which the kernel makes the parent of those whose own
 * has gone (PR_SET_CHILD_SUBREAPER). A keeper that gets SIGKILL takes the storm and its programs
 * with it, tasks that run stay. Before the first thread. */
#ifndef CHAOS_KEEPER_H
#define CHAOS_KEEPER_H

#include "shared/base/error.h"

typedef int keeper_fn(void *arg);

/* Runs `storm` in a child. 0 and its exit status in *status, and in *signal the number of the
 * signal by which it was told to stop, or 0; -1 where it cannot be run, or where something that it
 * has started could not be ended. */
int keeper_run(keeper_fn *storm, void *arg, int *status, int *signal, struct error *err) CHECKED;

#endif

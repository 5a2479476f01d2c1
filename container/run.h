/* run.h - a command's whole life: input, heartbeats, output, signals, end, report. */
#ifndef CONTAINER_RUN_H
#define CONTAINER_RUN_H

#include <stdbool.h>

#include "container/config.h"
#include "container/fds.h"

/* Runs cfg->args (or the sample's job) and returns the exit status for callback-run. `env` is the
 * environment that the command's is made of, `fds` what was open at the start. *abandoned: the
 * thread that talks to the receiver did not come back in time; the process must end at once, by
 * _exit. */
int run(const struct config *cfg, char *const *env, const struct fds *fds, struct log *log,
        bool *abandoned);

#endif

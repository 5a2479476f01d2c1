/* command.h - the command as a process group of its own, and the reaping of every child.
 *
 * The command dies with callback-run. When callback-run had the terminal, the command has it while
 * it runs. One thread. */
#ifndef CONTAINER_COMMAND_H
#define CONTAINER_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "container/fds.h"
#include "shared/base/error.h"

struct command {
    pid_t pid; /* also its process group; 0: not started */
    bool ended;
    bool alone;      /* by the last command_reap: this process has no child at all */
    int wait_status; /* as from waitpid, once it has ended */
    int64_t max_rss_bytes;
    bool has_terminal; /* private */
};

struct command_spec {
    char *const *argv; /* argv[0] is looked for in PATH */
    char *const *env;
    const struct fds *fds;    /* what it inherits beside the standard streams */
    int stdout_fd, stderr_fd; /* -1: callback-run's own */
};

/* -1: ERR_NOT_FOUND where there is no such command, ERR_DENIED where it cannot be executed,
 * ERR_IO where there is no process to be had. Signals that the caller blocked are unblocked in the
 * command. */
int command_start(struct command *c, const struct command_spec *spec, struct error *err) CHECKED;
/* To every process of its group; nothing where there is none. One that is suspended is woken up to
 * see a signal that is to end it. */
void command_signal(const struct command *c, int number);
/* Reaps every child that has ended, the command's orphans too, and notes whether there are others.
 * Call it at each SIGCHLD. */
void command_reap(struct command *c);
/* Makes orphans of the command children of this process, as they are for the first process of a
 * container anyway. -1: the kernel, or what plays it (an emulator of another processor), does not
 * do that; they are not reaped and not ended then. */
int command_adopt_orphans(struct error *err) CHECKED;

#endif

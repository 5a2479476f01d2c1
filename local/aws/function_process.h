/* function_process.h - starts a function's process: in a process group of its own, dead when
 * local-aws dies. */
#ifndef LOCAL_AWS_FUNCTION_PROCESS_H
#define LOCAL_AWS_FUNCTION_PROCESS_H

#include <sys/types.h>

#include "local/local.h"

struct function_process {
    pid_t pid;
    int pidfd;  /* readable when it has ended */
    int report; /* of the errno of an exec that failed */
};

/* `runtime_api` is "HOST:PORT"; `output` is for what it prints, borrowed. A command that can't be
 * executed shows when it is reaped, and in its output. */
int function_process_start(const struct local *local, const struct config_function *function,
                           const char *runtime_api, int output, struct function_process *out,
                           struct error *err) CHECKED;
/* SIGKILL to its group. */
void function_process_kill(const struct function_process *p);
/* Waits for its end, which must be near, and says how it ended: "exit status 1", "signal: killed".
 * Returns 0, or the errno for which its command could not be executed. */
int function_process_reap(struct function_process *p, char *how, size_t size);

#endif

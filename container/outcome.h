/* outcome.h - how a command ended, as a report and as an exit status. Pure; any thread.
 *
 *     ended by itself, status 0          success with its result       0
 *     ended by itself, another status    Task.ExitCode                 the status
 *     by a signal                        Task.Signal                   128 + signal
 *     by the signal that asked for a stop, or killed because it did not heed it
 *                                        Task.Stopped                  128 + signal
 *     it ran longer than --timeout       Task.Timeout                  124, as timeout(1) has it
 *     it wrote more than --max-output    Task.OutputTooLarge           153, 128 + SIGXFSZ
 *     the kernel killed it, or a child without which it failed, for lack of memory
 *                                        Task.OutOfMemory              its own status
 *     no such command                    Task.NotFound                 127
 *     a file that cannot be executed     Task.NotExecutable            126
 *     no process to be had               Task.StartFailed              71
 *     asked to stop before its start     Task.Stopped                  128 + signal
 *     --require-input and none came      Task.InputUnavailable         74
 *     a result that nobody takes         Task.ResultTooLarge           that of the command
 *     a result file that cannot be read  Task.ResultUnreadable         that of the command */
#ifndef CONTAINER_OUTCOME_H
#define CONTAINER_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "container/report.h"

enum outcome_end {
    OUTCOME_EXITED,
    OUTCOME_SIGNALED,
    OUTCOME_NOT_FOUND,
    OUTCOME_NOT_EXECUTABLE,
    OUTCOME_START_FAILED,
    OUTCOME_NEVER_STARTED, /* asked to stop before */
    OUTCOME_NO_INPUT,
};

/* All texts are borrowed. */
struct outcome {
    enum outcome_end end;
    int number;         /* exit status, or signal */
    int stop_signal;    /* what was passed on to it before it ended; 0: nothing */
    bool killed;        /* it did not heed that and was sent SIGKILL */
    int64_t timeout_s;  /* it was stopped because it ran longer than that; 0: it was not */
    int64_t max_output; /* it was stopped because it wrote more bytes than that; 0: it was not */
    int64_t oom_kills;  /* of this container's processes while it ran */
    const char *detail; /* for an end without a process: why; may be NULL */
    const char *job;    /* may be NULL */
    const char *errors; /* the end of what it wrote to standard error */
    size_t errors_len;
    int64_t duration_ms;
    int64_t max_rss_bytes; /* 0: not known */
};

enum result_state {
    RESULT_ABSENT,
    RESULT_PRESENT,
    RESULT_TOO_LARGE,
    RESULT_UNREADABLE
};

struct result {
    enum result_state state;
    const char *p; /* borrowed; RESULT_UNREADABLE: why, a string */
    size_t len;
    size_t size; /* RESULT_TOO_LARGE: how large it is */
};

/* Fills *out, which is the caller's then. `result` is looked at where the command succeeded. The
 * text of standard error is shortened from its beginning until the report is small enough. */
void outcome_report(const struct outcome *o, const struct result *result, struct report *out);
/* The failure that takes the place of a result of `size` bytes. */
void outcome_too_large(const struct outcome *o, size_t size, struct report *out);
int outcome_exit_status(const struct outcome *o);
/* "SIGKILL"; "signal" for one without a name. */
const char *outcome_signal_name(int number);

#endif

/* shim.h - the process above a task's containers, which outlives local-aws.
 *
 * `local-aws shim FOLDER` runs the commands that FOLDER/spec.json names, each in a session of its
 * own with FOLDER as working directory, and writes what becomes of them to FOLDER/status.json. It
 * is the subreaper of all that they start: when the last container has ended, whatever they left
 * behind is killed before that end is told. A folder that is removed ends its task.
 *
 *     spec.json    {"containers":[{"name","argv":["cmd",...],"environment":{"K":"V"},
 *                   "essential":true,"stopTimeoutSeconds":30}]}; before the shim starts
 *     status.json  see struct shim_status; replaced as a whole, so that a reader sees one state
 *     output.log   what the containers write to standard output and error
 *     shim.log     what went wrong in the shim itself; empty as a rule
 *     events       a FIFO: the shim holds it open for writing while it lives and writes a byte
 *                  after each change of status.json; its end of file means that no shim lives
 *     control      a FIFO: any byte written to it asks the task to stop, as SIGTERM to the shim
 *                  does, and SHIM_KILL ends its containers at once (SIGKILL); it cannot be opened
 * for writing (ENXIO) when no shim lives
 *
 * Whether a shim lives is thus asked of the kernel and never of a recorded process id, which may
 * have come to mean another process. One thread. */
#ifndef LOCAL_SHIM_H
#define LOCAL_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/base/error.h"

/* The file descriptors that the shim is started with: the writing end of `events` and `control`
 * open for both. */
#define SHIM_EVENTS_FD  3
#define SHIM_CONTROL_FD 4

#define SHIM_KILL 'K' /* a byte of `control` */

/* Runs the task of `folder` to its end. -1 with *err where it could not be run; what became of the
 * commands is in status.json only. Takes over the process: its signals, children and folder. */
int shim_run(const char *folder, struct error *err) CHECKED;

struct shim_container {
    char *name;
    pid_t pid;          /* its first process; 0: never started */
    int64_t started_ms; /* wall clock; 0: not yet */
    int64_t ended_ms;   /* wall clock; 0: not yet */
    int exit_code;      /* 128 + N where signal N ended it; meaningless before the end */
    bool out_of_memory; /* the kernel has ended it for its use of memory */
    char *error;        /* why it could not be started, maybe as ECS says it
                           ("CannotPullContainerError: ..."), or NULL */
};

struct shim_status {
    struct shim_container *containers;
    size_t count;
    bool over; /* all has ended and nothing is left behind */
};

/* 1: *out is set, release it. 0: there is no status yet, no command has been started. -1: *err. */
int shim_status_read(const char *folder, struct shim_status *out, struct error *err) CHECKED;
int shim_status_write(const char *folder, const struct shim_status *s, struct error *err) CHECKED;
void shim_status_release(struct shim_status *s);

/* A whole file of at most `max` bytes as a string, the caller's; NULL with ERR_NOT_FOUND where
 * there is none. */
char *shim_file_read(const char *folder, const char *name, size_t max, size_t *len,
                     struct error *err) CHECKED;
/* Written beside and renamed, so that a reader sees the old content or the new; mode 0600. */
int shim_file_write(const char *folder, const char *name, const void *p, size_t len,
                    struct error *err) CHECKED;

#endif

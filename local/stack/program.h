/* program.h - starts, watches and stops a program: the demo, `make up` and the integration tests.
 *
 * A program's standard error goes to a log file, in which each program of ours says where it
 * listens:
 *     {"event":"listening","service":"callbacks","url":"http://127.0.0.1:8081"}
 * and, when it serves, {"event":"ready"}. A program dies with the one that started it. One thread.
 */
#ifndef STACK_PROGRAM_H
#define STACK_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "shared/base/error.h"

struct program;

/* Starts argv[0] (a path) with the environment `env` alone ("NAME=value", both ended by NULL),
 * standard output to `log_file` as well, appending. NULL with *err where it cannot be started. */
struct program *program_start(const char *const *argv, const char *const *env, const char *log_file,
                              struct error *err) CHECKED;
/* Waits for {"event":"ready"} since the start; -1 where it ended before, or after timeout_ms. */
int program_wait_ready(struct program *p, int64_t timeout_ms, struct error *err) CHECKED;
/* The URL that `service` listens on, or NULL where the log does not name it. The caller's. */
char *program_url(const struct program *p, const char *service) CHECKED;
pid_t program_pid(const struct program *p);
bool program_running(struct program *p);
/* SIGTERM, and after timeout_ms SIGKILL; returns the exit status, 128 + signal where one ended it.
 * Frees nothing: program_free does. */
int program_stop(struct program *p, int64_t timeout_ms);
void program_kill(struct program *p); /* SIGKILL, and reaps */
/* The same argv, environment and log again, after it has ended. */
int program_restart(struct program *p, struct error *err) CHECKED;
/* Kills it where it still runs; takes NULL. */
void program_free(struct program *p);

/* A free TCP port on the loopback interface outside the range from which the kernel takes ports for
 * outgoing connections, so that a program can be started on it again. Nobody else is given it while
 * this process lives. */
int program_free_port(void);

#endif

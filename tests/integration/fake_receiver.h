/* fake_receiver.h - a receiver that answers as it is told and keeps what it was sent; and
 * callback-run, started against it. A failed call fails the test. */
#ifndef TESTS_FAKE_RECEIVER_H
#define TESTS_FAKE_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Instead of a status. */
#define FAKE_ABORT  (-1) /* the connection is cut */
#define FAKE_SILENT (-2) /* no answer while the test runs */

/* How the `from`th to (from + count - 1)th request to a path is answered. */
struct fake_rule {
    const char *path; /* "success", "failure", "heartbeat", "input" */
    int from, count;  /* from 1 on; count 0: for ever */
    int status;
    const char *retry_after;
};

struct fake_request {
    char path[16]; /* as above */
    char type[64];
    char *body;
    size_t len;
    bool authorized;
    int64_t at_ms; /* monotonic */
};

struct fake;

/* `rules` end with a NULL path and may be NULL; what they do not name is answered with 202, 200 for
 * heartbeats, and `input` (NULL: 404). All is borrowed. `port` 0: any. */
struct fake *fake_start(int port, const struct fake_rule *rules, const char *input);
void fake_stop(struct fake *f);
int fake_port(const struct fake *f);
/* How many requests came to `path` so far; NULL: reports of both kinds. */
int fake_count(struct fake *f, const char *path);
/* The nth (from 0) of them, or NULL; lives as long as the fake. */
const struct fake_request *fake_get(struct fake *f, const char *path, int n);
void fake_wait(struct fake *f, const char *path, int count, int64_t timeout_ms);

/* A run of callback-run. */
struct job {
    pid_t pid;
    char folder[64]; /* its temporary folder, removed by job_release */
    int64_t started_ms;
    int status; /* exit status, or 128 + signal */
    char *out;  /* what came on stdout and stderr */
    size_t out_len;
    char *err;
    size_t err_len;
};

/* Where a run differs from the usual. */
struct job_setup {
    const char *const *options; /* ended by NULL, before "--"; may be NULL */
    const char *const *vars;    /* the same */
    const char *shell; /* wraps it: sh -c SHELL with the command line in "$@"; may be NULL */
    int port;          /* of the receiver; 0: no variables for one are set */
};

/* Starts `callback-run OPTIONS -- COMMAND`, COMMAND being `sh -c SCRIPT`, nothing where it is NULL.
 */
void job_start(struct job *j, const struct job_setup *setup, const char *script);
/* The same with arguments of one's own behind the options. */
void job_start_args(struct job *j, const struct job_setup *setup, const char *const *args);
void job_wait(struct job *j, int64_t timeout_ms);
/* A file in its folder, whole; the caller's, NULL where there is none. */
char *job_file(const struct job *j, const char *name);
/* Waits until the command has made that file. */
void job_await_file(const struct job *j, const char *name);
/* Makes the file "go" in its folder: the command waits for it, and takes it away. */
void job_let_go(const struct job *j);
void job_release(struct job *j);
bool alive(pid_t pid);
int64_t monotonic_ms(void);

#endif

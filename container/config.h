/* config.h - callback-run's command line and environment. One thread, before others exist. */
#ifndef CONTAINER_CONFIG_H
#define CONTAINER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "container/capture.h"
#include "shared/base/error.h"
#include "shared/base/log.h"

enum action {
    ACTION_RUN, /* a command; without one, the sample's job */
    ACTION_HEARTBEAT,
    ACTION_PROGRESS,
    ACTION_INPUT,
    ACTION_SUCCESS,
    ACTION_FAILURE,
    ACTION_SAMPLE,
};

struct config {
    enum action action;
    /* The command, or the arguments of the call: borrowed from argv, ended by NULL. */
    char *const *args;
    int arg_count;

    char *url;        /* of the callback, without a slash at its end; NULL with no_callback */
    char *token;      /* a secret; NULL with no_callback, or where `socket` takes its place */
    char *socket;     /* of the callback-run above this one; NULL: none */
    char *input_file; /* what the one above has fetched for this job; NULL: nothing */
    char *job;        /* NULL: not named */
    bool no_callback;
    int64_t heartbeat_s;       /* the timeout that the receiver applies; 0: no heartbeats */
    int64_t stop_timeout_s;    /* from SIGTERM until the container is killed */
    int64_t report_deadline_s; /* how long the final report is retried; 0: while the token lives */
    int64_t timeout_s;         /* how long the command may run; 0: without limit */
    int64_t max_output;        /* bytes on standard output and error together; 0: without limit */
    bool hide_token;           /* from the command */
    int64_t stderr_tail;       /* bytes */
    int64_t input_timeout_s;   /* how long the start may wait for the input */
    bool no_input;
    bool require_input;
    enum result_mode result;
    char *result_file; /* NULL: in the temporary folder */
    char *temp_dir;
    enum log_level log_level;
    /* private: words before they are parsed */
    char *result_word;
    char *level_word;
};

/* 0, OPTS_DONE, or -1 with *err. Release it in any case. `cfg` must be zeroed. */
int config_load(struct config *cfg, int argc, char *const *argv, char *const *env,
                struct error *err) CHECKED;
void config_release(struct config *cfg);

#endif

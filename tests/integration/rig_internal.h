/* rig_internal.h - what rig.c and rig_lambda.c share. */
#ifndef TESTS_RIG_INTERNAL_H
#define TESTS_RIG_INTERNAL_H

#include <pthread.h>

#include "tests/integration/rig.h"

#define WAIT_MS 60000
#define ENV_MAX 40

struct rig {
    char dir[64];
    char log[96];
    char *url;
    char *ops_url;
    struct program *program;
    struct redis_server redis; /* program NULL: none of its own */
    struct rig *shared;        /* whose Redis and Lambda it uses; NULL: its own */
    char *env[ENV_MAX];        /* the receiver's; new memory */
    struct httpd *lambda;
    struct http_client *client;
    pthread_mutex_t lock;
    /* Under lock. */
    enum rig_lambda first, then;
    unsigned first_left;
    enum rig_lambda beats_then;
    unsigned calls, beats;
    char trace[64]; /* of the last call */
    bool odd;       /* a call that makes no sense */
    struct rig_call last;
    struct httpd_request *hanging[16];
    size_t hanging_count;
};

/* An httpd_handler; `arg` is the rig. */
void rig_on_lambda(struct httpd_request *req, void *arg);

#endif

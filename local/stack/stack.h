/* stack.h - the whole product on one machine: local-aws (with the launcher as its functions and
 * tasks as processes) and the callback receiver, as real programs on the loopback interface. The
 * demo, `make up` and the integration tests run it. One thread. */
#ifndef STACK_STACK_H
#define STACK_STACK_H

#include "local/stack/program.h"

struct stack;

/* Ports: 0 takes a free one. Lists end with NULL and may be NULL; "NAME=value" goes before what the
 * stack sets by itself. */
struct stack_options {
    const char *bin_dir;   /* where bootstrap, callback-receiver, callback-run and local-aws are */
    const char *state_dir; /* made where it is missing; NULL: a temporary one, removed at the end */
    int http_port;         /* the clients' API */
    int callbacks_port;    /* the receiver */
    int ops_port;          /* the receiver's operations */
    int aws_port;          /* the AWS APIs */
    const char *const *launcher_env;
    const char *const *receiver_env;
    int launcher_timeout_s;  /* 0: 60 */
    int execution_timeout_s; /* 0: a day */
    bool events;             /* ECS's and Lambda's events go to the launcher's handler events */
};

/* Starts everything and waits until it serves. NULL with *err, and nothing left behind, where it
 * cannot. */
struct stack *stack_start(const struct stack_options *o, struct error *err) CHECKED;
/* Stops what runs and frees it; takes NULL. Returns 0, or -1 where a program did not stop cleanly.
 */
int stack_stop(struct stack *s);

/* "http://127.0.0.1:8080"; borrowed. */
const char *stack_http_url(const struct stack *s);
const char *stack_callbacks_url(const struct stack *s);
const char *stack_ops_url(const struct stack *s);
const char *stack_aws_url(const struct stack *s);
const char *stack_state_dir(const struct stack *s);
/* The token keys (JSON) that launcher and receiver share; borrowed, a secret. */
const char *stack_token_keys(const struct stack *s);

enum stack_part {
    STACK_LOCAL_AWS,
    STACK_RECEIVER
};
struct program *stack_program(struct stack *s, enum stack_part part);
/* kill -9, and the same program again on the same ports. */
void stack_kill(struct stack *s, enum stack_part part);
int stack_revive(struct stack *s, enum stack_part part, struct error *err) CHECKED;

#endif

/* cast.h - everything that runs in a storm, as real programs on the loopback interface: a Redis
 * that has every write on the disk before it answers, local-aws with the launcher, two receivers on
 * that Redis, and the relay between containers and receivers. One thread. */
#ifndef CHAOS_CAST_H
#define CHAOS_CAST_H

#include "local/stack/api.h"
#include "local/stack/stack.h"
#include "shared/aws/aws.h"
#include "tests/bench/redis_server.h"
#include "tests/chaos/relay.h"

enum cast_part {
    CAST_LOCAL_AWS,
    CAST_RECEIVER_A,
    CAST_RECEIVER_B,
    CAST_PARTS
};

#define CAST_RECEIVERS 2

struct cast {
    char *folder;
    struct redis_server *redis;
    struct stack *stack;
    struct program *second; /* the other receiver */
    char *second_ops;       /* its operations' URL */
    struct relay *relay;
    bool down[CAST_PARTS];
    struct api *api;   /* the clients' API */
    struct api *local; /* /_local */
    struct aws *aws;
    struct aws_options aws_options;
};

/* Starts all in `folder`, which is there. -1 with *err; call cast_stop in any case. */
int cast_start(struct cast *c, const char *bin_dir, const char *folder, uint64_t seed,
               struct error *err) CHECKED;
/* SIGKILL; nothing where it is down. */
void cast_kill(struct cast *c, enum cast_part part);
/* The same program again; nothing where it is up. */
int cast_revive(struct cast *c, enum cast_part part, struct error *err) CHECKED;
/* Everything is up again. */
int cast_revive_all(struct cast *c, struct error *err) CHECKED;
/* The operations' URL of receiver 0 or 1; borrowed. */
const char *cast_ops_url(const struct cast *c, size_t receiver);
/* 0, or -1 where a program did not stop cleanly. */
int cast_stop(struct cast *c);

#endif

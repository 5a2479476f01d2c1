/* cast.h - everything that runs in a storm, as real programs on the loopback interface: a Redis
 * that has every write on the disk before it answers, local-aws with the launcher, two receivers on
 * that Redis, a relay on each road between them, and disks that become full. One thread. */
#ifndef CHAOS_CAST_H
#define CHAOS_CAST_H

#include "local/stack/api.h"
#include "local/stack/stack.h"
#include "shared/aws/aws.h"
#include "tests/bench/redis_server.h"
#include "tests/bench/small_disk.h"
#include "tests/chaos/relay.h"

enum cast_part {
    CAST_LOCAL_AWS,
    CAST_RECEIVER_A,
    CAST_RECEIVER_B,
    CAST_PARTS
};

enum cast_road {
    ROAD_REPORTS, /* from containers, and from the launcher, to whichever receiver is up */
    ROAD_REDIS_A, /* from receiver A to Redis */
    ROAD_REDIS_B,
    ROAD_LAMBDA_A, /* from receiver A to Lambda */
    ROAD_LAMBDA_B,
    ROAD_LAUNCHER_LAMBDA,
    ROAD_LAUNCHER_ECS,
    CAST_ROADS
};

enum cast_disk {
    DISK_REDIS, /* its log of writes */
    DISK_STATE, /* local-aws's database and log, and receiver A's log; not what the tasks write */
    CAST_DISKS
};

#define CAST_RECEIVERS 2

struct cast {
    char *folder;
    struct redis_server *redis;
    struct stack *stack;
    struct program *second; /* the other receiver */
    char *second_ops;       /* its operations' URL */
    int ports[CAST_ROADS];
    struct relay *relays[CAST_ROADS];
    struct small_disk *disks[CAST_DISKS]; /* NULL: an ordinary folder */
    bool down[CAST_PARTS];                /* killed, and to stay so for now */
    bool excused[CAST_PARTS];             /* its disk has been full since it was started */
    unsigned ended[CAST_PARTS];           /* how often by itself */
    int64_t retry_ms[CAST_PARTS];         /* monotonic: not started again before */
    struct api *api;                      /* the clients' API */
    struct api *local;                    /* /_local */
    struct aws *aws;
    struct aws_options aws_options;
};

struct cast_options {
    const char *bin_dir;
    const char *folder; /* is there */
    uint64_t seed;
    bool disks; /* small_disk_possible was called and said yes */
};

/* Starts all. -1 with *err; call cast_stop in any case. */
int cast_start(struct cast *c, const struct cast_options *o, struct error *err) CHECKED;
/* SIGKILL; nothing where it is down. */
void cast_kill(struct cast *c, enum cast_part part);
/* The same program again; nothing where it is up. It need not serve yet. */
int cast_revive(struct cast *c, enum cast_part part, struct error *err) CHECKED;
/* To be called again and again: who has ended by itself, for want of Redis at its start or of room
 * on its disk, is started again, as a supervisor would. -1 with *err where it should not have ended
 * so. */
int cast_tend(struct cast *c, struct error *err) CHECKED;
/* Redis dies and is there again. */
int cast_bounce_redis(struct cast *c, struct error *err) CHECKED;
/* A disk is full; who cannot go on without it ends. Nothing where it is an ordinary folder. */
int cast_fill(struct cast *c, enum cast_disk disk, struct error *err) CHECKED;
/* It has room again; Redis is started where it has ended. */
int cast_room(struct cast *c, enum cast_disk disk, struct error *err) CHECKED;
/* Clear weather, room on every disk, everything serves again. */
int cast_calm(struct cast *c, struct error *err) CHECKED;
/* The operations' URL of receiver 0 or 1; borrowed. */
const char *cast_ops_url(const struct cast *c, size_t receiver);
/* 0, or -1 where a program did not stop cleanly. What was on the disks is in
 * the folder then, or where it is to be kept. */
int cast_stop(struct cast *c, bool keep);

#endif

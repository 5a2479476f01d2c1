/* storm.h - kill -9 of the receiver under load, again and again, and then the question whether
 * anything was lost.
 *
 * Clients register jobs and report, each report until it has an answer. The engine (engine_stub.c)
 * fails a part of the calls and closes some callbacks on its own. Meanwhile receivers are killed
 * and started again at moments that the seed decides; so is Redis where it is asked for, and the
 * disk under the store becomes full for a while (small_disk.h). At the end
 * every report that was accepted must be with the engine, once and unchanged, or, where the engine
 * had closed the callback, be held: the launcher's GET shows it. One thread. */
#ifndef BENCH_STORM_H
#define BENCH_STORM_H

#include "shared/base/error.h"

#include <stdint.h>

enum storm_store {
    STORM_SQLITE,
    STORM_REDIS,
    STORM_CLUSTER /* a Redis of one node with cluster-enabled yes */
};

struct storm_options {
    const char *bin_dir;     /* of callback-receiver */
    const char *engine_stub; /* the program */
    enum storm_store store;
    unsigned receivers; /* several: the last is never killed, the others end dead */
    unsigned kills;
    unsigned redis_kills;
    unsigned fulls; /* times that the store's disk is full */
    unsigned reports;
    unsigned clients;
    unsigned fail_percent;
    unsigned close_percent;
    uint64_t seed;
};

struct storm_result {
    unsigned kills, redis_kills, fulls;
    unsigned accepted;  /* answered with 2xx, or with 410: accepted before, and dead */
    unsigned delivered; /* taken by the engine, once and unchanged */
    unsigned held;      /* closed by the engine before: the launcher can read them */
    unsigned retries;   /* requests that had no answer, or 429 or 503 */
    unsigned refused;   /* of them, those that had a 503 while the disk was full */
    unsigned conflicts; /* other reports that were refused, as they should be */
    unsigned calls;     /* to the engine */
    double seconds;     /* until the last report was settled */
};

/* 0: nothing was lost, doubled or changed. 1: not possible here; err->msg says why. -1: *err says
 * what went wrong. */
int storm_run(const struct storm_options *o, struct storm_result *out, struct error *err) CHECKED;

#endif

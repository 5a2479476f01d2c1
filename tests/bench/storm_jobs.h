/* storm_jobs.h - the jobs of a storm: what each reports, how its client goes on from answer to
 * answer, and what must be true of it in the end. One thread. */
#ifndef BENCH_STORM_JOBS_H
#define BENCH_STORM_JOBS_H

#include "shared/base/error.h"
#include "tests/bench/swarm.h"

#include <stdint.h>

struct storm_jobs;

#define STORM_KEYS "{\"k1\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"

struct storm_jobs *storm_jobs_new(unsigned jobs, unsigned clients, uint64_t seed,
                                  struct error *err) CHECKED;
void storm_jobs_free(struct storm_jobs *j); /* takes NULL */
/* The hooks that make a swarm register and report them all; and, once storm_jobs_judge was called,
 * ask for each as the launcher until it is settled. */
struct swarm_hooks storm_jobs_hooks(struct storm_jobs *j);
/* Jobs that are done in this round. */
unsigned storm_jobs_done(const struct storm_jobs *j);
/* Requests so far that had a 503. */
unsigned storm_jobs_refused(const struct storm_jobs *j);
/* From now on the clients are the launcher's. */
void storm_jobs_judge(struct storm_jobs *j);
/* False, with *err, where an answer was one that must not be. */
int storm_jobs_fault(const struct storm_jobs *j, struct error *err) CHECKED;
/* Compares what the launcher was shown with the engine's records (engine_stub.c). */
struct storm_counts {
    unsigned accepted, delivered, held, retries, conflicts;
};
int storm_jobs_compare(struct storm_jobs *j, char *records, struct storm_counts *out,
                       struct error *err) CHECKED;

#endif

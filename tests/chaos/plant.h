/* plant.h - faults that are put into a storm on purpose, to see that the checker finds them:
 *
 *     lost-report    a report is answered as accepted, and goes nowhere
 *     doubled-task   a second container is started for a job's attempt
 *     false-success  a success is sent to Lambda for a job that fails
 *     orphan         a task runs on after its workflow has ended
 *     swapped        a job's callback gets the result of another one
 *
 * One thread. */
#ifndef CHAOS_PLANT_H
#define CHAOS_PLANT_H

#include "tests/chaos/client.h"

enum plant {
    PLANT_NONE,
    PLANT_LOST_REPORT,
    PLANT_DOUBLED_TASK,
    PLANT_FALSE_SUCCESS,
    PLANT_ORPHAN,
    PLANT_SWAPPED
};

/* -1 where there is no such fault. */
int plant_of(const char *name, enum plant *out);
/* The kind of job that it needs. */
enum job_kind plant_kind(enum plant plant);
/* Before the job is posted. */
void plant_before(enum plant plant, struct cast *c, const struct posted *p);
/* Once it is posted: waits for its moment and puts the fault in. -1 with *err where that cannot be
 * done. */
int plant_after(enum plant plant, struct cast *c, const struct posted *p,
                struct error *err) CHECKED;

#endif

/* jobs.h - the workflows of a storm: of each kind what is posted. What must come of each kind is
 * the checker's to know (check.c), not this file's.
 *
 * A job leaves marks in a file of its own, one a line, before anything that others can see:
 *     begin URL|sync PID     its script runs: once for each container
 *     beat                   a heartbeat was taken
 *     end                    it has done its work and will report, or fail, as its kind says
 *     reported WHAT CODE     the receiver's answer to a report that it sent itself
 * Its first process has the file's name as an argument, by which an orphan is found. */
#ifndef CHAOS_JOBS_H
#define CHAOS_JOBS_H

#include <stdbool.h>

#include "tests/chaos/dice.h"

enum job_kind {
    JOB_OK,       /* the last line of its output is its result */
    JOB_SLOW,     /* the same after some seconds of heartbeats */
    JOB_INPUT,    /* gives its input back */
    JOB_BIG,      /* a result of 100,000 characters and more */
    JOB_CURL,     /* reports with plain curl */
    JOB_RETRY,    /* its first attempt fails, the second succeeds */
    JOB_EXIT,     /* ends with an exit code */
    JOB_SIGNAL,   /* ends by a signal */
    JOB_OWN,      /* reports a failure of its own type with curl */
    JOB_SILENT,   /* ends without a report */
    JOB_HANG,     /* sends one heartbeat, then nothing */
    JOB_STOP,     /* is stopped by its client */
    JOB_SYNC,     /* pattern sync, exit code 0 */
    JOB_SYNCEXIT, /* pattern sync, another one */
    JOB_BATCH,    /* JOB_BATCH_SIZE jobs, of which the one in the middle fails */
    JOB_SAMPLE,   /* the input of AWS's sample; leaves no marks */
    JOB_KINDS
};

#define JOB_BATCH_SIZE 5

struct job {
    enum job_kind kind;
    unsigned value;   /* it is in the result, and unlike that of any other job */
    unsigned work_ms; /* how long its container works */
    char key[16];     /* "w17" */
};

const char *job_kind_name(enum job_kind kind);
/* Any kind, by weight. `number` becomes key and value. */
void job_draw(struct job *j, struct dice *d, unsigned number);
void job_of(struct job *j, enum job_kind kind, struct dice *d, unsigned number);
/* The body of POST /workflows; marks go to FOLDER/KEY. The caller's. */
char *job_body(const struct job *j, const char *folder);

#endif

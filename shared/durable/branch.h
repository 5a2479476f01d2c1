/* branch.h - one branch of a batch: its place in the program, what it came to. The fields that the
 * coordinator and the branch's thread share are guarded by the execution's monitor. */
#ifndef DURABLE_BRANCH_H
#define DURABLE_BRANCH_H

#include "shared/durable/branches.h"

enum branch_state {
    BRANCH_NEW = 0,
    BRANCH_READY,     /* can run */
    BRANCH_RUNNING,   /* a thread has it */
    BRANCH_DONE,      /* it has run; the coordinator is to look at rc */
    BRANCH_SUSPENDED, /* waits for what its strand says */
    BRANCH_ENDED,     /* and is counted */
};

struct branch {
    const struct branch_set *set;
    size_t index;
    enum branch_state state;
    bool started;  /* its START is sent, or there is a record */
    bool recorded; /* its end is */
    size_t next;   /* in the coordinator's queue */
    struct strand strand;
    char *raw;
    char name[DURABLE_NAME_SIZE];
    /* once it has ended */
    bool succeeded;
    struct payload payload;
    struct durable_error error;
    enum durable_rc rc; /* of the last run */
};

/* The branch `index` of the batch `parent`. */
void branch_init(struct branch *b, const struct branch_set *set, size_t index,
                 const struct op *parent);
void branch_release(struct branch *b);
/* Looks the record up (FATAL where it is another operation's) and sends START where there is none
 * and the branch is not flat. On the coordinator's thread. */
enum durable_rc branch_begin(struct branch *b, struct durable_ctx *parent,
                             struct durable_error *err) DURABLE_CHECKED;
/* Runs it once, to its end (rc OK or FAILED) or as far as it gets. `rebuilding`: for its result
 * alone. Any thread, without the monitor. */
void branch_run(struct branch *b, struct durable_ctx *parent, bool rebuilding);
bool branch_has_record(const struct branch *b, struct execution *x);
/* The outcome of a branch that has ended, into `batch`; SerdesError makes it failed. On the
 * coordinator's thread. */
void branch_outcome(const struct branch *b, const struct execution *x, struct durable_batch *batch);

#endif

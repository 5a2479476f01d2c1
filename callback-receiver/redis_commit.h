/* redis_commit.h - writes the callbacks that a batch has changed, all of them or none, in one
 * script: for each key that many callbacks share there is one command with all of them, so that
 * what a callback costs Redis is little more than its own hash. One thread at a time. */
#ifndef RECEIVER_REDIS_COMMIT_H
#define RECEIVER_REDIS_COMMIT_H

#include "callback-receiver/redis_slot.h"

enum redis_written {
    REDIS_WRITTEN,
    REDIS_CROSSED /* another was faster, or the fence does not hold: nothing is written */
};

/* Writes the slots that are dirty; where `next` is given, also asks when something is due next. -1
 * as redis_conn_collect: it may or may not have happened. */
int redis_commit(struct redis_slots *s, struct redis_conn *r, const char *fence, int64_t now_ms,
                 int64_t *next, enum redis_written *written, bool *again,
                 struct error *err) CHECKED;

#endif

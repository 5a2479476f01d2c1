/* waiters.h - requests with `Prefer: wait=N`, parked until their report is delivered or N seconds
 * have passed. Any thread. */
#ifndef RECEIVER_WAITERS_H
#define RECEIVER_WAITERS_H

#include "callback-receiver/answer.h"
#include "shared/base/error.h"

struct waiters;

/* At most `max` at once. `m` is borrowed. NULL with *err where no thread can be had. */
struct waiters *waiters_start(size_t max, struct metrics *m, struct error *err) CHECKED;
/* Answers all that wait with 202 and ends; takes NULL. Nobody may add any more. */
void waiters_stop(struct waiters *w);

/* `req` is parked and its report is accepted: it is answered when waiters_settle names `id`, or
 * with 202 after wait_s. False: too many wait, it is still the caller's. */
bool waiters_add(struct waiters *w, struct httpd_request *req, const char *id, int wait_s);
/* How many wait. */
size_t waiters_count(struct waiters *w);
/* Copies the ids that are waited for, at most `max`, each once; how many. */
size_t waiters_ids(struct waiters *w, char (*ids)[TOKEN_PUBLIC_ID], size_t max);
/* The callback has come to `state`; whoever waits for it is answered unless it is ACCEPTED. */
void waiters_settle(struct waiters *w, const char *id, enum callback_state state);

#endif

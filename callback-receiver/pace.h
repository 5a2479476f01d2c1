/* pace.h - how fast Lambda is called, by all that calls it (caller.h, beats.h).
 *
 * Without limit until Lambda throttles in earnest: when at least a quarter of a second's answers
 * (and not only one or two) are throttled, the rate is halved, from what was reached in that
 * second; in each second without it grows by a fixed step, until it is so high that there is no
 * limit any more. Single throttled calls change nothing: their own backoff is enough. Reports go
 * before heartbeats: those get a call only while no report waits for one.
 *
 * The time is the caller's, in ms of the monotonic clock. Any thread. */
#ifndef RECEIVER_PACE_H
#define RECEIVER_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace;

#define PACE_MIN  5.0    /* calls a second that are always allowed */
#define PACE_STEP 25.0   /* more of them after each second */
#define PACE_MAX  2000.0 /* from here on without limit */

struct pace *pace_new(void);
/* Takes NULL. */
void pace_free(struct pace *p);

/* 0: call now (exactly one call). Else how many ms to wait before asking again. */
int64_t pace_take(struct pace *p, int64_t now_ms);
/* The call that was taken is not made. */
void pace_return(struct pace *p);
/* The same for a heartbeat: false where a report waits, or there is no room now. */
bool pace_take_heartbeat(struct pace *p, int64_t now_ms);
/* A call was answered. retry_after_ms: what a throttled answer asked for, or -1; nothing is called
 * before (at most a minute). */
void pace_answered(struct pace *p, bool throttled, int64_t retry_after_ms, int64_t now_ms);
/* Calls a second that are allowed; 0: no limit. */
double pace_rate(struct pace *p);

#endif

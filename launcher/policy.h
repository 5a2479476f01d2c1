/* policy.h - when something is tried again, and after how long.
 *
 * Everything follows from the workflow's input and recorded values, jitter included: it comes from
 * a hash of the execution's ARN, so that each replay decides the same. Pure, any thread with
 * objects of its own. */
#ifndef LAUNCHER_POLICY_H
#define LAUNCHER_POLICY_H

#include "launcher/config.h"
#include "launcher/input.h"
#include "shared/durable/durable.h"

/* What each attempt needs besides its timeoutSeconds: to register, to find the reason, to stop. */
#define POLICY_RESERVE_S 60
/* How often the start of one attempt's task is asked for, and the longest wait between; with these
 * an execution of INPUT_ATTEMPTS_MAX attempts stays under its 3,000 operations. */
#define POLICY_STARTS      40
#define POLICY_START_MAX_S 300
/* How long capacity is waited for where the workflow sets no start deadline. */
#define POLICY_START_S 3600

/* Whether attempt number `attempt` (from 1), which failed with `err`, is followed by another. One
 * that has waited for capacity until the start deadline is not, unless the workflow asks for
 * another by Task.Capacity in retryOn. */
bool policy_retries(const struct input *in, const struct durable_error *err, unsigned attempt);
/* The wait behind that attempt, at least 1: half of it jitter. */
int64_t policy_delay_s(const struct input *in, const char *execution_arn, unsigned attempt);

/* The wait before RunTask is asked again, 0 where the time is over: `elapsed_s` since the task was
 * first asked for, `tries` made. The last one falls on the deadline. */
int64_t policy_start_delay_s(const struct input *in, const char *seed, unsigned tries,
                             int64_t elapsed_s);

/* Pattern sync: when the task is looked at again, `elapsed_s` since ECS gave it. The wait
 * grows with what has passed, so that INPUT_ATTEMPTS_MAX attempts of INPUT_SYNC_MAX_S each stay
 * under an execution's 3,000 operations. */
int64_t policy_look_delay_s(const struct input *in, int64_t elapsed_s);

/* Whether all attempts of `in` fit the function's execution timeout (c->execution_timeout_s, 0: not
 * known, nothing is checked). A retry policy that the workflow did not ask for is cut down to what
 * fits; else adds a fault to *faults and returns -1. */
int policy_fit(const struct config *c, struct input *in, struct json_object **faults) CHECKED;

#endif

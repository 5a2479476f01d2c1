/* attempts.h - a job with all its attempts (design: launcher workflows).
 *
 *   child context "attempt-1" (attempt.h)
 *   where that failed and the policy wants another (policy.h):
 *   step "settle-1", until the earlier task has stopped -> wait "backoff-1" -> child "attempt-2"
 * ...
 *
 * Each attempt has its own callback, registration, tokens and task. One whose task does not stop
 * within about five minutes is not followed by another: two containers of a job never run at once.
 * The failure is then that attempt's, with "notRetried" in its data. One thread at a time. */
#ifndef LAUNCHER_ATTEMPTS_H
#define LAUNCHER_ATTEMPTS_H

#include "launcher/attempt.h"

/* `of` is what its metrics are of, borrowed. DURABLE_OK: *result is the job's (NULL for null) and
 * *task_arn the task's that gave it, both the caller's. DURABLE_FAILED: *err is the last attempt's
 * failure, which says in its data by "attempts" how many there were, where there was more than one.
 */
enum durable_rc attempts_run(struct durable_ctx *ctx, const struct attempt_tools *tools,
                             const struct input *in, const struct metrics_of *of,
                             struct json_object **result, char **task_arn,
                             struct durable_error *err) DURABLE_CHECKED;

#endif

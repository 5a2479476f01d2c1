/* batch.h - pattern batch (design: launcher workflows): a map over the jobs, each a chained invoke
 * of this very function and version with pattern callback.
 *
 *   map "jobs" (flat: an operation a job) of invokes "job-0", "job-1", ...
 *   with more failed jobs than are tolerated: step "stop-jobs" stops those under way and their
 * tasks
 *
 * A stop of the batch, or its own timeout, reaches the jobs by the API's DELETE and the handler
 * `events`. The pace of RunTask is kept by the jobs: a start that ECS throttles is waited out, with
 * jitter, as in any workflow. */
#ifndef LAUNCHER_BATCH_H
#define LAUNCHER_BATCH_H

#include "launcher/attempt.h"

/* DURABLE_OK: *out is the document of batch_result.h. DURABLE_FAILED: Workflow.TooManyFailures, its
 * data the same document with the failed jobs alone, as many as fit. */
enum durable_rc batch_run(struct durable_ctx *ctx, const struct attempt_tools *tools,
                          const struct input *in, struct json_object **out,
                          struct durable_error *err) DURABLE_CHECKED;

#endif

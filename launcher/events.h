/* events.h - the handler `events`: what ECS and Lambda say by themselves (design: launcher
 * workflows).
 *
 *   ECS Task State Change, STOPPED: the task's end becomes the failure of its job, sent through the
 *     receiver, where the first report wins. A container that ended with 0 and reported is so
 *     untouched; one that did not has Task.NoReport. The handler lets EVENTS_DELAY_SECONDS pass
 *     since the event first, so that the job's own report comes first where there is one.
 *   Durable Execution Status Change to FAILED, STOPPED or TIMED_OUT: closes the execution's
 *     registrations and stops its tasks.
 * Any other event is none of its business, and well.
 *
 * Events come as EventBridge gives them, or as the bodies of an SQS batch. The queue is the better
 * way: its delay replaces the handler's, what fails comes again ("batchItemFailures", so the event
 * source mapping needs ReportBatchItemFailures), and the end of an execution is handled twice, the
 * second time after the queue's visibility timeout (a minute): a task whose RunTask was on its way
 * when the execution ended is found then. Directly, an error makes Lambda invoke again.
 *
 * Events are delivered more than once and in any order: a task that was handled at this
 * detail.version is known for a while, only STOPPED counts, which is the last state, and everything
 * that is done can be done again. The job is found by the CALLBACK_TOKEN among the overrides, in
 * the event or in what DescribeTasks says; a task without one has nobody to tell. One thread. */
#ifndef LAUNCHER_EVENTS_H
#define LAUNCHER_EVENTS_H

#include "launcher/config.h"
#include "launcher/metrics.h"
#include "launcher/receiver_client.h"
#include "shared/base/log.h"
#include "shared/lambda/runtime.h"
#include "shared/token/token.h"

#define EVENTS_SEEN 512

/* Which tasks were handled, the oldest forgotten first; zero-initialised. */
struct events_seen {
    struct {
        uint64_t task; /* of its ARN's hash; 0: a free place */
        int64_t version;
    } places[EVENTS_SEEN];
    size_t next;
};

/* Borrowed; longer-lived than any call. */
struct events_tools {
    const struct config *cfg;
    struct aws *aws;
    struct receiver_client *receiver;
    const struct token_keys *keys;
    const struct clock *clock;
    struct log *log;
    struct events_seen *seen;
    struct metrics *metrics; /* NULL: nothing is counted */
};

/* A lambda_handler_fn; `arg` is a struct events_tools. -1 where a single event could not be handled
 * now, or is no event at all. */
int events_handle(const struct lambda_invocation *inv, void *arg, struct buf *response,
                  struct error *err);

/* ---- for the events_*.c files ------------------------------------------------------------------
 */

/* Each takes one event; 0 also where there was nothing to do, -1 where it must come again. */
int events_task(const struct events_tools *t, struct json_object *event, struct error *err) CHECKED;
/* `again`: it was handled before, a minute ago. */
int events_execution(const struct events_tools *t, struct json_object *event, bool again,
                     struct error *err) CHECKED;
/* A token of launcher scope for a callback, valid for some minutes, and its public id. NULL with
 * *err; free it with mem_free_secret. */
char *events_seal(const struct events_tools *t, const char *callback_id,
                  char public_id[TOKEN_PUBLIC_ID], struct error *err) CHECKED;

#endif

/* past.h - what an execution's history tells of what it has begun: its callbacks, the workflows
 * that it runs as a batch, whether a step is in the middle of something. One thread at a time. */
#ifndef LAUNCHER_PAST_H
#define LAUNCHER_PAST_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/aws/aws.h"

struct past {
    struct json_object *callbacks; /* array of their ids (secrets), oldest first */
    struct json_object *children;  /* object: ARNs of chained executions that run, by operation */
    int64_t begun; /* chained executions in all, and how many of them have ended how */
    int64_t succeeded;
    int64_t failed;
    bool step_open; /* a step had begun and not ended: what it does may yet come about */
};

/* Reads the history of the execution `arn`. 0; or -1 with *err, *out then tells what was read. The
 * caller releases *out in any case. */
int past_read(struct aws *aws, const char *arn, struct past *out, struct error *err) CHECKED;
void past_release(struct past *past);
#define auto_past __attribute__((cleanup(past_release)))

/* Stops the executions of past->children, and their tasks where `tasks`; one that has ended by
 * itself counts as stopped. Those that are stopped are taken out of past->children, so that a
 * repeated call goes on. The number of tasks is added to *count. -1 with the last *err where some
 * could not be stopped. */
int past_stop_children(struct aws *aws, const char *cluster, struct past *past, bool tasks,
                       const char *reason, int64_t *count, struct error *err) CHECKED;
/* Stops what runs of the tasks that were started by `started_by`; their number is added to *count.
 * Each is tried, whatever becomes of the others: -1 with the last *err. */
int past_stop_tasks(struct aws *aws, const char *cluster, const char *started_by,
                    const char *reason, int64_t *count, struct error *err) CHECKED;

#endif

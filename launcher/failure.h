/* failure.h - the failure of an attempt, put together from what the callback, the receiver and ECS
 * say. Pure, any thread with objects of its own. */
#ifndef LAUNCHER_FAILURE_H
#define LAUNCHER_FAILURE_H

#include <stdbool.h>

#include "launcher/reason.h"
#include "shared/base/mem.h"
#include "shared/durable/durable.h"

/* Serialised, an ErrorObject must stay under 32,768 bytes; this leaves room for the envelope. */
#define FAILURE_MAX 31000

/* What the callback's failure is called: the job's own type (Task.Failed where it gave none), and
 * for the engine's two Task.Timeout and Task.HeartbeatLost; anything else (a result that is not
 * JSON) keeps its type. *own takes type, message, data and stack. */
void failure_from_callback(const struct durable_error *callback, struct durable_error *own);
/* The same from a report that the receiver held: the JSON text of an ErrorObject. */
void failure_from_report(const char *body, struct durable_error *own);
/* A failure that says only that nothing was heard: the task itself may know better. */
bool failure_is_silence(const char *type);
/* One that a container sees from inside as a signal: ECS may know who sent it. */
bool failure_is_signal(const char *type);

/* A step's result for a judged task, and back: {"lastStatus","stopCode","exitCode","signal",
 * "reason","type","message"}. */
struct json_object *failure_record(const struct reason *r) CHECKED;

/* Which task it was and where its log is; what is NULL is left out. */
struct failure_place {
    const char *task_arn;
    const char *log_group;
    const char *log_stream;
};

/* Fills *err from `own` and a record (NULL: ECS knows nothing). Where `own` is silence and the
 * record has a type, that is the true reason and `own` becomes "noticedBy"; so it is where `own` is
 * a signal and the record tells who sent it: Spot, a user, the host, or for lack of memory. */
void failure_compose(const struct durable_error *own, struct json_object *record,
                     const struct failure_place *place, struct durable_error *err);

#endif

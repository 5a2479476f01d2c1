/* outbox.h - what local-aws tells a function as EventBridge would: each event is in the store
 * together with the change that it tells of, and stays there until the function has taken it.
 *
 * At least once: after a kill -9 what was not taken is told again. An invocation that fails is
 * repeated four times, after one, two, four and eight seconds more; then the event is dropped, with
 * a line in the log. Events may overtake each other. Which are told is the configuration's "events"
 * (config.h); without it nothing is kept. Faults of the operation PutEvents lose, double or delay
 * them. The loop's thread only. */
#ifndef LOCAL_AWS_OUTBOX_H
#define LOCAL_AWS_OUTBOX_H

#include "local/aws/ecs_task.h"
#include "local/aws/execution.h"
#include "local/local.h"

struct outbox;

/* Takes up what the store has; `local` is borrowed, its lambda may come later but before the loop
 * runs. */
struct outbox *outbox_new(const struct local *local, struct error *err) CHECKED;
/* Before Lambda goes: what is on its way counts as not tried. Takes NULL. */
void outbox_stop(struct outbox *o);
void outbox_free(struct outbox *o); /* takes NULL */

/* The task's or the execution's state has just changed; called within the transaction of the
 * change. NULL: nobody is told. */
void outbox_task(struct outbox *o, const struct ecs_task *t);
void outbox_execution(struct outbox *o, const struct execution *e);
/* How many have not been taken yet. */
size_t outbox_count(const struct outbox *o);

#endif

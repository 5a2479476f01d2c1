/* inspect.h - what tests and tools see and order, on the AWS port under /_local/ (JSON):
 *
 *   POST   /_local/faults    orders a fault (faults.h); 201
 *   GET    /_local/faults    {"faults":[{"operation","times","skip"}]}: those that are not used up
 *   DELETE /_local/faults    clears all; 204
 *   GET    /_local/requests[?operation=NAME]
 *                            {"requests":[{"time","service","operation","status","body"}]}: the
 *                            last requests, oldest first; status 0 where no answer was sent
 *   GET    /_local/tasks     {"tasks":[{"taskArn","lastStatus","pid","startedBy"}]}: pid is that of
 *                            the first container's first process, 0 while there is none
 *
 * Of the requests at most 2,000, and of those at most 32 MiB, are kept, each body up to 64 KiB.
 * It installs itself as the AWS port's hooks. The loop's thread only. */
#ifndef LOCAL_INSPECT_H
#define LOCAL_INSPECT_H

#include "local/aws/ecs.h"
#include "local/local.h"

struct inspect;

/* `local`, whose api must be there, and `ecs` are borrowed. */
struct inspect *inspect_new(const struct local *local, struct ecs *ecs) CHECKED;
/* Requests that a fault delays are dropped: call it before the AWS port stops. Takes NULL. */
void inspect_free(struct inspect *in);

#endif

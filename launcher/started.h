/* started.h - what RunTask's answer means for the step that asked: a task, a definite refusal, or
 * that nobody knows. Pure, any thread with objects of its own. */
#ifndef LAUNCHER_STARTED_H
#define LAUNCHER_STARTED_H

#include <json-c/json.h>

#include "shared/base/error.h"

/* `rc`, `answer` (may be NULL) and `why` are what ecs_run_task gave. 0 with *result a new object,
 *     {"taskArn":"..."}                                    started, now or by the same token before
 *     {"refused":{"type":"Task.Capacity","reason":"...","again":true}}  certainly not started by
 *                                                           this call; "again": later, perhaps
 * or -1 with *err: the outcome is not known, or ECS asks for patience; the same request again is
 * harmless and tells. */
int started_judge(int rc, struct json_object *answer, const struct error *why,
                  struct json_object **result, struct error *err) CHECKED;
/* {"taskArn":...} in a new object. */
struct json_object *started_task(const char *arn) CHECKED;

#endif

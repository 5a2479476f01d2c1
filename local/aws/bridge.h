/* bridge.h - events as EventBridge hands them to a target: "ECS Task State Change" (source
 * aws.ecs) and "Durable Execution Status Change" (source aws.lambda), durable-protocol sections
 * 12.4 and 10.7. Pure; one thread. */
#ifndef LOCAL_AWS_BRIDGE_H
#define LOCAL_AWS_BRIDGE_H

#include "local/aws/ecs_task.h"
#include "local/aws/execution.h"

#define BRIDGE_ECS    "aws.ecs"
#define BRIDGE_LAMBDA "aws.lambda"

/* The task as DescribeTasks shows it, but with timestamps as ISO-8601 texts, updatedAt, and without
 * health; the caller's. Each has a new event id. */
char *bridge_task(const struct ecs_task *t, const struct config *c, int64_t now_ms) CHECKED;
char *bridge_execution(const struct execution *e, const struct config *c, int64_t now_ms) CHECKED;

#endif

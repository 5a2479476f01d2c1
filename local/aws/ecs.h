/* ecs.h - the emulated ECS service: RunTask, DescribeTasks, StopTask, ListTasks, with tasks as
 * processes of this machine.
 *
 * It registers itself with the AWS port (aws_api.h). The loop's thread only. */
#ifndef LOCAL_AWS_ECS_H
#define LOCAL_AWS_ECS_H

#include "local/aws/ecs_tasks.h"
#include "local/local.h"

struct ecs;

/* Takes up the tasks that the store has. `local` is borrowed; its api must be there. */
struct ecs *ecs_new(const struct local *local, struct error *err) CHECKED;
/* Running tasks go on unless ecs_tasks_shut_down was called before; takes NULL. */
void ecs_free(struct ecs *e);
struct ecs_tasks *ecs_tasks(struct ecs *e);

#endif

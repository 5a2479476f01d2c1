/* ecs_tasks.h - all tasks that there are: in memory, in the store, and under the driver.
 *
 * Every change of a task is in the store before anybody is told. A local-aws that starts finds the
 * tasks of the one before: what runs is watched again, what has ended meanwhile gets its true exit
 * code, what was not yet begun is begun. Stopped tasks are kept for an hour, their folders (output)
 * for a day. The loop's thread only. */
#ifndef LOCAL_ECS_TASKS_H
#define LOCAL_ECS_TASKS_H

#include "local/aws/ecs_task.h"
#include "local/local.h"

struct ecs_tasks;

/* Tasks run in the store's folder, under tasks/. `local` is borrowed. */
struct ecs_tasks *ecs_tasks_new(const struct local *local, struct error *err) CHECKED;
/* Running tasks go on; takes NULL. */
void ecs_tasks_free(struct ecs_tasks *s);
/* Stops every task, as a host does that is switched off. Does not wait: each shim keeps to its stop
 * timeouts, and the next local-aws finds the exit codes. */
void ecs_tasks_shut_down(struct ecs_tasks *s);

/* The oldest task; the others follow by `next`, in the order in which they were made. */
const struct ecs_task *ecs_tasks_first(const struct ecs_tasks *s);
const struct ecs_task *ecs_tasks_find(const struct ecs_tasks *s, const char *id);
/* How many are not stopped. */
size_t ecs_tasks_live(const struct ecs_tasks *s);
/* Absolute; where the folders of tasks are. */
const char *ecs_tasks_folder(const struct ecs_tasks *s);

/* A RunTask that had a client token. */
struct ecs_token {
    const char *cluster;
    const char *token;
    const char *fingerprint;
};
/* The tasks of an earlier RunTask with this cluster and token: an array of ids, the caller's, or
 * NULL where there is none (any more: min(24 h, the tasks' life + 1 h)). *same tells whether the
 * parameters were the same. */
struct json_object *ecs_tasks_of_token(struct ecs_tasks *s, const struct ecs_token *k, bool *same);
/* Takes over `count` new tasks, stores them with the token (NULL: none), and has them started soon.
 */
void ecs_tasks_add(struct ecs_tasks *s, struct ecs_task *const *tasks, size_t count,
                   const struct ecs_token *token);
/* Asks the task to stop; does nothing where that was asked before or it has stopped. */
void ecs_tasks_stop(struct ecs_tasks *s, const struct ecs_task *t, const char *code,
                    const char *reason);

#endif

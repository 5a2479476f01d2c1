/* ecs_client.h - the calls to ECS that our programs make. Threads and errors: aws.h.
 * https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ : RunTask, DescribeTasks, StopTask,
 * ListTasks. */
#ifndef AWS_ECS_CLIENT_H
#define AWS_ECS_CLIENT_H

#include "shared/aws/aws.h"

struct ecs_pair {
    const char *name;
    const char *value;
};

/* What RunTask is asked for; NULL, 0 and empty lists leave a member out. */
struct ecs_run_task {
    const char *cluster;
    const char *task_definition;
    const char *client_token;
    const char *started_by;
    const char *launch_type;               /* not together with capacity_providers */
    const char *const *capacity_providers; /* NULL-ended */
    const char *const *subnets;            /* NULL-ended; with any: networkConfiguration */
    const char *const *security_groups;
    bool assign_public_ip;
    const char *container;              /* the container that the overrides are for */
    const char *const *command;         /* NULL-ended; NULL: the image's own */
    const struct ecs_pair *environment; /* ended by a NULL name */
    const char *cpu;                    /* the task's, as text: "256" */
    const char *memory;
};

#define ECS_OVERRIDES_MAX 8192 /* characters of `overrides`, JSON formatting included (RunTask) */

/* The request as it is sent: members in a fixed order, so that equal requests are equal bytes. */
void ecs_run_task_body(const struct ecs_run_task *t, struct buf *out);
/* The length of its `overrides` alone, in bytes. */
size_t ecs_overrides_len(const struct ecs_run_task *t);

/* Each sends `body`/its arguments and hands out the parsed answer. RunTask with failures[] is a
 * success here: look at both lists. On a ConflictException *out is the error's body (resourceIds).
 * `body` must have a clientToken: the request is repeated where no answer comes. */
int ecs_run_task(struct aws *a, const char *body, struct json_object **out,
                 struct error *err) CHECKED;
/* One task; *out is the Task object, or NULL with 0 where ECS says MISSING. */
int ecs_describe_task(struct aws *a, const char *cluster, const char *task,
                      struct json_object **out, struct error *err) CHECKED;
/* Any number of tasks: `arns` is an array of ARNs, *out the array of the Task objects that ECS
 * still knows. */
int ecs_describe_tasks(struct aws *a, const char *cluster, struct json_object *arns,
                       struct json_object **out, struct error *err) CHECKED;
int ecs_stop_task(struct aws *a, const char *cluster, const char *task, const char *reason,
                  struct error *err) CHECKED;
/* All pages: *out is an array of ARNs. desired_status "RUNNING" or "STOPPED". */
int ecs_list_tasks(struct aws *a, const char *cluster, const char *started_by,
                   const char *desired_status, struct json_object **out, struct error *err) CHECKED;

#endif

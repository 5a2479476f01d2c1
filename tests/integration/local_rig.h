/* local_rig.h - a local-aws of its own for a test, with one task definition, "job", and no
 * function. A failed call fails the test. */
#ifndef TESTS_LOCAL_RIG_H
#define TESTS_LOCAL_RIG_H

#include "local/stack/api.h"
#include "local/stack/program.h"
#include "shared/aws/aws.h"

#define SOON_MS 60000

struct local_rig {
    char dir[64];
    struct program *program;
    struct aws_options options;
    struct aws *aws;   /* tries once */
    struct api *local; /* the AWS port */
    struct api *http;  /* the HTTP API */
};

/* `target` is the port on this machine behind /v1/callbacks of the HTTP API; local_rig_begin takes
 * one where nobody listens. */
void local_rig_begin(struct local_rig *r);
void local_rig_begin_with(struct local_rig *r, int target);
/* With a function "events", one environment, that gets the events of tasks that are RUNNING or
 * STOPPED and of all executions. It appends each to DIR/events, one a line, and the trace header to
 * DIR/traces; where there is a file DIR/fail, it fails. */
void local_rig_begin_events(struct local_rig *r);
/* With tasks as containers of the machine's Docker engine, from `image`. */
void local_rig_begin_docker(struct local_rig *r, const char *image);
/* Stops it; an end that is not clean fails the test. */
void local_rig_end(struct local_rig *r);
/* After program_kill or program_stop. */
void local_rig_restart(struct local_rig *r);

/* One ECS operation with a JSON text; *out as aws_send_json11. local_rig_must asserts a success. */
int local_rig_ecs(struct local_rig *r, const char *operation, const char *json,
                  struct json_object **out, struct error *err);
struct json_object *local_rig_must(struct local_rig *r, const char *operation, const char *json);
/* Runs a shell script with WORD="w o r d"; `more`: further members, each with a comma before. The
 * task's ARN, the caller's. */
char *local_rig_run(struct local_rig *r, const char *script, const char *more);
/* Asks a task to stop, with the reason "enough". */
void local_rig_stop(struct local_rig *r, const char *arn);
/* The Task object, the caller's; local_rig_until waits for its lastStatus. */
struct json_object *local_rig_describe(struct local_rig *r, const char *arn);
struct json_object *local_rig_until(struct local_rig *r, const char *arn, const char *status);
/* A task's first container; borrowed. */
struct json_object *local_rig_container(struct json_object *task);
/* Waits for the end and asserts how it came. */
void local_rig_expect_exit(struct local_rig *r, const char *arn, int code, const char *stop_code);
/* Waits until a task's output holds `text`; the whole of it, the caller's. */
char *local_rig_output(struct local_rig *r, const char *arn, const char *text);
/* The first process of a task, or 0. */
pid_t local_rig_task_pid(struct local_rig *r, const char *arn);
/* Waits until a process is gone. */
void local_rig_gone(pid_t pid);

#endif

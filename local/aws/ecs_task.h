/* ecs_task.h - one ECS task: what it was asked for, and the states that it goes through.
 *
 *     PROVISIONING -> PENDING -> RUNNING -> DEACTIVATING -> STOPPING -> DEPROVISIONING -> STOPPED
 *          |             |          '-- ended by itself ---------------------^
 *          '-------------'-- never started, or stopped before ---------------^
 *
 * Pure: facts go in, states and JSON come out; no clock, no process, no database. One thread. */
#ifndef LOCAL_ECS_TASK_H
#define LOCAL_ECS_TASK_H

#include "local/aws/ecs_fate.h"
#include "local/shim.h"
#include "shared/base/digest.h"
#include "shared/base/json.h"

#define ECS_TASK_ID 33 /* 32 hexadecimal digits and the NUL */

enum ecs_state {
    ECS_PROVISIONING,
    ECS_PENDING,
    ECS_RUNNING,
    ECS_DEACTIVATING,
    ECS_STOPPING,
    ECS_DEPROVISIONING,
    ECS_STOPPED,
};

struct ecs_container {
    char *name;
    char id[RANDOM_UUID];
    pid_t pid; /* its first process; 0: never started */
    bool ended;
    int exit_code;
    char *reason; /* "CannotStartContainerError: ...", or NULL */
};

struct ecs_task {
    char id[ECS_TASK_ID];
    int64_t number; /* counts up over all tasks: the order of ListTasks */
    char *cluster;
    char *family;
    int64_t revision;
    char *started_by; /* each may be NULL from here ... */
    char *group;
    char *launch_type;
    char *capacity_provider;
    char *cpu;
    char *memory;
    struct json_object *overrides;
    struct json_object *tags; /* ... to here */
    struct json_object *spec; /* what the driver is given; see ecs_driver.h */
    struct ecs_container *containers;
    size_t container_count;

    enum ecs_state state;
    int64_t version; /* counts up with each state and each wish to stop */
    bool stop_wanted;
    char *stop_code; /* NULL until there is one: the first counts */
    char *stopped_reason;
    enum ecs_fate fate; /* what a test has ordered to become of it */
    bool fate_struck;   /* it has come over the running task */
    int64_t fate_ms;    /* how long it runs before that */
    char *fate_code;    /* in place of ecs_fate_code, or NULL */
    char *fate_reason;  /* in place of ecs_fate_reason, or NULL */
    int64_t created_ms, started_ms, stopping_ms, execution_stopped_ms, stopped_ms; /* 0: not yet */

    struct ecs_task *next; /* the owner's */
};

/* A task in PROVISIONING with a new id; the owner fills the rest. */
struct ecs_task *ecs_task_new(int64_t now_ms) CHECKED;
void ecs_task_free(struct ecs_task *t); /* takes NULL */

/* What is known of a task's containers. */
struct ecs_facts {
    bool begun;                       /* the driver has been told to start it */
    bool over;                        /* nothing runs any more, and nothing will */
    const struct shim_status *status; /* NULL: nothing is known */
    const char *failure;              /* why the driver could not start it, or NULL */
};
/* Makes one step towards what the facts say. True: the state has changed, once; ask again. */
bool ecs_task_step(struct ecs_task *t, const struct ecs_facts *facts, int64_t now_ms);
/* From now on it is wanted to stop; false where that was so already. */
bool ecs_task_want_stop(struct ecs_task *t, const char *code, const char *reason, int64_t now_ms);

/* The reason of its fate: what was ordered, or ECS's own words. Borrowed. */
const char *ecs_task_fate_reason(const struct ecs_task *t);
const char *ecs_task_fate_code(const struct ecs_task *t);

const char *ecs_state_name(enum ecs_state state);
/* "arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID"; the caller's. */
char *ecs_arn(const char *region, const char *account, const char *kind, const char *path);
char *ecs_task_arn(const struct ecs_task *t, const char *region, const char *account);
/* The Task object of ECS's API; the caller's. */
struct json_object *ecs_task_json(const struct ecs_task *t, const char *region, const char *account,
                                  bool with_tags) CHECKED;

/* For the store: the whole task as text, and back. */
char *ecs_task_save(const struct ecs_task *t) CHECKED;
struct ecs_task *ecs_task_load(const char *text, struct error *err) CHECKED;

#endif

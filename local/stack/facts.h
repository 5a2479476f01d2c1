/* facts.h - what can be observed of a workflow from outside: its end, its tasks, its invocations.
 * One thread. */
#ifndef STACK_FACTS_H
#define STACK_FACTS_H

#include "local/stack/api.h"
#include "shared/aws/aws.h"

struct facts {
    char *status; /* SUCCEEDED, FAILED, ... */
    char *reason; /* the error's "TYPE: message", or NULL */
    char *type;   /* the error's type, or NULL */
    char *result; /* JSON text, or NULL */
    int tasks;    /* ECS tasks that were started for it, and for the jobs of a batch */
    int invocations;
    int64_t launcher_ms; /* the sum of its invocations */
    int64_t took_ms;     /* from its start to its end */
};

/* `id` is the workflow's id, `ended` the API's answer once it has ended. Tasks are counted by ECS's
 * ListTasks, invocations by the workflow's history. */
int facts_read(struct api *api, struct aws *aws, const char *cluster, const char *id,
               struct json_object *ended, struct facts *out, struct error *err) CHECKED;
void facts_release(struct facts *f);

/* How many of its invocations have ended so far. */
int facts_invocations(struct api *api, const char *id);

/* The task that works for the workflow now, as local-aws shows it: 0 where there is none yet. */
int facts_task_pid(struct api *local_aws, const char *id);

#endif

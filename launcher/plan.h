/* plan.h - what RunTask is asked for, from a workflow's input, the configuration and recorded
 * values alone: the same arguments give the same bytes, which ECS's idempotency rests on.
 * Pure, any thread. */
#ifndef LAUNCHER_PLAN_H
#define LAUNCHER_PLAN_H

#include "launcher/config.h"
#include "launcher/input.h"
#include "launcher/trace.h"

/* Room that a posted workflow must leave for what only the start knows: CALLBACK_URL, and a token
 * for a callback id of Lambda's longest (1,024 bytes). */
#define PLAN_URL_MAX   (CONFIG_CALLBACK_URL + 48)
#define PLAN_TOKEN_MAX 1500
#define PLAN_JOB_MAX   64

/* What is this job's own; borrowed. */
struct plan_job {
    const char *name;         /* JOB_NAME */
    const char *callback_url; /* NULL, both: it reports to nobody (CALLBACK_DISABLED) */
    const char *token;
    const char *client_token;
    const char *started_by;
    const char *traceparent; /* TRACEPARENT, unless the workflow sets its own; NULL or "": none */
};

/* Appends RunTask's request. */
void plan_run_task(const struct config *c, const struct input *in, const struct plan_job *job,
                   struct buf *body);
/* Whether the configuration lets `in` run as it is: its command where ALLOW_COMMAND forbids one,
 * and plan_check_size. 0, or -1 with faults added to *faults. */
int plan_check(const struct config *c, const struct input *in, struct json_object **faults) CHECKED;
/* Whether any job of `in` fits ECS's limit for overrides; adds a fault to *faults that names the
 * biggest part where none does, and returns -1. Needs c->container only. */
int plan_check_size(const struct config *c, const struct input *in,
                    struct json_object **faults) CHECKED;

#endif

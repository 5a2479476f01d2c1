/* ecs_request.h - what RunTask is asked for, checked as ECS checks it.
 * https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
 *
 * A failure's `type` is the exception's name ("InvalidParameterException"). Pure. One thread. */
#ifndef LOCAL_ECS_REQUEST_H
#define LOCAL_ECS_REQUEST_H

#include "local/config.h"
#include "shared/base/digest.h"
#include "shared/base/json.h"

#define ECS_COUNT_MAX     10
#define ECS_OVERRIDES_MAX 8192 /* characters, JSON formatting included */

/* Borrowed from the request's body; what was left out is NULL. */
struct ecs_run {
    const char *cluster;
    const char *task_definition;
    const char *client_token;
    const char *started_by;
    const char *group;
    const char *launch_type;
    const char *capacity_provider; /* the first of the strategy */
    const char *cpu;               /* the task's override */
    const char *memory;
    int64_t count;
    struct json_object *overrides;
    struct json_object *tags;
    /* Of all parameters but the client token: equal for equal requests. */
    char fingerprint[DIGEST_SHA256_HEX];
};

int ecs_run_parse(struct json_object *body, struct ecs_run *out, struct error *err) CHECKED;

/* The name of the cluster that `ref` (a name, an ARN, or NULL for "default") means; borrowed. NULL
 * with ClusterNotFoundException where it is not the one that there is. */
const char *ecs_cluster(const struct config *c, const char *ref, struct error *err) CHECKED;
/* The definition that "family", "family:revision" or an ARN means; NULL with ClientException. */
const struct config_task_definition *ecs_definition(const struct config *c, const char *ref,
                                                    struct error *err) CHECKED;
/* What the driver is given (ecs_driver.h): the definition with the overrides applied. Each
 * container gets PATH and HOME (NULL: not), the definition's environment and the overrides'. NULL
 * with InvalidParameterException where an override is for a container that is not there. */
struct json_object *ecs_spec(const struct config_task_definition *d, struct json_object *overrides,
                             const char *path, const char *home, struct error *err) CHECKED;
/* Fills *err with the exception `type`; returns -1. */
int ecs_fail(struct error *err, const char *type, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif

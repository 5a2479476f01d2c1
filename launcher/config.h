/* config.h - what the launcher's handlers are told by flags and environment, read once by main.
 *
 * `bootstrap HANDLER [options]` or `bootstrap [options] HANDLER`; without a handler there, the
 * variable _HANDLER names it, as Lambda sets it. Each handler checks only what it needs. One thread
 * reads it; afterwards it is not changed and any thread may look. */
#ifndef LAUNCHER_CONFIG_H
#define LAUNCHER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/aws/aws.h"
#include "shared/base/log.h"
#include "shared/base/opts.h"

#define CONFIG_OPTIONS        44
#define CONFIG_CALLBACK_URL   400 /* bytes of CALLBACK_BASE_URL at most */
#define CONFIG_FUNCTION_NAME  64  /* bytes of a function's name (Lambda's limit) */
#define CONFIG_CONTAINER_NAME 255 /* bytes of a container's name (ECS's limit) */

enum config_handler {
    CONFIG_WORKFLOW,
    CONFIG_API,
    CONFIG_EVENTS
};

/* Strings are owned; lists are NULL-ended, empty rather than NULL. */
struct config {
    enum config_handler handler;
    char *cluster;         /* ECS_CLUSTER */
    bool refuse_command;   /* ALLOW_COMMAND=false: a workflow may not say what the container runs */
    char *task_definition; /* NULL only for the handlers api and events */
    char *container;       /* the container that is the job: its overrides, its exit code */
    char **allowed;        /* task definitions that a workflow may name; task_definition included */
    char **subnets;
    char **security_groups;
    bool assign_public_ip;
    char *launch_type; /* NULL where there are capacity providers or neither */
    char **capacity_providers;
    /* The api handler works without receiver and keys too: it then shows no progress, and leaves
     * the closing of registrations to others. */
    char *callback_base_url; /* without a slash at its end; how containers reach the receiver */
    char *receiver_url;      /* the same for the launcher itself */
    char *token_keys;        /* the keys' JSON, or NULL: see token_keys_secret */
    char *token_keys_secret; /* ARN of the secret that holds them */
    char *token_kid;
    char *log_group;        /* LOG_GROUP and LOG_STREAM_PREFIX: where the job's container logs */
    char *log_prefix;       /* with the driver awslogs; NULL: not said */
    int64_t stop_timeout_s; /* what the container is told of its stopTimeout */
    int64_t events_delay_s; /* what the handler events gives a job to report by itself */
    int64_t execution_timeout_s; /* the durable function's ExecutionTimeout; 0: not known */
    char *workflow_function;     /* "name:qualifier" */
    char function_name[CONFIG_FUNCTION_NAME + 1]; /* its name alone */
    char *metrics;                                /* METRICS_NAMESPACE; NULL: none are written */
    char *runtime_api;                            /* AWS_LAMBDA_RUNTIME_API */
    enum log_level log_level;
    struct aws_options aws;

    /* private: the table that filled this, and texts that were taken apart */
    struct opt table[CONFIG_OPTIONS];
    bool allow_command;
    char *metrics_text;
    char *allowed_text;
    char *subnets_text;
    char *security_groups_text;
    char *capacity_providers_text;
    char *log_level_text;
};

/* Fills *c (the caller's; config_release it in any case). 0; OPTS_DONE where --help or --version
 * was asked and printed; -1 with an error that names the flag or variable. After -1 c->runtime_api
 * is set where the variable was there, so that Lambda can be told. */
int config_load(struct config *c, int argc, char *const *argv, char *const *env,
                struct error *err) CHECKED;
void config_release(struct config *c);

/* The environment for a library that reads AWS's variables by itself: `env` with what flags have
 * overridden in front. The strings of `env` are borrowed; free it with config_environment_free. */
char **config_environment(const struct config *c, char *const *env) CHECKED;
void config_environment_free(char **env);

/* Whether a workflow may use the task definition `name`. An entry of the list allows itself; one
 * without a revision also its revisions ("job" allows "job:7", "job:7" does not allow "job"). */
bool config_allows(const char *const *allowed, const char *name);

#endif

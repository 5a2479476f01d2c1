/* config.h - local-aws's configuration file.
 *
 * JSON, checked strictly: an unknown member, a wrong type or an impossible value is ERR_INVALID,
 * and the message begins with the JSON pointer of the place. What is optional has its default here:
 *
 *   {"region":"us-east-1", "accountId":"123456789012",
 *    "credentials":{"ACCESS KEY":"SECRET KEY"},                       at least one
 *    "functions":{"NAME":{"command":["PATH","ARG"...], "handler":"_HANDLER",
 *         "environment":{"K":"V"}, "version":"1", "aliases":{"live":"1"}, "timeoutSeconds":60,
 *         "memoryMegabytes":512, "maxConcurrency":10,
 *         "durable":{"executionTimeoutSeconds":86400, "retentionDays":14,
 *              "retry":{"firstDelaySeconds":1, "maxDelaySeconds":60, "maxAttempts":0}},
 *         "async":{"maximumRetryAttempts":2, "maximumEventAgeInSeconds":21600,
 *              "onFailure":"NAME"}}},
 *    "functionDefaults":{...},
 *    "cluster":"local", "maxTasks":1000,
 *    "taskDefinitions":{"FAMILY":{"revision":1, "containers":[{"name":"NAME", "image":"IMAGE",
 * "entryPoint":[], "command":[], "environment":{}, "stopTimeoutSeconds":30}]}},
 *    "httpApi":[{"path":"/workflows","function":"NAME"},{"path":"/v1","proxy":"http://HOST:PORT"}],
 *    "events":{"function":"NAME", "ecs":["STOPPED"], "executions":["FAILED","STOPPED"]}}
 *
 * A function has a "command", or "runtimeApi":"HOST:PORT" where its runtimes attach from outside
 * (local/aws/attach.h); it is durable where it has "durable" (maybe {}). "retentionSeconds" in
 * place of "retentionDays" is for tests. "async" belongs to one that is not durable: its members
 * are those of Lambda's PutFunctionEventInvokeConfig, and no chain of "onFailure" comes back to
 * where it began. What "functionDefaults" says holds for every function that does not say
 * otherwise; environments are put together; a member that is null takes a default away.
 *
 * "events": a function that is not durable gets the events "ECS Task State Change" of tasks whose
 * lastStatus is one of "ecs", and "Durable Execution Status Change" of executions whose status is
 * one of "executions" (RUNNING, SUCCEEDED, FAILED, TIMED_OUT, STOPPED). An absent list is an empty
 * one. How they are delivered: local/aws/outbox.h.
 *
 * Read once; any thread afterwards. */
#ifndef LOCAL_CONFIG_H
#define LOCAL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

struct config_credential {
    char *access_key;
    char *secret_key;
};

struct config_alias {
    char *name;
    char *version; /* the function's version or $LATEST */
};

/* Of asynchronous invocations of a plain function. */
struct config_async {
    unsigned max_retries; /* after a try that failed */
    int64_t max_age_s;
    char *on_failure; /* the plain function that is told of those that are given up; NULL: none */
};

/* Of invocations that failed: the delay doubles from the first up to the longest. */
struct config_retry {
    int64_t first_delay_s, max_delay_s;
    int64_t max_attempts; /* after so many failures in a row the execution fails; 0: never */
};

struct config_function {
    char *name;
    char **command;     /* ended by NULL; at least one, or none where there is a runtime_api */
    char *runtime_api;  /* HOST:PORT at which runtimes attach, or NULL */
    char *handler;      /* _HANDLER of the processes, or NULL */
    char **environment; /* "NAME=value", ended by NULL */
    char *version;      /* digits */
    struct config_alias *aliases;
    size_t alias_count;
    int64_t timeout_s;
    int64_t memory_mb;
    unsigned max_concurrency; /* environments at the same time */
    bool durable;
    int64_t execution_timeout_s; /* of durable functions */
    int64_t retention_s;
    struct config_retry retry;
    struct config_async async; /* of others */
};

struct config_container {
    char *name;
    char *image;        /* for the Docker driver; NULL: none */
    char **entry_point; /* ended by NULL, maybe empty */
    char **command;     /* the same */
    char **environment; /* "NAME=value", ended by NULL */
    int64_t stop_timeout_s;
};

struct config_task_definition {
    char *family;
    int64_t revision;
    struct config_container *containers;
    size_t container_count; /* at least one */
};

struct config_route {
    char *path;     /* this path and everything below it */
    char *function; /* one of both is NULL */
    char *proxy;
};

struct config_events {
    char *function;    /* NULL: no events */
    char **ecs;        /* lastStatus values, ended by NULL; NULL where there is no function */
    char **executions; /* statuses, the same */
};

struct config {
    char *region;
    char *account_id;
    struct config_credential *credentials;
    size_t credential_count;
    struct config_function *functions;
    size_t function_count;
    char *cluster;
    int64_t max_tasks; /* not stopped at the same time */
    struct config_task_definition *task_definitions;
    size_t task_definition_count;
    struct config_route *routes;
    size_t route_count;
    struct config_events events;
};

struct config *config_load(const char *file, struct error *err) CHECKED;
/* The same from text; `name` stands for the file in messages. */
struct config *config_parse(const char *text, size_t len, const char *name,
                            struct error *err) CHECKED;
/* Wipes the secrets; takes NULL. */
void config_free(struct config *c);

/* Each NULL where there is none. */
const struct config_function *config_function(const struct config *c, const char *name);
const struct config_task_definition *config_task_definition(const struct config *c,
                                                            const char *family);
const char *config_secret(const struct config *c, const char *access_key);
/* The value of `name` in a list of "NAME=value", or NULL. */
const char *config_variable(char *const *environment, const char *name);

#endif

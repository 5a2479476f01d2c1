#include "local/stack/stack_config.h"

#include <string.h>

#include "shared/base/json.h"

#define EXECUTION_TIMEOUT_S    86400
#define EXECUTION_TIMEOUT_TEXT "86400"

static struct json_object *list(const char *a, const char *b)
{
    struct json_object *o = json_object_new_array();
    json_push(o, json_new_str(a));
    if (b)
        json_push(o, json_new_str(b));
    return o;
}

static void add_env(struct json_object *env, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (!equals)
        return;
    auto_free char *name = mem_dup_len(pair, (size_t)(equals - pair));
    json_add_str(env, name, equals + 1);
}

static struct json_object *launcher_env(const struct stack_config *c)
{
    struct json_object *env = json_object_new_object();
    json_add_str(env, "ECS_CLUSTER", "local");
    json_add_str(env, "TASK_DEFINITION", "job");
    json_add_str(env, "ALLOWED_TASK_DEFINITIONS", "job,plain");
    json_add_str(env, "CONTAINER_NAME", "job");
    json_add_str(env, "LAUNCH_TYPE", "FARGATE");
    json_add_str(env, "SUBNETS", "subnet-local");
    json_add_str(env, "CALLBACK_BASE_URL", c->callbacks_url);
    json_add_str(env, "CALLBACK_TOKEN_KEYS", c->token_keys);
    json_add_str(env, "WORKFLOW_FUNCTION", "launcher:live");
    json_add_str(env, "EVENTS_DELAY_SECONDS", "1");
    /* With a shorter one, tests let executions run into it. */
    if (!c->execution_timeout_s)
        json_add_str(env, "EXECUTION_TIMEOUT_SECONDS", EXECUTION_TIMEOUT_TEXT);
    for (const char *const *p = c->launcher_env; p && *p; p++)
        add_env(env, *p);
    add_env(env, STACK_SANITIZER_ENV);
    return env;
}

static struct json_object *function(const struct stack_config *c, const char *handler,
                                    int timeout_s, int concurrency)
{
    auto_free char *program = mem_printf("%s/bootstrap", c->bin_dir);
    struct json_object *f = json_object_new_object();
    json_add(f, "command", list(program, handler));
    json_add(f, "environment", launcher_env(c));
    json_add_int(f, "timeoutSeconds", timeout_s);
    json_add_int(f, "maxConcurrency", concurrency);
    return f;
}

static struct json_object *task_definition(const char *entry_point)
{
    struct json_object *container = json_object_new_object();
    json_add_str(container, "name", "job");
    if (entry_point)
        json_add(container, "entryPoint", list(entry_point, "--"));
    else
        json_add(container, "command", list("true", NULL));
    json_add_int(container, "stopTimeoutSeconds", 10);
    struct json_object *containers = json_object_new_array();
    json_push(containers, container);
    struct json_object *definition = json_object_new_object();
    json_add(definition, "containers", containers);
    return definition;
}

static struct json_object *route(const char *path, const char *kind, const char *target)
{
    struct json_object *r = json_object_new_object();
    json_add_str(r, "path", path);
    json_add_str(r, kind, target);
    return r;
}

static struct json_object *words(const char *const *list)
{
    struct json_object *o = json_object_new_array();
    for (; *list; list++)
        json_push(o, json_new_str(*list));
    return o;
}

/* What design and template subscribe the handler to. */
static void add_events(const struct stack_config *c, struct json_object *root,
                       struct json_object *functions)
{
    static const char *const ecs[] = { "STOPPED", NULL };
    static const char *const executions[] = { "SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED", NULL };
    struct json_object *events = json_object_new_object();
    json_add_str(events, "function", "events");
    json_add(events, "ecs", words(ecs));
    json_add(events, "executions", words(executions));
    json_add(functions, "events", function(c, "events", 60, 4));
    json_add(root, "events", events);
}

char *stack_config_text(const struct stack_config *c)
{
    auto_free char *callback_run = mem_printf("%s/callback-run", c->bin_dir);
    auto_json struct json_object *root = json_object_new_object();
    struct json_object *functions = json_object_new_object();
    struct json_object *credentials = json_object_new_object();
    json_add_str(credentials, "test", "test");
    json_add_str(root, "region", "us-east-1");
    json_add_int(root, "maxTasks", 10000);
    json_add_str(root, "accountId", "123456789012");
    json_add(root, "credentials", credentials);
    struct json_object *launcher =
        function(c, "workflow", c->launcher_timeout_s ? c->launcher_timeout_s : 60, 10);
    struct json_object *durable = json_object_new_object();
    struct json_object *aliases = json_object_new_object();
    json_add_int(durable, "executionTimeoutSeconds",
                 c->execution_timeout_s ? c->execution_timeout_s : EXECUTION_TIMEOUT_S);
    json_add_int(durable, "retentionDays", 1);
    json_add(launcher, "durable", durable);
    json_add_str(aliases, "live", "1");
    json_add(launcher, "aliases", aliases);
    json_add(functions, "launcher", launcher);
    json_add(functions, "api", function(c, "api", 30, 4));
    if (c->events)
        add_events(c, root, functions);
    json_add(root, "functions", functions);

    struct json_object *definitions = json_object_new_object();
    json_add(definitions, "job", task_definition(callback_run));
    json_add(definitions, "plain", task_definition(NULL));
    json_add_str(root, "cluster", "local");
    json_add(root, "taskDefinitions", definitions);

    struct json_object *routes = json_object_new_array();
    json_push(routes, route("/workflows", "function", "api"));
    json_push(routes, route("/v1/callbacks", "proxy", c->callbacks_url));
    json_add(root, "httpApi", routes);
    return mem_dup(json_text(root, NULL));
}

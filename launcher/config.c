#include "launcher/config.h"

#include <stdlib.h>
#include <string.h>

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

static void fill_table(struct config *c)
{
    const struct opt table[] = {
        { "cluster", "ECS_CLUSTER", OPT_STR, &c->cluster, "default", 0, 0, "NAME",
          "ECS cluster, name or ARN" },
        { "task-definition", "TASK_DEFINITION", OPT_STR, &c->task_definition, NULL, 0, 0, "NAME",
          "task definition of jobs that name none" },
        { "allowed-task-definitions", "ALLOWED_TASK_DEFINITIONS", OPT_STR, &c->allowed_text, NULL,
          0, 0, "LIST", "task definitions that a workflow may name besides" },
        { "allow-command", "ALLOW_COMMAND", OPT_BOOL, &c->allow_command, "true", 0, 0, NULL,
          "let workflows say what the container runs" },
        { "container-name", "CONTAINER_NAME", OPT_STR, &c->container, "job", 0, 0, "NAME",
          "the container of the task that is the job" },
        { "subnets", "SUBNETS", OPT_STR, &c->subnets_text, NULL, 0, 0, "LIST",
          "subnets of tasks in awsvpc mode" },
        { "security-groups", "SECURITY_GROUPS", OPT_STR, &c->security_groups_text, NULL, 0, 0,
          "LIST", "their security groups" },
        { "assign-public-ip", "ASSIGN_PUBLIC_IP", OPT_BOOL, &c->assign_public_ip, "false", 0, 0,
          NULL, "give tasks a public address" },
        { "launch-type", "LAUNCH_TYPE", OPT_STR, &c->launch_type, NULL, 0, 0, "TYPE",
          "FARGATE, EC2, EXTERNAL or MANAGED_INSTANCES" },
        { "capacity-providers", "CAPACITY_PROVIDERS", OPT_STR, &c->capacity_providers_text, NULL, 0,
          0, "LIST", "capacity providers instead of a launch type" },
        { "callback-base-url", "CALLBACK_BASE_URL", OPT_STR, &c->callback_base_url, NULL, 0, 0,
          "URL", "how containers reach the callback receiver" },
        { "receiver-url", "RECEIVER_URL", OPT_STR, &c->receiver_url, NULL, 0, 0, "URL",
          "how the launcher reaches it, where that differs" },
        { NULL, "CALLBACK_TOKEN_KEYS", OPT_SECRET, &c->token_keys, NULL, 0, 0, NULL,
          "JSON of the keys that seal tokens" },
        { "callback-token-keys-secret", "CALLBACK_TOKEN_KEYS_SECRET", OPT_STR,
          &c->token_keys_secret, NULL, 0, 0, "ARN", "the secret that holds them instead" },
        { "callback-token-kid", "CALLBACK_TOKEN_KID", OPT_STR, &c->token_kid, NULL, 0, 0, "KID",
          "the key that seals, where there are several" },
        { "log-group", "LOG_GROUP", OPT_STR, &c->log_group, NULL, 0, 0, "NAME",
          "the log group of the job's container (awslogs-group)" },
        { "log-stream-prefix", "LOG_STREAM_PREFIX", OPT_STR, &c->log_prefix, NULL, 0, 0, "TEXT",
          "its awslogs-stream-prefix: failures name their log stream" },
        { "stop-timeout", "STOP_TIMEOUT_SECONDS", OPT_INT, &c->stop_timeout_s, "30", 1, 120, "S",
          "stopTimeout of the job's container" },
        { "events-delay", "EVENTS_DELAY_SECONDS", OPT_INT, &c->events_delay_s, "2", 0, 30, "S",
          "how long after its task's end a job may report by itself (handler events)" },
        { "execution-timeout", "EXECUTION_TIMEOUT_SECONDS", OPT_INT, &c->execution_timeout_s, "0",
          0, 31622400, "S", "the durable function's ExecutionTimeout; 0: not checked" },
        { "workflow-function", "WORKFLOW_FUNCTION", OPT_STR, &c->workflow_function, NULL, 0, 0,
          "NAME:QUALIFIER", "the durable function that runs workflows (handler api)" },
        { "metrics-namespace", "METRICS_NAMESPACE", OPT_STR, &c->metrics_text, "LambdaEcsDurable",
          0, 0, "NAME", "namespace of the metrics in CloudWatch; none: they are not written" },
        { "runtime-api", "AWS_LAMBDA_RUNTIME_API", OPT_STR, &c->runtime_api, NULL, 0, 0,
          "HOST:PORT", "the Runtime API; Lambda sets it" },
        { "log-level", "LOG_LEVEL", OPT_STR, &c->log_level_text, "info", 0, 0, "LEVEL",
          "debug, info, warn or error" },
        AWS_OPTIONS(c->aws),
    };
    _Static_assert(ARRAY_LEN(table) <= CONFIG_OPTIONS, "the table in struct config is too small");
    memcpy(c->table, table, sizeof(table));
}

static struct opts program(struct config *c)
{
    size_t count = 0;
    while (count < CONFIG_OPTIONS && c->table[count].dest)
        count++;
    return (struct opts){
        .program = "bootstrap",
        .synopsis = "workflow|api|events [options]",
        .about = "The Lambda functions that run container jobs as durable workflow steps. The\n"
                 "handler `workflow` is the durable function, `api` answers the HTTP API,\n"
                 "`events` takes ECS's and Lambda's own events.\n"
                 "Without an argument the variable _HANDLER names the handler.\n"
                 "A LIST is separated by commas.",
        .table = c->table,
        .count = count,
    };
}

/* The items of a comma list, white space around them dropped; `first` (may be NULL) in front. */
static char **split(const char *text, const char *first)
{
    size_t room = 3;
    for (const char *p = text; p && *p; p++)
        room += *p == ',';
    char **items = mem_array(room, sizeof(*items));
    size_t n = 0;
    if (first)
        items[n++] = mem_dup(first);
    while (text && *text) {
        text += strspn(text, " \t");
        size_t len = strcspn(text, ",");
        size_t used = len;
        while (used > 0 && strchr(" \t", text[used - 1]))
            used--;
        if (used > 0)
            items[n++] = mem_dup_len(text, used);
        text += len + (text[len] == ',');
    }
    return items;
}

static void free_list(char **items)
{
    for (char **p = items; p && *p; p++)
        free(*p);
    free(items);
}

void config_release(struct config *c)
{
    struct opts o = program(c);
    opts_release(&o);
    free_list(c->allowed);
    free_list(c->subnets);
    free_list(c->security_groups);
    free_list(c->capacity_providers);
    *c = (struct config){ .handler = CONFIG_WORKFLOW };
}

/* The variables that a flag may have overridden; the first of a name counts. */
#define OVERLAY 5

char **config_environment(const struct config *c, char *const *env)
{
    const struct {
        const char *name;
        const char *value;
    } ours[OVERLAY] = {
        { "AWS_REGION", c->aws.region },
        { "AWS_ENDPOINT_URL", c->aws.endpoint },
        { "AWS_ENDPOINT_URL_LAMBDA", c->aws.endpoint_lambda },
        { "AWS_LAMBDA_RUNTIME_API", c->runtime_api },
        { "AWS_LAMBDA_LOG_LEVEL",
          opts_env(env, "AWS_LAMBDA_LOG_LEVEL") ? NULL : c->log_level_text },
    };
    size_t count = 0;
    while (env[count])
        count++;
    char **out = mem_array(OVERLAY + count + 1, sizeof(*out));
    for (size_t i = 0; i < OVERLAY; i++) /* a place is kept for each, so that all can be freed */
        out[i] = mem_printf("%s=%s", ours[i].value ? ours[i].name : "",
                            ours[i].value ? ours[i].value : "");
    memcpy(out + OVERLAY, env, count * sizeof(*out));
    return out;
}

void config_environment_free(char **env)
{
    for (size_t i = 0; env && i < OVERLAY; i++)
        free(env[i]);
    free(env);
}

/* Where a revision begins in "family:7" or in such an ARN, else the end. */
static size_t family_len(const char *name)
{
    const char *colon = strrchr(name, ':');
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    bool revision = digits > 0 && !colon[1 + digits];
    return revision ? (size_t)(colon - name) : strlen(name);
}

bool config_allows(const char *const *allowed, const char *name)
{
    size_t family = family_len(name);
    for (; allowed && *allowed; allowed++) {
        if (strcmp(*allowed, name) == 0)
            return true;
        bool any_revision = family_len(*allowed) == strlen(*allowed);
        if (any_revision && strlen(*allowed) == family && strncmp(*allowed, name, family) == 0)
            return true;
    }
    return false;
}

static int check_url(char *url, const char *name, struct error *err)
{
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    if (!scheme || !url[scheme] || url[scheme] == '/')
        return error_set(err, ERR_INVALID, 0, "%s: must be an http:// or https:// URL", name);
    size_t len = strlen(url);
    if (len > CONFIG_CALLBACK_URL)
        return error_set(err, ERR_INVALID, 0, "%s: must be at most %d bytes long", name,
                         CONFIG_CALLBACK_URL);
    if (strcspn(url, "?# \t\r\n") != len)
        return error_set(err, ERR_INVALID, 0, "%s: must have no query, fragment or space", name);
    while (len > 0 && url[len - 1] == '/')
        url[--len] = '\0';
    return 0;
}

static int check_capacity(const struct config *c, struct error *err)
{
    static const char *const types[] = { "FARGATE", "EC2", "EXTERNAL", "MANAGED_INSTANCES" };
    if (!c->launch_type)
        return 0;
    if (c->capacity_providers[0])
        return error_set(err, ERR_INVALID, 0,
                         "LAUNCH_TYPE and CAPACITY_PROVIDERS exclude each other: unset one");
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(c->launch_type, types[i]) == 0)
            return 0;
    return error_set(err, ERR_INVALID, 0,
                     "LAUNCH_TYPE: must be FARGATE, EC2, EXTERNAL or MANAGED_INSTANCES");
}

/* Where the receiver is, and the keys for its tokens. */
static int check_receiver(struct config *c, struct error *err)
{
    if (!c->callback_base_url)
        return error_set(err, ERR_INVALID, 0, "CALLBACK_BASE_URL is not set");
    if (!c->token_keys && !c->token_keys_secret)
        return error_set(err, ERR_INVALID, 0,
                         "neither CALLBACK_TOKEN_KEYS nor CALLBACK_TOKEN_KEYS_SECRET is set");
    if (c->token_keys && c->token_keys_secret)
        return error_set(err, ERR_INVALID, 0,
                         "CALLBACK_TOKEN_KEYS and CALLBACK_TOKEN_KEYS_SECRET exclude each other: "
                         "unset one");
    if (!c->receiver_url)
        c->receiver_url = mem_dup(c->callback_base_url);
    if (check_url(c->callback_base_url, "CALLBACK_BASE_URL", err) < 0 ||
        check_url(c->receiver_url, "RECEIVER_URL", err) < 0)
        return -1;
    return 0;
}

static int check_workflow(struct config *c, struct error *err)
{
    if (!c->task_definition)
        return error_set(err, ERR_INVALID, 0, "TASK_DEFINITION is not set");
    return check_receiver(c, err) < 0 ? -1 : check_capacity(c, err);
}

static int check_function(struct config *c, struct error *err)
{
    const char *f = c->workflow_function;
    size_t name = strspn(f, NAME_CHARS);
    size_t qualifier = f[name] == ':' ? strspn(f + name + 1, NAME_CHARS "$") : 0;
    if (name == 0 || name > CONFIG_FUNCTION_NAME || qualifier == 0 || qualifier > 128 ||
        f[name + 1 + qualifier])
        return error_set(
            err, ERR_INVALID, 0,
            "WORKFLOW_FUNCTION: must be NAME:QUALIFIER, as in launcher:live (a durable "
            "function is invoked by version or alias)");
    memcpy(c->function_name, f, name);
    return 0;
}

static int check_api(struct config *c, struct error *err)
{
    if (!c->workflow_function)
        return error_set(err, ERR_INVALID, 0, "WORKFLOW_FUNCTION is not set");
    if (check_function(c, err) < 0)
        return -1;
    return c->token_keys || c->token_keys_secret ? check_receiver(c, err) : 0;
}

/* With WORKFLOW_FUNCTION the events of that function's executions alone count. */
static int check_events(struct config *c, struct error *err)
{
    if (c->workflow_function && check_function(c, err) < 0)
        return -1;
    return check_receiver(c, err);
}

static int find_handler(struct config *c, const char *word, struct error *err)
{
    if (!word)
        return error_set(err, ERR_INVALID, 0,
                         "no handler: give workflow, api or events as argument or in _HANDLER");
    if (strcmp(word, "workflow") == 0)
        c->handler = CONFIG_WORKFLOW;
    else if (strcmp(word, "api") == 0)
        c->handler = CONFIG_API;
    else if (strcmp(word, "events") == 0)
        c->handler = CONFIG_EVENTS;
    else
        return error_set(err, ERR_INVALID, 0, "unknown handler %.64s: workflow, api or events",
                         word);
    return 0;
}

int config_load(struct config *c, int argc, char *const *argv, char *const *env, struct error *err)
{
    *c = (struct config){ .handler = CONFIG_WORKFLOW };
    fill_table(c);
    struct opts o = program(c);
    const char *word = argc > 1 && argv[1][0] && argv[1][0] != '-' ? argv[1] : NULL;
    int skip = word ? 1 : 0;
    int at = opts_load(&o, argc - skip, argv + skip, env, err);
    if (at == OPTS_DONE)
        return OPTS_DONE;
    if (at < 0)
        return -1;
    if (!word && at < argc)
        word = argv[at++];
    if (at < argc - skip)
        return error_set(err, ERR_INVALID, 0, "unexpected argument %.64s", argv[at + skip]);
    if (find_handler(c, word ? word : opts_env(env, "_HANDLER"), err) < 0)
        return -1;
    if (log_level_parse(c->log_level_text, &c->log_level) < 0)
        return error_set(err, ERR_INVALID, 0, "LOG_LEVEL: must be debug, info, warn or error");
    if (strlen(c->container) > CONFIG_CONTAINER_NAME)
        return error_set(err, ERR_INVALID, 0, "CONTAINER_NAME: must be at most %d bytes long",
                         CONFIG_CONTAINER_NAME);
    c->refuse_command = !c->allow_command;
    c->metrics = strcmp(c->metrics_text, "none") == 0 ? NULL : c->metrics_text;
    c->allowed = split(c->allowed_text, c->task_definition);
    c->subnets = split(c->subnets_text, NULL);
    c->security_groups = split(c->security_groups_text, NULL);
    c->capacity_providers = split(c->capacity_providers_text, NULL);
    switch (c->handler) {
    case CONFIG_API:
        return check_api(c, err);
    case CONFIG_EVENTS:
        return check_events(c, err);
    case CONFIG_WORKFLOW:
        break;
    }
    return check_workflow(c, err);
}

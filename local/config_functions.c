#include "local/config_read.h"

#include <stdlib.h>
#include <string.h>

#include "local/config.h"

#define DAY_S  86400
#define YEAR_S 31622400

static int read_aliases(struct config_function *f, struct json_object *o, const char *at,
                        struct error *err)
{
    struct json_object *map = NULL;
    int found = json_field_obj(o, at, "aliases", &map, err);
    if (found != 1)
        return found;
    auto_free char *here = config_below(at, "aliases");
    f->aliases = mem_array((size_t)json_object_object_length(map), sizeof(*f->aliases));
    json_object_object_foreach(map, key, unused)
    {
        (void)unused;
        auto_free char *place = config_below(here, key);
        if (config_check_name(place, key, err) < 0)
            return -1;
        if (config_is_digits(key))
            return error_set(err, ERR_INVALID, 0, "%s: an alias is not a number", place);
        struct config_alias *alias = &f->aliases[f->alias_count++];
        alias->name = mem_dup(key);
        if (config_required(config_str(map, here, key, &alias->version, err), here, key, err) < 0)
            return -1;
        if (strcmp(alias->version, f->version) != 0 && strcmp(alias->version, "$LATEST") != 0)
            return error_set(err, ERR_INVALID, 0, "%s: there is no version %s", place,
                             alias->version);
    }
    return 0;
}

static int read_retention(struct config_function *f, struct json_object *o, const char *at,
                          struct error *err)
{
    int64_t days = 14, seconds;
    int by_days = json_field_int(o, at, "retentionDays", 1, 90, &days, err);
    int by_seconds =
        by_days < 0 ? -1 : json_field_int(o, at, "retentionSeconds", 1, 86400, &seconds, err);
    if (by_seconds < 0)
        return -1;
    if (by_days && by_seconds)
        return error_set(err, ERR_INVALID, 0, "%s: has both retentionDays and retentionSeconds",
                         at);
    f->retention_s = by_seconds ? seconds : days * DAY_S;
    return 0;
}

static int read_retry(struct config_function *f, struct json_object *o, const char *at,
                      struct error *err)
{
    static const char *const known[] = { "firstDelaySeconds", "maxDelaySeconds", "maxAttempts",
                                         NULL };
    struct json_object *retry = NULL;
    if (json_field_obj(o, at, "retry", &retry, err) < 0)
        return -1;
    f->retry = (struct config_retry){ .first_delay_s = 1, .max_delay_s = 60 };
    if (!retry)
        return 0;
    auto_free char *here = config_below(at, "retry");
    if (json_field_known(retry, here, known, err) < 0 ||
        json_field_int(retry, here, "firstDelaySeconds", 0, 3600, &f->retry.first_delay_s, err) <
            0 ||
        json_field_int(retry, here, "maxDelaySeconds", 0, 86400, &f->retry.max_delay_s, err) < 0 ||
        json_field_int(retry, here, "maxAttempts", 0, 1000000, &f->retry.max_attempts, err) < 0)
        return -1;
    return 0;
}

static int read_durable(struct config_function *f, struct json_object *o, const char *at,
                        struct error *err)
{
    static const char *const known[] = { "executionTimeoutSeconds", "retentionDays",
                                         "retentionSeconds", "retry", NULL };
    struct json_object *durable = NULL;
    int found = json_field_obj(o, at, "durable", &durable, err);
    if (found != 1)
        return found;
    auto_free char *here = config_below(at, "durable");
    f->durable = true;
    f->execution_timeout_s = DAY_S;
    if (json_field_known(durable, here, known, err) < 0 ||
        json_field_int(durable, here, "executionTimeoutSeconds", 1, YEAR_S, &f->execution_timeout_s,
                       err) < 0 ||
        read_retention(f, durable, here, err) < 0 || read_retry(f, durable, here, err) < 0)
        return -1;
    return 0;
}

static int read_async(struct config_function *f, struct json_object *o, const char *at,
                      struct error *err)
{
    static const char *const known[] = { "maximumRetryAttempts", "maximumEventAgeInSeconds",
                                         "onFailure", NULL };
    struct json_object *async = NULL;
    int64_t retries = 2;
    f->async.max_age_s = 21600;
    if (json_field_obj(o, at, "async", &async, err) < 0)
        return -1;
    auto_free char *here = config_below(at, "async");
    if (async && f->durable)
        return error_set(err, ERR_INVALID, 0,
                         "%s: belongs to a function that is not durable: leave one out", here);
    if (async && (json_field_known(async, here, known, err) < 0 ||
                  json_field_int(async, here, "maximumRetryAttempts", 0, 2, &retries, err) < 0 ||
                  json_field_int(async, here, "maximumEventAgeInSeconds", 60, 21600,
                                 &f->async.max_age_s, err) < 0 ||
                  config_str(async, here, "onFailure", &f->async.on_failure, err) < 0))
        return -1;
    f->async.max_retries = (unsigned)retries;
    return 0;
}

/* The function that is told of what `f` gives up is there, and what that one gives up in its turn
 * does not come back. */
static int check_on_failure(const struct config *c, const struct config_function *f,
                            struct error *err)
{
    const struct config_function *to = f;
    for (size_t i = 0; to && to->async.on_failure; i++) {
        const char *name = to->async.on_failure;
        to = config_function(c, name);
        if (i == 0 && !to)
            return error_set(err, ERR_INVALID, 0,
                             "/functions/%s/async/onFailure: there is no function %s", f->name,
                             name);
        if (i == 0 && to->durable)
            return error_set(err, ERR_INVALID, 0,
                             "/functions/%s/async/onFailure: %s is a durable function: name a "
                             "plain one, which may start it",
                             f->name, name);
        if (to == f)
            return error_set(err, ERR_INVALID, 0,
                             "/functions/%s/async/onFailure: what %s gives up would come back to "
                             "it without end",
                             f->name, f->name);
        if (i == c->function_count)
            break; /* it turns in a circle that others are in */
    }
    return 0;
}

/* A process of its own, or the address where runtimes attach. */
static int read_runtime(struct config_function *f, struct json_object *o, const char *at,
                        struct error *err)
{
    if (config_list(o, at, "command", &f->command, err) < 0 ||
        config_str(o, at, "runtimeApi", &f->runtime_api, err) < 0 ||
        config_str(o, at, "handler", &f->handler, err) < 0)
        return -1;
    if (f->runtime_api && f->command[0])
        return error_set(err, ERR_INVALID, 0,
                         "%s: has both a command and a runtimeApi: leave one out", at);
    if (f->runtime_api && !strchr(f->runtime_api, ':'))
        return error_set(err, ERR_INVALID, 0, "%s/runtimeApi: must be HOST:PORT", at);
    if (f->runtime_api && f->handler)
        return error_set(err, ERR_INVALID, 0,
                         "%s/handler: belongs to a command; a runtime that attaches has its own",
                         at);
    if (!f->runtime_api && (!f->command[0] || !f->command[0][0]))
        return error_set(err, ERR_INVALID, 0,
                         "%s/command: must name a program (or give a runtimeApi)", at);
    return 0;
}

static int read_function(struct config_function *f, const char *name, struct json_object *o,
                         const char *at, struct error *err)
{
    static const char *const known[] = { "command",        "runtimeApi",      "handler",
                                         "environment",    "version",         "aliases",
                                         "timeoutSeconds", "memoryMegabytes", "maxConcurrency",
                                         "durable",        "async",           NULL };
    int64_t concurrency = 10;
    f->name = mem_dup(name);
    f->version = mem_dup("1");
    f->timeout_s = 60;
    f->memory_mb = 512;
    if (config_check_name(at, name, err) < 0 || json_field_known(o, at, known, err) < 0 ||
        read_runtime(f, o, at, err) < 0 || config_environment(o, at, &f->environment, err) < 0 ||
        config_str(o, at, "version", &f->version, err) < 0 ||
        json_field_int(o, at, "timeoutSeconds", 1, 900, &f->timeout_s, err) < 0 ||
        json_field_int(o, at, "memoryMegabytes", 128, 10240, &f->memory_mb, err) < 0 ||
        json_field_int(o, at, "maxConcurrency", 1, 1000, &concurrency, err) < 0)
        return -1;
    f->max_concurrency = (unsigned)concurrency;
    if (!config_is_digits(f->version))
        return error_set(err, ERR_INVALID, 0, "%s/version: must be a number in a string", at);
    if (read_aliases(f, o, at, err) < 0 || read_durable(f, o, at, err) < 0)
        return -1;
    return read_async(f, o, at, err);
}

/* Adds what `own` does not say, down into its objects: an environment is both together, its own
 * variables first. A member that is null in `own` is left out. */
static void add_defaults(struct json_object *own, struct json_object *defaults)
{
    if (!defaults)
        return;
    json_object_object_foreach(defaults, key, value)
    {
        struct json_object *found = NULL;
        if (!json_object_object_get_ex(own, key, &found))
            json_add(own, key, json_object_get(value));
        else if (json_object_is_type(found, json_type_object) &&
                 json_object_is_type(value, json_type_object))
            add_defaults(found, value);
    }
}

int config_read_functions(struct config *c, struct json_object *root, struct error *err)
{
    struct json_object *map = NULL, *defaults = NULL;
    if (json_field_obj(root, "", "functionDefaults", &defaults, err) < 0)
        return -1;
    int found = json_field_obj(root, "", "functions", &map, err);
    if (found != 1)
        return found;
    c->functions = mem_array((size_t)json_object_object_length(map), sizeof(*c->functions));
    json_object_object_foreach(map, key, unused)
    {
        (void)unused;
        struct json_object *o = NULL;
        auto_free char *at = config_below("/functions", key);
        if (config_required(json_field_obj(map, "/functions", key, &o, err), "/functions", key,
                            err) < 0)
            return -1;
        /* A default that is changed for one function must not change for the next. */
        struct error ignored;
        auto_json struct json_object *copy = NULL;
        if (defaults && json_parse_str(json_text(defaults, NULL), &copy, &ignored) < 0)
            return error_set(err, ERR_INTERNAL, 0, "/functionDefaults: %s", ignored.msg);
        add_defaults(o, copy);
        if (read_function(&c->functions[c->function_count++], key, o, at, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < c->function_count; i++)
        if (check_on_failure(c, &c->functions[i], err) < 0)
            return -1;
    return 0;
}

void config_release_function(struct config_function *f)
{
    for (size_t i = 0; i < f->alias_count; i++) {
        free(f->aliases[i].name);
        free(f->aliases[i].version);
    }
    free(f->aliases);
    config_free_list(f->command);
    config_free_list(f->environment);
    free(f->name);
    free(f->version);
    free(f->runtime_api);
    free(f->handler);
    free(f->async.on_failure);
}

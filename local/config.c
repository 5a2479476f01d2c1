#include "local/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "local/config_read.h"
#include "shared/base/encode.h"

/* ---- task definitions ------------------------------------------------------------------------ */

static int read_container(struct config_container *c, struct json_object *o, const char *at,
                          struct error *err)
{
    static const char *const known[] = { "name",    "image",       "entryPoint",
                                         "command", "environment", "stopTimeoutSeconds",
                                         NULL };
    if (!json_object_is_type(o, json_type_object))
        return error_set(err, ERR_INVALID, 0, "%s: must be an object", at);
    c->stop_timeout_s = 30;
    if (json_field_known(o, at, known, err) < 0 ||
        config_required(config_name(o, at, "name", &c->name, err), at, "name", err) < 0 ||
        config_str(o, at, "image", &c->image, err) < 0 ||
        config_list(o, at, "entryPoint", &c->entry_point, err) < 0 ||
        config_list(o, at, "command", &c->command, err) < 0 ||
        config_environment(o, at, &c->environment, err) < 0 ||
        json_field_int(o, at, "stopTimeoutSeconds", 0, 120, &c->stop_timeout_s, err) < 0)
        return -1;
    return 0;
}

static int read_task_definition(struct config_task_definition *t, const char *family,
                                struct json_object *o, const char *at, struct error *err)
{
    static const char *const known[] = { "revision", "containers", NULL };
    struct json_object *list = NULL;
    t->family = mem_dup(family);
    t->revision = 1;
    if (config_check_name(at, family, err) < 0 || json_field_known(o, at, known, err) < 0 ||
        json_field_int(o, at, "revision", 1, INT32_MAX, &t->revision, err) < 0 ||
        config_required(json_field_arr(o, at, "containers", 10, &list, err), at, "containers",
                        err) < 0)
        return -1;
    size_t n = json_object_array_length(list);
    auto_free char *here = config_below(at, "containers");
    if (n == 0)
        return error_set(err, ERR_INVALID, 0, "%s: must have a container", here);
    t->containers = mem_array(n, sizeof(*t->containers));
    for (size_t i = 0; i < n; i++) {
        auto_free char *place = config_item(here, i);
        if (read_container(&t->containers[t->container_count++], json_object_array_get_idx(list, i),
                           place, err) < 0)
            return -1;
    }
    return 0;
}

static int read_task_definitions(struct config *c, struct json_object *root, struct error *err)
{
    struct json_object *map = NULL;
    int found = json_field_obj(root, "", "taskDefinitions", &map, err);
    if (found != 1)
        return found;
    c->task_definitions =
        mem_array((size_t)json_object_object_length(map), sizeof(*c->task_definitions));
    json_object_object_foreach(map, key, unused)
    {
        (void)unused;
        struct json_object *o = NULL;
        auto_free char *at = config_below("/taskDefinitions", key);
        if (config_required(json_field_obj(map, "/taskDefinitions", key, &o, err),
                            "/taskDefinitions", key, err) < 0 ||
            read_task_definition(&c->task_definitions[c->task_definition_count++], key, o, at,
                                 err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int read_route(struct config *c, struct config_route *r, struct json_object *o,
                      const char *at, struct error *err)
{
    static const char *const known[] = { "path", "function", "proxy", NULL };
    if (!json_object_is_type(o, json_type_object))
        return error_set(err, ERR_INVALID, 0, "%s: must be an object", at);
    if (json_field_known(o, at, known, err) < 0 ||
        config_required(config_str(o, at, "path", &r->path, err), at, "path", err) < 0 ||
        config_str(o, at, "function", &r->function, err) < 0 ||
        config_str(o, at, "proxy", &r->proxy, err) < 0)
        return -1;
    if (r->path[0] != '/')
        return error_set(err, ERR_INVALID, 0, "%s/path: must begin with /", at);
    if (!r->function == !r->proxy)
        return error_set(err, ERR_INVALID, 0, "%s: needs either a function or a proxy", at);
    if (r->function && !config_function(c, r->function))
        return error_set(err, ERR_INVALID, 0, "%s/function: there is no function %s", at,
                         r->function);
    if (r->proxy && strncmp(r->proxy, "http://", 7) != 0)
        return error_set(err, ERR_INVALID, 0, "%s/proxy: must begin with http://", at);
    return 0;
}

static int read_routes(struct config *c, struct json_object *root, struct error *err)
{
    struct json_object *list = NULL;
    int found = json_field_arr(root, "", "httpApi", CONFIG_ITEMS, &list, err);
    if (found != 1)
        return found;
    size_t n = json_object_array_length(list);
    c->routes = mem_array(n, sizeof(*c->routes));
    for (size_t i = 0; i < n; i++) {
        auto_free char *at = config_item("/httpApi", i);
        if (read_route(c, &c->routes[c->route_count++], json_object_array_get_idx(list, i), at,
                       err) < 0)
            return -1;
    }
    return 0;
}

/* Each of the list is one of `words` (ended by NULL), and none is there twice. */
static int check_words(char *const *list, const char *at, const char *key, const char *const *words,
                       struct error *err)
{
    for (size_t i = 0; list[i]; i++) {
        size_t w = 0;
        while (words[w] && strcmp(words[w], list[i]) != 0)
            w++;
        if (!words[w])
            return error_set(err, ERR_INVALID, 0, "%s/%s/%zu: there is no such status", at, key, i);
        for (size_t j = 0; j < i; j++)
            if (strcmp(list[j], list[i]) == 0)
                return error_set(err, ERR_INVALID, 0, "%s/%s/%zu: is there twice", at, key, i);
    }
    return 0;
}

static int read_events(struct config *c, struct json_object *root, struct error *err)
{
    static const char *const known[] = { "function", "ecs", "executions", NULL };
    static const char *const tasks[] = { "PROVISIONING", "PENDING",  "RUNNING",
                                         "DEACTIVATING", "STOPPING", "DEPROVISIONING",
                                         "STOPPED",      NULL };
    static const char *const executions[] = { "RUNNING",   "SUCCEEDED", "FAILED",
                                              "TIMED_OUT", "STOPPED",   NULL };
    struct json_object *o = NULL;
    struct config_events *e = &c->events;
    int found = json_field_obj(root, "", "events", &o, err);
    if (found != 1)
        return found;
    if (json_field_known(o, "/events", known, err) < 0 ||
        config_required(config_str(o, "/events", "function", &e->function, err), "/events",
                        "function", err) < 0 ||
        config_list(o, "/events", "ecs", &e->ecs, err) < 0 ||
        config_list(o, "/events", "executions", &e->executions, err) < 0 ||
        check_words(e->ecs, "/events", "ecs", tasks, err) < 0 ||
        check_words(e->executions, "/events", "executions", executions, err) < 0)
        return -1;
    const struct config_function *f = config_function(c, e->function);
    if (!f)
        return error_set(err, ERR_INVALID, 0, "/events/function: there is no function %s",
                         e->function);
    if (f->durable)
        return error_set(err, ERR_INVALID, 0, "/events/function: %s is a durable function",
                         e->function);
    return 0;
}

static int read_credentials(struct config *c, struct json_object *root, struct error *err)
{
    struct json_object *map = NULL;
    if (config_required(json_field_obj(root, "", "credentials", &map, err), "", "credentials",
                        err) < 0)
        return -1;
    size_t n = (size_t)json_object_object_length(map);
    if (n == 0)
        return error_set(err, ERR_INVALID, 0, "/credentials: must have one access key");
    c->credentials = mem_array(n, sizeof(*c->credentials));
    json_object_object_foreach(map, key, unused)
    {
        (void)unused;
        struct config_credential *cred = &c->credentials[c->credential_count++];
        cred->access_key = mem_dup(key);
        int found = config_str(map, "/credentials", key, &cred->secret_key, err);
        if (config_required(found, "/credentials", key, err) < 0)
            return -1;
        if (!*key || !*cred->secret_key)
            return error_set(err, ERR_INVALID, 0, "/credentials: a key is empty");
    }
    return 0;
}

static int read_config(struct config *c, struct json_object *root, struct error *err)
{
    static const char *const known[] = {
        "region",           "accountId", "credentials", "functions",
        "functionDefaults", "maxTasks",  "cluster",     "taskDefinitions",
        "httpApi",          "events",    NULL
    };
    if (!json_object_is_type(root, json_type_object))
        return error_set(err, ERR_INVALID, 0, "must be a JSON object");
    c->region = mem_dup("us-east-1");
    c->account_id = mem_dup("123456789012");
    c->cluster = mem_dup("local");
    c->max_tasks = 1000;
    if (json_field_known(root, "", known, err) < 0 ||
        config_name(root, "", "region", &c->region, err) < 0 ||
        config_str(root, "", "accountId", &c->account_id, err) < 0 ||
        config_name(root, "", "cluster", &c->cluster, err) < 0 ||
        json_field_int(root, "", "maxTasks", 1, 100000, &c->max_tasks, err) < 0 ||
        read_credentials(c, root, err) < 0 || config_read_functions(c, root, err) < 0 ||
        read_task_definitions(c, root, err) < 0 || read_routes(c, root, err) < 0 ||
        read_events(c, root, err) < 0)
        return -1;
    if (strlen(c->account_id) != 12 || !config_is_digits(c->account_id))
        return error_set(err, ERR_INVALID, 0, "/accountId: must be 12 digits");
    return 0;
}

struct config *config_parse(const char *text, size_t len, const char *name, struct error *err)
{
    auto_json struct json_object *root = NULL;
    struct config *c = mem_alloc(sizeof(*c));
    if (json_parse(text, len, JSON_DEPTH, &root, err) < 0 || read_config(c, root, err) < 0) {
        error_wrap(err, "%s", name);
        config_free(c);
        return NULL;
    }
    return c;
}

struct config *config_load(const char *file, struct error *err)
{
    auto_close int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set_errno(err, errno, "cannot open %s", file);
        return NULL;
    }
    auto_buf struct buf text = BUF_INIT(CONFIG_FILE);
    char chunk[8192];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        if (buf_add(&text, chunk, (size_t)n) < 0) {
            error_set(err, ERR_TOO_LARGE, 0, "%s: has more than %u bytes", file, CONFIG_FILE);
            return NULL;
        }
    if (n < 0) {
        error_set_errno(err, errno, "cannot read %s", file);
        return NULL;
    }
    return config_parse(buf_str(&text), text.len, file, err);
}

static void free_task_definition(struct config_task_definition *t)
{
    for (size_t i = 0; i < t->container_count; i++) {
        free(t->containers[i].name);
        free(t->containers[i].image);
        config_free_list(t->containers[i].entry_point);
        config_free_list(t->containers[i].command);
        config_free_list(t->containers[i].environment);
    }
    free(t->containers);
    free(t->family);
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->credential_count; i++) {
        free(c->credentials[i].access_key);
        mem_free_secret(c->credentials[i].secret_key);
    }
    for (size_t i = 0; i < c->function_count; i++)
        config_release_function(&c->functions[i]);
    for (size_t i = 0; i < c->task_definition_count; i++)
        free_task_definition(&c->task_definitions[i]);
    for (size_t i = 0; i < c->route_count; i++) {
        free(c->routes[i].path);
        free(c->routes[i].function);
        free(c->routes[i].proxy);
    }
    free(c->events.function);
    config_free_list(c->events.ecs);
    config_free_list(c->events.executions);
    free(c->credentials);
    free(c->functions);
    free(c->task_definitions);
    free(c->routes);
    free(c->region);
    free(c->account_id);
    free(c->cluster);
    free(c);
}

const struct config_function *config_function(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->function_count; i++)
        if (strcmp(c->functions[i].name, name) == 0)
            return &c->functions[i];
    return NULL;
}

const struct config_task_definition *config_task_definition(const struct config *c,
                                                            const char *family)
{
    for (size_t i = 0; i < c->task_definition_count; i++)
        if (strcmp(c->task_definitions[i].family, family) == 0)
            return &c->task_definitions[i];
    return NULL;
}

const char *config_secret(const struct config *c, const char *access_key)
{
    for (size_t i = 0; i < c->credential_count; i++)
        if (strcmp(c->credentials[i].access_key, access_key) == 0)
            return c->credentials[i].secret_key;
    return NULL;
}

const char *config_variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (char *const *p = environment; *p; p++)
        if (strncmp(*p, name, len) == 0 && (*p)[len] == '=')
            return *p + len + 1;
    return NULL;
}

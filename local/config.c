#include "local/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/encode.h"
#include "shared/base/json.h"

#define MAX_FILE  (1U << 20)
#define MAX_ITEMS 256
#define MAX_TEXT  4096
#define YEAR_S    31622400

/* ---- small readers --------------------------------------------------------------------------- */

/* The pointer of member `key` below `at`; the caller's. */
static char *below(const char *at, const char *key)
{
    auto_buf struct buf b = BUF_INIT(4096);
    buf_printf(&b, "%s/", at);
    for (const char *p = key; *p; p++) {
        if (*p == '~')
            buf_add_str(&b, "~0");
        else if (*p == '/')
            buf_add_str(&b, "~1");
        else
            buf_add_char(&b, *p);
    }
    return buf_take(&b, NULL);
}

static char *item_of(const char *at, size_t i)
{
    return mem_printf("%s/%zu", at, i);
}

static bool is_name(const char *s)
{
    return *s && strlen(s) <= 64 &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
               strlen(s);
}

static int check_name(const char *at, const char *name, struct error *err)
{
    if (is_name(name))
        return 0;
    return error_set(err, ERR_INVALID, 0,
                     "%s: a name has 1 to 64 letters, digits, hyphens and underscores", at);
}

static int required(int found, const char *at, const char *key, struct error *err)
{
    if (found == 0)
        return error_set(err, ERR_INVALID, 0, "%s/%s: is missing", at, key);
    return found;
}

/* A string into *out (which holds the default, or NULL). */
static int read_str(struct json_object *o, const char *at, const char *key, char **out,
                    struct error *err)
{
    const char *s;
    int found = json_field_str(o, at, key, MAX_TEXT, &s, err);
    if (found == 1) {
        free(*out);
        *out = mem_dup(s);
    }
    return found;
}

static int read_name(struct json_object *o, const char *at, const char *key, char **out,
                     struct error *err)
{
    int found = read_str(o, at, key, out, err);
    if (found != 1)
        return found;
    auto_free char *here = below(at, key);
    return check_name(here, *out, err) < 0 ? -1 : 1;
}

static void free_list(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

/* A list of strings; absent is an empty one. */
static int read_list(struct json_object *o, const char *at, const char *key, char ***out,
                     struct error *err)
{
    struct json_object *list = NULL;
    if (json_field_arr(o, at, key, MAX_ITEMS, &list, err) < 0)
        return -1;
    size_t n = list ? json_object_array_length(list) : 0;
    *out = mem_array(n + 1, sizeof(**out));
    auto_free char *here = below(at, key);
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        const char *s =
            json_object_is_type(item, json_type_string) ? json_object_get_string(item) : NULL;
        if (!s || strlen(s) != (size_t)json_object_get_string_len(item))
            return error_set(err, ERR_INVALID, 0, "%s/%zu: must be a string without NUL", here, i);
        (*out)[i] = mem_dup(s);
    }
    return 0;
}

/* An object of strings as "NAME=value"; absent is an empty one. */
static int read_environment(struct json_object *o, const char *at, char ***out, struct error *err)
{
    struct json_object *map = NULL;
    if (json_field_obj(o, at, "environment", &map, err) < 0)
        return -1;
    size_t n = map ? (size_t)json_object_object_length(map) : 0, i = 0;
    *out = mem_array(n + 1, sizeof(**out));
    if (!map)
        return 0;
    auto_free char *here = below(at, "environment");
    json_object_object_foreach(map, key, unused)
    {
        (void)unused;
        const char *value;
        if (!*key || strchr(key, '='))
            return error_set(err, ERR_INVALID, 0, "%s/%s: not the name of a variable", here, key);
        int found = json_field_str(map, here, key, MAX_FILE, &value, err);
        if (required(found, here, key, err) < 0)
            return -1;
        (*out)[i++] = mem_printf("%s=%s", key, value);
    }
    return 0;
}

static bool is_digits(const char *s)
{
    return *s && strspn(s, "0123456789") == strlen(s);
}

/* ---- functions ------------------------------------------------------------------------------- */

static int read_aliases(struct config_function *f, struct json_object *o, const char *at,
                        struct error *err)
{
    struct json_object *map = NULL;
    int found = json_field_obj(o, at, "aliases", &map, err);
    if (found != 1)
        return found;
    auto_free char *here = below(at, "aliases");
    f->aliases = mem_array((size_t)json_object_object_length(map), sizeof(*f->aliases));
    json_object_object_foreach(map, key, unused)
    {
        (void)unused;
        auto_free char *place = below(here, key);
        if (check_name(place, key, err) < 0)
            return -1;
        if (is_digits(key))
            return error_set(err, ERR_INVALID, 0, "%s: an alias is not a number", place);
        struct config_alias *alias = &f->aliases[f->alias_count++];
        alias->name = mem_dup(key);
        if (required(read_str(map, here, key, &alias->version, err), here, key, err) < 0)
            return -1;
        if (strcmp(alias->version, f->version) != 0 && strcmp(alias->version, "$LATEST") != 0)
            return error_set(err, ERR_INVALID, 0, "%s: there is no version %s", place,
                             alias->version);
    }
    return 0;
}

static int read_durable(struct config_function *f, struct json_object *o, const char *at,
                        struct error *err)
{
    static const char *const known[] = { "executionTimeoutSeconds", "retentionDays", NULL };
    struct json_object *durable = NULL;
    int found = json_field_obj(o, at, "durable", &durable, err);
    if (found != 1)
        return found;
    auto_free char *here = below(at, "durable");
    f->durable = true;
    f->execution_timeout_s = 86400;
    f->retention_days = 14;
    if (json_field_known(durable, here, known, err) < 0 ||
        json_field_int(durable, here, "executionTimeoutSeconds", 1, YEAR_S, &f->execution_timeout_s,
                       err) < 0 ||
        json_field_int(durable, here, "retentionDays", 1, 90, &f->retention_days, err) < 0)
        return -1;
    return 0;
}

static int read_function(struct config_function *f, const char *name, struct json_object *o,
                         const char *at, struct error *err)
{
    static const char *const known[] = { "command",        "environment",    "version", "aliases",
                                         "timeoutSeconds", "maxConcurrency", "durable", NULL };
    int64_t concurrency = 10;
    f->name = mem_dup(name);
    f->version = mem_dup("1");
    f->timeout_s = 60;
    if (check_name(at, name, err) < 0 || json_field_known(o, at, known, err) < 0 ||
        read_list(o, at, "command", &f->command, err) < 0 ||
        read_environment(o, at, &f->environment, err) < 0 ||
        read_str(o, at, "version", &f->version, err) < 0 ||
        json_field_int(o, at, "timeoutSeconds", 1, 900, &f->timeout_s, err) < 0 ||
        json_field_int(o, at, "maxConcurrency", 1, 1000, &concurrency, err) < 0)
        return -1;
    f->max_concurrency = (unsigned)concurrency;
    if (!f->command[0] || !f->command[0][0])
        return error_set(err, ERR_INVALID, 0, "%s/command: must name a program", at);
    if (!is_digits(f->version))
        return error_set(err, ERR_INVALID, 0, "%s/version: must be a number in a string", at);
    return read_aliases(f, o, at, err) < 0 ? -1 : read_durable(f, o, at, err);
}

static int read_functions(struct config *c, struct json_object *root, struct error *err)
{
    struct json_object *map = NULL;
    int found = json_field_obj(root, "", "functions", &map, err);
    if (found != 1)
        return found;
    c->functions = mem_array((size_t)json_object_object_length(map), sizeof(*c->functions));
    json_object_object_foreach(map, key, unused)
    {
        (void)unused;
        struct json_object *o = NULL;
        auto_free char *at = below("/functions", key);
        if (required(json_field_obj(map, "/functions", key, &o, err), "/functions", key, err) < 0 ||
            read_function(&c->functions[c->function_count++], key, o, at, err) < 0)
            return -1;
    }
    return 0;
}

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
        required(read_name(o, at, "name", &c->name, err), at, "name", err) < 0 ||
        read_str(o, at, "image", &c->image, err) < 0 ||
        read_list(o, at, "entryPoint", &c->entry_point, err) < 0 ||
        read_list(o, at, "command", &c->command, err) < 0 ||
        read_environment(o, at, &c->environment, err) < 0 ||
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
    if (check_name(at, family, err) < 0 || json_field_known(o, at, known, err) < 0 ||
        json_field_int(o, at, "revision", 1, INT32_MAX, &t->revision, err) < 0 ||
        required(json_field_arr(o, at, "containers", 10, &list, err), at, "containers", err) < 0)
        return -1;
    size_t n = json_object_array_length(list);
    auto_free char *here = below(at, "containers");
    if (n == 0)
        return error_set(err, ERR_INVALID, 0, "%s: must have a container", here);
    t->containers = mem_array(n, sizeof(*t->containers));
    for (size_t i = 0; i < n; i++) {
        auto_free char *place = item_of(here, i);
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
        auto_free char *at = below("/taskDefinitions", key);
        if (required(json_field_obj(map, "/taskDefinitions", key, &o, err), "/taskDefinitions", key,
                     err) < 0 ||
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
        required(read_str(o, at, "path", &r->path, err), at, "path", err) < 0 ||
        read_str(o, at, "function", &r->function, err) < 0 ||
        read_str(o, at, "proxy", &r->proxy, err) < 0)
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
    int found = json_field_arr(root, "", "httpApi", MAX_ITEMS, &list, err);
    if (found != 1)
        return found;
    size_t n = json_object_array_length(list);
    c->routes = mem_array(n, sizeof(*c->routes));
    for (size_t i = 0; i < n; i++) {
        auto_free char *at = item_of("/httpApi", i);
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
        required(read_str(o, "/events", "function", &e->function, err), "/events", "function",
                 err) < 0 ||
        read_list(o, "/events", "ecs", &e->ecs, err) < 0 ||
        read_list(o, "/events", "executions", &e->executions, err) < 0 ||
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
    if (required(json_field_obj(root, "", "credentials", &map, err), "", "credentials", err) < 0)
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
        int found = read_str(map, "/credentials", key, &cred->secret_key, err);
        if (required(found, "/credentials", key, err) < 0)
            return -1;
        if (!*key || !*cred->secret_key)
            return error_set(err, ERR_INVALID, 0, "/credentials: a key is empty");
    }
    return 0;
}

static int read_config(struct config *c, struct json_object *root, struct error *err)
{
    static const char *const known[] = { "region",    "accountId", "credentials",
                                         "functions", "cluster",   "taskDefinitions",
                                         "httpApi",   "events",    NULL };
    if (!json_object_is_type(root, json_type_object))
        return error_set(err, ERR_INVALID, 0, "must be a JSON object");
    c->region = mem_dup("us-east-1");
    c->account_id = mem_dup("123456789012");
    c->cluster = mem_dup("local");
    if (json_field_known(root, "", known, err) < 0 ||
        read_name(root, "", "region", &c->region, err) < 0 ||
        read_str(root, "", "accountId", &c->account_id, err) < 0 ||
        read_name(root, "", "cluster", &c->cluster, err) < 0 ||
        read_credentials(c, root, err) < 0 || read_functions(c, root, err) < 0 ||
        read_task_definitions(c, root, err) < 0 || read_routes(c, root, err) < 0 ||
        read_events(c, root, err) < 0)
        return -1;
    if (strlen(c->account_id) != 12 || !is_digits(c->account_id))
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
    auto_buf struct buf text = BUF_INIT(MAX_FILE);
    char chunk[8192];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        if (buf_add(&text, chunk, (size_t)n) < 0) {
            error_set(err, ERR_TOO_LARGE, 0, "%s: has more than %u bytes", file, MAX_FILE);
            return NULL;
        }
    if (n < 0) {
        error_set_errno(err, errno, "cannot read %s", file);
        return NULL;
    }
    return config_parse(buf_str(&text), text.len, file, err);
}

static void free_function(struct config_function *f)
{
    for (size_t i = 0; i < f->alias_count; i++) {
        free(f->aliases[i].name);
        free(f->aliases[i].version);
    }
    free(f->aliases);
    free_list(f->command);
    free_list(f->environment);
    free(f->name);
    free(f->version);
}

static void free_task_definition(struct config_task_definition *t)
{
    for (size_t i = 0; i < t->container_count; i++) {
        free(t->containers[i].name);
        free(t->containers[i].image);
        free_list(t->containers[i].entry_point);
        free_list(t->containers[i].command);
        free_list(t->containers[i].environment);
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
        free_function(&c->functions[i]);
    for (size_t i = 0; i < c->task_definition_count; i++)
        free_task_definition(&c->task_definitions[i]);
    for (size_t i = 0; i < c->route_count; i++) {
        free(c->routes[i].path);
        free(c->routes[i].function);
        free(c->routes[i].proxy);
    }
    free(c->events.function);
    free_list(c->events.ecs);
    free_list(c->events.executions);
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

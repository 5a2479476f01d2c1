#include "local/aws/ecs_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INVALID "InvalidParameterException"
#define LONG    2048 /* ARNs and the like */

int ecs_fail(struct error *err, const char *type, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    auto_free char *text = mem_vprintf(fmt, ap);
    va_end(ap);
    error_set(err, ERR_INVALID, 0, "%s", text);
    if (err)
        error_set_type(err, type);
    return -1;
}

/* Gives a failure of the field readers the exception's name. */
static int invalid(int rc, struct error *err)
{
    if (rc < 0)
        error_set_type(err, INVALID);
    return rc;
}

/* ---- members ----------------------------------------------------------------------------------*/

static int one_of(const char *at, const char *value, const char *const *words, struct error *err)
{
    for (const char *const *w = words; *w; w++)
        if (strcmp(*w, value) == 0)
            return 0;
    return ecs_fail(err, INVALID, "%s: \"%.100s\" is not one of the known values", at, value);
}

static int only(const char *at, const char *value, const char *extra, struct error *err)
{
    for (const char *p = value; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || strchr(extra, *p);
        if (!plain)
            return ecs_fail(err, INVALID, "%s: has a character that is not allowed", at);
    }
    return 0;
}

static int check_token(const char *token, struct error *err)
{
    for (const char *p = token; *p; p++)
        if (*p < 33 || *p > 126)
            return ecs_fail(err, INVALID, "/clientToken: must be of ASCII characters 33 to 126");
    return 0;
}

static bool is_string(struct json_object *o)
{
    return json_object_is_type(o, json_type_string) &&
           strlen(json_object_get_string(o)) == (size_t)json_object_get_string_len(o);
}

static int check_strings(struct json_object *o, const char *at, const char *key, size_t max,
                         size_t *count, struct error *err)
{
    struct json_object *list = NULL;
    if (invalid(json_field_arr(o, at, key, max, &list, err), err) < 0)
        return -1;
    size_t n = list ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < n; i++)
        if (!is_string(json_object_array_get_idx(list, i)))
            return ecs_fail(err, INVALID, "%s/%s/%zu: must be a string without NUL", at, key, i);
    if (count)
        *count = n;
    return 0;
}

static int check_strategy(struct json_object *body, struct ecs_run *run, struct error *err)
{
    struct json_object *list = NULL;
    if (invalid(json_field_arr(body, "", "capacityProviderStrategy", 20, &list, err), err) < 0)
        return -1;
    size_t n = list ? json_object_array_length(list) : 0;
    if (n > 0 && run->launch_type)
        return ecs_fail(err, INVALID,
                        "Specify either a launch type or a capacity provider strategy, not both.");
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        char at[48];
        const char *name = NULL;
        int64_t ignored;
        snprintf(at, sizeof(at), "/capacityProviderStrategy/%zu", i);
        if (!json_object_is_type(item, json_type_object))
            return ecs_fail(err, INVALID, "%s: must be an object", at);
        if (invalid(json_field_str(item, at, "capacityProvider", 255, &name, err), err) < 0 ||
            invalid(json_field_int(item, at, "weight", 0, 1000, &ignored, err), err) < 0 ||
            invalid(json_field_int(item, at, "base", 0, 100000, &ignored, err), err) < 0)
            return -1;
        if (!name)
            return ecs_fail(err, INVALID, "%s/capacityProvider: is missing", at);
        if (i == 0)
            run->capacity_provider = name;
    }
    return 0;
}

static int check_network(struct json_object *body, const struct ecs_run *run, struct error *err)
{
    static const char at[] = "/networkConfiguration/awsvpcConfiguration";
    static const char *const words[] = { "ENABLED", "DISABLED", NULL };
    struct json_object *network = NULL, *vpc = NULL;
    const char *assign = NULL;
    size_t subnets = 0;
    if (invalid(json_field_obj(body, "", "networkConfiguration", &network, err), err) < 0)
        return -1;
    if (network &&
        invalid(json_field_obj(network, "/networkConfiguration", "awsvpcConfiguration", &vpc, err),
                err) < 0)
        return -1;
    if (!vpc && run->launch_type && strcmp(run->launch_type, "FARGATE") == 0)
        return ecs_fail(err, INVALID,
                        "Network Configuration must be provided when networkMode 'awsvpc' is "
                        "specified.");
    if (!vpc)
        return 0;
    if (check_strings(vpc, at, "subnets", 16, &subnets, err) < 0 ||
        check_strings(vpc, at, "securityGroups", 5, NULL, err) < 0 ||
        invalid(json_field_str(vpc, at, "assignPublicIp", 16, &assign, err), err) < 0 ||
        (assign && one_of("assignPublicIp", assign, words, err) < 0))
        return -1;
    if (subnets == 0)
        return ecs_fail(err, INVALID, "%s/subnets: subnets can not be empty.", at);
    return 0;
}

static int check_tags(struct json_object *body, struct ecs_run *run, struct error *err)
{
    static const char *const words[] = { "TASK_DEFINITION", "NONE", NULL };
    const char *propagate = NULL;
    if (invalid(json_field_arr(body, "", "tags", 50, &run->tags, err), err) < 0 ||
        invalid(json_field_str(body, "", "propagateTags", 32, &propagate, err), err) < 0 ||
        (propagate && one_of("/propagateTags", propagate, words, err) < 0))
        return -1;
    for (size_t i = 0; run->tags && i < json_object_array_length(run->tags); i++) {
        struct json_object *item = json_object_array_get_idx(run->tags, i);
        char at[32];
        const char *text = NULL;
        snprintf(at, sizeof(at), "/tags/%zu", i);
        if (!json_object_is_type(item, json_type_object))
            return ecs_fail(err, INVALID, "%s: must be an object", at);
        if (invalid(json_field_str(item, at, "key", 128 * 4, &text, err), err) < 0 ||
            invalid(json_field_str(item, at, "value", 256 * 4, &text, err), err) < 0)
            return -1;
    }
    return 0;
}

static int check_rest(struct json_object *body, struct error *err)
{
    static const char *const bools[] = { "enableECSManagedTags", "enableExecuteCommand" };
    static const char *const texts[] = { "platformVersion", "referenceId" };
    struct json_object *list;
    const char *text;
    bool ignored;
    for (size_t i = 0; i < ARRAY_LEN(bools); i++)
        if (invalid(json_field_bool(body, "", bools[i], &ignored, err), err) < 0)
            return -1;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (invalid(json_field_str(body, "", texts[i], 1024, &text, err), err) < 0)
            return -1;
    if (invalid(json_field_arr(body, "", "placementConstraints", 10, &list, err), err) < 0 ||
        invalid(json_field_arr(body, "", "placementStrategy", 5, &list, err), err) < 0)
        return -1;
    return 0;
}

/* ---- overrides --------------------------------------------------------------------------------*/

static int check_environment(struct json_object *o, const char *at, struct error *err)
{
    struct json_object *list = NULL;
    if (invalid(json_field_arr(o, at, "environment", ECS_OVERRIDES_MAX, &list, err), err) < 0)
        return -1;
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        const char *name = NULL, *value = NULL;
        char here[128];
        snprintf(here, sizeof(here), "%s/environment/%zu", at, i);
        if (!json_object_is_type(item, json_type_object))
            return ecs_fail(err, INVALID, "%s: must be an object", here);
        if (invalid(json_field_str(item, here, "name", ECS_OVERRIDES_MAX, &name, err), err) < 0 ||
            invalid(json_field_str(item, here, "value", 4 * ECS_OVERRIDES_MAX, &value, err), err) <
                0)
            return -1;
        if (!name || !*name || strchr(name, '='))
            return ecs_fail(err, INVALID, "%s/name: is not the name of a variable", here);
    }
    return 0;
}

static int check_container_override(struct json_object *o, const char *at, struct error *err)
{
    static const char *const numbers[] = { "cpu", "memory", "memoryReservation" };
    const char *name = NULL;
    int64_t ignored;
    if (!json_object_is_type(o, json_type_object))
        return ecs_fail(err, INVALID, "%s: must be an object", at);
    if (invalid(json_field_str(o, at, "name", 255, &name, err), err) < 0)
        return -1;
    if (!name && json_object_object_length(o) > 0)
        return ecs_fail(err, INVALID, "Container name can not be null or empty in an override.");
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (invalid(json_field_int(o, at, numbers[i], 0, INT32_MAX, &ignored, err), err) < 0)
            return -1;
    if (check_strings(o, at, "command", ECS_OVERRIDES_MAX, NULL, err) < 0)
        return -1;
    return check_environment(o, at, err);
}

static size_t characters(const char *utf8)
{
    size_t n = 0;
    for (const char *p = utf8; *p; p++)
        n += ((unsigned char)*p & 0xc0) != 0x80;
    return n;
}

static int check_overrides(struct json_object *body, struct ecs_run *run, struct error *err)
{
    struct json_object *list = NULL;
    if (invalid(json_field_obj(body, "", "overrides", &run->overrides, err), err) < 0)
        return -1;
    if (!run->overrides)
        return 0;
    if (characters(json_text(run->overrides, NULL)) > ECS_OVERRIDES_MAX)
        return ecs_fail(err, INVALID, "Container Overrides length must be at most %d",
                        ECS_OVERRIDES_MAX);
    if (invalid(json_field_str(run->overrides, "/overrides", "cpu", 32, &run->cpu, err), err) < 0 ||
        invalid(json_field_str(run->overrides, "/overrides", "memory", 32, &run->memory, err),
                err) < 0 ||
        invalid(json_field_arr(run->overrides, "/overrides", "containerOverrides", 100, &list, err),
                err) < 0)
        return -1;
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        char at[64];
        snprintf(at, sizeof(at), "/overrides/containerOverrides/%zu", i);
        if (check_container_override(json_object_array_get_idx(list, i), at, err) < 0)
            return -1;
    }
    return 0;
}

static void fingerprint(struct json_object *body, struct ecs_run *run)
{
    auto_buf struct buf b = BUF_INIT(16U << 20);
    struct json_object *copy = json_object_new_object();
    json_object_object_foreach(body, name, member)
    {
        if (strcmp(name, "clientToken") != 0 && member)
            json_add(copy, name, json_object_get(member));
    }
    json_canonical(&b, copy);
    json_object_put(copy);
    digest_sha256_hex(buf_str(&b), b.len, run->fingerprint);
}

int ecs_run_parse(struct json_object *body, struct ecs_run *out, struct error *err)
{
    static const char *const types[] = { "EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES", NULL };
    *out = (struct ecs_run){ .count = 1 };
    if (invalid(json_field_str(body, "", "taskDefinition", LONG, &out->task_definition, err), err) <
            0 ||
        invalid(json_field_str(body, "", "cluster", LONG, &out->cluster, err), err) < 0 ||
        invalid(json_field_str(body, "", "clientToken", 64, &out->client_token, err), err) < 0 ||
        invalid(json_field_str(body, "", "startedBy", 128, &out->started_by, err), err) < 0 ||
        invalid(json_field_str(body, "", "group", 255, &out->group, err), err) < 0 ||
        invalid(json_field_str(body, "", "launchType", 64, &out->launch_type, err), err) < 0 ||
        invalid(json_field_int(body, "", "count", 1, ECS_COUNT_MAX, &out->count, err), err) < 0)
        return -1;
    if (!out->task_definition || !*out->task_definition)
        return ecs_fail(err, INVALID, "Task definition can not be blank.");
    if ((out->launch_type && one_of("/launchType", out->launch_type, types, err) < 0) ||
        (out->started_by && only("/startedBy", out->started_by, "-/_", err) < 0) ||
        (out->client_token && check_token(out->client_token, err) < 0))
        return -1;
    if (check_strategy(body, out, err) < 0 || check_network(body, out, err) < 0 ||
        check_tags(body, out, err) < 0 || check_rest(body, err) < 0 ||
        check_overrides(body, out, err) < 0)
        return -1;
    fingerprint(body, out);
    return 0;
}

/* ---- what the names mean ----------------------------------------------------------------------*/

/* What follows "arn:aws:ecs:REGION:ACCOUNT:KIND/", or NULL where `ref` is another ARN. A name is
 * given back as it is. */
static const char *resource(const struct config *c, const char *ref, const char *kind)
{
    if (strncmp(ref, "arn:", 4) != 0)
        return ref;
    auto_free char *prefix = mem_printf("arn:aws:ecs:%s:%s:%s/", c->region, c->account_id, kind);
    size_t len = strlen(prefix);
    return strncmp(ref, prefix, len) == 0 ? ref + len : NULL;
}

const char *ecs_cluster(const struct config *c, const char *ref, struct error *err)
{
    const char *name = resource(c, ref && *ref ? ref : "default", "cluster");
    if (name && strcmp(name, c->cluster) == 0)
        return c->cluster;
    ecs_fail(err, "ClusterNotFoundException", "Cluster not found: the only one is %s.", c->cluster);
    return NULL;
}

const struct config_task_definition *ecs_definition(const struct config *c, const char *ref,
                                                    struct error *err)
{
    const char *name = resource(c, ref, "task-definition");
    for (size_t i = 0; name && i < c->task_definition_count; i++) {
        const struct config_task_definition *d = &c->task_definitions[i];
        auto_free char *exact = mem_printf("%s:%lld", d->family, (long long)d->revision);
        if (strcmp(name, d->family) == 0 || strcmp(name, exact) == 0)
            return d;
    }
    ecs_fail(err, "ClientException", "TaskDefinition not found.");
    return NULL;
}

/* ---- the spec ---------------------------------------------------------------------------------*/

static void add_list(struct json_object *argv, char *const *list)
{
    for (; *list; list++)
        json_push(argv, json_new_str(*list));
}

static struct json_object *container_spec(const struct config_container *c, const char *path,
                                          const char *home)
{
    struct json_object *o = json_object_new_object();
    struct json_object *env = json_object_new_object();
    json_add_str(o, "name", c->name);
    if (path)
        json_add_str(env, "PATH", path);
    if (home)
        json_add_str(env, "HOME", home);
    for (char *const *p = c->environment; *p; p++) {
        size_t len = strcspn(*p, "=");
        auto_free char *name = mem_dup_len(*p, len);
        json_add_str(env, name, *p + len + 1);
    }
    json_add(o, "environment", env);
    json_add_bool(o, "essential", true);
    json_add_int(o, "stopTimeoutSeconds", c->stop_timeout_s);
    json_add_str(o, "image", c->image);
    return o;
}

static void add_argv(struct json_object *o, const struct config_container *c,
                     struct json_object *override)
{
    struct json_object *argv = json_object_new_array(), *entry_point = json_object_new_array(),
                       *command = json_object_new_array();
    add_list(argv, c->entry_point);
    add_list(entry_point, c->entry_point);
    if (!override) {
        add_list(argv, c->command);
        add_list(command, c->command);
    }
    for (size_t i = 0; override && i < json_object_array_length(override); i++) {
        struct json_object *word = json_object_array_get_idx(override, i);
        json_push(argv, json_object_get(word));
        json_push(command, json_object_get(word));
    }
    json_add(o, "argv", argv);
    json_add(o, "entryPoint", entry_point);
    json_add(o, "command", command);
}

/* Later overrides of the same container win; *command is borrowed. */
static void apply(struct json_object *o, struct json_object *override, struct json_object **command)
{
    struct json_object *env = json_get_obj(o, "environment");
    struct json_object *list = json_get_arr(override, "environment");
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        const char *value = json_get_str(item, "value");
        json_add(env, json_get_str(item, "name"), json_new_str(value ? value : ""));
    }
    struct json_object *words = json_get_arr(override, "command");
    if (words)
        *command = words;
}

static const struct config_container *find_container(const struct config_task_definition *d,
                                                     const char *name)
{
    for (size_t i = 0; name && i < d->container_count; i++)
        if (strcmp(d->containers[i].name, name) == 0)
            return &d->containers[i];
    return NULL;
}

struct json_object *ecs_spec(const struct config_task_definition *d, struct json_object *overrides,
                             const char *path, const char *home, struct error *err)
{
    struct json_object *given = json_get_arr(overrides, "containerOverrides");
    size_t n = given ? json_object_array_length(given) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(given, i);
        const char *name = json_get_str(item, "name");
        if (name && !find_container(d, name)) {
            ecs_fail(err, INVALID,
                     "Override for container named %s is not a container in the TaskDefinition.",
                     name);
            return NULL;
        }
    }
    struct json_object *spec = json_object_new_object();
    struct json_object *list = json_object_new_array();
    json_add(spec, "containers", list);
    for (size_t k = 0; k < d->container_count; k++) {
        struct json_object *o = container_spec(&d->containers[k], path, home);
        struct json_object *command = NULL;
        for (size_t i = 0; i < n; i++) {
            struct json_object *item = json_object_array_get_idx(given, i);
            if (find_container(d, json_get_str(item, "name")) == &d->containers[k])
                apply(o, item, &command);
        }
        add_argv(o, &d->containers[k], command);
        json_push(list, o);
    }
    return spec;
}

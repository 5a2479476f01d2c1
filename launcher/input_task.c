#include "launcher/input_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/config.h"
#include "shared/base/opts.h"

/* Variables that belong to AWS, the dynamic linker or this system (design: fixed names). */
static bool reserved_variable(const char *name)
{
    static const char *const prefixes[] = { "CALLBACK_", "AWS_", "ECS_", "LD_" };
    static const char *const names[] = {
        "HEARTBEAT_SECONDS",
        "STOP_TIMEOUT_SECONDS",
        "JOB_NAME",
        "RECEIVER_URL",
        "TASK_DEFINITION",
        "ALLOWED_TASK_DEFINITIONS",
        "CONTAINER_NAME",
        "SUBNETS",
        "SECURITY_GROUPS",
        "ASSIGN_PUBLIC_IP",
        "CAPACITY_PROVIDERS",
        "LAUNCH_TYPE",
        "LISTEN",
        "OPS_LISTEN",
        "OPS_TOKEN",
    };
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool variable_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= 255 && !(name[0] >= '0' && name[0] <= '9') &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static void read_environment(struct input_reader *r, struct json_object *task)
{
    struct error err;
    struct json_object *environment = NULL;
    if (json_field_obj(task, "/task", "environment", &environment, &err) < 0)
        input_field_fault(r, "/task", "environment", &err);
    if (!environment)
        return;
    size_t count = (size_t)json_object_object_length(environment);
    if (count > INPUT_ENVIRONMENT) {
        input_fault(&r->faults, "/task/environment", "must have at most %d members",
                    INPUT_ENVIRONMENT);
        return;
    }
    free(r->in->environment);
    r->in->environment = mem_array(count + 1, sizeof(*r->in->environment));
    size_t n = 0;
    json_object_object_foreach(environment, name, member)
    {
        char pointer[INPUT_POINTER];
        input_pointer(pointer, "/task/environment", name);
        const char *value = NULL;
        if (!variable_name(name))
            input_fault(&r->faults, pointer, "is not the name of a variable");
        else if (reserved_variable(name))
            input_fault(&r->faults, pointer, "is reserved and cannot be set");
        else if (!member)
            input_fault(&r->faults, pointer, "must be a string");
        else if (input_read_str(r, environment, "/task/environment", name, ECS_OVERRIDES_MAX,
                                &value))
            r->in->environment[n++] = (struct ecs_pair){ .name = name, .value = value };
    }
}

static void read_command(struct input_reader *r, struct json_object *task)
{
    struct error err;
    struct json_object *command = NULL;
    if (json_field_arr(task, "/task", "command", INPUT_COMMAND_ITEMS, &command, &err) < 0)
        input_field_fault(r, "/task", "command", &err);
    size_t count = command ? json_object_array_length(command) : 0;
    if (count == 0)
        return;
    r->in->command = mem_array(count + 1, sizeof(*r->in->command));
    for (size_t i = 0; i < count; i++) {
        struct json_object *item = json_object_array_get_idx(command, i);
        char pointer[INPUT_POINTER];
        snprintf(pointer, sizeof(pointer), "/task/command/%zu", i);
        const char *text = json_object_get_string(item);
        if (!json_object_is_type(item, json_type_string))
            input_fault(&r->faults, pointer, "must be a string");
        else if (strlen(text) != (size_t)json_object_get_string_len(item))
            input_fault(&r->faults, pointer, "must not contain NUL");
        else if (i == 0 && !*text)
            input_fault(&r->faults, pointer, "must not be empty");
        r->in->command[i] = text ? text : "";
    }
}

/* CPU units or MiB: a number, or the same as text, which is how ECS takes it. */
static void read_size(struct input_reader *r, struct json_object *task, const char *key,
                      int64_t min, int64_t max, char out[16])
{
    char pointer[INPUT_POINTER];
    input_pointer(pointer, "/task", key);
    struct json_object *v = json_get(task, key);
    int64_t n = -1;
    if (!v)
        return;
    if (json_object_is_type(v, json_type_int))
        n = json_object_get_int64(v);
    else if (!json_object_is_type(v, json_type_string) ||
             opts_int(json_object_get_string(v), 0, INT64_MAX, &n) < 0)
        n = -1;
    if (n < min || n > max)
        input_fault(&r->faults, pointer, "must be a whole number from %lld to %lld", (long long)min,
                    (long long)max);
    else
        snprintf(out, 16, "%lld", (long long)n);
}

void input_read_task(struct input_reader *r, struct json_object *doc)
{
    static const char *const known[] = { "command", "environment",    "cpu",
                                         "memory",  "taskDefinition", NULL };
    struct error err;
    struct json_object *task = NULL;
    if (json_field_obj(doc, "", "task", &task, &err) < 0)
        input_field_fault(r, "", "task", &err);
    if (!task)
        return;
    input_check_members(r, task, "/task", known);
    read_command(r, task);
    read_environment(r, task);
    /* The smallest and the largest that any launch type takes. */
    read_size(r, task, "cpu", 128, 196608, r->in->cpu);
    read_size(r, task, "memory", 6, 3145728, r->in->memory);
    const char *definition = NULL;
    if (input_read_str(r, task, "/task", "taskDefinition", 512, &definition)) {
        if (!config_allows(r->allowed, definition))
            input_fault(&r->faults, "/task/taskDefinition", "is not allowed");
        r->in->task_definition = definition;
    }
}

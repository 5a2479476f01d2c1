#include "launcher/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/config.h"

#define POINTER_MAX 256

/* What the readers below share: where faults go. */
struct reader {
    struct input *in;
    struct json_object *faults;
};

void input_fault(struct json_object **faults, const char *pointer, const char *fmt, ...)
{
    if (!*faults)
        *faults = json_object_new_array();
    if (json_object_array_length(*faults) >= INPUT_FAULTS)
        return;
    va_list ap;
    va_start(ap, fmt);
    auto_free char *detail = mem_vprintf(fmt, ap);
    va_end(ap);
    struct json_object *fault = json_object_new_object();
    json_add_str(fault, "pointer", pointer);
    json_add_str(fault, "detail", detail);
    json_object_array_add(*faults, fault);
}

char *input_faults_text(struct json_object *faults)
{
    auto_buf struct buf b = BUF_INIT(4096);
    for (size_t i = 0; i < json_object_array_length(faults); i++) {
        struct json_object *f = json_object_array_get_idx(faults, i);
        buf_printf(&b, "%s%s: %s", i ? "; " : "", json_get_str(f, "pointer"),
                   json_get_str(f, "detail"));
    }
    return buf_take(&b, NULL);
}

/* RFC 6901: "/at/key", the key escaped; a long one is cut. */
static void pointer_to(char out[POINTER_MAX], const char *at, const char *key)
{
    auto_buf struct buf b = BUF_INIT(POINTER_MAX - 1);
    buf_printf(&b, "%s/", at);
    for (const char *p = key; *p; p++) {
        if (*p == '~')
            buf_add_str(&b, "~0");
        else if (*p == '/')
            buf_add_str(&b, "~1");
        else
            buf_add_char(&b, *p);
    }
    snprintf(out, POINTER_MAX, "%s", buf_str(&b));
}

/* Takes over what a json_field_ function said: "POINTER: detail". */
static void field_fault(struct reader *r, const char *at, const char *key, const struct error *err)
{
    char pointer[POINTER_MAX];
    pointer_to(pointer, at, key);
    size_t skip = strlen(at) + 1 + strlen(key) + 2;
    const char *detail = strlen(err->msg) > skip ? err->msg + skip : err->msg;
    input_fault(&r->faults, pointer, "%s", detail);
}

static bool read_int(struct reader *r, struct json_object *o, const char *at, const char *key,
                     int64_t min, int64_t max, int64_t *out)
{
    struct error err;
    int got = json_field_int(o, at, key, min, max, out, &err);
    if (got < 0)
        field_fault(r, at, key, &err);
    return got > 0;
}

static bool read_str(struct reader *r, struct json_object *o, const char *at, const char *key,
                     size_t max, const char **out)
{
    struct error err;
    int got = json_field_str(o, at, key, max, out, &err);
    if (got < 0)
        field_fault(r, at, key, &err);
    return got > 0;
}

/* Every member must be in `known`; those of `later` are known, but this version cannot do them. */
static void check_members(struct reader *r, struct json_object *o, const char *at,
                          const char *const *known, const char *const *later)
{
    json_object_object_foreach(o, key, value)
    {
        (void)value;
        char pointer[POINTER_MAX];
        pointer_to(pointer, at, key);
        bool found = false;
        for (size_t i = 0; known[i] && !found; i++)
            found = strcmp(known[i], key) == 0;
        for (size_t i = 0; later && later[i] && !found; i++) {
            found = strcmp(later[i], key) == 0;
            if (found)
                input_fault(&r->faults, pointer, "not available yet");
        }
        if (!found)
            input_fault(&r->faults, pointer, "unknown field");
    }
}

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

static void read_environment(struct reader *r, struct json_object *task)
{
    struct error err;
    struct json_object *environment = NULL;
    if (json_field_obj(task, "/task", "environment", &environment, &err) < 0)
        field_fault(r, "/task", "environment", &err);
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
        char pointer[POINTER_MAX];
        pointer_to(pointer, "/task/environment", name);
        const char *value = NULL;
        if (!variable_name(name))
            input_fault(&r->faults, pointer, "is not the name of a variable");
        else if (reserved_variable(name))
            input_fault(&r->faults, pointer, "is reserved and cannot be set");
        else if (!member)
            input_fault(&r->faults, pointer, "must be a string");
        else if (read_str(r, environment, "/task/environment", name, ECS_OVERRIDES_MAX, &value))
            r->in->environment[n++] = (struct ecs_pair){ .name = name, .value = value };
    }
}

static void read_command(struct reader *r, struct json_object *task)
{
    struct error err;
    struct json_object *command = NULL;
    if (json_field_arr(task, "/task", "command", INPUT_COMMAND_ITEMS, &command, &err) < 0)
        field_fault(r, "/task", "command", &err);
    size_t count = command ? json_object_array_length(command) : 0;
    if (count == 0)
        return;
    r->in->command = mem_array(count + 1, sizeof(*r->in->command));
    for (size_t i = 0; i < count; i++) {
        struct json_object *item = json_object_array_get_idx(command, i);
        char pointer[POINTER_MAX];
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
static void read_size(struct reader *r, struct json_object *task, const char *key, int64_t min,
                      int64_t max, char out[16])
{
    char pointer[POINTER_MAX];
    pointer_to(pointer, "/task", key);
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

static void read_task(struct reader *r, struct json_object *doc, const char *const *allowed)
{
    static const char *const known[] = { "command", "environment",    "cpu",
                                         "memory",  "taskDefinition", NULL };
    struct error err;
    struct json_object *task = NULL;
    if (json_field_obj(doc, "", "task", &task, &err) < 0)
        field_fault(r, "", "task", &err);
    if (!task)
        return;
    check_members(r, task, "/task", known, NULL);
    read_command(r, task);
    read_environment(r, task);
    /* The smallest and the largest that any launch type takes. */
    read_size(r, task, "cpu", 128, 196608, r->in->cpu);
    read_size(r, task, "memory", 6, 3145728, r->in->memory);
    const char *definition = NULL;
    if (read_str(r, task, "/task", "taskDefinition", 512, &definition)) {
        if (!config_allows(allowed, definition))
            input_fault(&r->faults, "/task/taskDefinition", "is not allowed");
        r->in->task_definition = definition;
    }
}

static void read_times(struct reader *r, struct json_object *doc)
{
    struct input *in = r->in;
    read_int(r, doc, "", "timeoutSeconds", 1, INPUT_TIMEOUT_MAX_S, &in->timeout_s);
    read_int(r, doc, "", "heartbeatSeconds", 1, INPUT_HEARTBEAT_MAX, &in->heartbeat_s);
    if (read_int(r, doc, "", "startTimeoutSeconds", 1, INPUT_TIMEOUT_MAX_S, &in->start_timeout_s) &&
        in->start_timeout_s > in->timeout_s)
        input_fault(&r->faults, "/startTimeoutSeconds",
                    "must be at most timeoutSeconds, which is %lld", (long long)in->timeout_s);
}

static void read_types(struct reader *r, struct json_object *retry)
{
    struct error err;
    struct json_object *types = NULL;
    int got = json_field_arr(retry, "/retry", "retryOn", INPUT_RETRY_TYPES, &types, &err);
    if (got < 0)
        field_fault(r, "/retry", "retryOn", &err);
    if (got <= 0)
        return;
    size_t count = json_object_array_length(types);
    if (count == 0)
        input_fault(&r->faults, "/retry/retryOn", "must not be empty; maxAttempts 1 never retries");
    r->in->retry.on = mem_array(count + 1, sizeof(*r->in->retry.on));
    for (size_t i = 0; i < count; i++) {
        struct json_object *type = json_object_array_get_idx(types, i);
        const char *text = json_object_get_string(type);
        char pointer[POINTER_MAX];
        snprintf(pointer, sizeof(pointer), "/retry/retryOn/%zu", i);
        if (!json_object_is_type(type, json_type_string) || !*text ||
            strlen(text) != (size_t)json_object_get_string_len(type) ||
            strlen(text) > INPUT_TYPE_MAX)
            input_fault(&r->faults, pointer, "must be a failure's type, 1 to %d bytes of text",
                        INPUT_TYPE_MAX);
        r->in->retry.on[i] = text ? text : "";
    }
}

static void read_retry(struct reader *r, struct json_object *doc)
{
    static const char *const known[] = {
        "maxAttempts", "firstDelaySeconds", "maxDelaySeconds", "backoffRate", "retryOn", NULL,
    };
    struct input_retry *p = &r->in->retry;
    struct json_object *retry = NULL;
    struct error err;
    int64_t attempts;
    if (json_field_obj(doc, "", "retry", &retry, &err) < 0)
        field_fault(r, "", "retry", &err);
    if (!retry)
        return;
    p->asked = true;
    check_members(r, retry, "/retry", known, NULL);
    if (read_int(r, retry, "/retry", "maxAttempts", 1, INPUT_ATTEMPTS_MAX, &attempts))
        p->max_attempts = (unsigned)attempts;
    read_int(r, retry, "/retry", "firstDelaySeconds", 1, INPUT_RETRY_FIRST_MAX, &p->first_delay_s);
    if (!read_int(r, retry, "/retry", "maxDelaySeconds", 1, INPUT_RETRY_DELAY_MAX,
                  &p->max_delay_s) &&
        p->max_delay_s < p->first_delay_s)
        p->max_delay_s = p->first_delay_s;
    if (p->max_delay_s < p->first_delay_s)
        input_fault(&r->faults, "/retry/maxDelaySeconds",
                    "must be at least firstDelaySeconds, which is %lld",
                    (long long)p->first_delay_s);
    if (json_field_double(retry, "/retry", "backoffRate", 1, INPUT_RETRY_RATE_MAX, &p->backoff_rate,
                          &err) < 0)
        field_fault(r, "/retry", "backoffRate", &err);
    read_types(r, retry);
}

static void read_sample(struct reader *r, struct json_object *doc)
{
    static const char *const known[] = { "message", "processingTime", NULL };
    struct input *in = r->in;
    const char *message = NULL;
    int64_t seconds = 0;
    size_t n = 0;
    in->sample = true;
    check_members(r, doc, "", known, NULL);
    in->environment = mem_array(3, sizeof(*in->environment));
    if (read_str(r, doc, "", "message", ECS_OVERRIDES_MAX, &message))
        in->environment[n++] = (struct ecs_pair){ .name = "MESSAGE", .value = message };
    if (read_int(r, doc, "", "processingTime", 0, INPUT_PROCESSING_MAX, &seconds)) {
        snprintf(in->processing, sizeof(in->processing), "%lld", (long long)seconds);
        in->environment[n++] =
            (struct ecs_pair){ .name = "PROCESSING_TIME", .value = in->processing };
    }
}

static void read_pattern(struct reader *r, struct json_object *doc, const char *const *allowed)
{
    static const char *const known[] = {
        "pattern",          "task",  "input", "timeoutSeconds", "startTimeoutSeconds",
        "heartbeatSeconds", "retry", NULL,
    };
    static const char *const later[] = { "tasks", "maxConcurrency", "toleratedFailures", NULL };
    const char *pattern = NULL;
    if (!json_get(doc, "pattern"))
        input_fault(&r->faults, "/pattern",
                    "is required, or one of the fields message and processingTime instead");
    else if (!read_str(r, doc, "", "pattern", 16, &pattern))
        return;
    else if (strcmp(pattern, "sync") == 0 || strcmp(pattern, "batch") == 0)
        input_fault(&r->faults, "/pattern", "%s is not available yet: callback", pattern);
    else if (strcmp(pattern, "callback") != 0)
        input_fault(&r->faults, "/pattern", "must be callback");
    check_members(r, doc, "", known, later);
    r->in->environment = mem_array(1, sizeof(*r->in->environment));
    read_task(r, doc, allowed);
    read_times(r, doc);
    read_retry(r, doc);
    r->in->input = json_get(doc, "input");
}

int input_parse(struct json_object *doc, const char *const *allowed, struct input *in,
                struct json_object **faults)
{
    *faults = NULL;
    *in = (struct input){
        .timeout_s = INPUT_TIMEOUT_S,
        .heartbeat_s = INPUT_HEARTBEAT_S,
        .retry = { .max_attempts = INPUT_ATTEMPTS,
                   .first_delay_s = INPUT_RETRY_FIRST_S,
                   .max_delay_s = INPUT_RETRY_DELAY_S,
                   .backoff_rate = 2 },
        .doc = json_object_get(doc),
    };
    struct reader r = { .in = in };
    bool pattern = json_object_is_type(doc, json_type_object) &&
                   json_object_object_get_ex(doc, "pattern", NULL);
    if (!json_object_is_type(doc, json_type_object))
        input_fault(&r.faults, "", "must be an object");
    else if (!pattern && (json_get(doc, "message") || json_get(doc, "processingTime")))
        read_sample(&r, doc);
    else
        read_pattern(&r, doc, allowed);
    *faults = r.faults;
    return r.faults ? -1 : 0;
}

void input_release(struct input *in)
{
    free(in->command);
    free(in->environment);
    free(in->retry.on);
    json_object_put(in->doc);
    *in = (struct input){ .sample = false };
}

#include "launcher/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/input_read.h"

static const struct {
    const char *name;
    const char *const *members; /* that a workflow of this pattern may have; NULL-ended */
} patterns[] = {
    [INPUT_CALLBACK] = { "callback",
                         (const char *const[]){ "pattern", "task", "input", "timeoutSeconds",
                                                "startTimeoutSeconds", "heartbeatSeconds",
                                                "engineHeartbeatSeconds", "retry",
                                                "wrapResultBytes", NULL } },
    /* The last three are refused with a better reason (explain_sync). */
    [INPUT_SYNC] = { "sync",
                     (const char *const[]){ "pattern", "task", "timeoutSeconds",
                                            "startTimeoutSeconds", "retry", "input",
                                            "heartbeatSeconds", "engineHeartbeatSeconds", NULL } },
    [INPUT_BATCH] = { "batch",
                      (const char *const[]){ "pattern", "task", "tasks", "timeoutSeconds",
                                             "startTimeoutSeconds", "heartbeatSeconds",
                                             "engineHeartbeatSeconds", "retry", "maxConcurrency",
                                             "toleratedFailures", NULL } },
};

const char *input_pattern_name(enum input_pattern pattern)
{
    return patterns[pattern].name;
}

static void read_times(struct input_reader *r, struct json_object *doc)
{
    struct input *in = r->in;
    input_read_int(r, doc, "", "timeoutSeconds", 1,
                   in->pattern == INPUT_SYNC ? INPUT_SYNC_MAX_S : INPUT_TIMEOUT_MAX_S,
                   &in->timeout_s);
    input_read_int(r, doc, "", "heartbeatSeconds", 1, INPUT_HEARTBEAT_MAX, &in->heartbeat_s);
    if (input_read_int(r, doc, "", "engineHeartbeatSeconds", INPUT_ENGINE_MIN, INPUT_TIMEOUT_MAX_S,
                       &in->engine_heartbeat_s) &&
        in->engine_heartbeat_s > in->timeout_s)
        input_fault(&r->faults, "/engineHeartbeatSeconds",
                    "must be at most timeoutSeconds, which is %lld", (long long)in->timeout_s);
    if (input_read_int(r, doc, "", "startTimeoutSeconds", 1, INPUT_TIMEOUT_MAX_S,
                       &in->start_timeout_s) &&
        in->start_timeout_s > in->timeout_s)
        input_fault(&r->faults, "/startTimeoutSeconds",
                    "must be at most timeoutSeconds, which is %lld", (long long)in->timeout_s);
}

static void read_types(struct input_reader *r, struct json_object *retry)
{
    struct error err;
    struct json_object *types = NULL;
    int got = json_field_arr(retry, "/retry", "retryOn", INPUT_RETRY_TYPES, &types, &err);
    if (got < 0)
        input_field_fault(r, "/retry", "retryOn", &err);
    if (got <= 0)
        return;
    size_t count = json_object_array_length(types);
    if (count == 0)
        input_fault(&r->faults, "/retry/retryOn", "must not be empty; maxAttempts 1 never retries");
    r->in->retry.on = mem_array(count + 1, sizeof(*r->in->retry.on));
    for (size_t i = 0; i < count; i++) {
        struct json_object *type = json_object_array_get_idx(types, i);
        const char *text = json_object_get_string(type);
        char pointer[INPUT_POINTER];
        snprintf(pointer, sizeof(pointer), "/retry/retryOn/%zu", i);
        if (!json_object_is_type(type, json_type_string) || !*text ||
            strlen(text) != (size_t)json_object_get_string_len(type) ||
            strlen(text) > INPUT_TYPE_MAX)
            input_fault(&r->faults, pointer, "must be a failure's type, 1 to %d bytes of text",
                        INPUT_TYPE_MAX);
        r->in->retry.on[i] = text ? text : "";
    }
}

static void read_retry(struct input_reader *r, struct json_object *doc)
{
    static const char *const known[] = {
        "maxAttempts", "firstDelaySeconds", "maxDelaySeconds", "backoffRate", "retryOn", NULL,
    };
    struct input_retry *p = &r->in->retry;
    struct json_object *retry = NULL;
    struct error err;
    int64_t attempts;
    if (json_field_obj(doc, "", "retry", &retry, &err) < 0)
        input_field_fault(r, "", "retry", &err);
    if (!retry)
        return;
    p->asked = true;
    input_check_members(r, retry, "/retry", known);
    if (input_read_int(r, retry, "/retry", "maxAttempts", 1, INPUT_ATTEMPTS_MAX, &attempts))
        p->max_attempts = (unsigned)attempts;
    input_read_int(r, retry, "/retry", "firstDelaySeconds", 1, INPUT_RETRY_FIRST_MAX,
                   &p->first_delay_s);
    if (!input_read_int(r, retry, "/retry", "maxDelaySeconds", 1, INPUT_RETRY_DELAY_MAX,
                        &p->max_delay_s) &&
        p->max_delay_s < p->first_delay_s)
        p->max_delay_s = p->first_delay_s;
    if (p->max_delay_s < p->first_delay_s)
        input_fault(&r->faults, "/retry/maxDelaySeconds",
                    "must be at least firstDelaySeconds, which is %lld",
                    (long long)p->first_delay_s);
    if (json_field_double(retry, "/retry", "backoffRate", 1, INPUT_RETRY_RATE_MAX, &p->backoff_rate,
                          &err) < 0)
        input_field_fault(r, "/retry", "backoffRate", &err);
    read_types(r, retry);
}

/* The fields of AWS's sample, which become variables of the container; beside them only a pattern.
 */
static void read_sample(struct input_reader *r, struct json_object *doc)
{
    static const char *const known[] = { "pattern", "message", "processingTime", NULL };
    struct input *in = r->in;
    size_t n = 0;
    in->sample = true;
    in->message = "No message provided";
    in->processing_s = 5;
    input_check_members(r, doc, "", known);
    in->environment = mem_array(3, sizeof(*in->environment));
    if (input_read_str(r, doc, "", "message", ECS_OVERRIDES_MAX, &in->message))
        in->environment[n++] = (struct ecs_pair){ .name = "MESSAGE", .value = in->message };
    if (input_read_int(r, doc, "", "processingTime", 0, INPUT_PROCESSING_MAX, &in->processing_s)) {
        snprintf(in->processing, sizeof(in->processing), "%lld", (long long)in->processing_s);
        in->environment[n++] =
            (struct ecs_pair){ .name = "PROCESSING_TIME", .value = in->processing };
    }
}

static void read_pattern(struct input_reader *r, struct json_object *doc)
{
    const char *pattern = NULL;
    if (!input_read_str(r, doc, "", "pattern", 16, &pattern))
        return;
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        if (strcmp(pattern, patterns[i].name) != 0)
            continue;
        r->in->pattern = (enum input_pattern)i;
        return;
    }
    input_fault(&r->faults, "/pattern", "must be callback, sync or batch");
}

/* A container of pattern sync has nobody to ask for its input, or to send heartbeats to. */
static void explain_sync(struct input_reader *r, struct json_object *doc)
{
    static const char *const others[] = { "input", "heartbeatSeconds", "engineHeartbeatSeconds" };
    if (r->in->pattern != INPUT_SYNC)
        return;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        char pointer[INPUT_POINTER];
        input_pointer(pointer, "", others[i]);
        if (json_object_object_get_ex(doc, others[i], NULL))
            input_fault(&r->faults, pointer, "belongs to pattern callback");
    }
}

/* Whether any string of `v` has a NUL in it. */
static bool has_nul(struct json_object *v)
{
    if (json_object_is_type(v, json_type_string))
        return memchr(json_object_get_string(v), '\0', (size_t)json_object_get_string_len(v));
    if (json_object_is_type(v, json_type_array))
        for (size_t i = 0; i < json_object_array_length(v); i++)
            if (has_nul(json_object_array_get_idx(v, i)))
                return true;
    if (json_object_is_type(v, json_type_object)) {
        json_object_object_foreach(v, name, member)
        {
            (void)name;
            if (has_nul(member))
                return true;
        }
    }
    return false;
}

/* What the receiver would refuse is refused before anything is begun. */
static void read_input(struct input_reader *r, struct json_object *doc)
{
    r->in->input = json_get(doc, "input");
    if (has_nul(r->in->input))
        input_fault(&r->faults, "/input", "must not contain NUL");
}

static void read_workflow(struct input_reader *r, struct json_object *doc)
{
    struct input *in = r->in;
    input_check_members(r, doc, "", patterns[in->pattern].members);
    explain_sync(r, doc);
    in->environment = mem_array(1, sizeof(*in->environment));
    input_read_task(r, doc);
    read_times(r, doc);
    read_retry(r, doc);
    input_read_int(r, doc, "", "wrapResultBytes", 1, INPUT_WRAP_MAX, &in->wrap_bytes);
    read_input(r, doc);
    if (in->pattern == INPUT_BATCH)
        input_read_jobs(r, doc);
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
    struct input_reader r = { .in = in, .allowed = allowed };
    bool object = json_object_is_type(doc, json_type_object);
    bool sample = object && (json_get(doc, "message") || json_get(doc, "processingTime"));
    if (!object)
        input_fault(&r.faults, "", "must be an object");
    else if (!sample && !json_get(doc, "pattern"))
        input_fault(&r.faults, "/pattern",
                    "is required, or one of the fields message and processingTime instead");
    if (object)
        read_pattern(&r, doc);
    if (sample && in->pattern == INPUT_BATCH)
        input_fault(&r.faults, "/pattern", "must be callback or sync for the sample's fields");
    if (sample)
        read_sample(&r, doc);
    else if (object)
        read_workflow(&r, doc);
    *faults = r.faults;
    return r.faults ? -1 : 0;
}

void input_release(struct input *in)
{
    free(in->command);
    free(in->environment);
    free(in->retry.on);
    json_object_put(in->jobs);
    json_object_put(in->doc);
    *in = (struct input){ .sample = false };
}

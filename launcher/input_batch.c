#include <stdio.h>
#include <string.h>

#include "launcher/input_read.h"
#include "shared/base/opts.h"

/* What a job takes over from its batch as it is. */
static const char *const shared_members[] = { "timeoutSeconds", "startTimeoutSeconds",
                                              "heartbeatSeconds", "engineHeartbeatSeconds",
                                              "retry" };

void input_job_pointer(const char *pointer, size_t index, char *out, size_t size)
{
    bool task = strcmp(pointer, "/task") == 0 || strncmp(pointer, "/task/", 6) == 0;
    if (task)
        snprintf(out, size, "/tasks/%zu%s", index, pointer + strlen("/task"));
    else if (strncmp(pointer, "/input", 6) == 0)
        snprintf(out, size, "/tasks/%zu%s", index, pointer);
    else
        snprintf(out, size, "%s", pointer);
}

static void merge(struct json_object *to, struct json_object *from)
{
    if (!json_object_is_type(from, json_type_object))
        return;
    json_object_object_foreach(from, key, value)
    {
        json_add(to, key, json_object_get(value));
    }
}

/* The task of a job: its own members over those of all, but `input`, which is no part of it. */
static struct json_object *job_task(struct json_object *common, struct json_object *own)
{
    struct json_object *task = json_object_new_object();
    struct json_object *theirs = json_get_obj(common, "environment");
    struct json_object *its = json_get_obj(own, "environment");
    merge(task, common);
    merge(task, own);
    json_object_object_del(task, "input");
    if (theirs && its) {
        struct json_object *both = json_object_new_object();
        merge(both, theirs);
        merge(both, its);
        json_add(task, "environment", both);
    }
    return task;
}

static struct json_object *job_workflow(struct json_object *doc, struct json_object *own)
{
    struct json_object *job = json_object_new_object();
    json_add_str(job, "pattern", "callback");
    json_add(job, "task", job_task(json_get_obj(doc, "task"), own));
    struct json_object *input = json_get(own, "input");
    if (input)
        json_add(job, "input", json_object_get(input));
    for (size_t i = 0; i < ARRAY_LEN(shared_members); i++) {
        struct json_object *v = json_get(doc, shared_members[i]);
        if (v)
            json_add(job, shared_members[i], json_object_get(v));
    }
    return job;
}

/* What is wrong with the job's workflow is wrong with its item. */
static void check_job(struct input_reader *r, struct json_object *job, size_t index)
{
    auto_input struct input in = { .sample = false };
    auto_json struct json_object *faults = NULL;
    if (input_parse(job, r->allowed, &in, &faults) == 0)
        return;
    for (size_t i = 0; i < json_object_array_length(faults); i++) {
        struct json_object *f = json_object_array_get_idx(faults, i);
        char pointer[INPUT_POINTER + 16];
        input_job_pointer(json_get_str(f, "pointer"), index, pointer, sizeof(pointer));
        input_fault(&r->faults, pointer, "%s", json_get_str(f, "detail"));
    }
}

static void read_items(struct input_reader *r, struct json_object *doc)
{
    struct error err;
    struct json_object *items = NULL;
    int got = json_field_arr(doc, "", "tasks", INPUT_JOBS, &items, &err);
    if (got < 0)
        input_field_fault(r, "", "tasks", &err);
    else if (got == 0 || json_object_array_length(items) == 0)
        input_fault(&r->faults, "/tasks", "must list 1 to %d jobs", INPUT_JOBS);
    bool sound = r->faults == NULL; /* else each job would repeat what is wrong with all */
    for (size_t i = 0; items && sound && i < json_object_array_length(items); i++) {
        struct json_object *own = json_object_array_get_idx(items, i);
        char pointer[32];
        snprintf(pointer, sizeof(pointer), "/tasks/%zu", i);
        if (!json_object_is_type(own, json_type_object)) {
            input_fault(&r->faults, pointer, "must be an object");
            continue;
        }
        struct json_object *job = job_workflow(doc, own);
        json_push(r->in->jobs, job);
        check_job(r, job, i);
    }
}

/* A number of jobs, or "N%" of them. */
static void read_tolerated(struct input_reader *r, struct json_object *doc)
{
    struct input *in = r->in;
    struct json_object *v = json_get(doc, "toleratedFailures");
    const char *text = json_object_get_string(v);
    if (!v)
        return;
    if (json_object_is_type(v, json_type_int)) {
        in->tolerated = json_object_get_int64(v);
        if (in->tolerated >= 0 && in->tolerated <= INPUT_JOBS)
            return;
    } else if (json_object_is_type(v, json_type_string) && text[0] &&
               text[strlen(text) - 1] == '%') {
        auto_free char *number = mem_dup_len(text, strlen(text) - 1);
        in->tolerated = -1;
        if (opts_int(number, 0, 100, &in->tolerated_percent) == 0)
            return;
    }
    input_fault(&r->faults, "/toleratedFailures",
                "must be a whole number from 0 to %d, or \"0%%\" to \"100%%\"", INPUT_JOBS);
}

void input_read_jobs(struct input_reader *r, struct json_object *doc)
{
    struct input *in = r->in;
    int64_t concurrency = INPUT_CONCURRENCY;
    in->jobs = json_object_new_array();
    in->tolerated_percent = -1;
    input_read_int(r, doc, "", "maxConcurrency", 1, INPUT_JOBS, &concurrency);
    in->max_concurrency = (unsigned)concurrency;
    read_tolerated(r, doc);
    read_items(r, doc);
}

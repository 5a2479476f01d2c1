#include "launcher/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The workflow's variables with the job's own behind them; the strings stay where they are. */
struct environment {
    char heartbeat[24];
    char stop_timeout[24];
    struct ecs_pair *pairs;
};

static void environment_fill(struct environment *e, const struct config *c, const struct input *in,
                             const struct plan_job *job)
{
    size_t own = 0;
    bool trace = job->traceparent && job->traceparent[0];
    for (; in->environment[own].name; own++)
        if (strcmp(in->environment[own].name, "TRACEPARENT") == 0)
            trace = false;
    snprintf(e->heartbeat, sizeof(e->heartbeat), "%lld", (long long)in->heartbeat_s);
    snprintf(e->stop_timeout, sizeof(e->stop_timeout), "%lld", (long long)c->stop_timeout_s);
    const struct ecs_pair ours[] = {
        { job->callback_url ? "CALLBACK_URL" : NULL, job->callback_url },
        { job->token ? "CALLBACK_TOKEN" : NULL, job->token },
        { job->callback_url ? "HEARTBEAT_SECONDS" : NULL, e->heartbeat },
        { job->callback_url ? NULL : "CALLBACK_DISABLED", "true" },
        { "STOP_TIMEOUT_SECONDS", e->stop_timeout },
        { "JOB_NAME", job->name },
        { trace ? "TRACEPARENT" : NULL, job->traceparent },
    };
    e->pairs = mem_array(own + ARRAY_LEN(ours) + 1, sizeof(*e->pairs));
    memcpy(e->pairs, in->environment, own * sizeof(*e->pairs));
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (ours[i].name)
            e->pairs[own++] = ours[i];
}

static struct ecs_run_task run_task(const struct config *c, const struct input *in,
                                    const struct plan_job *job, const struct environment *e)
{
    return (struct ecs_run_task){
        .cluster = c->cluster,
        .task_definition = in->task_definition ? in->task_definition : c->task_definition,
        .client_token = job->client_token,
        .started_by = job->started_by,
        .launch_type = c->launch_type,
        .capacity_providers = (const char *const *)c->capacity_providers,
        .subnets = (const char *const *)c->subnets,
        .security_groups = (const char *const *)c->security_groups,
        .assign_public_ip = c->assign_public_ip,
        .container = c->container,
        .command = in->command,
        .environment = e->pairs,
        .cpu = in->cpu[0] ? in->cpu : NULL,
        .memory = in->memory[0] ? in->memory : NULL,
    };
}

void plan_run_task(const struct config *c, const struct input *in, const struct plan_job *job,
                   struct buf *body)
{
    struct environment e = { .pairs = NULL };
    environment_fill(&e, c, in, job);
    struct ecs_run_task t = run_task(c, in, job, &e);
    ecs_run_task_body(&t, body);
    free(e.pairs);
}

/* The biggest of the parts that a client can make smaller. */
static void name_biggest(const struct input *in, size_t len, size_t room,
                         struct json_object **faults)
{
    char pointer[300] = "/task";
    size_t command = 0;
    size_t biggest = 0;
    for (size_t i = 0; in->command && in->command[i]; i++)
        command += strlen(in->command[i]) + 3;
    if (command > 0) {
        biggest = command;
        snprintf(pointer, sizeof(pointer), "/task/command");
    }
    for (const struct ecs_pair *p = in->environment; p->name; p++) {
        size_t size =
            strlen(p->name) + strlen(p->value) + strlen("{\"name\":\"\",\"value\":\"\"},");
        if (size <= biggest)
            continue;
        biggest = size;
        if (in->sample)
            snprintf(pointer, sizeof(pointer), "/message");
        else
            snprintf(pointer, sizeof(pointer), "/task/environment/%s", p->name);
    }
    input_fault(faults, pointer,
                "is the biggest part of a task whose command and environment take %zu characters "
                "as JSON, where ECS leaves %zu: what is large belongs in input",
                len, room);
}

int plan_check_size(const struct config *c, const struct input *in, struct json_object **faults)
{
    char url[PLAN_URL_MAX + 1];
    char token[PLAN_TOKEN_MAX + 1];
    char name[PLAN_JOB_MAX + 1];
    char trace[TRACE_PARENT];
    bool reports = in->pattern != INPUT_SYNC;
    const struct plan_job widest = { .name = name,
                                     .callback_url = reports ? url : NULL,
                                     .token = reports ? token : NULL,
                                     .traceparent = trace };
    const struct plan_job none = { .name = "",
                                   .callback_url = reports ? "" : NULL,
                                   .token = reports ? "" : NULL };
    memset(url, '/', PLAN_URL_MAX);
    memset(token, 'x', PLAN_TOKEN_MAX);
    memset(name, 'x', PLAN_JOB_MAX);
    memset(trace, 'x', TRACE_PARENT);
    trace[TRACE_PARENT - 1] = '\0';
    url[PLAN_URL_MAX] = token[PLAN_TOKEN_MAX] = name[PLAN_JOB_MAX] = '\0';

    struct environment e = { .pairs = NULL };
    environment_fill(&e, c, in, &widest);
    struct ecs_run_task t = run_task(c, in, &widest, &e);
    size_t len = ecs_overrides_len(&t);
    free(e.pairs);
    if (len <= ECS_OVERRIDES_MAX)
        return 0;
    environment_fill(&e, c, in, &none);
    t = run_task(c, in, &none, &e);
    size_t own = ecs_overrides_len(&t);
    free(e.pairs);
    name_biggest(in, own, ECS_OVERRIDES_MAX - (len - own), faults);
    return -1;
}

/* The faults of each job, as faults of the batch. */
static int check_jobs(const struct config *c, const struct input *in, struct json_object **faults)
{
    for (size_t i = 0; i < json_object_array_length(in->jobs); i++) {
        auto_input struct input job = { .sample = false };
        auto_json struct json_object *its = NULL;
        if (input_parse(json_object_array_get_idx(in->jobs, i), (const char *const *)c->allowed,
                        &job, &its) == 0 &&
            plan_check(c, &job, &its) == 0)
            continue;
        for (size_t k = 0; k < json_object_array_length(its); k++) {
            struct json_object *f = json_object_array_get_idx(its, k);
            char pointer[320];
            input_job_pointer(json_get_str(f, "pointer"), i, pointer, sizeof(pointer));
            input_fault(faults, pointer, "%s", json_get_str(f, "detail"));
        }
    }
    return *faults ? -1 : 0;
}

int plan_check(const struct config *c, const struct input *in, struct json_object **faults)
{
    if (in->jobs)
        return check_jobs(c, in, faults);
    if (in->command && c->refuse_command)
        input_fault(faults, "/task/command", "is not allowed here: the image's own is run");
    return plan_check_size(c, in, faults) < 0 || *faults ? -1 : 0;
}

#include "launcher/attempts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/policy.h"
#include "launcher/workflow_id.h"

#define JOB "job"

/* About five minutes: a container has its stop timeout, which is two minutes at most, and ECS takes
 * its time behind that. */
static const struct durable_retry settle_patience = {
    .max_attempts = 24,
    .first_delay_s = 2,
    .max_delay_s = 15,
    .rate = 1.5,
    .jitter = DURABLE_JITTER_NONE,
    .only_types = (const char *const[]){ ATTEMPT_AGAIN, NULL },
};

/* The job on its way through its attempts. */
struct job {
    const struct attempt_tools *tools;
    const struct input *in;
    const struct metrics_of *of;
    const char *execution_arn;
    int64_t begin_ms;           /* of the attempt that runs */
    struct json_object *others; /* the tasks of the attempts before */
    struct json_object *failed; /* the data of the attempt that has failed, or NULL */
};

/* ---- an attempt ------------------------------------------------------------------------------ */

static enum durable_rc one_attempt(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err)
{
    (void)in;
    const struct job *job = arg;
    auto_json struct json_object *result = NULL;
    struct attempt attempt = {
        .tools = job->tools,
        .in = job->in,
        .job = JOB,
        .execution_arn = job->execution_arn,
        .begin_ms = job->begin_ms,
        .others = job->others,
        .of = *job->of,
    };
    enum durable_rc rc = attempt_run(ctx, &attempt, &result, err);
    if (rc == DURABLE_OK) {
        *out = json_object_new_object();
        json_add_str(*out, "taskArn", attempt.task_arn);
        json_add(*out, "result", MOVE(result));
    }
    attempt_release(&attempt);
    return rc;
}

/* The attempt's own error again, out of its context's. */
static void unwrap(struct durable_error *err)
{
    if (!err->cause_type)
        return;
    free(err->type);
    err->type = MOVE(err->cause_type);
}

static struct json_object *data_of(const struct durable_error *err)
{
    struct error not_json;
    struct json_object *data = NULL;
    if (err->data && json_parse_str(err->data, &data, &not_json) < 0)
        data = NULL;
    return data;
}

/* ---- settle ---------------------------------------------------------------------------------- */

static bool is_member(struct json_object *list, const char *arn)
{
    for (size_t i = 0; i < json_object_array_length(list); i++)
        if (strcmp(json_object_get_string(json_object_array_get_idx(list, i)), arn) == 0)
            return true;
    return false;
}

static bool is_end(const char *status)
{
    return status && (strcmp(status, "STOPPED") == 0 || strcmp(status, "DELETED") == 0);
}

/* The tasks of the failed attempt: the one that it names, else what ECS lists and no earlier
 * attempt has started. */
static int list_tasks(const struct job *job, struct json_object *tasks, struct error *err)
{
    static const char *const states[] = { "RUNNING", "STOPPED" };
    const char *known = json_get_str(job->failed, "taskArn");
    struct workflow_id id;
    char started_by[WORKFLOW_STARTED];
    if (known) {
        json_push(tasks, json_new_str(known));
        return 0;
    }
    if (workflow_id_from_arn(&id, NULL, job->execution_arn) < 0)
        return error_set(err, ERR_PROTOCOL, 0, "not a durable execution's ARN");
    workflow_id_started_by(&id, started_by);
    for (size_t s = 0; s < ARRAY_LEN(states); s++) {
        auto_json struct json_object *arns = NULL;
        if (ecs_list_tasks(job->tools->aws, job->tools->cfg->cluster, started_by, states[s], &arns,
                           err) < 0)
            return -1;
        for (size_t i = 0; i < json_object_array_length(arns); i++) {
            struct json_object *arn = json_object_array_get_idx(arns, i);
            const char *text = json_object_get_string(arn);
            if (!is_member(job->others, text) && !is_member(tasks, text))
                json_push(tasks, json_object_get(arn));
        }
    }
    return 0;
}

/* 1: it has stopped, or ECS has forgotten it. 0: not yet. */
static int has_stopped(const struct job *job, const char *arn, struct error *err)
{
    auto_json struct json_object *task = NULL;
    if (ecs_describe_task(job->tools->aws, job->tools->cfg->cluster, arn, &task, err) < 0)
        return -1;
    return !task || is_end(json_get_str(task, "lastStatus"));
}

/* The result: {"tasks":[ARN...],"atMs"}. */
static int settle_body(struct durable_step *step, void *arg, struct json_object **out,
                       struct durable_error *err)
{
    const struct job *job = arg;
    struct error why = { 0 };
    auto_json struct json_object *tasks = json_object_new_array();
    attempt_step_begin(step, job->tools);
    if (list_tasks(job, tasks, &why) < 0)
        return attempt_step_error(err, true, "look for the earlier task", &why);
    bool known = is_end(json_get_str(job->failed, "lastStatus"));
    for (size_t i = 0; !known && i < json_object_array_length(tasks); i++) {
        const char *arn = json_object_get_string(json_object_array_get_idx(tasks, i));
        int stopped = has_stopped(job, arn, &why);
        if (stopped < 0)
            return attempt_step_error(err, true, "look at the earlier task", &why);
        if (stopped == 0) {
            durable_error_set(err, ATTEMPT_AGAIN, "the earlier task has not stopped yet");
            return -1;
        }
    }
    *out = json_object_new_object();
    json_add_int(*out, "atMs", clock_wall_ms(job->tools->clock));
    json_add(*out, "tasks", MOVE(tasks));
    return 0;
}

/* ---- between two attempts -------------------------------------------------------------------- */

static void say_not_retried(const struct job *job, struct durable_error *err)
{
    auto_json struct json_object *data =
        job->failed ? json_object_get(job->failed) : json_object_new_object();
    json_add_str(data, "notRetried", "the task has not stopped: another could have run beside it");
    durable_error_set_data(err, json_text(data, NULL));
}

/* Waits until attempt `n`, which failed with *failure, has left nothing behind, and then the
 * policy's time. DURABLE_FAILED: there must not be another. */
static enum durable_rc settle(struct durable_ctx *ctx, struct job *job, unsigned n,
                              struct durable_error *err)
{
    const struct durable_step_opts opts = { .retry = settle_patience };
    auto_json struct json_object *record = NULL;
    int64_t delay_s = policy_delay_s(job->in, job->execution_arn, n);
    char name[32];
    snprintf(name, sizeof(name), "settle-%u", n);
    DURABLE_TRY(durable_step(ctx, name, settle_body, job, &opts, &record, err));
    struct json_object *tasks = json_get_arr(record, "tasks");
    for (size_t i = 0; tasks && i < json_object_array_length(tasks); i++)
        json_push(job->others, json_object_get(json_object_array_get_idx(tasks, i)));
    job->begin_ms = json_get_int(record, "atMs", job->begin_ms) + delay_s * 1000;
    snprintf(name, sizeof(name), "backoff-%u", n);
    return durable_wait(ctx, name, delay_s, err);
}

/* How often it was tried, into the data of the failure that is the workflow's. */
static void count_attempts(unsigned n, struct durable_error *err)
{
    auto_json struct json_object *data = data_of(err);
    if (n < 2 || !json_object_is_type(data, json_type_object))
        return;
    json_add_int(data, "attempts", n);
    durable_error_set_data(err, json_text(data, NULL));
}

static void say_failed(const struct job *job, const char *event, const char *operation,
                       const struct durable_error *err)
{
    log_warn(job->tools->log, log_event(event), log_str("operation", operation),
             log_str("task", json_get_str(job->failed, "taskArn")), log_str("type", err->type),
             log_str("detail", err->message));
}

static enum durable_rc all_attempts(struct durable_ctx *ctx, struct job *job,
                                    struct json_object **value, struct durable_error *err)
{
    for (unsigned n = 1;; n++) {
        char name[32];
        snprintf(name, sizeof(name), "attempt-%u", n);
        enum durable_rc rc = durable_child(ctx, name, one_attempt, NULL, job, NULL, value, err);
        if (rc != DURABLE_FAILED)
            return rc;
        unwrap(err);
        if (!policy_retries(job->in, err, n)) {
            count_attempts(n, err);
            return rc;
        }
        json_put_ptr(&job->failed);
        job->failed = data_of(err);
        if (!durable_is_replaying(ctx))
            say_failed(job, "attempt_failed", name, err);
        auto_durable_error struct durable_error why = { 0 };
        rc = settle(ctx, job, n, &why);
        if (rc == DURABLE_FAILED) {
            if (!durable_is_replaying(ctx))
                say_failed(job, "not_tried_again", name, &why);
            say_not_retried(job, err);
            return rc;
        }
        if (rc == DURABLE_FATAL)
            durable_error_copy(err, &why);
        if (rc != DURABLE_OK)
            return rc;
    }
}

enum durable_rc attempts_run(struct durable_ctx *ctx, const struct attempt_tools *tools,
                             const struct input *in, const struct metrics_of *of,
                             struct json_object **result, char **task_arn,
                             struct durable_error *err)
{
    struct job job = {
        .tools = tools,
        .in = in,
        .of = of,
        .execution_arn = durable_execution_arn(ctx),
        .begin_ms = durable_execution_start_ms(ctx),
        .others = json_object_new_array(),
    };
    auto_json struct json_object *value = NULL;
    enum durable_rc rc = all_attempts(ctx, &job, &value, err);
    if (rc == DURABLE_OK) {
        *result = json_object_get(json_get(value, "result"));
        *task_arn = mem_dup(json_get_str(value, "taskArn"));
    }
    json_object_put(job.others);
    json_object_put(job.failed);
    return rc;
}

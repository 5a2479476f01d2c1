#include "launcher/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/batch_result.h"
#include "launcher/past.h"
#include "launcher/workflow_id.h"

/* An execution may keep 100 MB: what the results of all jobs may take of it, and one at most. */
#define RESULTS_MAX (80 << 20)
#define RESULT_MAX  240000

/* About ten minutes. */
static const struct durable_retry stop_patience = {
    .max_attempts = 20,
    .first_delay_s = 1,
    .max_delay_s = 60,
    .rate = 2,
    .jitter = DURABLE_JITTER_HALF,
    .only_types = (const char *const[]){ ATTEMPT_AGAIN, NULL },
};

/* Read by several threads. */
struct batch {
    const struct attempt_tools *tools;
    const char *execution_arn;
    char function[2 * WORKFLOW_ID_PART + 2]; /* this one, with its version */
};

/* ---- the jobs -------------------------------------------------------------------------------- */

/* The job's workflow. Its failure is the job's own, not that of the invoke. */
static enum durable_rc job_body(struct durable_ctx *ctx, struct json_object *item, size_t index,
                                void *arg, struct json_object **out, struct durable_error *err)
{
    const struct batch *b = arg;
    char name[32];
    snprintf(name, sizeof(name), "job-%zu", index);
    enum durable_rc rc = durable_invoke(ctx, name, b->function, item, NULL, out, err);
    if (rc == DURABLE_FAILED && err->cause_type) {
        free(err->type);
        err->type = MOVE(err->cause_type);
    }
    return rc;
}

/* The jobs' workflows as they are invoked; the caller's. */
static struct json_object *make_items(const struct input *in)
{
    struct json_object *items = json_object_new_array();
    size_t count = json_object_array_length(in->jobs);
    int64_t most = RESULTS_MAX / (int64_t)count;
    for (size_t i = 0; i < count; i++) {
        struct json_object *job = json_object_array_get_idx(in->jobs, i);
        struct json_object *item = json_object_new_object();
        json_object_object_foreach(job, key, value)
        {
            json_add(item, key, json_object_get(value));
        }
        json_add_int(item, "wrapResultBytes", most < RESULT_MAX ? most : RESULT_MAX);
        json_push(items, item);
    }
    return items;
}

static struct durable_batch_opts map_opts(const struct input *in)
{
    struct durable_batch_opts opts = {
        .max_concurrency = durable_limit(in->max_concurrency),
        .flat = true,
    };
    if (in->tolerated >= 0)
        opts.completion.tolerated_failure_count = durable_limit((double)in->tolerated);
    else
        opts.completion.tolerated_failure_percentage = durable_limit((double)in->tolerated_percent);
    return opts;
}

/* ---- their end ------------------------------------------------------------------------------- */

static struct batch_result *collect(const struct durable_batch *jobs)
{
    struct batch_result *r = batch_result_new();
    for (size_t i = 0; i < durable_batch_total(jobs); i++) {
        const struct durable_error *wrapped = durable_batch_error(jobs, i);
        if (durable_batch_item(jobs, i) == DURABLE_ITEM_SUCCEEDED) {
            batch_result_succeeded(r, i, durable_batch_value(jobs, i));
        } else if (wrapped) {
            struct durable_error job = *wrapped;
            job.type = wrapped->cause_type ? wrapped->cause_type : wrapped->type;
            batch_result_failed(r, i, &job);
        }
    }
    return r;
}

static int stop_body(struct durable_step *step, void *arg, struct json_object **out,
                     struct durable_error *err)
{
    const struct batch *b = arg;
    const struct attempt_tools *t = b->tools;
    struct error why = { 0 };
    auto_past struct past past = { .callbacks = NULL };
    int64_t tasks = 0;
    attempt_step_begin(step, t);
    if (past_read(t->aws, b->execution_arn, &past, &why) < 0)
        return attempt_step_error(err, true, "read the history", &why);
    if (past_stop_children(t->aws, t->cfg->cluster, &past, true, "too many jobs have failed",
                           &tasks, &why) < 0)
        return attempt_step_error(err, true, "stop the jobs", &why);
    log_info(t->log, log_event("jobs_stopped"), log_str("operation", "stop-jobs"),
             log_int("tasks", tasks));
    *out = json_object_new_object();
    json_add_int(*out, "tasks", tasks);
    return 0;
}

/* Stops what is under way and makes *err the batch's failure. */
static enum durable_rc too_many(struct durable_ctx *ctx, struct batch *b, struct batch_result *r,
                                const struct input *in, size_t failed, struct durable_error *err)
{
    const struct durable_step_opts opts = { .retry = stop_patience };
    auto_durable_error struct durable_error why = { 0 };
    size_t total = json_object_array_length(in->jobs);
    enum durable_rc rc = durable_step(ctx, "stop-jobs", stop_body, b, &opts, NULL, &why);
    if (rc == DURABLE_FATAL)
        durable_error_copy(err, &why);
    if (rc != DURABLE_OK && rc != DURABLE_FAILED)
        return rc;
    if (rc == DURABLE_FAILED && !durable_is_replaying(ctx))
        log_error(b->tools->log, log_event("jobs_not_stopped"), log_str("operation", "stop-jobs"),
                  log_str("detail", why.message));
    auto_json struct json_object *data = batch_result_doc(r, total, true, BATCH_ERROR_ROOM);
    durable_error_set(err, "Workflow.TooManyFailures", "%zu of %zu jobs have failed", failed,
                      total);
    durable_error_set_data(err, json_text(data, NULL));
    return DURABLE_FAILED;
}

enum durable_rc batch_run(struct durable_ctx *ctx, const struct attempt_tools *tools,
                          const struct input *in, struct json_object **out,
                          struct durable_error *err)
{
    struct batch b = { .tools = tools, .execution_arn = durable_execution_arn(ctx) };
    struct workflow_id id;
    auto_durable_batch struct durable_batch *jobs = NULL;
    if (workflow_id_from_arn(&id, NULL, b.execution_arn) < 0) {
        durable_error_set(err, "Workflow.InvalidInput", "not a durable execution's ARN: %.300s",
                          b.execution_arn);
        return DURABLE_FAILED;
    }
    snprintf(b.function, sizeof(b.function), "%s:%s", id.function, id.version);
    const struct durable_batch_opts opts = map_opts(in);
    auto_json struct json_object *items = make_items(in);
    DURABLE_TRY(durable_map(ctx, "jobs", items, job_body, &b, &opts, &jobs, err));
    struct batch_result *r = collect(jobs);
    enum durable_rc rc = DURABLE_OK;
    if (durable_batch_reason(jobs) == DURABLE_FAILURE_TOLERANCE_EXCEEDED)
        rc = too_many(ctx, &b, r, in, durable_batch_failed(jobs), err);
    else
        *out = batch_result_doc(r, json_object_array_length(in->jobs), false, BATCH_RESULT_ROOM);
    batch_result_free(r);
    return rc;
}

#include "launcher/workflow.h"

#include <stdlib.h>

#include "launcher/attempts.h"
#include "launcher/batch.h"
#include "launcher/plan.h"
#include "launcher/policy.h"
#include "launcher/workflow_id.h"

static enum durable_rc refuse(struct json_object *faults, struct durable_error *err)
{
    auto_free char *text = input_faults_text(faults);
    auto_json struct json_object *data = json_object_new_object();
    json_add(data, "errors", json_object_get(faults));
    durable_error_set(err, "Workflow.InvalidInput", "%s", text);
    durable_error_set_data(err, json_text(data, NULL));
    return DURABLE_FAILED;
}

/* What AWS's sample returns, the one of its functions and the other. */
static struct json_object *sample_result(const struct input *in, const char *task_arn,
                                         struct json_object *result)
{
    auto_json struct json_object *body = json_object_new_object();
    json_add_str(body, "status", "success");
    if (in->pattern == INPUT_SYNC) {
        auto_free char *text = mem_printf("Processed: %s", in->message);
        json_add_str(body, "message", text);
        json_add_int(body, "processingTime", in->processing_s);
        json_add_str(body, "taskArn", task_arn);
    } else {
        json_add_str(body, "message", "ECS task completed and sent callback");
        json_add_str(body, "taskArn", task_arn);
        json_add_str(body, "result", json_text(result, NULL));
    }
    struct json_object *o = json_object_new_object();
    json_add_int(o, "statusCode", 200);
    json_add_str(o, "body", json_text(body, NULL));
    return o;
}

/* What a batch is told by one of its jobs. */
static struct json_object *wrapped_result(const struct input *in, const char *workflow,
                                          const char *task_arn, struct json_object *result)
{
    struct json_object *o = json_object_new_object();
    size_t len;
    json_text(result, &len);
    json_add_str(o, "workflow", workflow);
    json_add_str(o, "taskArn", task_arn);
    if ((int64_t)len > in->wrap_bytes)
        json_add_int(o, "resultBytes", (int64_t)len);
    else
        json_add(o, "result", json_object_get(result));
    return o;
}

/* The same for its failure: into the data, where that is an object. */
static void name_workflow(const char *workflow, struct durable_error *err)
{
    struct error not_json;
    auto_json struct json_object *data = NULL;
    if (err->data && json_parse_str(err->data, &data, &not_json) < 0)
        return;
    if (!data)
        data = json_object_new_object();
    if (!json_object_is_type(data, json_type_object))
        return;
    json_add_str(data, "workflow", workflow);
    durable_error_set_data(err, json_text(data, NULL));
}

/* ---- what is told of it ---------------------------------------------------------------------- */

/* An execution as logs and metrics name it. */
struct telling {
    const struct attempt_tools *tools;
    struct metrics_of of;
    struct workflow_id id;
    char text[WORKFLOW_ID_TEXT];
};

static void telling_begin(struct telling *t, const struct attempt_tools *tools,
                          const struct durable_ctx *ctx)
{
    *t = (struct telling){ .tools = tools };
    if (workflow_id_from_arn(&t->id, NULL, durable_execution_arn(ctx)) == 0)
        workflow_id_text(&t->id, t->text);
    t->of = (struct metrics_of){ .function = t->id.function, .workflow = t->text };
    log_set(tools->log, "workflow", t->text);
    log_set(tools->log, "requestId", durable_request_id(ctx));
}

static void tell_start(const struct telling *t)
{
    log_info(t->tools->log, log_event("workflow_started"), log_str("pattern", t->of.pattern));
    metrics_count(t->tools->metrics, "WorkflowsStarted", &t->of);
}

static void tell_end(struct telling *t, enum durable_rc rc, const struct durable_error *err)
{
    if (rc == DURABLE_OK) {
        log_info(t->tools->log, log_event("workflow_succeeded"), log_str("pattern", t->of.pattern));
        metrics_count(t->tools->metrics, "WorkflowsSucceeded", &t->of);
    } else if (rc == DURABLE_FAILED) {
        t->of.error_type = err->type;
        log_warn(t->tools->log, log_event("workflow_failed"), log_str("pattern", t->of.pattern),
                 log_str("type", err->type), log_str("detail", err->message));
        metrics_count(t->tools->metrics, "WorkflowsFailed", &t->of);
    }
}

/* ---- the handler ----------------------------------------------------------------------------- */

static enum durable_rc run(struct durable_ctx *ctx, struct telling *telling,
                           const struct attempt_tools *tools, struct json_object *in,
                           struct json_object **out, struct durable_error *err)
{
    auto_input struct input input = { .sample = false };
    auto_json struct json_object *faults = NULL;
    auto_json struct json_object *result = NULL;
    auto_free char *task_arn = NULL;
    /* What was checked once need not be again: a batch is invoked often. */
    bool fits = input_parse(in, (const char *const *)tools->cfg->allowed, &input, &faults) == 0 &&
                (durable_is_replaying(ctx) || plan_check(tools->cfg, &input, &faults) == 0) &&
                policy_fit(tools->cfg, &input, &faults) == 0;
    telling->of.pattern = fits ? input_pattern_name(input.pattern) : NULL;
    if (!durable_is_replaying(ctx))
        tell_start(telling);
    if (!fits)
        return refuse(faults, err);
    if (input.pattern == INPUT_BATCH)
        return batch_run(ctx, tools, &input, out, err);
    enum durable_rc rc = attempts_run(ctx, tools, &input, &telling->of, &result, &task_arn, err);
    if (rc == DURABLE_FAILED && input.wrap_bytes)
        name_workflow(telling->text, err);
    if (rc != DURABLE_OK)
        return rc;
    if (input.wrap_bytes)
        *out = wrapped_result(&input, telling->text, task_arn, result);
    else
        *out = input.sample ? sample_result(&input, task_arn, result) : MOVE(result);
    return DURABLE_OK;
}

enum durable_rc workflow_run(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    const struct attempt_tools *tools = arg;
    struct telling telling;
    telling_begin(&telling, tools, ctx);
    enum durable_rc rc = run(ctx, &telling, tools, in, out, err);
    tell_end(&telling, rc, err);
    log_set(tools->log, "workflow", NULL);
    return rc;
}

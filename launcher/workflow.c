#include "launcher/workflow.h"

#include "launcher/plan.h"

static enum durable_rc refuse(struct json_object *faults, struct durable_error *err)
{
    auto_free char *text = input_faults_text(faults);
    auto_json struct json_object *data = json_object_new_object();
    json_add(data, "errors", json_object_get(faults));
    durable_error_set(err, "Workflow.InvalidInput", "%s", text);
    durable_error_set_data(err, json_text(data, NULL));
    return DURABLE_FAILED;
}

/* What AWS's sample returns. */
static struct json_object *sample_result(const char *task_arn, struct json_object *result)
{
    auto_json struct json_object *body = json_object_new_object();
    json_add_str(body, "status", "success");
    json_add_str(body, "message", "ECS task completed and sent callback");
    json_add_str(body, "taskArn", task_arn);
    json_add_str(body, "result", json_text(result, NULL));
    struct json_object *o = json_object_new_object();
    json_add_int(o, "statusCode", 200);
    json_add_str(o, "body", json_text(body, NULL));
    return o;
}

enum durable_rc workflow_run(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    const struct attempt_tools *tools = arg;
    auto_input struct input input = { .sample = false };
    auto_json struct json_object *faults = NULL;
    auto_json struct json_object *result = NULL;
    if (input_parse(in, (const char *const *)tools->cfg->allowed, &input, &faults) < 0 ||
        plan_check(tools->cfg, &input, &faults) < 0)
        return refuse(faults, err);
    struct attempt attempt = {
        .tools = tools,
        .in = &input,
        .job = "job",
        .execution_arn = durable_execution_arn(ctx),
        .begin_ms = durable_execution_start_ms(ctx),
    };
    enum durable_rc rc = attempt_run(ctx, &attempt, &result, err);
    if (rc == DURABLE_OK)
        *out = input.sample ? sample_result(attempt.task_arn, result) : MOVE(result);
    attempt_release(&attempt);
    return rc;
}

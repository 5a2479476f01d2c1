#include "launcher/workflow.h"

#include <stdlib.h>

#include "launcher/attempts.h"
#include "launcher/plan.h"
#include "launcher/policy.h"

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
        plan_check(tools->cfg, &input, &faults) < 0 || policy_fit(tools->cfg, &input, &faults) < 0)
        return refuse(faults, err);
    auto_free char *task_arn = NULL;
    DURABLE_TRY(attempts_run(ctx, tools, &input, &result, &task_arn, err));
    *out = input.sample ? sample_result(task_arn, result) : MOVE(result);
    return DURABLE_OK;
}

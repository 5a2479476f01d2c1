/* workflow_rig.h - for tests: the handler `workflow` with a fake engine, fake AWS and a fake
 * receiver around it. */
#ifndef TESTS_UNIT_LAUNCHER_WORKFLOW_RIG_H
#define TESTS_UNIT_LAUNCHER_WORKFLOW_RIG_H

#include <criterion/criterion.h>

#include "launcher/workflow.h"
#include "tests/unit/launcher/fake_aws.h"
#include "tests/unit/launcher/fake_durable.h"

#define KEYS "{\"k\":\"0123456789012345678901234567890123456789012\"}"
#define CALLBACK                                                                                   \
    "{\"pattern\":\"callback\",\"task\":{\"command\":[\"a\"]},\"input\":{\"n\":1},"                \
    "\"retry\":{\"maxAttempts\":1}}"

/* A launcher with its surroundings, for one execution. */
struct rig {
    struct fake_aws *aws;
    struct fake_durable durable;
    struct config cfg;
    struct aws_options options;
    struct attempt_tools tools;
    struct token_keys *keys;
    struct json_object *answer; /* the last one, parsed */
};

static char *rig_list[] = { NULL };

static void rig_init(struct rig *r, const char *input, const struct fake_rule *rules)
{
    struct error err = { 0 };
    *r = (struct rig){ .aws = fake_start(rules) };
    r->cfg = (struct config){
        .cluster = mem_dup("local"),
        .task_definition = mem_dup("job"),
        .container = mem_dup("job"),
        .allowed = rig_list,
        .subnets = rig_list,
        .security_groups = rig_list,
        .capacity_providers = rig_list,
        .callback_base_url = mem_dup("http://callbacks"),
        .stop_timeout_s = 30,
    };
    r->keys = token_keys_new(KEYS, NULL, &err);
    r->tools = (struct attempt_tools){
        .cfg = &r->cfg,
        .aws = fake_client(r->aws, &r->options),
        .receiver = receiver_client_new(r->aws->url, clock_system(), &err),
        .keys = r->keys,
        .clock = &r->durable.clock,
    };
    receiver_client_set_retry(r->tools.receiver, 1, 1);
    fake_durable_init(&r->durable, input, 0);
}

static void rig_release(struct rig *r)
{
    json_object_put(r->answer);
    fake_durable_release(&r->durable);
    receiver_client_free(r->tools.receiver);
    fake_client_free(r->tools.aws, &r->options);
    token_keys_free(r->keys);
    free(r->cfg.cluster);
    free(r->cfg.task_definition);
    free(r->cfg.container);
    free(r->cfg.callback_base_url);
    fake_stop(r->aws);
}

UNUSED static void rig_run(struct rig *r, const char *expected)
{
    struct error err;
    const char *status = fake_durable_run(&r->durable, workflow_run, &r->tools);
    cr_assert_str_eq(status, expected, "%s", r->durable.answer);
    json_put_ptr(&r->answer);
    cr_assert_eq(json_parse_str(r->durable.answer, &r->answer, &err), 0);
}

/* The failed execution's error: checks its type and gives its data, parsed, the caller's. */
UNUSED static struct json_object *rig_error(struct rig *r, const char *type)
{
    struct error err;
    struct json_object *data = NULL;
    struct json_object *e = json_get_obj(r->answer, "Error");
    cr_assert_str_eq(json_get_str(e, "ErrorType"), type, "%s", r->durable.answer);
    if (json_get_str(e, "ErrorData"))
        cr_assert_eq(json_parse_str(json_get_str(e, "ErrorData"), &data, &err), 0);
    return data;
}

#endif

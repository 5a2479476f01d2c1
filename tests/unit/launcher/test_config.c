#include "launcher/config.h"

#include <criterion/criterion.h>
#include <string.h>

#define KEYS "CALLBACK_TOKEN_KEYS={\"a\":\"0123456789012345678901234567890123456789012\"}"
#define WORKFLOW                                                                                   \
    "TASK_DEFINITION=job", "CALLBACK_BASE_URL=http://127.0.0.1:8080/", KEYS, "_HANDLER=workflow"

#define ENV(...)                                                                                   \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

/* What main gets is not const; nobody writes into it. */
static char *const *as_main(const char *const *strings)
{
    char *const *out;
    memcpy(&out, &strings, sizeof(out));
    return out;
}

static int load(struct config *c, const char *arg1, const char *arg2, const char *const *env,
                struct error *err)
{
    const char *argv[] = { "bootstrap", arg1, arg2, NULL };
    return config_load(c, arg1 ? arg2 ? 3 : 2 : 1, as_main(argv), as_main(env), err);
}

Test(config, refuses_and_names_the_variable)
{
    static const char *const bad[][9] = {
        { NULL },
        { "_HANDLER=events" },
        { "_HANDLER=other" },
        { "_HANDLER=api" },
        { "_HANDLER=api", "WORKFLOW_FUNCTION=launcher" },
        { "_HANDLER=api", "WORKFLOW_FUNCTION=arn:aws:lambda:x:1:function:launcher:1" },
        { "_HANDLER=workflow" },
        { "_HANDLER=workflow", "TASK_DEFINITION=job" },
        { "_HANDLER=workflow", "TASK_DEFINITION=job", "CALLBACK_BASE_URL=http://x" },
        { "_HANDLER=workflow", "TASK_DEFINITION=job", "CALLBACK_BASE_URL=ftp://x", KEYS },
        { "_HANDLER=workflow", "TASK_DEFINITION=job", "CALLBACK_BASE_URL=http:///x", KEYS },
        { "_HANDLER=workflow", "TASK_DEFINITION=job", "CALLBACK_BASE_URL=http://x/?q", KEYS },
        { WORKFLOW, "RECEIVER_URL=receiver:8081" },
        { WORKFLOW, "CALLBACK_TOKEN_KEYS_SECRET=arn:aws:secretsmanager:x" },
        { WORKFLOW, "LAUNCH_TYPE=FARGATE", "CAPACITY_PROVIDERS=FARGATE_SPOT" },
        { WORKFLOW, "LAUNCH_TYPE=fargate" },
        { WORKFLOW, "STOP_TIMEOUT_SECONDS=121" },
        { WORKFLOW, "ASSIGN_PUBLIC_IP=perhaps" },
        { WORKFLOW, "LOG_LEVEL=loud" },
    };
    static const char *const says[] = {
        "no handler",
        "CALLBACK_BASE_URL is not set",
        "unknown handler other",
        "WORKFLOW_FUNCTION is not set",
        "WORKFLOW_FUNCTION: must be NAME:QUALIFIER",
        "WORKFLOW_FUNCTION: must be NAME:QUALIFIER",
        "TASK_DEFINITION is not set",
        "CALLBACK_BASE_URL is not set",
        "neither CALLBACK_TOKEN_KEYS nor",
        "CALLBACK_BASE_URL: must be an http",
        "CALLBACK_BASE_URL: must be an http",
        "CALLBACK_BASE_URL: must have no query",
        "RECEIVER_URL: must be an http",
        "CALLBACK_TOKEN_KEYS and CALLBACK_TOKEN_KEYS_SECRET exclude",
        "LAUNCH_TYPE and CAPACITY_PROVIDERS exclude",
        "LAUNCH_TYPE: must be",
        "STOP_TIMEOUT_SECONDS: must be a whole number from 1 to 120",
        "ASSIGN_PUBLIC_IP: must be true or false",
        "LOG_LEVEL: must be",
    };
    cr_assert_eq(ARRAY_LEN(bad), ARRAY_LEN(says));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct config c;
        struct error err = { 0 };
        cr_assert_eq(load(&c, NULL, NULL, bad[i], &err), -1, "%s", says[i]);
        cr_expect_eq(strncmp(err.msg, says[i], strlen(says[i])), 0, "%s: %s", says[i], err.msg);
        cr_expect_null(strstr(err.msg, "0123456789"), "a key is shown: %s", err.msg);
        config_release(&c);
    }
}

Test(config, reads_lists_urls_and_defaults)
{
    struct config c;
    struct error err = { 0 };
    cr_assert_eq(load(&c, NULL, NULL,
                      ENV(WORKFLOW, "ALLOWED_TASK_DEFINITIONS= a , b:2,,", "SUBNETS=s1,s2",
                          "AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001"),
                      &err),
                 0, "%s", err.msg);
    cr_expect_eq(c.handler, CONFIG_WORKFLOW);
    cr_expect_str_eq(c.allowed[0], "job");
    cr_expect_str_eq(c.allowed[1], "a");
    cr_expect_str_eq(c.allowed[2], "b:2");
    cr_expect_null(c.allowed[3]);
    cr_expect_str_eq(c.subnets[1], "s2");
    cr_expect_null(c.security_groups[0]);
    cr_expect_null(c.capacity_providers[0]);
    cr_expect_str_eq(c.callback_base_url, "http://127.0.0.1:8080");
    cr_expect_str_eq(c.receiver_url, "http://127.0.0.1:8080");
    cr_expect_str_eq(c.cluster, "default");
    cr_expect_str_eq(c.container, "job");
    cr_expect_eq(c.stop_timeout_s, 30);
    cr_expect_str_eq(c.runtime_api, "127.0.0.1:9001");
    config_release(&c);
}

Test(config, takes_the_handler_from_either_side_of_the_flags)
{
    static const char *const args[][2] = { { "api", "--workflow-function=launcher:live" },
                                           { "--workflow-function=launcher:live", "api" } };
    for (size_t i = 0; i < ARRAY_LEN(args); i++) {
        struct config c;
        struct error err = { 0 };
        cr_assert_eq(load(&c, args[i][0], args[i][1], ENV("_HANDLER=workflow"), &err), 0, "%s",
                     err.msg);
        cr_expect_eq(c.handler, CONFIG_API);
        cr_expect_str_eq(c.function_name, "launcher");
        config_release(&c);
    }
}

Test(config, takes_latest_as_the_qualifier)
{
    struct config c;
    struct error err = { 0 };
    cr_assert_eq(load(&c, "api", "--workflow-function=a_b-1:$LATEST", ENV("X=1"), &err), 0);
    cr_expect_str_eq(c.function_name, "a_b-1");
    config_release(&c);
}

Test(config, hands_flags_on_to_who_reads_the_environment)
{
    struct config c;
    struct error err = { 0 };
    const char *const env[] = { "WORKFLOW_FUNCTION=a:1", "AWS_REGION=eu-west-1", "X=1", NULL };
    cr_assert_eq(load(&c, "--region=eu-north-1", "api", env, &err), 0, "%s", err.msg);
    char **out = config_environment(&c, as_main(env));
    cr_expect_str_eq(opts_env(out, "AWS_REGION"), "eu-north-1");
    cr_expect_str_eq(opts_env(out, "AWS_LAMBDA_LOG_LEVEL"), "info");
    cr_expect_str_eq(opts_env(out, "X"), "1");
    cr_expect_null(opts_env(out, "AWS_ENDPOINT_URL"));
    config_environment_free(out);
    config_release(&c);
}

Test(config, refuses_a_second_argument)
{
    struct config c;
    struct error err = { 0 };
    cr_assert_eq(load(&c, "api", "more", ENV("WORKFLOW_FUNCTION=a:1"), &err), -1);
    cr_expect_str_eq(err.msg, "unexpected argument more");
    config_release(&c);
}

Test(config, allows_revisions_of_a_family)
{
    static const char *const allowed[] = { "job", "tool:3", "arn:aws:ecs:r:1:task-definition/x",
                                           NULL };
    static const struct {
        const char *name;
        bool yes;
    } table[] = {
        { "job", true },      { "job:1", true },
        { "job:", false },    { "job:x", false },
        { "jo", false },      { "tool:3", true },
        { "tool", false },    { "tool:33", false },
        { "", false },        { "arn:aws:ecs:r:1:task-definition/x:9", true },
        { ":1", false },      { "arn:aws:ecs:r:2:task-definition/x", false },
        { "job:1:2", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        cr_expect_eq(config_allows(allowed, table[i].name), table[i].yes, "%s", table[i].name);
}

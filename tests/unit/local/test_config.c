#include "local/config.h"

#include <criterion/criterion.h>
#include <string.h>

static struct config *parse(const char *text, struct error *err)
{
    return config_parse(text, strlen(text), "test.json", err);
}

Test(config, reads_everything_and_fills_in_defaults)
{
    static const char text[] =
        "{\"credentials\":{\"key\":\"secret\"},"
        "\"functions\":{\"launcher\":{\"command\":[\"/bin/x\",\"workflow\"],\"environment\":{\"A\":"
        "\"b=c\"},"
        "\"version\":\"7\",\"aliases\":{\"live\":\"7\",\"next\":\"$LATEST\"},\"durable\":{}},"
        "\"api\":{\"command\":[\"/bin/x\"],\"timeoutSeconds\":30,\"maxConcurrency\":4,"
        "\"async\":{\"maximumRetryAttempts\":0,\"maximumEventAgeInSeconds\":60,"
        "\"onFailure\":\"told\"}},\"told\":{\"command\":[\"/bin/x\"]}},"
        "\"taskDefinitions\":{\"job\":{\"containers\":[{\"name\":\"job\",\"entryPoint\":[\"/c\","
        "\"--\"]}]}},"
        "\"httpApi\":[{\"path\":\"/workflows\",\"function\":\"api\"},{\"path\":\"/v1\",\"proxy\":"
        "\"http://127.0.0.1:1\"}],\"events\":{\"function\":\"api\",\"ecs\":[\"STOPPED\"]}}";
    struct error err;
    struct config *c = parse(text, &err);
    cr_assert_not_null(c, "%s", err.msg);
    cr_assert_str_eq(c->region, "us-east-1");
    cr_assert_str_eq(c->account_id, "123456789012");
    cr_assert_str_eq(c->cluster, "local");
    cr_assert_str_eq(config_secret(c, "key"), "secret");
    cr_assert_null(config_secret(c, "other"));
    const struct config_function *f = config_function(c, "launcher");
    cr_assert(f->durable);
    cr_assert_eq(f->execution_timeout_s, 86400);
    cr_assert_eq(f->retention_s, 14 * 86400);
    cr_assert_eq(f->timeout_s, 60);
    cr_assert_eq(f->max_concurrency, 10);
    cr_assert_str_eq(f->command[1], "workflow");
    cr_assert_null(f->command[2]);
    cr_assert_str_eq(config_variable(f->environment, "A"), "b=c");
    cr_assert_str_eq(f->version, "7");
    cr_assert_eq(f->alias_count, 2);
    cr_assert_not(config_function(c, "api")->durable);
    cr_assert_eq(config_function(c, "api")->async.max_retries, 0);
    cr_assert_eq(config_function(c, "api")->async.max_age_s, 60);
    cr_assert_str_eq(config_function(c, "api")->async.on_failure, "told");
    cr_assert_eq(config_function(c, "told")->async.max_retries, 2);
    cr_assert_eq(config_function(c, "told")->async.max_age_s, 21600);
    cr_assert_null(config_function(c, "told")->async.on_failure);
    cr_assert_null(config_function(c, "none"));
    const struct config_task_definition *t = config_task_definition(c, "job");
    cr_assert_eq(t->revision, 1);
    cr_assert_eq(t->containers[0].stop_timeout_s, 30);
    cr_assert_null(t->containers[0].command[0]);
    cr_assert_str_eq(c->routes[1].proxy, "http://127.0.0.1:1");
    cr_assert_str_eq(c->events.function, "api");
    cr_assert_str_eq(c->events.ecs[0], "STOPPED");
    cr_assert_null(c->events.ecs[1]);
    cr_assert_null(c->events.executions[0]);
    config_free(c);
}

Test(config, defaults_hold_for_every_function_that_does_not_say_otherwise)
{
    static const char text[] =
        "{\"credentials\":{\"k\":\"s\"},"
        "\"functionDefaults\":{\"command\":[\"/bin/x\"],\"timeoutSeconds\":5,"
        "\"environment\":{\"A\":\"1\",\"B\":\"2\"},\"durable\":{\"executionTimeoutSeconds\":9,"
        "\"retentionSeconds\":3,\"retry\":{\"firstDelaySeconds\":2,\"maxAttempts\":4}}},"
        "\"functions\":{\"a\":{\"handler\":\"one\",\"environment\":{\"B\":\"3\"},"
        "\"durable\":{\"executionTimeoutSeconds\":7}},"
        "\"b\":{\"handler\":\"two\",\"timeoutSeconds\":6,\"durable\":null},"
        "\"c\":{\"command\":null,\"runtimeApi\":\"127.0.0.1:9001\"}}}";
    struct error err;
    struct config *c = parse(text, &err);
    cr_assert_not_null(c, "%s", err.msg);
    const struct config_function *a = config_function(c, "a"), *b = config_function(c, "b");
    cr_expect_str_eq(a->command[0], "/bin/x");
    cr_expect_str_eq(a->handler, "one");
    cr_expect_str_eq(config_variable(a->environment, "A"), "1");
    cr_expect_str_eq(config_variable(a->environment, "B"), "3");
    cr_expect(a->durable);
    cr_expect_eq(a->execution_timeout_s, 7);
    cr_expect_eq(a->retention_s, 3);
    cr_expect_eq(a->retry.first_delay_s, 2);
    cr_expect_eq(a->retry.max_delay_s, 60);
    cr_expect_eq(a->retry.max_attempts, 4);
    cr_expect_eq(a->timeout_s, 5);
    cr_expect_str_eq(config_variable(b->environment, "B"), "2", "what a changed is a's alone");
    cr_expect_not(b->durable);
    cr_expect_eq(b->timeout_s, 6);
    cr_expect_str_eq(config_function(c, "c")->runtime_api, "127.0.0.1:9001");
    config_free(c);
}

#define WITH(members)     "{\"credentials\":{\"k\":\"s\"}," members "}"
#define FUNCTION(members) WITH("\"functions\":{\"f\":{" members "}}")
static const struct {
    const char *text, *place;
} wrong[] = {
    { "x", "test.json: not JSON" },
    { "[]", "test.json: must be a JSON object" },
    { "{}", "test.json: /credentials: is missing" },
    { "{\"credentials\":{}}", "/credentials: " },
    { "{\"credentials\":{\"k\":1}}", "/credentials/k: " },
    { "{\"credentials\":{\"k\":\"\"}}", "/credentials: " },
    { WITH("\"extra\":1"), "/extra: " },
    { WITH("\"accountId\":\"1\""), "/accountId: " },
    { WITH("\"region\":7"), "/region: " },
    { WITH("\"functions\":[]"), "/functions: " },
    { WITH("\"functions\":{\"a b\":{\"command\":[\"x\"]}}"), "/functions/a b: " },
    { FUNCTION(""), "/functions/f/command: " },
    { FUNCTION("\"command\":[1]"), "/functions/f/command/0: " },
    { FUNCTION("\"command\":[\"x\"],\"runtimeApi\":\"127.0.0.1:9\""), "/functions/f: " },
    { FUNCTION("\"runtimeApi\":\"9001\""), "/functions/f/runtimeApi: " },
    { FUNCTION("\"runtimeApi\":\"a:1\",\"handler\":\"h\""), "/functions/f/handler: " },
    { FUNCTION("\"command\":[\"x\"],\"memoryMegabytes\":64"), "/functions/f/memoryMegabytes: " },
    { FUNCTION("\"command\":[\"x\"],\"durable\":{\"retentionDays\":91}"),
      "/functions/f/durable/retentionDays: " },
    { FUNCTION("\"command\":[\"x\"],\"durable\":{\"retentionDays\":1,\"retentionSeconds\":1}"),
      "/functions/f/durable: " },
    { FUNCTION("\"command\":[\"x\"],\"durable\":{\"retry\":{\"times\":1}}"),
      "/functions/f/durable/retry/times: " },
    { FUNCTION("\"command\":[\"x\"],\"async\":{\"maximumRetryAttempts\":3}"),
      "/functions/f/async/maximumRetryAttempts: " },
    { FUNCTION("\"command\":[\"x\"],\"async\":{\"maximumEventAgeInSeconds\":59}"),
      "/functions/f/async/maximumEventAgeInSeconds: " },
    { FUNCTION("\"command\":[\"x\"],\"async\":{\"onSuccess\":\"g\"}"),
      "/functions/f/async/onSuccess: " },
    { FUNCTION("\"command\":[\"x\"],\"durable\":{},\"async\":{}"),
      "/functions/f/async: belongs to a function that is not durable" },
    { FUNCTION("\"command\":[\"x\"],\"async\":{\"onFailure\":\"g\"}"),
      "/functions/f/async/onFailure: there is no function g" },
    { FUNCTION("\"command\":[\"x\"],\"async\":{\"onFailure\":\"f\"}"),
      "/functions/f/async/onFailure: what f gives up would come back" },
    { WITH("\"functions\":{\"f\":{\"command\":[\"x\"],\"async\":{\"onFailure\":\"g\"}},"
           "\"g\":{\"command\":[\"x\"],\"durable\":{}}}"),
      "/functions/f/async/onFailure: g is a durable function" },
    { WITH("\"functions\":{\"e\":{\"command\":[\"x\"],\"async\":{\"onFailure\":\"f\"}},"
           "\"f\":{\"command\":[\"x\"],\"async\":{\"onFailure\":\"g\"}},"
           "\"g\":{\"command\":[\"x\"],\"async\":{\"onFailure\":\"f\"}}}"),
      "/functions/f/async/onFailure: what f gives up would come back" },
    { WITH("\"functionDefaults\":[]"), "/functionDefaults: " },
    { WITH("\"functionDefaults\":{\"durable\":{\"x\":1}},\"functions\":{\"f\":{\"command\":"
           "[\"x\"]}}"),
      "/functions/f/durable/x: " },
    { FUNCTION("\"command\":[\"x\"],\"environment\":{\"A=B\":\"\"}"),
      "/functions/f/environment/A=B: " },
    { FUNCTION("\"command\":[\"x\"],\"environment\":{\"A\":null}"),
      "/functions/f/environment/A: " },
    { FUNCTION("\"command\":[\"x\"],\"version\":\"one\""), "/functions/f/version: " },
    { FUNCTION("\"command\":[\"x\"],\"aliases\":{\"live\":\"2\"}"), "/functions/f/aliases/live: " },
    { FUNCTION("\"command\":[\"x\"],\"aliases\":{\"1\":\"1\"}"), "/functions/f/aliases/1: " },
    { FUNCTION("\"command\":[\"x\"],\"timeoutSeconds\":901"), "/functions/f/timeoutSeconds: " },
    { FUNCTION("\"command\":[\"x\"],\"maxConcurrency\":0"), "/functions/f/maxConcurrency: " },
    { FUNCTION("\"command\":[\"x\"],\"durable\":{\"retentionDays\":91}"),
      "/functions/f/durable/retentionDays: " },
    { FUNCTION("\"command\":[\"x\"],\"durable\":true"), "/functions/f/durable: " },
    { WITH("\"taskDefinitions\":{\"t\":{}}"), "/taskDefinitions/t/containers: " },
    { WITH("\"taskDefinitions\":{\"t\":{\"containers\":[]}}"), "/taskDefinitions/t/containers: " },
    { WITH("\"taskDefinitions\":{\"t\":{\"containers\":[{}]}}"),
      "/taskDefinitions/t/containers/0/name: " },
    { WITH("\"httpApi\":[{\"path\":\"x\",\"function\":\"f\"}]"), "/httpApi/0/path: " },
    { WITH("\"httpApi\":[{\"path\":\"/x\"}]"), "/httpApi/0: " },
    { WITH("\"httpApi\":[{\"path\":\"/x\",\"function\":\"f\"}]"), "/httpApi/0/function: " },
    { WITH("\"httpApi\":[{\"path\":\"/x\",\"proxy\":\"ftp://a\"}]"), "/httpApi/0/proxy: " },
    { WITH("\"events\":[]"), "/events: " },
    { WITH("\"events\":{}"), "/events/function: " },
    { WITH("\"events\":{\"function\":\"f\"}"), "/events/function: " },
    { WITH("\"functions\":{\"f\":{\"command\":[\"x\"],\"durable\":{}}},"
           "\"events\":{\"function\":\"f\"}"),
      "/events/function: " },
    { WITH("\"events\":{\"function\":\"f\",\"ecs\":[\"DONE\"]}"), "/events/ecs/0: " },
    { WITH("\"events\":{\"function\":\"f\",\"ecs\":[\"STOPPED\",\"STOPPED\"]}"),
      "/events/ecs/1: " },
    { WITH("\"events\":{\"function\":\"f\",\"executions\":[7]}"), "/events/executions/0: " },
    { WITH("\"events\":{\"function\":\"f\",\"executions\":[\"PENDING\"]}"),
      "/events/executions/0: " },
    { WITH("\"events\":{\"function\":\"f\",\"more\":1}"), "/events/more: " },
};

Test(config, names_the_place_of_what_is_wrong)
{
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct error err;
        struct config *c = parse(wrong[i].text, &err);
        cr_expect_null(c, "%s", wrong[i].text);
        config_free(c);
        cr_expect_eq(err.code, ERR_INVALID);
        cr_expect_not_null(strstr(err.msg, wrong[i].place), "%s: %s", wrong[i].text, err.msg);
    }
}

Test(config, a_file_that_is_not_there_is_an_error)
{
    struct error err;
    cr_assert_null(config_load("/nonexistent/local.json", &err));
    cr_assert_not_null(strstr(err.msg, "/nonexistent/local.json"));
}

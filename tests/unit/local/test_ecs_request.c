#include "local/aws/ecs_request.h"

#include <criterion/criterion.h>
#include <string.h>

static struct config *config(void)
{
    static const char text[] =
        "{\"credentials\":{\"test\":\"test\"},\"cluster\":\"local\",\"taskDefinitions\":{\"job\":{"
        "\"revision\":3,\"containers\":[{\"name\":\"main\",\"entryPoint\":[\"/bin/run\",\"--\"],"
        "\"command\":[\"default\"],\"environment\":{\"A\":\"1\",\"B\":\"2\"},"
        "\"stopTimeoutSeconds\":9},{\"name\":\"side\",\"command\":[\"/bin/side\"]}]}}}";
    struct config *c = config_parse(text, strlen(text), "test", NULL);
    cr_assert_not_null(c);
    return c;
}

static int parse(const char *json, struct json_object **body, struct ecs_run *run,
                 struct error *err)
{
    cr_assert_eq(json_parse_str(json, body, NULL), 0, "%s", json);
    return ecs_run_parse(*body, run, err);
}

#define T "{\"taskDefinition\":\"job\","

Test(ecs_request, refuses_what_ecs_refuses)
{
    static const struct {
        const char *json;
        const char *says;
    } cases[] = {
        { "{}", "Task definition" },
        { "{\"taskDefinition\":\"\"}", "Task definition" },
        { "{\"taskDefinition\":7}", "/taskDefinition" },
        { T "\"count\":0}", "/count" },
        { T "\"count\":11}", "/count" },
        { T "\"count\":\"1\"}", "/count" },
        { T "\"startedBy\":\"a b\"}", "/startedBy" },
        { T "\"startedBy\":\"a:b\"}", "/startedBy" },
        { T "\"clientToken\":\"a b\"}", "/clientToken" },
        { T "\"clientToken\":\"\\u00e4\"}", "/clientToken" },
        { T "\"launchType\":\"LAMBDA\"}", "/launchType" },
        { T "\"launchType\":\"EC2\",\"capacityProviderStrategy\":[{\"capacityProvider\":\"x\"}]}",
          "not both" },
        { T "\"capacityProviderStrategy\":[{}]}", "/capacityProviderStrategy/0" },
        { T "\"capacityProviderStrategy\":[{\"capacityProvider\":\"x\",\"weight\":1001}]}",
          "/capacityProviderStrategy/0/weight" },
        { T "\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":[]}}}", "subnets" },
        { T "\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":[1]}}}", "subnets/0" },
        { T "\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":[\"s\"],"
            "\"assignPublicIp\":\"MAYBE\"}}}",
          "assignPublicIp" },
        { T "\"propagateTags\":\"SERVICE\"}", "/propagateTags" },
        { T "\"tags\":[7]}", "/tags/0" },
        { T "\"placementConstraints\":[1,2,3,4,5,6,7,8,9,10,11]}", "/placementConstraints" },
        { T "\"enableExecuteCommand\":1}", "/enableExecuteCommand" },
        { T "\"overrides\":[]}", "/overrides" },
        { T "\"overrides\":{\"containerOverrides\":[7]}}", "/overrides/containerOverrides/0" },
        { T "\"overrides\":{\"containerOverrides\":[{\"command\":[]}]}}", "Container name" },
        { T "\"overrides\":{\"containerOverrides\":[{\"name\":\"main\",\"command\":[1]}]}}",
          "/overrides/containerOverrides/0/command/0" },
        { T "\"overrides\":{\"containerOverrides\":[{\"name\":\"main\",\"command\":"
            "[\"a\\u0000b\"]}]}}",
          "/overrides/containerOverrides/0/command/0" },
        { T "\"overrides\":{\"containerOverrides\":[{\"name\":\"main\",\"environment\":"
            "[{\"name\":\"A=\",\"value\":\"\"}]}]}}",
          "/overrides/containerOverrides/0/environment/0/name" },
        { T "\"overrides\":{\"containerOverrides\":[{\"name\":\"main\",\"environment\":"
            "[{\"value\":\"\"}]}]}}",
          "/overrides/containerOverrides/0/environment/0/name" },
        { T "\"overrides\":{\"containerOverrides\":[{\"name\":\"main\",\"cpu\":\"1\"}]}}",
          "/overrides/containerOverrides/0/cpu" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_json struct json_object *body = NULL;
        struct ecs_run run;
        struct error err = { 0 };
        cr_assert_eq(parse(cases[i].json, &body, &run, &err), -1, "%s", cases[i].json);
        cr_assert_str_eq(err.type, "InvalidParameterException", "%s", cases[i].json);
        cr_assert_not_null(strstr(err.msg, cases[i].says), "%s: %s", cases[i].json, err.msg);
    }
}

/* A request whose overrides have `characters` characters. */
static char *with_overrides(size_t characters, const char *character)
{
    static const char before[] = "{\"containerOverrides\":[{\"name\":\"main\",\"command\":[\"";
    static const char after[] = "\"]}]}";
    auto_buf struct buf b = BUF_INIT(1 << 20);
    buf_add_str(&b, "{\"taskDefinition\":\"job\",\"overrides\":");
    buf_add_str(&b, before);
    for (size_t i = strlen(before) + strlen(after); i < characters; i++)
        buf_add_str(&b, character);
    buf_add_str(&b, after);
    buf_add_str(&b, "}");
    return buf_take(&b, NULL);
}

Test(ecs_request, limits_overrides_by_characters)
{
    static const struct {
        size_t characters;
        const char *character;
        int rc;
    } cases[] = {
        { ECS_OVERRIDES_MAX, "x", 0 },
        { ECS_OVERRIDES_MAX + 1, "x", -1 },
        { ECS_OVERRIDES_MAX, "\xc3\xa4", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *json = with_overrides(cases[i].characters, cases[i].character);
        auto_json struct json_object *body = NULL;
        struct ecs_run run;
        cr_assert_eq(parse(json, &body, &run, NULL), cases[i].rc, "case %zu", i);
    }
}

Test(ecs_request, tells_equal_requests_from_others)
{
    auto_json struct json_object *a = NULL, *b = NULL, *c = NULL;
    struct ecs_run first, same, other;
    cr_assert_eq(
        parse(T "\"clientToken\":\"x\",\"count\":2,\"startedBy\":\"me\"}", &a, &first, NULL), 0);
    cr_assert_eq(parse("{\"startedBy\":\"me\",\"count\":2,\"taskDefinition\":\"job\","
                       "\"clientToken\":\"y\",\"group\":null}",
                       &b, &same, NULL),
                 0);
    cr_assert_eq(
        parse(T "\"clientToken\":\"x\",\"count\":3,\"startedBy\":\"me\"}", &c, &other, NULL), 0);
    cr_assert_str_eq(first.fingerprint, same.fingerprint);
    cr_assert_str_neq(first.fingerprint, other.fingerprint);
    cr_assert_eq(first.count, 2);
    cr_assert_str_eq(first.started_by, "me");
}

Test(ecs_request, finds_what_names_and_arns_mean)
{
    static const struct {
        const char *ref;
        bool found;
    } definitions[] = {
        { "job", true },
        { "job:3", true },
        { "arn:aws:ecs:us-east-1:123456789012:task-definition/job:3", true },
        { "job:2", false },
        { "jobs", false },
        { "arn:aws:ecs:us-east-1:123456789012:task-definition/job:4", false },
        { "arn:aws:ecs:eu-west-1:123456789012:task-definition/job:3", false },
    };
    static const struct {
        const char *ref;
        bool found;
    } clusters[] = {
        { "local", true },  { "arn:aws:ecs:us-east-1:123456789012:cluster/local", true },
        { NULL, false }, /* "default" */
        { "other", false }, { "arn:aws:ecs:us-east-1:123456789012:cluster/other", false },
    };
    struct config *c = config();
    for (size_t i = 0; i < ARRAY_LEN(definitions); i++) {
        struct error err = { 0 };
        cr_assert_eq(ecs_definition(c, definitions[i].ref, &err) != NULL, definitions[i].found,
                     "%s", definitions[i].ref);
        cr_assert_str_eq(err.type, definitions[i].found ? "" : "ClientException");
    }
    for (size_t i = 0; i < ARRAY_LEN(clusters); i++) {
        struct error err = { 0 };
        cr_assert_eq(ecs_cluster(c, clusters[i].ref, &err) != NULL, clusters[i].found);
        cr_assert_str_eq(err.type, clusters[i].found ? "" : "ClusterNotFoundException");
    }
    config_free(c);
}

Test(ecs_request, applies_overrides_to_the_named_container)
{
    struct config *c = config();
    auto_json struct json_object *overrides = NULL;
    cr_assert_eq(json_parse_str("{\"containerOverrides\":[{\"name\":\"main\",\"command\":[\"a\","
                                "\"b c\"],\"environment\":[{\"name\":\"B\",\"value\":\"3\"},"
                                "{\"name\":\"C\",\"value\":\"=\"}]}]}",
                                &overrides, NULL),
                 0);
    auto_json struct json_object *spec =
        ecs_spec(&c->task_definitions[0], overrides, "/bin", "/home", NULL);
    cr_assert_str_eq(
        json_text(spec, NULL),
        "{\"containers\":[{\"name\":\"main\",\"environment\":{\"PATH\":\"/bin\",\"HOME\":\"/home\","
        "\"A\":\"1\",\"B\":\"3\",\"C\":\"=\"},\"essential\":true,\"stopTimeoutSeconds\":9,"
        "\"argv\":[\"/bin/run\",\"--\",\"a\",\"b c\"],\"entryPoint\":[\"/bin/run\",\"--\"],"
        "\"command\":[\"a\",\"b c\"]},{\"name\":\"side\",\"environment\":{"
        "\"PATH\":\"/bin\",\"HOME\":\"/home\"},\"essential\":true,\"stopTimeoutSeconds\":30,"
        "\"argv\":[\"/bin/side\"],\"entryPoint\":[],\"command\":[\"/bin/side\"]}]}",
        "%s", json_text(spec, NULL));
    auto_json struct json_object *plain =
        ecs_spec(&c->task_definitions[0], NULL, "/bin", "/home", NULL);
    cr_assert_not_null(strstr(json_text(plain, NULL), "\"--\",\"default\"]"));
    /* A container has its image's own. */
    auto_json struct json_object *image = ecs_spec(&c->task_definitions[0], NULL, NULL, NULL, NULL);
    cr_assert_null(strstr(json_text(image, NULL), "PATH"));
    cr_assert_null(strstr(json_text(image, NULL), "HOME"));
    config_free(c);
}

Test(ecs_request, refuses_overrides_of_a_container_that_is_not_there)
{
    struct config *c = config();
    struct error err = { 0 };
    auto_json struct json_object *overrides = NULL;
    cr_assert_eq(
        json_parse_str("{\"containerOverrides\":[{\"name\":\"nobody\"}]}", &overrides, NULL), 0);
    cr_assert_null(ecs_spec(&c->task_definitions[0], overrides, "/bin", "/home", &err));
    cr_assert_str_eq(err.type, "InvalidParameterException");
    cr_assert_not_null(strstr(err.msg, "nobody"));
    config_free(c);
}

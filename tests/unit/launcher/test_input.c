#include "launcher/input.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const allowed[] = { "job", "tool:3", NULL };

/* The faults' text for `json`, or NULL where it is good. */
static char *faults_of(const char *json)
{
    struct error err;
    auto_json struct json_object *doc = NULL;
    cr_assert_eq(json_parse_str(json, &doc, &err), 0, "%s: %s", json, err.msg);
    auto_input struct input in = { 0 };
    auto_json struct json_object *faults = NULL;
    if (input_parse(doc, allowed, &in, &faults) == 0) {
        cr_assert_null(faults);
        return NULL;
    }
    cr_assert_gt(json_object_array_length(faults), 0);
    return input_faults_text(faults);
}

static const struct {
    const char *json;
    const char *fault; /* how the text begins */
} wrong[] = {
    { "[]", ": must be an object" },
    { "null", ": must be an object" },
    { "7", ": must be an object" },
    { "{}", "/pattern: is required" },
    { "{\"task\":{}}", "/pattern: is required" },
    { "{\"pattern\":null}", "/pattern: is required" },
    { "{\"pattern\":\"callback\",\"pat/te~rn\":1}", "/pat~1te~0rn: unknown field" },
    { "{\"pattern\":7}", "/pattern: must be a string" },
    { "{\"pattern\":\"poll\"}", "/pattern: must be callback, sync or batch" },
    { "{\"pattern\":\"callback\",\"tasks\":[]}", "/tasks: unknown field" },
    { "{\"pattern\":\"callback\",\"maxConcurrency\":1}", "/maxConcurrency: unknown field" },
    { "{\"pattern\":\"callback\",\"wrapResultBytes\":0}", "/wrapResultBytes: must be from 1" },
    { "{\"pattern\":\"sync\",\"input\":1}", "/input: belongs to pattern callback" },
    { "{\"pattern\":\"sync\",\"heartbeatSeconds\":1}",
      "/heartbeatSeconds: belongs to pattern callback" },
    { "{\"pattern\":\"sync\",\"timeoutSeconds\":86401}", "/timeoutSeconds: must be from 1 to" },
    { "{\"pattern\":\"sync\",\"wrapResultBytes\":1}", "/wrapResultBytes: unknown field" },
    { "{\"pattern\":\"batch\"}", "/tasks: must list 1 to 1000 jobs" },
    { "{\"pattern\":\"batch\",\"tasks\":[]}", "/tasks: must list 1 to 1000 jobs" },
    { "{\"pattern\":\"batch\",\"tasks\":{}}", "/tasks: must be an array" },
    { "{\"pattern\":\"batch\",\"tasks\":[{},7]}", "/tasks/1: must be an object" },
    { "{\"pattern\":\"batch\",\"tasks\":[{},{\"command\":[1]}]}",
      "/tasks/1/command/0: must be a string" },
    { "{\"pattern\":\"batch\",\"tasks\":[{\"image\":1}]}", "/tasks/0/image: unknown field" },
    { "{\"pattern\":\"batch\",\"tasks\":[{\"environment\":{\"AWS_X\":\"\"}}]}",
      "/tasks/0/environment/AWS_X: is reserved" },
    { "{\"pattern\":\"batch\",\"tasks\":[{\"taskDefinition\":\"other\"}]}",
      "/tasks/0/taskDefinition: is not allowed" },
    { "{\"pattern\":\"batch\",\"tasks\":[{}],\"task\":{\"cpu\":1}}", "/task/cpu: must be" },
    { "{\"pattern\":\"batch\",\"tasks\":[{}],\"input\":1}", "/input: unknown field" },
    { "{\"pattern\":\"batch\",\"tasks\":[{}],\"maxConcurrency\":0}",
      "/maxConcurrency: must be from 1 to 1000" },
    { "{\"pattern\":\"batch\",\"tasks\":[{}],\"toleratedFailures\":-1}",
      "/toleratedFailures: must be a whole number" },
    { "{\"pattern\":\"batch\",\"tasks\":[{}],\"toleratedFailures\":1.5}",
      "/toleratedFailures: must be a whole number" },
    { "{\"pattern\":\"batch\",\"tasks\":[{}],\"toleratedFailures\":\"101%\"}",
      "/toleratedFailures: must be a whole number" },
    { "{\"pattern\":\"batch\",\"tasks\":[{}],\"toleratedFailures\":\"\"}",
      "/toleratedFailures: must be a whole number" },
    { "{\"pattern\":\"batch\",\"message\":\"x\"}", "/pattern: must be callback or sync" },
    { "{\"pattern\":\"callback\",\"retry\":3}", "/retry: must be an object" },
    { "{\"pattern\":\"callback\",\"retry\":{\"max\":1}}", "/retry/max: unknown field" },
    { "{\"pattern\":\"callback\",\"retry\":{\"maxAttempts\":0}}",
      "/retry/maxAttempts: must be from 1 to 10" },
    { "{\"pattern\":\"callback\",\"retry\":{\"maxAttempts\":\"2\"}}",
      "/retry/maxAttempts: must be an integer" },
    { "{\"pattern\":\"callback\",\"retry\":{\"firstDelaySeconds\":3601}}",
      "/retry/firstDelaySeconds: must be from 1 to 3600" },
    { "{\"pattern\":\"callback\",\"retry\":{\"firstDelaySeconds\":9,\"maxDelaySeconds\":8}}",
      "/retry/maxDelaySeconds: must be at least firstDelaySeconds, which is 9" },
    { "{\"pattern\":\"callback\",\"retry\":{\"backoffRate\":0.5}}", "/retry/backoffRate: must be" },
    { "{\"pattern\":\"callback\",\"retry\":{\"retryOn\":\"*\"}}",
      "/retry/retryOn: must be an array" },
    { "{\"pattern\":\"callback\",\"retry\":{\"retryOn\":[]}}",
      "/retry/retryOn: must not be empty" },
    { "{\"pattern\":\"callback\",\"retry\":{\"retryOn\":[\"A\",7]}}",
      "/retry/retryOn/1: must be a failure's type" },
    { "{\"pattern\":\"callback\",\"retry\":{\"retryOn\":[\"\"]}}",
      "/retry/retryOn/0: must be a failure's type" },
    { "{\"message\":\"x\",\"retry\":{}}", "/retry: unknown field" },
    { "{\"pattern\":\"callback\",\"message\":\"x\",\"input\":1}", "/input: unknown field" },
    { "{\"pattern\":\"callback\",\"task\":[]}", "/task: must be an object" },
    { "{\"pattern\":\"callback\",\"task\":{\"image\":\"x\"}}", "/task/image: unknown field" },
    { "{\"pattern\":\"callback\",\"task\":{\"command\":\"ls\"}}",
      "/task/command: must be an array" },
    { "{\"pattern\":\"callback\",\"task\":{\"command\":[\"a\",1]}}",
      "/task/command/1: must be a string" },
    { "{\"pattern\":\"callback\",\"task\":{\"command\":[null]}}",
      "/task/command/0: must be a string" },
    { "{\"pattern\":\"callback\",\"task\":{\"command\":[\"\"]}}",
      "/task/command/0: must not be empty" },
    { "{\"pattern\":\"callback\",\"task\":{\"command\":[\"a\\u0000b\"]}}",
      "/task/command/0: must not contain NUL" },
    { "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"A\":1}}}",
      "/task/environment/A: must be a string" },
    { "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"A\":null}}}",
      "/task/environment/A: must be a string" },
    { "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"\":\"\"}}}",
      "/task/environment/: is not the name of a variable" },
    { "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"A=B\":\"\"}}}",
      "/task/environment/A=B: is not the name" },
    { "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"1A\":\"\"}}}",
      "/task/environment/1A: is not the name" },
    { "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"CALLBACK_URL\":\"\"}}}",
      "/task/environment/CALLBACK_URL: is reserved" },
    { "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"AWS_REGION\":\"\"}}}",
      "/task/environment/AWS_REGION: is reserved" },
    { "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"ECS_X\":\"\"}}}",
      "/task/environment/ECS_X: is reserved" },
    { "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"LD_PRELOAD\":\"\"}}}",
      "/task/environment/LD_PRELOAD: is reserved" },
    { "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"HEARTBEAT_SECONDS\":\"\"}}}",
      "/task/environment/HEARTBEAT_SECONDS: is reserved" },
    { "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"JOB_NAME\":\"\"}}}",
      "/task/environment/JOB_NAME: is reserved" },
    { "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"STOP_TIMEOUT_SECONDS\":\"\"}}}",
      "/task/environment/STOP_TIMEOUT_SECONDS: is reserved" },
    { "{\"pattern\":\"callback\",\"task\":{\"cpu\":\"much\"}}", "/task/cpu: must be a whole" },
    { "{\"pattern\":\"callback\",\"task\":{\"cpu\":0.5}}", "/task/cpu: must be a whole" },
    { "{\"pattern\":\"callback\",\"task\":{\"cpu\":1}}", "/task/cpu: must be a whole number" },
    { "{\"pattern\":\"callback\",\"task\":{\"memory\":-1}}", "/task/memory: must be a whole" },
    { "{\"pattern\":\"callback\",\"task\":{\"taskDefinition\":\"other\"}}",
      "/task/taskDefinition: is not allowed" },
    { "{\"pattern\":\"callback\",\"task\":{\"taskDefinition\":\"tool\"}}",
      "/task/taskDefinition: is not allowed" },
    { "{\"pattern\":\"callback\",\"task\":{\"taskDefinition\":\"tool:4\"}}",
      "/task/taskDefinition: is not allowed" },
    { "{\"pattern\":\"callback\",\"task\":{\"taskDefinition\":\"jobs\"}}",
      "/task/taskDefinition: is not allowed" },
    { "{\"pattern\":\"callback\",\"timeoutSeconds\":0}", "/timeoutSeconds: must be from 1 to" },
    { "{\"pattern\":\"callback\",\"timeoutSeconds\":604801}", "/timeoutSeconds: must be from" },
    { "{\"pattern\":\"callback\",\"timeoutSeconds\":\"9\"}", "/timeoutSeconds: must be an int" },
    { "{\"pattern\":\"callback\",\"heartbeatSeconds\":3601}", "/heartbeatSeconds: must be from" },
    { "{\"pattern\":\"callback\",\"timeoutSeconds\":5,\"startTimeoutSeconds\":6}",
      "/startTimeoutSeconds: must be at most timeoutSeconds, which is 5" },
    { "{\"pattern\":\"callback\",\"engineHeartbeatSeconds\":2}",
      "/engineHeartbeatSeconds: must be from 3 to" },
    { "{\"pattern\":\"callback\",\"timeoutSeconds\":5,\"engineHeartbeatSeconds\":6}",
      "/engineHeartbeatSeconds: must be at most timeoutSeconds, which is 5" },
    { "{\"message\":1}", "/message: must be a string" },
    { "{\"message\":\"x\",\"processingTime\":\"10\"}", "/processingTime: must be an integer" },
    { "{\"processingTime\":-1}", "/processingTime: must be from 0 to 3600" },
    { "{\"message\":\"x\",\"task\":{}}", "/task: unknown field" },
    { "{\"pattern\":\"callback\",\"input\":{\"a\":[1,\"x\\u0000\"]}}",
      "/input: must not contain NUL" },
    { "{\"pattern\":\"batch\",\"tasks\":[{},{\"input\":\"\\u0000\"}]}",
      "/tasks/1/input: must not contain NUL" },
    { "{\"pattern\":\"x\",\"timeoutSeconds\":0,\"foo\":1}",
      "/pattern: must be callback, sync or batch; /foo: unknown field; /timeoutSeconds: must be "
      "from" },
};

Test(input, refuses_what_is_wrong_and_names_the_place)
{
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        auto_free char *text = faults_of(wrong[i].json);
        cr_assert_not_null(text, "%s is taken", wrong[i].json);
        cr_assert_eq(strncmp(text, wrong[i].fault, strlen(wrong[i].fault)), 0, "%s: %s",
                     wrong[i].json, text);
    }
}

Test(input, takes_what_is_right)
{
    static const char *const table[] = {
        "{\"pattern\":\"callback\"}",
        "{\"pattern\":\"callback\",\"task\":null,\"input\":null}",
        "{\"pattern\":\"callback\",\"task\":{\"taskDefinition\":\"job:12\"}}",
        "{\"pattern\":\"callback\",\"task\":{\"taskDefinition\":\"tool:3\"}}",
        "{\"pattern\":\"callback\",\"task\":{\"environment\":{\"MESSAGE\":\"\",\"Aws_x\":\"1\"}}}",
        "{\"pattern\":\"callback\",\"timeoutSeconds\":604800,\"startTimeoutSeconds\":604800}",
        "{\"message\":\"\"}",
        "{\"pattern\":\"callback\",\"message\":\"x\"}",
        "{\"pattern\":\"sync\",\"message\":\"x\",\"processingTime\":1}",
        "{\"pattern\":\"sync\",\"task\":{\"command\":[\"a\"]},\"timeoutSeconds\":86400,"
        "\"startTimeoutSeconds\":1,\"retry\":{\"maxAttempts\":2}}",
        "{\"pattern\":\"batch\",\"tasks\":[{}]}",
        "{\"pattern\":\"batch\",\"tasks\":[{}],\"toleratedFailures\":\"100%\"}",
        "{\"pattern\":\"batch\",\"tasks\":[{}],\"toleratedFailures\":1000,"
        "\"maxConcurrency\":1000}",
        "{\"processingTime\":0}",
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        auto_free char *text = faults_of(table[i]);
        cr_assert_null(text, "%s: %s", table[i], text);
    }
}

Test(input, reads_every_field)
{
    struct error err;
    auto_json struct json_object *doc = NULL;
    auto_json struct json_object *faults = NULL;
    auto_input struct input in = { 0 };
    cr_assert_eq(json_parse_str("{\"pattern\":\"callback\",\"task\":{\"command\":[\"a\",\"\"],"
                                "\"environment\":{\"B\":\"2\",\"A\":\"\"},\"cpu\":256,\"memory\":"
                                "\"512\",\"taskDefinition\":\"job:7\"},\"input\":{\"k\":[1]},"
                                "\"timeoutSeconds\":9,\"startTimeoutSeconds\":8,"
                                "\"heartbeatSeconds\":7}",
                                &doc, &err),
                 0);
    cr_assert_eq(input_parse(doc, allowed, &in, &faults), 0);
    cr_expect(!in.sample);
    cr_expect_str_eq(in.command[0], "a");
    cr_expect_str_eq(in.command[1], "");
    cr_expect_null(in.command[2]);
    cr_expect_str_eq(in.environment[0].name, "B");
    cr_expect_str_eq(in.environment[0].value, "2");
    cr_expect_str_eq(in.environment[1].name, "A");
    cr_expect_null(in.environment[2].name);
    cr_expect_str_eq(in.cpu, "256");
    cr_expect_str_eq(in.memory, "512");
    cr_expect_str_eq(in.task_definition, "job:7");
    cr_expect_str_eq(json_text(in.input, NULL), "{\"k\":[1]}");
    cr_expect_eq(in.timeout_s, 9);
    cr_expect_eq(in.start_timeout_s, 8);
    cr_expect_eq(in.heartbeat_s, 7);
}

Test(input, turns_the_samples_fields_into_variables)
{
    struct error err;
    auto_json struct json_object *doc = NULL;
    auto_json struct json_object *faults = NULL;
    auto_input struct input in = { 0 };
    cr_assert_eq(json_parse_str("{\"message\":\"hi\",\"processingTime\":10}", &doc, &err), 0);
    cr_assert_eq(input_parse(doc, allowed, &in, &faults), 0);
    cr_expect(in.sample);
    cr_expect_str_eq(in.environment[0].name, "MESSAGE");
    cr_expect_str_eq(in.environment[0].value, "hi");
    cr_expect_str_eq(in.environment[1].name, "PROCESSING_TIME");
    cr_expect_str_eq(in.environment[1].value, "10");
    cr_expect_null(in.environment[2].name);
    cr_expect_null(in.command);
    cr_expect_eq(in.timeout_s, 3600);
    cr_expect_eq(in.start_timeout_s, 0);
    cr_expect_eq(in.heartbeat_s, 60);
}

Test(input, reads_the_samples_fields_for_sync)
{
    struct error err;
    auto_json struct json_object *doc = NULL;
    auto_json struct json_object *faults = NULL;
    auto_input struct input in = { 0 };
    cr_assert_eq(json_parse_str("{\"pattern\":\"sync\",\"message\":\"hi\"}", &doc, &err), 0);
    cr_assert_eq(input_parse(doc, allowed, &in, &faults), 0);
    cr_expect(in.sample);
    cr_expect_eq(in.pattern, INPUT_SYNC);
    cr_expect_str_eq(in.message, "hi");
    cr_expect_eq(in.processing_s, 5, "the sample's own default");
    cr_expect_str_eq(in.environment[0].value, "hi");
    cr_expect_null(in.environment[1].name, "what is not asked for is the container's to decide");
}

Test(input, makes_a_workflow_of_each_job_of_a_batch)
{
    struct error err;
    auto_json struct json_object *doc = NULL;
    auto_json struct json_object *faults = NULL;
    auto_input struct input in = { 0 };
    cr_assert_eq(
        json_parse_str("{\"pattern\":\"batch\",\"task\":{\"command\":[\"a\"],\"cpu\":256,"
                       "\"environment\":{\"A\":\"1\",\"B\":\"2\"}},\"timeoutSeconds\":9,"
                       "\"tasks\":[{},{\"command\":[\"b\"],\"environment\":{\"B\":\"3\"},"
                       "\"input\":[7]}],\"toleratedFailures\":\"50%\",\"maxConcurrency\":3}",
                       &doc, &err),
        0);
    cr_assert_eq(input_parse(doc, allowed, &in, &faults), 0);
    cr_expect_eq(in.pattern, INPUT_BATCH);
    cr_expect_eq(in.max_concurrency, 3);
    cr_expect_eq(in.tolerated, -1);
    cr_expect_eq(in.tolerated_percent, 50);
    cr_expect_str_eq(json_text(in.jobs, NULL),
                     "[{\"pattern\":\"callback\",\"task\":{\"command\":[\"a\"],\"cpu\":256,"
                     "\"environment\":{\"A\":\"1\",\"B\":\"2\"}},\"timeoutSeconds\":9},"
                     "{\"pattern\":\"callback\",\"task\":{\"command\":[\"b\"],\"cpu\":256,"
                     "\"environment\":{\"A\":\"1\",\"B\":\"3\"}},\"input\":[7],"
                     "\"timeoutSeconds\":9}]");
}

Test(input, refuses_more_jobs_than_a_batch_may_have)
{
    auto_buf struct buf b = BUF_INIT(100000);
    buf_add_str(&b, "{\"pattern\":\"batch\",\"tasks\":[{}");
    for (int i = 0; i < INPUT_JOBS; i++)
        buf_add_str(&b, ",{}");
    buf_add_str(&b, "]}");
    auto_free char *text = faults_of(buf_str(&b));
    cr_expect_str_eq(text, "/tasks: must have at most 1000 items");
}

Test(input, lists_a_bounded_number_of_faults)
{
    auto_buf struct buf b = BUF_INIT(100000);
    buf_add_str(&b, "{\"pattern\":\"callback\"");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, ",\"x%d\":1", i);
    buf_add_char(&b, '}');
    struct error err;
    auto_json struct json_object *doc = NULL;
    auto_json struct json_object *faults = NULL;
    auto_input struct input in = { 0 };
    cr_assert_eq(json_parse_str(buf_str(&b), &doc, &err), 0);
    cr_assert_eq(input_parse(doc, allowed, &in, &faults), -1);
    cr_expect_eq(json_object_array_length(faults), INPUT_FAULTS);
}

Test(input, refuses_too_many_variables_and_arguments)
{
    auto_buf struct buf b = BUF_INIT(100000);
    buf_add_str(&b, "{\"pattern\":\"callback\",\"task\":{\"command\":[\"a\"");
    for (int i = 0; i < INPUT_COMMAND_ITEMS; i++)
        buf_add_str(&b, ",\"x\"");
    buf_add_str(&b, "],\"environment\":{\"A\":\"\"");
    for (int i = 0; i < INPUT_ENVIRONMENT; i++)
        buf_printf(&b, ",\"X%d\":\"\"", i);
    buf_add_str(&b, "}}}");
    auto_free char *text = faults_of(buf_str(&b));
    cr_expect_str_eq(text, "/task/command: must have at most 512 items; "
                           "/task/environment: must have at most 256 members");
}

Test(input, survives_a_key_of_any_length)
{
    auto_buf struct buf b = BUF_INIT(100000);
    buf_add_str(&b, "{\"pattern\":\"callback\",\"");
    for (int i = 0; i < 5000; i++)
        buf_add_str(&b, "~/x");
    buf_add_str(&b, "\":1}");
    auto_free char *text = faults_of(buf_str(&b));
    cr_expect_not_null(strstr(text, "unknown field"));
    cr_expect_lt(strlen(text), 400);
}

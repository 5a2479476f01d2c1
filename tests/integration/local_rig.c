#include "tests/integration/local_rig.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local/stack/folder.h"

#define PAUSE_MS 10

/* A function as a shell script (durable-protocol section 2.1). */
static const char FUNCTION[] =
    "cd $DIR || exit 1\n"
    "api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation\n"
    "while curl -s -D head.$$ -o body.$$ $api/next; do\n"
    "  id=$(sed -n 's/^Lambda-Runtime-Aws-Request-Id: \\([0-9a-f-]*\\).*/\\1/Ip' head.$$)\n"
    "  sed -n 's/^Lambda-Runtime-Trace-Id: //Ip' head.$$ >>traces\n"
    "  if [ -e fail ]; then\n"
    "    echo x >>failed\n"
    "    curl -s -d '{\"errorType\":\"Ordered\"}' $api/$id/error >/dev/null\n"
    "  else\n"
    "    { cat body.$$; echo; } >>events\n"
    "    curl -s -d '{}' $api/$id/response >/dev/null\n"
    "  fi\n"
    "done\n";

static void write_file(const char *dir, const char *name, const char *text)
{
    auto_free char *path = mem_printf("%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static char *events_text(const char *dir)
{
    return mem_printf(
        ",\"functions\":{\"events\":{\"command\":[\"/bin/sh\",\"%s/function.sh\"],"
        "\"environment\":{\"DIR\":\"%s\"},\"maxConcurrency\":1},"
        "\"launcher\":{\"command\":[\"/bin/false\"],\"durable\":{}}},"
        "\"events\":{\"function\":\"events\",\"ecs\":[\"RUNNING\",\"STOPPED\"],"
        "\"executions\":[\"RUNNING\",\"SUCCEEDED\",\"FAILED\",\"TIMED_OUT\",\"STOPPED\"]}",
        dir, dir);
}

/* `image` may be NULL. */
static char *config_text(int target, const char *image, const char *more)
{
    return mem_printf(
        "{\"credentials\":{\"test\":\"test\"},\"cluster\":\"local\",\"taskDefinitions\":{\"job\":"
        "{\"revision\":2,\"containers\":[{\"name\":\"job\",\"command\":[\"/bin/true\"],"
        "\"environment\":{\"FROM\":\"definition\"},\"stopTimeoutSeconds\":1,\"image\":\"%s\"}]}},"
        "\"httpApi\":[{\"path\":\"/v1/callbacks\",\"proxy\":\"http://127.0.0.1:%d\"}]%s}",
        image ? image : "", target, more);
}

/* local-aws with its own state; `target` is the port behind /v1/callbacks, an `image` makes tasks
 * containers. */
static void begin(struct local_rig *r, int target, const char *image, bool events)
{
    struct error err = { 0 };
    *r = (struct local_rig){ 0 };
    snprintf(r->dir, sizeof(r->dir), "/tmp/local-ecs-XXXXXX");
    cr_assert_not_null(mkdtemp(r->dir));
    const char *bin = getenv("BIN_DIR") ? getenv("BIN_DIR") : "build/bin";
    auto_free char *binary = mem_printf("%s/local-aws", bin);
    auto_free char *config = mem_printf("%s/config.json", r->dir);
    auto_free char *state = mem_printf("%s/state", r->dir);
    auto_free char *log = mem_printf("%s/log", r->dir);
    auto_free char *aws_at = mem_printf("127.0.0.1:%d", program_free_port());
    auto_free char *http_at = mem_printf("127.0.0.1:%d", program_free_port());
    auto_free char *more = events ? events_text(r->dir) : mem_dup("");
    auto_free char *text = config_text(target, image, more);
    write_file(r->dir, "config.json", text);
    write_file(r->dir, "function.sh", FUNCTION);
    const char *argv[] = { binary,
                           "--config",
                           config,
                           "--state",
                           state,
                           "--aws-listen",
                           aws_at,
                           "--http-listen",
                           http_at,
                           "--ecs-driver",
                           image ? "docker" : "process",
                           NULL };
    const char *env[] = { "PATH=/usr/local/bin:/usr/bin:/bin",
                          "AWS_SECRET_ACCESS_KEY=not-for-tasks",
                          "ASAN_OPTIONS=abort_on_error=1:detect_leaks=1", NULL };
    r->program = program_start(argv, env, log, &err);
    cr_assert(r->program && program_wait_ready(r->program, SOON_MS, &err) == 0, "%s", err.msg);
    http_global_init();
    auto_free char *http = mem_printf("http://%s", http_at);
    r->options = (struct aws_options){ .region = mem_dup("us-east-1"),
                                       .endpoint = mem_printf("http://%s", aws_at),
                                       .access_key = mem_dup("test"),
                                       .secret_key = mem_dup("test") };
    r->aws = aws_new(&r->options, clock_system(), &err);
    r->local = api_new(r->options.endpoint, &err);
    r->http = api_new(http, &err);
    cr_assert(r->aws && r->local && r->http, "%s", err.msg);
    aws_set_retry(r->aws, 1, 10, 10);
}

void local_rig_begin_with(struct local_rig *r, int target)
{
    begin(r, target, NULL, false);
}

void local_rig_begin(struct local_rig *r)
{
    begin(r, 1, NULL, false);
}

void local_rig_begin_docker(struct local_rig *r, const char *image)
{
    begin(r, 1, image, false);
}

void local_rig_begin_events(struct local_rig *r)
{
    begin(r, 1, NULL, true);
}

void local_rig_end(struct local_rig *r)
{
    int status = program_running(r->program) ? program_stop(r->program, SOON_MS) : 0;
    program_free(r->program);
    aws_free(r->aws);
    api_free(r->local);
    api_free(r->http);
    free(r->options.region);
    free(r->options.endpoint);
    free(r->options.access_key);
    free(r->options.secret_key);
    http_global_cleanup();
    struct error err = { 0 };
    cr_assert_eq(folder_remove(r->dir, &err), 0, "%s", err.msg);
    cr_assert_eq(status, 0, "local-aws ended with %d", status);
}

void local_rig_restart(struct local_rig *r)
{
    struct error err = { 0 };
    cr_assert_eq(program_restart(r->program, &err), 0, "%s", err.msg);
    cr_assert_eq(program_wait_ready(r->program, SOON_MS, &err), 0, "%s", err.msg);
}

int local_rig_ecs(struct local_rig *r, const char *operation, const char *json,
                  struct json_object **out, struct error *err)
{
    auto_free char *target = mem_printf("AmazonEC2ContainerServiceV20141113.%s", operation);
    return aws_send_json11(r->aws, AWS_ECS, target, json, out, err);
}

struct json_object *local_rig_must(struct local_rig *r, const char *operation, const char *json)
{
    struct error err = { 0 };
    struct json_object *out = NULL;
    cr_assert_eq(local_rig_ecs(r, operation, json, &out, &err), 0, "%s %s: %s", operation, json,
                 err.msg);
    return out;
}

/* Runs a shell script; `more` are further members, each with a comma before. The task's ARN. */
char *local_rig_run(struct local_rig *r, const char *script, const char *more)
{
    auto_buf struct buf b = BUF_INIT(1 << 20);
    buf_add_str(&b, "{\"cluster\":\"local\",\"taskDefinition\":\"job\",\"overrides\":{"
                    "\"containerOverrides\":[{\"name\":\"job\",\"command\":[\"/bin/sh\",\"-c\",");
    buf_add_json_str(&b, script);
    buf_printf(&b, "],\"environment\":[{\"name\":\"WORD\",\"value\":\"w o r d\"}]}]}%s}", more);
    auto_json struct json_object *o = local_rig_must(r, "RunTask", buf_str(&b));
    struct json_object *tasks = json_get_arr(o, "tasks");
    cr_assert_eq(json_object_array_length(tasks), 1, "%s", json_text(o, NULL));
    return mem_dup(json_get_str(json_object_array_get_idx(tasks, 0), "taskArn"));
}

struct json_object *local_rig_describe(struct local_rig *r, const char *arn)
{
    auto_free char *json = mem_printf("{\"cluster\":\"local\",\"tasks\":[\"%s\"]}", arn);
    auto_json struct json_object *o = local_rig_must(r, "DescribeTasks", json);
    struct json_object *tasks = json_get_arr(o, "tasks");
    cr_assert_eq(json_object_array_length(tasks), 1, "%s", json_text(o, NULL));
    return json_object_get(json_object_array_get_idx(tasks, 0));
}

/* Waits for the status; the Task, the caller's. */
struct json_object *local_rig_until(struct local_rig *r, const char *arn, const char *status)
{
    for (int i = 0; i < SOON_MS / PAUSE_MS; i++) {
        struct json_object *task = local_rig_describe(r, arn);
        if (strcmp(json_get_str(task, "lastStatus"), status) == 0)
            return task;
        json_object_put(task);
        clock_sleep_ms(clock_system(), PAUSE_MS);
    }
    cr_assert_fail("%s is not %s", arn, status);
    return NULL;
}

struct json_object *local_rig_container(struct json_object *task)
{
    return json_object_array_get_idx(json_get_arr(task, "containers"), 0);
}

void local_rig_expect_exit(struct local_rig *r, const char *arn, int code, const char *stop_code)
{
    auto_json struct json_object *task = local_rig_until(r, arn, "STOPPED");
    cr_assert_eq(json_get_int(local_rig_container(task), "exitCode", -1), code, "%s",
                 json_text(task, NULL));
    cr_assert_str_eq(json_get_str(task, "stopCode"), stop_code, "%s", json_text(task, NULL));
    cr_assert_str_eq(json_get_str(task, "desiredStatus"), "STOPPED");
}

/* The task's output once it holds `text`; the caller's. */
char *local_rig_output(struct local_rig *r, const char *arn, const char *text)
{
    auto_free char *path =
        mem_printf("%s/state/tasks/%s/output.log", r->dir, strrchr(arn, '/') + 1);
    for (int i = 0; i < SOON_MS / PAUSE_MS; i++) {
        char bytes[8192] = "";
        FILE *f = fopen(path, "r");
        if (f) {
            size_t n = fread(bytes, 1, sizeof(bytes) - 1, f);
            bytes[n] = '\0';
            fclose(f);
        }
        if (strstr(bytes, text))
            return mem_dup(bytes);
        clock_sleep_ms(clock_system(), PAUSE_MS);
    }
    cr_assert_fail("no \"%s\" in %s", text, path);
    return NULL;
}

void local_rig_stop(struct local_rig *r, const char *arn)
{
    auto_free char *json =
        mem_printf("{\"cluster\":\"local\",\"task\":\"%s\",\"reason\":\"enough\"}", arn);
    auto_json struct json_object *o = local_rig_must(r, "StopTask", json);
    cr_assert_str_eq(json_get_str(json_get_obj(o, "task"), "desiredStatus"), "STOPPED");
}

pid_t local_rig_task_pid(struct local_rig *r, const char *arn)
{
    auto_answer struct api_answer a = { 0 };
    cr_assert_eq(api_send(r->local, "GET", "/_local/tasks", NULL, NULL, &a, NULL), 0);
    struct json_object *list = json_get_arr(a.json, "tasks");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *task = json_object_array_get_idx(list, i);
        if (strcmp(json_get_str(task, "taskArn"), arn) == 0)
            return (pid_t)json_get_int(task, "pid", 0);
    }
    return 0;
}

void local_rig_gone(pid_t pid)
{
    cr_assert_gt(pid, 0);
    for (int i = 0; i < SOON_MS / PAUSE_MS && kill(pid, 0) == 0; i++)
        clock_sleep_ms(clock_system(), PAUSE_MS);
    cr_assert_neq(kill(pid, 0), 0, "process %d still runs", (int)pid);
}

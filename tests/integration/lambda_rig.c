#include "tests/integration/lambda_rig.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS 60000

/* The functions of a test that names none: this program, or `command`. */
static struct json_object *own_functions(const char *command)
{
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    cr_assert_gt(n, 0);
    self[n] = '\0';
    auto_free char *own = mem_printf("[\"%s\"]", self);
    auto_buf struct buf b = BUF_INIT(1 << 16);
    static const struct {
        const char *name, *more;
    } functions[] = {
        { "f", "\"aliases\":{\"live\":\"1\"},\"durable\":{\"executionTimeoutSeconds\":300}" },
        { "brief", "\"timeoutSeconds\":1,\"durable\":{\"executionTimeoutSeconds\":300}" },
        { "mortal", "\"durable\":{\"executionTimeoutSeconds\":1}" },
        { "lasting", "\"durable\":{\"executionTimeoutSeconds\":86400}" },
        { "p", "\"maxConcurrency\":2" },
    };
    buf_add_str(&b, "{\"outside\":{\"runtimeApi\":\"127.0.0.1:0\",\"timeoutSeconds\":2,"
                    "\"maxConcurrency\":2,\"durable\":{\"executionTimeoutSeconds\":300}}");
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        buf_printf(&b,
                   ",\"%s\":{\"command\":%s,\"environment\":{\"LAMBDA_RIG_FUNCTION\":\"1\","
                   "\"ASAN_OPTIONS\":\"detect_leaks=0\"},%s}",
                   functions[i].name, command ? command : own, functions[i].more);
    buf_add_str(&b, "}");
    struct json_object *o = NULL;
    struct error err;
    cr_assert_eq(json_parse_str(buf_str(&b), &o, &err), 0, "%s", err.msg);
    return o;
}

static void write_config(const struct lambda_rig *r, struct json_object *functions)
{
    struct error err;
    auto_json struct json_object *config = NULL;
    auto_free char *path = mem_printf("%s/config.json", r->dir);
    cr_assert_eq(
        json_parse_str("{\"credentials\":{\"test\":\"secret\"},\"taskDefinitions\":{\"job\":{"
                       "\"containers\":[{\"name\":\"job\"}]}}}",
                       &config, &err),
        0);
    json_add(config, "functions", functions);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    cr_assert_geq(fputs(json_text(config, NULL), f), 0);
    cr_assert_eq(fclose(f), 0);
}

void lambda_rig_start(struct lambda_rig *r, const char *command)
{
    lambda_rig_start_with(r, own_functions(command));
}

void lambda_rig_start_with(struct lambda_rig *r, struct json_object *functions)
{
    struct error err;
    const char *bin = getenv("BIN_DIR");
    char program[256], config[128], log[128], listen[32];
    *r = (struct lambda_rig){ .dir = "/tmp/lambda-rig-XXXXXX" };
    cr_assert_not_null(mkdtemp(r->dir));
    write_config(r, functions);
    snprintf(program, sizeof(program), "%s/local-aws", bin ? bin : "build/bin");
    snprintf(config, sizeof(config), "%s/config.json", r->dir);
    snprintf(log, sizeof(log), "%s/local-aws.log", r->dir);
    snprintf(listen, sizeof(listen), "127.0.0.1:%d", program_free_port());
    const char *const argv[] = { program,        "--config", config,          "--state",     r->dir,
                                 "--aws-listen", listen,     "--http-listen", "127.0.0.1:0", NULL };
    const char *asan = getenv("ASAN_OPTIONS");
    auto_free char *asan_options = mem_printf("ASAN_OPTIONS=%s", asan ? asan : "");
    const char *const env[] = { "PATH=/usr/bin:/bin", asan_options, NULL };
    r->program = program_start(argv, env, log, &err);
    cr_assert_not_null(r->program, "%s", err.msg);
    cr_assert_eq(program_wait_ready(r->program, WAIT_MS, &err), 0, "%s", err.msg);
    r->url = program_url(r->program, "aws");
    http_global_init();
    r->options = (struct aws_options){ .region = mem_dup("us-east-1"),
                                       .endpoint = mem_dup(r->url),
                                       .access_key = mem_dup("test"),
                                       .secret_key = mem_dup("secret") };
    r->aws = aws_new(&r->options, clock_system(), &err);
    cr_assert_not_null(r->aws, "%s", err.msg);
    r->http = http_client_new(&err);
    cr_assert_not_null(r->http);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void lambda_rig_stop(struct lambda_rig *r)
{
    int status = program_stop(r->program, WAIT_MS);
    if (status != 0) {
        auto_free char *show = mem_printf("tail -n 40 %s/local-aws.log >&2", r->dir);
        (void)!system(show);
    }
    cr_assert_eq(status, 0, "SIGTERM ends it with 0, not %d", status);
    program_free(r->program);
    http_client_free(r->http);
    aws_free(r->aws);
    http_global_cleanup();
    free(r->options.region);
    free(r->options.endpoint);
    free(r->options.access_key);
    free(r->options.secret_key);
    free(r->url);
    cr_assert_eq(nftw(r->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void lambda_rig_kill(struct lambda_rig *r)
{
    program_kill(r->program);
}

void lambda_rig_restart(struct lambda_rig *r)
{
    struct error err;
    cr_assert_eq(program_restart(r->program, &err), 0, "%s", err.msg);
    cr_assert_eq(program_wait_ready(r->program, WAIT_MS, &err), 0, "%s", err.msg);
}

static struct lambda_invoked invoke(struct lambda_rig *r, const char *function, const char *type,
                                    const char *input)
{
    struct error err;
    struct lambda_invoked out = { 0 };
    const struct lambda_invoke req = {
        .function = function, .type = type, .payload = input, .payload_len = strlen(input)
    };
    cr_assert_eq(lambda_invoke(r->aws, &req, &out, &err), 0, "%s: %s: %s", function, err.type,
                 err.msg);
    return out;
}

char *lambda_rig_begin(struct lambda_rig *r, const char *function, const char *input)
{
    struct lambda_invoked out = invoke(r, function, "Event", input);
    char *arn = MOVE(out.execution_arn);
    cr_assert_eq(out.status, 202);
    lambda_invoked_release(&out);
    return arn;
}

char *lambda_rig_invoke(struct lambda_rig *r, const char *function, const char *input, bool error)
{
    struct lambda_invoked out = invoke(r, function, "RequestResponse", input);
    char *payload = MOVE(out.payload);
    cr_assert_eq(out.status, 200);
    cr_assert_eq(out.function_error != NULL, error, "%s", payload);
    lambda_invoked_release(&out);
    return payload;
}

struct json_object *lambda_rig_end(struct lambda_rig *r, const char *arn, const char *status)
{
    struct error err;
    int64_t until = clock_mono_ms(clock_system()) + WAIT_MS;
    for (;;) {
        struct json_object *o = NULL;
        cr_assert_eq(lambda_get_execution(r->aws, arn, &o, &err), 0, "%s", err.msg);
        const char *found = json_get_str(o, "Status");
        if (strcmp(found, "RUNNING") != 0) {
            cr_assert_str_eq(found, status, "%s", json_text(o, NULL));
            return o;
        }
        json_object_put(o);
        cr_assert_lt(clock_mono_ms(clock_system()), until, "the execution does not end");
        clock_sleep_ms(clock_system(), 20);
    }
}

static struct json_object *events_of(struct lambda_rig *r, const char *arn)
{
    struct error err;
    auto_json struct json_object *o = NULL;
    cr_assert_eq(lambda_get_history(r->aws, arn, true, NULL, 1000, &o, &err), 0, "%s", err.msg);
    return json_object_get(json_get_arr(o, "Events"));
}

char *lambda_rig_history(struct lambda_rig *r, const char *arn)
{
    auto_json struct json_object *events = events_of(r, arn);
    auto_buf struct buf b = BUF_INIT(1 << 16);
    for (size_t i = 0; i < json_object_array_length(events); i++)
        buf_printf(&b, "%s%s", i ? " " : "",
                   json_get_str(json_object_array_get_idx(events, i), "EventType"));
    return buf_take(&b, NULL);
}

struct json_object *lambda_rig_event(struct lambda_rig *r, const char *arn, const char *type)
{
    int64_t until = clock_mono_ms(clock_system()) + WAIT_MS;
    for (;;) {
        auto_json struct json_object *events = events_of(r, arn);
        for (size_t i = 0; i < json_object_array_length(events); i++) {
            struct json_object *event = json_object_array_get_idx(events, i);
            if (strcmp(json_get_str(event, "EventType"), type) == 0)
                return json_object_get(event);
        }
        cr_assert_lt(clock_mono_ms(clock_system()), until, "no %s", type);
        clock_sleep_ms(clock_system(), 20);
    }
}

char *lambda_rig_callback(struct lambda_rig *r, const char *arn)
{
    auto_json struct json_object *event = lambda_rig_event(r, arn, "CallbackStarted");
    return mem_dup(json_get_str(json_get_obj(event, "CallbackStartedDetails"), "CallbackId"));
}

size_t lambda_rig_processes(struct lambda_rig *r, const char *function, int *pid,
                            int64_t *invocations)
{
    struct error err;
    auto_free char *body = NULL;
    auto_json struct json_object *o = NULL;
    *pid = 0;
    cr_assert_eq(lambda_rig_raw(r, "GET", "/_local/functions", NULL, NULL, &body), 200);
    cr_assert_eq(json_parse_str(body, &o, &err), 0);
    struct json_object *functions = json_get_arr(o, "functions");
    for (size_t i = 0; i < json_object_array_length(functions); i++) {
        struct json_object *f = json_object_array_get_idx(functions, i);
        struct json_object *environments = json_get_arr(f, "environments");
        if (strcmp(json_get_str(f, "name"), function) != 0)
            continue;
        struct json_object *first = json_object_array_get_idx(environments, 0);
        *pid = (int)json_get_int(first, "pid", 0);
        *invocations = json_get_int(first, "invocations", 0);
        return json_object_array_length(environments);
    }
    cr_assert_fail("no function %s", function);
    return 0;
}

struct program *lambda_rig_attach(struct lambda_rig *r)
{
    struct error err;
    char self[512], log[128];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    cr_assert_gt(n, 0);
    self[n] = '\0';
    snprintf(log, sizeof(log), "%s/outside.log", r->dir);
    auto_free char *api = program_url(r->program, "runtime-api");
    auto_free char *runtime = mem_printf("AWS_LAMBDA_RUNTIME_API=%s", api + strlen("http://"));
    auto_free char *endpoint = mem_printf("AWS_ENDPOINT_URL=%s", r->url);
    const char *const argv[] = { self, NULL };
    const char *const env[] = { "LAMBDA_RIG_FUNCTION=1",
                                "ASAN_OPTIONS=detect_leaks=0",
                                "AWS_REGION=us-east-1",
                                "AWS_ACCESS_KEY_ID=test",
                                "AWS_SECRET_ACCESS_KEY=secret",
                                endpoint,
                                runtime,
                                NULL };
    struct program *p = program_start(argv, env, log, &err);
    cr_assert_not_null(p, "%s", err.msg);
    return p;
}

int lambda_rig_raw(struct lambda_rig *r, const char *method, const char *path,
                   const struct http_header *headers, const char *send, char **body)
{
    struct error err;
    auto_response struct http_response resp = { 0 };
    auto_free char *url = mem_printf("%s%s", r->url, path);
    const struct http_request req = { .method = method,
                                      .url = url,
                                      .headers = headers,
                                      .body = send,
                                      .body_len = send ? strlen(send) : 0,
                                      .timeout_ms = WAIT_MS };
    cr_assert_eq(http_send(r->http, &req, &resp, &err), 0, "%s", err.msg);
    if (body)
        *body = mem_dup(buf_str(&resp.body));
    return resp.status;
}

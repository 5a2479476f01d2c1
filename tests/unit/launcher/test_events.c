#include "launcher/events.h"

#include "shared/base/json.h"
#include "tests/unit/launcher/fake_aws.h"

#define KEYS     "{\"k\":\"0123456789012345678901234567890123456789012\"}"
#define CALLBACK "Ab9hZXjGYXJuOmF3czpsYW1iZGE6+/=="
#define EXECUTION                                                                                  \
    "arn:aws:lambda:us-east-1:123456789012:function:launcher:1/durable-execution/e1/"              \
    "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"

/* The handler with its surroundings. */
struct rig {
    struct fake_aws *aws;
    struct config cfg;
    struct aws_options options;
    struct events_tools tools;
    struct events_seen seen;
    struct clock clock;
    int64_t slept_ms;
    int64_t left_ms;           /* of an invocation; 0: 30,000 */
    char token[TOKEN_MAX + 1]; /* of the job */
    char id[TOKEN_PUBLIC_ID];
    struct buf response;
    struct error err;
};

static int64_t wall(void *arg)
{
    (void)arg;
    return clock_wall_ms(clock_system());
}

static int64_t mono(void *arg)
{
    (void)arg;
    return clock_mono_ms(clock_system());
}

static void sleeps(void *arg, int64_t ms)
{
    struct rig *r = arg;
    r->slept_ms += ms;
}

static void rig_init(struct rig *r, const struct fake_rule *rules)
{
    struct error err = { 0 };
    *r = (struct rig){ .aws = fake_start(rules) };
    r->cfg = (struct config){ .cluster = mem_dup("local"),
                              .container = mem_dup("job"),
                              .events_delay_s = 2 };
    struct token_keys *keys = token_keys_new(KEYS, NULL, &err);
    r->clock = (struct clock){ .wall_ms = wall, .mono_ms = mono, .sleep_ms = sleeps, .arg = r };
    r->tools = (struct events_tools){
        .cfg = &r->cfg,
        .aws = fake_client(r->aws, &r->options),
        .receiver = receiver_client_new(r->aws->url, clock_system(), &err),
        .keys = keys,
        .clock = &r->clock,
        .seen = &r->seen,
    };
    receiver_client_set_retry(r->tools.receiver, 1, 1);
    struct token_content content = { .scope = TOKEN_SCOPE_JOB,
                                     .callback_id = CALLBACK,
                                     .expires_s = 7 }; /* long over */
    auto_buf struct buf token = BUF_INIT(TOKEN_MAX);
    cr_assert_eq(token_seal(keys, &content, &token, &err), 0);
    snprintf(r->token, sizeof(r->token), "%s", buf_str(&token));
    token_public_id(CALLBACK, r->id);
    buf_init(&r->response, 1 << 20);
}

static void rig_release(struct rig *r)
{
    struct token_keys *keys;
    memcpy(&keys, &r->tools.keys, sizeof(keys));
    buf_release(&r->response);
    receiver_client_free(r->tools.receiver);
    fake_client_free(r->tools.aws, &r->options);
    token_keys_free(keys);
    free(r->cfg.cluster);
    free(r->cfg.container);
    fake_stop(r->aws);
}

static int rig_handle(struct rig *r, const char *payload)
{
    const struct lambda_invocation inv = { .request_id = "r",
                                           .payload = payload,
                                           .payload_len = strlen(payload),
                                           .deadline_ms =
                                               wall(NULL) + (r->left_ms ? r->left_ms : 30000) };
    buf_reset(&r->response);
    return events_handle(&inv, &r->tools, &r->response, &r->err);
}

/* The overrides that carry the job's token. */
static char *overrides(const struct rig *r)
{
    return mem_printf(
        "{\"containerOverrides\":[{\"name\":\"side\",\"environment\":[{\"name\":"
        "\"CALLBACK_TOKEN\",\"value\":\"x\"}]},{\"name\":\"job\",\"environment\":[{"
        "\"name\":\"A\",\"value\":\"b\"},{\"name\":\"CALLBACK_TOKEN\",\"value\":\"%s\"}"
        "]}]}",
        r->token);
}

/* An event of ECS: `more` are members of the detail. */
static char *task_event(const char *task, const char *status, int version, const char *more)
{
    return mem_printf("{\"version\":\"0\",\"source\":\"aws.ecs\",\"detail-type\":\"ECS Task State "
                      "Change\",\"time\":\"2026-01-23T17:57:58Z\",\"detail\":{\"taskArn\":\"%s\","
                      "\"lastStatus\":\"%s\",\"startedBy\":\"durable/e1\",\"version\":%d,%s}}",
                      task, status, version, more);
}

static char *stopped(const struct rig *r, const char *task, int version, const char *how)
{
    auto_free char *o = overrides(r);
    auto_free char *more = mem_printf("\"overrides\":%s,%s", o, how);
    return task_event(task, "STOPPED", version, more);
}

static char *ended(const char *status)
{
    return mem_printf("{\"version\":\"0\",\"source\":\"aws.lambda\",\"detail-type\":\"Durable "
                      "Execution Status Change\",\"time\":\"2026-01-23T17:57:58Z\",\"detail\":{"
                      "\"durableExecutionArn\":\"%s\",\"status\":\"%s\"}}",
                      EXECUTION, status);
}

static const struct fake_rule taken[] = { { "POST", 202, "{\"state\":\"accepted\"}" },
                                          { NULL, 0, NULL } };

#define EXIT_3                                                                                     \
    "\"stopCode\":\"EssentialContainerExited\",\"stoppedReason\":\"Essential container in task "   \
    "exited\",\"containers\":[{\"name\":\"side\",\"exitCode\":0},{\"name\":\"job\",\"exitCode\":"  \
    "3}]"

Test(events, report_how_a_task_ended)
{
    static const struct {
        const char *how;
        const char *type;
    } table[] = {
        { EXIT_3, "Task.ExitCode" },
        { "\"containers\":[{\"name\":\"job\",\"exitCode\":137}]", "Task.Signal" },
        { "\"containers\":[{\"name\":\"job\",\"exitCode\":137,\"reason\":\"OutOfMemoryError: "
          "Container killed due to memory usage\"}]",
          "Task.OutOfMemory" },
        { "\"stopCode\":\"EssentialContainerExited\",\"containers\":[{\"name\":\"job\","
          "\"exitCode\":"
          "0},{\"name\":\"side\",\"exitCode\":5}]",
          "Task.NoReport" },
        { "\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":\"CannotPullContainerError: no\","
          "\"containers\":[{\"name\":\"job\"}]",
          "Task.ImagePull" },
        { "\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":\"RESOURCE:ENI\",\"containers\":[]",
          "Task.Capacity" },
        { "\"stopCode\":\"SpotInterruption\",\"containers\":[]", "Task.SpotInterruption" },
        { "\"stopCode\":\"UserInitiated\",\"containers\":[{\"name\":\"job\",\"exitCode\":143}]",
          "Task.StoppedByUser" },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rig r;
        rig_init(&r, taken);
        auto_free char *event = stopped(&r, "arn:task/1", 5, table[i].how);
        cr_assert_eq(rig_handle(&r, event), 0, "%s", r.err.msg);
        cr_expect_eq(r.aws->count, 1);
        const struct fake_asked *post = fake_nth(r.aws, "POST", 0);
        auto_free char *path = mem_printf("/v1/callbacks/%s/failure", r.id);
        auto_free char *type = mem_printf("\"errorType\":\"%s\"", table[i].type);
        cr_expect_str_eq(post->path, path);
        cr_expect_not_null(strstr(post->body, type), "%s", post->body);
        struct token_content content;
        struct error err;
        cr_assert_eq(token_open(r.tools.keys, post->auth + 7, strlen(post->auth) - 7,
                                wall(NULL) / 1000, &content, &err),
                     0, "a fresh token, whatever became of the job's");
        cr_expect_str_eq(content.callback_id, CALLBACK);
        cr_expect_eq(content.scope, TOKEN_SCOPE_LAUNCHER);
        rig_release(&r);
    }
}

Test(events, that_come_twice_or_late_change_nothing)
{
    struct rig r;
    rig_init(&r, taken);
    auto_free char *first = stopped(&r, "arn:task/1", 7, EXIT_3);
    auto_free char *other = stopped(&r, "arn:task/2", 7, EXIT_3);
    auto_free char *late = task_event("arn:task/1", "RUNNING", 4, "\"containers\":[]");
    cr_expect_eq(rig_handle(&r, late), 0);
    cr_expect_eq(r.aws->count, 0);
    cr_expect_eq(rig_handle(&r, first), 0);
    cr_expect_eq(rig_handle(&r, first), 0);
    cr_expect_eq(rig_handle(&r, late), 0);
    cr_expect_eq(fake_count(r.aws, "POST"), 1);
    cr_expect_eq(rig_handle(&r, other), 0);
    cr_expect_eq(fake_count(r.aws, "POST"), 2);
    rig_release(&r);
}

Test(events, of_tasks_that_are_none_of_ours_are_left_alone)
{
    static const char *const events[] = {
        "{\"source\":\"aws.ecs\",\"detail-type\":\"ECS Task State Change\",\"detail\":{\"taskArn\":"
        "\"a\",\"lastStatus\":\"STOPPED\",\"startedBy\":\"ecs-svc/1\"}}",
        "{\"source\":\"aws.ecs\",\"detail-type\":\"ECS Task State Change\",\"detail\":{\"taskArn\":"
        "\"a\",\"lastStatus\":\"STOPPED\"}}",
        "{\"source\":\"aws.ecs\",\"detail-type\":\"ECS Task State Change\"}",
        "{\"source\":\"aws.ecs\",\"detail-type\":\"ECS Service Action\",\"detail\":{}}",
        "{\"source\":\"aws.lambda\",\"detail-type\":\"Durable Execution Status Change\"}",
        "{\"source\":\"aws.lambda\",\"detail-type\":\"Durable Execution Status "
        "Change\",\"detail\":{"
        "\"durableExecutionArn\":\"arn:x\",\"status\":\"FAILED\"}}",
    };
    struct rig r;
    rig_init(&r, taken);
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        cr_expect_eq(rig_handle(&r, events[i]), 0, "%s", events[i]);
    cr_expect_eq(r.aws->count, 0);
    cr_expect_eq(rig_handle(&r, "[]"), -1);
    cr_expect_eq(rig_handle(&r, "{}"), -1);
    cr_expect_eq(rig_handle(&r, "{"), -1);
    rig_release(&r);
}

Test(events, find_the_job_by_asking_ecs_where_the_event_has_no_overrides)
{
    struct rig r;
    struct fake_rule rules[] = { { "DescribeTasks", 200, NULL },
                                 { "POST", 202, "{}" },
                                 { NULL, 0, NULL } };
    rig_init(&r, rules);
    auto_free char *o = overrides(&r);
    auto_free char *answer =
        mem_printf("{\"tasks\":[{\"taskArn\":\"arn:task/1\",\"overrides\":%s}]}", o);
    rules[0].body = answer;
    auto_free char *event =
        task_event("arn:task/1", "STOPPED", 5,
                   "\"overrides\":{\"containerOverrides\":[{\"name\":\"job\"}]}," EXIT_3);
    cr_expect_eq(rig_handle(&r, event), 0, "%s", r.err.msg);
    cr_expect_eq(fake_count(r.aws, "POST"), 1);
    rig_release(&r);
}

Test(events, of_a_task_without_a_token_of_ours_tell_nobody)
{
    static const char *const more[] = {
        "\"containers\":[]",
        "\"containers\":[],\"overrides\":{\"containerOverrides\":[{\"name\":\"job\","
        "\"environment\":["
        "{\"name\":\"CALLBACK_TOKEN\",\"value\":\"v1.k.forged\"}]}]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        struct rig r;
        rig_init(&r, taken);
        auto_free char *event = task_event("arn:task/1", "STOPPED", 5, more[i]);
        cr_expect_eq(rig_handle(&r, event), 0);
        cr_expect_eq(fake_count(r.aws, "POST"), 0);
        rig_release(&r);
    }
}

Test(events, are_settled_where_another_report_was_first_and_come_again_where_nobody_answers)
{
    static const struct {
        struct fake_rule rules[2];
        int rc;
    } table[] = {
        { { { "POST", 409, "{}" } }, 0 }, { { { "POST", 410, "{}" } }, 0 },
        { { { "POST", 404, "{}" } }, 0 }, { { { "POST", 503, "{}" } }, -1 },
        { { { "POST", 0, "" } }, -1 },    { { { "POST", 403, "{}" } }, -1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rig r;
        rig_init(&r, table[i].rules);
        auto_free char *event = stopped(&r, "arn:task/1", 5, EXIT_3);
        cr_expect_eq(rig_handle(&r, event), table[i].rc, "case %zu", i);
        cr_expect_eq(rig_handle(&r, event), table[i].rc, "case %zu", i);
        cr_expect_eq(fake_count(r.aws, "POST"), table[i].rc ? 2 : 1, "case %zu", i);
        rig_release(&r);
    }
}

Test(events, let_the_job_report_first_for_what_is_left_of_the_delay)
{
    static const struct {
        int64_t ago_ms;
        int64_t least_ms, most_ms;
    } table[] = { { 0, 500, 2000 }, { 60000, 0, 0 }, { -60000, 2000, 2000 } };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rig r;
        char time[CLOCK_TEXT];
        rig_init(&r, taken);
        clock_format(wall(NULL) - table[i].ago_ms, time);
        auto_free char *event = stopped(&r, "arn:task/1", 5, EXIT_3);
        memcpy(strstr(event, "2026-01-23T17:57:58"), time, 19);
        cr_expect_eq(rig_handle(&r, event), 0);
        cr_expect_geq(r.slept_ms, table[i].least_ms, "case %zu", i);
        cr_expect_leq(r.slept_ms, table[i].most_ms, "case %zu", i);
        rig_release(&r);
    }
}

#define HISTORY                                                                                    \
    "{\"Events\":[{\"EventType\":\"ExecutionStarted\"},{\"EventType\":\"CallbackStarted\","        \
    "\"CallbackStartedDetails\":{\"CallbackId\":\"" CALLBACK "\"}}]}"

static const struct fake_rule orphan[] = {
    { "History", 200, HISTORY },
    { "ListTasks", 200, "{\"taskArns\":[\"arn:task/1\",\"arn:task/2\"]}" },
    { NULL, 0, NULL },
};

Test(events, of_an_execution_that_ended_badly_leave_no_task_and_no_registration)
{
    static const struct {
        const char *status;
        size_t count;
    } table[] = {
        { "FAILED", 1 }, { "STOPPED", 1 }, { "TIMED_OUT", 1 }, { "SUCCEEDED", 0 }, { "RUNNING", 0 }
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rig r;
        rig_init(&r, orphan);
        auto_free char *event = ended(table[i].status);
        cr_expect_eq(rig_handle(&r, event), 0, "%s", r.err.msg);
        cr_expect_eq(fake_count(r.aws, "ListTasks"), table[i].count);
        cr_expect_eq(fake_count(r.aws, "StopTask"), 2 * table[i].count);
        cr_expect_eq(fake_count(r.aws, "DELETE"), table[i].count);
        if (table[i].count) {
            cr_expect_not_null(strstr(fake_nth(r.aws, "ListTasks", 0)->body,
                                      "durable/9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"));
            cr_expect_not_null(strstr(fake_nth(r.aws, "DELETE", 0)->path, r.id));
        }
        rig_release(&r);
    }
}

#define CHILD(n)                                                                                   \
    "arn:aws:lambda:us-east-1:123456789012:function:launcher:1/durable-execution/c" n              \
    "/9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc" n
#define CHAINED(n)                                                                                 \
    "{\"EventType\":\"ChainedInvokeStarted\",\"Id\":\"op" n                                        \
    "\",\"ChainedInvokeStartedDetails\":{\"FunctionName\":\"launcher:1\",\"DurableExecutionArn\":" \
    "\"" CHILD(n) "\"}}"

/* Each job's own end comes as an event as well, and stops its task. */
Test(events, of_a_batch_that_ended_badly_stop_its_jobs)
{
    static const struct fake_rule rules[] = {
        { "History", 200,
          "{\"Events\":[" CHAINED("1") "," CHAINED(
              "2") ","
                   "{\"EventType\":\"ChainedInvokeFailed\",\"Id\":\"op1\"}," CHAINED("3") "]}" },
        { "Stop", 429, "{\"__type\":\"TooManyRequestsException\"}" },
        { "Stop", 429, "{\"__type\":\"TooManyRequestsException\"}" },
        { "Stop", 200, "{\"StopTimestamp\":1764700000.5}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, rules);
    auto_free char *event = ended("STOPPED");
    cr_expect_eq(rig_handle(&r, event), -1, "one job could not be stopped: once more");
    cr_expect_eq(fake_count(r.aws, "Stop"), 3, "two tries of the one, one of the other");
    cr_expect_eq(rig_handle(&r, event), 0);
    cr_expect_eq(fake_count(r.aws, "Stop"), 5);
    cr_expect_not_null(strstr(fake_nth(r.aws, "Stop", 4)->path, "5ec51c34ffc3"));
    rig_release(&r);
}

Test(events, of_another_function_are_left_alone)
{
    struct rig r;
    rig_init(&r, orphan);
    snprintf(r.cfg.function_name, sizeof(r.cfg.function_name), "other");
    auto_free char *event = ended("FAILED");
    cr_expect_eq(rig_handle(&r, event), 0);
    cr_expect_eq(r.aws->count, 0);
    rig_release(&r);
}

Test(events, stop_the_tasks_also_where_the_receiver_is_away)
{
    static const struct fake_rule rules[] = {
        { "History", 200, HISTORY },
        { "DELETE", 503, "{}" },
        { "ListTasks", 200, "{\"taskArns\":[\"arn:task/1\"]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    rig_init(&r, rules);
    auto_free char *event = ended("TIMED_OUT");
    cr_expect_eq(rig_handle(&r, event), -1, "it comes again");
    cr_expect_eq(fake_count(r.aws, "StopTask"), 1);
    rig_release(&r);
}

Test(events, stop_the_tasks_also_where_the_receiver_does_not_answer)
{
    static const struct fake_rule rules[] = {
        { "History", 200, HISTORY },
        { "ListTasks", 200, "{\"taskArns\":[\"arn:task/1\"]}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    struct error err = { 0 };
    auto_close int silent = -1;
    rig_init(&r, rules);
    auto_free char *url = fake_silence(&silent);
    receiver_client_free(r.tools.receiver);
    r.tools.receiver = receiver_client_new(url, clock_system(), &err);
    r.left_ms = 8000; /* less what the answer needs: half of that is what the receiver may cost */
    auto_free char *event = ended("TIMED_OUT");
    cr_expect_eq(rig_handle(&r, event), -1, "it comes again");
    cr_expect_eq(fake_count(r.aws, "StopTask"), 1);
    rig_release(&r);
}

static char *record(const char *id, const char *count, const char *body)
{
    auto_json struct json_object *o = json_object_new_object();
    struct json_object *attributes = json_object_new_object();
    json_add_str(o, "messageId", id);
    json_add_str(o, "body", body);
    json_add_str(attributes, "ApproximateReceiveCount", count);
    json_add(o, "attributes", attributes);
    return mem_dup(json_text(o, NULL));
}

Test(events, of_a_queue_come_again_one_by_one)
{
    struct rig r;
    static const struct fake_rule rules[] = { { "POST", 202, "{}" },
                                              { "POST", 503, "{}" },
                                              { "History", 200, "{\"Events\":[]}" },
                                              { NULL, 0, NULL } };
    rig_init(&r, rules);
    auto_free char *one = stopped(&r, "arn:task/1", 5, EXIT_3);
    auto_free char *two = stopped(&r, "arn:task/2", 5, EXIT_3);
    auto_free char *end = ended("FAILED");
    auto_free char *a = record("m-done", "1", one);
    auto_free char *b = record("m-away", "1", two);
    auto_free char *c = record("m-first", "1", end);
    auto_free char *d = record("m-second", "2", end);
    auto_free char *e = record("m-bad", "1", "{");
    auto_free char *batch = mem_printf("{\"Records\":[%s,%s,%s,%s,%s]}", a, b, c, d, e);
    cr_assert_eq(rig_handle(&r, batch), 0);
    cr_expect_str_eq(buf_str(&r.response),
                     "{\"batchItemFailures\":[{\"itemIdentifier\":\"m-away\"},"
                     "{\"itemIdentifier\":\"m-first\"},{\"itemIdentifier\":\"m-bad\"}]}",
                     "an execution's end is handled twice");
    cr_expect_eq(fake_count(r.aws, "ListTasks"), 2);
    rig_release(&r);
}

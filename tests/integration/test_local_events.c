/* local-aws's events and what becomes of tasks by order, on the real program. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/aws/lambda_client.h"
#include "tests/integration/local_rig.h"

#define PAUSE_MS 20

static char *read_file(const struct local_rig *r, const char *name)
{
    auto_free char *path = mem_printf("%s/%s", r->dir, name);
    auto_buf struct buf b = BUF_INIT(16U << 20);
    FILE *f = fopen(path, "r");
    char chunk[4096];
    size_t n;
    while (f && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(&b, chunk, n);
    if (f)
        fclose(f);
    return buf_take(&b, NULL);
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; (text = strchr(text, '\n')); text++)
        n++;
    return n;
}

/* The lines of a file once there are at least `want`, the caller's. */
static char *wait_for(const struct local_rig *r, const char *name, size_t want)
{
    for (int i = 0; i < SOON_MS / PAUSE_MS; i++) {
        char *text = read_file(r, name);
        if (count_lines(text) >= want)
            return text;
        free(text);
        clock_sleep_ms(clock_system(), PAUSE_MS);
    }
    cr_assert_fail("fewer than %zu lines in %s", want, name);
    return NULL;
}

/* Line `i` as JSON. */
static struct json_object *event(const char *text, size_t i)
{
    struct json_object *o = NULL;
    while (i-- > 0)
        text = strchr(text, '\n') + 1;
    auto_free char *line = mem_dup_len(text, strcspn(text, "\n"));
    cr_assert_eq(json_parse_str(line, &o, NULL), 0, "%s", line);
    return o;
}

static void flag(const struct local_rig *r, bool on)
{
    auto_free char *path = mem_printf("%s/fail", r->dir);
    if (on)
        fclose(fopen(path, "w"));
    else
        unlink(path);
}

static void fault(struct local_rig *r, const char *json)
{
    struct error err = { 0 };
    auto_answer struct api_answer a = { 0 };
    cr_assert_eq(api_send(r->local, "POST", "/_local/faults", NULL, json, &a, &err), 0);
    cr_assert_eq(a.status, 201, "%s", a.text);
}

static bool tells(const char *text, size_t i, const char *member, const char *value)
{
    auto_json struct json_object *o = event(text, i);
    const char *s = json_get_str(json_get_obj(o, "detail"), member);
    return s && strcmp(s, value) == 0;
}

Test(local_events, tells_of_the_states_of_a_task_that_are_wanted)
{
    struct local_rig r;
    local_rig_begin_events(&r);
    auto_free char *arn = local_rig_run(&r, "exit 4", ",\"startedBy\":\"durable/e1\"");
    auto_free char *text = wait_for(&r, "events", 2);
    cr_assert(tells(text, 0, "lastStatus", "RUNNING"), "%s", text);
    cr_assert(tells(text, 1, "lastStatus", "STOPPED"), "%s", text);
    auto_json struct json_object *first = event(text, 0);
    auto_json struct json_object *last = event(text, 1);
    struct json_object *d = json_get_obj(last, "detail");
    cr_assert_gt(json_get_int(d, "version", 0),
                 json_get_int(json_get_obj(first, "detail"), "version", 0));
    cr_assert_str_eq(json_get_str(d, "taskArn"), arn);
    cr_assert_str_eq(json_get_str(d, "stopCode"), "EssentialContainerExited");
    cr_assert_eq(json_get_int(local_rig_container(d), "exitCode", -1), 4);
    auto_free char *traces = read_file(&r, "traces");
    cr_assert_eq(strncmp(traces, "Root=1-", 7), 0, "%s", traces);
    local_rig_end(&r);
}

Test(local_events, tells_of_executions)
{
    struct local_rig r;
    struct error err = { 0 };
    const struct lambda_invoke call = {
        .function = "launcher", .qualifier = "1", .type = "Event", .payload = "{}", .payload_len = 2
    };
    struct lambda_invoked started = { 0 };
    local_rig_begin_events(&r);
    cr_assert_eq(lambda_invoke(r.aws, &call, &started, &err), 0, "%s", err.msg);
    auto_free char *text = wait_for(&r, "events", 1);
    cr_assert(tells(text, 0, "status", "RUNNING"), "%s", text);
    cr_assert(tells(text, 0, "durableExecutionArn", started.execution_arn), "%s", text);
    cr_assert_eq(lambda_stop(r.aws, started.execution_arn, NULL, NULL, &err), 0, "%s", err.msg);
    auto_free char *more = wait_for(&r, "events", 2);
    cr_assert(tells(more, 1, "status", "STOPPED"), "%s", more);
    lambda_invoked_release(&started);
    local_rig_end(&r);
}

Test(local_events, a_failing_function_gets_the_event_again)
{
    struct local_rig r;
    local_rig_begin_events(&r);
    flag(&r, true);
    fault(&r, "{\"operation\":\"PutEvents\",\"action\":\"drop\"}"); /* RUNNING: lost */
    auto_free char *arn = local_rig_run(&r, "true", "");
    free(wait_for(&r, "failed", 1));
    flag(&r, false);
    auto_free char *text = wait_for(&r, "events", 1);
    cr_assert(tells(text, 0, "lastStatus", "STOPPED"), "%s", text);
    cr_assert(tells(text, 0, "taskArn", arn));
    local_rig_end(&r);
}

Test(local_events, a_function_that_goes_on_failing_loses_the_event_and_gets_the_next)
{
    struct local_rig r;
    local_rig_begin_events(&r);
    flag(&r, true);
    auto_free char *lost = local_rig_run(&r, "exit 0", "");
    free(wait_for(&r, "failed", 10)); /* RUNNING and STOPPED, five times each */
    flag(&r, false);
    auto_free char *told = local_rig_run(&r, "exit 0", "");
    auto_free char *text = wait_for(&r, "events", 2);
    cr_assert(tells(text, 0, "taskArn", told), "%s", text);
    cr_assert(tells(text, 1, "taskArn", told), "%s", text);
    auto_free char *all = read_file(&r, "events");
    cr_assert_null(strstr(all, lost), "%s", all);
    local_rig_end(&r);
}

Test(local_events, outlives_a_kill)
{
    struct local_rig r;
    local_rig_begin_events(&r);
    flag(&r, true);
    auto_free char *arn = local_rig_run(&r, "true", "");
    free(wait_for(&r, "failed", 1));
    program_kill(r.program);
    flag(&r, false);
    local_rig_restart(&r);
    auto_free char *text = wait_for(&r, "events", 2);
    cr_assert(strstr(text, arn));
    cr_assert(strstr(text, "\"lastStatus\":\"STOPPED\""));
    local_rig_end(&r);
}

Test(local_events, can_be_lost_doubled_and_late)
{
    struct local_rig r;
    local_rig_begin_events(&r);
    fault(&r, "{\"operation\":\"PutEvents\",\"action\":\"delay\",\"delayMs\":700}"); /* RUNNING */
    fault(&r, "{\"operation\":\"PutEvents\",\"action\":\"double\",\"source\":\"aws.ecs\"}");
    free(local_rig_run(&r, "true", ""));
    auto_free char *text = wait_for(&r, "events", 3);
    cr_assert(tells(text, 0, "lastStatus", "STOPPED"), "%s", text);
    cr_assert(tells(text, 1, "lastStatus", "STOPPED"), "%s", text);
    cr_assert(tells(text, 2, "lastStatus", "RUNNING"), "%s", text);
    auto_json struct json_object *a = event(text, 0);
    auto_json struct json_object *b = event(text, 1);
    cr_assert_str_eq(json_get_str(a, "id"), json_get_str(b, "id"), "the same event");
    local_rig_end(&r);
}

/* ---- tasks ------------------------------------------------------------------------------------*/

static char *doomed(struct local_rig *r, const char *outcome, const char *script)
{
    auto_free char *json = mem_printf("{\"operation\":\"RunTask\",\"action\":\"task\","
                                      "\"outcome\":\"%s\"}",
                                      outcome);
    fault(r, json);
    return local_rig_run(r, script, "");
}

static void ended(struct json_object *task, const char *code, const char *reason, int exit_code)
{
    struct json_object *c = local_rig_container(task);
    const char *text = json_get_str(task, "stoppedReason"), *own = json_get_str(c, "reason");
    cr_assert_str_eq(json_get_str(task, "stopCode"), code);
    cr_assert(strstr(text, reason) || (own && strstr(own, reason)), "%s", json_text(task, NULL));
    cr_assert_eq(json_get_int(c, "exitCode", -1), exit_code, "%s", json_text(task, NULL));
}

Test(local_events, a_task_ends_as_was_ordered)
{
    static const struct {
        const char *outcome, *code, *reason;
        int exit_code;
    } cases[] = {
        { "image-pull", "TaskFailedToStart", "CannotPullContainerError", -1 },
        { "spot", "SpotInterruption", "Spot", 143 },
        { "out-of-memory", "EssentialContainerExited", "OutOfMemoryError", 137 },
        { "no-container", "TerminationNotice", "terminated", -1 },
        { "stopped-by-user", "UserInitiated", "stopped by user", 143 },
    };
    struct local_rig r;
    local_rig_begin(&r);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *arn = doomed(&r, cases[i].outcome, "exec sleep 60");
        auto_json struct json_object *task = local_rig_until(&r, arn, "STOPPED");
        ended(task, cases[i].code, cases[i].reason, cases[i].exit_code);
        size_t left = strcmp(cases[i].outcome, "no-container") == 0 ? 0 : 1;
        cr_assert_eq(json_object_array_length(json_get_arr(task, "containers")), left);
    }
    local_rig_end(&r);
}

Test(local_events, a_task_that_never_starts_can_be_stopped_also_after_a_restart)
{
    struct local_rig r;
    local_rig_begin(&r);
    auto_free char *arn = doomed(&r, "never-starts", "true");
    auto_free char *other = local_rig_run(&r, "true", "");
    local_rig_expect_exit(&r, other, 0, "EssentialContainerExited");
    program_kill(r.program);
    local_rig_restart(&r);
    auto_json struct json_object *waits = local_rig_describe(&r, arn);
    cr_assert_str_eq(json_get_str(waits, "lastStatus"), "PROVISIONING");
    local_rig_stop(&r, arn);
    auto_json struct json_object *task = local_rig_until(&r, arn, "STOPPED");
    ended(task, "UserInitiated", "enough", -1);
    local_rig_end(&r);
}

Test(local_events, without_capacity_there_is_no_task_and_the_token_stays_free)
{
    static const char run[] = "{\"cluster\":\"local\",\"taskDefinition\":\"job\",\"clientToken\":"
                              "\"t1\"}";
    struct local_rig r;
    local_rig_begin(&r);
    fault(&r, "{\"operation\":\"RunTask\",\"action\":\"task\",\"outcome\":\"no-capacity\","
              "\"message\":\"RESOURCE:MEMORY\"}");
    auto_json struct json_object *refused = local_rig_must(&r, "RunTask", run);
    cr_assert_eq(json_object_array_length(json_get_arr(refused, "tasks")), 0);
    struct json_object *failure = json_object_array_get_idx(json_get_arr(refused, "failures"), 0);
    cr_assert_str_eq(json_get_str(failure, "reason"), "RESOURCE:MEMORY");
    auto_json struct json_object *again = local_rig_must(&r, "RunTask", run);
    cr_assert_eq(json_object_array_length(json_get_arr(again, "tasks")), 1);
    local_rig_end(&r);
}

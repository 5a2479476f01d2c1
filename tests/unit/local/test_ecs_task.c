#include "local/aws/ecs_task.h"

#include <criterion/criterion.h>
#include <string.h>

static struct ecs_task *task(void)
{
    struct ecs_task *t = ecs_task_new(1000);
    t->cluster = mem_dup("local");
    t->family = mem_dup("job");
    t->revision = 7;
    t->started_by = mem_dup("durable/e1");
    t->group = mem_dup("family:job");
    t->launch_type = mem_dup("FARGATE");
    t->spec = json_object_new_object();
    t->container_count = 1;
    t->containers = mem_array(1, sizeof(*t->containers));
    t->containers[0].name = mem_dup("app");
    random_uuid(t->containers[0].id);
    return t;
}

/* All steps that the facts allow; the states' names with spaces. */
static char *steps(struct ecs_task *t, const struct ecs_facts *f, int64_t now_ms)
{
    auto_buf struct buf b = BUF_INIT(1000);
    while (ecs_task_step(t, f, now_ms))
        buf_printf(&b, "%s%s", b.len ? " " : "", ecs_state_name(t->state));
    return buf_take(&b, NULL);
}

#define STEPS(t, f, now, expected)                                                                 \
    do {                                                                                           \
        auto_free char *got_ = steps(t, &(f), now);                                                \
        cr_assert_str_eq(got_, expected, "%s", got_);                                              \
    } while (0)

static char app[] = "app", why[] = "exec \"x\": No such file or directory";

Test(ecs_task, goes_from_provisioning_to_stopped)
{
    struct ecs_task *t = task();
    struct shim_container c = { .name = app, .pid = 42, .started_ms = 1500 };
    struct shim_status s = { .containers = &c, .count = 1 };
    struct ecs_facts f = { .begun = false };
    STEPS(t, f, 1100, "");
    f.begun = true;
    STEPS(t, f, 1200, "PENDING");
    f.status = &s;
    STEPS(t, f, 1600, "RUNNING");
    cr_assert_eq(t->started_ms, 1500);
    cr_assert_eq(t->containers[0].pid, 42);
    STEPS(t, f, 1700, "");
    c.ended_ms = 1800;
    c.exit_code = 3;
    s.over = f.over = true;
    STEPS(t, f, 1900, "DEPROVISIONING STOPPED");
    cr_assert_str_eq(t->stop_code, "EssentialContainerExited");
    cr_assert_str_eq(t->stopped_reason, "Essential container in task exited");
    cr_assert(t->containers[0].ended);
    cr_assert_eq(t->containers[0].exit_code, 3);
    cr_assert_eq(t->stopped_ms, 1900);
    cr_assert_eq(t->execution_stopped_ms, 1800);
    cr_assert(t->stop_wanted);
    cr_assert_eq(t->version, 5);
    ecs_task_free(t);
}

Test(ecs_task, stops_when_a_user_asks)
{
    struct ecs_task *t = task();
    struct shim_container c = { .name = app, .pid = 42, .started_ms = 1500 };
    struct shim_status s = { .containers = &c, .count = 1 };
    struct ecs_facts f = { .begun = true, .status = &s };
    STEPS(t, f, 1600, "PENDING RUNNING");
    cr_assert(ecs_task_want_stop(t, "UserInitiated", "enough", 1700));
    cr_assert_not(ecs_task_want_stop(t, "UserInitiated", "again", 1750));
    STEPS(t, f, 1800, "DEACTIVATING STOPPING");
    c.ended_ms = 1900;
    c.exit_code = 143;
    f.over = true;
    STEPS(t, f, 2000, "DEPROVISIONING STOPPED");
    cr_assert_str_eq(t->stop_code, "UserInitiated");
    cr_assert_str_eq(t->stopped_reason, "enough");
    cr_assert_eq(t->stopping_ms, 1700);
    cr_assert_eq(t->containers[0].exit_code, 143);
    ecs_task_free(t);
}

Test(ecs_task, that_cannot_be_started_has_no_exit_code)
{
    struct ecs_task *t = task();
    struct shim_container c = { .name = app, .error = why };
    struct shim_status s = { .containers = &c, .count = 1, .over = true };
    struct ecs_facts f = { .begun = true, .over = true, .status = &s };
    STEPS(t, f, 1600, "PENDING DEPROVISIONING STOPPED");
    cr_assert_str_eq(t->stop_code, "TaskFailedToStart");
    cr_assert_not(t->containers[0].ended);
    auto_json struct json_object *o = ecs_task_json(t, "us-east-1", "123456789012", false);
    struct json_object *first = json_object_array_get_idx(json_get_arr(o, "containers"), 0);
    cr_assert_null(json_get(first, "exitCode"));
    cr_assert_eq(strncmp(json_get_str(first, "reason"), "CannotStartContainerError: ", 27), 0);
    cr_assert_null(json_get(o, "startedAt"));
    ecs_task_free(t);
}

Test(ecs_task, that_the_driver_could_not_start_tells_why)
{
    struct ecs_task *t = task();
    struct ecs_facts f = { .over = true, .failure = "no space" };
    STEPS(t, f, 1600, "DEPROVISIONING STOPPED");
    cr_assert_str_eq(t->stop_code, "TaskFailedToStart");
    cr_assert_str_eq(t->containers[0].reason, "CannotStartContainerError: no space");
    ecs_task_free(t);
}

Test(ecs_task, stopped_before_it_began_never_runs)
{
    struct ecs_task *t = task();
    struct ecs_facts f = { .over = true };
    cr_assert(ecs_task_want_stop(t, "UserInitiated", "no", 1500));
    STEPS(t, f, 1600, "DEPROVISIONING STOPPED");
    cr_assert_str_eq(t->stop_code, "UserInitiated");
    cr_assert_not(t->containers[0].ended);
    ecs_task_free(t);
}

Test(ecs_task, lost_with_its_shim_counts_as_killed)
{
    struct ecs_task *t = task();
    struct shim_container c = { .name = app, .pid = 42, .started_ms = 1500 };
    struct shim_status s = { .containers = &c, .count = 1 };
    struct ecs_facts f = { .begun = true, .status = &s };
    STEPS(t, f, 1600, "PENDING RUNNING");
    f.over = true;
    STEPS(t, f, 1700, "DEPROVISIONING STOPPED");
    cr_assert_eq(t->containers[0].exit_code, 137);
    ecs_task_free(t);
}

Test(ecs_task, is_told_as_ecs_tells_it)
{
    struct ecs_task *t = task();
    memcpy(t->id, "0123456789abcdef0123456789abcdef", ECS_TASK_ID);
    memcpy(t->containers[0].id, "c0ffee00-0000-4000-8000-000000000000", RANDOM_UUID);
    t->created_ms = 1764700000123;
    auto_json struct json_object *o = ecs_task_json(t, "us-east-1", "123456789012", true);
    static const char expected[] =
        "{\"taskArn\":\"arn:aws:ecs:us-east-1:123456789012:task/local/"
        "0123456789abcdef0123456789abcdef\","
        "\"clusterArn\":\"arn:aws:ecs:us-east-1:123456789012:cluster/local\","
        "\"taskDefinitionArn\":\"arn:aws:ecs:us-east-1:123456789012:task-definition/job:7\","
        "\"lastStatus\":\"PROVISIONING\",\"desiredStatus\":\"RUNNING\","
        "\"startedBy\":\"durable/e1\",\"group\":\"family:job\",\"launchType\":\"FARGATE\","
        "\"createdAt\":1764700000.123,\"version\":1,\"healthStatus\":\"UNKNOWN\","
        "\"enableExecuteCommand\":false,\"overrides\":{\"containerOverrides\":[{\"name\":\"app\"}],"
        "\"inferenceAcceleratorOverrides\":[]},\"attachments\":[],\"attributes\":[],"
        "\"inferenceAccelerators\":[],\"containers\":[{\"containerArn\":"
        "\"arn:aws:ecs:us-east-1:123456789012:container/local/0123456789abcdef0123456789abcdef/"
        "c0ffee00-0000-4000-8000-000000000000\",\"taskArn\":\"arn:aws:ecs:us-east-1:123456789012:"
        "task/local/0123456789abcdef0123456789abcdef\",\"name\":\"app\",\"lastStatus\":\"PENDING\","
        "\"networkBindings\":[],\"networkInterfaces\":[],\"healthStatus\":\"UNKNOWN\","
        "\"cpu\":\"0\"}],\"tags\":[]}";
    cr_assert_str_eq(json_text(o, NULL), expected, "%s", json_text(o, NULL));
    ecs_task_free(t);
}

Test(ecs_task, is_the_same_after_saving_and_loading)
{
    struct ecs_task *t = task();
    struct shim_container c = { .name = app, .pid = 42, .started_ms = 1500 };
    struct shim_status s = { .containers = &c, .count = 1 };
    struct ecs_facts f = { .begun = true, .status = &s };
    cr_assert_eq(
        json_parse_str("{\"containerOverrides\":[{\"name\":\"app\"}]}", &t->overrides, NULL), 0);
    t->number = 99;
    STEPS(t, f, 1600, "PENDING RUNNING");
    cr_assert(ecs_task_want_stop(t, "UserInitiated", "\"quoted\"", 1700));
    c.ended_ms = 1800;
    f.over = true;
    STEPS(t, f, 1900, "DEACTIVATING STOPPING DEPROVISIONING STOPPED");
    auto_free char *text = ecs_task_save(t);
    struct ecs_task *again = ecs_task_load(text, NULL);
    cr_assert_not_null(again);
    auto_free char *second = ecs_task_save(again);
    cr_assert_str_eq(text, second);
    auto_json struct json_object *a = ecs_task_json(t, "r", "a", true);
    auto_json struct json_object *b = ecs_task_json(again, "r", "a", true);
    auto_free char *told = mem_dup(json_text(a, NULL));
    cr_assert_str_eq(told, json_text(b, NULL));
    ecs_task_free(again);
    ecs_task_free(t);
}

Test(ecs_task, refuses_a_stored_text_that_is_none)
{
    static const char *const texts[] = { "", "[]", "{}", "{\"id\":\"x\",\"state\":0}" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct error err = { 0 };
        cr_assert_null(ecs_task_load(texts[i], &err));
        cr_assert_eq(err.code, ERR_INVALID);
    }
}

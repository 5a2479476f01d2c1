/* What is done about what is not known: whether a task was started, how it ended, whether it was
 * stopped. */
#include "launcher/attempts.h"

#include "tests/unit/launcher/workflow_rig.h"

#define NOBODY "{\"taskArns\":[]}"
#define FIRST  "{\"taskArns\":[\"arn:task/1\"]}"
#define BOTH   "{\"taskArns\":[\"arn:task/1\",\"arn:task/2\"]}"
#define BUSY   "{\"__type\":\"ServerException\",\"message\":\"busy\"}"
#define DENIED "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}"
#define LOST   "{\"ErrorType\":\"Task.HeartbeatLost\",\"ErrorMessage\":\"silent\"}"
#define RUNNING                                                                                    \
    "{\"tasks\":[{\"taskArn\":\"arn:task/1\",\"lastStatus\":\"RUNNING\",\"containers\":[]}]}"
#define STOPPED                                                                                    \
    "{\"tasks\":[{\"taskArn\":\"arn:task/1\",\"lastStatus\":\"STOPPED\",\"containers\":[]}]}"
#define RETRIED "{\"pattern\":\"callback\",\"retry\":{\"maxAttempts\":2,\"retryOn\":[\"*\"]}}"

#define TRIES 18 /* of a step whose outcome is not known */
#define RULES 128

struct rules {
    struct fake_rule all[RULES];
    size_t count;
};

static void add(struct rules *r, size_t times, const char *operation, int status, const char *body)
{
    for (size_t i = 0; i < times; i++) {
        cr_assert_lt(r->count + 1, RULES);
        r->all[r->count++] = (struct fake_rule){ operation, status, body };
    }
}

/* What RunTask did is not known, again and again, and ECS lists nothing: the attempt fails. But
 * then its task shows up. It is stopped, the next attempt waits for its end, and takes for its own
 * another task than that one. */
Test(attempts_unknown, a_task_that_shows_up_late_is_stopped_and_waited_for)
{
    struct rules rules = { 0 };
    add(&rules, 2 * TRIES, "RunTask", 500, BUSY); /* the client tries each twice */
    add(&rules, 2, "RunTask", 500, BUSY);         /* of the second attempt; its second try looks */
    add(&rules, 2 * (TRIES - 1), "ListTasks", 200, NOBODY);
    add(&rules, 1, "ListTasks", 200, FIRST);  /* cleanup */
    add(&rules, 1, "ListTasks", 200, NOBODY); /* settle: running, stopped */
    add(&rules, 1, "ListTasks", 200, FIRST);
    add(&rules, 1, "ListTasks", 200, NOBODY);
    add(&rules, 1, "ListTasks", 200, FIRST);
    add(&rules, 1, "ListTasks", 200, BOTH);
    add(&rules, 1, "DescribeTasks", 200, RUNNING);
    add(&rules, 1, "DescribeTasks", 200, STOPPED);
    struct rig r;
    rig_init(&r, RETRIED, rules.all);
    rig_run(&r, "PENDING");
    cr_expect_eq(fake_count(r.aws, "RunTask"), 2 * TRIES + 2);
    cr_expect_eq(fake_count(r.aws, "StopTask"), 1);
    cr_expect_not_null(strstr(fake_nth(r.aws, "StopTask", 0)->body, "arn:task/1"));
    cr_expect_eq(fake_count(r.aws, "DescribeTasks"), 2, "it had to stop first");
    fake_durable_callback(&r.durable, "FAILED", "{\"ErrorType\":\"Order.Bad\"}");
    rig_run(&r, "FAILED");
    auto_json struct json_object *data = rig_error(&r, "Order.Bad");
    cr_expect_str_eq(json_get_str(data, "taskArn"), "arn:task/2");
    rig_release(&r);
}

/* The looks themselves fail, and are repeated. */
Test(attempts_unknown, looks_that_fail_are_repeated)
{
    struct rules rules = { 0 };
    add(&rules, 2, "RunTask", 0, NULL);
    add(&rules, 1, "RunTask", 200, "{\"tasks\":[{\"taskArn\":\"arn:task/2\"}]}");
    add(&rules, 2, "ListTasks", 500, BUSY); /* for a task that may have been started */
    add(&rules, 1, "ListTasks", 200, FIRST);
    add(&rules, 2, "DescribeTasks", 500, BUSY); /* for the reason */
    add(&rules, 1, "DescribeTasks", 200, RUNNING);
    add(&rules, 5, "DescribeTasks", 200, RUNNING);
    add(&rules, 2, "DescribeTasks", 500, BUSY); /* for the end */
    add(&rules, 1, "DescribeTasks", 200, STOPPED);
    struct rig r;
    rig_init(&r, RETRIED, rules.all);
    rig_run(&r, "PENDING");
    cr_expect_eq(fake_count(r.aws, "RunTask"), 2, "the task was found");
    fake_durable_callback(&r.durable, "FAILED", LOST);
    rig_run(&r, "PENDING");
    cr_expect_eq(fake_count(r.aws, "RunTask"), 3, "the next attempt has begun");
    cr_expect_eq(fake_count(r.aws, "StopTask"), 1);
    rig_release(&r);
}

/* Without permission to look, the next attempt must not begin: two could run beside each other. */
Test(attempts_unknown, where_nobody_may_look_there_is_no_other_attempt)
{
    static const struct {
        const char *operation;
        const char *reported; /* NULL: the start fails */
    } table[] = { { "DescribeTasks", LOST }, { "ListTasks", NULL } };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rules rules = { 0 };
        add(&rules, 1, table[i].operation, 400, DENIED);
        if (!table[i].reported)
            add(&rules, 1, "RunTask", 0, NULL);
        struct rig r;
        rig_init(&r, RETRIED, rules.all);
        if (table[i].reported) {
            rig_run(&r, "PENDING");
            fake_durable_callback(&r.durable, "FAILED", table[i].reported);
        }
        rig_run(&r, "FAILED");
        auto_json struct json_object *data =
            rig_error(&r, table[i].reported ? "Task.HeartbeatLost" : "Task.StartFailed");
        cr_expect_not_null(json_get_str(data, "notRetried"), "%s", r.durable.answer);
        cr_expect_lt(r.durable.offset_ms, 1200 * 1000, "the wait is bounded");
        rig_release(&r);
    }
}

/* What is left behind is logged; the failure stays what it was. */
Test(attempts_unknown, a_task_that_cannot_be_stopped_does_not_hide_the_failure)
{
    static const struct {
        int status;
        const char *body;
        size_t calls;
    } table[] = { { 500, BUSY, 16 }, { 400, DENIED, 1 } };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rules rules = { 0 };
        add(&rules, 1, "StopTask", table[i].status, table[i].body);
        add(&rules, 1, "DescribeTasks", 200, RUNNING);
        struct rig r;
        rig_init(&r, CALLBACK, rules.all);
        rig_run(&r, "PENDING");
        fake_durable_callback(&r.durable, "FAILED", LOST);
        rig_run(&r, "FAILED");
        auto_json struct json_object *data = rig_error(&r, "Task.HeartbeatLost");
        cr_expect_str_eq(json_get_str(data, "taskArn"), "arn:task/1");
        cr_expect_eq(fake_count(r.aws, "StopTask"), table[i].calls);
        cr_expect_geq(fake_count(r.aws, "DELETE"), 1, "the registration is closed all the same");
        rig_release(&r);
    }
}

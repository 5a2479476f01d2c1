/* Stops whose calls lose their answers, or race with the job's own end: nothing is left running. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "shared/aws/lambda_client.h"
#include "tests/integration/world.h"

#define FOREVER "{\"pattern\":\"callback\",\"task\":{\"command\":[\"sleep\",\"300\"]}}"
#define CALLS   10 /* no stop makes so many of one operation */

static int delete (struct world *w, const char *id, struct api_answer *a)
{
    struct error err = { 0 };
    auto_free char *path = mem_printf("/workflows/%s", id);
    cr_assert_eq(api_send(w->api, "DELETE", path, NULL, NULL, a, &err), 0, "%s", err.msg);
    return a->status;
}

static void lose(struct world *w, const char *operation, int skip)
{
    auto_free char *fault = mem_printf(
        "{\"operation\":\"%s\",\"action\":\"drop\",\"times\":1,\"skip\":%d}", operation, skip);
    world_fault(w, fault);
}

static void closed(struct world *w, const char *callback)
{
    for (int i = 0; i < 1500; i++) {
        auto_free char *state = world_state(w, callback);
        if (strcmp(state, "pending") != 0)
            return;
        clock_sleep_ms(clock_system(), 20);
    }
    cr_assert_fail("the registration stays open");
}

Test(stops, each_answer_to_the_API_is_lost)
{
    static const char *const operations[] = { "StopDurableExecution", "GetDurableExecution",
                                              "GetDurableExecutionHistory", "ListTasks",
                                              "StopTask" };
    struct world w;
    world_start(&w, NULL);
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        int left = 0;
        for (int n = 0; left == 0; n++) {
            auto_answer struct api_answer a = { 0 };
            cr_assert_lt(n, CALLS, "%s: no end", operations[i]);
            auto_free char *id = world_post(&w, FOREVER);
            int pid = world_task_pid(&w, id);
            auto_free char *callback = world_callback_id(&w, id);
            lose(&w, operations[i], n);
            cr_expect_eq(delete (&w, id, &a), 200, "%s %d: %s", operations[i], n, a.text);
            left = world_faults_left(&w);
            cr_assert(n > 0 || left == 0, "%s is not called", operations[i]);
            world_fault(&w, NULL);
            cr_expect_str_eq(json_get_str(a.json, "status"), "STOPPED");
            world_gone(pid);
            closed(&w, callback);
        }
    }
    world_no_task_runs(&w);
    world_stop(&w);
}

Test(stops, each_answer_to_the_handler_events_is_lost)
{
    static const char *const operations[] = { "GetDurableExecutionHistory", "ListTasks",
                                              "StopTask" };
    const struct stack_options o = { .events = true };
    struct world w;
    world_start(&w, &o);
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        struct error err = { 0 };
        auto_free char *id = world_post(&w, FOREVER);
        auto_free char *arn = world_arn(id);
        int pid = world_task_pid(&w, id);
        auto_free char *callback = world_callback_id(&w, id);
        lose(&w, operations[i], 0);
        cr_assert_eq(lambda_stop(w.aws, arn, NULL, NULL, &err), 0, "%s", err.msg);
        world_gone(pid);
        closed(&w, callback);
        cr_expect_eq(world_faults_left(&w), 0, "%s is not called", operations[i]);
        world_fault(&w, NULL);
    }
    world_no_task_runs(&w);
    world_stop(&w);
}

/* Whichever comes first, the answer says what the workflow has become, and says it again. */
Test(stops, race_with_the_end_of_the_job)
{
    struct world w;
    world_start(&w, NULL);
    for (int i = 0; i < 24; i++) {
        auto_answer struct api_answer a = { 0 };
        auto_free char *id = world_post(&w, "{\"pattern\":\"callback\",\"task\":{\"command\":"
                                            "[\"true\"]}}");
        clock_sleep_ms(clock_system(), 12 * i);
        cr_assert_eq(delete (&w, id, &a), 200, "%s", a.text);
        auto_json struct json_object *end = world_end(&w, id);
        const char *status = json_get_str(end, "status");
        cr_expect(strcmp(status, "STOPPED") == 0 || strcmp(status, "SUCCEEDED") == 0, "%s", status);
        cr_expect_str_eq(json_get_str(a.json, "status"), status, "%s", json_text(end, NULL));
    }
    world_no_task_runs(&w);
    world_stop(&w);
}

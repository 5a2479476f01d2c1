/* One workflow from its post to its end, on the real programs. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/world.h"

#define JOB(command)                                                                               \
    "{\"pattern\":\"callback\",\"task\":{\"command\":[\"sh\",\"-c\",\"" command "\"]}}"
#define WAIT "while [ ! -e %s ]; do sleep 0.05; done; "

static void same_requests(struct json_object *requests)
{
    const char *first = json_get_str(json_object_array_get_idx(requests, 0), "body");
    cr_assert_not_null(first);
    for (size_t i = 1; i < json_object_array_length(requests); i++)
        cr_assert_str_eq(json_get_str(json_object_array_get_idx(requests, i), "body"), first,
                         "a repeated RunTask must be the same request");
}

Test(workflow, runs_one_task_in_two_invocations_and_nothing_meanwhile)
{
    struct world w;
    struct facts f = { 0 };
    world_start(&w, NULL);
    auto_free char *go = world_go(&w);
    auto_free char *body = mem_printf(JOB(WAIT "echo '{\\\"answer\\\":42}'"), go);
    auto_free char *id = world_post(&w, body);
    world_task_pid(&w, id);
    world_suspended(&w, id, 1);
    for (int i = 0; i < 40; i++) {
        cr_assert_eq(world_busy(&w, "launcher"), 0, "the launcher runs while the task works");
        clock_sleep_ms(clock_system(), 10);
    }
    world_let_go(&w);
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    cr_assert_str_eq(f.result, "{\"answer\":42}");
    cr_assert_eq(f.tasks, 1);
    cr_assert_eq(f.invocations, 2);
    auto_json struct json_object *requests = world_requests(&w, "RunTask");
    cr_assert_eq(json_object_array_length(requests), 1);
    facts_release(&f);
    world_stop(&w);
}

Test(workflow, takes_the_samples_input_and_gives_its_fields)
{
    struct world w;
    struct facts f = { 0 };
    world_start(&w, NULL);
    auto_free char *id = world_post(&w, "{\"message\":\"Hi\",\"processingTime\":1}");
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    auto_json struct json_object *result = NULL, *body = NULL, *job = NULL;
    cr_assert_eq(json_parse_str(f.result, &result, NULL), 0);
    cr_assert_eq(json_get_int(result, "statusCode", 0), 200);
    cr_assert_eq(json_parse_str(json_get_str(result, "body"), &body, NULL), 0);
    cr_assert_str_eq(json_get_str(body, "status"), "success");
    cr_assert_str_eq(json_get_str(body, "message"), "ECS task completed and sent callback");
    cr_assert(strstr(json_get_str(body, "taskArn"), ":task/local/"));
    cr_assert_eq(json_parse_str(json_get_str(body, "result"), &job, NULL), 0);
    cr_assert_str_eq(json_get_str(job, "status"), "success");
    cr_assert_str_eq(json_get_str(job, "message"), "Processed: Hi");
    cr_assert_eq(json_get_int(job, "processingTime", 0), 1);
    cr_assert_not_null(json_get_str(job, "timestamp"));
    facts_release(&f);
    world_stop(&w);
}

Test(workflow, starts_no_second_task_when_the_answer_of_RunTask_is_lost)
{
    struct world w;
    struct facts f = { 0 };
    world_start(&w, NULL);
    world_fault(&w, "{\"operation\":\"RunTask\",\"action\":\"drop\",\"times\":1}");
    auto_free char *id = world_post(&w, JOB("echo 1"));
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    cr_assert_eq(f.tasks, 1);
    auto_json struct json_object *requests = world_requests(&w, "RunTask");
    cr_assert_eq(json_object_array_length(requests), 2);
    same_requests(requests);
    facts_release(&f);
    world_stop(&w);
}

Test(workflow, starts_no_second_task_when_the_launcher_dies_before_its_checkpoint)
{
    struct world w;
    struct facts f = { 0 };
    world_start(&w, NULL);
    world_fault(&w,
                "{\"operation\":\"RunTask\",\"action\":\"kill-function\",\"function\":\"launcher\","
                "\"times\":1}");
    auto_free char *go = world_go(&w);
    auto_free char *body = mem_printf(JOB(WAIT "echo 1"), go);
    auto_free char *id = world_post(&w, body);
    world_suspended(&w, id, 2);
    world_let_go(&w);
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    cr_assert_eq(f.tasks, 1);
    cr_assert_eq(f.invocations, 3, "the killed one counts");
    auto_json struct json_object *requests = world_requests(&w, "RunTask");
    cr_assert_eq(json_object_array_length(requests), 2);
    same_requests(requests);
    facts_release(&f);
    world_stop(&w);
}

Test(workflow, a_failed_job_fails_the_workflow_with_its_reason)
{
    static const struct {
        const char *body;
        const char *type;
        const char *reason;
    } cases[] = {
        { JOB("echo 'no such order' >&2; exit 3"), "Task.ExitCode", "3" },
        { JOB("kill -SEGV $$"), "Task.Signal", "SIGSEGV" },
        { "{\"pattern\":\"callback\",\"task\":{\"command\":[\"/no/such/program\"]}}",
          "Task.NotFound", "/no/such/program" },
        { "{\"pattern\":\"callback\",\"task\":{\"taskDefinition\":\"plain\",\"command\":[\"sh\",\"-"
          "c\","
          "\"curl -sS -X POST $CALLBACK_URL/failure -H \\\"Authorization: Bearer "
          "$CALLBACK_TOKEN\\\" -d "
          "'{\\\"errorType\\\":\\\"Order.Unknown\\\",\\\"errorMessage\\\":\\\"no order "
          "7\\\"}'\"]}}",
          "Order.Unknown", "no order 7" },
    };
    struct world w;
    world_start(&w, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct facts f = { 0 };
        auto_free char *id = world_post(&w, cases[i].body);
        world_expect(&w, id, "FAILED", cases[i].type, &f);
        cr_assert(strstr(f.reason, cases[i].reason), "%s", f.reason);
        cr_assert_eq(f.tasks, 1);
        facts_release(&f);
    }
    world_stop(&w);
}

/* Until the receiver has taken one. */
static void await_heartbeat(struct world *w)
{
    struct error err = { 0 };
    struct api *ops = api_new(stack_ops_url(w->stack), &err);
    cr_assert_not_null(ops, "%s", err.msg);
    for (int i = 0;; i++) {
        auto_answer struct api_answer a = { 0 };
        cr_assert_lt(i, 3000, "no heartbeat comes");
        cr_assert_eq(api_send(ops, "GET", "/metrics", NULL, NULL, &a, &err), 0, "%s", err.msg);
        const char *taken = strstr(a.text, "\ncallback_receiver_heartbeats_total ");
        cr_assert_not_null(taken, "%s", a.text);
        if (strncmp(strchr(taken, ' '), " 0\n", 3) != 0)
            break;
        clock_sleep_ms(clock_system(), 20);
    }
    api_free(ops);
}

Test(workflow, a_killed_container_is_noticed_and_the_signal_is_the_reason)
{
    struct world w;
    struct facts f = { 0 };
    world_start(&w, NULL);
    auto_free char *id = world_post(&w, "{\"pattern\":\"callback\",\"heartbeatSeconds\":4,"
                                        "\"task\":{\"command\":[\"sleep\",\"300\"]}}");
    int pid = world_task_pid(&w, id);
    await_heartbeat(&w);
    kill(pid, SIGKILL);
    world_expect(&w, id, "FAILED", "Task.Signal", &f);
    cr_assert(strstr(f.reason, "SIGKILL"), "%s", f.reason);
    facts_release(&f);
    world_stop(&w);
}

Test(workflow, outlives_kills_of_receiver_and_local_aws)
{
    struct world w;
    struct error err = { 0 };
    struct facts f = { 0 };
    world_start(&w, NULL);
    auto_free char *id = world_post(&w, JOB("sleep 2; echo '\\\"survived\\\"'"));
    world_task_pid(&w, id);
    stack_kill(w.stack, STACK_RECEIVER);
    stack_kill(w.stack, STACK_LOCAL_AWS);
    clock_sleep_ms(clock_system(), 2500); /* the task reports to nobody */
    cr_assert_eq(stack_revive(w.stack, STACK_LOCAL_AWS, &err), 0, "%s", err.msg);
    cr_assert_eq(stack_revive(w.stack, STACK_RECEIVER, &err), 0, "%s", err.msg);
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    cr_assert_str_eq(f.result, "\"survived\"");
    cr_assert_eq(f.tasks, 1);
    facts_release(&f);
    world_stop(&w);
}

Test(workflow, a_stop_stops_the_task_too)
{
    struct world w;
    struct error err = { 0 };
    struct facts f = { 0 };
    world_start(&w, NULL);
    auto_free char *id = world_post(&w, JOB("sleep 300"));
    int pid = world_task_pid(&w, id);
    auto_free char *path = mem_printf("/workflows/%s", id);
    for (int i = 0; i < 2; i++) { /* the second one changes nothing */
        auto_answer struct api_answer a = { 0 };
        cr_assert_eq(api_send(w.api, "DELETE", path, NULL, NULL, &a, &err), 0, "%s", err.msg);
        cr_assert(a.status == 200 || a.status == 202, "%d %s", a.status, a.text);
    }
    world_expect(&w, id, "STOPPED", NULL, &f);
    world_gone(pid);
    facts_release(&f);
    world_stop(&w);
}

Test(workflow, an_idempotency_key_starts_it_once)
{
    static const struct http_header headers[] = { { "Content-Type", "application/json" },
                                                  { "Idempotency-Key", "order-1" },
                                                  { NULL, NULL } };
    static const struct {
        const char *body;
        int status;
    } posts[] = {
        { "{\"pattern\":\"callback\",\"task\":{\"command\":[\"true\"]}}", 202 },
        { "{\"task\":{\"command\":[\"true\"]} , \"pattern\":\"callback\"}", 202 },
        { "{\"pattern\":\"callback\",\"task\":{\"command\":[\"false\"]}}", 409 },
    };
    struct world w;
    struct error err = { 0 };
    struct facts f = { 0 };
    auto_free char *first = NULL;
    auto_free char *id = NULL;
    world_start(&w, NULL);
    for (size_t i = 0; i < ARRAY_LEN(posts); i++) {
        auto_answer struct api_answer a = { 0 };
        cr_assert_eq(api_send(w.api, "POST", "/workflows", headers, posts[i].body, &a, &err), 0);
        cr_assert_eq(a.status, posts[i].status, "post %zu: %d %s", i, a.status, a.text);
        if (i == 0) {
            first = mem_dup(a.text);
            id = mem_dup(json_get_str(a.json, "id"));
        } else if (a.status == 202) {
            cr_assert_str_eq(a.text, first);
        }
    }
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    cr_assert_eq(f.tasks, 1);
    facts_release(&f);
    world_stop(&w);
}

/* The clients' API on the real programs: what it shows of a running workflow, and what a stop does.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/world.h"

#define JOB(command)                                                                               \
    "{\"pattern\":\"callback\",\"task\":{\"command\":[\"sh\",\"-c\",\"" command "\"]}}"
#define SOON_MS  60000
#define PAUSE_MS 50

/* A GET that must be answered with 200; the body is the caller's. */
static struct json_object *fetch(struct world *w, const char *id, const char *suffix)
{
    struct error err = { 0 };
    auto_answer struct api_answer a = { 0 };
    auto_free char *path = mem_printf("/workflows/%s%s", id, suffix);
    cr_assert_eq(api_send(w->api, "GET", path, NULL, NULL, &a, &err), 0, "%s", err.msg);
    cr_assert_eq(a.status, 200, "%d %s", a.status, a.text);
    return json_object_get(a.json);
}

static struct json_object *first(struct json_object *doc, const char *member)
{
    struct json_object *list = json_get_arr(doc, member);
    return list ? json_object_array_get_idx(list, 0) : NULL;
}

Test(api, carries_the_trace_of_the_client_into_the_container)
{
    static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const struct http_header headers[] = { { "Content-Type", "application/json" },
                                           { "traceparent", trace },
                                           { NULL, NULL } };
    struct world w;
    struct error err = { 0 };
    struct facts f = { 0 };
    auto_answer struct api_answer a = { 0 };
    world_start(&w, NULL);
    world_fault(&w, "{\"operation\":\"RunTask\",\"action\":\"drop\",\"times\":1}");
    cr_assert_eq(api_send(w.api, "POST", "/workflows", headers,
                          JOB("echo \\\"\\\\\\\"$TRACEPARENT\\\\\\\"\\\""), &a, &err),
                 0);
    cr_assert_eq(a.status, 202, "%s", a.text);
    auto_free char *id = mem_dup(json_get_str(a.json, "id"));
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    auto_free char *expected = mem_printf("\"%s\"", trace);
    cr_assert_str_eq(f.result, expected);
    cr_assert_eq(f.tasks, 1, "the repeated RunTask was the same request");
    facts_release(&f);
    world_stop(&w);
}

Test(api, shows_tasks_and_progress)
{
    struct world w;
    world_start(&w, NULL);
    auto_free char *id = world_post(&w, JOB("callback-run progress 0.5 half; sleep 300"));
    auto_free char *callback = world_callback_id(&w, id);
    const char *state = NULL;
    auto_json struct json_object *doc = NULL;
    for (int i = 0; i < SOON_MS / PAUSE_MS && (!state || strcmp(state, "RUNNING") != 0); i++) {
        clock_sleep_ms(clock_system(), PAUSE_MS);
        json_put_ptr(&doc);
        doc = fetch(&w, id, "?include=tasks,progress");
        cr_assert_null(strstr(json_text(doc, NULL), callback), "a callback id is shown");
        cr_assert_null(json_get(doc, "unavailable"), "%s", json_text(doc, NULL));
        state = json_get_str(first(doc, "tasks"), "lastStatus");
    }
    cr_assert_str_eq(state, "RUNNING");
    cr_assert_str_eq(json_get_str(first(doc, "progress"), "state"), "pending");
    cr_assert_str_eq(json_get_str(first(doc, "progress"), "job"), "job");
    world_stop(&w);
}

Test(api, a_stop_tells_a_container_that_asks_to_stop)
{
    struct world w;
    struct error err = { 0 };
    auto_answer struct api_answer a = { 0 };
    world_start(&w, NULL);
    auto_free char *id = world_post(&w, JOB("sleep 300"));
    int pid = world_task_pid(&w, id);
    auto_free char *callback = world_callback_id(&w, id);
    auto_free char *token = world_token(&w, callback, false, 3600);
    auto_free char *path = mem_printf("/workflows/%s", id);
    cr_assert_eq(world_report(&w, "POST", callback, "/heartbeat", token, NULL, &a), 200);
    cr_assert_eq(api_send(w.api, "DELETE", path, NULL, NULL, &a, &err), 0, "%s", err.msg);
    cr_assert_eq(a.status, 200, "%s", a.text);
    cr_assert_str_eq(json_get_str(a.json, "status"), "STOPPED");
    cr_assert_eq(world_report(&w, "POST", callback, "/heartbeat", token, NULL, &a), 410, "%s",
                 a.text);
    cr_assert_eq(world_report(&w, "POST", callback, "/success", token, "1", &a), 410, "%s", a.text);
    world_gone(pid);
    world_stop(&w);
}

Test(api, a_stop_while_RunTask_is_in_flight_leaves_no_task)
{
    struct world w;
    struct error err = { 0 };
    struct facts f = { 0 };
    auto_answer struct api_answer a = { 0 };
    world_start(&w, NULL);
    world_fault(&w, "{\"operation\":\"RunTask\",\"action\":\"delay\",\"delayMs\":700,\"times\":1}");
    auto_free char *id = world_post(&w, JOB("sleep 300"));
    auto_free char *path = mem_printf("/workflows/%s", id);
    for (int i = 0; i < SOON_MS / PAUSE_MS; i++) { /* until the step has begun */
        auto_json struct json_object *history = fetch(&w, id, "/history");
        if (strstr(json_text(history, NULL), "run-task"))
            break;
        clock_sleep_ms(clock_system(), 5);
    }
    cr_assert_eq(api_send(w.api, "DELETE", path, NULL, NULL, &a, &err), 0, "%s", err.msg);
    cr_assert_eq(a.status, 200, "%s", a.text);
    world_expect(&w, id, "STOPPED", "Workflow.Stopped", &f);
    auto_free char *by = mem_printf("durable/%s", strrchr(id, '.') + 1);
    bool running = true;
    for (int i = 0; i < SOON_MS / PAUSE_MS && running; i++) {
        auto_answer struct api_answer tasks = { 0 };
        cr_assert_eq(api_send(w.local, "GET", "/_local/tasks", NULL, NULL, &tasks, &err), 0);
        running = strstr(tasks.text, by) && !strstr(tasks.text, "STOPPED");
        clock_sleep_ms(clock_system(), PAUSE_MS);
    }
    cr_assert(!running, "a task outlived its workflow");
    facts_release(&f);
    world_stop(&w);
}

/* Jobs that are tried again, and starts that are waited for, on the real programs. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/world.h"

/* No task was made before the one before it had stopped. */
static void one_after_the_other(struct world *w, const char *id, size_t count)
{
    struct error err = { 0 };
    auto_answer struct api_answer a = { 0 };
    auto_free char *path = mem_printf("/workflows/%s?include=tasks", id);
    cr_assert_eq(api_send(w->api, "GET", path, NULL, NULL, &a, &err), 0, "%s", err.msg);
    struct json_object *tasks = json_get_arr(a.json, "tasks");
    cr_assert_eq(json_object_array_length(tasks), count, "%s", a.text);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            struct json_object *one = json_object_array_get_idx(tasks, i);
            struct json_object *other = json_object_array_get_idx(tasks, k);
            const char *created = json_get_str(one, "createdAt");
            const char *begun = json_get_str(other, "createdAt");
            const char *stopped = json_get_str(other, "stoppedAt");
            if (i != k && strcmp(begun, created) <= 0)
                cr_expect_leq(strcmp(stopped, created), 0, "%s", a.text);
        }
    }
}

Test(launcher_retry, each_attempt_is_a_task_of_its_own_behind_the_one_before)
{
    struct world w;
    struct facts f = { 0 };
    world_start(&w, NULL);
    auto_free char *id = world_post(
        &w, "{\"pattern\":\"callback\",\"task\":{\"command\":[\"sh\",\"-c\",\"exit 3\"]},"
            "\"retry\":{\"maxAttempts\":3,\"firstDelaySeconds\":1,\"maxDelaySeconds\":1,"
            "\"retryOn\":[\"Task.ExitCode\"]}}");
    world_expect(&w, id, "FAILED", "Task.ExitCode", &f);
    cr_expect_eq(f.tasks, 3);
    one_after_the_other(&w, id, 3);
    facts_release(&f);
    world_stop(&w);
}

Test(launcher_retry, throttling_is_waited_out)
{
    struct world w;
    struct facts f = { 0 };
    world_start(&w, NULL);
    /* One more than a step's own tries within one call. */
    world_fault(&w, "{\"operation\":\"RunTask\",\"action\":\"error\",\"status\":400,\"times\":4,"
                    "\"code\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}");
    auto_free char *id = world_post(
        &w, "{\"pattern\":\"callback\",\"task\":{\"command\":[\"sh\",\"-c\",\"echo 1\"]}}");
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    cr_expect_eq(f.tasks, 1);
    facts_release(&f);
    world_stop(&w);
}

Test(launcher_retry, what_cannot_succeed_fails_at_once)
{
    struct world w;
    struct facts f = { 0 };
    world_start(&w, NULL);
    world_fault(&w, "{\"operation\":\"RunTask\",\"action\":\"error\",\"status\":400,\"times\":-1,"
                    "\"code\":\"AccessDeniedException\",\"message\":\"not you\"}");
    auto_free char *id = world_post(&w, "{\"pattern\":\"callback\"}");
    world_expect(&w, id, "FAILED", "Task.StartFailed", &f);
    cr_expect_eq(f.tasks, 0);
    cr_expect(strstr(f.reason, "not you"));
    auto_json struct json_object *requests = world_requests(&w, "RunTask");
    cr_expect_eq(json_object_array_length(requests), 1);
    facts_release(&f);
    world_stop(&w);
}

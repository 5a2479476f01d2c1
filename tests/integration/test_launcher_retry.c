/* Jobs that are tried again, and starts that are waited for, on the real programs. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/world.h"

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

/* What a container may say, and when: reports early, twice, differently, with tokens that are not
 * its own, and while Lambda does not listen. On the real programs. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/world.h"

/* A container that only waits: the test reports in its place. */
static char *post_waiting(struct world *w, int timeout_s)
{
    auto_free char *body =
        mem_printf("{\"pattern\":\"callback\",\"timeoutSeconds\":%d,\"task\":{\"taskDefinition\":"
                   "\"plain\",\"command\":[\"sleep\",\"60\"]}}",
                   timeout_s);
    return world_post(w, body);
}

/* The checkpoint that records the started task is held up for so long. Whether the container was
 * faster: Lambda had its report while the launcher still ran. */
static bool report_early(struct world *w, int delay_ms)
{
    struct facts f = { 0 };
    auto_free char *fault =
        mem_printf("{\"operation\":\"CheckpointDurableExecution\",\"action\":\"delay\",\"skip\":3,"
                   "\"times\":1,\"delayMs\":%d}",
                   delay_ms);
    world_fault(w, fault);
    auto_free char *id = world_post(w, "{\"pattern\":\"callback\",\"task\":{\"taskDefinition\":"
                                       "\"plain\",\"command\":[\"sh\",\"-c\","
                                       "\"curl -sS -X POST $CALLBACK_URL/success -H "
                                       "\\\"Authorization: Bearer $CALLBACK_TOKEN\\\" -d "
                                       "'[1,2]'\"]}}");
    auto_free char *callback = world_callback_id(w, id);
    auto_free char *state = NULL;
    do {
        free(state);
        clock_sleep_ms(clock_system(), 20);
        state = world_state(w, callback);
    } while (strcmp(state, "pending") == 0 || strcmp(state, "accepted") == 0);
    bool early = world_busy(w, "launcher") == 1;
    cr_assert(!early || strcmp(state, "delivered") == 0, "%s", state);
    world_expect(w, id, "SUCCEEDED", NULL, &f);
    cr_assert_str_eq(f.result, "[1,2]");
    cr_assert_eq(f.tasks, 1);
    facts_release(&f);
    world_fault(w, NULL);
    return early;
}

Test(reports, one_that_comes_before_the_workflow_waits_is_kept)
{
    struct world w;
    world_start(&w, NULL);
    int delay_ms = 4000;
    while (!report_early(&w, delay_ms)) { /* on a machine that is slow */
        delay_ms *= 2;
        cr_assert_leq(delay_ms, 64000, "the launcher was to be held up");
    }
    world_stop(&w);
}

Test(reports, conflicting_ones_leave_the_first_in_force)
{
    struct world w;
    struct facts f = { 0 };
    auto_answer struct api_answer a = { 0 };
    world_start(&w, NULL);
    auto_free char *id = post_waiting(&w, 60);
    world_task_pid(&w, id);
    auto_free char *callback = world_callback_id(&w, id);
    auto_free char *token = world_token(&w, callback, false, 60);
    world_fault(&w, "{\"operation\":\"SendDurableExecutionCallbackSuccess\",\"action\":\"error\","
                    "\"status\":429,\"code\":\"TooManyRequestsException\",\"times\":-1}");
    cr_assert_eq(world_report(&w, "POST", callback, "/success", token, "{\"n\":1}", &a), 202);
    cr_assert_eq(world_report(&w, "POST", callback, "/success", token, "{\"n\":1}", &a), 202, "%s",
                 a.text);
    cr_assert_eq(world_report(&w, "POST", callback, "/success", token, "{\"n\":2}", &a), 409, "%s",
                 a.text);
    cr_assert_eq(world_report(&w, "POST", callback, "/failure", token, "{}", &a), 409, "%s",
                 a.text);
    cr_assert_str_eq(a.type, "application/problem+json");
    world_fault(&w, NULL);
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    cr_assert_str_eq(f.result, "{\"n\":1}");
    facts_release(&f);
    world_stop(&w);
}

Test(reports, tokens_that_are_forged_expired_or_of_another_job_change_nothing)
{
    struct world w;
    auto_answer struct api_answer a = { 0 };
    world_start(&w, NULL);
    auto_free char *id = post_waiting(&w, 60);
    auto_free char *other_id = post_waiting(&w, 60);
    world_task_pid(&w, id);
    world_task_pid(&w, other_id);
    auto_free char *callback = world_callback_id(&w, id);
    auto_free char *other = world_callback_id(&w, other_id);
    auto_free char *good = world_token(&w, callback, false, 60);
    auto_free char *expired = world_token(&w, callback, false, -5);
    auto_free char *of_other = world_token(&w, other, false, 60);
    auto_free char *forged = mem_dup(good);
    size_t middle = strlen(forged) / 2;
    forged[middle] = forged[middle] == 'A' ? 'B' : 'A';
    cr_assert_eq(world_report(&w, "POST", callback, "/success", NULL, "1", &a), 401, "%s", a.text);
    cr_assert_eq(world_report(&w, "POST", callback, "/success", forged, "1", &a), 401, "%s",
                 a.text);
    cr_assert_eq(world_report(&w, "POST", callback, "/success", expired, "1", &a), 401, "%s",
                 a.text);
    cr_assert_eq(world_report(&w, "POST", callback, "/success", of_other, "1", &a), 403, "%s",
                 a.text);
    cr_assert_eq(world_report(&w, "DELETE", callback, "", good, NULL, &a), 403, "%s", a.text);
    cr_assert_null(strstr(a.text, callback), "an answer never holds a callback id");
    auto_free char *state = world_state(&w, callback);
    cr_assert_str_eq(state, "pending");
    cr_assert_eq(world_report(&w, "POST", callback, "/heartbeat", good, NULL, &a), 200, "%s",
                 a.text);
    world_stop(&w);
}

Test(reports, an_accepted_one_is_the_outcome_even_if_lambda_closed_the_callback_first)
{
    struct world w;
    struct facts f = { 0 };
    world_start(&w, NULL);
    world_fault(&w, "{\"operation\":\"SendDurableExecutionCallbackSuccess\",\"action\":\"error\","
                    "\"status\":500,\"code\":\"ServiceException\",\"times\":-1}");
    world_fault(&w, "{\"operation\":\"SendDurableExecutionCallbackHeartbeat\",\"action\":\"error\","
                    "\"status\":500,\"code\":\"ServiceException\",\"times\":-1}");
    auto_free char *id =
        world_post(&w, "{\"pattern\":\"callback\",\"timeoutSeconds\":8,\"heartbeatSeconds\":2,"
                       "\"task\":{\"command\":[\"echo\",\"{\\\"kept\\\":true}\"]}}");
    world_expect(&w, id, "SUCCEEDED", NULL, &f);
    cr_assert_str_eq(f.result, "{\"kept\":true}");
    cr_assert(f.took_ms >= 8000, "Lambda has not closed it before: %lld ms", (long long)f.took_ms);
    facts_release(&f);
    world_stop(&w);
}

Test(reports, a_workflow_that_times_out_says_so_and_stops_its_task)
{
    struct world w;
    struct facts f = { 0 };
    world_start(&w, NULL);
    auto_free char *id = post_waiting(&w, 6);
    int pid = world_task_pid(&w, id);
    world_expect(&w, id, "FAILED", "Task.Timeout", &f);
    world_gone(pid);
    facts_release(&f);
    world_stop(&w);
}

/* The pattern batch with the whole SDK in memory, and ECS and Lambda's reads played by a server. */
#include "shared/durable/durable_testing.h"
#include "tests/unit/launcher/workflow_rig.h"

#define JOBS                                                                                       \
    "{\"pattern\":\"batch\",\"tasks\":[{\"command\":[\"a\"]},{\"command\":[\"b\"]},"               \
    "{\"command\":[\"c\"]}],\"toleratedFailures\":0,\"maxConcurrency\":1}"
#define SELF   "test:1"
#define BUSY   "{\"__type\":\"ServiceException\",\"message\":\"busy\"}"
#define DENIED "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}"
#define CHILD(n)                                                                                   \
    "{\"EventType\":\"ChainedInvokeStarted\",\"Id\":\"op" n "\",\"ChainedInvokeStartedDetails\":{" \
    "\"DurableExecutionArn\":\"arn:aws:lambda:us-east-1:123456789012:function:launcher:1/"         \
    "durable-execution/e" n "/9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc" n "\"}}"

static struct durable_test *run_batch(struct rig *r, const struct fake_rule *rules,
                                      enum durable_test_status expected)
{
    /* Its deadlines are far off for the launcher, whose clock is the machine's. */
    const struct durable_test_opts opts = { .start_ms = 4102444800000 };
    struct durable_test *t = durable_test_new(&opts);
    rig_init(r, CALLBACK, rules);
    durable_test_function_ends(t, SELF, 1, "FAILED", "Order.Bad", "no");
    cr_assert_eq(durable_test_run(t, workflow_run, &r->tools, JOBS), expected, "%s\n%s",
                 durable_test_error(t)->message, durable_test_history(t));
    return t;
}

/* The history cannot be read at first, a job cannot be stopped at once: it is tried again, and the
 * batch's failure is told only then. */
Test(batch, with_too_many_failures_stops_its_jobs_however_long_that_takes)
{
    static const struct fake_rule rules[] = {
        { "History", 500, BUSY },
        { "History", 500, BUSY },
        { "History", 200, "{\"Events\":[" CHILD("1") "," CHILD("2") "]}" },
        { "Stop", 500, BUSY },
        { "Stop", 500, BUSY },
        { "Stop", 200, "{\"StopTimestamp\":1764700000.5}" },
        { NULL, 0, NULL },
    };
    struct rig r;
    struct durable_test *t = run_batch(&r, rules, DURABLE_TEST_FAILED);
    cr_expect_str_eq(durable_test_error(t)->type, "Workflow.TooManyFailures", "%s",
                     durable_test_error(t)->type);
    cr_expect_not_null(strstr(durable_test_error(t)->data, "Order.Bad"));
    cr_expect_eq(durable_test_find(t, "stop-jobs")->attempts, 3, "%u %zu",
                 durable_test_find(t, "stop-jobs")->attempts, fake_count(r.aws, "History"));
    cr_expect_eq(fake_count(r.aws, "Stop"), 5, "%zu", fake_count(r.aws, "Stop"));
    durable_test_free(t);
    rig_release(&r);
}

/* Where they cannot be stopped at all, that is logged; the failure stays the batch's. */
Test(batch, with_jobs_that_cannot_be_stopped_fails_all_the_same)
{
    static const struct fake_rule rules[] = {
        { "History", 400, DENIED },
        { NULL, 0, NULL },
    };
    struct rig r;
    struct durable_test *t = run_batch(&r, rules, DURABLE_TEST_FAILED);
    cr_expect_str_eq(durable_test_error(t)->type, "Workflow.TooManyFailures", "%s",
                     durable_test_error(t)->type);
    cr_expect_str_eq(durable_test_find(t, "stop-jobs")->status, "FAILED");
    durable_test_free(t);
    rig_release(&r);
}

/* Time that runs faster, or jumps: waits, timeouts, heartbeats and retention follow it. */
#include <criterion/criterion.h>

#include "tests/integration/lambda_rig.h"

static int order(struct lambda_rig *r, const char *body)
{
    static const struct http_header json[] = { { "Content-Type", "application/json" },
                                               { NULL, NULL } };
    return lambda_rig_raw(r, "POST", "/_local/time", json, body, NULL);
}

static int64_t ahead_s(struct lambda_rig *r)
{
    struct error err;
    auto_free char *body = NULL;
    auto_json struct json_object *o = NULL;
    cr_assert_eq(lambda_rig_raw(r, "GET", "/_local/time", NULL, NULL, &body), 200);
    cr_assert_eq(json_parse_str(body, &o, &err), 0, "%s", body);
    return json_get_int(o, "aheadSeconds", -1);
}

static void expect_end(struct lambda_rig *r, const char *arn, const char *status)
{
    json_object_put(lambda_rig_end(r, arn, status));
}

static void suspended(struct lambda_rig *r, const char *arn)
{
    json_object_put(lambda_rig_event(r, arn, "InvocationCompleted"));
}

Test(local_time, a_jump_ends_what_waits, .timeout = 60)
{
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    auto_free char *hour =
        lambda_rig_begin(&r, "lasting:1", "{\"mode\":\"wait\",\"seconds\":3600}");
    auto_free char *week =
        lambda_rig_begin(&r, "lasting:1", "{\"mode\":\"wait\",\"seconds\":604800}");
    suspended(&r, hour);
    suspended(&r, week);
    cr_assert_eq(order(&r, "{\"advanceSeconds\":3600}"), 200);
    expect_end(&r, hour, "SUCCEEDED");
    cr_assert_geq(ahead_s(&r), 3599);
    /* The execution's own limit, a day, comes before the week is over. */
    cr_assert_eq(order(&r, "{\"advanceSeconds\":86400}"), 200);
    expect_end(&r, week, "TIMED_OUT");
    lambda_rig_stop(&r);
}

Test(local_time, hours_pass_in_seconds_and_survive_a_crash, .timeout = 90)
{
    struct lambda_rig r;
    struct error err;
    lambda_rig_start(&r, NULL);
    auto_free char *first = lambda_rig_begin(&r, "f:1", "{\"x\":1}");
    expect_end(&r, first, "SUCCEEDED");
    auto_free char *hours =
        lambda_rig_begin(&r, "lasting:1", "{\"mode\":\"wait\",\"seconds\":10000}");
    suspended(&r, hours);
    cr_assert_eq(order(&r, "{\"speed\":5000}"), 200);
    lambda_rig_kill(&r);
    lambda_rig_restart(&r);
    expect_end(&r, hours, "SUCCEEDED");
    cr_assert_eq(order(&r, "{\"speed\":1,\"advanceSeconds\":1296000}"), 200);
    cr_assert_gt(ahead_s(&r), 1296000);
    /* After its fifteen days the first one is forgotten. */
    int64_t until = clock_mono_ms(clock_system()) + 30000;
    struct json_object *o = NULL;
    while (lambda_get_execution(r.aws, first, &o, &err) == 0) {
        json_object_put(MOVE(o));
        cr_assert_lt(clock_mono_ms(clock_system()), until, "it is kept");
        clock_sleep_ms(clock_system(), 50);
    }
    cr_assert_str_eq(err.type, "ResourceNotFoundException");
    lambda_rig_stop(&r);
}

Test(local_time, an_order_that_makes_no_sense_is_refused, .timeout = 60)
{
    static const char *const wrong[] = { "{\"speed\":0}",          "{\"speed\":100001}", "[]",
                                         "{\"pace\":2}",           "{\"speed\":1.5}",    "{",
                                         "{\"advanceSeconds\":-1}" };
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        cr_expect_eq(order(&r, wrong[i]), 400, "%s", wrong[i]);
    static const struct http_header text[] = { { "Content-Type", "text/plain" }, { NULL, NULL } };
    cr_expect_neq(lambda_rig_raw(&r, "POST", "/_local/time", text, "{\"speed\":2}", NULL), 200);
    cr_expect_eq(ahead_s(&r), 0);
    lambda_rig_stop(&r);
}

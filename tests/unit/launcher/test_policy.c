#include "launcher/policy.h"

#include <criterion/criterion.h>

static void parse(const char *json, struct input *in)
{
    struct error err;
    auto_json struct json_object *doc = NULL, *faults = NULL;
    cr_assert_eq(json_parse_str(json, &doc, &err), 0);
    cr_assert_eq(input_parse(doc, NULL, in, &faults), 0, "%s", json_text(faults, NULL));
}

Test(policy, decides_by_type_and_attempt)
{
    static const struct {
        const char *retry;
        const char *type;
        const char *data;
        unsigned attempt;
        bool again;
    } table[] = {
        { "{}", "Task.Capacity", NULL, 1, true },
        { "{}", "Task.SpotInterruption", NULL, 2, true },
        { "{}", "Task.SpotInterruption", NULL, 3, false },
        { "{}", "Task.HeartbeatLost", "not JSON", 1, true },
        { "{}", "Task.Infrastructure", NULL, 1, true },
        { "{}", "Task.ExitCode", NULL, 1, false },
        { "{}", "Task.Timeout", NULL, 1, false },
        { "{}", "Order.Empty", NULL, 1, false },
        { "{}", "Task.Capacity", "{\"waitedSeconds\":9}", 1, false },
        { "{\"retryOn\":[\"Task.Capacity\"]}", "Task.Capacity", "{\"waitedSeconds\":9}", 1, true },
        { "{\"retryOn\":[\"Task.ExitCode\"]}", "Task.ExitCode", NULL, 1, true },
        { "{\"retryOn\":[\"Task.ExitCode\"]}", "Task.HeartbeatLost", NULL, 1, false },
        { "{\"retryOn\":[\"*\"]}", "Anything", NULL, 1, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        auto_input struct input in;
        auto_durable_error struct durable_error err = { 0 };
        auto_free char *json =
            mem_printf("{\"pattern\":\"callback\",\"retry\":%s}", table[i].retry);
        parse(json, &in);
        durable_error_set(&err, table[i].type, "x");
        if (table[i].data)
            durable_error_set_data(&err, table[i].data);
        cr_expect_eq(policy_retries(&in, &err, table[i].attempt), table[i].again, "case %zu", i);
    }
}

Test(policy, waits_longer_each_time_and_the_same_on_replay)
{
    auto_input struct input in;
    parse("{\"pattern\":\"callback\",\"retry\":{\"firstDelaySeconds\":10,\"maxDelaySeconds\":50}}",
          &in);
    static const int64_t full[] = { 10, 20, 40, 50, 50 };
    for (unsigned n = 1; n <= 5; n++) {
        int64_t delay_s = policy_delay_s(&in, "arn:e", n);
        cr_expect_geq(delay_s, full[n - 1] / 2);
        cr_expect_leq(delay_s, full[n - 1]);
        cr_expect_eq(delay_s, policy_delay_s(&in, "arn:e", n));
    }
}

Test(policy, asks_for_a_start_until_the_deadline_and_not_for_ever)
{
    auto_input struct input in;
    parse("{\"pattern\":\"callback\",\"timeoutSeconds\":604800,\"startTimeoutSeconds\":604800}",
          &in);
    int64_t elapsed_s = 0;
    unsigned tries = 1;
    for (int64_t delay_s; (delay_s = policy_start_delay_s(&in, "s", tries, elapsed_s)) > 0;
         tries++) {
        cr_expect_leq(delay_s, POLICY_START_MAX_S);
        elapsed_s += delay_s;
    }
    cr_expect_eq(tries, POLICY_STARTS);
    auto_input struct input brief;
    parse("{\"pattern\":\"callback\",\"startTimeoutSeconds\":10}", &brief);
    cr_expect_leq(policy_start_delay_s(&brief, "s", 1, 0), 4);
    cr_expect_eq(policy_start_delay_s(&brief, "s", 9, 7), 3, "the last falls on the deadline");
    cr_expect_eq(policy_start_delay_s(&brief, "s", 9, 10), 0);
}

Test(policy, fits_all_attempts_into_the_execution)
{
    static const struct {
        const char *input;
        int64_t execution_s;
        unsigned attempts;
        const char *pointer; /* NULL: it fits */
    } table[] = {
        { "{\"message\":\"x\"}", 0, 3, NULL },
        { "{\"message\":\"x\"}", 86400, 3, NULL },
        { "{\"message\":\"x\"}", 10000, 2, NULL },
        { "{\"message\":\"x\"}", 3660, 1, NULL },
        { "{\"message\":\"x\"}", 3659, 1, "/timeoutSeconds" },
        { "{\"pattern\":\"callback\",\"timeoutSeconds\":600,\"retry\":{\"maxAttempts\":2}}", 1330,
          2, NULL },
        { "{\"pattern\":\"callback\",\"timeoutSeconds\":600,\"retry\":{\"maxAttempts\":2}}", 1329,
          2, "/retry/maxAttempts" },
        { "{\"pattern\":\"callback\",\"timeoutSeconds\":600,\"retry\":{\"maxAttempts\":1}}", 600, 1,
          "/timeoutSeconds" },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        auto_input struct input in;
        auto_json struct json_object *faults = NULL;
        const struct config cfg = { .execution_timeout_s = table[i].execution_s };
        parse(table[i].input, &in);
        cr_expect_eq(policy_fit(&cfg, &in, &faults), table[i].pointer ? -1 : 0, "case %zu", i);
        cr_expect_eq(in.retry.max_attempts, table[i].attempts, "case %zu", i);
        if (table[i].pointer)
            cr_expect_str_eq(json_get_str(json_object_array_get_idx(faults, 0), "pointer"),
                             table[i].pointer);
    }
}

/* What all attempts of the longest task take of an execution's 3,000 operations. */
Test(policy, looks_at_a_task_often_at_first_and_never_too_often)
{
    static const int64_t timeouts_s[] = { 1, 60, 3600, INPUT_SYNC_MAX_S };
    for (size_t i = 0; i < ARRAY_LEN(timeouts_s); i++) {
        const struct input in = { .pattern = INPUT_SYNC, .timeout_s = timeouts_s[i] };
        int64_t looks = 1;
        for (int64_t at_s = 0; at_s < in.timeout_s; looks++) {
            int64_t delay_s = policy_look_delay_s(&in, at_s);
            cr_assert_geq(delay_s, 1);
            cr_expect_leq(delay_s, at_s / 8 + 1);
            at_s += delay_s;
        }
        cr_expect_leq(INPUT_ATTEMPTS_MAX * (looks + 2 * POLICY_STARTS + 40), 3000, "%lld looks",
                      (long long)looks);
    }
}

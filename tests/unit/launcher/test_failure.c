#include "launcher/failure.h"

#include <criterion/criterion.h>
#include <string.h>

#include "shared/base/json.h"

static struct durable_error callback_error(const char *type, const char *cause)
{
    struct durable_error e = { 0 };
    durable_error_set(&e, type, "said");
    e.cause_type = mem_dup(cause);
    return e;
}

Test(failure, is_called_what_it_is)
{
    static const struct {
        const char *type;
        const char *cause;
        const char *own;
    } table[] = {
        { "CallbackTimeoutError", "Callback.Timeout", "Task.Timeout" },
        { "CallbackTimeoutError", NULL, "Task.Timeout" },
        { "CallbackTimeoutError", "Callback.Heartbeat", "Task.HeartbeatLost" },
        { "CallbackExternalError", "Order.Empty", "Order.Empty" },
        { "CallbackExternalError", NULL, "Task.Failed" },
        { "CallbackExternalError", "", "Task.Failed" },
        { "SerializationError", NULL, "SerializationError" },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        auto_durable_error struct durable_error e = callback_error(table[i].type, table[i].cause);
        auto_durable_error struct durable_error own = { 0 };
        failure_from_callback(&e, &own);
        cr_expect_str_eq(own.type, table[i].own);
    }
}

Test(failure, reads_a_held_report_of_any_shape)
{
    static const struct {
        const char *body;
        const char *type;
        const char *message;
    } table[] = {
        { "{\"ErrorType\":\"A\",\"ErrorMessage\":\"b\"}", "A", "b" },
        { "{}", "Task.Failed", "the job reported a failure" },
        { "", "Task.Failed", "the job reported a failure" },
        { "{\"ErrorType\":\"\",\"ErrorMessage\":7,\"StackTrace\":[1,null,{}]}", "Task.Failed",
          "the job reported a failure" },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        auto_durable_error struct durable_error own = { 0 };
        failure_from_report(table[i].body, &own);
        cr_expect_str_eq(own.type, table[i].type);
        cr_expect_str_eq(own.message, table[i].message);
        cr_expect_eq(own.stack_count, 0);
    }
}

/* The error composed for `own` and a record given as JSON, or NULL. */
static void compose(struct durable_error *own, const char *record, struct durable_error *err,
                    struct json_object **data)
{
    struct error e;
    auto_json struct json_object *o = NULL;
    if (record)
        cr_assert_eq(json_parse_str(record, &o, &e), 0);
    const struct failure_place place = { .task_arn = "arn:task/1",
                                         .log_group = "/jobs",
                                         .log_stream = "ecs/job/1" };
    failure_compose(own, o, &place, err);
    cr_assert_eq(json_parse_str(err->data, data, &e), 0, "%s", err->data);
}

Test(failure, is_overruled_by_the_true_reason_only_where_it_is_silence)
{
    static const char record[] = "{\"lastStatus\":\"STOPPED\",\"exitCode\":1,\"type\":"
                                 "\"Task.ExitCode\",\"message\":\"ended\"}";
    static const struct {
        const char *own;
        const char *type;
        const char *message;
        const char *noticed;
    } table[] = {
        { "Task.Timeout", "Task.ExitCode", "ended", "Task.Timeout" },
        { "Task.HeartbeatLost", "Task.ExitCode", "ended", "Task.HeartbeatLost" },
        { "Task.NoReport", "Task.ExitCode", "ended", "Task.NoReport" },
        { "Task.Signal", "Task.Signal", "said", NULL },
        { "Order.Empty", "Order.Empty", "said", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        auto_durable_error struct durable_error own = { 0 };
        auto_durable_error struct durable_error err = { 0 };
        auto_json struct json_object *data = NULL;
        durable_error_set(&own, table[i].own, "said");
        compose(&own, record, &err, &data);
        cr_expect_str_eq(err.type, table[i].type);
        cr_expect_str_eq(err.message, table[i].message);
        cr_expect_eq(json_get_int(data, "exitCode", -1), 1);
        if (table[i].noticed)
            cr_expect_str_eq(json_get_str(data, "noticedBy"), table[i].noticed);
        else
            cr_expect_null(json_get(data, "noticedBy"));
    }
}

Test(failure, is_told_who_sent_the_signal)
{
    static const struct {
        const char *own;
        const char *ecs;
        const char *type;
    } table[] = {
        { "Task.Stopped", "Task.SpotInterruption", "Task.SpotInterruption" },
        { "Task.Stopped", "Task.StoppedByUser", "Task.StoppedByUser" },
        { "Task.Stopped", "Task.Infrastructure", "Task.Infrastructure" },
        { "Task.Signal", "Task.OutOfMemory", "Task.OutOfMemory" },
        { "Task.Stopped", "Task.ExitCode", "Task.Stopped" },
        { "Task.Stopped", NULL, "Task.Stopped" },
        { "Task.ExitCode", "Task.SpotInterruption", "Task.ExitCode" },
        { "Order.Empty", "Task.SpotInterruption", "Order.Empty" },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        auto_durable_error struct durable_error own = { 0 };
        auto_durable_error struct durable_error err = { 0 };
        auto_json struct json_object *data = NULL;
        auto_json struct json_object *record = json_object_new_object();
        json_add_str(record, "type", table[i].ecs);
        durable_error_set(&own, table[i].own, "said");
        compose(&own, json_text(record, NULL), &err, &data);
        cr_expect_str_eq(err.type, table[i].type, "case %zu", i);
    }
}

Test(failure, stays_silence_where_ecs_knows_nothing)
{
    auto_durable_error struct durable_error own = { 0 };
    auto_durable_error struct durable_error err = { 0 };
    auto_json struct json_object *data = NULL;
    durable_error_set(&own, "Task.Timeout", "said");
    compose(&own, NULL, &err, &data);
    cr_expect_str_eq(err.type, "Task.Timeout");
    cr_expect_str_eq(err.data, "{\"taskArn\":\"arn:task/1\",\"logGroup\":\"/jobs\","
                               "\"logStream\":\"ecs/job/1\"}");
}

Test(failure, fits_an_error_object_whatever_the_job_sends)
{
    static const char *const units[] = { "x", "\"", "\\", "\xc3\xa9", "\n", "\x01" };
    for (size_t u = 0; u < ARRAY_LEN(units); u++) {
        auto_durable_error struct durable_error own = { 0 };
        auto_durable_error struct durable_error err = { 0 };
        auto_json struct json_object *data = NULL;
        auto_buf struct buf text = BUF_INIT(100000);
        while (text.len < 24000)
            buf_add_str(&text, units[u]);
        durable_error_set(&own, "Job.Bad", "said");
        durable_error_set_data(&own, buf_str(&text));
        compose(&own, "{\"exitCode\":3}", &err, &data);
        auto_buf struct buf escaped = BUF_INIT(1000000);
        buf_add_json_str(&escaped, err.data);
        cr_expect_lt(escaped.len, 32000, "unit %zu: %zu", u, escaped.len);
        const char *kept = json_get_str(data, "errorData");
        cr_assert_not_null(kept);
        cr_expect_eq(strncmp(kept, buf_str(&text), strlen(kept)), 0);
        cr_expect_eq(json_get_bool(data, "errorDataTruncated", false), strlen(kept) < text.len);
        cr_expect_gt(strlen(kept), 2000);
    }
}

Test(failure, keeps_json_of_the_job_as_json)
{
    auto_durable_error struct durable_error own = { 0 };
    auto_durable_error struct durable_error err = { 0 };
    auto_json struct json_object *data = NULL;
    durable_error_set(&own, "Job.Bad", "said");
    durable_error_set_data(&own, "{\"a\":[1,2]}");
    compose(&own, NULL, &err, &data);
    cr_expect_str_eq(err.data, "{\"taskArn\":\"arn:task/1\",\"logGroup\":\"/jobs\","
                               "\"logStream\":\"ecs/job/1\",\"errorData\":{\"a\":[1,2]}}");
}

#include "local/aws/outcome.h"

#include <criterion/criterion.h>
#include <string.h>

#include "local/aws/error_object.h"
#include "local/aws/history.h"

Test(outcome, reads_envelopes_and_what_is_none)
{
#define INVALID(text)                                                                              \
    "{\"ErrorType\":\"InvalidParameterValueException\",\"ErrorMessage\":\"" text "\"}"
    static const char no_status[] = INVALID("Invalid Status in invocation output.");
    static const struct {
        const char *body;
        bool is_pending;
        enum execution_status status;
        const char *result, *error;
    } cases[] = {
        { "{\"Status\":\"SUCCEEDED\",\"Result\":\"\\\"hi\\\"\"}", false, EX_SUCCEEDED, "\"hi\"",
          NULL },
        { "{\"Status\":\"SUCCEEDED\"}", false, EX_SUCCEEDED, NULL, NULL },
        { "{\"Status\":\"SUCCEEDED\",\"Result\":null,\"Error\":null}", false, EX_SUCCEEDED, NULL,
          NULL },
        { "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"E\",\"More\":1}}", false, EX_FAILED,
          NULL, "{\"ErrorType\":\"E\"}" },
        { "{\"Status\":\"FAILED\"}", false, EX_FAILED, NULL, NULL },
        { "{\"Status\":\"PENDING\"}", true, EX_RUNNING, NULL, NULL },
        { "{\"Status\":\"PENDING\"}", false, EX_FAILED, NULL,
          INVALID("Cannot return PENDING status with no pending operations.") },
        { "{\"Status\":\"SUCCEEDED\",\"Error\":{}}", false, EX_FAILED, NULL,
          INVALID("Cannot provide an Error for SUCCEEDED status.") },
        { "{\"Status\":\"FAILED\",\"Result\":\"1\"}", false, EX_FAILED, NULL,
          INVALID("Cannot provide a Result for FAILED status.") },
        { "{\"Status\":\"SUCCEEDED\",\"Result\":1}", false, EX_FAILED, NULL,
          INVALID("Invalid Result in invocation output.") },
        { "{\"Status\":\"FAILED\",\"Error\":\"x\"}", false, EX_FAILED, NULL,
          INVALID("Invalid Error in invocation output.") },
        { "{\"Status\":\"DONE\"}", true, EX_FAILED, NULL, no_status },
        { "{\"Status\":1}", true, EX_FAILED, NULL, no_status },
        { "\"x\"", true, EX_FAILED, NULL, no_status },
        { "null", true, EX_FAILED, NULL, no_status },
        { "{", true, EX_FAILED, NULL, no_status },
        { "", true, EX_FAILED, NULL, no_status },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct envelope e;
        envelope_read(&e, cases[i].body, strlen(cases[i].body), cases[i].is_pending);
        cr_expect_eq(e.status, cases[i].status, "%s", cases[i].body);
        cr_expect_str_eq(e.result ? e.result : "-", cases[i].result ? cases[i].result : "-");
        cr_expect_str_eq(e.error ? e.error : "-", cases[i].error ? cases[i].error : "-");
        envelope_release(&e);
    }
}

Test(outcome, turns_errors_into_both_ways_of_writing_them)
{
    auto_free char *lambda = error_object_lambda(
        "{\"ErrorType\":\"T\",\"ErrorMessage\":\"m\",\"ErrorData\":\"d\",\"StackTrace\":[\"s\"]}");
    cr_assert_str_eq(lambda, "{\"errorMessage\":\"m\",\"errorType\":\"T\",\"stackTrace\":[\"s\"]}");
    auto_free char *none = error_object_lambda(NULL);
    cr_assert_str_eq(none, "{}");

    static const struct {
        const char *body, *type, *text;
    } cases[] = {
        { "{\"errorMessage\":\"m\",\"errorType\":\"T\",\"stackTrace\":[\"s\"]}", "Other",
          "{\"ErrorType\":\"T\",\"ErrorMessage\":\"m\",\"StackTrace\":[\"s\"]}" },
        { "{}", "Runtime.Unhandled", "{\"ErrorType\":\"Runtime.Unhandled\"}" },
        { "oops", NULL, "{\"ErrorType\":\"Runtime.Unknown\"}" },
        { "oops", "no UTF-8: \377", "{\"ErrorType\":\"Runtime.Unknown\"}" },
        { "{\"errorMessage\":\"m\"}", "\377", "{\"ErrorMessage\":\"m\"}" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *text =
            error_object_from_lambda(cases[i].body, strlen(cases[i].body), cases[i].type);
        cr_expect_str_eq(text, cases[i].text);
    }
}

Test(outcome, history_without_data_marks_what_is_missing)
{
    static const struct {
        const char *event, *stripped;
    } cases[] = {
        { "{\"EventType\":\"StepFailed\",\"StepFailedDetails\":{\"Error\":{\"Payload\":{},"
          "\"Truncated\":false},\"RetryDetails\":{\"CurrentAttempt\":1}}}",
          "{\"EventType\":\"StepFailed\",\"StepFailedDetails\":{\"Error\":{\"Truncated\":true},"
          "\"RetryDetails\":{\"CurrentAttempt\":1}}}" },
        { "{\"EventType\":\"StepStarted\",\"StepStartedDetails\":{}}",
          "{\"EventType\":\"StepStarted\",\"StepStartedDetails\":{}}" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_buf struct buf b = BUF_INIT(4096);
        history_strip(&b, cases[i].event, strlen(cases[i].event));
        cr_expect_str_eq(buf_str(&b), cases[i].stripped);
    }
}

#include "callback-receiver/report.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"

#define MEDIA 415
#define BAD   400
#define LARGE 413

static struct report_body body(const char *type, const char *text)
{
    return (struct report_body){ type, text, strlen(text) };
}

static int status(int rc, const struct error *err)
{
    if (rc == 0)
        return 200;
    cr_assert(err->code == ERR_INVALID || err->code == ERR_TOO_LARGE, "%s", err->msg);
    if (err->code == ERR_TOO_LARGE)
        return LARGE;
    return strcmp(err->type, REPORT_MEDIA) == 0 ? MEDIA : BAD;
}

static const struct {
    const char *type, *text;
    int status;
    const char *out; /* NULL: as it came */
} results[] = {
    { "application/json", "{\"ok\":true}", 200, NULL },
    { "application/json", " [1.50, 1e400, 12345678901234567890123]\n", 200, NULL },
    { "application/json; charset=utf-8", "null", 200, NULL },
    { "APPLICATION/JSON;Charset=\"UTF-8\"", "5", 200, NULL },
    { "application/vnd.x+json", "\"a\\/b\"", 200, NULL },
    { "application/x-www-form-urlencoded", "{\"ok\":true}", 200, NULL },
    { NULL, "true", 200, NULL },
    { "text/plain", "a\"b\n\xc3\xa4", 200, "\"a\\\"b\\n\xc3\xa4\"" },
    { "text/plain;charset=us-ascii", "", 200, "\"\"" },
    { "text/plain", "{\"ok\":true}", 200, "\"{\\\"ok\\\":true}\"" },
    { "application/json", "\"\\\\u0000\"", 200, NULL }, /* an escaped backslash, then letters */
    { "application/json", "", BAD, NULL },
    { "application/json", "{\"ok\":}", BAD, NULL },
    { "application/json", "{} {}", BAD, NULL },
    { "application/json", "\"\\u0000\"", BAD, NULL },
    { "application/json", "{\"a\\\\\\u0000\":1}", BAD, NULL },
    { "application/json", "\"\xff\"", BAD, NULL },
    { "application/x-www-form-urlencoded", "a=b", BAD, NULL },
    { NULL, "hello", BAD, NULL },
    { "text/plain", "\xc3", BAD, NULL },
    { "application/json; charset=latin1", "1", MEDIA, NULL },
    { "text/plain; charset=utf-16", "1", MEDIA, NULL },
    { "application/xml", "<a/>", MEDIA, NULL },
    { "application/jsonx", "1", MEDIA, NULL },
    { "multipart/form-data; boundary=x", "1", MEDIA, NULL },
    { "", "1", MEDIA, NULL },
};

Test(report, results_are_taken_or_refused_as_documented)
{
    for (size_t i = 0; i < ARRAY_LEN(results); i++) {
        struct report_body b = body(results[i].type, results[i].text);
        struct callback_report r = { 0 };
        struct error err = { 0 };
        auto_free char *out = NULL;
        size_t len = 0;
        int rc = report_success(&b, &r, &out, &len, &err);
        cr_assert_eq(status(rc, &err), results[i].status, "case %zu: %s", i, err.msg);
        if (rc < 0)
            continue;
        cr_assert_str_eq(out, results[i].out ? results[i].out : results[i].text, "case %zu", i);
        cr_assert_eq(len, strlen(out));
        cr_assert_eq(r.kind, CALLBACK_SUCCESS);
        cr_assert_eq(r.media, results[i].out ? CALLBACK_TEXT : CALLBACK_JSON);
    }
}

Test(report, a_result_with_a_nul_is_refused)
{
    static const char *const types[] = { "text/plain", "application/json" };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct report_body b = body(types[i], "\"a\"");
        static const char text[] = "\"a\0b\"";
        struct callback_report r = { 0 };
        struct error err = { 0 };
        auto_free char *out = NULL;
        size_t len = 0;
        b.text = text;
        b.len = sizeof(text) - 1;
        cr_assert_eq(status(report_success(&b, &r, &out, &len, &err), &err), BAD, "%s", types[i]);
    }
}

Test(report, the_limit_of_a_result_is_on_what_is_delivered)
{
    static const struct {
        const char *type;
        size_t len;
        char fill;
        int status;
    } cases[] = {
        { "application/json", REPORT_RESULT_MAX, 'a', 200 },
        { "application/json", REPORT_RESULT_MAX + 1, 'a', LARGE },
        { "text/plain", REPORT_RESULT_MAX - 2, 'a', 200 },
        { "text/plain", REPORT_RESULT_MAX - 1, 'a', LARGE },
        { "text/plain", REPORT_RESULT_MAX / 2 - 1, '"', 200 },
        { "text/plain", REPORT_RESULT_MAX / 2, '"', LARGE },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text = mem_alloc(cases[i].len + 1);
        memset(text, cases[i].fill, cases[i].len);
        if (strcmp(cases[i].type, "application/json") == 0)
            text[0] = text[cases[i].len - 1] = '"';
        struct report_body b = body(cases[i].type, text);
        struct callback_report r;
        struct error err = { 0 };
        auto_free char *out = NULL;
        size_t len;
        int rc = report_success(&b, &r, &out, &len, &err);
        cr_assert_eq(status(rc, &err), cases[i].status, "case %zu: %s", i, err.msg);
        free(text);
    }
}

Test(report, depth_is_limited)
{
    auto_buf struct buf deep = BUF_INIT(100000);
    for (int i = 0; i < 20000; i++)
        buf_add_char(&deep, '[');
    for (int i = 0; i < 20000; i++)
        buf_add_char(&deep, ']');
    struct report_body b = body("application/json", buf_str(&deep));
    struct callback_report r;
    struct error err = { 0 };
    auto_free char *out = NULL;
    size_t len;
    cr_assert_eq(status(report_success(&b, &r, &out, &len, &err), &err), BAD);
}

Test(report, failures_become_error_objects)
{
    static const struct {
        const char *text;
        int status;
        const char *out;
    } cases[] = {
        { "{}", 200, "{}" },
        { "{\"errorMessage\":\"m\",\"errorType\":\"T\"}", 200,
          "{\"ErrorType\":\"T\",\"ErrorMessage\":\"m\"}" },
        { "{\"errorType\":\"T\",\"errorMessage\":\"a/b\",\"errorData\":\"{}\","
          "\"stackTrace\":[\"x\",\"y\"]}",
          200,
          "{\"ErrorType\":\"T\",\"ErrorMessage\":\"a/b\",\"ErrorData\":\"{}\","
          "\"StackTrace\":[\"x\",\"y\"]}" },
        { "{\"errorType\":null,\"stackTrace\":[]}", 200, "{\"StackTrace\":[]}" },
        { "{\"errorType\":5}", BAD, "/errorType" },
        { "{\"errorMessage\":{}}", BAD, "/errorMessage" },
        { "{\"errorData\":[1]}", BAD, "/errorData" },
        { "{\"stackTrace\":\"x\"}", BAD, "/stackTrace" },
        { "{\"stackTrace\":[\"x\",5]}", BAD, "/stackTrace/1" },
        { "{\"error\":\"x\"}", BAD, "/error" },
        { "{\"errorType\":\"\\u0000\"}", BAD, "NUL" },
        { "[]", BAD, "object" },
        { "", BAD, "empty" },
        { "x", BAD, "JSON" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct report_body b = body("application/json", cases[i].text);
        struct callback_report r;
        struct error err = { 0 };
        auto_free char *out = NULL;
        size_t len;
        int rc = report_failure(&b, &r, &out, &len, &err);
        cr_assert_eq(status(rc, &err), cases[i].status, "case %zu: %s", i, err.msg);
        if (rc == 0)
            cr_assert_str_eq(out, cases[i].out, "case %zu", i);
        else
            cr_assert_not_null(strstr(err.msg, cases[i].out), "case %zu: %s", i, err.msg);
    }
    struct report_body text = body("text/plain", "it broke");
    struct callback_report r;
    struct error err = { 0 };
    auto_free char *out = NULL;
    size_t len;
    cr_assert_eq(status(report_failure(&text, &r, &out, &len, &err), &err), MEDIA);
}

Test(report, the_limit_of_a_failure_is_on_the_error_object)
{
    const size_t frame = strlen("{\"ErrorMessage\":\"\"}");
    for (size_t over = 0; over <= 1; over++) {
        auto_buf struct buf b = BUF_INIT(100000);
        buf_add_str(&b, "{\"errorMessage\":\"");
        for (size_t i = 0; i < REPORT_ERROR_MAX - frame + over; i++)
            buf_add_char(&b, 'x');
        buf_add_str(&b, "\"}");
        struct report_body rb = body("application/json", buf_str(&b));
        struct callback_report r;
        struct error err = { 0 };
        auto_free char *out = NULL;
        size_t len;
        int rc = report_failure(&rb, &r, &out, &len, &err);
        cr_assert_eq(status(rc, &err), over ? LARGE : 200, "%s", err.msg);
    }
}

Test(report, heartbeats_may_carry_progress)
{
    static const struct {
        const char *type, *text;
        int status;
        bool progress;
    } cases[] = {
        { NULL, "", 200, false },
        { "application/json", "{}", 200, false },
        { "application/json", "{\"progress\":0.25,\"message\":\"m\",\"detail\":[1]}", 200, true },
        { "application/x-www-form-urlencoded", "{\"progress\":1}", 200, true },
        { "application/json", "{\"progress\":0}", 200, true },
        { "application/json", "{\"progress\":1.01}", BAD, false },
        { "application/json", "{\"progress\":-0.1}", BAD, false },
        { "application/json", "{\"progress\":\"half\"}", BAD, false },
        { "application/json", "{\"message\":7}", BAD, false },
        { "application/json", "{\"at\":\"now\"}", BAD, false },
        { "application/json", "[]", BAD, false },
        { "application/json", "nonsense", BAD, false },
        { "text/plain", "half", MEDIA, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct report_body b = body(cases[i].type, cases[i].text);
        struct error err = { 0 };
        auto_free char *out = NULL;
        size_t len;
        int rc = report_heartbeat(&b, 0, &out, &len, &err);
        cr_assert_eq(status(rc, &err), cases[i].status, "case %zu: %s", i, err.msg);
        cr_assert_eq(out != NULL, cases[i].progress, "case %zu", i);
        if (out)
            cr_assert_not_null(strstr(out, "\"at\":\"1970-"), "%s", out);
    }
    char *large = mem_alloc(REPORT_PROGRESS_MAX + 2);
    memset(large, ' ', REPORT_PROGRESS_MAX + 1);
    struct report_body b = body("application/json", large);
    struct error err = { 0 };
    char *out;
    size_t len;
    cr_assert_eq(status(report_heartbeat(&b, 0, &out, &len, &err), &err), LARGE);
    free(large);
}

Test(report, registrations_are_checked_and_equal_content_has_one_hash)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        { "{}", 200 },
        { "{\"input\":{\"b\":1,\"a\":[2]},\"heartbeatSeconds\":5,\"startTimeoutSeconds\":7,"
          "\"workflow\":\"w\",\"job\":\"j\"}",
          200 },
        { " {\"job\":\"j\",\"workflow\":\"w\",\"startTimeoutSeconds\":7,\"heartbeatSeconds\":5,"
          "\"input\":{\"a\":[2],\"b\":1}}",
          200 },
        { "{\"heartbeatSeconds\":0}", BAD },
        { "{\"heartbeatSeconds\":2.5}", BAD },
        { "{\"heartbeatSeconds\":\"5\"}", BAD },
        { "{\"startTimeoutSeconds\":-1}", BAD },
        { "{\"engineHeartbeatSeconds\":2}", BAD },
        { "{\"engineHeartbeatSeconds\":\"x\"}", BAD },
        { "{\"workflow\":5}", BAD },
        { "{\"job\":[]}", BAD },
        { "{\"callbackId\":\"x\"}", BAD },
        { "[]", BAD },
        { "", BAD },
        { "{", BAD },
    };
    uint8_t first[DIGEST_SHA256] = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct report_body b = body("application/json", cases[i].text);
        struct report_registration r;
        struct error err = { 0 };
        int rc = report_registration(&b, &r, &err);
        cr_assert_eq(status(rc, &err), cases[i].status, "case %zu: %s", i, err.msg);
        if (i == 0) {
            cr_assert_str_eq(r.input, "null");
            cr_assert_eq(r.r.heartbeat_s, CALLBACK_HEARTBEAT_S);
            cr_assert_eq(r.r.start_timeout_s, 0);
        } else if (i == 1) {
            memcpy(first, r.r.sha, sizeof(first));
            cr_assert_str_eq(r.input, "{\"b\":1,\"a\":[2]}");
            cr_assert_eq(r.r.heartbeat_s, 5);
            cr_assert_eq(r.r.start_timeout_s, 7);
            cr_assert_str_eq(r.r.workflow, "w");
            cr_assert_str_eq(r.r.job, "j");
        } else if (i == 2) {
            cr_assert_arr_eq(first, r.r.sha, sizeof(first));
        }
        free(r.input);
    }
    struct report_body form = body("application/x-www-form-urlencoded", "{}");
    struct report_registration r;
    struct error err = { 0 };
    cr_assert_eq(status(report_registration(&form, &r, &err), &err), MEDIA);
}

Test(report, an_input_has_at_most_a_mebibyte)
{
    for (size_t over = 0; over <= 1; over++) {
        auto_buf struct buf b = BUF_INIT(2U << 20);
        buf_add_str(&b, "{\"input\":\"");
        for (size_t i = 0; i < REPORT_INPUT_MAX - 2 + over; i++)
            buf_add_char(&b, 'x');
        buf_add_str(&b, "\"}");
        struct report_body rb = body("application/json", buf_str(&b));
        struct report_registration r;
        struct error err = { 0 };
        int rc = report_registration(&rb, &r, &err);
        cr_assert_eq(status(rc, &err), over ? LARGE : 200, "%s", err.msg);
        free(r.input);
    }
}

Test(report, the_outcome_is_optional_and_short)
{
    static const struct {
        const char *text;
        int status;
        const char *out;
    } cases[] = {
        { "", 200, "" },
        { "{}", 200, "" },
        { "{\"outcome\":\"SUCCEEDED\"}", 200, "SUCCEEDED" },
        { "{\"outcome\":5}", BAD, "" },
        { "{\"other\":1}", BAD, "" },
        { "{\"outcome\":\"1234567890123456789012345678901234567890123456789012345678901234\"}", 200,
          "1234567890123456789012345678901234567890123456789012345678901234" },
        { "{\"outcome\":\"12345678901234567890123456789012345678901234567890123456789012345\"}",
          BAD, "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct report_body b = body("application/json", cases[i].text);
        char out[CALLBACK_OUTCOME + 1];
        struct error err = { 0 };
        int rc = report_outcome(&b, out, &err);
        cr_assert_eq(status(rc, &err), cases[i].status, "case %zu: %s", i, err.msg);
        cr_assert_str_eq(out, cases[i].out);
    }
}

Test(report, traceparents_are_checked)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        { "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true },
        { "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false },
        { "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false },
        { "00-00000000000000000000000000000000-b7ad6b7169203331-01", false },
        { "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false },
        { "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g", false },
        { "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", false },
        { "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01", false },
        { "", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_assert_eq(report_traceparent(cases[i].text), cases[i].good, "case %zu", i);
}

/* Asynchronous calls of plain functions: tried again as configured, by the local-aws that took them
 * up or by the next; what is given up is told to another function. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/lambda_rig.h"

#define LIMIT_MS 60000

static const struct http_header as_json[] = { { "Content-Type", "application/json" },
                                              { NULL, NULL } };

/* "p" as Lambda does it by default; "once" tries once and tells "told" of what it gives up, which
 * is noted in DIR/told; "slow" has a short life: an event is old after a minute. */
static void start(struct lambda_rig *r, char **told)
{
    static const struct {
        const char *name, *more;
    } functions[] = {
        { "p", "\"maxConcurrency\":2" },
        { "once", "\"async\":{\"maximumRetryAttempts\":0,\"onFailure\":\"told\"}" },
        { "aging", "\"maxConcurrency\":1,"
                   "\"async\":{\"maximumEventAgeInSeconds\":60,\"onFailure\":\"told\"}" },
        { "told", "\"memoryMegabytes\":256" },
    };
    char self[512];
    struct error err;
    struct json_object *o = NULL;
    auto_buf struct buf b = BUF_INIT(1 << 16);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    cr_assert_gt(n, 0);
    self[n] = '\0';
    *told = mem_printf("/tmp/local-async-told-%d", (int)getpid());
    unlink(*told);
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        buf_printf(&b,
                   "%s\"%s\":{\"command\":[\"%s\"],\"environment\":{\"LAMBDA_RIG_FUNCTION\":\"1\","
                   "\"LAMBDA_RIG_NOTE\":\"%s\",\"ASAN_OPTIONS\":\"detect_leaks=0\"},%s}",
                   i ? "," : "{", functions[i].name, self, *told, functions[i].more);
    buf_add_char(&b, '}');
    cr_assert_eq(json_parse_str(buf_str(&b), &o, &err), 0, "%s", err.msg);
    lambda_rig_start_with(r, o);
}

static void stop(struct lambda_rig *r, char *told)
{
    lambda_rig_stop(r);
    unlink(told);
    free(told);
}

static void advance(struct lambda_rig *r, int seconds)
{
    auto_free char *body = mem_printf("{\"advanceSeconds\":%d}", seconds);
    cr_assert_eq(lambda_rig_raw(r, "POST", "/_local/time", as_json, body, NULL), 200);
}

static void call_async(struct lambda_rig *r, const char *function, const char *payload)
{
    struct error err;
    auto_response struct http_response resp = { 0 };
    const struct http_header headers[] = { { "X-Amz-Invocation-Type", "Event" }, { NULL, NULL } };
    auto_free char *path = mem_printf("/2015-03-31/functions/%s/invocations", function);
    const struct aws_call call = { .service = AWS_LAMBDA,
                                   .method = "POST",
                                   .path = path,
                                   .headers = headers,
                                   .body = payload,
                                   .body_len = strlen(payload) };
    cr_assert_eq(aws_send(r->aws, &call, &resp, &err), 0, "%s", err.msg);
    cr_assert_eq(resp.status, 202);
}

/* How many lines of the file contain `text`; the last of them goes to *last, the caller's. */
static int lines_with(const char *path, const char *text, char **last)
{
    static char line[65536];
    int count = 0;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f))
        if (strstr(line, text)) {
            count++;
            if (last) {
                free(*last);
                *last = mem_dup(line);
            }
        }
    if (f)
        fclose(f);
    return count;
}

/* Waits until `count` lines contain it, and asserts that it is no more. */
static void expect_lines(const char *path, const char *text, int count)
{
    int64_t until = clock_mono_ms(clock_system()) + LIMIT_MS;
    int found;
    while ((found = lines_with(path, text, NULL)) < count && clock_mono_ms(clock_system()) < until)
        clock_sleep_ms(clock_system(), 10);
    cr_assert_eq(found, count, "%s: %d lines with %s", path, found, text);
}

static void expect_logged(struct lambda_rig *r, const char *event, int count)
{
    auto_free char *path = mem_printf("%s/local-aws.log", r->dir);
    expect_lines(path, event, count);
}

Test(local_async, one_that_fails_is_made_three_times, .timeout = 300)
{
    struct lambda_rig r;
    char *told = NULL;
    start(&r, &told);
    auto_free char *bad = mem_printf("%s/bad", r.dir);
    auto_free char *good = mem_printf("%s/good", r.dir);
    auto_free char *fails = mem_printf("{\"note\":\"%s\",\"exit\":true}", bad);
    auto_free char *works = mem_printf("{\"note\":\"%s\"}", good);
    auto_free char *first = NULL;
    call_async(&r, "p", fails);
    expect_logged(&r, "async_failed", 1);
    cr_assert_eq(lines_with(bad, "exit", &first), 1);
    first[36] = '\0'; /* the request id alone */
    advance(&r, 61);
    expect_logged(&r, "async_failed", 2);
    advance(&r, 61);
    call_async(&r, "p", works); /* what was due would have come first */
    expect_lines(good, "note", 1);
    expect_lines(bad, first, 2); /* every try has the same request id */
    advance(&r, 60);
    expect_logged(&r, "async_given_up", 1);
    expect_lines(bad, first, 3);
    advance(&r, 86400);
    call_async(&r, "p", works);
    expect_lines(good, "note", 2);
    expect_lines(bad, "note", 3);
    stop(&r, told);
}

/* It was answered 202: it is owed, whatever becomes of the local-aws that said so. */
Test(local_async, one_that_is_killed_between_two_tries_makes_the_next_later, .timeout = 300)
{
    struct lambda_rig r;
    char *told = NULL;
    start(&r, &told);
    auto_free char *bad = mem_printf("%s/bad", r.dir);
    auto_free char *fails = mem_printf("{\"note\":\"%s\",\"exit\":true}", bad);
    call_async(&r, "p", fails);
    expect_logged(&r, "async_failed", 1);
    lambda_rig_kill(&r);
    lambda_rig_restart(&r);
    expect_logged(&r, "async_resumed", 1);
    advance(&r, 61);
    expect_lines(bad, "exit", 2);
    expect_logged(&r, "async_failed", 2);
    cr_assert_eq(program_stop(r.program, LIMIT_MS), 0);
    lambda_rig_restart(&r);
    advance(&r, 121);
    expect_lines(bad, "exit", 3);
    expect_logged(&r, "async_given_up", 1); /* the two tries before were counted */
    lambda_rig_kill(&r);
    lambda_rig_restart(&r);
    advance(&r, 86400);
    auto_free char *good = mem_printf("%s/good", r.dir);
    auto_free char *works = mem_printf("{\"note\":\"%s\"}", good);
    call_async(&r, "p", works);
    expect_lines(good, "note", 1);
    expect_lines(bad, "exit", 3);
    stop(&r, told);
}

/* Those that run, and those that wait behind them. */
Test(local_async, one_that_is_killed_makes_again_what_had_not_ended, .timeout = 300)
{
    struct lambda_rig r;
    char *told = NULL;
    start(&r, &told);
    auto_free char *notes = mem_printf("%s/notes", r.dir);
    auto_free char *done = mem_printf("%s/done", r.dir);
    auto_free char *quick = mem_printf("{\"note\":\"%s\",\"quick\":1}", done);
    auto_free char *slow = mem_printf("{\"note\":\"%s\",\"sleep\":50}", notes);
    call_async(&r, "aging", quick);
    expect_lines(done, "quick", 1);
    for (int i = 0; i < 5; i++)
        call_async(&r, "aging", slow);
    expect_lines(notes, "sleep", 1); /* its one environment is busy */
    lambda_rig_kill(&r);
    lambda_rig_restart(&r);
    expect_lines(notes, "sleep", 2);
    expect_lines(done, "quick", 1); /* it had ended */
    /* All that have not begun are too old now. */
    advance(&r, 3600);
    lambda_rig_kill(&r);
    lambda_rig_restart(&r);
    expect_logged(&r, "EventAgeExceeded", 5);
    expect_lines(told, "EventAgeExceeded", 5);
    expect_lines(notes, "sleep", 2);
    stop(&r, told);
}

Test(local_async, another_function_is_told_of_what_is_given_up, .timeout = 300)
{
    struct lambda_rig r;
    struct error err;
    char *told = NULL;
    auto_free char *line = NULL;
    auto_free char *noted = NULL;
    auto_json struct json_object *record = NULL;
    start(&r, &told);
    auto_free char *bad = mem_printf("%s/bad", r.dir);
    auto_free char *fails = mem_printf("{\"note\":\"%s\",\"exit\":true}", bad);
    call_async(&r, "once", fails);
    expect_lines(told, "RetriesExhausted", 1);
    cr_assert_eq(lines_with(told, "RetriesExhausted", &line), 1);
    cr_assert_eq(lines_with(bad, "exit", &noted), 1);
    noted[36] = '\0';
    cr_assert_eq(json_parse_str(line + 37, &record, &err), 0, "%s: %s", line, err.msg);
    struct json_object *request = json_get_obj(record, "requestContext");
    struct json_object *response = json_get_obj(record, "responseContext");
    cr_expect_str_eq(json_get_str(record, "version"), "1.0");
    cr_expect_str_eq(json_get_str(request, "requestId"), noted);
    cr_expect_str_eq(json_get_str(request, "functionArn"),
                     "arn:aws:lambda:us-east-1:123456789012:function:once:$LATEST");
    cr_expect_eq(json_get_int(request, "approximateInvokeCount", 0), 1);
    cr_expect_str_eq(json_get_str(json_get_obj(record, "requestPayload"), "note"), bad);
    cr_expect_str_eq(json_get_str(response, "functionError"), "Unhandled");
    cr_expect_str_eq(json_get_str(json_get_obj(record, "responsePayload"), "errorType"),
                     "Runtime.ExitError");
    stop(&r, told);
}

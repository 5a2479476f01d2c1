/* What people ask a running local-aws on the command line. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/integration/lambda_rig.h"

/* Runs `local-aws WORDS` against the rig; its output (both streams) is the caller's. */
static char *ask(struct lambda_rig *r, const char *words, int *status)
{
    const char *bin = getenv("BIN_DIR");
    auto_free char *command = mem_printf("AWS_ENDPOINT_URL=%s LOCAL_AWS_CONFIG=%s/config.json "
                                         "LOCAL_AWS_STATE=%s %s/local-aws %s 2>&1",
                                         r->url, r->dir, r->dir, bin ? bin : "build/bin", words);
    auto_buf struct buf out = BUF_INIT(1 << 20);
    char chunk[4096];
    size_t n;
    FILE *p = popen(command, "r");
    cr_assert_not_null(p);
    while ((n = fread(chunk, 1, sizeof(chunk), p)) > 0)
        buf_add(&out, chunk, n);
    *status = pclose(p);
    return buf_take(&out, NULL);
}

/* It must end with 0, and say each of the words (separated by '|'). */
static void expect(struct lambda_rig *r, const char *words, const char *said)
{
    int status;
    auto_free char *found = ask(r, words, &status);
    auto_free char *wanted = mem_dup(said);
    cr_expect_eq(status, 0, "%s: %s", words, found);
    char *rest = NULL;
    for (char *part = strtok_r(wanted, "|", &rest); part; part = strtok_r(NULL, "|", &rest))
        cr_expect_not_null(strstr(found, part), "%s: no '%s' in\n%s", words, part, found);
}

static void refuse(struct lambda_rig *r, const char *words, const char *said)
{
    int status;
    auto_free char *found = ask(r, words, &status);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%s: %s", words, found);
    cr_expect_not_null(strstr(found, said), "%s: no '%s' in\n%s", words, said, found);
}

Test(local_commands, they_print_for_people, .timeout = 90)
{
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    expect(&r, "functions", "FUNCTION|VERSION|f |1 live|durable|plain|none");
    auto_free char *arn = lambda_rig_begin(&r, "f:1", "{\"mode\":\"callback\"}");
    auto_free char *other = lambda_rig_begin(&r, "f:$LATEST", "{\"mode\":\"callback\"}");
    auto_free char *id = lambda_rig_callback(&r, arn);
    auto_free char *id2 = lambda_rig_callback(&r, other);
    const char *execution = strrchr(arn, '/') + 1;
    expect(&r, "executions", "STARTED|RUNNING|f:1|f:$LATEST");
    expect(&r, "executions --status SUCCEEDED", "STATUS");
    expect(&r, "functions", "idle");
    auto_free char *history = mem_printf("history %s", execution);
    expect(&r, history, "ExecutionStarted|CallbackStarted|{\"mode\":\"callback\"}");
    int status;
    auto_free char *shown = ask(&r, history, &status);
    cr_expect_null(strstr(shown, id), "an id is a secret");

    auto_free char *beat = mem_printf("callback heartbeat '%s'", id);
    auto_free char *yes = mem_printf("callback succeed '%s' '{\"ok\":1}'", id);
    auto_free char *no = mem_printf("callback fail '%s' Task.Bad 'too bad'", id2);
    expect(&r, beat, "");
    expect(&r, yes, "");
    expect(&r, no, "");
    json_object_put(lambda_rig_end(&r, arn, "SUCCEEDED"));
    refuse(&r, yes, "already completed");
    auto_free char *whole = mem_printf("history '%s'", arn);
    expect(&r, whole, "CallbackSucceeded|{\"ok\":1}|ExecutionSucceeded");
    auto_free char *ended = mem_printf("history '%s'", other);
    json_object_put(lambda_rig_event(&r, other, "CallbackFailed"));
    expect(&r, ended, "CallbackFailed|Task.Bad: too bad");

    auto_free char *third = lambda_rig_begin(&r, "f:1", "{\"mode\":\"callback\"}");
    auto_free char *stop = mem_printf("stop '%s'", third);
    expect(&r, stop, "");
    json_object_put(lambda_rig_end(&r, third, "STOPPED"));
    expect(&r, "console", "/console#");
    lambda_rig_stop(&r);
}

Test(local_commands, they_say_what_is_wrong, .timeout = 60)
{
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    refuse(&r, "--no-verify --aws-listen 0.0.0.0:0", "--no-verify: only where");
    refuse(&r, "history", "use: local-aws history ARN|NAME|ID");
    refuse(&r, "history nobody", "there is no execution nobody");
    refuse(&r, "history arn:aws:x", "must be the ARN of a durable execution");
    refuse(&r, "callback", "use: local-aws callback");
    refuse(&r, "callback succeed", "use: local-aws callback");
    refuse(&r, "callback explode x", "use: local-aws callback");
    refuse(&r, "callback succeed YWJj 1", "Invalid callback id");
    refuse(&r, "executions --limit 0", "limit");
    refuse(&r, "executions --status DONE",
           "Value at 'Statuses' must be RUNNING, SUCCEEDED, FAILED, TIMED_OUT or STOPPED");
    refuse(&r, "explode", "explode: is no command of local-aws: local-aws --help names them");
    refuse(&r, "console --state /nonexistent", "/nonexistent/console.url");
    refuse(&r, "functions --endpoint-url http://127.0.0.1:1", "connect");
    expect(&r, "--help", "functions, executions, history, stop, callback, console");
    expect(&r, "history --help", "Commands: functions, executions, history");
    lambda_rig_stop(&r);
}

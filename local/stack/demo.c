#include "local/stack/demo.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "local/stack/facts.h"
#include "local/stack/screen.h"
#include "local/stack/stack.h"

#define END_MS  120000
#define TASK_MS 60000
#define DOWN_MS 1000

struct scenario {
    const char *name;
    const char *shows;
    const char *body;
    const char *status; /* what it must end with */
    const char *type;   /* the error's type where it must fail */
    int tasks;          /* that it must have started */
    int invocations;    /* that it must have taken; 0: as many as there are looks at its task */
};

enum {
    SAMPLE,
    SUCCESS,
    EXIT_3,
    KILLED,
    CURL,
    SYNC,
    BATCH,
    OUTAGE,
    SCENARIOS
};

static const struct scenario scenarios[SCENARIOS] = {
    [SAMPLE] = { "sample", "the input of AWS's Python sample, unchanged",
                 "{\"message\":\"Hello from C\",\"processingTime\":2}", "SUCCEEDED", NULL, 1, 2 },
    [SUCCESS] = { "success", "a command whose last line of output is the result",
                  "{\"pattern\":\"callback\",\"task\":{\"command\":[\"sh\",\"-c\","
                  "\"echo working; sleep 1; echo '{\\\"answer\\\":42}'\"]}}",
                  "SUCCEEDED", NULL, 1, 2 },
    [EXIT_3] = { "exit 3", "a command that fails",
                 "{\"pattern\":\"callback\",\"task\":{\"command\":[\"sh\",\"-c\","
                 "\"sleep 1; echo 'no such order' >&2; exit 3\"]}}",
                 "FAILED", "Task.ExitCode", 1, 2 },
    [KILLED] = { "killed", "a container that is killed in mid-work",
                 "{\"pattern\":\"callback\",\"task\":{\"command\":[\"sleep\",\"300\"]}}", "FAILED",
                 "Task.Signal", 1, 2 },
    [CURL] = { "plain curl", "an image that knows nothing of this: its command reports with curl",
               "{\"pattern\":\"callback\",\"task\":{\"taskDefinition\":\"plain\",\"command\":["
               "\"sh\","
               "\"-c\",\"sleep 1; curl -sS -X POST \\\"$CALLBACK_URL/success\\\" -H "
               "\\\"Authorization: Bearer $CALLBACK_TOKEN\\\" -d '{\\\"reported\\\":\\\"by "
               "curl\\\"}'\"]}}",
               "SUCCEEDED", NULL, 1, 2 },
    [SYNC] = { "sync", "a container that reports to nobody: its exit code decides",
               "{\"pattern\":\"sync\",\"task\":{\"taskDefinition\":\"plain\","
               "\"command\":[\"sleep\",\"1\"]}}",
               "SUCCEEDED", NULL, 1, 0 },
    [BATCH] = { "batch", "four jobs, two at a time, one of which may fail",
                "{\"pattern\":\"batch\",\"maxConcurrency\":2,\"toleratedFailures\":1,\"task\":{"
                "\"command\":[\"sh\",\"-c\",\"echo $((N * N)); [ $N != 3 ]\"]},\"tasks\":["
                "{\"environment\":{\"N\":\"1\"}},{\"environment\":{\"N\":\"2\"}},"
                "{\"environment\":{\"N\":\"3\"}},{\"environment\":{\"N\":\"4\"}}]}",
                "SUCCEEDED", NULL, 4, 0 },
    [OUTAGE] = { "outage", "receiver and local-aws are killed while the container works",
                 "{\"pattern\":\"callback\",\"task\":{\"command\":[\"sh\",\"-c\","
                 "\"sleep 4; echo '\\\"survived\\\"'\"]}}",
                 "SUCCEEDED", NULL, 1, 2 },
};

struct demo {
    struct stack *stack;
    struct api *api;
    struct api *local_aws;
    struct aws *aws;
    struct aws_options aws_options;
    char *ids[SCENARIOS];
    struct facts facts[SCENARIOS];
};

static int demo_open(struct demo *d, const char *bin_dir, struct error *err)
{
    const struct stack_options options = { .bin_dir = bin_dir, .events = true };
    d->stack = stack_start(&options, err);
    if (!d->stack)
        return -1;
    d->aws_options.region = mem_dup("us-east-1");
    d->aws_options.endpoint = mem_dup(stack_aws_url(d->stack));
    d->aws_options.access_key = mem_dup("test");
    d->aws_options.secret_key = mem_dup("test");
    d->api = api_new(stack_http_url(d->stack), err);
    d->local_aws = api_new(stack_aws_url(d->stack), err);
    d->aws = aws_new(&d->aws_options, clock_system(), err);
    return d->api && d->local_aws && d->aws ? 0 : -1;
}

static int demo_close(struct demo *d)
{
    int status = stack_stop(d->stack);
    aws_free(d->aws);
    api_free(d->api);
    api_free(d->local_aws);
    free(d->aws_options.region);
    free(d->aws_options.endpoint);
    mem_free_secret(d->aws_options.access_key);
    mem_free_secret(d->aws_options.secret_key);
    for (size_t i = 0; i < SCENARIOS; i++) {
        free(d->ids[i]);
        facts_release(&d->facts[i]);
    }
    return status;
}

static int post(struct demo *d, size_t i, struct error *err)
{
    if (api_start(d->api, scenarios[i].body, &d->ids[i], err) < 0)
        return error_wrap(err, "%s", scenarios[i].name);
    screen_step("%-11s %s", scenarios[i].name, scenarios[i].shows);
    screen_detail("POST /workflows %s", scenarios[i].body);
    screen_detail("202 %s", d->ids[i]);
    return 0;
}

/* The container's first process, once it runs and the launcher does not any more. A workflow that
 * has ended without one says why. */
static int wait_for_task(struct demo *d, size_t i, struct error *err)
{
    const struct clock *clock = clock_system();
    int64_t until = clock_mono_ms(clock) + TASK_MS;
    auto_free char *path = mem_printf("/workflows/%s", d->ids[i]);
    auto_answer struct api_answer answer = { 0 };
    while (clock_mono_ms(clock) < until) {
        int pid = facts_task_pid(d->local_aws, d->ids[i]);
        if (pid > 0 && facts_invocations(d->api, d->ids[i]) > 0)
            return pid;
        if (api_send(d->api, "GET", path, NULL, NULL, &answer, err) < 0)
            return -1;
        const char *status = json_get_str(answer.json, "status");
        if (answer.status != 200 || (status && strcmp(status, "RUNNING") != 0))
            return error_set(err, ERR_PROTOCOL, answer.status, "%s: its task does not run: %.500s",
                             scenarios[i].name, answer.text);
        clock_sleep_ms(clock, 50);
    }
    return error_set(err, ERR_TIMEOUT, 0, "%s: its task does not run alone after %d ms",
                     scenarios[i].name, TASK_MS);
}

static int finish(struct demo *d, size_t i, struct error *err)
{
    auto_json struct json_object *ended = NULL;
    if (api_wait(d->api, d->ids[i], END_MS, &ended, err) < 0 ||
        facts_read(d->api, d->aws, "local", d->ids[i], ended, &d->facts[i], err) < 0)
        return error_wrap(err, "%s", scenarios[i].name);
    const struct facts *f = &d->facts[i];
    screen_step("%-11s %s: %s", scenarios[i].name, f->status, f->reason ? f->reason : f->result);
    return 0;
}

static int kill_container(struct demo *d, struct error *err)
{
    int pid = wait_for_task(d, KILLED, err);
    if (pid < 0)
        return -1;
    clock_sleep_ms(clock_system(), 500); /* it has sent a heartbeat by now */
    screen_event("kill -9 %d   the container of \"%s\"", pid, scenarios[KILLED].name);
    if (kill(pid, SIGKILL) < 0)
        return error_set(err, ERR_IO, 0, "the container of \"%s\" is not there",
                         scenarios[KILLED].name);
    return 0;
}

static int outage(struct demo *d, struct error *err)
{
    static const enum stack_part parts[] = { STACK_RECEIVER, STACK_LOCAL_AWS };
    static const char *const names[] = {
        [STACK_RECEIVER] = "callback-receiver", [STACK_LOCAL_AWS] = "local-aws"
    };
    if (post(d, OUTAGE, err) < 0 || wait_for_task(d, OUTAGE, err) < 0)
        return -1;
    clock_sleep_ms(clock_system(), 500);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        screen_event("kill -9 %d   %s", (int)program_pid(stack_program(d->stack, parts[i])),
                     names[parts[i]]);
        stack_kill(d->stack, parts[i]);
    }
    clock_sleep_ms(clock_system(), DOWN_MS);
    for (size_t i = ARRAY_LEN(parts); i-- > 0;) {
        if (stack_revive(d->stack, parts[i], err) < 0)
            return -1;
        screen_event("%s runs again", names[parts[i]]);
    }
    return finish(d, OUTAGE, err);
}

/* What a row must be: its end, its tasks, its invocations. NULL where it is. */
static const char *wrong(const struct scenario *s, const struct facts *f)
{
    if (!f->status || strcmp(f->status, s->status) != 0)
        return "status";
    if (s->type && (!f->type || strcmp(f->type, s->type) != 0))
        return "reason";
    if (!s->type && !f->result)
        return "result";
    if (f->tasks != s->tasks)
        return "tasks";
    return !s->invocations || f->invocations == s->invocations ? NULL : "invocations";
}

static int show_table(struct demo *d)
{
    struct facts sum = { 0 };
    int bad = 0;
    screen_table_head();
    for (size_t i = 0; i < SCENARIOS; i++) {
        const char *what = wrong(&scenarios[i], &d->facts[i]);
        screen_table_row(scenarios[i].name, &d->facts[i], what);
        bad += what != NULL;
        sum.launcher_ms += d->facts[i].launcher_ms;
        sum.took_ms += d->facts[i].took_ms;
    }
    screen_table_end(bad, &sum);
    return bad ? -1 : 0;
}

static int play(struct demo *d, struct error *err)
{
    screen_title("lambda-ecs-durable-c: container jobs as steps of durable workflows");
    screen_detail("HTTP API %s   callbacks %s   AWS APIs %s", stack_http_url(d->stack),
                  stack_callbacks_url(d->stack), stack_aws_url(d->stack));
    for (size_t i = 0; i < OUTAGE; i++)
        if (post(d, i, err) < 0)
            return -1;
    if (kill_container(d, err) < 0)
        return -1;
    for (size_t i = 0; i < OUTAGE; i++)
        if (finish(d, i, err) < 0)
            return -1;
    return outage(d, err);
}

int demo_run(const char *bin_dir, struct error *err)
{
    struct demo d = { 0 };
    int status = demo_open(&d, bin_dir, err);
    if (status == 0)
        status = play(&d, err);
    if (status == 0)
        status = show_table(&d);
    if (demo_close(&d) < 0 && status == 0)
        status = error_set(err, ERR_IO, 0, "a program did not stop cleanly");
    return status;
}

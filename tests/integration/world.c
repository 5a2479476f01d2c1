#include "tests/integration/world.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/aws/lambda_client.h"
#include "shared/token/token.h"

#define END_MS   180000
#define SOON_MS  60000
#define PAUSE_MS 20

void world_start(struct world *w, const struct stack_options *options)
{
    struct error err = { 0 };
    struct stack_options o = options ? *options : (struct stack_options){ 0 };
    o.bin_dir = getenv("BIN_DIR") ? getenv("BIN_DIR") : "build/bin";
    *w = (struct world){ 0 };
    http_global_init();
    w->stack = stack_start(&o, &err);
    cr_assert_not_null(w->stack, "%s", err.msg);
    w->aws_options.region = mem_dup("us-east-1");
    w->aws_options.endpoint = mem_dup(stack_aws_url(w->stack));
    w->aws_options.access_key = mem_dup("test");
    w->aws_options.secret_key = mem_dup("test");
    w->aws = aws_new(&w->aws_options, clock_system(), &err);
    w->api = api_new(stack_http_url(w->stack), &err);
    w->callbacks = api_new(stack_callbacks_url(w->stack), &err);
    w->local = api_new(stack_aws_url(w->stack), &err);
    cr_assert(w->aws && w->api && w->callbacks && w->local, "%s", err.msg);
}

void world_stop(struct world *w)
{
    int status = stack_stop(w->stack);
    aws_free(w->aws);
    api_free(w->api);
    api_free(w->callbacks);
    api_free(w->local);
    free(w->aws_options.region);
    free(w->aws_options.endpoint);
    free(w->aws_options.access_key);
    free(w->aws_options.secret_key);
    http_global_cleanup();
    cr_assert_eq(status, 0, "a program did not stop cleanly");
}

char *world_post(struct world *w, const char *body)
{
    struct error err = { 0 };
    char *id = NULL;
    cr_assert_eq(api_start(w->api, body, &id, &err), 0, "%s", err.msg);
    return id;
}

struct json_object *world_end(struct world *w, const char *id)
{
    struct error err = { 0 };
    struct json_object *ended = NULL;
    cr_assert_eq(api_wait(w->api, id, END_MS, &ended, &err), 0, "%s", err.msg);
    return ended;
}

void world_expect(struct world *w, const char *id, const char *status, const char *type,
                  struct facts *out)
{
    struct error err = { 0 };
    auto_json struct json_object *ended = world_end(w, id);
    cr_assert_eq(facts_read(w->api, w->aws, "local", id, ended, out, &err), 0, "%s", err.msg);
    cr_assert_str_eq(out->status, status, "%s: %s", id, json_text(ended, NULL));
    if (type)
        cr_assert_str_eq(out->type, type, "%s", json_text(ended, NULL));
    struct history_facts history;
    world_history(w, id, &history);
}

void world_history(struct world *w, const char *id, struct history_facts *out)
{
    struct error err = { 0 };
    auto_free char *arn = world_arn(id);
    cr_assert_eq(history_check(w->aws, arn, out, &err), 0, "%s", err.msg);
}

int world_task_pid(struct world *w, const char *id)
{
    for (int i = 0; i < SOON_MS / PAUSE_MS; i++) {
        int pid = facts_task_pid(w->local, id);
        if (pid > 0)
            return pid;
        clock_sleep_ms(clock_system(), PAUSE_MS);
    }
    cr_assert_fail("the task of %s does not run", id);
    return 0;
}

void world_suspended(struct world *w, const char *id, int invocations)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + SOON_MS;
    while (facts_invocations(w->api, id) < invocations || world_busy(w, "launcher") > 0) {
        cr_assert_lt(clock_mono_ms(clock_system()), until_ms, "%s does not suspend", id);
        clock_sleep_ms(clock_system(), PAUSE_MS);
    }
}

char *world_go(const struct world *w)
{
    return mem_printf("%s/go", stack_state_dir(w->stack));
}

void world_let_go(const struct world *w)
{
    auto_free char *path = world_go(w);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fclose(f);
}

void world_gone(int pid)
{
    for (int i = 0; i < SOON_MS / PAUSE_MS && kill(pid, 0) == 0; i++)
        clock_sleep_ms(clock_system(), PAUSE_MS);
    cr_assert_neq(kill(pid, 0), 0, "process %d still runs", pid);
}

static int running_tasks(struct world *w)
{
    struct error err = { 0 };
    auto_answer struct api_answer a = { 0 };
    cr_assert_eq(api_send(w->local, "GET", "/_local/tasks", NULL, NULL, &a, &err), 0, "%s",
                 err.msg);
    struct json_object *tasks = json_get_arr(a.json, "tasks");
    int running = 0;
    for (size_t i = 0; tasks && i < json_object_array_length(tasks); i++) {
        const char *status = json_get_str(json_object_array_get_idx(tasks, i), "lastStatus");
        running += !status || strcmp(status, "STOPPED") != 0;
    }
    return running;
}

void world_no_task_runs(struct world *w)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + END_MS;
    while (running_tasks(w) > 0) {
        cr_assert_lt(clock_mono_ms(clock_system()), until_ms, "%d tasks run", running_tasks(w));
        clock_sleep_ms(clock_system(), PAUSE_MS);
    }
}

/* Adds the JSON object of each line of `path` that has `word` in it. */
static void read_log(const char *path, const char *word, struct json_object *lines)
{
    char *line = NULL;
    size_t size = 0;
    FILE *f = fopen(path, "r");
    while (f && getline(&line, &size, f) > 0) {
        struct error not_json;
        struct json_object *o = NULL;
        const char *begin = strchr(line, '{'); /* a log may say in front whose line it is */
        if (begin && strstr(line, word) && json_parse_str(begin, &o, &not_json) == 0)
            json_object_array_add(lines, o);
    }
    free(line);
    if (f)
        fclose(f);
}

struct json_object *world_log_lines(struct world *w, const char *word)
{
    static const char *const functions[] = { "launcher", "api", "events" };
    struct json_object *lines = json_object_new_array();
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        auto_free char *path =
            mem_printf("%s/logs/%s.log", stack_state_dir(w->stack), functions[i]);
        read_log(path, word, lines);
    }
    return lines;
}

void world_fault(struct world *w, const char *fault)
{
    struct error err = { 0 };
    auto_answer struct api_answer a = { 0 };
    const char *method = fault ? "POST" : "DELETE";
    cr_assert_eq(api_send(w->local, method, "/_local/faults", NULL, fault, &a, &err), 0, "%s",
                 err.msg);
    cr_assert_eq(a.status, fault ? 201 : 204, "%d %s", a.status, a.text);
}

int world_faults_left(struct world *w)
{
    struct error err = { 0 };
    auto_answer struct api_answer a = { 0 };
    cr_assert_eq(api_send(w->local, "GET", "/_local/faults", NULL, NULL, &a, &err), 0, "%s",
                 err.msg);
    cr_assert_eq(a.status, 200, "%s", a.text);
    return (int)json_object_array_length(json_get_arr(a.json, "faults"));
}

struct json_object *world_requests(struct world *w, const char *operation)
{
    struct error err = { 0 };
    auto_answer struct api_answer a = { 0 };
    auto_free char *path = mem_printf("/_local/requests?operation=%s", operation);
    cr_assert_eq(api_send(w->local, "GET", path, NULL, NULL, &a, &err), 0, "%s", err.msg);
    cr_assert_eq(a.status, 200);
    return json_object_get(json_get_arr(a.json, "requests"));
}

static int busy_environments(struct json_object *function)
{
    struct json_object *environments = json_get_arr(function, "environments");
    int busy = 0;
    for (size_t i = 0; environments && i < json_object_array_length(environments); i++) {
        const char *state = json_get_str(json_object_array_get_idx(environments, i), "state");
        busy += strcmp(state, "busy") == 0;
    }
    return busy;
}

int world_busy(struct world *w, const char *function)
{
    struct error err = { 0 };
    auto_answer struct api_answer a = { 0 };
    cr_assert_eq(api_send(w->local, "GET", "/_local/functions", NULL, NULL, &a, &err), 0, "%s",
                 err.msg);
    struct json_object *functions = json_get_arr(a.json, "functions");
    for (size_t i = 0; functions && i < json_object_array_length(functions); i++) {
        struct json_object *f = json_object_array_get_idx(functions, i);
        if (strcmp(json_get_str(f, "name"), function) == 0)
            return busy_environments(f);
    }
    cr_assert_fail("no function %s: %s", function, a.text);
    return 0;
}

char *world_arn(const char *id)
{
    auto_free char *parts = mem_dup(id);
    char *fields[4] = { parts, NULL, NULL, NULL };
    for (size_t i = 1; i < 4; i++) {
        char *dot = strchr(fields[i - 1], '.');
        cr_assert_not_null(dot, "%s", id);
        *dot = '\0';
        fields[i] = dot + 1;
    }
    return mem_printf(
        "arn:aws:lambda:us-east-1:123456789012:function:%s:%s/durable-execution/%s/%s", fields[0],
        fields[1], fields[2], fields[3]);
}

static char *find_callback_id(struct json_object *history)
{
    struct json_object *events = json_get_arr(history, "Events");
    for (size_t i = 0; events && i < json_object_array_length(events); i++) {
        struct json_object *details =
            json_get_obj(json_object_array_get_idx(events, i), "CallbackStartedDetails");
        if (details)
            return mem_dup(json_get_str(details, "CallbackId"));
    }
    return NULL;
}

char *world_callback_id(struct world *w, const char *id)
{
    struct error err = { 0 };
    auto_free char *arn = world_arn(id);
    for (int i = 0; i < SOON_MS / PAUSE_MS; i++) {
        auto_json struct json_object *history = NULL;
        cr_assert_eq(lambda_get_history(w->aws, arn, true, NULL, 0, &history, &err), 0, "%s",
                     err.msg);
        char *found = find_callback_id(history);
        if (found)
            return found;
        clock_sleep_ms(clock_system(), PAUSE_MS);
    }
    cr_assert_fail("%s creates no callback", id);
    return NULL;
}

char *world_token(struct world *w, const char *callback_id, bool launcher, int64_t lifetime_s)
{
    struct error err = { 0 };
    struct buf b = BUF_INIT(TOKEN_MAX);
    struct token_keys *keys = token_keys_new(stack_token_keys(w->stack), NULL, &err);
    cr_assert_not_null(keys, "%s", err.msg);
    struct token_content content = {
        .scope = launcher ? TOKEN_SCOPE_LAUNCHER : TOKEN_SCOPE_JOB,
        .expires_s = clock_wall_ms(clock_system()) / 1000 + lifetime_s,
    };
    snprintf(content.callback_id, sizeof(content.callback_id), "%s", callback_id);
    cr_assert_eq(token_seal(keys, &content, &b, &err), 0, "%s", err.msg);
    token_keys_free(keys);
    return buf_take(&b, NULL);
}

int world_report(struct world *w, const char *method, const char *callback_id, const char *what,
                 const char *token, const char *body, struct api_answer *out)
{
    struct error err = { 0 };
    char public_id[TOKEN_PUBLIC_ID];
    token_public_id(callback_id, public_id);
    auto_free char *path = mem_printf("/v1/callbacks/%s%s", public_id, what);
    auto_free char *bearer = mem_printf("Bearer %s", token ? token : "");
    struct http_header headers[3] = { { "Content-Type", "application/json" } };
    if (token)
        headers[1] = (struct http_header){ "Authorization", bearer };
    cr_assert_eq(api_send(w->callbacks, method, path, headers, body, out, &err), 0, "%s", err.msg);
    return out->status;
}

char *world_state(struct world *w, const char *callback_id)
{
    auto_answer struct api_answer a = { 0 };
    auto_free char *token = world_token(w, callback_id, true, 3600);
    cr_assert_eq(world_report(w, "GET", callback_id, "", token, NULL, &a), 200, "%s", a.text);
    return mem_dup(json_get_str(a.json, "state"));
}

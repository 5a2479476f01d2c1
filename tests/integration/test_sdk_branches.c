/* Branches of a batch at the same time: what waits in one goes on while another executes, the limit
 * of concurrency holds, many of them end in order, nothing stays behind an invocation. Where a test
 * says "meanwhile", a step's body waits for a file that the other branch makes at its end: it ends
 * only if both go on in one process. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/sdk_rig.h"

#define LIMIT_MS 60000

/* ---- bodies ---------------------------------------------------------------------------------- */

static int touch(struct durable_step *step, void *arg, struct json_object **out,
                 struct durable_error *err)
{
    (void)step, (void)out, (void)err;
    int fd = open(arg, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : close(fd);
}

static bool appears(const char *path)
{
    for (int ms = 0; ms < LIMIT_MS; ms += 10) {
        if (access(path, F_OK) == 0)
            return true;
        clock_sleep_ms(clock_system(), 10);
    }
    return false;
}

static int await_file(struct durable_step *step, void *arg, struct json_object **out,
                      struct durable_error *err)
{
    (void)step;
    if (!appears(arg)) {
        durable_error_set(err, "Alone", "the other branch did not go on");
        return -1;
    }
    *out = json_object_new_string("met");
    return 0;
}

static const struct durable_step_opts once = { .retry = DURABLE_RETRY_NONE };

static enum durable_rc executing(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)in;
    return durable_step(ctx, "executing", await_file, arg, &once, out, err);
}

/* ---- what goes on meanwhile ------------------------------------------------------------------ */

static int second_time(struct durable_step *step, void *arg, struct json_object **out,
                       struct durable_error *err)
{
    (void)arg, (void)out;
    if (durable_step_attempt(step) > 1)
        return 0;
    durable_error_set(err, "Once", "the first attempt fails");
    return -1;
}

static int second_poll(struct durable_step *step, struct json_object *state, void *arg,
                       struct json_object **next, bool *done, struct durable_error *err)
{
    (void)state, (void)arg, (void)next, (void)err;
    *done = durable_step_attempt(step) > 1;
    return 0;
}

static enum durable_rc by_wait(struct durable_ctx *ctx, struct durable_error *err)
{
    DURABLE_TRY(durable_wait(ctx, "1", 1, err));
    return durable_wait(ctx, "2", 1, err);
}

static enum durable_rc by_retry(struct durable_ctx *ctx, struct durable_error *err)
{
    static const struct durable_step_opts opts = { .retry = DURABLE_RETRY_FIXED(3, 1) };
    return durable_step(ctx, "retried", second_time, NULL, &opts, NULL, err);
}

static enum durable_rc by_condition(struct durable_ctx *ctx, struct durable_error *err)
{
    static const struct durable_condition_opts opts = {
        .polling = { .first_delay_s = 1, .jitter = DURABLE_JITTER_NONE }
    };
    return durable_wait_for_condition(ctx, "polled", second_poll, NULL, &opts, NULL, err);
}

static enum durable_rc by_callback(struct durable_ctx *ctx, struct durable_error *err)
{
    auto_durable_callback struct durable_callback cb = { 0 };
    DURABLE_TRY(durable_callback_create(ctx, "answer", NULL, &cb, err));
    return durable_callback_result(ctx, &cb, NULL, err);
}

static enum durable_rc by_invoke(struct durable_ctx *ctx, struct durable_error *err)
{
    return durable_invoke(ctx, "other", "echo:$LATEST", NULL, NULL, NULL, err);
}

static enum durable_rc wait_body(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg, (void)out;
    return by_wait(ctx, err);
}

static enum durable_rc by_child(struct durable_ctx *ctx, struct durable_error *err)
{
    return durable_child(ctx, "child", wait_body, NULL, NULL, NULL, NULL, err);
}

static enum durable_rc by_batch(struct durable_ctx *ctx, struct durable_error *err)
{
    const struct durable_branch branches[] = { { NULL, wait_body, NULL },
                                               { NULL, wait_body, NULL } };
    auto_durable_batch struct durable_batch *batch = NULL;
    return durable_parallel(ctx, "inner", branches, 2, NULL, &batch, err);
}

static const struct {
    const char *name;
    enum durable_rc (*run)(struct durable_ctx *ctx, struct durable_error *err);
} others[] = {
    { "wait", by_wait },         { "retry", by_retry },   { "condition", by_condition },
    { "callback", by_callback }, { "invoke", by_invoke }, { "child", by_child },
    { "batch", by_batch },
};

/* `arg`: "NAME PATH" */
static enum durable_rc other(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)in, (void)out;
    const char *text = arg, *space = strchr(text, ' ');
    auto_free char *path = mem_dup(space + 1);
    durable_log(ctx, DURABLE_LOG_INFO, "the other begins");
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (strncmp(text, others[i].name, (size_t)(space - text)) == 0 &&
            others[i].name[space - text] == '\0')
            DURABLE_TRY(others[i].run(ctx, err));
    durable_log(ctx, DURABLE_LOG_INFO, "the other ends");
    return durable_step(ctx, "touch", touch, path, &once, NULL, err);
}

/* {"what":NAME,"path":PATH} */
static enum durable_rc meanwhile(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)arg;
    auto_free char *path = mem_dup(json_get_str(in, "path"));
    auto_free char *what = mem_printf("%s %s", json_get_str(in, "what"), path);
    const struct durable_branch branches[] = { { "executing", executing, path },
                                               { "other", other, what } };
    auto_durable_batch struct durable_batch *batch = NULL;
    DURABLE_TRY(durable_parallel(ctx, "both", branches, 2, NULL, &batch, err));
    DURABLE_TRY(durable_batch_check(batch, err));
    *out = json_object_get(durable_batch_value(batch, 0));
    return DURABLE_OK;
}

static enum durable_rc echo(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    (void)arg;
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    *out = json_object_get(in);
    return DURABLE_OK;
}

/* ---- how many at a time ---------------------------------------------------------------------- */

/* Counts the files of those that are in it; `arg` is their folder. */
static int crowd(struct durable_step *step, void *arg, struct json_object **out,
                 struct durable_error *err)
{
    (void)err;
    const char *dir = arg;
    int64_t n = 0;
    auto_free char *own = mem_printf("%s/%s", dir, durable_step_token(step));
    if (touch(step, own, NULL, err) < 0)
        return -1;
    clock_sleep_ms(clock_system(), 30);
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    unlink(own);
    *out = json_object_new_int64(n);
    return 0;
}

static enum durable_rc crowded(struct durable_ctx *ctx, struct json_object *item, size_t index,
                               void *arg, struct json_object **out, struct durable_error *err)
{
    (void)item, (void)index;
    return durable_step(ctx, NULL, crowd, arg, &once, out, err);
}

/* {"dir":PATH,"items":N,"max":N or absent}: how many bodies ran at a time, at most. */
static enum durable_rc crowds(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)arg;
    auto_free char *dir = mem_dup(json_get_str(in, "dir"));
    auto_json struct json_object *items = json_object_new_array();
    auto_durable_batch struct durable_batch *batch = NULL;
    int64_t max = json_get_int(in, "max", 0), most = 0;
    const struct durable_batch_opts opts = { .max_concurrency = { max > 0, (double)max } };
    for (int64_t i = 0; i < json_get_int(in, "items", 0); i++)
        json_object_array_add(items, json_object_new_int64(i));
    DURABLE_TRY(durable_map(ctx, "crowd", items, crowded, dir, &opts, &batch, err));
    DURABLE_TRY(durable_batch_check(batch, err));
    for (size_t i = 0; i < durable_batch_total(batch); i++)
        if (json_object_get_int64(durable_batch_value(batch, i)) > most)
            most = json_object_get_int64(durable_batch_value(batch, i));
    *out = json_object_new_int64(most);
    return DURABLE_OK;
}

static int square(struct durable_step *step, void *arg, struct json_object **out,
                  struct durable_error *err)
{
    (void)step, (void)err;
    int64_t n = json_object_get_int64(arg);
    *out = json_object_new_int64(n * n);
    return 0;
}

static enum durable_rc squared(struct durable_ctx *ctx, struct json_object *item, size_t index,
                               void *arg, struct json_object **out, struct durable_error *err)
{
    (void)arg;
    if (index % 10 == 0)
        DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    return durable_step(ctx, NULL, square, item, NULL, out, err);
}

static enum durable_rc many(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    (void)arg;
    auto_json struct json_object *items = json_object_new_array();
    auto_durable_batch struct durable_batch *batch = NULL;
    for (int64_t i = 0; i < json_object_get_int64(in); i++)
        json_object_array_add(items, json_object_new_int64(i));
    DURABLE_TRY(durable_map(ctx, "squares", items, squared, NULL, NULL, &batch, err));
    for (size_t i = 0; i < durable_batch_total(batch); i++)
        if (json_object_get_int64(durable_batch_value(batch, i)) != (int64_t)(i * i))
            return DURABLE_FATAL;
    *out = json_object_new_int64((int64_t)durable_batch_succeeded(batch));
    return DURABLE_OK;
}

/* ---- slots, names, abandonment --------------------------------------------------------------- */

static enum durable_rc waits_first(struct durable_ctx *ctx, struct json_object *item, size_t index,
                                   void *arg, struct json_object **out, struct durable_error *err)
{
    (void)arg;
    DURABLE_TRY(durable_wait(ctx, NULL, index == 0 ? 2 : 1, err));
    *out = json_object_get(item);
    return DURABLE_OK;
}

/* One at a time: an item that waits keeps its place. */
static enum durable_rc slots(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_batch_opts opts = { .max_concurrency = DURABLE_LIMIT(1) };
    auto_durable_batch struct durable_batch *batch = NULL;
    DURABLE_TRY(durable_map(ctx, "slots", in, waits_first, NULL, &opts, &batch, err));
    *out = durable_batch_values(batch);
    return DURABLE_OK;
}

/* Two waits in branches of their own. */
static enum durable_rc two_waits(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)arg;
    auto_durable_batch struct durable_batch *batch = NULL;
    DURABLE_TRY(durable_map(ctx, NULL, in, waits_first, NULL, NULL, &batch, err));
    *out = durable_batch_values(batch);
    return DURABLE_OK;
}

/* Ends soon after it has been abandoned; then goes on as if nothing were. */
static int until_abandoned(struct durable_step *step, void *arg, struct json_object **out,
                           struct durable_error *err)
{
    (void)arg, (void)out, (void)err;
    for (int ms = 0; ms < LIMIT_MS && !durable_step_abandoned(step); ms += 5)
        clock_sleep_ms(clock_system(), 5);
    return 0;
}

static enum durable_rc loser(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)in, (void)out;
    enum durable_rc rc = durable_step(ctx, "long", until_abandoned, NULL, NULL, NULL, err);
    if (rc != DURABLE_SUSPENDED)
        return rc;
    /* A branch that does not look at the code: nothing of this may be recorded. */
    rc = durable_step(ctx, "orphan", touch, arg, NULL, NULL, err);
    return rc == DURABLE_SUSPENDED ? DURABLE_OK : rc;
}

static int nothing(struct durable_step *step, void *arg, struct json_object **out,
                   struct durable_error *err)
{
    (void)step, (void)arg, (void)out, (void)err;
    return 0;
}

static enum durable_rc winner(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg, (void)out;
    return durable_step(ctx, "short", nothing, NULL, NULL, NULL, err);
}

static enum durable_rc abandons(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_batch_opts first = { .completion = { .min_successful =
                                                                         DURABLE_LIMIT(1) } };
    auto_free char *path = mem_dup(json_object_get_string(in));
    const struct durable_branch branches[] = { { "loser", loser, path },
                                               { "winner", winner, NULL } };
    auto_durable_batch struct durable_batch *batch = NULL;
    DURABLE_TRY(durable_parallel(ctx, "race", branches, 2, &first, &batch, err));
    DURABLE_TRY(durable_step(ctx, "behind", nothing, NULL, NULL, NULL, err));
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    *out = json_object_new_string(access(path, F_OK) == 0 ? "an orphan ran" : "clean");
    return DURABLE_OK;
}

/* A branch that changes between invocations ends the execution, whatever the others do. */
static enum durable_rc changing(struct durable_ctx *ctx, struct json_object *item, size_t index,
                                void *arg, struct json_object **out, struct durable_error *err)
{
    (void)item, (void)arg, (void)out;
    const char *name = index == 1 && durable_is_replaying(ctx) ? "changed" : "same";
    DURABLE_TRY(durable_step(ctx, name, nothing, NULL, NULL, NULL, err));
    return durable_wait(ctx, NULL, 1, err);
}

static enum durable_rc changes(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg, (void)out;
    auto_durable_batch struct durable_batch *batch = NULL;
    return durable_map(ctx, NULL, in, changing, NULL, NULL, &batch, err);
}

const struct sdk_rig_handler sdk_rig_handlers[] = {
    { "meanwhile", meanwhile, "\"timeoutSeconds\":120" },
    { "echo", echo, NULL },
    { "crowds", crowds, NULL },
    { "many", many, NULL },
    { "slots", slots, NULL },
    { "two_waits", two_waits, NULL },
    { "abandons", abandons, NULL },
    { "changes", changes, NULL },
    { NULL, NULL, NULL },
};

/* ---- the tests ------------------------------------------------------------------------------- */

static struct lambda_rig rig;

static void begin(void)
{
    sdk_rig_start(&rig);
}

static void end(void)
{
    lambda_rig_stop(&rig);
}

TestSuite(branches, .init = begin, .fini = end, .timeout = 300);

Test(branches, go_on_while_another_executes)
{
    char *arns[ARRAY_LEN(others)];
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        auto_free char *input =
            mem_printf("{\"what\":\"%s\",\"path\":\"%s/met-%zu\"}", others[i].name, rig.dir, i);
        arns[i] = lambda_rig_begin(&rig, "meanwhile:$LATEST", input);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct history_facts facts;
        struct error err;
        if (strcmp(others[i].name, "callback") == 0) {
            auto_free char *id = lambda_rig_callback(&rig, arns[i]);
            cr_assert_eq(lambda_callback_success(rig.aws, id, "\"\"", 2, &err), 0, "%s", err.msg);
        }
        auto_json struct json_object *ended = lambda_rig_end(&rig, arns[i], "SUCCEEDED");
        cr_assert_str_eq(json_get_str(ended, "Result"), "\"met\"", "%s", others[i].name);
        sdk_rig_history(&rig, arns[i], &facts);
        cr_assert_eq(facts.invocations, 1, "%s: %d invocations", others[i].name, facts.invocations);
        /* Its body starts again when it goes on, and logs no line a second time. */
        cr_assert_eq(sdk_rig_logged(&rig, "meanwhile", arns[i], "the other begins"), 1);
        cr_assert_eq(sdk_rig_logged(&rig, "meanwhile", arns[i], "the other ends"), 1);
        free(arns[i]);
    }
}

static int64_t most_at_a_time(const char *members)
{
    static int n;
    auto_free char *dir = mem_printf("%s/crowd-%d", rig.dir, n++);
    cr_assert_eq(mkdir(dir, 0700), 0);
    auto_free char *input = mem_printf("{\"dir\":\"%s\",%s}", dir, members);
    auto_free char *result = sdk_rig_result(&rig, "crowds", input);
    return strtoll(result, NULL, 10);
}

Test(branches, keep_to_the_limit_of_concurrency)
{
    cr_assert_eq(most_at_a_time("\"items\":4,\"max\":1"), 1);
    int64_t two = most_at_a_time("\"items\":20,\"max\":2");
    cr_assert_eq(two, 2, "%lld at a time", (long long)two);
    int64_t all = most_at_a_time("\"items\":8");
    cr_assert_gt(all, 2, "%lld at a time", (long long)all);
}

Test(branches, may_be_many)
{
    auto_free char *result = sdk_rig_result(&rig, "many", "1000");
    cr_assert_str_eq(result, "1000");
}

Test(branches, keep_their_place_while_they_wait)
{
    auto_free char *arn = lambda_rig_begin(&rig, "slots:$LATEST", "[7,8]");
    auto_json struct json_object *ended = lambda_rig_end(&rig, arn, "SUCCEEDED");
    cr_assert_str_eq(json_get_str(ended, "Result"), "[7,8]");
    auto_free char *history = lambda_rig_history(&rig, arn);
    cr_assert_str_eq(history, "ExecutionStarted ContextStarted ContextStarted WaitStarted "
                              "InvocationCompleted WaitSucceeded ContextSucceeded ContextStarted "
                              "WaitStarted InvocationCompleted WaitSucceeded ContextSucceeded "
                              "ContextSucceeded InvocationCompleted ExecutionSucceeded");
}

Test(branches, that_all_wait_suspend_and_resume_one_by_one)
{
    auto_free char *arn = lambda_rig_begin(&rig, "two_waits:$LATEST", "[7,8]");
    auto_json struct json_object *ended = lambda_rig_end(&rig, arn, "SUCCEEDED");
    cr_assert_str_eq(json_get_str(ended, "Result"), "[7,8]");
    struct history_facts facts;
    sdk_rig_history(&rig, arn, &facts);
    cr_assert_eq(facts.invocations, 3, "%d invocations", facts.invocations);
}

Test(branches, that_are_abandoned_record_nothing)
{
    auto_free char *input = mem_printf("\"%s/orphan\"", rig.dir);
    auto_free char *result = sdk_rig_result(&rig, "abandons", input);
    cr_assert_str_eq(result, "\"clean\"");
}

Test(branches, that_change_end_the_execution)
{
    sdk_rig_fails(&rig, "changes", "[1,2,3]", "NonDeterministicExecutionError", NULL);
}

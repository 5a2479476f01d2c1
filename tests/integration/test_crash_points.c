/* A workflow that uses every operation, and its function's process killed before and after each of
 * its checkpoints, one after the other, until a run goes by untouched; then each answer lost, and
 * each refused for a moment. Whatever happened: the same result as without, and no body of an
 * at-most-once step run twice for an attempt. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/digest.h"
#include "tests/integration/sdk_rig.h"

#define LARGE     (300 * 1024) /* over what a checkpoint records of a context */
#define SWEEP_MAX 200
#define END_MS    120000
#define TEAM      8  /* runs at the same time: most of a run is waiting */
#define KILLS     60 /* at any moment, of a team */
#define SPEED     30 /* of the engine's waits and delays */
#define ANSWER    "\"yes\""

/* ---- the workflow ---------------------------------------------------------------------------- */

/* A body that leaves a line "NAME TOKEN ATTEMPT" in the file of marks and gives its name. */
struct marked {
    const char *marks;
    const char *name;
    unsigned failures; /* attempts that fail first */
};

static void leave_mark(struct durable_step *step, const struct marked *m)
{
    auto_free char *line =
        mem_printf("%s %s %u\n", m->name, durable_step_token(step), durable_step_attempt(step));
    auto_close int fd = open(m->marks, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line))
        _exit(9);
}

static int work(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    const struct marked *m = arg;
    leave_mark(step, m);
    if (durable_step_attempt(step) <= m->failures) {
        durable_error_set(err, "Planned", "%s fails at first", m->name);
        return -1;
    }
    *out = json_object_new_string(m->name);
    return 0;
}

static int submit(struct durable_step *step, const char *callback_id, void *arg,
                  struct durable_error *err)
{
    (void)callback_id, (void)err;
    leave_mark(step, arg);
    return 0;
}

static int count_to_two(struct durable_step *step, struct json_object *state, void *arg,
                        struct json_object **next, bool *done, struct durable_error *err)
{
    (void)err;
    leave_mark(step, arg);
    int n = json_object_get_int(state) + 1;
    *next = json_object_new_int(n);
    *done = n >= 2;
    return 0;
}

/* The workflow under way: where its marks go, and the list of what its parts gave. */
struct flow {
    struct durable_ctx *ctx;
    const char *marks;
    struct json_object *results;
    struct durable_error *err;
};

/* Takes `value` over. */
static void result(const struct flow *f, struct json_object *value)
{
    json_object_array_add(f->results, value);
}

static const struct durable_step_opts thrice = { .retry = DURABLE_RETRY_FIXED(3, 1) };

static enum durable_rc steps(const struct flow *f)
{
    static const struct durable_step_opts careful = { .retry = DURABLE_RETRY_FIXED(100, 1),
                                                      .at_most_once = true };
    static const struct durable_step_opts once = { .retry = DURABLE_RETRY_NONE,
                                                   .at_most_once = true };
    struct marked plain = { f->marks, "plain", 0 }, retried = { f->marks, "retried", 1 };
    struct marked charge = { f->marks, "once-charge", 0 }, risky = { f->marks, "once-risky", 0 };
    struct json_object *a = NULL, *b = NULL, *c = NULL;
    DURABLE_TRY(durable_step(f->ctx, "plain", work, &plain, NULL, &a, f->err));
    result(f, a);
    DURABLE_TRY(durable_step(f->ctx, "retried", work, &retried, &thrice, &b, f->err));
    result(f, b);
    DURABLE_TRY(durable_step(f->ctx, "once-charge", work, &charge, &careful, &c, f->err));
    result(f, c);
    /* Interrupted it has failed, which is no part of the result. */
    enum durable_rc rc = durable_step(f->ctx, "once-risky", work, &risky, &once, NULL, f->err);
    return rc == DURABLE_FAILED ? DURABLE_OK : rc;
}

static enum durable_rc outside(const struct flow *f)
{
    static const struct durable_callback_opts opts = { .timeout_s = 86400, .json = true };
    struct marked told = { f->marks, "told", 0 }, submitted = { f->marks, "submitted", 0 };
    auto_durable_callback struct durable_callback cb = { 0 };
    struct json_object *a = NULL, *b = NULL, *c = NULL;
    DURABLE_TRY(durable_callback_create(f->ctx, "answer", &opts, &cb, f->err));
    DURABLE_TRY(durable_step(f->ctx, "tell", work, &told, NULL, NULL, f->err));
    DURABLE_TRY(durable_callback_result(f->ctx, &cb, &a, f->err));
    result(f, a);
    DURABLE_TRY(
        durable_wait_for_callback(f->ctx, "approval", submit, &submitted, NULL, &b, f->err));
    result(f, b);
    DURABLE_TRY(durable_invoke(f->ctx, "other", "echo:$LATEST", f->results, NULL, &c, f->err));
    result(f, c);
    return DURABLE_OK;
}

static enum durable_rc polls(const struct flow *f)
{
    static const struct durable_condition_opts opts = {
        .polling = { .first_delay_s = 1, .rate = 1, .jitter = DURABLE_JITTER_NONE }
    };
    struct marked poll = { f->marks, "poll", 0 };
    struct json_object *n = NULL;
    DURABLE_TRY(durable_wait(f->ctx, "pause", 1, f->err));
    DURABLE_TRY(durable_wait_for_condition(f->ctx, "two", count_to_two, &poll, &opts, &n, f->err));
    result(f, n);
    return DURABLE_OK;
}

/* A child whose result is rebuilt from its step by every later invocation. */
static enum durable_rc large(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)in;
    struct marked seed = { arg, "seed", 0 };
    struct json_object *value = NULL;
    DURABLE_TRY(durable_step(ctx, "seed", work, &seed, NULL, &value, err));
    char *text = mem_alloc(LARGE);
    memset(text, json_object_get_string(value)[0], LARGE);
    *out = json_object_new_string_len(text, LARGE);
    free(text);
    json_object_put(value);
    return DURABLE_OK;
}

static enum durable_rc twice(struct durable_ctx *ctx, unsigned attempt, struct json_object *in,
                             void *arg, struct json_object **out, struct durable_error *err)
{
    (void)in;
    struct marked part = { arg, "part", 0 };
    DURABLE_TRY(durable_step(ctx, "part", work, &part, NULL, NULL, err));
    if (attempt < 2) {
        durable_error_set(err, "Planned", "the first attempt fails");
        return DURABLE_FAILED;
    }
    *out = json_object_new_int64(attempt);
    return DURABLE_OK;
}

static enum durable_rc contexts(const struct flow *f)
{
    static const struct durable_retry soon = DURABLE_RETRY_FIXED(3, 1);
    struct json_object *big = NULL, *n = NULL;
    char *marks = mem_dup(f->marks);
    enum durable_rc rc = durable_child(f->ctx, "large", large, NULL, marks, NULL, &big, f->err);
    if (rc == DURABLE_OK)
        rc = durable_with_retry(f->ctx, "group", twice, NULL, marks, &soon, &n, f->err);
    free(marks);
    if (rc == DURABLE_OK) {
        result(f, json_object_new_int(json_object_get_string_len(big)));
        result(f, n);
    }
    json_object_put(big);
    return rc;
}

/* ---- batches --------------------------------------------------------------------------------- */

/* `arg` of a branch: the file of marks. */
static enum durable_rc quick(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)in;
    struct marked m = { arg, "quick", 0 };
    return durable_step(ctx, "quick", work, &m, NULL, out, err);
}

static enum durable_rc slow(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    (void)in;
    static const struct durable_step_opts careful = { .retry = DURABLE_RETRY_FIXED(100, 1),
                                                      .at_most_once = true };
    struct marked m = { arg, "once-slow", 1 };
    DURABLE_TRY(durable_wait(ctx, "first", 1, err));
    return durable_step(ctx, "slow", work, &m, &careful, out, err);
}

static enum durable_rc never(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg, (void)out;
    return durable_wait(ctx, "never", 864000, err);
}

/* Even items wait, item 3 fails. */
static enum durable_rc item(struct durable_ctx *ctx, struct json_object *value, size_t index,
                            void *arg, struct json_object **out, struct durable_error *err)
{
    (void)value;
    static const struct durable_step_opts once = { .retry = DURABLE_RETRY_NONE };
    auto_free char *name = mem_printf("item-%zu", index);
    struct marked m = { arg, name, index == 3 ? 9 : 0 };
    if (index % 2 == 0)
        DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    return durable_step(ctx, "item", work, &m, &once, out, err);
}

static enum durable_rc inner_map(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)in;
    static const struct durable_batch_opts flat = { .flat = true };
    auto_json struct json_object *items = json_object_new_array();
    auto_durable_batch struct durable_batch *batch = NULL;
    json_object_array_add(items, NULL);
    json_object_array_add(items, NULL);
    DURABLE_TRY(durable_map(ctx, "flat", items, item, arg, &flat, &batch, err));
    *out = durable_batch_values(batch);
    return DURABLE_OK;
}

static enum durable_rc batches(const struct flow *f)
{
    static const struct durable_batch_opts tolerant = { .max_concurrency = DURABLE_LIMIT(2),
                                                        .completion = { .tolerated_failure_count =
                                                                            DURABLE_LIMIT(1) } };
    static const struct durable_batch_opts first = { .completion = { .min_successful =
                                                                         DURABLE_LIMIT(1) } };
    auto_free char *marks = mem_dup(f->marks);
    const struct durable_branch branches[] = { { "quick", quick, marks },
                                               { "slow", slow, marks },
                                               { NULL, inner_map, marks } };
    const struct durable_branch racers[] = { { "wins", quick, marks }, { "never", never, marks } };
    auto_json struct json_object *items = json_object_new_array();
    auto_durable_batch struct durable_batch *a = NULL, *b = NULL, *c = NULL;
    for (int i = 0; i < 5; i++)
        json_object_array_add(items, json_object_new_int(i));
    DURABLE_TRY(durable_parallel(f->ctx, "all", branches, 3, NULL, &a, f->err));
    result(f, durable_batch_json(a));
    DURABLE_TRY(durable_map(f->ctx, "items", items, item, marks, &tolerant, &b, f->err));
    result(f, durable_batch_json(b));
    DURABLE_TRY(durable_parallel(f->ctx, "first", racers, 2, &first, &c, f->err));
    result(f, durable_batch_values(c));
    struct json_object *settled = NULL;
    DURABLE_TRY(durable_all_settled(f->ctx, "settled", branches, 2, &settled, f->err));
    result(f, settled);
    return DURABLE_OK;
}

static enum durable_rc everything(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static enum durable_rc (*const parts[])(const struct flow *f) = { steps, polls, contexts,
                                                                      batches, outside };
    auto_json struct json_object *results = json_object_new_array();
    struct flow f = { ctx, json_get_str(in, "marks"), results, err };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        DURABLE_TRY(parts[i](&f));
    *out = MOVE(results);
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

const struct sdk_rig_handler sdk_rig_handlers[] = {
    { "everything", everything, "\"durable\":{\"executionTimeoutSeconds\":864000}" },
    { "echo", echo, NULL },
    { NULL, NULL, NULL },
};

/* ---- runs ------------------------------------------------------------------------------------ */

struct run {
    struct lambda_rig rig;
    char *marks;
    char *arn;
    struct json_object *answered; /* the ids of callbacks, as members */
    char *result;                 /* NULL: it has not ended */
};

static void begin(struct run *r, int n)
{
    r->marks = mem_printf("%s/marks-%d", r->rig.dir, n);
    auto_free char *input = mem_printf("{\"marks\":\"%s\"}", r->marks);
    r->arn = lambda_rig_begin(&r->rig, "everything:$LATEST", input);
    r->answered = json_object_new_object();
}

/* Answers the callbacks that have begun since. */
static void answer(struct run *r)
{
    struct error err;
    auto_json struct json_object *page = NULL;
    cr_assert_eq(lambda_get_history(r->rig.aws, r->arn, true, NULL, 1000, &page, &err), 0, "%s",
                 err.msg);
    struct json_object *events = json_get_arr(page, "Events");
    for (size_t i = 0; i < json_object_array_length(events); i++) {
        const char *id = json_get_str(
            json_get_obj(json_object_array_get_idx(events, i), "CallbackStartedDetails"),
            "CallbackId");
        if (!id || json_get(r->answered, id))
            continue;
        cr_assert_eq(lambda_callback_success(r->rig.aws, id, ANSWER, strlen(ANSWER), &err), 0, "%s",
                     err.msg);
        json_add_bool(r->answered, id, true);
    }
}

/* One look. False while it has not ended. */
static bool ended(struct run *r, const char *what)
{
    struct error err;
    auto_json struct json_object *o = NULL;
    if (r->result)
        return true;
    answer(r);
    cr_assert_eq(lambda_get_execution(r->rig.aws, r->arn, &o, &err), 0, "%s", err.msg);
    if (strcmp(json_get_str(o, "Status"), "RUNNING") == 0)
        return false;
    cr_assert_str_eq(json_get_str(o, "Status"), "SUCCEEDED", "%s: %s", what, json_text(o, NULL));
    r->result = mem_dup(json_get_str(o, "Result"));
    return true;
}

/* No line of an at-most-once body is there twice; one that is never retried is there once at most.
 */
static void check_marks(const struct run *r, const char *what)
{
    char lines[512][128];
    size_t count = 0, risky = 0;
    FILE *f = fopen(r->marks, "r");
    cr_assert_not_null(f);
    while (count < ARRAY_LEN(lines) && fgets(lines[count], sizeof(lines[0]), f)) {
        risky += strncmp(lines[count], "once-risky", 10) == 0;
        for (size_t i = 0; i < count && strncmp(lines[count], "once-", 5) == 0; i++)
            cr_assert_str_neq(lines[i], lines[count], "%s: ran twice", what);
        count++;
    }
    fclose(f);
    cr_assert_leq(risky, 1, "%s: once-risky ran %zu times", what, risky);
}

/* The undisturbed run's result, or what it must be. */
static char *finish(struct run *r, const char *what, const char *expected)
{
    struct history_facts facts;
    check_marks(r, what);
    sdk_rig_history(&r->rig, r->arn, &facts);
    if (expected)
        cr_assert_str_eq(r->result, expected, "%s", what);
    json_object_put(r->answered);
    free(MOVE(r->marks));
    free(MOVE(r->arn));
    return MOVE(r->result);
}

static void wait_for(struct run team[], size_t count, const char *what)
{
    int64_t until = clock_mono_ms(clock_system()) + END_MS;
    for (;;) {
        size_t open = 0;
        for (size_t k = 0; k < count; k++)
            open += !ended(&team[k], what);
        if (open == 0)
            return;
        cr_assert_lt(clock_mono_ms(clock_system()), until, "%s: no end", what);
        clock_sleep_ms(clock_system(), 50);
    }
}

static void team_start(struct run team[TEAM])
{
    for (int k = 0; k < TEAM; k++) {
        sdk_rig_start(&team[k].rig);
        sdk_rig_speed(&team[k].rig, SPEED);
    }
}

static void team_stop(struct run team[TEAM])
{
    for (int k = 0; k < TEAM; k++)
        lambda_rig_stop(&team[k].rig);
}

/* What comes of the workflow where nothing happens to it; the caller's. */
static char *undisturbed(struct run *r)
{
    begin(r, 0);
    wait_for(r, 1, "undisturbed");
    return finish(r, "undisturbed", NULL);
}

/* Meets `fault` (its members but skip) at each checkpoint in turn; returns how many runs met it.
 * How updates share checkpoints differs from run to run: it ends when a whole team met nothing. */
static int sweep(const char *fault)
{
    struct run team[TEAM] = { 0 };
    int touched = 0, round = 1;
    team_start(team);
    auto_free char *expected = undisturbed(&team[0]);
    for (int n = 0; round > 0; n += TEAM) {
        cr_assert_lt(n, SWEEP_MAX, "%s: no end", fault);
        round = 0;
        for (int k = 0; k < TEAM; k++) {
            auto_free char *json = mem_printf("{\"operation\":\"CheckpointDurableExecution\",%s,"
                                              "\"times\":1,\"skip\":%d}",
                                              fault, n + k);
            sdk_rig_fault(&team[k].rig, json);
            begin(&team[k], n + k + 1);
        }
        auto_free char *what = mem_printf("%s at checkpoint %d to %d", fault, n, n + TEAM - 1);
        wait_for(team, TEAM, what);
        for (int k = 0; k < TEAM; k++) {
            free(finish(&team[k], what, expected));
            round += sdk_rig_faults_left(&team[k].rig) == 0;
            sdk_rig_fault(&team[k].rig, NULL);
        }
        touched += round;
    }
    team_stop(team);
    return touched;
}

#define CHECKPOINTS 30 /* the workflow has more */

Test(crash_points, the_process_dies_before_each_checkpoint, .timeout = 900)
{
    cr_assert_geq(
        sweep("\"action\":\"kill-function\",\"function\":\"everything\",\"when\":\"before\""),
        CHECKPOINTS);
}

Test(crash_points, the_process_dies_after_each_checkpoint, .timeout = 900)
{
    cr_assert_geq(
        sweep("\"action\":\"kill-function\",\"function\":\"everything\",\"when\":\"after\""),
        CHECKPOINTS);
}

/* Not at checkpoints: in the middle of whatever it does. */
Test(crash_points, the_process_dies_at_any_moment, .timeout = 900)
{
    struct run team[TEAM] = { 0 };
    int kills = 0;
    team_start(team);
    auto_free char *expected = undisturbed(&team[0]);
    for (int k = 0; k < TEAM; k++)
        begin(&team[k], 1);
    int64_t until = clock_mono_ms(clock_system()) + END_MS;
    for (size_t open = TEAM; open > 0;) {
        cr_assert_lt(clock_mono_ms(clock_system()), until, "no end after %d kills", kills);
        open = 0;
        for (int k = 0; k < TEAM; k++) {
            int pid = 0;
            int64_t invocations;
            if (ended(&team[k], "killed"))
                continue;
            open++;
            lambda_rig_processes(&team[k].rig, "everything", &pid, &invocations);
            if (pid && kills < KILLS && random_u64() % 4 == 0)
                kills += kill(pid, SIGKILL) == 0;
        }
        clock_sleep_ms(clock_system(), (int64_t)(random_u64() % 40));
    }
    for (int k = 0; k < TEAM; k++)
        free(finish(&team[k], "killed", expected));
    cr_assert_geq(kills, KILLS / 4, "only %d kills", kills);
    team_stop(team);
}

Test(crash_points, each_answer_is_lost, .timeout = 900)
{
    cr_assert_geq(sweep("\"action\":\"drop\""), CHECKPOINTS);
}

Test(crash_points, each_checkpoint_is_throttled, .timeout = 900)
{
    cr_assert_geq(
        sweep("\"action\":\"error\",\"status\":429,\"code\":\"TooManyRequestsException\""),
        CHECKPOINTS);
}

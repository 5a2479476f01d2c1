/* An attempt of pattern sync:
 *
 *   step "begin" (records trace and time) -> step "run-task-1" (as in attempt_start.c)
 *   -> condition "task": DescribeTasks until the task has ended or its time is over
 *   and where that is no success: step "cleanup", which stops a task that still runs
 *
 * The container reports to nobody: exit code and stop code decide. */
#include <string.h>

#include "launcher/attempt.h"
#include "launcher/failure.h"
#include "launcher/policy.h"
#include "launcher/workflow_id.h"

#define UNSEEN_MS 60000 /* how long after its start ECS may not know a task yet */

/* ---- one look -------------------------------------------------------------------------------- */

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static bool has_ended(const char *status)
{
    return is_one_of(status, (const char *const[]){ "STOPPED", "DELETED", NULL });
}

static bool has_begun(const char *status)
{
    return !is_one_of(status,
                      (const char *const[]){ "PROVISIONING", "PENDING", "ACTIVATING", "", NULL });
}

/* How the attempt stands after a look, as the condition's state: {"task":RECORD of failure.h,
 * "type","message","againSeconds"}; a type that is not ECS's own says why it is over. */
struct look {
    const struct attempt *attempt;
    int64_t asked_ms;   /* since the task was first asked for */
    int64_t started_ms; /* since ECS gave it */
    struct json_object *state;
};

static void over(struct look *l, const char *type, const char *message)
{
    json_add_str(l->state, "type", type);
    json_add_str(l->state, "message", message);
}

/* Sets when the next look is, or that the time is over. `begun`: the start deadline is kept. */
static void next_look(struct look *l, bool begun, bool ending)
{
    const struct input *in = l->attempt->in;
    int64_t elapsed_s = l->asked_ms / 1000;
    int64_t left_s = in->timeout_s - elapsed_s;
    if (left_s <= 0) {
        over(l, "Task.Timeout", "the task has not ended within timeoutSeconds");
        return;
    }
    if (!begun && in->start_timeout_s && elapsed_s >= in->start_timeout_s) {
        over(l, "Task.StartTimeout", "the task does not run after startTimeoutSeconds");
        return;
    }
    if (!begun && in->start_timeout_s && in->start_timeout_s - elapsed_s < left_s)
        left_s = in->start_timeout_s - elapsed_s;
    int64_t again_s = policy_look_delay_s(in, ending ? 0 : l->started_ms / 1000);
    json_add_int(l->state, "againSeconds", again_s < left_s ? again_s : left_s);
}

static void judge(struct look *l, struct json_object *task)
{
    struct reason r;
    if (!task && l->started_ms > UNSEEN_MS) {
        over(l, "Task.NoReport", "ECS no longer knows the task: how it ended is not known");
        return;
    }
    if (!task) {
        next_look(l, false, false);
        return;
    }
    reason_judge(task, l->attempt->tools->cfg->container, &r);
    json_add(l->state, "task", failure_record(&r));
    /* Its exit code may be there before its stop code: both decide. */
    if (!has_ended(r.status))
        next_look(l, has_begun(r.status), r.state != REASON_RUNNING);
    else if (r.exit_code != 0 || strcmp(r.type, "Task.NoReport") != 0)
        over(l, r.type, r.message);
}

/* A look that fails changes nothing, unless it can never succeed; the deadlines hold all the same.
 */
static int look_body(struct durable_step *step, struct json_object *state, void *arg,
                     struct json_object **next, bool *done, struct durable_error *err)
{
    const struct attempt *a = arg;
    struct error why = { 0 };
    auto_json struct json_object *task = NULL;
    attempt_step_begin(step, a->tools);
    int64_t now_ms = clock_wall_ms(a->tools->clock);
    struct look l = { .attempt = a,
                      .asked_ms = now_ms - a->asked_ms,
                      .started_ms = now_ms - a->started_ms,
                      .state = json_object_new_object() };
    int rc = ecs_describe_task(a->tools->aws, a->tools->cfg->cluster, a->task_arn, &task, &why);
    if (rc == 0) {
        judge(&l, task);
    } else if (why.retryable || why.code == ERR_PROTOCOL) {
        struct json_object *before = json_get_obj(state, "task");
        const char *status = json_get_str(before, "lastStatus");
        if (before)
            json_add(l.state, "task", json_object_get(before));
        attempt_say(a, LOG_WARN, "task_not_seen", "task", "%s", why.msg);
        next_look(&l, has_begun(status ? status : ""), false);
    } else {
        json_object_put(l.state);
        return attempt_step_error(err, false, "describe the task", &why);
    }
    *next = l.state;
    *done = !json_get(l.state, "againSeconds");
    return 0;
}

static int decide(struct json_object *state, bool done, unsigned attempt, void *arg,
                  struct durable_decision *decision, struct durable_error *err)
{
    (void)attempt, (void)arg, (void)err;
    *decision = (struct durable_decision){ .retry = !done,
                                           .delay_s = json_get_int(state, "againSeconds", 1) };
    return 0;
}

/* ---- the attempt ----------------------------------------------------------------------------- */

/* RunTask's bytes follow from the trace of the invocation that came first, the times from its time.
 */
static int begin_body(struct durable_step *step, void *arg, struct json_object **out,
                      struct durable_error *err)
{
    (void)step, (void)err;
    *out = attempt_asked(arg);
    return 0;
}

static enum durable_rc begin(struct durable_ctx *ctx, struct attempt *a, struct durable_error *err)
{
    struct workflow_id id;
    char started_by[WORKFLOW_STARTED];
    auto_json struct json_object *record = NULL;
    if (workflow_id_from_arn(&id, NULL, a->execution_arn) < 0) {
        durable_error_set(err, "Task.StartFailed", "not a durable execution's ARN: %.300s",
                          a->execution_arn);
        return DURABLE_FAILED;
    }
    workflow_id_started_by(&id, started_by);
    a->started_by = mem_dup(started_by);
    if (trace_from_xray(durable_trace_header(ctx), a->traceparent) < 0)
        a->traceparent[0] = '\0';
    DURABLE_TRY(durable_step(ctx, "begin", begin_body, a, NULL, &record, err));
    attempt_take_asked(a, record);
    return DURABLE_OK;
}

static struct json_object *result(const struct attempt *a, struct json_object *record)
{
    static const char *const members[] = { "exitCode", "stopCode", "reason" };
    struct json_object *o = json_object_new_object();
    json_add_str(o, "taskArn", a->task_arn);
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        struct json_object *v = json_get(record, members[i]);
        if (v)
            json_add(o, members[i], json_object_get(v));
    }
    return o;
}

/* Stops what may run, and makes *own the attempt's failure. */
static enum durable_rc fail(struct durable_ctx *ctx, struct attempt *a, struct durable_error *own,
                            struct json_object *record, struct durable_error *err)
{
    const char *status = json_get_str(record, "lastStatus");
    if (!status || !has_ended(status))
        DURABLE_TRY(attempt_cleanup(ctx, a, own->type, true));
    attempt_failure(a, own, record, err);
    return DURABLE_FAILED;
}

enum durable_rc attempt_sync(struct durable_ctx *ctx, struct attempt *a, struct json_object **out,
                             struct durable_error *err)
{
    const struct durable_condition_opts opts = { .polling = { .decide = decide } };
    auto_durable_error struct durable_error own = { 0 };
    auto_json struct json_object *state = NULL;
    DURABLE_TRY(begin(ctx, a, err));
    DURABLE_TRY(attempt_start(ctx, a, err));
    enum durable_rc rc = durable_wait_for_condition(ctx, "task", look_body, a, &opts, &state, err);
    if (rc == DURABLE_FAILED) {
        durable_error_set(&own, "Task.NoReport", "%s", err->message);
        return fail(ctx, a, &own, NULL, err);
    }
    if (rc != DURABLE_OK)
        return rc;
    struct json_object *record = json_get_obj(state, "task");
    const char *type = json_get_str(state, "type");
    if (type) {
        durable_error_set(&own, type, "%s", json_get_str(state, "message"));
        return fail(ctx, a, &own, record, err);
    }
    *out = result(a, record);
    return DURABLE_OK;
}

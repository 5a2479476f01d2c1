#include <string.h>

#include "launcher/events.h"
#include "launcher/reason.h"
#include "shared/aws/ecs_client.h"
#include "shared/base/digest.h"
#include "shared/base/json.h"

#define STARTED_BY "durable/"

/* ---- what was handled ------------------------------------------------------------------------ */

static uint64_t task_hash(const char *arn)
{
    uint8_t hash[DIGEST_SHA256];
    uint64_t h;
    digest_sha256(arn, strlen(arn), hash);
    memcpy(&h, hash, sizeof(h));
    return h ? h : 1;
}

static bool seen_before(const struct events_seen *seen, const char *arn, int64_t version)
{
    uint64_t h = task_hash(arn);
    for (size_t i = 0; i < EVENTS_SEEN; i++)
        if (seen->places[i].task == h)
            return seen->places[i].version >= version;
    return false;
}

static void remember(struct events_seen *seen, const char *arn, int64_t version)
{
    uint64_t h = task_hash(arn);
    size_t at = seen->next;
    for (size_t i = 0; i < EVENTS_SEEN; i++)
        if (seen->places[i].task == h)
            at = i;
    if (at == seen->next)
        seen->next = (seen->next + 1) % EVENTS_SEEN;
    seen->places[at].task = h;
    seen->places[at].version = version;
}

/* ---- whose job it was ------------------------------------------------------------------------ */

static const char *variable(struct json_object *overrides, const char *container, const char *name)
{
    struct json_object *list = json_get_arr(overrides, "containerOverrides");
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *c = json_object_array_get_idx(list, i);
        const char *its = json_get_str(c, "name");
        struct json_object *env = json_get_arr(c, "environment");
        if (!its || strcmp(its, container) != 0 || !env)
            continue;
        for (size_t k = 0; k < json_object_array_length(env); k++) {
            struct json_object *pair = json_object_array_get_idx(env, k);
            const char *key = json_get_str(pair, "name");
            if (key && strcmp(key, name) == 0)
                return json_get_str(pair, "value");
        }
    }
    return NULL;
}

/* 1 with *content, the caller's to wipe; 0: the task has nobody to tell. */
static int find_callback(const struct events_tools *t, struct json_object *task,
                         struct token_content *content, struct error *err)
{
    const char *container = t->cfg->container;
    const char *arn = json_get_str(task, "taskArn");
    auto_json struct json_object *described = NULL;
    const char *token = variable(json_get_obj(task, "overrides"), container, "CALLBACK_TOKEN");
    if (!token) {
        if (ecs_describe_task(t->aws, t->cfg->cluster, arn, &described, err) < 0)
            return error_wrap(err, "describe the task");
        token = variable(json_get_obj(described, "overrides"), container, "CALLBACK_TOKEN");
    }
    if (!token)
        return 0;
    struct error why = { 0 };
    int64_t now_s = clock_wall_ms(t->clock) / 1000;
    /* A token that has expired was ours all the same. */
    if (token_open(t->keys, token, strlen(token), now_s, content, &why) == 0 ||
        why.code == ERR_GONE)
        return 1;
    log_warn(t->log, log_event("task_token_refused"), log_str("task", arn), log_err(&why));
    return 0;
}

/* ---- telling --------------------------------------------------------------------------------- */

/* The rest of the delay, which has run since the event happened. */
static void let_the_job_report(const struct events_tools *t, struct json_object *event)
{
    int64_t delay_ms = t->cfg->events_delay_s * 1000;
    int64_t now_ms = clock_wall_ms(t->clock);
    int64_t happened_ms = now_ms;
    const char *time = json_get_str(event, "time");
    if (time && clock_parse(time, &happened_ms) < 0)
        happened_ms = now_ms;
    int64_t left_ms = happened_ms + delay_ms - now_ms;
    if (left_ms > delay_ms)
        left_ms = delay_ms;
    if (left_ms > 0)
        clock_sleep_ms(t->clock, left_ms);
}

static int report(const struct events_tools *t, const char *arn, const char *execution,
                  const char *callback_id, const struct reason *r, struct error *err)
{
    char id[TOKEN_PUBLIC_ID];
    auto_buf struct buf body = BUF_INIT(8192);
    auto_secret char *token = events_seal(t, callback_id, id, err);
    if (!token)
        return -1;
    buf_add_str(&body, "{\"errorType\":");
    buf_add_json_str(&body, r->type);
    buf_add_str(&body, ",\"errorMessage\":");
    buf_add_json_str(&body, r->message);
    buf_add_char(&body, '}');
    struct error why = { 0 };
    if (receiver_fail(t->receiver, id, token, buf_str(&body), &why) == 0) {
        log_info(t->log, log_event("task_end_reported"), log_str("task", arn),
                 log_str("execution", execution), log_str("callback", id),
                 log_str("type", r->type));
        return 0;
    }
    /* Another report was first, or nobody waits any more: as it should be. */
    if (why.code == ERR_CONFLICT || why.code == ERR_GONE || why.code == ERR_NOT_FOUND) {
        log_info(t->log, log_event("task_end_known"), log_str("task", arn),
                 log_str("execution", execution), log_str("callback", id),
                 log_int("status", why.detail));
        return 0;
    }
    *err = why;
    return error_wrap(err, "report the task's end");
}

/* How long ECS took to start it; a task that never ran has no such time. */
static void time_start(const struct events_tools *t, struct json_object *task)
{
    const char *created = json_get_str(task, "createdAt");
    const char *started = json_get_str(task, "startedAt");
    const struct metrics_of of = { .cluster = t->cfg->cluster,
                                   .task = json_get_str(task, "taskArn") };
    int64_t created_ms, started_ms;
    if (created && started && clock_parse(created, &created_ms) == 0 &&
        clock_parse(started, &started_ms) == 0)
        metrics_time(t->metrics, "TaskStartLatency", started_ms - created_ms, &of);
}

int events_task(const struct events_tools *t, struct json_object *event, struct error *err)
{
    struct json_object *task = json_get_obj(event, "detail");
    const char *arn = json_get_str(task, "taskArn");
    const char *status = json_get_str(task, "lastStatus");
    const char *started_by = json_get_str(task, "startedBy");
    int64_t version = json_get_int(task, "version", 0);
    if (!arn || !status || strcmp(status, "STOPPED") != 0 || !started_by ||
        strncmp(started_by, STARTED_BY, strlen(STARTED_BY)) != 0)
        return 0;
    if (seen_before(t->seen, arn, version)) {
        log_debug(t->log, log_event("event_doubled"), log_str("task", arn));
        return 0;
    }
    struct token_content content = { .expires_s = 0 };
    struct reason r;
    int found = find_callback(t, task, &content, err);
    if (found > 0) {
        reason_judge(task, t->cfg->container, &r);
        let_the_job_report(t, event);
        found = report(t, arn, started_by + strlen(STARTED_BY), content.callback_id, &r, err);
    }
    token_content_wipe(&content);
    if (found < 0)
        return -1;
    time_start(t, task);
    remember(t->seen, arn, version);
    return 0;
}

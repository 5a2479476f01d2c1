#include "local/aws/ecs.h"

#include <stdlib.h>
#include <string.h>

#include "local/aws/aws_api.h"
#include "local/aws/ecs_request.h"
#include "local/faults.h"
#include "shared/base/encode.h"
#include "shared/base/json.h"
#include "shared/base/opts.h"

#define TARGET       "AmazonEC2ContainerServiceV20141113"
#define INVALID      "InvalidParameterException"
#define REASON_MAX   1024
#define DESCRIBE_MAX 100
#define LIST_MAX     100

struct ecs {
    const struct local *local;
    const struct config *config;
    struct ecs_tasks *tasks;
};

typedef void operation_fn(struct ecs *e, struct aws_request *r, struct json_object *body);

static char *arn_of(const struct ecs *e, const struct ecs_task *t)
{
    return ecs_task_arn(t, e->config->region, e->config->account_id);
}

static struct json_object *json_of(const struct ecs *e, const struct ecs_task *t, bool with_tags)
{
    return ecs_task_json(t, e->config->region, e->config->account_id, with_tags);
}

static void refuse(struct aws_request *r, const struct error *err)
{
    aws_error(r, 400, err->type[0] ? err->type : INVALID, "%s", err->msg);
}

/* ---- RunTask ----------------------------------------------------------------------------------*/

static struct ecs_task *make_task(const struct ecs *e, const struct ecs_run *run,
                                  const char *cluster, const struct config_task_definition *d,
                                  struct error *err)
{
    struct ecs_task *t = ecs_task_new(clock_wall_ms(e->local->clock));
    auto_free char *home = mem_printf("%s/%s", ecs_tasks_folder(e->tasks), t->id);
    bool process = !e->local->docker; /* an image has its own PATH and HOME */
    t->spec =
        ecs_spec(d, run->overrides, process ? e->local->path : NULL, process ? home : NULL, err);
    if (!t->spec) {
        ecs_task_free(t);
        return NULL;
    }
    t->cluster = mem_dup(cluster);
    t->family = mem_dup(d->family);
    t->revision = d->revision;
    t->started_by = mem_dup(run->started_by);
    t->group = run->group ? mem_dup(run->group) : mem_printf("family:%s", d->family);
    t->capacity_provider = mem_dup(run->capacity_provider);
    t->launch_type =
        mem_dup(run->launch_type ? run->launch_type : (run->capacity_provider ? "FARGATE" : "EC2"));
    t->cpu = mem_dup(run->cpu ? run->cpu : "256");
    t->memory = mem_dup(run->memory ? run->memory : "512");
    json_add_int(t->spec, "cpuUnits", strtol(t->cpu, NULL, 10));
    json_add_int(t->spec, "memoryMiB", strtol(t->memory, NULL, 10));
    t->overrides = json_object_get(run->overrides);
    t->tags = json_object_get(run->tags);
    t->container_count = d->container_count;
    t->containers = mem_array(d->container_count, sizeof(*t->containers));
    for (size_t i = 0; i < d->container_count; i++) {
        t->containers[i].name = mem_dup(d->containers[i].name);
        random_uuid(t->containers[i].id);
    }
    return t;
}

/* A stopped task is told by three members only when RunTask is repeated. */
static struct json_object *replayed(const struct ecs *e, const char *cluster, const char *id)
{
    const struct ecs_task *t = ecs_tasks_find(e->tasks, id);
    if (t && t->state != ECS_STOPPED)
        return json_of(e, t, true);
    struct json_object *o = json_object_new_object();
    auto_free char *path = mem_printf("%s/%s", cluster, id);
    auto_free char *arn = ecs_arn(e->config->region, e->config->account_id, "task", path);
    json_add_str(o, "taskArn", arn);
    json_add_str(o, "lastStatus", "STOPPED");
    json_add_str(o, "desiredStatus", "STOPPED");
    return o;
}

static void conflict(const struct ecs *e, struct aws_request *r, const char *cluster,
                     struct json_object *ids)
{
    struct json_object *body = json_object_new_object();
    struct json_object *arns = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(ids); i++) {
        const char *id = json_object_get_string(json_object_array_get_idx(ids, i));
        auto_free char *path = mem_printf("%s/%s", cluster, id);
        auto_free char *arn = ecs_arn(e->config->region, e->config->account_id, "task", path);
        json_push(arns, json_new_str(arn));
    }
    json_add(body, "resourceIds", arns);
    aws_error_with(r, 400, "ConflictException",
                   "The specified clientToken was used before with other parameters.", body, 0);
}

/* True where the token was used before, and so the request is answered. */
static bool answered_before(struct ecs *e, struct aws_request *r, const struct ecs_token *k)
{
    bool same = false;
    auto_json struct json_object *ids = ecs_tasks_of_token(e->tasks, k, &same);
    if (!ids)
        return false;
    if (!same) {
        conflict(e, r, k->cluster, ids);
        return true;
    }
    struct json_object *answer = json_object_new_object();
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(ids); i++)
        json_push(list, replayed(e, k->cluster,
                                 json_object_get_string(json_object_array_get_idx(ids, i))));
    json_add(answer, "tasks", list);
    json_add(answer, "failures", json_object_new_array());
    aws_reply_json(r, answer);
    return true;
}

/* What a test has ordered to become of the tasks of this request, or NULL. */
static const struct fault *ordered(const struct aws_request *r)
{
    return r->fault && r->fault->action == FAULT_TASK ? r->fault : NULL;
}

static void give_fate(struct ecs_task *t, const struct fault *fault)
{
    t->fate = fault->outcome;
    t->fate_ms = fault->delay_ms;
    t->fate_code = mem_dup(fault->code);
    t->fate_reason = mem_dup(fault->message);
}

/* How many tasks there is room for. */
static size_t room(const struct ecs *e, const struct fault *fault)
{
    size_t live = ecs_tasks_live(e->tasks);
    if (fault && fault->outcome == ECS_FATE_NO_CAPACITY)
        return 0;
    size_t max = (size_t)e->config->max_tasks;
    return live < max ? max - live : 0;
}

static void run_tasks(struct ecs *e, struct aws_request *r, const struct ecs_run *run,
                      const struct ecs_token *token, const struct config_task_definition *d)
{
    struct ecs_task *tasks[ECS_COUNT_MAX];
    struct error err = { 0 };
    const struct fault *fault = ordered(r);
    const char *no_room =
        fault && fault->message ? fault->message : ecs_fate_reason(ECS_FATE_NO_CAPACITY);
    size_t wanted = (size_t)run->count, place = room(e, fault), count = 0;
    while (count < wanted && count < place) {
        tasks[count] = make_task(e, run, token->cluster, d, &err);
        if (!tasks[count]) {
            while (count > 0)
                ecs_task_free(tasks[--count]);
            refuse(r, &err);
            return;
        }
        if (fault)
            give_fate(tasks[count], fault);
        count++;
    }
    if (count > 0)
        ecs_tasks_add(e->tasks, tasks, count, token->token ? token : NULL);
    struct json_object *answer = json_object_new_object();
    struct json_object *list = json_object_new_array();
    struct json_object *failures = json_object_new_array();
    for (size_t i = 0; i < wanted; i++) {
        if (i < count) {
            json_push(list, json_of(e, tasks[i], true));
            continue;
        }
        struct json_object *failure = json_object_new_object();
        json_add_str(failure, "reason", no_room);
        json_push(failures, failure);
    }
    json_add(answer, "tasks", list);
    json_add(answer, "failures", failures);
    aws_reply_json(r, answer);
}

static void run_task(struct ecs *e, struct aws_request *r, struct json_object *body)
{
    struct ecs_run run;
    struct error err = { 0 };
    if (ecs_run_parse(body, &run, &err) < 0) {
        refuse(r, &err);
        return;
    }
    const char *cluster = ecs_cluster(e->config, run.cluster, &err);
    if (!cluster) {
        refuse(r, &err);
        return;
    }
    const struct ecs_token token = { cluster, run.client_token, run.fingerprint };
    if (token.token && answered_before(e, r, &token))
        return;
    const struct config_task_definition *d = ecs_definition(e->config, run.task_definition, &err);
    if (!d)
        refuse(r, &err);
    else
        run_tasks(e, r, &run, &token, d);
}

/* ---- the others -------------------------------------------------------------------------------*/

/* The cluster that the request is about, or NULL where it was refused. */
static const char *cluster_of(const struct ecs *e, struct aws_request *r, struct json_object *body)
{
    const char *ref = NULL, *cluster = NULL;
    struct error err = { 0 };
    if (json_field_str(body, "", "cluster", 2048, &ref, &err) >= 0)
        cluster = ecs_cluster(e->config, ref, &err);
    if (!cluster)
        refuse(r, &err);
    return cluster;
}

/* The id in "ID" or "arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID"; NULL with *err where it is an ARN
 * of something else. Borrowed from `ref`. */
static const char *task_id(const struct ecs *e, const char *cluster, const char *ref,
                           struct error *err)
{
    if (strncmp(ref, "arn:", 4) != 0)
        return ref;
    auto_free char *path = mem_printf("%s/", cluster);
    auto_free char *prefix = ecs_arn(e->config->region, e->config->account_id, "task", path);
    if (strncmp(ref, prefix, strlen(prefix)) == 0)
        return ref + strlen(prefix);
    ecs_fail(err, INVALID, "Invalid identifier: not a task of cluster %s in this account.",
             cluster);
    return NULL;
}

static bool wants_tags(struct json_object *body)
{
    struct json_object *list = json_get_arr(body, "include");
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        const char *word = json_object_get_string(json_object_array_get_idx(list, i));
        if (word && strcmp(word, "TAGS") == 0)
            return true;
    }
    return false;
}

static int describe(const struct ecs *e, const char *cluster, struct json_object *list,
                    bool with_tags, struct json_object *answer, struct error *err)
{
    struct json_object *tasks = json_object_new_array();
    struct json_object *failures = json_object_new_array();
    json_add(answer, "tasks", tasks);
    json_add(answer, "failures", failures);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        if (!json_object_is_type(item, json_type_string))
            return ecs_fail(err, INVALID, "/tasks/%zu: must be a string", i);
        const char *id = task_id(e, cluster, json_object_get_string(item), err);
        if (!id)
            return -1;
        const struct ecs_task *t = ecs_tasks_find(e->tasks, id);
        if (t) {
            json_push(tasks, json_of(e, t, with_tags));
            continue;
        }
        struct json_object *failure = json_object_new_object();
        auto_free char *path = mem_printf("%s/%s", cluster, id);
        auto_free char *arn = ecs_arn(e->config->region, e->config->account_id, "task", path);
        json_add_str(failure, "arn", arn);
        json_add_str(failure, "reason", "MISSING");
        json_push(failures, failure);
    }
    return 0;
}

static void describe_tasks(struct ecs *e, struct aws_request *r, struct json_object *body)
{
    struct json_object *list = NULL;
    struct error err = { 0 };
    const char *cluster = cluster_of(e, r, body);
    if (!cluster)
        return;
    if (json_field_arr(body, "", "tasks", DESCRIBE_MAX, &list, &err) < 0) {
        refuse(r, &err);
        return;
    }
    if (!list || json_object_array_length(list) == 0) {
        aws_error(r, 400, INVALID, "Tasks cannot be empty.");
        return;
    }
    struct json_object *answer = json_object_new_object();
    if (describe(e, cluster, list, wants_tags(body), answer, &err) < 0) {
        json_object_put(answer);
        refuse(r, &err);
        return;
    }
    aws_reply_json(r, answer);
}

static void stop_task(struct ecs *e, struct aws_request *r, struct json_object *body)
{
    const char *ref = NULL, *reason = "Task stopped by user", *id = NULL;
    struct error err = { 0 };
    const char *cluster = cluster_of(e, r, body);
    if (!cluster)
        return;
    if (json_field_str(body, "", "task", 2048, &ref, &err) < 0 ||
        json_field_str(body, "", "reason", REASON_MAX, &reason, &err) < 0 ||
        (ref && !(id = task_id(e, cluster, ref, &err)))) {
        refuse(r, &err);
        return;
    }
    const struct ecs_task *t = id ? ecs_tasks_find(e->tasks, id) : NULL;
    if (!t) {
        aws_error(r, 400, INVALID,
                  ref ? "The referenced task was not found." : "Task can not be blank.");
        return;
    }
    ecs_tasks_stop(e->tasks, t, "UserInitiated", reason);
    struct json_object *answer = json_object_new_object();
    json_add(answer, "task", json_of(e, t, false));
    aws_reply_json(r, answer);
}

struct list_filter {
    const char *started_by;
    const char *family;
    const char *desired;
    const char *launch_type;
    const char *service; /* there are none here, so that nothing matches */
    const char *instance;
    const char *token;
    int64_t max;
    int64_t after; /* the number of the last page's last task */
};

static int list_parse(struct json_object *body, struct list_filter *f, struct error *err)
{
    *f = (struct list_filter){ .desired = "RUNNING", .max = LIST_MAX };
    if (json_field_str(body, "", "startedBy", 128, &f->started_by, err) < 0 ||
        json_field_str(body, "", "family", 255, &f->family, err) < 0 ||
        json_field_str(body, "", "desiredStatus", 16, &f->desired, err) < 0 ||
        json_field_str(body, "", "launchType", 32, &f->launch_type, err) < 0 ||
        json_field_str(body, "", "serviceName", 2048, &f->service, err) < 0 ||
        json_field_str(body, "", "containerInstance", 2048, &f->instance, err) < 0 ||
        json_field_str(body, "", "nextToken", 64, &f->token, err) < 0 ||
        json_field_int(body, "", "maxResults", 1, LIST_MAX, &f->max, err) < 0)
        return -1;
    if (strcmp(f->desired, "RUNNING") != 0 && strcmp(f->desired, "PENDING") != 0 &&
        strcmp(f->desired, "STOPPED") != 0)
        return ecs_fail(err, INVALID, "/desiredStatus: must be RUNNING, PENDING or STOPPED");
    if (!f->token)
        return 0;
    size_t len = 0;
    auto_free uint8_t *text = decode_base64url(f->token, strlen(f->token), &len);
    if (!text || opts_int((const char *)text, 0, INT64_MAX, &f->after) < 0)
        return ecs_fail(err, INVALID, "/nextToken: is not one that ListTasks gave out");
    return 0;
}

static bool fits(const char *wanted, const char *value)
{
    return !wanted || (value && strcmp(wanted, value) == 0);
}

static bool listed(const struct list_filter *f, const struct ecs_task *t)
{
    /* No task is ever wished to be PENDING (ListTasks, desiredStatus). */
    const char *desired = t->stop_wanted ? "STOPPED" : "RUNNING";
    return t->number > f->after && !f->service && !f->instance && fits(f->desired, desired) &&
           fits(f->started_by, t->started_by) && fits(f->family, t->family) &&
           fits(f->launch_type, t->launch_type);
}

static void list_tasks(struct ecs *e, struct aws_request *r, struct json_object *body)
{
    struct list_filter f;
    struct error err = { 0 };
    if (!cluster_of(e, r, body))
        return;
    if (list_parse(body, &f, &err) < 0) {
        refuse(r, &err);
        return;
    }
    struct json_object *answer = json_object_new_object();
    struct json_object *arns = json_object_new_array();
    json_add(answer, "taskArns", arns);
    int64_t last = 0;
    for (const struct ecs_task *t = ecs_tasks_first(e->tasks); t; t = t->next) {
        if (!listed(&f, t))
            continue;
        if (f.max-- == 0) {
            auto_free char *number = mem_printf("%lld", (long long)last);
            auto_buf struct buf token = BUF_INIT(64);
            encode_base64url(&token, number, strlen(number));
            json_add_str(answer, "nextToken", buf_str(&token));
            break;
        }
        auto_free char *arn = arn_of(e, t);
        json_push(arns, json_new_str(arn));
        last = t->number;
    }
    aws_reply_json(r, answer);
}

/* ---- the service ------------------------------------------------------------------------------*/

static const struct {
    const char *name;
    operation_fn *run;
} OPERATIONS[] = {
    { "RunTask", run_task },
    { "DescribeTasks", describe_tasks },
    { "StopTask", stop_task },
    { "ListTasks", list_tasks },
};

static bool route(struct aws_request *r, void *arg)
{
    (void)arg;
    const char *target = httpd_header(r->http, "X-Amz-Target");
    const char *name = target ? strchr(target, '.') : NULL;
    if (!name || strcmp(httpd_method(r->http), "POST") != 0 || r->segment_count > 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(OPERATIONS); i++)
        if (strcmp(OPERATIONS[i].name, name + 1) == 0) {
            r->operation = OPERATIONS[i].name;
            return true;
        }
    return false;
}

static void run(struct aws_request *r, void *arg)
{
    struct ecs *e = arg;
    auto_json struct json_object *body = NULL;
    struct error err = { 0 };
    if (json_parse(r->body, r->body_len, JSON_DEPTH, &body, &err) < 0 ||
        !json_object_is_type(body, json_type_object)) {
        aws_error(r, 400, "SerializationException", "The body is not a JSON object.");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(OPERATIONS); i++)
        if (OPERATIONS[i].name == r->operation) {
            OPERATIONS[i].run(e, r, body);
            return;
        }
}

struct ecs *ecs_new(const struct local *local, struct error *err)
{
    struct ecs *e = mem_alloc(sizeof(*e));
    const struct aws_service service = {
        .name = "ecs", .json11 = true, .route = route, .run = run, .arg = e
    };
    e->local = local;
    e->config = local->config;
    e->tasks = ecs_tasks_new(local, err);
    if (!e->tasks) {
        free(e);
        return NULL;
    }
    aws_api_add_service(local->api, &service, TARGET);
    return e;
}

void ecs_free(struct ecs *e)
{
    if (!e)
        return;
    ecs_tasks_free(e->tasks);
    free(e);
}

struct ecs_tasks *ecs_tasks(struct ecs *e)
{
    return e->tasks;
}

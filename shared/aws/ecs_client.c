#include "shared/aws/ecs_client.h"

#include <string.h>

#include "shared/base/json.h"

#define TARGET       "AmazonEC2ContainerServiceV20141113."
#define DESCRIBE_MAX 100 /* tasks that one DescribeTasks takes */
#define BODY_MAX     (1U << 20)
#define PAGES_MAX    100 /* of 100 tasks each */

/* ---- bodies ---------------------------------------------------------------------------------- */

/* `,"name":` or `"name":` as the first member. */
static void member(struct buf *b, const char *name)
{
    char last = b->len ? b->data[b->len - 1] : '{';
    buf_printf(b, "%s\"%s\":", last == '{' ? "" : ",", name);
}

static void member_str(struct buf *b, const char *name, const char *value)
{
    if (!value)
        return;
    member(b, name);
    buf_add_json_str(b, value);
}

static void member_list(struct buf *b, const char *name, const char *const *list)
{
    if (!list || !list[0])
        return;
    member(b, name);
    buf_add_char(b, '[');
    for (size_t i = 0; list[i]; i++) {
        if (i)
            buf_add_char(b, ',');
        buf_add_json_str(b, list[i]);
    }
    buf_add_char(b, ']');
}

static void add_strategy(struct buf *b, const char *const *providers)
{
    if (!providers || !providers[0])
        return;
    member(b, "capacityProviderStrategy");
    for (size_t i = 0; providers[i]; i++) {
        buf_add_str(b, i ? ",{" : "[{");
        member_str(b, "capacityProvider", providers[i]);
        buf_add_char(b, '}');
    }
    buf_add_char(b, ']');
}

static void add_network(struct buf *b, const struct ecs_run_task *t)
{
    if (!t->subnets || !t->subnets[0])
        return;
    member(b, "networkConfiguration");
    buf_add_str(b, "{\"awsvpcConfiguration\":{");
    member_list(b, "subnets", t->subnets);
    member_list(b, "securityGroups", t->security_groups);
    member_str(b, "assignPublicIp", t->assign_public_ip ? "ENABLED" : "DISABLED");
    buf_add_str(b, "}}");
}

static void add_environment(struct buf *b, const struct ecs_pair *pairs)
{
    if (!pairs || !pairs[0].name)
        return;
    member(b, "environment");
    for (size_t i = 0; pairs[i].name; i++) {
        buf_add_str(b, i ? ",{" : "[{");
        member_str(b, "name", pairs[i].name);
        member_str(b, "value", pairs[i].value ? pairs[i].value : "");
        buf_add_char(b, '}');
    }
    buf_add_char(b, ']');
}

static void add_overrides(struct buf *b, const struct ecs_run_task *t)
{
    buf_add_char(b, '{');
    member_str(b, "cpu", t->cpu);
    member_str(b, "memory", t->memory);
    if (t->container) {
        member(b, "containerOverrides");
        buf_add_str(b, "[{");
        member_str(b, "name", t->container);
        member_list(b, "command", t->command);
        add_environment(b, t->environment);
        buf_add_str(b, "}]");
    }
    buf_add_char(b, '}');
}

static bool has_overrides(const struct ecs_run_task *t)
{
    return t->container || t->cpu || t->memory;
}

void ecs_run_task_body(const struct ecs_run_task *t, struct buf *out)
{
    buf_add_char(out, '{');
    member_str(out, "cluster", t->cluster);
    member_str(out, "taskDefinition", t->task_definition);
    member_str(out, "launchType", t->launch_type);
    add_strategy(out, t->capacity_providers);
    member(out, "count");
    buf_add_char(out, '1');
    member_str(out, "clientToken", t->client_token);
    member_str(out, "startedBy", t->started_by);
    member(out, "enableECSManagedTags");
    buf_add_str(out, "true");
    add_network(out, t);
    if (has_overrides(t)) {
        member(out, "overrides");
        add_overrides(out, t);
    }
    buf_add_char(out, '}');
}

size_t ecs_overrides_len(const struct ecs_run_task *t)
{
    auto_buf struct buf b = BUF_INIT(SIZE_MAX / 4);
    if (has_overrides(t))
        add_overrides(&b, t);
    return b.len;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* Each of them may arrive twice, so a try without an answer is repeated: RunTask has its
 * clientToken, a stopped task is stopped, the others read. */
static int call(struct aws *a, const char *operation, const char *body, struct json_object **out,
                struct error *err)
{
    auto_free char *target = mem_printf(TARGET "%s", operation);
    if (aws_send_json11(a, AWS_ECS, target, body, out, err) < 0)
        return error_wrap(err, "%s", operation);
    return 0;
}

int ecs_run_task(struct aws *a, const char *body, struct json_object **out, struct error *err)
{
    return call(a, "RunTask", body, out, err);
}

int ecs_describe_task(struct aws *a, const char *cluster, const char *task,
                      struct json_object **out, struct error *err)
{
    const char *const tasks[] = { task, NULL };
    auto_buf struct buf body = BUF_INIT(BODY_MAX);
    auto_json struct json_object *answer = NULL;
    *out = NULL;
    buf_add_char(&body, '{');
    member_str(&body, "cluster", cluster);
    member_list(&body, "tasks", tasks);
    buf_add_char(&body, '}');
    if (call(a, "DescribeTasks", buf_str(&body), &answer, err) < 0)
        return -1;
    struct json_object *found = json_get_arr(answer, "tasks");
    struct json_object *failures = json_get_arr(answer, "failures");
    if (found && json_object_array_length(found) == 1 &&
        json_object_is_type(json_object_array_get_idx(found, 0), json_type_object)) {
        *out = json_object_get(json_object_array_get_idx(found, 0));
        return 0;
    }
    const char *reason = NULL;
    if (failures && json_object_array_length(failures) == 1)
        reason = json_get_str(json_object_array_get_idx(failures, 0), "reason");
    if (reason && strcmp(reason, "MISSING") == 0)
        return 0;
    return error_set(err, ERR_PROTOCOL, 200, "DescribeTasks: neither the task nor MISSING: %s",
                     reason ? reason : "no reason");
}

/* Appends the tasks `from` and the next ones, as many as one call takes, to `all`. */
static int describe_page(struct aws *a, const char *cluster, struct json_object *arns, size_t from,
                         struct json_object *all, struct error *err)
{
    const char *tasks[DESCRIBE_MAX + 1] = { NULL };
    auto_buf struct buf body = BUF_INIT(BODY_MAX);
    auto_json struct json_object *answer = NULL;
    size_t count = json_object_array_length(arns);
    for (size_t i = 0; i < DESCRIBE_MAX && from + i < count; i++)
        tasks[i] = json_object_get_string(json_object_array_get_idx(arns, from + i));
    buf_add_char(&body, '{');
    member_str(&body, "cluster", cluster);
    member_list(&body, "tasks", tasks);
    buf_add_char(&body, '}');
    if (call(a, "DescribeTasks", buf_str(&body), &answer, err) < 0)
        return -1;
    struct json_object *found = json_get_arr(answer, "tasks");
    if (!found)
        return error_set(err, ERR_PROTOCOL, 200, "DescribeTasks: no tasks");
    for (size_t i = 0; i < json_object_array_length(found); i++) {
        struct json_object *task = json_object_array_get_idx(found, i);
        if (json_object_is_type(task, json_type_object))
            json_push(all, json_object_get(task));
    }
    return 0;
}

int ecs_describe_tasks(struct aws *a, const char *cluster, struct json_object *arns,
                       struct json_object **out, struct error *err)
{
    auto_json struct json_object *all = json_object_new_array();
    *out = NULL;
    for (size_t i = 0; i < json_object_array_length(arns); i += DESCRIBE_MAX)
        if (describe_page(a, cluster, arns, i, all, err) < 0)
            return -1;
    *out = MOVE(all);
    return 0;
}

int ecs_stop_task(struct aws *a, const char *cluster, const char *task, const char *reason,
                  struct error *err)
{
    auto_buf struct buf body = BUF_INIT(BODY_MAX);
    auto_json struct json_object *answer = NULL;
    buf_add_char(&body, '{');
    member_str(&body, "cluster", cluster);
    member_str(&body, "task", task);
    member_str(&body, "reason", reason);
    buf_add_char(&body, '}');
    return call(a, "StopTask", buf_str(&body), &answer, err);
}

/* One page's ARNs go into `all`; *next is the token of the following one, new memory, or NULL. */
static int list_page(struct aws *a, const char *cluster, const char *started_by,
                     const char *desired_status, struct json_object *all, char **next,
                     struct error *err)
{
    auto_buf struct buf body = BUF_INIT(BODY_MAX);
    auto_json struct json_object *answer = NULL;
    buf_add_char(&body, '{');
    member_str(&body, "cluster", cluster);
    member_str(&body, "startedBy", started_by);
    member_str(&body, "desiredStatus", desired_status);
    member_str(&body, "nextToken", *next);
    buf_add_char(&body, '}');
    if (call(a, "ListTasks", buf_str(&body), &answer, err) < 0)
        return -1;
    struct json_object *arns = json_get_arr(answer, "taskArns");
    if (!arns)
        return error_set(err, ERR_PROTOCOL, 200, "ListTasks: no taskArns");
    for (size_t i = 0; i < json_object_array_length(arns); i++) {
        struct json_object *arn = json_object_array_get_idx(arns, i);
        if (json_object_is_type(arn, json_type_string))
            json_push(all, json_object_get(arn));
    }
    const char *token = json_get_str(answer, "nextToken");
    mem_free_ptr(next);
    *next = token && token[0] ? mem_dup(token) : NULL;
    return 0;
}

int ecs_list_tasks(struct aws *a, const char *cluster, const char *started_by,
                   const char *desired_status, struct json_object **out, struct error *err)
{
    auto_json struct json_object *all = json_object_new_array();
    auto_free char *next = NULL;
    *out = NULL;
    for (unsigned page = 0; page == 0 || next; page++) {
        if (page == PAGES_MAX)
            return error_set(err, ERR_PROTOCOL, 200, "ListTasks: over %d pages", PAGES_MAX);
        if (list_page(a, cluster, started_by, desired_status, all, &next, err) < 0)
            return -1;
    }
    *out = MOVE(all);
    return 0;
}

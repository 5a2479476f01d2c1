#include "tests/chaos/plant.h"

#include <stdlib.h>
#include <string.h>

#include "shared/aws/ecs_client.h"
#include "shared/aws/lambda_client.h"

#define CLUSTER  "local"
#define NETWORK  "{\"awsvpcConfiguration\":{\"subnets\":[\"subnet-local\"]}}"
#define LIMIT_MS 60000
#define PAUSE_MS 50

static const char *const names[] = {
    [PLANT_NONE] = "none",
    [PLANT_LOST_REPORT] = "lost-report",
    [PLANT_DOUBLED_TASK] = "doubled-task",
    [PLANT_FALSE_SUCCESS] = "false-success",
    [PLANT_ORPHAN] = "orphan",
    [PLANT_SWAPPED] = "swapped",
};

int plant_of(const char *name, enum plant *out)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum plant)i;
            return 0;
        }
    return -1;
}

enum job_kind plant_kind(enum plant plant)
{
    switch (plant) {
    case PLANT_LOST_REPORT:
        return JOB_CURL;
    case PLANT_FALSE_SUCCESS:
        return JOB_HANG; /* it fails, and late enough */
    case PLANT_NONE:
    case PLANT_DOUBLED_TASK:
    case PLANT_ORPHAN:
    case PLANT_SWAPPED:
        break;
    }
    return JOB_SLOW;
}

void plant_before(enum plant plant, struct cast *c, const struct posted *p)
{
    auto_free char *part = mem_printf("\"key\":\"%s\"", p->job.key);
    if (plant == PLANT_LOST_REPORT)
        relay_swallow(c->relays[ROAD_REPORTS], part);
}

/* The callback's id from the history, the caller's; NULL where there is none yet. */
static char *callback_id(struct cast *c, const char *id)
{
    auto_json struct json_object *events = NULL;
    struct error err = { 0 };
    if (client_history(c, id, &events, &err) < 0)
        return NULL;
    for (size_t i = 0; i < json_object_array_length(events); i++) {
        struct json_object *e = json_object_array_get_idx(events, i);
        const char *callback =
            json_get_str(json_get_obj(e, "CallbackStartedDetails"), "CallbackId");
        if (callback)
            return mem_dup(callback);
    }
    return NULL;
}

static int send_result(struct cast *c, const struct posted *p, const char *result,
                       struct error *err)
{
    int64_t until = clock_mono_ms(clock_system()) + LIMIT_MS;
    auto_secret char *id = NULL;
    while (!(id = callback_id(c, p->ids[0]))) {
        if (clock_mono_ms(clock_system()) > until)
            return error_set(err, ERR_TIMEOUT, 0, "%s has no callback", p->job.key);
        clock_sleep_ms(clock_system(), PAUSE_MS);
    }
    return lambda_callback_success(c->aws, id, result, strlen(result), err);
}

/* The task that works for the workflow, as DescribeTasks shows it; the caller's. */
static int find_task(struct cast *c, const struct posted *p, struct json_object **out,
                     struct error *err)
{
    const char *execution = strrchr(p->ids[0], '.') + 1;
    auto_free char *started_by = mem_printf("durable/%s", execution);
    int64_t until = clock_mono_ms(clock_system()) + LIMIT_MS;
    for (;;) {
        auto_json struct json_object *arns = NULL;
        if (ecs_list_tasks(c->aws, CLUSTER, started_by, "RUNNING", &arns, err) == 0 &&
            json_object_array_length(arns) > 0)
            return ecs_describe_task(c->aws, CLUSTER,
                                     json_object_get_string(json_object_array_get_idx(arns, 0)),
                                     out, err);
        if (clock_mono_ms(clock_system()) > until)
            return error_set(err, ERR_TIMEOUT, 0, "%s has no task", p->job.key);
        clock_sleep_ms(clock_system(), PAUSE_MS);
    }
}

/* Starts the workflow's task once more; `script` (NULL: the same) runs in it. */
static int run_again(struct cast *c, const struct posted *p, const char *script, struct error *err)
{
    auto_json struct json_object *task = NULL, *answer = NULL;
    if (find_task(c, p, &task, err) < 0)
        return -1;
    struct json_object *overrides = json_get_obj(task, "overrides");
    struct json_object *first =
        json_object_array_get_idx(json_get_arr(overrides, "containerOverrides"), 0);
    struct json_object *command = json_get_arr(first, "command");
    if (!command)
        return error_set(err, ERR_PROTOCOL, 0, "the task has no command");
    if (script)
        json_object_array_put_idx(command, 2, json_object_new_string(script));
    auto_json struct json_object *request = json_object_new_object();
    struct json_object *network = NULL;
    if (json_parse_str(NETWORK, &network, err) < 0)
        return -1;
    json_add_str(request, "cluster", CLUSTER);
    json_add_str(request, "taskDefinition", script ? "plain" : "job");
    json_add_str(request, "launchType", "FARGATE");
    json_add_str(request, "clientToken", "planted");
    json_add(request, "networkConfiguration", network);
    json_add(request, "overrides", json_object_get(overrides));
    return ecs_run_task(c->aws, json_text(request, NULL), &answer, err);
}

int plant_after(enum plant plant, struct cast *c, const struct posted *p, struct error *err)
{
    switch (plant) {
    case PLANT_NONE:
    case PLANT_LOST_REPORT:
        return 0;
    case PLANT_DOUBLED_TASK:
        return run_again(c, p, NULL, err);
    case PLANT_ORPHAN:
        return run_again(c, p, "sleep 900; :", err);
    case PLANT_FALSE_SUCCESS:
        return send_result(c, p, "{\"key\":\"planted\"}", err);
    case PLANT_SWAPPED:
        return send_result(c, p, "{\"key\":\"w0\",\"value\":100000}", err);
    }
    return 0;
}

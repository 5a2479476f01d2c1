#include <string.h>

#include "launcher/api.h"
#include "shared/aws/ecs_client.h"
#include "shared/aws/lambda_client.h"
#include "shared/base/json.h"

#define STOPPED "Workflow.Stopped"

static bool is_gone(const struct error *err)
{
    return err->code == ERR_NOT_FOUND ||
           (err->code == ERR_INVALID && strcasestr(err->msg, "not found"));
}

/* Stops what runs of the execution; the number of tasks in *count. */
static int stop_tasks(struct api_call *c, int64_t *count, struct error *err)
{
    const char *cluster = c->tools->cfg->cluster;
    char started_by[WORKFLOW_STARTED];
    auto_json struct json_object *arns = NULL;
    workflow_id_started_by(&c->id, started_by);
    if (ecs_list_tasks(c->tools->aws, cluster, started_by, "RUNNING", &arns, err) < 0)
        return -1;
    for (size_t i = 0; i < json_object_array_length(arns); i++) {
        const char *arn = json_object_get_string(json_object_array_get_idx(arns, i));
        if (ecs_stop_task(c->tools->aws, cluster, arn, "the workflow was stopped", err) < 0 &&
            !is_gone(err))
            return -1;
        (*count)++;
    }
    return 0;
}

/* What AWS answers to stopping a closed execution is not documented; it is stopped either way. */
static int stop_execution(struct api_call *c, struct error *err)
{
    bool closed = false;
    if (lambda_stop(c->tools->aws, c->arn, STOPPED, "stopped by a client of the API", err) == 0)
        return 0;
    if (err->code != ERR_INVALID && err->code != ERR_CONFLICT)
        return -1;
    struct error why = *err;
    auto_free char *text = api_status(c, &closed, err);
    if (text && closed)
        return 0;
    *err = why;
    return -1;
}

void api_delete(struct api_call *c)
{
    struct error err = { 0 };
    int64_t tasks = 0;
    bool closed;
    if (*c->req->query) {
        api_reply_problem(c->reply, 400, NULL, "there are no query parameters here");
        return;
    }
    /* A closed workflow is stopped as well: a task may have outlived it. */
    if (stop_execution(c, &err) < 0 || stop_tasks(c, &tasks, &err) < 0) {
        api_upstream_problem(c, &err);
        return;
    }
    auto_free char *text = api_status(c, &closed, &err);
    if (!text) {
        api_upstream_problem(c, &err);
        return;
    }
    log_info(c->tools->log, log_event("workflow_stopped"), log_str("workflow", c->id_text),
             log_int("tasks", tasks));
    api_reply_text(c->reply, 200, text);
}

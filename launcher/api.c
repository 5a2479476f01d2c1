#include "launcher/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/encode.h"
#include "shared/base/json.h"

#define RETRY_AFTER    "2"
#define ANSWER_TIME_MS 1000 /* kept back from the deadline for the answer itself */

struct route {
    const char *method;
    const char *suffix; /* behind the id; NULL: the collection itself */
    api_call_fn *run;
};

static const struct route routes[] = {
    { "POST", NULL, api_post },
    { "GET", "", api_get },
    { "DELETE", "", api_delete },
    { "GET", "/history", api_history },
};

char *api_url(const struct api_call *c, const char *suffix)
{
    return mem_printf("%s/workflows/%s%s", c->req->prefix, c->id_text, suffix);
}

void api_upstream_problem(struct api_call *c, const struct error *err)
{
    log_warn(c->tools->log, log_event("aws_call_failed"), log_err(err));
    if (err->code == ERR_NOT_FOUND) {
        api_reply_problem(c->reply, 404, NULL, "there is no such workflow");
    } else if (err->retryable) {
        api_reply_problem(c->reply, 503, NULL,
                          err->code == ERR_THROTTLED ? "too many requests at this time: try again"
                                                     : "AWS does not answer: try again");
        api_reply_header(c->reply, "retry-after", RETRY_AFTER);
    } else {
        api_reply_problem(c->reply, 500, NULL,
                          "the request could not be carried out; the log of this service says why");
    }
}

static void no_such_thing(struct api_call *c)
{
    api_reply_problem(c->reply, 404, NULL, "there is nothing at this path");
}

/* Finds the workflow that the path names; `len` characters of it are the id. */
static int read_id(struct api_call *c, const char *text, size_t len)
{
    auto_free char *decoded = decode_percent(text, len);
    if (!decoded || workflow_id_parse(&c->id, decoded) < 0)
        return -1;
    /* Other durable functions' executions are none of this API's business. */
    if (strcmp(c->id.function, c->tools->cfg->function_name) != 0)
        return -1;
    workflow_id_text(&c->id, c->id_text);
    workflow_id_arn(&c->id, &c->place, c->arn);
    return 0;
}

/* Runs what method and suffix ask for, or answers 404 or 405. */
static void dispatch(struct api_call *c, const char *suffix)
{
    char allow[64] = "";
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        const struct route *r = &routes[i];
        bool named = suffix && r->suffix ? strcmp(suffix, r->suffix) == 0 : !suffix && !r->suffix;
        if (!named)
            continue;
        if (strcmp(c->req->method, r->method) == 0) {
            r->run(c);
            return;
        }
        size_t used = strlen(allow);
        snprintf(allow + used, sizeof(allow) - used, "%s%s", used ? ", " : "", r->method);
    }
    if (!allow[0]) {
        no_such_thing(c);
        return;
    }
    api_reply_problem(c->reply, 405, NULL, "allowed here: %s", allow);
    api_reply_header(c->reply, "allow", allow);
}

static void route(struct api_call *c)
{
    static const char collection[] = "/workflows";
    const size_t len = sizeof(collection) - 1;
    const char *path = c->req->path;
    if (strcmp(path, collection) == 0) {
        dispatch(c, NULL);
        return;
    }
    if (strncmp(path, collection, len) != 0 || path[len] != '/') {
        no_such_thing(c);
        return;
    }
    const char *id = path + len + 1;
    size_t id_len = strcspn(id, "/");
    if (read_id(c, id, id_len) < 0)
        api_reply_problem(c->reply, 404, NULL, "there is no such workflow");
    else
        dispatch(c, id + id_len);
}

int api_handle(const struct lambda_invocation *inv, void *arg, struct buf *response,
               struct error *err)
{
    const struct api_tools *tools = arg;
    auto_api_request struct api_request req = { .body = NULL };
    auto_api_reply struct api_reply reply = { .status = 0 };
    int64_t began_ms = clock_mono_ms(tools->clock);
    if (api_request_read(&req, inv->payload, inv->payload_len, err) < 0)
        return -1;
    struct api_call c = {
        .tools = tools,
        .req = &req,
        .reply = &reply,
        .deadline_ms = inv->deadline_ms ? inv->deadline_ms - ANSWER_TIME_MS : INT64_MAX,
    };
    if (workflow_place_from_arn(&c.place, inv->function_arn) < 0)
        return error_set(err, ERR_PROTOCOL, 0, "not the ARN of a function: %.200s",
                         inv->function_arn);
    int64_t until_ms = lambda_call_deadline(tools->clock, inv->deadline_ms, ANSWER_TIME_MS);
    aws_set_deadline(tools->aws, until_ms);
    if (tools->receiver)
        receiver_client_set_deadline(tools->receiver, until_ms);
    route(&c);
    api_reply_write(&reply, response);
    log_info(tools->log, log_event("request"), log_str("method", req.method),
             log_int("status", reply.status), log_str("workflow", c.id_text),
             log_int("durationMs", clock_mono_ms(tools->clock) - began_ms));
    return 0;
}

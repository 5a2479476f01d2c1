#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "launcher/api.h"
#include "launcher/input.h"
#include "launcher/plan.h"
#include "launcher/policy.h"
#include "launcher/trace.h"
#include "shared/aws/lambda_client.h"
#include "shared/base/digest.h"
#include "shared/base/encode.h"

#define KEY_MAX 255

static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    const size_t len = sizeof(json) - 1;
    return type && strncasecmp(type, json, len) == 0 && (!type[len] || strchr("; \t", type[len]));
}

/* A sound document, its canonical text and nothing else; or answers and returns -1. */
static int read_document(struct api_call *c, struct buf *payload)
{
    const struct config *cfg = c->tools->cfg;
    struct error err = { 0 };
    auto_json struct json_object *doc = NULL;
    auto_json struct json_object *faults = NULL;
    auto_input struct input in = { .sample = false };
    if (!is_json(api_request_header(c->req, "content-type"))) {
        api_reply_problem(c->reply, 415, NULL, "the content type must be application/json");
        return -1;
    }
    if (c->req->body_len > INPUT_MAX) {
        api_reply_problem(c->reply, 413, NULL, "a workflow may have %d bytes", INPUT_MAX);
        return -1;
    }
    if (json_parse(c->req->body, c->req->body_len, JSON_DEPTH, &doc, &err) < 0) {
        api_reply_problem(c->reply, 400, NULL, "%s", err.msg);
        return -1;
    }
    if (input_parse(doc, (const char *const *)cfg->allowed, &in, &faults) < 0 ||
        plan_check(cfg, &in, &faults) < 0 || policy_fit(cfg, &in, &faults) < 0) {
        api_reply_problem(c->reply, 400, faults, "the workflow cannot be started as it is");
        return -1;
    }
    json_canonical(payload, doc);
    if (!buf_overflowed(payload))
        return 0;
    api_reply_problem(c->reply, 413, NULL, "a workflow may have %d bytes", INPUT_MAX);
    return -1;
}

/* The execution's name: from caller and key, so that a repeat finds the same execution, else
 * random. Answers and returns -1 for a bad key. */
static int make_name(struct api_call *c, struct buf *name)
{
    const char *key = api_request_header(c->req, "idempotency-key");
    if (!key) {
        char uuid[RANDOM_UUID];
        random_uuid(uuid);
        buf_add_str(name, uuid);
        return 0;
    }
    size_t len = strlen(key);
    bool printable = len > 0 && len <= KEY_MAX;
    for (size_t i = 0; printable && i < len; i++)
        printable = key[i] >= 0x20 && key[i] <= 0x7e;
    if (!printable) {
        api_reply_problem(c->reply, 400, NULL,
                          "Idempotency-Key must be 1 to %d printable ASCII characters", KEY_MAX);
        return -1;
    }
    auto_buf struct buf both = BUF_INIT(INPUT_MAX);
    uint8_t hash[DIGEST_SHA256];
    buf_add(&both, c->req->caller, strlen(c->req->caller) + 1); /* the NUL keeps them apart */
    buf_add(&both, key, len);
    digest_sha256(both.data, both.len, hash);
    encode_base64url(name, hash, sizeof(hash));
    return 0;
}

/* The same body for the first request and each repeat, whatever has become of the workflow. */
static void answer(struct api_call *c)
{
    auto_free char *url = api_url(c, "");
    auto_free char *history = api_url(c, "/history");
    auto_json struct json_object *doc = json_object_new_object();
    json_add_str(doc, "id", c->id_text);
    json_add_str(doc, "status", "RUNNING");
    json_add_str(doc, "statusUrl", url);
    json_add_str(doc, "stopUrl", url);
    json_add_str(doc, "historyUrl", history);
    api_reply_json(c->reply, 202, doc);
    api_reply_header(c->reply, "location", url);
}

/* The trace that Lambda shall carry on: the client's own, or API Gateway's; NULL: none. */
static const char *find_trace(struct api_call *c, char out[TRACE_XRAY])
{
    const char *client = api_request_header(c->req, "traceparent");
    const char *gateway = api_request_header(c->req, "x-amzn-trace-id");
    char parent[TRACE_PARENT] = "";
    if (client && trace_to_xray(client, out) == 0)
        return out;
    /* Read and written anew: nothing else of a client's header goes into a request to AWS. */
    if (gateway && trace_from_xray(gateway, parent) == 0 && trace_to_xray(parent, out) == 0)
        return out;
    return NULL;
}

void api_post(struct api_call *c)
{
    struct error err = { 0 };
    auto_buf struct buf payload = BUF_INIT(INPUT_MAX);
    auto_buf struct buf name = BUF_INIT(WORKFLOW_ID_PART);
    if (read_document(c, &payload) < 0 || make_name(c, &name) < 0)
        return;
    char trace[TRACE_XRAY];
    const struct lambda_invoke invoke = {
        .trace_header = find_trace(c, trace),
        .function = c->tools->cfg->workflow_function,
        .type = "Event",
        .execution_name = buf_str(&name),
        .payload = buf_str(&payload),
        .payload_len = payload.len,
    };
    struct lambda_invoked invoked = { 0 };
    int rc = lambda_invoke(c->tools->aws, &invoke, &invoked, &err);
    if (rc < 0 && err.code == ERR_CONFLICT) {
        api_reply_problem(c->reply, 409, NULL,
                          "this Idempotency-Key was used for a workflow with another body");
    } else if (rc < 0 && err.code == ERR_TOO_LARGE) {
        log_warn(c->tools->log, log_event("aws_call_failed"), log_err(&err));
        api_reply_problem(c->reply, 413, NULL, "the workflow has %zu bytes, more than Lambda takes",
                          payload.len);
    } else if (rc == 0 && (!invoked.execution_arn ||
                           workflow_id_from_arn(&c->id, NULL, invoked.execution_arn) < 0)) {
        error_set(&err, ERR_PROTOCOL, invoked.status, "%s is not a durable function",
                  c->tools->cfg->workflow_function);
        api_upstream_problem(c, &err);
    } else if (rc < 0 && err.code == ERR_NOT_FOUND) {
        err.code = ERR_INTERNAL; /* it is not the client who named the function */
        api_upstream_problem(c, &err);
    } else if (rc < 0) {
        api_upstream_problem(c, &err);
    } else {
        workflow_id_text(&c->id, c->id_text);
        answer(c);
    }
    lambda_invoked_release(&invoked);
}

#include "shared/durable/envelope.h"

#include <string.h>

#include "shared/base/json.h"
#include "shared/durable/error.h"

#define ARN_MAX   1024
#define TOKEN_MAX 2048

static bool usable(const char *s, size_t max)
{
    return s && s[0] && strlen(s) <= max;
}

int envelope_read(const struct json_object *event, struct envelope_event *e, struct error *err)
{
    const struct json_object *state = json_get_obj(event, "InitialExecutionState");
    *e = (struct envelope_event){
        .arn = json_get_str(event, "DurableExecutionArn"),
        .token = json_get_str(event, "CheckpointToken"),
        .operations = json_get_arr(state, "Operations"),
        .marker = json_get_str(state, "NextMarker"),
    };
    if (usable(e->arn, ARN_MAX) && usable(e->token, TOKEN_MAX) && state)
        return 0;
    error_set(err, ERR_INVALID, 0,
              "Unexpected payload provided to start the durable execution. "
              "Check your resource configurations to confirm the durability is set.");
    error_set_type(err, "InvalidDurableInvocation");
    return -1;
}

void envelope_succeeded(struct buf *out, const char *result, size_t len)
{
    buf_add_str(out, "{\"Status\":\"SUCCEEDED\"");
    if (result) {
        buf_add_str(out, ",\"Result\":");
        buf_add_json(out, result, len);
    }
    buf_add_char(out, '}');
}

void envelope_failed(struct buf *out, const struct durable_error *err)
{
    buf_add_str(out, "{\"Status\":\"FAILED\",\"Error\":");
    error_object_write(out, err);
    buf_add_char(out, '}');
}

void envelope_pending(struct buf *out)
{
    buf_add_str(out, "{\"Status\":\"PENDING\"}");
}

#include "shared/durable/update.h"

#include <stdlib.h>

#include "shared/base/buf.h"
#include "shared/durable/error.h"

#define UPDATE_MAX (64U << 20) /* an execution's result of 6 MiB, escaped at worst six to one */

static void add_str(struct buf *b, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(b, ",\"%s\":", name);
    buf_add_json_str(b, value);
}

static void add_options(struct buf *b, const struct update_fields *f)
{
    if (f->replay_children)
        buf_add_str(b, ",\"ContextOptions\":{\"ReplayChildren\":true}");
    if (f->next_attempt_s)
        buf_printf(b, ",\"StepOptions\":{\"NextAttemptDelaySeconds\":%lld}",
                   (long long)f->next_attempt_s);
    if (f->wait_s)
        buf_printf(b, ",\"WaitOptions\":{\"WaitSeconds\":%lld}", (long long)f->wait_s);
    if (f->timeout_s || f->heartbeat_timeout_s) {
        buf_add_str(b, ",\"CallbackOptions\":{");
        if (f->timeout_s)
            buf_printf(b, "\"TimeoutSeconds\":%lld", (long long)f->timeout_s);
        if (f->heartbeat_timeout_s)
            buf_printf(b, "%s\"HeartbeatTimeoutSeconds\":%lld", f->timeout_s ? "," : "",
                       (long long)f->heartbeat_timeout_s);
        buf_add_char(b, '}');
    }
    if (f->function) {
        buf_add_str(b, ",\"ChainedInvokeOptions\":{\"FunctionName\":");
        buf_add_json_str(b, f->function);
        add_str(b, "TenantId", f->tenant_id);
        buf_add_char(b, '}');
    }
}

struct update *update_new(const struct update_fields *f)
{
    static const char *const actions[] = { "START", "SUCCEED", "FAIL", "RETRY" };
    auto_buf struct buf b = BUF_INIT(UPDATE_MAX);
    buf_add_str(&b, "{\"Id\":");
    buf_add_json_str(&b, f->id);
    add_str(&b, "ParentId", f->parent_id);
    add_str(&b, "Type", op_type_name(f->type));
    add_str(&b, "SubType", f->subtype);
    add_str(&b, "Name", f->name);
    add_str(&b, "Action", actions[f->action]);
    if (f->payload) {
        buf_add_str(&b, ",\"Payload\":");
        buf_add_json(&b, f->payload, f->payload_len);
    }
    if (f->error) {
        buf_add_str(&b, ",\"Error\":");
        error_object_write(&b, f->error);
    }
    add_options(&b, f);
    buf_add_char(&b, '}');
    if (buf_overflowed(&b))
        abort(); /* payloads are limited before they come here */

    struct update *u = mem_alloc(sizeof(*u));
    u->id = mem_dup(f->id);
    u->type = f->type;
    u->action = f->action;
    u->json = buf_take(&b, &u->len);
    return u;
}

void update_free(struct update *u)
{
    if (!u)
        return;
    free(u->id);
    free(u->json);
    free(u);
}

#include "local/aws/start.h"

#include <inttypes.h>
#include <string.h>

#include "local/aws/events.h"
#include "local/aws/lane.h"
#include "local/aws/outbox.h"
#include "shared/base/encode.h"

#define MAX_WAITING 20000

/* https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
 */
char *start_new_trace(int64_t now_ms)
{
    uint8_t bytes[12];
    char hex[25];
    random_bytes(bytes, sizeof(bytes));
    encode_hex(hex, bytes, sizeof(bytes));
    return mem_printf("Root=1-%08" PRIx64 "-%s;Sampled=0", (uint64_t)(now_ms / 1000), hex);
}

struct execution *start_execution(struct lambda *l, const struct start *s)
{
    const struct config_function *f = function_config(s->function);
    const struct config *c = l->local->config;
    char name[RANDOM_UUID];
    struct execution *e = execution_new();
    random_uuid(e->id);
    random_uuid(name);
    e->name = mem_dup(s->name ? s->name : name);
    e->function = s->function;
    e->function_name = mem_dup(f->name);
    e->version = mem_dup(s->version);
    e->arn = mem_printf("arn:aws:lambda:%s:%s:function:%s:%s/durable-execution/%s/%s", c->region,
                        c->account_id, f->name, e->version, e->name, e->id);
    e->start_ms = lambda_now_ms(l);
    e->timeout_s = f->execution_timeout_s;
    e->timeout_at_ms = e->start_ms + e->timeout_s * 1000;
    e->input = s->input ? mem_dup_len(s->input, s->input_len) : NULL;
    e->input_len = s->input_len;
    e->trace = s->trace ? mem_dup(s->trace) : start_new_trace(e->start_ms);
    e->tenant = mem_dup(s->tenant);
    if (s->parent) {
        memcpy(e->parent, s->parent->id, sizeof(e->parent));
        e->parent_operation = s->parent_operation;
    }
    e->metered = 1;
    e->lane = LANE_QUEUED;
    store_begin(l->local->store);
    execution_store_insert(l->store, e);
    event_execution_started(l->store, e, e->start_ms);
    outbox_execution(l->local->outbox, e);
    lane_begin(l, e);
    store_commit(l->local->store);
    return e;
}

struct execution *start_find_name(struct lambda *l, const char *name)
{
    struct execution *e = execution_store_find_name(l->store, name);
    if (!e || e->status == EX_RUNNING)
        return e;
    const struct config_function *f = config_function(l->local->config, e->function_name);
    int64_t now = lambda_now_ms(l);
    if (!f || e->end_ms + f->retention_s * 1000 >= now)
        return e;
    execution_free(e);
    while (execution_store_purge(l->store, now))
        ;
    return execution_store_find_name(l->store, name);
}

bool start_is_full(const struct function *f)
{
    return function_waiting(f) >= MAX_WAITING;
}

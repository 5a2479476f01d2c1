#include "tests/conformance/batch.h"

struct durable_batch_opts one_at_a_time(void)
{
    return (struct durable_batch_opts){ .max_concurrency = DURABLE_LIMIT(1) };
}

static void add_count(struct json_object *o, const char *key, size_t n)
{
    json_object_object_add(o, key, json_object_new_int64((int64_t)n));
}

struct json_object *tell(struct durable_batch *batch, unsigned what)
{
    struct json_object *o = json_object_new_object();
    if (what & TELL_REASON)
        json_object_object_add(o, "completionReason",
                               json_object_new_string(durable_batch_reason_name(batch)));
    if (what & TELL_STATUS)
        json_object_object_add(o, "status",
                               json_object_new_string(durable_batch_status_name(batch)));
    if (what & TELL_SUCCEEDED)
        add_count(o, "successCount", durable_batch_succeeded(batch));
    if (what & TELL_FAILED)
        add_count(o, "failureCount", durable_batch_failed(batch));
    if (what & TELL_TOTAL)
        add_count(o, "totalCount", durable_batch_total(batch));
    durable_batch_free(batch);
    return o;
}

struct json_object *results_of(struct durable_batch *batch)
{
    struct json_object *values = durable_batch_values(batch);
    durable_batch_free(batch);
    return values;
}

enum durable_rc rethrow(struct durable_batch *batch, struct json_object **out,
                        struct durable_error *err)
{
    enum durable_rc rc = durable_batch_check(batch, err);
    if (rc == DURABLE_OK)
        *out = durable_batch_values(batch);
    durable_batch_free(batch);
    return rc;
}

/* A checkpoint's updates against an execution with an operation in each state: accepted, or refused
 * by the service's name for it, and judging changes nothing. */
#include <string.h>

#include "local/aws/checkpoint_validate.h"
#include "shared/base/json.h"
#include "tests/fuzz/fuzz.h"

static const struct {
    const char *id;
    enum operation_type type;
    enum operation_status status;
} ops[] = {
    { "s1", OP_STEP, OP_STARTED },
    { "s2", OP_STEP, OP_PENDING },
    { "s3", OP_STEP, OP_READY },
    { "s4", OP_STEP, OP_SUCCEEDED },
    { "x1", OP_CONTEXT, OP_STARTED },
    { "x2", OP_CONTEXT, OP_SUCCEEDED },
    { "w1", OP_WAIT, OP_STARTED },
    { "c1", OP_CALLBACK, OP_STARTED },
    { "i1", OP_CHAINED_INVOKE, OP_STARTED },
};

static void write_all(struct buf *out, const struct execution *e)
{
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        operation_write(out, execution_find(e, ops[i].id), TIME_SECONDS);
}

static struct execution *make_execution(void)
{
    struct execution *e = execution_new();
    strcpy(e->id, "the-execution");
    e->arn = mem_dup("arn:aws:lambda:us-east-1:123456789012:function:f:1/durable-execution/n/"
                     "the-execution");
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        struct operation *op = execution_add(e, ops[i].id, ops[i].type);
        op->status = ops[i].status;
        op->name = mem_dup("n");
        execution_changed(e, op);
    }
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct execution *e;
    auto_json struct json_object *o = NULL;
    auto_updates struct update_list list = { 0 };
    struct error err = { 0 };
    if (!e)
        e = make_execution();
    if (json_parse((const char *)data, size, JSON_DEPTH, &o, &err) < 0 ||
        (o && !json_object_is_type(o, json_type_array)))
        return 0;
    auto_buf struct buf before = BUF_INIT(1U << 20);
    auto_buf struct buf after = BUF_INIT(1U << 20);
    write_all(&before, e);
    int rc = update_list_parse(o, &list, &err);
    if (rc == 0)
        rc = checkpoint_validate(e, &list, &err);
    FUZZ_MUST(rc == 0 || (err.type[0] && err.msg[0]));
    FUZZ_MUST(rc < 0 || list.count <= CHECKPOINT_UPDATES);
    write_all(&after, e);
    FUZZ_MUST(before.len == after.len &&
              memcmp(buf_str(&before), buf_str(&after), before.len) == 0);
    return 0;
}

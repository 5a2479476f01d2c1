#include "shared/durable/journal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "shared/durable/error.h"
#include "shared/durable/opid.h"

#define ID_MAX         64
#define OPERATIONS_MAX 100000 /* the service's own limit is 3,000 metered ones */
#define BUCKETS_FIRST  64

struct journal {
    struct operation **bucket; /* open addressing, bucket_count is a power of two */
    size_t bucket_count;
    size_t count;
    const struct operation **move;
    size_t moves;
    size_t move_room;
    const struct operation *execution;
};

static const char *const type_names[] = { "?",    "EXECUTION", "CONTEXT",       "STEP",
                                          "WAIT", "CALLBACK",  "CHAINED_INVOKE" };
static const char *const status_names[] = { "?",         "STARTED",   "PENDING",
                                            "READY",     "SUCCEEDED", "FAILED",
                                            "CANCELLED", "TIMED_OUT", "STOPPED" };

static size_t index_of(const char *const *names, size_t count, const char *word)
{
    for (size_t i = 1; word && i < count; i++)
        if (strcmp(names[i], word) == 0)
            return i;
    return 0;
}

const char *op_type_name(enum op_type type)
{
    return type_names[type];
}

enum op_status operation_status(const struct operation *op)
{
    return op ? op->status : OP_NONE;
}

bool operation_ended(const struct operation *op)
{
    return operation_status(op) >= OP_SUCCEEDED;
}

int64_t operation_time_ms(const struct json_object *o, const char *key)
{
    const char *text = json_get_str(o, key);
    int64_t ms = 0;
    if (text)
        return clock_parse(text, &ms) == 0 ? ms : 0;
    double v = json_get_double(o, key, 0);
    if (!(v > 0 && v < 1e15))
        return 0;
    return v >= 1e11 ? (int64_t)v : (int64_t)llround(v * 1000);
}

/* ---- one record ------------------------------------------------------------------------------ */

static void operation_free_one(struct operation *op)
{
    free(op->id);
    free(op->parent_id);
    free(op->name);
    free(op->subtype);
    free(op->payload);
    mem_free_secret(op->callback_id);
    durable_error_release(&op->error);
    free(op);
}

static void operation_free(struct operation *op)
{
    while (op) {
        struct operation *replaced = op->replaced;
        operation_free_one(op);
        op = replaced;
    }
}

static const struct json_object *details_of(const struct json_object *o, enum op_type type)
{
    static const char *const names[] = { "",
                                         "ExecutionDetails",
                                         "ContextDetails",
                                         "StepDetails",
                                         "WaitDetails",
                                         "CallbackDetails",
                                         "ChainedInvokeDetails" };
    return json_get_obj(o, names[type]);
}

static void read_details(struct operation *op, const struct json_object *d)
{
    struct json_object *payload = json_get(d, op->type == OP_EXECUTION ? "InputPayload" : "Result");
    if (json_object_is_type(payload, json_type_string)) {
        op->payload_len = (size_t)json_object_get_string_len(payload);
        op->payload = mem_dup_len(json_object_get_string(payload), op->payload_len);
    }
    struct json_object *error = json_get_obj(d, "Error");
    op->has_error = error != NULL;
    error_object_read(&op->error, error);
    int64_t attempts = json_get_int(d, "Attempt", 0);
    op->attempts = attempts > 0 && attempts < INT32_MAX ? (unsigned)attempts : 0;
    op->scheduled_ms = operation_time_ms(d, op->type == OP_WAIT ? "ScheduledEndTimestamp"
                                                                : "NextAttemptTimestamp");
    op->replay_children = json_get_bool(d, "ReplayChildren", false);
    op->callback_id = mem_dup(json_get_str(d, "CallbackId"));
}

static struct operation *operation_read(const struct json_object *o)
{
    struct operation *op = mem_alloc(sizeof(*op));
    *op = (struct operation){
        .id = mem_dup(json_get_str(o, "Id")),
        .parent_id = mem_dup(json_get_str(o, "ParentId")),
        .name = mem_dup(json_get_str(o, "Name")),
        .subtype = mem_dup(json_get_str(o, "SubType")),
        .type = (enum op_type)index_of(type_names, ARRAY_LEN(type_names), json_get_str(o, "Type")),
        .status = (enum op_status)index_of(status_names, ARRAY_LEN(status_names),
                                           json_get_str(o, "Status")),
        .start_ms = operation_time_ms(o, "StartTimestamp"),
        .end_ms = operation_time_ms(o, "EndTimestamp"),
    };
    if (op->type != OP_UNKNOWN)
        read_details(op, details_of(o, op->type));
    return op;
}

/* ---- the table ------------------------------------------------------------------------------- */

struct journal *journal_new(void)
{
    struct journal *j = mem_alloc(sizeof(*j));
    j->bucket_count = BUCKETS_FIRST;
    j->bucket = mem_array(j->bucket_count, sizeof(struct operation *));
    return j;
}

void journal_free(struct journal *j)
{
    if (!j)
        return;
    for (size_t i = 0; i < j->bucket_count; i++)
        operation_free(j->bucket[i]);
    free(j->bucket);
    free(j->move);
    free(j);
}

/* Where `id` is, or the free place where it belongs. */
static size_t place(struct operation *const *bucket, size_t count, const char *id)
{
    size_t i = opid_hash(id) & (count - 1);
    while (bucket[i] && strcmp(bucket[i]->id, id) != 0)
        i = (i + 1) & (count - 1);
    return i;
}

static void grow(struct journal *j)
{
    size_t count = j->bucket_count * 2;
    struct operation **bucket = mem_array(count, sizeof(struct operation *));
    for (size_t i = 0; i < j->bucket_count; i++)
        if (j->bucket[i])
            bucket[place(bucket, count, j->bucket[i]->id)] = j->bucket[i];
    free(j->bucket);
    j->bucket = bucket;
    j->bucket_count = count;
}

static void add_move(struct journal *j, const struct operation *op)
{
    if (j->moves == j->move_room) {
        j->move_room = j->move_room ? 2 * j->move_room : BUCKETS_FIRST;
        j->move = mem_resize(j->move, j->move_room, sizeof(struct operation *));
    }
    j->move[j->moves++] = op;
}

static int merge_one(struct journal *j, const struct json_object *o, struct error *err)
{
    const char *id = json_get_str(o, "Id");
    if (!id || !id[0] || strlen(id) > ID_MAX)
        return error_set(err, ERR_PROTOCOL, 0, "an operation has no usable Id");
    if (j->count * 2 >= j->bucket_count)
        grow(j);
    size_t i = place(j->bucket, j->bucket_count, id);
    if (!j->bucket[i]) {
        if (j->count >= OPERATIONS_MAX)
            return error_set(err, ERR_TOO_LARGE, 0, "more than %d operations", OPERATIONS_MAX);
        j->count++;
    }
    struct operation *op = operation_read(o);
    if (operation_ended(op) || op->status == OP_READY)
        add_move(j, op);
    op->replaced = j->bucket[i];
    j->bucket[i] = op;
    if (j->bucket[i]->type == OP_EXECUTION)
        j->execution = j->bucket[i];
    return 0;
}

int journal_merge(struct journal *j, const struct json_object *operations, struct error *err)
{
    size_t count = operations ? json_object_array_length(operations) : 0;
    for (size_t i = 0; i < count; i++)
        if (merge_one(j, json_object_array_get_idx(operations, i), err) < 0)
            return -1;
    return 0;
}

const struct operation *journal_find(const struct journal *j, const char *id)
{
    return j->bucket[place(j->bucket, j->bucket_count, id)];
}

const struct operation *journal_execution(const struct journal *j)
{
    return j->execution;
}

size_t journal_count(const struct journal *j)
{
    return j->count;
}

size_t journal_moves(const struct journal *j)
{
    return j->moves;
}

const struct operation *journal_move(const struct journal *j, size_t i)
{
    return j->move[i];
}

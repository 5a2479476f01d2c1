#include "shared/durable/batch.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"
#include "shared/durable/error.h"
#include "shared/durable/payload.h"

#define SUMMARY_DEPTH 8

static const char *const reason_names[] = { "ALL_COMPLETED", "MIN_SUCCESSFUL_REACHED",
                                            "FAILURE_TOLERANCE_EXCEEDED",
                                            "CUSTOM_COMPLETION_SUCCEEDED",
                                            "CUSTOM_COMPLETION_FAILED" };
static const char *const status_names[] = { "SUCCEEDED", "FAILED", "STARTED" };
static const char status_letters[] = "SF-";

struct durable_batch *batch_new(size_t total)
{
    struct durable_batch *b = mem_alloc(sizeof(*b));
    b->item = mem_array(total ? total : 1, sizeof(*b->item));
    b->total = total;
    for (size_t i = 0; i < total; i++)
        b->item[i].status = DURABLE_ITEM_STARTED;
    return b;
}

static void item_release(struct batch_item *item)
{
    json_object_put(item->value);
    durable_error_release(&item->error);
}

void durable_batch_free(struct durable_batch *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->total; i++)
        item_release(&b->item[i]);
    free(b->item);
    free(b);
}

void durable_batch_free_ptr(struct durable_batch **b)
{
    durable_batch_free(*b);
    *b = NULL;
}

void batch_put(struct durable_batch *b, size_t i, struct batch_item *item)
{
    enum durable_item_status before = b->item[i].status;
    b->succeeded -= before == DURABLE_ITEM_SUCCEEDED;
    b->failed -= before == DURABLE_ITEM_FAILED;
    b->succeeded += item->status == DURABLE_ITEM_SUCCEEDED;
    b->failed += item->status == DURABLE_ITEM_FAILED;
    item_release(&b->item[i]);
    b->item[i] = *item;
    *item = (struct batch_item){ .status = DURABLE_ITEM_STARTED };
}

/* ---- questions ------------------------------------------------------------------------------- */

size_t durable_batch_total(const struct durable_batch *b)
{
    return b->total;
}

size_t durable_batch_succeeded(const struct durable_batch *b)
{
    return b->succeeded;
}

size_t durable_batch_failed(const struct durable_batch *b)
{
    return b->failed;
}

size_t durable_batch_started(const struct durable_batch *b)
{
    return b->total - b->succeeded - b->failed;
}

enum durable_reason durable_batch_reason(const struct durable_batch *b)
{
    return b->reason;
}

const char *durable_batch_reason_name(const struct durable_batch *b)
{
    return reason_names[b->reason];
}

bool durable_batch_has_failure(const struct durable_batch *b)
{
    return durable_batch_failed(b) > 0;
}

enum durable_item_status durable_batch_status(const struct durable_batch *b)
{
    switch (b->reason) {
    case DURABLE_CUSTOM_COMPLETION_SUCCEEDED:
        return DURABLE_ITEM_SUCCEEDED;
    case DURABLE_CUSTOM_COMPLETION_FAILED:
        return DURABLE_ITEM_FAILED;
    default:
        return durable_batch_has_failure(b) ? DURABLE_ITEM_FAILED : DURABLE_ITEM_SUCCEEDED;
    }
}

const char *durable_batch_status_name(const struct durable_batch *b)
{
    return status_names[durable_batch_status(b)];
}

enum durable_item_status durable_batch_item(const struct durable_batch *b, size_t i)
{
    return i < b->total ? b->item[i].status : DURABLE_ITEM_STARTED;
}

struct json_object *durable_batch_value(const struct durable_batch *b, size_t i)
{
    return i < b->total ? b->item[i].value : NULL;
}

const struct durable_error *durable_batch_error(const struct durable_batch *b, size_t i)
{
    return durable_batch_item(b, i) == DURABLE_ITEM_FAILED ? &b->item[i].error : NULL;
}

struct json_object *durable_batch_values(const struct durable_batch *b)
{
    struct json_object *values = json_object_new_array();
    for (size_t i = 0; i < b->total; i++)
        if (b->item[i].status == DURABLE_ITEM_SUCCEEDED)
            json_push(values, json_object_get(b->item[i].value));
    return values;
}

enum durable_rc durable_batch_check(const struct durable_batch *b, struct durable_error *err)
{
    for (size_t i = 0; i < b->total; i++)
        if (b->item[i].status == DURABLE_ITEM_FAILED) {
            durable_error_copy(err, &b->item[i].error);
            return DURABLE_FAILED;
        }
    if (durable_batch_status(b) != DURABLE_ITEM_FAILED)
        return DURABLE_OK;
    durable_error_set(err, "BatchCompletionError", "the batch's own rule has failed it");
    return DURABLE_FAILED;
}

/* ---- the recorded form ----------------------------------------------------------------------- */

/* The ErrorObject with its cause: {"ErrorType","ErrorMessage","Cause":{"ErrorType",...}}. */
static struct json_object *error_json(const struct durable_error *err)
{
    auto_buf struct buf text = BUF_INIT(ERROR_OBJECT_MAX + 1);
    struct json_object *o = NULL;
    error_object_write(&text, err);
    if (json_parse(buf_str(&text), text.len, JSON_DEPTH, &o, NULL) < 0)
        abort(); /* what error_object_write wrote is JSON */
    if (err->cause_type) {
        struct json_object *cause = json_object_new_object();
        json_add_str(cause, "ErrorType", err->cause_type);
        json_add_str(cause, "ErrorMessage", json_get_str(o, "ErrorMessage"));
        json_add(o, "Cause", cause);
    }
    return o;
}

static void error_read(struct durable_error *err, const struct json_object *o)
{
    error_object_read(err, o);
    const char *cause = json_get_str(json_get_obj(o, "Cause"), "ErrorType");
    if (cause) {
        free(err->cause_type);
        err->cause_type = mem_dup(cause);
    }
}

struct json_object *durable_batch_errors(const struct durable_batch *b)
{
    struct json_object *errors = json_object_new_array();
    for (size_t i = 0; i < b->total; i++)
        if (b->item[i].status == DURABLE_ITEM_FAILED)
            json_push(errors, error_json(&b->item[i].error));
    return errors;
}

struct json_object *durable_batch_json(const struct durable_batch *b)
{
    struct json_object *o = json_object_new_object();
    struct json_object *all = json_object_new_array();
    for (size_t i = 0; i < b->total; i++) {
        const struct batch_item *item = &b->item[i];
        struct json_object *entry = json_object_new_object();
        if (item->status == DURABLE_ITEM_SUCCEEDED)
            json_add(entry, "result", json_object_get(item->value));
        else if (item->status == DURABLE_ITEM_FAILED)
            json_add(entry, "error", error_json(&item->error));
        json_add_int(entry, "index", (int64_t)i);
        json_add_str(entry, "status", status_names[item->status]);
        json_push(all, entry);
    }
    json_add(o, "all", all);
    json_add_str(o, "completionReason", reason_names[b->reason]);
    return o;
}

static struct durable_batch *unreadable(struct durable_batch *b, struct durable_error *err)
{
    durable_batch_free(b);
    durable_error_set(err, SERIALISATION_TYPE,
                      "what is recorded of a batch is not "
                      "{\"all\":[{\"index\",\"status\",...}],\"completionReason\"}");
    return NULL;
}

bool batch_reason_read(const char *word, enum durable_reason *reason)
{
    for (size_t i = 0; word && i < ARRAY_LEN(reason_names); i++)
        if (strcmp(reason_names[i], word) == 0) {
            *reason = (enum durable_reason)i;
            return true;
        }
    return false;
}

static bool status_read(const char *word, enum durable_item_status *status)
{
    for (size_t i = 0; word && i < ARRAY_LEN(status_names); i++)
        if (strcmp(status_names[i], word) == 0) {
            *status = (enum durable_item_status)i;
            return true;
        }
    return false;
}

struct durable_batch *batch_read(const struct json_object *o, struct durable_error *err)
{
    struct json_object *all = json_get_arr(o, "all");
    size_t total = all ? json_object_array_length(all) : 0;
    struct durable_batch *b = batch_new(total);
    if (!all || !batch_reason_read(json_get_str(o, "completionReason"), &b->reason))
        return unreadable(b, err);
    for (size_t i = 0; i < total; i++) {
        struct json_object *entry = json_object_array_get_idx(all, i);
        struct batch_item item = { 0 };
        if (!status_read(json_get_str(entry, "status"), &item.status))
            return unreadable(b, err);
        if (item.status == DURABLE_ITEM_SUCCEEDED)
            item.value = json_object_get(json_get(entry, "result"));
        else if (item.status == DURABLE_ITEM_FAILED)
            error_read(&item.error, json_get_obj(entry, "error"));
        batch_put(b, i, &item);
    }
    return b;
}

/* ---- summaries ------------------------------------------------------------------------------- */

void batch_write_summary(struct buf *out, const struct durable_batch *b, const char *type,
                         const char *more)
{
    buf_printf(out, "{\"type\":\"%s\",\"totalCount\":%zu,\"successCount\":%zu,\"failureCount\":%zu",
               type, b->total, durable_batch_succeeded(b), durable_batch_failed(b));
    if (strcmp(type, "ParallelResult") == 0)
        buf_printf(out, ",\"startedCount\":%zu", durable_batch_started(b));
    buf_printf(out, ",\"completionReason\":\"%s\",\"status\":\"%s\"", durable_batch_reason_name(b),
               durable_batch_status_name(b));
    buf_add_str(out, ",\"itemStatuses\":\"");
    for (size_t i = 0; i < b->total; i++)
        buf_add_char(out, status_letters[b->item[i].status]);
    buf_add_char(out, '"');
    if (more) {
        buf_add_str(out, ",\"summary\":");
        buf_add_json_str(out, more);
    }
    buf_add_char(out, '}');
}

struct durable_batch *batch_read_summary(const char *text, size_t len, struct durable_error *err)
{
    auto_json struct json_object *o = NULL;
    struct error why;
    const char *statuses = NULL;
    enum durable_reason reason = DURABLE_ALL_COMPLETED;
    if (len > 0 && json_parse(text, len, SUMMARY_DEPTH, &o, &why) == 0)
        statuses = json_get_str(o, "itemStatuses");
    if (!statuses || !batch_reason_read(json_get_str(o, "completionReason"), &reason)) {
        durable_error_set(err, SERIALISATION_TYPE, "the summary of a batch cannot be read");
        return NULL;
    }
    struct durable_batch *b = batch_new(strlen(statuses));
    b->reason = reason;
    for (size_t i = 0; i < b->total; i++) {
        const char *at = strchr(status_letters, statuses[i]);
        struct batch_item item = { .status = DURABLE_ITEM_STARTED };
        if (at)
            item.status = (enum durable_item_status)(at - status_letters);
        batch_put(b, i, &item);
    }
    return b;
}

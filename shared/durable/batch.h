/* batch.h - what a batch came to, and its form in the record. One thread. */
#ifndef DURABLE_BATCH_H
#define DURABLE_BATCH_H

#include "shared/base/buf.h"
#include "shared/durable/durable.h"

struct batch_item {
    enum durable_item_status status;
    struct json_object *value;
    struct durable_error error;
};

struct durable_batch {
    struct batch_item *item; /* changed by batch_put alone, which counts */
    size_t total;
    size_t succeeded;
    size_t failed;
    enum durable_reason reason;
};

/* All items are STARTED. */
struct durable_batch *batch_new(size_t total);
/* Item `i` is what *item says, which is taken over. */
void batch_put(struct durable_batch *b, size_t i, struct batch_item *item);
/* Reads durable_batch_json's form. NULL with *err of SerdesError where it is none. */
struct durable_batch *batch_read(const struct json_object *o,
                                 struct durable_error *err) DURABLE_CHECKED;
/* The first name of the reason that `word` is; false: none. */
bool batch_reason_read(const char *word, enum durable_reason *reason);
/* The summary of a batch of `type` ("MapResult", "ParallelResult"): JSON text with one letter for
 * each item (S, F, -) instead of the results. `more` may be NULL. */
void batch_write_summary(struct buf *out, const struct durable_batch *b, const char *type,
                         const char *more);
/* Reads one: a batch whose items have a status and nothing else. */
struct durable_batch *batch_read_summary(const char *text, size_t len,
                                         struct durable_error *err) DURABLE_CHECKED;

#endif

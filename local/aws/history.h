/* history.h - pages of an execution's history (durable-protocol sections 1.8 and 9). The loop's
 * thread only. */
#ifndef LOCAL_AWS_HISTORY_H
#define LOCAL_AWS_HISTORY_H

#include "local/aws/execution_store.h"

struct history_query {
    bool include_data; /* else payloads are left out and marked as truncated */
    bool reverse;
    int64_t from; /* events behind this id, in the asked direction */
    int64_t max_items;
};

/* {"Events":[...],"NextMarker":"..."}; at most about 5 MiB in a page. */
void history_write(struct buf *out, struct execution_store *s, int64_t row,
                   const struct history_query *q);
/* Adds an event as it is, without the id of a callback in it. */
void history_without_secrets(struct buf *out, const char *event, size_t len);
/* Adds an event without its payloads: each Input, Result and Error becomes {"Truncated":true}. */
void history_strip(struct buf *out, const char *event, size_t len);

#endif

/* execution_store.h - executions, their operations and their history in SQLite.
 *
 * Every change of an execution in memory is written through by one of these calls before anybody is
 * told of it; failures are latched by the store. The loop's thread only. */
#ifndef LOCAL_AWS_EXECUTION_STORE_H
#define LOCAL_AWS_EXECUTION_STORE_H

#include "local/aws/execution.h"
#include "local/store.h"

struct execution_store;

struct execution_store *execution_store_new(struct store *store, struct error *err) CHECKED;
void execution_store_free(struct execution_store *s);

/* Writes a new one and sets its row. */
void execution_store_insert(struct execution_store *s, struct execution *e);
/* Writes status, end, result and error, and until when the record is kept. */
void execution_store_close(struct execution_store *s, const struct execution *e,
                           int64_t keep_until_ms);
/* Writes where it stands between its invocations. */
void execution_store_lane(struct execution_store *s, const struct execution *e);
void execution_store_operation(struct execution_store *s, const struct execution *e,
                               const struct operation *op);
void execution_store_event(struct execution_store *s, const struct execution *e, int64_t event_id,
                           const char *body, size_t len);

/* The record without its operations, running or closed; NULL where there is none. The caller's. */
struct execution *execution_store_find(struct execution_store *s, const char *id) CHECKED;
struct execution *execution_store_find_name(struct execution_store *s, const char *name) CHECKED;
/* Every execution that still runs, with its operations; `visit` takes it over. */
typedef void execution_visit_fn(struct execution *e, void *arg);
void execution_store_each_running(struct execution_store *s, execution_visit_fn *visit, void *arg);

/* A chained invoke of a plain function that has not ended: what is needed to do it again. */
struct stored_call {
    const char *function, *version;
    const char *tenant; /* NULL: none */
    const char *input;
    size_t input_len;
};
void execution_store_call(struct execution_store *s, const struct execution *e, uint32_t number,
                          const struct stored_call *call);
void execution_store_forget_call(struct execution_store *s, int64_t row, uint32_t number);
/* All of them, with the row and the id of their execution and the number of the operation. `visit`
 * borrows, and may not write to the store. */
typedef void call_visit_fn(void *arg, int64_t row, const char *execution_id, uint32_t number,
                           const struct stored_call *call);
void execution_store_each_call(struct execution_store *s, call_visit_fn *visit, void *arg);

/* Up to `limit` events with ids above `from` (reverse: below it), in that direction. `visit`
 * returns false to end it. */
typedef bool event_visit_fn(void *arg, int64_t event_id, const char *body, size_t len);
void execution_store_events(struct execution_store *s, int64_t row, int64_t from, bool reverse,
                            int64_t limit, event_visit_fn *visit, void *arg);

struct execution_filter {
    const char *function;
    const char *version;         /* NULL: any */
    const char *name;            /* NULL: any */
    unsigned statuses;           /* bit of each wanted status; 0: any */
    int64_t after_ms, before_ms; /* started; 0: any */
    int64_t from; /* row after which (reverse: before which) it begins; 0: the beginning */
    bool reverse;
    int64_t limit;
};
/* Records without operations, oldest first; `visit` takes each over. */
void execution_store_list(struct execution_store *s, const struct execution_filter *filter,
                          execution_visit_fn *visit, void *arg);

/* Summaries (no input, result, error or operations), newest first, of any function; `name` is a
 * beginning, or the id; the rest of `filter` as in a reverse list. At most 50,000 are looked
 * through, so that a search for what is not there holds nobody up. */
void execution_store_recent(struct execution_store *s, const struct execution_filter *filter,
                            execution_visit_fn *visit, void *arg);
/* How many there are, by status. */
const int64_t *execution_store_counts(const struct execution_store *s);

/* Deletes closed executions whose time is over, some at a time; true where there may be more. */
bool execution_store_purge(struct execution_store *s, int64_t now_ms);

#endif

/* batch.h - what the suites of parallel and map share. */
#ifndef CONFORMANCE_BATCH_H
#define CONFORMANCE_BATCH_H

#include "shared/durable/durable.h"

/* Options of one branch at a time, in order, with a rule of completion that is left to be set. */
struct durable_batch_opts one_at_a_time(void);

/* What a handler tells of a batch. */
enum told {
    TELL_REASON = 1,
    TELL_STATUS = 2,
    TELL_SUCCEEDED = 4,
    TELL_FAILED = 8,
    TELL_TOTAL = 16,
    TELL_ALL = 31,
};
/* New object with the members that `what` names; takes the batch over. */
struct json_object *tell(struct durable_batch *batch, unsigned what);
/* The results in order; takes the batch over. */
struct json_object *results_of(struct durable_batch *batch);
/* The first failure as the handler's own; takes the batch over. */
enum durable_rc rethrow(struct durable_batch *batch, struct json_object **out,
                        struct durable_error *err);

#endif

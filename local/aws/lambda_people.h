/* lambda_people.h - executions as people look at them: what the console (local/console.h) shows of
 * Lambda, and what its buttons do. Callback ids are left out: a callback is named by its execution
 * and operation. The loop's thread only. */
#ifndef LOCAL_AWS_LAMBDA_PEOPLE_H
#define LOCAL_AWS_LAMBDA_PEOPLE_H

#include "local/aws/lambda.h"
#include "shared/base/buf.h"

struct people_filter {
    const char *function; /* each NULL: any */
    const char *name;     /* of the execution, its beginning; or its id */
    const char *status;   /* "RUNNING", ... */
    int64_t before;       /* row; 0: from the newest */
    int64_t limit;
};

/* {"RUNNING":n,...} of all executions that are kept. */
void people_counts(struct lambda *l, struct buf *out);
/* [{"row","arn","id","name","function","version","status","start","end"}], newest first; times are
 * epoch milliseconds. -1: the status is none. */
int people_executions(struct lambda *l, const struct people_filter *f, struct buf *out,
                      struct error *err) CHECKED;
/* [{"arn","execution","function","operation","name","since","timeoutAt","heartbeatAt"}] of the
 * callbacks that are open, at most `limit`. */
void people_callbacks(struct lambda *l, int64_t limit, struct buf *out);
/* {"arn","id","name","function","version","status","start","end","timeoutAt","input","result",
 * "error","parent","lane","invokedAt","retryAt","failures","events":[...],"nextEvent"}: events
 * behind the id `after`. -1: ERR_NOT_FOUND. */
int people_execution(struct lambda *l, const char *arn, int64_t after, struct buf *out,
                     struct error *err) CHECKED;

enum people_action {
    PEOPLE_SUCCEED,
    PEOPLE_FAIL,
    PEOPLE_HEARTBEAT
};
/* Completes an open callback as the API would; `text` is the result, or the ErrorObject (NULL:
 * none). -1: ERR_NOT_FOUND, ERR_GONE where it is closed, ERR_INVALID. */
int people_callback(struct lambda *l, const char *arn, const char *operation,
                    enum people_action action, const char *text, struct error *err) CHECKED;
/* -1: ERR_NOT_FOUND, ERR_GONE where it has ended. */
int people_stop(struct lambda *l, const char *arn, struct error *err) CHECKED;

#endif

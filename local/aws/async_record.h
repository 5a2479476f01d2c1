/* async_record.h - what a destination is told of an asynchronous invocation that was given up: the
 * invocation record.
 * https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
 * Pure; any thread. */
#ifndef LOCAL_AWS_ASYNC_RECORD_H
#define LOCAL_AWS_ASYNC_RECORD_H

#include "local/config.h"
#include "shared/base/buf.h"

#define ASYNC_NO_MORE_TRIES "RetriesExhausted"
#define ASYNC_TOO_OLD       "EventAgeExceeded"

#define ASYNC_RECORD_MAX (4U << 20)

struct async_record {
    const struct config *config; /* for the ARN */
    const char *function, *version, *request_id;
    const char *condition; /* one of the two above */
    unsigned tries;
    int64_t now_ms;
    const char *payload;  /* JSON: what it was invoked with */
    const char *response; /* the last try's error, JSON or not; NULL: there was no try */
    size_t response_len;
};
/* Appends the record. One that would be longer than ASYNC_RECORD_MAX has null in place of both
 * payloads. */
void async_record_write(struct buf *out, const struct async_record *r);

#endif

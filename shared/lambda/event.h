/* event.h - what the Runtime API says of an invocation besides its payload: the headers of the
 * answer to `next`. Pure; any thread.
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-next */
#ifndef LAMBDA_EVENT_H
#define LAMBDA_EVENT_H

#include "shared/aws/http.h"

struct lambda_event {
    char request_id[128];
    char function_arn[512]; /* "" where there is none, or one too long to be one */
    char trace_id[2048];    /* the same */
    int64_t deadline_ms;    /* wall clock; 0: none */
};

/* -1: ERR_PROTOCOL where there is no request id, or the deadline is no time. */
int lambda_event_read(const struct http_response *resp, struct lambda_event *e,
                      struct error *err) CHECKED;
/* Appends the path of an answer to `e` ("/response", "/error") below the runtime's: request ids are
 * UUIDs, but the path must hold whatever comes. */
void lambda_event_path(const struct lambda_event *e, const char *what, struct buf *path);

#endif

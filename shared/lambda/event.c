#include "shared/lambda/event.h"

#include <string.h>

#include "shared/base/encode.h"
#include "shared/base/opts.h"

static void read_or_empty(const struct http_response *resp, const char *name, char *out,
                          size_t size)
{
    if (!http_response_header(resp, name, out, size))
        out[0] = '\0';
}

int lambda_event_read(const struct http_response *resp, struct lambda_event *e, struct error *err)
{
    char deadline[32];
    read_or_empty(resp, "Lambda-Runtime-Aws-Request-Id", e->request_id, sizeof(e->request_id));
    read_or_empty(resp, "Lambda-Runtime-Invoked-Function-Arn", e->function_arn,
                  sizeof(e->function_arn));
    read_or_empty(resp, "Lambda-Runtime-Trace-Id", e->trace_id, sizeof(e->trace_id));
    e->deadline_ms = 0;
    if (!e->request_id[0])
        return error_set(err, ERR_PROTOCOL, 0, "an invocation without a request id");
    if (http_response_header(resp, "Lambda-Runtime-Deadline-Ms", deadline, sizeof(deadline)) &&
        opts_int(deadline, 0, INT64_MAX, &e->deadline_ms) < 0)
        return error_set(err, ERR_PROTOCOL, 0, "the invocation's deadline is not a number");
    return 0;
}

void lambda_event_path(const struct lambda_event *e, const char *what, struct buf *path)
{
    buf_add_str(path, "/invocation/");
    encode_percent(path, e->request_id, strlen(e->request_id));
    buf_add_str(path, what);
}

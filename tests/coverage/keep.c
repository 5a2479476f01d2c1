/* keep.c - the counts of a function's process. Lambda ends one with SIGKILL, and local-aws does so
 * too, so it writes what it has counted before it asks for the next invocation: from there on it
 * only waits. */
#include <gcov.h>
#include <string.h>

#include "shared/aws/http.h"

/* The linker puts these around http_send (--wrap). */
int __real_http_send(struct http_client *c, const struct http_request *req,
                     struct http_response *resp, struct error *err);
int __wrap_http_send(struct http_client *c, const struct http_request *req,
                     struct http_response *resp, struct error *err);

int __wrap_http_send(struct http_client *c, const struct http_request *req,
                     struct http_response *resp, struct error *err)
{
    if (strstr(req->url, "/runtime/invocation/next")) {
        __gcov_dump();
        __gcov_reset();
    }
    return __real_http_send(c, req, resp, err);
}

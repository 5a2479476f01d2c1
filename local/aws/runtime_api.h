/* runtime_api.h - the Runtime API's HTTP for whoever serves it: an environment with a process of
 * its own (environment.h) or a function that runtimes attach to (attach.h).
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 *
 * The loop's thread only. */
#ifndef LOCAL_AWS_RUNTIME_API_H
#define LOCAL_AWS_RUNTIME_API_H

#include <stdbool.h>

#include "shared/base/httpd.h"

struct runtime_api;

/* An answer to an invocation: borrowed. */
struct runtime_answer {
    struct httpd_request *req; /* only to look at */
    const char *request_id;
    bool is_error;
    const char *body;
    size_t len;
    const char *type; /* of an error, or NULL */
};

struct runtime_api_ops {
    /* Takes the request over: parks it, or ends it. */
    void (*next)(void *arg, struct httpd_request *req);
    /* 0, or -1 where that invocation is not in progress here. */
    int (*answer)(void *arg, const struct runtime_answer *a);
    void (*init_failed)(void *arg, const char *body, size_t len, const char *type);
};

/* Serves on `listen` ("127.0.0.1:0": any free port); the owner's loop runs the server
 * (runtime_api_httpd). `ops` is borrowed. NULL with *err where the address cannot be had. */
struct runtime_api *runtime_api_start(const char *listen, const struct runtime_api_ops *ops,
                                      void *arg, struct log *log, struct error *err) CHECKED;
/* Takes NULL; the server must not be run by the loop any more. */
void runtime_api_stop(struct runtime_api *api);
struct httpd *runtime_api_httpd(struct runtime_api *api);

#endif

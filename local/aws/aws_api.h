/* aws_api.h - the AWS port: one HTTP server for all emulated services.
 *
 * A request is checked (Host, Origin, content type, signature), given to the service that it names,
 * which finds the operation, then to the hooks, then to the operation. The operation answers at
 * once or parks the request and answers later; each is answered exactly once, and then gone.
 *
 *     httpd -> aws_api_handle -> service->route -> hooks->before -> service->run -> aws_reply
 *                                                                     hooks->answer <-'
 * Paths are split on '/' as they came and each segment is decoded once, so that %2F stays inside
 * its segment. Web pages can't use this port: a foreign Host, any Origin, and the content types
 * that a page can send without asking are refused. The loop's thread only. */
#ifndef LOCAL_AWS_AWS_API_H
#define LOCAL_AWS_AWS_API_H

#include <json-c/json.h>

#include "local/local.h"
#include "shared/base/digest.h"
#include "shared/base/httpd.h"

#define AWS_SEGMENTS 8

struct aws_api;
struct aws_request;
struct fault;

struct aws_service {
    const char *name; /* as in SigV4's scope: "lambda", "ecs" */
    bool json11;      /* errors as JSON 1.1 says; otherwise as rest-json */
    /* Sets r->operation; false where the service has no such operation. */
    bool (*route)(struct aws_request *r, void *arg);
    /* Does r->operation. */
    void (*run)(struct aws_request *r, void *arg);
    void *arg;
};

struct aws_request {
    struct aws_api *api;
    struct httpd_request *http;
    const struct aws_service *service;
    const char *operation;        /* static: "RunTask" */
    char *segments[AWS_SEGMENTS]; /* of the path, decoded */
    size_t segment_count;
    const char *body; /* as received; until the answer */
    size_t body_len;
    char request_id[RANDOM_UUID];
    int64_t received_ms; /* wall clock */
    struct fault *fault; /* ordered for it (local/faults.h), or NULL; the hooks' own */
    bool parked;
};

/* What may interfere with every operation; each may be NULL. */
struct aws_hooks {
    /* Before the operation has any effect. True: the hook has answered, or has parked the request
     * and will call aws_request_run. */
    bool (*before)(struct aws_request *r, void *arg);
    /* After the effect. False: no answer is sent, the connection is closed. */
    bool (*answer)(struct aws_request *r, int status, void *arg);
    /* When all is done; `status` is 0 where no answer was sent. */
    void (*done)(const struct aws_request *r, int status, void *arg);
    void *arg;
};

/* `verify`: check signatures. */
struct aws_api *aws_api_new(const struct local *local, bool verify) CHECKED;
void aws_api_free(struct aws_api *api);
/* The httpd_handler of the AWS port; `arg` is the aws_api. */
void aws_api_handle(struct httpd_request *http, void *arg);
/* The same for a body over the port's limit. */
void aws_api_too_large(struct httpd_request *http, void *arg);
/* Besides localhost and loopback addresses, this Host (without port) is served; copied. */
void aws_api_allow_host(struct aws_api *api, const char *host);
/* A JSON 1.1 service is known by X-Amz-Target's prefix ("AmazonEC2ContainerServiceV20141113"), one
 * with `target` NULL gets every other path. Copied. */
void aws_api_add_service(struct aws_api *api, const struct aws_service *service,
                         const char *target);
void aws_api_set_hooks(struct aws_api *api, const struct aws_hooks *hooks);
/* A request for tests and tools, "GET", "/_local/functions": no signature, no hooks; the handler
 * answers with httpd_*. Both strings must outlive the api. */
void aws_api_add_local(struct aws_api *api, const char *method, const char *path,
                       httpd_handler *handler, void *arg);

/* The one prefix ("/console") under which a browser is served: its paths go to `handler`, whose
 * page's own origin is then not refused. NULL: none. The string must outlive the api. */
void aws_api_set_pages(struct aws_api *api, const char *prefix, httpd_handler *handler, void *arg);

/* Runs the operation of a request that a hook had parked. */
void aws_request_run(struct aws_request *r);
/* Keeps the request for a later answer; may be called again. */
void aws_park(struct aws_request *r);

/* Answers; the request is gone afterwards. Everything is copied; `headers` is ended by a NULL name,
 * or NULL. */
void aws_reply(struct aws_request *r, int status, const char *type, const void *body, size_t len,
               const struct httpd_header *headers);
/* 200 with JSON in the service's own type; consumes `o`, NULL is {}. */
void aws_reply_json(struct aws_request *r, struct json_object *o);
/* An error as the service encodes it: `code` in x-amzn-ErrorType and __type. */
void aws_error(struct aws_request *r, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same with a body of the caller's, to which __type, Type and the message are added; consumes
 * it. `retry_after_s` 0: none. */
void aws_error_with(struct aws_request *r, int status, const char *code, const char *message,
                    struct json_object *body, int retry_after_s);
/* No answer: the connection is closed. */
void aws_drop(struct aws_request *r);

#endif

/* lambda_routes.h - which of Lambda's operations a request means. Pure. */
#ifndef LOCAL_AWS_LAMBDA_ROUTES_H
#define LOCAL_AWS_LAMBDA_ROUTES_H

#include "local/aws/aws_api.h"

struct lambda;
typedef void lambda_operation_fn(struct lambda *l, struct aws_request *r);

struct lambda_route {
    const char *operation;
    const char *method;
    const char *segments[4]; /* "*" is any; NULL ends a shorter path */
    lambda_operation_fn *run;
};

/* By method and decoded segments, or NULL. */
const struct lambda_route *lambda_route_find(const char *method, char *const *segments,
                                             size_t count);
/* By the operation's name, or NULL. */
const struct lambda_route *lambda_route_named(const char *operation);

#endif

/* lambda_errors.h - answers that several of Lambda's operations give. Each ends the request. */
#ifndef LOCAL_AWS_LAMBDA_ERRORS_H
#define LOCAL_AWS_LAMBDA_ERRORS_H

#include "local/aws/aws_api.h"

/* 400 with err->type as the code (none: InvalidParameterValueException). */
void lambda_refuse(struct aws_request *r, const struct error *err);
/* The path's ARN is none of a durable execution. */
void lambda_refuse_arn(struct aws_request *r);
/* The MaxItems parameter (absent and 0: 100), or false after an answer. */
bool lambda_read_max_items(struct aws_request *r, int64_t *out);
/* A parameter of true or false, or false after an answer; *out keeps the default where absent. */
bool lambda_read_bool(struct aws_request *r, const char *name, bool *out);
/* The body as an ErrorObject's text, *out NULL where there is none ({} or nothing), the caller's;
 * or false after an answer. */
bool lambda_read_error(struct aws_request *r, char **out);

#endif

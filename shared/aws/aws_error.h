/* aws_error.h - what an AWS service's answer of another status than 2xx means. For aws.c; any
 * thread.
 */
#ifndef AWS_AWS_ERROR_H
#define AWS_AWS_ERROR_H

#include "shared/aws/http.h"

/* Fills *err as aws.h says; always -1. */
int aws_error_decode(const struct http_response *resp, struct error *err);

#endif

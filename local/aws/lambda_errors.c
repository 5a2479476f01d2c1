#include "local/aws/lambda_errors.h"

#include <stdlib.h>
#include <string.h>

#include "local/aws/error_object.h"
#include "shared/base/json.h"
#include "shared/base/opts.h"

void lambda_refuse(struct aws_request *r, const struct error *err)
{
    aws_error(r, 400, err->type[0] ? err->type : "InvalidParameterValueException", "%s", err->msg);
}

void lambda_refuse_arn(struct aws_request *r)
{
    aws_error(r, 400, "ValidationException",
              "1 validation error detected: Value at 'durableExecutionArn' failed to satisfy "
              "constraint: it must be the ARN of a durable execution");
}

bool lambda_read_max_items(struct aws_request *r, int64_t *out)
{
    auto_free char *text = httpd_query_get(r->http, "MaxItems");
    *out = 0;
    if (text && opts_int(text, 0, 1000, out) < 0) {
        aws_error(r, 400, "ValidationException",
                  "1 validation error detected: Value at 'maxItems' must be from 0 to 1000");
        return false;
    }
    if (*out == 0)
        *out = 100;
    return true;
}

bool lambda_read_bool(struct aws_request *r, const char *name, bool *out)
{
    auto_free char *text = httpd_query_get(r->http, name);
    if (!text)
        return true;
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        aws_error(r, 400, "ValidationException",
                  "1 validation error detected: Value at '%s' must be true or false", name);
        return false;
    }
    *out = strcmp(text, "true") == 0;
    return true;
}

bool lambda_read_error(struct aws_request *r, char **out)
{
    struct error err;
    auto_json struct json_object *o = NULL;
    *out = NULL;
    if (r->body_len == 0)
        return true;
    if (json_parse(r->body, r->body_len, JSON_DEPTH, &o, &err) < 0) {
        aws_error(r, 400, "SerializationException", "%s", err.msg);
        return false;
    }
    if (!(*out = error_object_text(o, "", &err))) {
        lambda_refuse(r, &err);
        return false;
    }
    if (strcmp(*out, "{}") == 0) {
        free(*out);
        *out = NULL;
    }
    return true;
}

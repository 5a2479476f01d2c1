#include "shared/aws/aws_error.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/json.h"

#define ERROR_BODY_MAX (1U << 20)

/* Copies a code up to its first ':' or ','; what is behind is a URL or a list. */
static void copy_code(char *out, size_t size, const char *code)
{
    snprintf(out, size, "%.*s", (int)strcspn(code, ":,"), code);
}

/* The error's name: header, then `code`, then `__type` behind its namespace. */
static void find_code(const struct http_response *resp, const struct json_object *body, char *out,
                      size_t size)
{
    char header[256];
    const char *code = json_get_str(body, "code");
    const char *type = json_get_str(body, "__type");
    out[0] = '\0';
    if (http_response_header(resp, "x-amzn-ErrorType", header, sizeof(header)) && header[0])
        copy_code(out, size, header);
    else if (code)
        copy_code(out, size, code);
    else if (type)
        copy_code(out, size, strrchr(type, '#') ? strrchr(type, '#') + 1 : type);
}

static bool starts(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static bool ends(const char *s, const char *with)
{
    size_t len = strlen(s);
    size_t tail = strlen(with);
    return len >= tail && strcmp(s + len - tail, with) == 0;
}

/* Services of the JSON 1.1 family answer 400 to everything that the caller can cause, so that the
 * name decides before the status. */
static enum error_code decide(int status, const char *code)
{
    static const char *const denied[] = {
        "AccessDenied",       "UnrecognizedClient",    "InvalidSignature",
        "ExpiredToken",       "MissingAuthentication", "IncompleteSignature",
        "InvalidClientToken", "SignatureDoesNotMatch", "InvalidAccessKeyId",
    };
    if (status == 429 || starts(code, "Throttl") || starts(code, "TooManyRequests") ||
        starts(code, "RequestLimitExceeded"))
        return ERR_THROTTLED;
    if (status >= 500)
        return ERR_UNAVAILABLE;
    if (status < 400)
        return ERR_PROTOCOL; /* redirects: AWS's APIs have none */
    if (status == 401 || status == 403)
        return ERR_DENIED;
    for (size_t i = 0; i < ARRAY_LEN(denied); i++)
        if (starts(code, denied[i]))
            return ERR_DENIED;
    if (status == 404 || ends(code, "NotFoundException"))
        return ERR_NOT_FOUND;
    if (status == 409 || strcmp(code, "ConflictException") == 0)
        return ERR_CONFLICT;
    if (status == 413)
        return ERR_TOO_LARGE;
    return status == 408 ? ERR_TIMEOUT : ERR_INVALID;
}

int aws_error_decode(const struct http_response *resp, struct error *err)
{
    auto_json struct json_object *body = NULL;
    struct error ignored;
    if (resp->body.len > 0 && resp->body.len <= ERROR_BODY_MAX &&
        json_parse(resp->body.data, resp->body.len, JSON_DEPTH, &body, &ignored) < 0)
        body = NULL;
    char code[sizeof(err->type)];
    find_code(resp, body, code, sizeof(code));
    const char *message = json_get_str(body, "message");
    if (!message)
        message = json_get_str(body, "Message");
    if (!message)
        message = json_get_str(body, "errorMessage");
    /* The first line only: behind it a signature's error repeats the headers, with their token. */
    int len = message ? (int)strcspn(message, "\r\n") : 0;
    char request_id[80];
    bool traced = resp->status >= 500 &&
                  http_response_header(resp, "x-amzn-RequestId", request_id, sizeof(request_id));
    enum error_code kind = decide(resp->status, code);
    if (len > 0)
        error_set(err, kind, resp->status, "%.*s%s%s%s", len, message, traced ? " (request " : "",
                  traced ? request_id : "", traced ? ")" : "");
    else
        error_set(err, kind, resp->status, "AWS answered with status %d%s%s%s%s%s", resp->status,
                  code[0] ? ", " : "", code, traced ? " (request " : "", traced ? request_id : "",
                  traced ? ")" : "");
    error_set_type(err, code);
    if (err && starts(code, "KMS"))
        err->retryable =
            false; /* the customer's key: trouble that stays, though the status is 502 */
    return -1;
}

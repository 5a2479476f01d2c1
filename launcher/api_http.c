#include "launcher/api_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/encode.h"
#include "shared/base/json.h"

/* ---- requests -------------------------------------------------------------------------------- */

/* Who asks: IAM's ARN, or the subject of a JWT. */
static const char *find_caller(struct json_object *context)
{
    struct json_object *authorizer = json_get_obj(context, "authorizer");
    const char *arn = json_get_str(json_get_obj(authorizer, "iam"), "userArn");
    struct json_object *claims = json_get_obj(json_get_obj(authorizer, "jwt"), "claims");
    const char *subject = json_get_str(claims, "sub");
    return arn ? arn : subject ? subject : "";
}

/* A stage with a name of its own is in front of the path; $default is not. */
static void strip_stage(struct api_request *req, const char *stage)
{
    char prefix[sizeof(req->prefix)];
    if (!stage || !stage[0] || strcmp(stage, "$default") == 0)
        return;
    int len = snprintf(prefix, sizeof(prefix), "/%s", stage);
    if (len < 0 || (size_t)len >= sizeof(prefix) || strncmp(req->path, prefix, (size_t)len) != 0 ||
        req->path[len] != '/')
        return;
    memcpy(req->prefix, prefix, (size_t)len + 1);
    req->path += len;
}

static int read_body(struct api_request *req, struct error *err)
{
    struct json_object *body = json_get(req->event, "body");
    if (!json_object_is_type(body, json_type_string)) {
        req->body = mem_dup("");
        return 0;
    }
    const char *text = json_object_get_string(body);
    req->body_len = (size_t)json_object_get_string_len(body);
    if (!json_get_bool(req->event, "isBase64Encoded", false)) {
        req->body = mem_dup_len(text, req->body_len);
        return 0;
    }
    req->body = (char *)decode_base64(text, req->body_len, &req->body_len);
    return req->body ? 0 : error_set(err, ERR_INVALID, 0, "the body is not base64");
}

int api_request_read(struct api_request *req, const char *event, size_t len, struct error *err)
{
    *req = (struct api_request){ .body = NULL };
    if (json_parse(event, len, JSON_DEPTH, &req->event, err) < 0)
        return error_wrap(err, "the event");
    struct json_object *context = json_get_obj(req->event, "requestContext");
    const char *query = json_get_str(req->event, "rawQueryString");
    req->method = json_get_str(json_get_obj(context, "http"), "method");
    req->path = json_get_str(req->event, "rawPath");
    if (!req->method || !req->path)
        return error_set(err, ERR_INVALID, 0, "not an event of an HTTP API in payload format 2.0");
    req->query = query ? query : "";
    req->caller = find_caller(context);
    strip_stage(req, json_get_str(context, "stage"));
    return read_body(req, err);
}

void api_request_release(struct api_request *req)
{
    json_object_put(req->event);
    free(req->body);
    *req = (struct api_request){ .body = NULL };
}

const char *api_request_header(const struct api_request *req, const char *name)
{
    return json_get_str(json_get_obj(req->event, "headers"), name);
}

static char *decode_form(const char *s, size_t len)
{
    auto_free char *copy = mem_dup_len(s, len);
    for (char *p = copy; *p; p++)
        if (*p == '+')
            *p = ' ';
    return decode_percent(copy, strlen(copy));
}

int api_query_next(const char **query, char **name, char **value)
{
    const char *p = *query + strspn(*query, "&");
    size_t len = strcspn(p, "&");
    size_t key = strcspn(p, "=&");
    if (len == 0)
        return 0;
    *query = p + len;
    *name = decode_form(p, key);
    *value = key < len ? decode_form(p + key + 1, len - key - 1) : mem_dup("");
    if (*name && *value)
        return 1;
    mem_free_ptr(name);
    mem_free_ptr(value);
    return -1;
}

/* ---- answers --------------------------------------------------------------------------------- */

void api_reply_release(struct api_reply *r)
{
    json_object_put(r->headers);
    free(r->body);
    *r = (struct api_reply){ .status = 0 };
}

void api_reply_header(struct api_reply *r, const char *name, const char *value)
{
    if (!r->headers)
        r->headers = json_object_new_object();
    json_add_str(r->headers, name, value);
}

void api_reply_text(struct api_reply *r, int status, const char *json)
{
    char *copy = mem_dup(json);
    free(r->body);
    r->body = copy;
    r->status = status;
    api_reply_header(r, "content-type", "application/json");
    /* What a workflow's state is now is not what it will be. */
    api_reply_header(r, "cache-control", "no-store");
}

void api_reply_json(struct api_reply *r, int status, struct json_object *doc)
{
    api_reply_text(r, status, json_text(doc, NULL));
}

static const char *phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } table[] = {
        { 400, "Bad Request" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 409, "Conflict" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 500, "Internal Server Error" },
        { 503, "Service Unavailable" },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].status == status)
            return table[i].phrase;
    return "Error";
}

void api_reply_problem(struct api_reply *r, int status, struct json_object *faults, const char *fmt,
                       ...)
{
    va_list ap;
    va_start(ap, fmt);
    auto_free char *detail = mem_vprintf(fmt, ap);
    va_end(ap);
    auto_json struct json_object *doc = json_object_new_object();
    json_add_str(doc, "type", "about:blank");
    json_add_str(doc, "title", phrase(status));
    json_add_int(doc, "status", status);
    json_add_str(doc, "detail", detail);
    if (faults)
        json_add(doc, "errors", json_object_get(faults));
    api_reply_json(r, status, doc);
    api_reply_header(r, "content-type", "application/problem+json");
}

void api_reply_write(const struct api_reply *r, struct buf *out)
{
    buf_printf(out, "{\"statusCode\":%d,\"headers\":%s,\"body\":", r->status,
               r->headers ? json_text(r->headers, NULL) : "{}");
    buf_add_json_str(out, r->body ? r->body : "");
    buf_add_str(out, ",\"isBase64Encoded\":false}");
}

/* api_http.h - requests and answers as API Gateway's HTTP API hands them to a function: payload
 * format 2.0.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 * Pure, any thread with objects of its own. */
#ifndef LAUNCHER_API_HTTP_H
#define LAUNCHER_API_HTTP_H

#include <json-c/json.h>

#include "shared/base/buf.h"
#include "shared/base/error.h"

/* Strings are never NULL unless it says so. */
struct api_request {
    const char *method;
    const char *path;   /* behind the stage's prefix */
    char prefix[130];   /* "/stage", or "" for the default stage */
    const char *query;  /* raw */
    const char *caller; /* who the authorizer says it is, or "" */
    char *body;         /* NUL-terminated behind body_len bytes; decoded; owned */
    size_t body_len;
    struct json_object *event; /* private: what the strings live in */
};

/* -1 where the event is not one of an HTTP API, or its body is broken base64. */
int api_request_read(struct api_request *req, const char *event, size_t len,
                     struct error *err) CHECKED;
void api_request_release(struct api_request *req);
#define auto_api_request __attribute__((cleanup(api_request_release)))
/* By lower-case name, as API Gateway has them (several are joined with commas); NULL: none. */
const char *api_request_header(const struct api_request *req, const char *name);

/* One parameter after the other: sets *name and *value (decoded, new memory, '+' is a space) and
 * moves *query on. 1; 0 at the end; -1 where it is broken. */
int api_query_next(const char **query, char **name, char **value) CHECKED;

/* An answer in the making; zeroed is a valid beginning. Release it in any case. */
struct api_reply {
    int status;
    struct json_object *headers; /* NULL: none yet */
    char *body;
};

void api_reply_release(struct api_reply *r);
#define auto_api_reply __attribute__((cleanup(api_reply_release)))
void api_reply_header(struct api_reply *r, const char *name, const char *value);
/* Replaces what was there; `doc` is borrowed. */
void api_reply_json(struct api_reply *r, int status, struct json_object *doc);
/* The same with text that is JSON already. */
void api_reply_text(struct api_reply *r, int status, const char *json);
/* A problem document (RFC 9457); `faults` becomes its "errors" (borrowed; NULL: none). */
void api_reply_problem(struct api_reply *r, int status, struct json_object *faults, const char *fmt,
                       ...) __attribute__((format(printf, 4, 5)));
/* Appends what API Gateway takes. */
void api_reply_write(const struct api_reply *r, struct buf *out);

#endif

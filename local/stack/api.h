/* api.h - a small client of the clients' HTTP API: what the demo and the integration tests say to
 * it. One thread at a time each. */
#ifndef STACK_API_H
#define STACK_API_H

#include "shared/aws/http.h"
#include "shared/base/json.h"

struct api;

struct api_answer {
    int status;
    char *text;               /* the body */
    struct json_object *json; /* the body where it is JSON, else NULL */
    char *type;               /* Content-Type, or NULL */
};
void api_answer_release(struct api_answer *a);
#define auto_answer __attribute__((cleanup(api_answer_release)))

/* `base` is put before each path. */
struct api *api_new(const char *base, struct error *err) CHECKED;
void api_free(struct api *a);
/* One request; any status is a success. `body` NULL: none; `headers` as in http.h, NULL: none, and
 * a body then goes as application/json. `out` is the caller's, zeroed or used before. */
int api_send(struct api *a, const char *method, const char *path, const struct http_header *headers,
             const char *body, struct api_answer *out, struct error *err) CHECKED;
/* Posts a workflow; *id is its id, the caller's. Anything but 202 is an error with the answer's
 * text. */
int api_start(struct api *a, const char *body, char **id, struct error *err) CHECKED;
/* Asks until the workflow has ended, riding out a server that is away; *out is the last answer's
 * body, the caller's. ERR_TIMEOUT after timeout_ms. */
int api_wait(struct api *a, const char *id, int64_t timeout_ms, struct json_object **out,
             struct error *err) CHECKED;

#endif

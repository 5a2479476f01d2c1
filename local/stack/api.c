#include "local/stack/api.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (16U << 20)
#define PAUSE_MS   200

struct api {
    char *base;
    struct http_client *http;
};

void api_answer_release(struct api_answer *a)
{
    free(a->text);
    free(a->type);
    json_object_put(a->json);
    *a = (struct api_answer){ 0 };
}

struct api *api_new(const char *base, struct error *err)
{
    struct api *a = mem_alloc(sizeof(*a));
    a->base = mem_dup(base);
    a->http = http_client_new(err);
    if (a->http)
        return a;
    api_free(a);
    return NULL;
}

void api_free(struct api *a)
{
    if (!a)
        return;
    http_client_free(a->http);
    free(a->base);
    free(a);
}

int api_send(struct api *a, const char *method, const char *path, const struct http_header *headers,
             const char *body, struct api_answer *out, struct error *err)
{
    static const struct http_header json[] = { { "Content-Type", "application/json" },
                                               { NULL, NULL } };
    auto_response struct http_response resp = { 0 };
    auto_free char *url = mem_printf("%s%s", a->base, path);
    const struct http_request req = {
        .method = method,
        .url = url,
        .headers = headers ? headers
                   : body  ? json
                           : NULL,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .timeout_ms = 40000,
        .max_response = ANSWER_MAX,
    };
    char type[128];
    api_answer_release(out);
    if (http_send(a->http, &req, &resp, err) < 0)
        return error_wrap(err, "%s %s", method, path);
    out->status = resp.status;
    if (http_response_header(&resp, "Content-Type", type, sizeof(type)))
        out->type = mem_dup(type);
    size_t len;
    out->text = buf_take(&resp.body, &len);
    if (json_parse(out->text, len, JSON_DEPTH, &out->json, NULL) < 0)
        out->json = NULL;
    return 0;
}

int api_start(struct api *a, const char *body, char **id, struct error *err)
{
    auto_answer struct api_answer answer = { 0 };
    *id = NULL;
    if (api_send(a, "POST", "/workflows", NULL, body, &answer, err) < 0)
        return -1;
    *id = mem_dup(json_get_str(answer.json, "id"));
    if (answer.status != 202 || !*id)
        return error_set(err, ERR_PROTOCOL, answer.status, "POST /workflows: %d %.300s",
                         answer.status, answer.text);
    return 0;
}

int api_wait(struct api *a, const char *id, int64_t timeout_ms, struct json_object **out,
             struct error *err)
{
    const struct clock *clock = clock_system();
    int64_t until = clock_mono_ms(clock) + timeout_ms;
    auto_free char *path = mem_printf("/workflows/%s?wait=5", id);
    auto_answer struct api_answer answer = { 0 };
    struct error last = { 0 };
    *out = NULL;
    while (clock_mono_ms(clock) < until) {
        if (api_send(a, "GET", path, NULL, NULL, &answer, &last) < 0) {
            clock_sleep_ms(clock, PAUSE_MS);
            continue;
        }
        const char *status = json_get_str(answer.json, "status");
        if (answer.status == 200 && status && strcmp(status, "RUNNING") != 0) {
            *out = MOVE(answer.json);
            return 0;
        }
        error_set(&last, ERR_TIMEOUT, answer.status, "%d %.300s", answer.status, answer.text);
        if (answer.status != 200) /* wait=5 paces the others */
            clock_sleep_ms(clock, PAUSE_MS);
    }
    return error_set(err, ERR_TIMEOUT, 0, "workflow %s has not ended after %lld ms: %s", id,
                     (long long)timeout_ms, last.msg);
}

#include "local/aws/runtime_api.h"

#include <stdlib.h>
#include <string.h>

#define MAX_RESPONSE 6291556 /* what AWS takes as a response: 6 MiB and a hundred bytes */
#define BASE         "/2018-06-01/runtime/"

struct runtime_api {
    struct httpd *httpd;
    const struct runtime_api_ops *ops;
    void *arg;
};

static void refuse(struct httpd_request *req, int status, const char *type, const char *message)
{
    auto_free char *body =
        mem_printf("{\"errorMessage\":\"%s\",\"errorType\":\"%s\"}", message, type);
    httpd_reply_json(req, status, body, NULL);
}

static void accept(struct httpd_request *req)
{
    httpd_reply_json(req, 202, "{\"status\":\"OK\"}", NULL);
}

/* The id of .../invocation/ID/response, or NULL where the path ends otherwise; the caller's. */
static char *request_id_of(const char *path, const char *ending)
{
    static const char before[] = BASE "invocation/";
    size_t len = strlen(path), begin = sizeof(before) - 1, end = strlen(ending);
    if (len <= begin + end || strncmp(path, before, begin) != 0 ||
        strcmp(path + len - end, ending) != 0)
        return NULL;
    return mem_dup_len(path + begin, len - begin - end);
}

static void take_answer(const struct runtime_api *api, struct httpd_request *req, const char *id,
                        bool is_error)
{
    struct runtime_answer a = { .req = req, .request_id = id, .is_error = is_error };
    a.body = httpd_body(req, &a.len);
    a.type = httpd_header(req, "Lambda-Runtime-Function-Error-Type");
    if (api->ops->answer(api->arg, &a) < 0)
        refuse(req, 400, "InvalidRequestID", "This invocation is not in progress here.");
    else
        accept(req);
}

static void handle_post(const struct runtime_api *api, struct httpd_request *req, const char *path)
{
    auto_free char *response = request_id_of(path, "/response");
    auto_free char *error = request_id_of(path, "/error");
    if (response || error) {
        take_answer(api, req, response ? response : error, error != NULL);
    } else if (strcmp(path, BASE "init/error") == 0) {
        size_t len;
        const char *body = httpd_body(req, &len);
        api->ops->init_failed(api->arg, body, len,
                              httpd_header(req, "Lambda-Runtime-Function-Error-Type"));
        accept(req);
    } else {
        refuse(req, 404, "NotFound", "There is nothing at this path.");
    }
}

static void handle(struct httpd_request *req, void *arg)
{
    const struct runtime_api *api = arg;
    const char *method = httpd_method(req), *path = httpd_path(req);
    if (httpd_header(req, "Origin"))
        refuse(req, 403, "Forbidden", "Web pages are not served here.");
    else if (strcmp(method, "POST") == 0)
        handle_post(api, req, path);
    else if (strcmp(method, "GET") == 0 && strcmp(path, BASE "invocation/next") == 0)
        api->ops->next(api->arg, req);
    else
        refuse(req, 404, "NotFound", "There is nothing at this path.");
}

/* The invocation fails with it, whatever its runtime makes of the 413. */
static void too_large(struct httpd_request *req, void *arg)
{
    static const char type[] = "Function.ResponseSizeTooLarge";
    const struct runtime_api *api = arg;
    auto_free char *id = request_id_of(httpd_path(req), "/response");
    auto_free char *body = mem_printf(
        "{\"errorMessage\":\"Response payload size exceeded maximum allowed payload size "
        "(%d bytes).\",\"errorType\":\"%s\"}",
        MAX_RESPONSE, type);
    const struct runtime_answer a = { .req = req,
                                      .request_id = id,
                                      .is_error = true,
                                      .body = body,
                                      .len = strlen(body),
                                      .type = type };
    if (id)
        (void)api->ops->answer(api->arg,
                               &a); /* one that is not in progress here is refused all the same */
    refuse(req, 413, "RequestEntityTooLarge", "Exceeded maximum allowed payload size.");
}

struct runtime_api *runtime_api_start(const char *listen, const struct runtime_api_ops *ops,
                                      void *arg, struct log *log, struct error *err)
{
    struct runtime_api *api = mem_alloc(sizeof(*api));
    const struct httpd_config cfg = { .listen = listen,
                                      .max_connections = 1024,
                                      .max_body = MAX_RESPONSE,
                                      .handler = handle,
                                      .too_large = too_large,
                                      .arg = api,
                                      .log = log };
    api->ops = ops;
    api->arg = arg;
    if ((api->httpd = httpd_start(&cfg, err)))
        return api;
    free(api);
    return NULL;
}

void runtime_api_stop(struct runtime_api *api)
{
    if (!api)
        return;
    httpd_stop(api->httpd);
    free(api);
}

struct httpd *runtime_api_httpd(struct runtime_api *api)
{
    return api->httpd;
}

#include "local/aws/aws_api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "local/aws/signature.h"
#include "shared/base/encode.h"
#include "shared/base/json.h"
#include "shared/base/utf8.h"

#define MAX_SERVICES 4
#define MAX_LOCAL    16
#define MAX_HOSTS    16

struct target {
    char *prefix;
    struct aws_service service;
};

struct local_route {
    const char *method;
    const char *path;
    httpd_handler *handler;
    void *arg;
};

struct aws_api {
    const struct local *local;
    bool verify;
    char *hosts[MAX_HOSTS];
    size_t host_count;
    struct target services[MAX_SERVICES];
    size_t service_count;
    struct local_route routes[MAX_LOCAL];
    size_t route_count;
    struct aws_hooks hooks;
    const char *pages; /* a prefix, or NULL */
    httpd_handler *page;
    void *page_arg;
};

struct aws_api *aws_api_new(const struct local *local, bool verify)
{
    struct aws_api *api = mem_alloc(sizeof(*api));
    api->local = local;
    api->verify = verify;
    aws_api_allow_host(api, "localhost");
    aws_api_allow_host(api, "127.0.0.1");
    aws_api_allow_host(api, "[::1]");
    return api;
}

void aws_api_free(struct aws_api *api)
{
    if (!api)
        return;
    for (size_t i = 0; i < api->host_count; i++)
        free(api->hosts[i]);
    for (size_t i = 0; i < api->service_count; i++)
        free(api->services[i].prefix);
    free(api);
}

void aws_api_allow_host(struct aws_api *api, const char *host)
{
    if (api->host_count == MAX_HOSTS)
        abort();
    api->hosts[api->host_count++] = mem_dup(host);
}

void aws_api_add_service(struct aws_api *api, const struct aws_service *service, const char *target)
{
    if (api->service_count == MAX_SERVICES)
        abort();
    struct target *t = &api->services[api->service_count++];
    t->prefix = mem_dup(target);
    t->service = *service;
}

void aws_api_set_hooks(struct aws_api *api, const struct aws_hooks *hooks)
{
    api->hooks = *hooks;
}

void aws_api_add_local(struct aws_api *api, const char *method, const char *path,
                       httpd_handler *handler, void *arg)
{
    if (api->route_count == MAX_LOCAL)
        abort();
    api->routes[api->route_count++] = (struct local_route){ method, path, handler, arg };
}

void aws_api_set_pages(struct aws_api *api, const char *prefix, httpd_handler *handler, void *arg)
{
    api->pages = prefix;
    api->page = handler;
    api->page_arg = arg;
}

/* ---- who may ask ----------------------------------------------------------------------------- */

static bool host_is_ours(const struct aws_api *api, const char *host)
{
    if (!host)
        return false;
    size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    if (len > strlen(host) ||
        (host[len] &&
         (host[len] != ':' || strspn(host + len + 1, "0123456789") != strlen(host + len + 1))))
        return false;
    for (size_t i = 0; i < api->host_count; i++)
        if (strlen(api->hosts[i]) == len && strncasecmp(api->hosts[i], host, len) == 0)
            return true;
    return false;
}

/* What a page of another site may send without the browser asking first (the Fetch standard's
 * "CORS-safelisted" content types). */
static bool page_could_send(const char *type)
{
    static const char *const types[] = { "text/plain", "application/x-www-form-urlencoded",
                                         "multipart/form-data" };
    if (!type)
        return false;
    type += strspn(type, " \t");
    size_t len = strcspn(type, "; \t");
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strlen(types[i]) == len && strncasecmp(types[i], type, len) == 0)
            return true;
    return false;
}

static bool is_page(const struct aws_api *api, const char *path)
{
    size_t len = api->pages ? strlen(api->pages) : 0;
    return len > 0 && strncmp(path, api->pages, len) == 0 && (!path[len] || path[len] == '/');
}

/* No page at all, but our own: its origin is the Host that has been checked. */
static bool foreign_origin(const struct aws_api *api, struct httpd_request *http)
{
    static const char scheme[] = "http://";
    const char *origin = httpd_header(http, "Origin");
    if (!origin)
        return false;
    return !is_page(api, httpd_path(http)) || strncmp(origin, scheme, sizeof(scheme) - 1) != 0 ||
           strcasecmp(origin + sizeof(scheme) - 1, httpd_header(http, "Host")) != 0;
}

/* True where the request was refused, and so answered. */
static bool refused(const struct aws_api *api, struct httpd_request *http)
{
    size_t len;
    httpd_body(http, &len);
    if (!host_is_ours(api, httpd_header(http, "Host"))) {
        httpd_problem(http, 403, NULL, "This Host is not served here.");
        return true;
    }
    if (foreign_origin(api, http)) {
        httpd_problem(http, 403, NULL, "Web pages are not served here.");
        return true;
    }
    if (len > 0 && page_could_send(httpd_header(http, "Content-Type"))) {
        httpd_problem(http, 415, NULL, "The body must be application/json.");
        return true;
    }
    return false;
}

/* ---- one request ----------------------------------------------------------------------------- */

static void request_free(struct aws_request *r)
{
    for (size_t i = 0; i < r->segment_count; i++)
        free(r->segments[i]);
    free(r);
}

/* Splits the raw path and decodes each segment; false for a broken or too long one. */
static bool split_path(struct aws_request *r, const char *path)
{
    const char *p = path + (*path == '/');
    while (*p) {
        size_t len = strcspn(p, "/");
        char *segment = r->segment_count < AWS_SEGMENTS ? decode_percent(p, len) : NULL;
        if (!segment)
            return false;
        r->segments[r->segment_count++] = segment;
        p += len;
        if (*p == '/' && !*++p)
            return false; /* a slash at the end is another path */
    }
    return true;
}

static const struct aws_service *find_service(const struct aws_api *api, struct httpd_request *http)
{
    const char *target = httpd_header(http, "X-Amz-Target");
    const struct aws_service *otherwise = NULL;
    for (size_t i = 0; i < api->service_count; i++) {
        const struct target *t = &api->services[i];
        size_t len = t->prefix ? strlen(t->prefix) : 0;
        if (!t->prefix)
            otherwise = &t->service;
        else if (target && strncmp(target, t->prefix, len) == 0 && target[len] == '.')
            return &t->service;
    }
    return target ? NULL : otherwise;
}

static void handle_local(struct aws_api *api, struct httpd_request *http)
{
    const char *path = httpd_path(http), *method = httpd_method(http);
    char allow[64] = "";
    for (size_t i = 0; i < api->route_count; i++) {
        const struct local_route *r = &api->routes[i];
        if (strcmp(r->path, path) != 0)
            continue;
        if (strcmp(r->method, method) == 0) {
            r->handler(http, r->arg);
            return;
        }
        size_t used = strlen(allow);
        snprintf(allow + used, sizeof(allow) - used, "%s%s", used ? ", " : "", r->method);
    }
    if (!allow[0]) {
        httpd_problem(http, 404, NULL, "There is nothing at this path.");
        return;
    }
    const struct httpd_header headers[] = { { "Allow", allow }, { NULL, NULL } };
    httpd_problem(http, 405, headers, "This path takes %s.", allow);
}

/* JSON 1.1 names the operation in a header, behind a dot. */
static void refuse_operation(struct aws_request *r)
{
    const char *target = httpd_header(r->http, "X-Amz-Target");
    int status = r->service->json11 ? 400 : 404;
    if (target)
        aws_error(r, status, "UnknownOperationException", "local-aws has no such operation: %.200s",
                  target);
    else
        aws_error(r, status, "UnknownOperationException",
                  "local-aws has no such operation: %s %.200s", httpd_method(r->http),
                  httpd_path(r->http));
}

void aws_api_handle(struct httpd_request *http, void *arg)
{
    static const struct aws_service unknown = { .name = "unknown" };
    struct aws_api *api = arg;
    if (refused(api, http))
        return;
    if (strncmp(httpd_path(http), "/_local/", 8) == 0) {
        handle_local(api, http);
        return;
    }
    if (is_page(api, httpd_path(http))) {
        api->page(http, api->page_arg);
        return;
    }
    struct aws_request *r = mem_alloc(sizeof(*r));
    r->api = api;
    r->http = http;
    r->body = httpd_body(http, &r->body_len);
    r->received_ms = clock_wall_ms(api->local->clock);
    random_uuid(r->request_id);
    const struct aws_service *service = find_service(api, http);
    r->service = service ? service : &unknown;
    if (!split_path(r, httpd_path(http)) || !service || !service->route(r, service->arg)) {
        refuse_operation(r);
        return;
    }
    struct error err;
    if (api->verify && signature_check(api->local, http, service->name, &err) < 0) {
        aws_error(r, service->json11 ? 400 : 403, err.type, "%s", err.msg);
        return;
    }
    if (!api->hooks.before || !api->hooks.before(r, api->hooks.arg))
        aws_request_run(r);
}

void aws_api_too_large(struct httpd_request *http, void *arg)
{
    static const struct httpd_header headers[] = {
        { "x-amzn-ErrorType", "RequestTooLargeException" }, { NULL, NULL }
    };
    if (!refused(arg, http))
        httpd_reply_json(http, 413,
                         "{\"__type\":\"RequestTooLargeException\",\"Type\":\"User\","
                         "\"message\":\"The request's body is too large.\"}",
                         headers);
}

void aws_request_run(struct aws_request *r)
{
    r->service->run(r, r->service->arg);
}

void aws_park(struct aws_request *r)
{
    if (r->parked)
        return;
    r->parked = true;
    httpd_park(r->http);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void finish(struct aws_request *r, int status)
{
    const struct aws_hooks *hooks = &r->api->hooks;
    if (hooks->done && r->operation)
        hooks->done(r, status, hooks->arg);
    request_free(r);
}

void aws_drop(struct aws_request *r)
{
    struct httpd_request *http = r->http;
    finish(r, 0);
    httpd_abort(http);
}

void aws_reply(struct aws_request *r, int status, const char *type, const void *body, size_t len,
               const struct httpd_header *headers)
{
    const struct aws_hooks *hooks = &r->api->hooks;
    struct httpd_header all[16] = { { "x-amzn-RequestId", r->request_id } };
    size_t n = 1;
    for (; headers && headers->name && n + 1 < ARRAY_LEN(all); headers++)
        all[n++] = *headers;
    /* An effect that is not on disk must not be reported. */
    if (store_failed(r->api->local->store) ||
        (hooks->answer && r->operation && !hooks->answer(r, status, hooks->arg))) {
        aws_drop(r);
        return;
    }
    char id[RANDOM_UUID];
    memcpy(id, r->request_id, sizeof(id)); /* the answer goes last: it frees what `r` borrows */
    all[0].value = id;
    struct httpd_request *http = r->http;
    finish(r, status);
    httpd_reply(http, status, type, body, len, all);
}

static const char *content_type(const struct aws_request *r)
{
    return r->service->json11 ? "application/x-amz-json-1.1" : "application/json";
}

void aws_reply_json(struct aws_request *r, struct json_object *o)
{
    size_t len = 2;
    const char *text = o ? json_text(o, &len) : "{}";
    aws_reply(r, 200, content_type(r), text, len, NULL);
    json_object_put(o);
}

/* Lambda's model gives some of its exceptions a capital M. */
static const char *message_key(const struct aws_request *r, const char *code)
{
    static const char *const capital[] = { "ResourceNotFoundException", "CallbackTimeoutException",
                                           "DurableExecutionAlreadyStartedException",
                                           "ServiceException" };
    for (size_t i = 0; !r->service->json11 && i < ARRAY_LEN(capital); i++)
        if (strcmp(capital[i], code) == 0)
            return "Message";
    return "message";
}

/* A message may quote what the client sent, or end in the middle of a character: what is not UTF-8
 * becomes U+FFFD. */
static char *valid_text(const char *s)
{
    auto_buf struct buf b = BUF_INIT(4096);
    for (size_t len = strlen(s); len > 0;) {
        size_t n = utf8_sequence(s, len);
        if (n > 0)
            buf_add(&b, s, n);
        else
            buf_add_str(&b, "\xef\xbf\xbd");
        n += n == 0;
        s += n;
        len -= n;
    }
    return buf_take(&b, NULL);
}

void aws_error_with(struct aws_request *r, int status, const char *code, const char *message,
                    struct json_object *body, int retry_after_s)
{
    char seconds[16];
    snprintf(seconds, sizeof(seconds), "%d", retry_after_s);
    const struct httpd_header headers[] = {
        { "x-amzn-ErrorType", code },
        { retry_after_s > 0 ? "Retry-After" : NULL, seconds },
        { NULL, NULL },
    };
    auto_json struct json_object *o = body ? body : json_object_new_object();
    json_add_str(o, "__type", code);
    if (!r->service->json11)
        json_add_str(o, "Type", status < 500 ? "User" : "Service");
    auto_free char *shown = valid_text(message);
    json_add_str(o, message_key(r, code), shown);
    size_t len;
    const char *text = json_text(o, &len);
    aws_reply(r, status, content_type(r), text, len, headers);
}

void aws_error(struct aws_request *r, int status, const char *code, const char *fmt, ...)
{
    char message[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    aws_error_with(r, status, code, message, NULL, 0);
}

#include "local/gateway.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "local/aws/lambda.h"
#include "local/gateway_event.h"
#include "local/gateway_proxy.h"
#include "shared/base/digest.h"
#include "shared/base/encode.h"

#define BODY_MAX      (10U << 20) /* API Gateway's payload limit */
#define EVENT_MAX     (64U << 20) /* the body escaped, and headers */
#define TIMEOUT_MS    30000       /* API Gateway's longest */
#define CONNECT_MS    2000
#define PROXY_THREADS 16
#define HEADERS_MAX   128

struct gateway {
    const struct local *local;
    struct httpd *httpd;
    struct gateway_proxy *proxy;
    struct call *calls;
};

/* A request that waits for its function or server. */
struct call {
    struct gateway *gateway;
    struct httpd_request *http; /* NULL once it has been answered */
    struct loop_timer *timer;
    struct call *prev, *next;
};

/* A problem document (RFC 9457) with the member that API Gateway's own errors consist of. */
static void say(struct httpd_request *http, int status, const char *message,
                const struct httpd_header *headers)
{
    auto_buf struct buf b = BUF_INIT(1024);
    buf_printf(&b, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"message\":",
               httpd_phrase(status), status);
    buf_add_json_str(&b, message);
    buf_add_str(&b, "}");
    httpd_reply(http, status, "application/problem+json", buf_str(&b), b.len, headers);
}

static void say_unavailable(struct httpd_request *http)
{
    static const struct httpd_header later[] = { { "Retry-After", "1" }, { NULL, NULL } };
    say(http, 503, "Service Unavailable", later);
}

/* ---- who may ask ------------------------------------------------------------------------------*/

static bool changes_something(const char *method)
{
    return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 &&
           strcmp(method, "OPTIONS") != 0;
}

static bool is_json(const char *type)
{
    size_t len = type ? strcspn(type, "; \t") : 0;
    return len == strlen("application/json") && strncasecmp(type, "application/json", len) == 0;
}

/* True where the request was refused, and so answered. */
static bool refused(const struct gateway *g, struct httpd_request *http,
                    const struct config_route *route)
{
    static const struct httpd_header bearer[] = { { "WWW-Authenticate", "Bearer" },
                                                  { NULL, NULL } };
    size_t len;
    httpd_body(http, &len);
    if (!gateway_host_is_ours(httpd_header(http, "Host"), httpd_address(g->httpd)) ||
        httpd_header(http, "Origin"))
        say(http, 403, "Forbidden", NULL);
    else if (!route)
        say(http, 404, "Not Found", NULL);
    else if (route->function && len > 0 && !is_json(httpd_header(http, "Content-Type")))
        say(http, 415, "Unsupported Media Type", NULL);
    else if (route->proxy && changes_something(httpd_method(http)) &&
             !httpd_header(http, "Authorization"))
        say(http, 401, "Unauthorized", bearer);
    else
        return false;
    return true;
}

/* ---- a request under way ----------------------------------------------------------------------*/

static void on_timeout(void *arg)
{
    struct call *c = arg;
    struct httpd_request *http = MOVE(c->http);
    c->timer = NULL;
    say(http, 504, "Gateway Timeout", NULL);
}

static struct call *call_new(struct gateway *g, struct httpd_request *http)
{
    struct call *c = mem_alloc(sizeof(*c));
    c->gateway = g;
    c->http = http;
    c->timer = loop_after(g->local->loop, TIMEOUT_MS, on_timeout, c);
    c->next = g->calls;
    if (g->calls)
        g->calls->prev = c;
    g->calls = c;
    return c;
}

/* Ends the call; its request, or NULL where that has been answered. */
static struct httpd_request *call_end(struct call *c)
{
    struct httpd_request *http = c->http;
    loop_cancel(c->gateway->local->loop, c->timer);
    if (c->prev)
        c->prev->next = c->next;
    else
        c->gateway->calls = c->next;
    if (c->next)
        c->next->prev = c->prev;
    free(c);
    return http;
}

struct collected {
    struct httpd_header headers[HEADERS_MAX + 1];
    size_t count;
};

static void collect(void *arg, const char *name, const char *value)
{
    struct collected *c = arg;
    if (c->count < HEADERS_MAX)
        c->headers[c->count++] = (struct httpd_header){ name, value };
}

/* The client's address without the port. */
static void peer_host(struct httpd_request *http, char out[64])
{
    httpd_peer(http, out);
    char *colon = strrchr(out, ':');
    if (colon)
        *colon = '\0';
    size_t len = strlen(out);
    if (out[0] == '[' && len > 1) {
        memmove(out, out + 1, len);
        out[len - 2] = '\0';
    }
}

/* ---- functions --------------------------------------------------------------------------------*/

static void on_function_done(void *arg, const struct lambda_outcome *outcome)
{
    struct call *c = arg;
    struct log *log = c->gateway->local->log;
    struct httpd_request *http = call_end(c);
    struct gateway_answer a = { 0 };
    struct error err = { 0 };
    if (!http)
        return;
    if (outcome->failed)
        error_set(&err, ERR_PROTOCOL, 0, "the function failed");
    if (outcome->failed || gateway_answer(outcome->payload, outcome->len, &a, &err) < 0) {
        log_warn(log, log_event("function_answer_refused"), log_err(&err));
        say(http, 502, "Internal Server Error", NULL);
    } else {
        httpd_reply(http, a.status, a.type, a.body, a.body_len, a.headers);
    }
    gateway_answer_release(&a);
}

static void call_function(struct gateway *g, struct httpd_request *http,
                          const struct config_route *route)
{
    struct collected headers = { .count = 0 };
    char peer[64], id[24];
    uint8_t random[11];
    auto_buf struct buf event = BUF_INIT(EVENT_MAX), name = BUF_INIT(sizeof(id) - 1);
    struct error err = { 0 };
    httpd_each_header(http, collect, &headers);
    peer_host(http, peer);
    random_bytes(random, sizeof(random));
    encode_base64(&name, random, sizeof(random));
    struct gateway_request r = { .method = httpd_method(http),
                                 .path = httpd_path(http),
                                 .query = httpd_query(http),
                                 .headers = headers.headers,
                                 .source_ip = peer,
                                 .account_id = g->local->config->account_id,
                                 .route_path = route->path,
                                 .request_id = buf_str(&name),
                                 .port = httpd_port(g->httpd),
                                 .time_ms = clock_wall_ms(g->local->clock) };
    r.body = httpd_body(http, &r.body_len);
    if (gateway_event(&r, &event, &err) < 0) {
        if (err.code == ERR_TOO_LARGE)
            say(http, 413, "Request Entity Too Large", NULL);
        else if (err.code == ERR_NOT_FOUND)
            say(http, 404, "Not Found", NULL);
        else
            say(http, 400, "Bad Request", NULL);
        return;
    }
    struct call *c = call_new(g, http);
    const struct lambda_request call = { .function = route->function,
                                         .payload = buf_str(&event),
                                         .len = event.len,
                                         .trace = httpd_header(http, "X-Amzn-Trace-Id") };
    if (lambda_call(g->local->lambda, &call, on_function_done, c, &err) == 0) {
        httpd_park(http);
        return;
    }
    log_warn(g->local->log, log_event("function_not_called"), log_str("function", route->function),
             log_err(&err));
    call_end(c);
    if (err.code == ERR_TOO_LARGE)
        say(http, 413, "Request Entity Too Large", NULL);
    else if (err.code == ERR_THROTTLED)
        say_unavailable(http);
    else
        say(http, 502, "Internal Server Error", NULL);
}

/* ---- other servers ----------------------------------------------------------------------------*/

/* RFC 9110 7.6.1: what is for this connection alone, and what libcurl or this server sets anew. */
static bool hop_by_hop(const char *name, const char *connection)
{
    static const char *const names[] = {
        "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
        "TE",         "Trailer",    "Upgrade",          "Transfer-Encoding",  "Content-Length",
        "Expect",     "Host",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    size_t len = strlen(name);
    for (const char *p = connection; p && *p;) {
        p += strspn(p, ", \t");
        size_t n = strcspn(p, ", \t");
        if (n == len && strncasecmp(p, name, len) == 0)
            return true;
        p += n;
    }
    return false;
}

struct passed {
    struct http_header headers[HEADERS_MAX + 8];
    size_t count;
    const char *connection;
    const char *forwarded_for; /* as it came, or NULL */
};

static void pass(void *arg, const char *name, const char *value)
{
    struct passed *p = arg;
    if (strcasecmp(name, "X-Forwarded-For") == 0)
        p->forwarded_for = value;
    else if (strcasecmp(name, "X-Forwarded-Proto") != 0 &&
             strcasecmp(name, "X-Forwarded-Host") != 0 && !hop_by_hop(name, p->connection) &&
             p->count < HEADERS_MAX)
        p->headers[p->count++] = (struct http_header){ name, value };
}

static void keep(void *arg, const char *name, const char *value)
{
    /* One that cannot be sent on is left out. */
    if (!hop_by_hop(name, NULL))
        (void)!gateway_answer_add(arg, name, value, NULL);
}

static void on_proxy_done(void *arg, const struct http_response *resp, const struct error *err)
{
    struct call *c = arg;
    struct log *log = c->gateway->local->log;
    struct httpd_request *http = call_end(c);
    if (!http)
        return;
    if (!resp) {
        log_warn(log, log_event("proxy_failed"), log_err(err));
        if (err->code == ERR_TIMEOUT)
            say(http, 504, "Gateway Timeout", NULL);
        else
            say_unavailable(http);
        return;
    }
    struct gateway_answer a = { 0 };
    http_response_each_header(resp, keep, &a);
    httpd_reply(http, resp->status, a.type, buf_str(&resp->body), resp->body.len, a.headers);
    gateway_answer_release(&a);
}

static void pass_on(struct gateway *g, struct httpd_request *http, const struct config_route *route)
{
    char peer[64];
    struct error err = { 0 };
    struct passed p = { .connection = httpd_header(http, "Connection") };
    httpd_each_header(http, pass, &p);
    peer_host(http, peer);
    const char *query = httpd_query(http), *host = httpd_header(http, "Host");
    size_t base = strlen(route->proxy);
    while (base > 0 && route->proxy[base - 1] == '/')
        base--;
    auto_free char *url = mem_printf("%.*s%s%s%s", (int)base, route->proxy, httpd_path(http),
                                     *query ? "?" : "", query);
    auto_free char *whole =
        p.forwarded_for ? mem_printf("%s, %s", p.forwarded_for, peer) : mem_dup(peer);
    p.headers[p.count++] = (struct http_header){ "X-Forwarded-For", whole };
    p.headers[p.count++] = (struct http_header){ "X-Forwarded-Proto", "http" };
    p.headers[p.count++] = (struct http_header){ "X-Forwarded-Host", host ? host : "" };
    struct http_request req = { .method = httpd_method(http),
                                .url = url,
                                .headers = p.headers,
                                .connect_timeout_ms = CONNECT_MS,
                                .timeout_ms = TIMEOUT_MS,
                                .max_response = BODY_MAX };
    req.body = httpd_body(http, &req.body_len);
    struct call *c = call_new(g, http);
    if (gateway_proxy_send(g->proxy, &req, on_proxy_done, c, &err) == 0) {
        httpd_park(http);
        return;
    }
    call_end(c);
    say_unavailable(http);
}

/* ---- life -------------------------------------------------------------------------------------*/

static void handle(struct httpd_request *http, void *arg)
{
    struct gateway *g = arg;
    const struct config_route *route = gateway_route(g->local->config, httpd_path(http));
    if (refused(g, http, route))
        return;
    if (route->function)
        call_function(g, http, route);
    else
        pass_on(g, http, route);
}

static void too_large(struct httpd_request *http, void *arg)
{
    (void)arg;
    say(http, 413, "Request Entity Too Large", NULL);
}

struct gateway *gateway_new(const struct local *local, const char *listen, struct error *err)
{
    struct gateway *g = mem_alloc(sizeof(*g));
    const struct httpd_config cfg = { .listen = listen,
                                      .idle_timeout_s = 75,
                                      .max_body = BODY_MAX,
                                      .handler = handle,
                                      .too_large = too_large,
                                      .arg = g,
                                      .log = local->log };
    g->local = local;
    g->proxy = gateway_proxy_new(local->loop, PROXY_THREADS, err);
    if (g->proxy)
        g->httpd = httpd_start(&cfg, err);
    if (!g->httpd || loop_serve(local->loop, g->httpd, err) < 0) {
        gateway_free(g);
        return NULL;
    }
    return g;
}

const char *gateway_address(const struct gateway *g)
{
    return httpd_address(g->httpd);
}

void gateway_free(struct gateway *g)
{
    if (!g)
        return;
    if (g->httpd)
        loop_unserve(g->local->loop, g->httpd);
    httpd_stop(g->httpd);
    gateway_proxy_free(g->proxy);
    while (g->calls)
        /* call_end() moves the head on. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        call_end(g->calls);
    free(g);
}

#include "shared/base/httpd.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/base/httpd_framing.h"
#include "shared/base/httpd_internal.h"

/* A body over the limit is read and dropped up to this much, so that the client gets to see the
 * 413; what is larger is cut off. */
#define DROP_MAX (8U << 20)

static void park_link(struct httpd_request *req)
{
    struct httpd *h = req->httpd;
    pthread_mutex_lock(&h->lock);
    req->next = h->parked;
    if (h->parked)
        h->parked->prev = req;
    h->parked = req;
    pthread_mutex_unlock(&h->lock);
}

static void park_unlink(struct httpd_request *req)
{
    struct httpd *h = req->httpd;
    pthread_mutex_lock(&h->lock);
    if (req->prev)
        req->prev->next = req->next;
    else
        h->parked = req->next;
    if (req->next)
        req->next->prev = req->prev;
    req->prev = req->next = NULL;
    pthread_mutex_unlock(&h->lock);
}

/* ---- time limits ----------------------------------------------------------------------------- */

static struct httpd_guarded *guarded(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* Between two requests a connection may be silent, and then begin one. */
static int64_t between_ms(const struct httpd *h)
{
    return h->cfg.idle_timeout_s && h->cfg.header_timeout_s
               ? (h->cfg.idle_timeout_s + h->cfg.header_timeout_s) * 1000L
               : 0;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* libmicrohttpd calls this first, with the request target as it came. */
void *httpd_on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    const struct httpd_lane *lane = cls;
    struct httpd *h = lane->httpd;
    struct httpd_request *req = mem_alloc(sizeof(*req));
    const char *mark = strchr(uri, '?');
    req->httpd = h;
    req->lane = (size_t)(lane - h->lanes);
    req->connection = connection;
    req->path = mem_dup_len(uri, mark ? (size_t)(mark - uri) : strlen(uri));
    req->query = mem_dup(mark ? mark + 1 : "");
    buf_init(&req->body, h->cfg.max_body);
    req->started_us = clock_mono_us();
    req->guarded = guarded(connection);
    httpd_guard_allow(req->guarded, h->cfg.header_timeout_s * 1000L);
    atomic_fetch_add(&h->active, 1);
    return req;
}

/* Frees what is there of the body. */
static void drop_body(struct httpd_request *req)
{
    buf_release(&req->body);
    atomic_fetch_sub(&req->httpd->buffered, req->counted);
    req->counted = 0;
}

void httpd_on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                        enum MHD_RequestTerminationCode how)
{
    (void)cls, (void)connection, (void)how;
    struct httpd_request *req = *con_cls;
    if (!req)
        return;
    *con_cls = NULL;
    struct httpd *h = req->httpd;
    if (req->response)
        MHD_destroy_response(req->response);
    httpd_guard_allow(req->guarded, between_ms(h));
    drop_body(req);
    free(req->path);
    free(req->query);
    free(req);
    atomic_fetch_sub(&h->active, 1);
}

static enum MHD_Result queue(struct httpd_request *req)
{
    if (req->aborted)
        return MHD_NO;
    httpd_guard_allow(req->guarded, req->httpd->cfg.body_timeout_s * 1000L);
    struct MHD_Response *response = MOVE(req->response);
    enum MHD_Result rc = MHD_queue_response(req->connection, req->status, response);
    MHD_destroy_response(response);
    return rc;
}

static void refuse_size(struct httpd_request *req)
{
    const struct httpd_config *cfg = &req->httpd->cfg;
    if (cfg->too_large && !req->httpd->refusing)
        cfg->too_large(req, cfg->arg);
    else
        httpd_problem(req, 413, NULL, "The body may have at most %zu bytes.", cfg->max_body);
}

static void refuse_load(struct httpd_request *req)
{
    const struct httpd_config *cfg = &req->httpd->cfg;
    const struct httpd_header later[] = { { "Retry-After", "1" }, { NULL, NULL } };
    if (cfg->overloaded && !req->httpd->refusing)
        cfg->overloaded(req, cfg->arg);
    else
        httpd_problem(req, 503, later, "Too many bodies are being received.");
}

/* Refuses a request whose end another program on its way might see elsewhere. */
static bool refuse_framing(struct httpd_request *req)
{
    static const struct httpd_header close_it[] = { { "Connection", "close" }, { NULL, NULL } };
    if (httpd_framing_clear(req))
        return false;
    httpd_problem(req, 400, close_it, "The length of the body is not clear.");
    return true;
}

/* The headers are there. An answer given now ends the connection, so that it waits for the end of
 * the body where the client sends that anyhow. */
static enum MHD_Result begin(struct httpd_request *req)
{
    struct httpd *h = req->httpd;
    int64_t announced = httpd_body_announced(req);
    httpd_guard_allow(req->guarded, h->cfg.body_timeout_s * 1000L);
    if (refuse_framing(req))
        return queue(req);
    if (h->cfg.on_headers && !h->refusing)
        h->cfg.on_headers(req, h->cfg.arg);
    bool refused = req->response || req->aborted;
    if (!refused && announced != INT64_MAX && (uint64_t)announced > h->cfg.max_body) {
        refuse_size(req);
        refused = true;
    } else if (!refused && announced > 0 && h->cfg.max_buffered &&
               atomic_load(&h->buffered) >= h->cfg.max_buffered) {
        refuse_load(req);
        refused = true;
    }
    bool far_too_large =
        announced != INT64_MAX && (uint64_t)announced > (uint64_t)h->cfg.max_body + DROP_MAX;
    const char *expect = httpd_header(req, "Expect");
    bool waits = announced > 0 && expect && strcasecmp(expect, "100-continue") == 0;
    return refused && (far_too_large || waits) ? queue(req) : MHD_YES;
}

/* Takes a part of the body; MHD_NO where the client goes on for too long. */
static enum MHD_Result take(struct httpd_request *req, const char *part, size_t len)
{
    struct httpd *h = req->httpd;
    size_t max = h->cfg.max_buffered;
    if (!req->response && !req->too_large) {
        size_t before = atomic_fetch_add(&h->buffered, len);
        req->counted += len;
        if (max && before + len > max)
            refuse_load(req);
        else if (buf_add(&req->body, part, len) < 0)
            req->too_large = true;
    }
    if (!req->response && !req->too_large)
        return MHD_YES;
    drop_body(req);
    req->dropped += len;
    return req->dropped > h->cfg.max_body + DROP_MAX ? MHD_NO : MHD_YES;
}

enum MHD_Result httpd_on_access(void *cls, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_len, void **con_cls)
{
    (void)connection, (void)url, (void)version;
    struct httpd *h = cls;
    struct httpd_request *req = *con_cls;
    if (!req->seen) {
        req->seen = true;
        req->method = method;
        return begin(req);
    }
    if (*upload_len > 0) {
        size_t len = *upload_len;
        *upload_len = 0;
        return take(req, upload, len);
    }
    if (req->response || req->aborted) /* early, or while it was parked */
        return queue(req);
    httpd_guard_allow(req->guarded, 0);
    if (req->too_large)
        refuse_size(req);
    else if (h->refusing)
        httpd_refuse_stopping(req);
    else
        h->cfg.handler(req, h->cfg.arg);
    if (req->parked)
        return MHD_YES;
    if (!req->response && !req->aborted)
        httpd_problem(req, 500, NULL,
                      "The request was not answered; this is a defect of the server.");
    return queue(req);
}

const char *httpd_method(const struct httpd_request *req)
{
    return req->method;
}

const char *httpd_path(const struct httpd_request *req)
{
    return req->path;
}

const char *httpd_query(const struct httpd_request *req)
{
    return req->query;
}

const char *httpd_body(const struct httpd_request *req, size_t *len)
{
    *len = req->body.len;
    return buf_str(&req->body);
}

int64_t httpd_started_us(const struct httpd_request *req)
{
    return req->started_us;
}

const char *httpd_header(const struct httpd_request *req, const char *name)
{
    return MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, name);
}

struct visit {
    httpd_visit_fn *fn;
    void *arg;
};

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    (void)kind;
    struct visit *v = cls;
    v->fn(v->arg, name, value ? value : "");
    return MHD_YES;
}

void httpd_each_header(const struct httpd_request *req, httpd_visit_fn *visit, void *arg)
{
    struct visit v = { visit, arg };
    MHD_get_connection_values(req->connection, MHD_HEADER_KIND, on_header, &v);
}

char *httpd_query_get(const struct httpd_request *req, const char *name)
{
    size_t name_len = strlen(name);
    for (const char *p = req->query; *p;) {
        size_t len = strcspn(p, "&");
        size_t key = strcspn(p, "=&");
        if (key == name_len && strncmp(p, name, key) == 0) {
            auto_free char *raw = mem_dup_len(p + key, len - key);
            for (char *c = raw; *c; c++)
                if (*c == '+')
                    *c = ' ';
            return *raw ? decode_percent(raw + 1, strlen(raw + 1)) : mem_dup("");
        }
        p += len + (p[len] == '&');
    }
    return NULL;
}

void httpd_peer(const struct httpd_request *req, char out[64])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char host[48] = "?", port[8] = "0";
    if (info && info->client_addr) {
        socklen_t len = info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                 : sizeof(struct sockaddr_in);
        getnameinfo(info->client_addr, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV);
    }
    snprintf(out, 64, "%s:%s", host, port);
}

bool httpd_peer_gone(const struct httpd_request *req)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char byte;
    if (!info)
        return true;
    ssize_t n = recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

int httpd_connection(const struct httpd_request *req)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0) : -1;
}

static void unpark(struct httpd_request *req)
{
    if (!req->parked)
        return;
    struct httpd *h = req->httpd;
    size_t lane = req->lane;
    atomic_store(&h->resumed, true);
    park_unlink(req);
    MHD_resume_connection(req->connection); /* from here on req is not ours */
    httpd_pool_wake(h->pool, lane);
}

void httpd_abort(struct httpd_request *req)
{
    req->aborted = true;
    unpark(req);
}

void httpd_reply(struct httpd_request *req, int status, const char *type, const void *body,
                 size_t body_len, const struct httpd_header *headers)
{
    void *bytes = (void *)(uintptr_t)(body_len ? body : ""); /* copied, whatever the type says */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body_len, bytes, MHD_RESPMEM_MUST_COPY);
    if (!response)
        abort();
    if (type)
        MHD_add_response_header(response, "Content-Type", type);
    for (; headers && headers->name; headers++)
        MHD_add_response_header(response, headers->name, headers->value);
    if (atomic_load_explicit(&req->httpd->quiesced, memory_order_relaxed))
        MHD_add_response_header(response, "Connection", "close");
    req->status = (unsigned)status;
    req->response = response;
    unpark(req);
}

void httpd_reply_json(struct httpd_request *req, int status, const char *json,
                      const struct httpd_header *headers)
{
    httpd_reply(req, status, "application/json", json, strlen(json), headers);
}

void httpd_problem(struct httpd_request *req, int status, const struct httpd_header *headers,
                   const char *detail, ...)
{
    va_list ap;
    va_start(ap, detail);
    auto_free char *text = mem_vprintf(detail, ap);
    va_end(ap);
    auto_buf struct buf b = BUF_INIT(1 << 16);
    buf_printf(&b, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":",
               httpd_phrase(status), status);
    buf_add_json_str(&b, text);
    buf_add_str(&b, "}");
    httpd_reply(req, status, "application/problem+json", buf_str(&b), b.len, headers);
}

void httpd_refuse_stopping(struct httpd_request *req)
{
    httpd_problem(req, 503, NULL, "The server is stopping.");
}

void httpd_park(struct httpd_request *req)
{
    req->parked = true;
    park_link(req);
    MHD_suspend_connection(req->connection);
}

const char *httpd_phrase(int status)
{
    return MHD_get_reason_phrase_for((unsigned)status);
}

#include "shared/aws/http_transfer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/aws/http_trust.h"

#define CONNECT_TIMEOUT_MS 5000
#define MAX_RESPONSE       (8U << 20)
#define MAX_HEADERS        (64U << 10)

int http_transfer_init(struct http_transfer *t, struct error *err)
{
    t->easy = curl_easy_init();
    return t->easy ? 0 : error_set(err, ERR_INTERNAL, 0, "libcurl does not start");
}

static void forget_headers(struct http_transfer *t)
{
    for (struct curl_slist *h = t->headers; h; h = h->next)
        mem_wipe(h->data, strlen(h->data)); /* they may carry credentials */
    curl_slist_free_all(t->headers);
    t->headers = NULL;
}

void http_transfer_release(struct http_transfer *t)
{
    forget_headers(t);
    if (t->easy)
        curl_easy_cleanup(t->easy);
    t->easy = NULL;
    free(t->base);
    t->base = NULL;
}

/* ---- answer ---------------------------------------------------------------------------------- */

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct http_transfer *t = arg;
    size_t len = size * count;
    if (buf_add(&t->resp->body, data, len) == 0)
        return len;
    t->too_large = true;
    return 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct http_transfer *t = arg;
    size_t len = size * count;
    if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) /* what came before was an interim response */
        buf_reset(&t->resp->headers);
    if (buf_add(&t->resp->headers, data, len) == 0)
        return len;
    t->too_large = true;
    return 0;
}

/* Called before the request goes out on a connection: the second time where the first was dead. */
static int before_sending(void *arg, char *to, char *from, int to_port, int from_port)
{
    (void)to, (void)from, (void)to_port, (void)from_port;
    struct http_transfer *t = arg;
    if (t->once && t->sent)
        return CURL_PREREQFUNC_ABORT;
    t->sent = true;
    return CURL_PREREQFUNC_OK;
}

/* Empty, with its memory where it was used for an answer of the same limit before. */
static void response_empty(struct http_response *resp, size_t max)
{
    if (resp->body.max != max || resp->headers.max != MAX_HEADERS) {
        http_response_release(resp);
        buf_init(&resp->body, max);
        buf_init(&resp->headers, MAX_HEADERS);
    }
    buf_reset(&resp->body);
    buf_reset(&resp->headers);
    resp->status = 0;
}

/* ---- request --------------------------------------------------------------------------------- */

static bool method_valid(const char *s)
{
    size_t len = strlen(s);
    return len > 0 && len <= HTTP_METHOD_MAX && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == len;
}

/* No control characters and no spaces: nothing may be smuggled into the request line. */
static bool url_valid(const char *s)
{
    if (strncasecmp(s, "http://", 7) != 0 && strncasecmp(s, "https://", 8) != 0)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == 0x7f)
            return false;
    return true;
}

static bool tls(const char *url)
{
    return strncasecmp(url, "https:", 6) == 0;
}

/* Whether libcurl was built with a place of its own for certificates. */
static bool libcurl_has_trust(void)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    return info->age >= CURLVERSION_SEVENTH && (info->cainfo || info->capath);
}

static const char not_a_url[] = "not an http or https URL";

int http_check_url(const char *url, struct error *err)
{
    struct http_trust trust;
    if (!url_valid(url))
        return error_set(err, ERR_INVALID, 0, "%s", not_a_url);
    if (tls(url) && !http_trust_hashed(environ) && !http_trust_find(environ, &trust) &&
        !libcurl_has_trust())
        return error_set(err, ERR_INVALID, 0,
                         "there are no CA certificates to check the server by (looked for %s and "
                         "its like): install ca-certificates, copy the file into the image or name "
                         "it in SSL_CERT_FILE",
                         http_trust_place(0));
    return 0;
}

static bool header_valid(const struct http_header *h)
{
    for (const char *p = h->name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("!#$%&'*+-.^_`|~", *p))
            return false;
    return h->name[0] && !strpbrk(h->value, "\r\n");
}

static int list_add(struct curl_slist **list, const char *line, struct error *err)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        return error_set(err, ERR_INTERNAL, 0, "libcurl has no memory");
    *list = longer;
    return 0;
}

/* libcurl takes "Name;" for a header without a value: "Name:" would drop it. */
static int header_add(struct curl_slist **list, const struct http_header *h, struct error *err)
{
    auto_secret char *line = mem_resize(NULL, strlen(h->name) + strlen(h->value) + 3, 1);
    char *end = stpcpy(stpcpy(line, h->name), h->value[0] ? ": " : ";");
    stpcpy(end, h->value);
    return list_add(list, line, err);
}

static int build_headers(const struct http_request *req, struct curl_slist **list,
                         struct error *err)
{
    bool typed = false;
    for (const struct http_header *h = req->headers; h && h->name; h++) {
        if (!header_valid(h))
            return error_set(err, ERR_INVALID, 0, "header %zu cannot be sent",
                             (size_t)(h - req->headers) + 1);
        typed = typed || strcasecmp(h->name, "Content-Type") == 0;
        if (header_add(list, h, err) < 0)
            return -1;
    }
    /* Headers that libcurl would add by itself. */
    if (list_add(list, "Expect:", err) < 0)
        return -1;
    return typed ? 0 : list_add(list, "Content-Type:", err);
}

#define SET(option, value)                                                                         \
    do {                                                                                           \
        CURLcode set_ = curl_easy_setopt(t->easy, option, value);                                  \
        if (set_ != CURLE_OK)                                                                      \
            return set_;                                                                           \
    } while (0)

/* A program that the caller starts must not inherit the connection. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *at)
{
    (void)arg, (void)purpose;
    return socket(at->family, at->socktype | SOCK_CLOEXEC, at->protocol);
}

/* What is the same for every request. */
static CURLcode set_policy(struct http_transfer *t)
{
    SET(CURLOPT_ERRORBUFFER, t->why);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_OPENSOCKETFUNCTION, t->sockets.open ? t->sockets.open : open_socket);
    SET(CURLOPT_OPENSOCKETDATA, t->sockets.arg);
    SET(CURLOPT_CLOSESOCKETFUNCTION, t->sockets.close);
    SET(CURLOPT_CLOSESOCKETDATA, t->sockets.arg);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
    SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_PREREQFUNCTION, before_sending);
    SET(CURLOPT_PREREQDATA, t);
    SET(CURLOPT_PRIVATE, t);
    return CURLE_OK;
}

static CURLcode set_trust(struct http_transfer *t, const char *hashed)
{
    struct http_trust trust = { .dir = hashed };
    t->hashed = hashed;
    if (!hashed && !http_trust_find(environ, &trust))
        return CURLE_OK; /* libcurl's own */
    SET(CURLOPT_CAINFO, trust.file);
    SET(CURLOPT_CAPATH, trust.dir);
    return CURLE_OK;
}

static bool has_body(const struct http_request *req)
{
    return req->body_len > 0 || strcmp(req->method, "POST") == 0 ||
           strcmp(req->method, "PUT") == 0 || strcmp(req->method, "PATCH") == 0;
}

static CURLcode set_method(struct http_transfer *t, const char *method)
{
    if (strcmp(method, "HEAD") == 0)
        SET(CURLOPT_NOBODY, 1L);
    else if (t->has_body)
        SET(CURLOPT_POST, 1L);
    else
        SET(CURLOPT_HTTPGET, 1L);
    SET(CURLOPT_CUSTOMREQUEST, method);
    return CURLE_OK;
}

/* What a handle keeps from request to request, set anew where this one differs. */
static CURLcode set_kind(struct http_transfer *t, const struct http_request *req,
                         const char *hashed)
{
    bool https = tls(req->url), body = has_body(req);
    if (t->ready && t->tls == https && t->has_body == body && t->hashed == hashed &&
        strcmp(t->method, req->method) == 0)
        return CURLE_OK;
    curl_easy_reset(t->easy); /* keeps the connections */
    free(MOVE(t->base));
    t->ready = false;
    t->tls = https;
    t->has_body = body;
    t->hashed = hashed;
    memcpy(t->method, req->method, strlen(req->method) + 1);
    CURLcode code = set_policy(t);
    if (code == CURLE_OK && https)
        code = set_trust(t, hashed);
    if (code == CURLE_OK)
        code = set_method(t, req->method);
    t->ready = code == CURLE_OK;
    return code;
}

/* Where the path of a URL begins that goes out as it stands; NULL: it may not. */
static const char *target_of(const char *url)
{
    const char *at = strstr(url, "://") + 3;
    at += strcspn(at, "/?#");
    for (const char *p = at; *p; p++)
        if (*p == '#' || (unsigned char)*p > 0x7e)
            return NULL;
    return *at == '/' ? at : NULL;
}

/* libcurl takes a URL apart for each request, and puts it together again: a short one, that of the
 * server, costs it less than one with a callback id in it. */
static CURLcode set_url(struct http_transfer *t, const char *url)
{
    const char *target = target_of(url);
    if (!target) {
        free(MOVE(t->base));
        SET(CURLOPT_REQUEST_TARGET, NULL);
        SET(CURLOPT_URL, url);
        return CURLE_OK;
    }
    size_t len = (size_t)(target - url);
    if (!t->base || strncmp(t->base, url, len) != 0 || t->base[len]) {
        free(t->base);
        t->base = mem_dup_len(url, len);
        SET(CURLOPT_URL, t->base);
    }
    SET(CURLOPT_REQUEST_TARGET, target);
    return CURLE_OK;
}

static CURLcode set_request(struct http_transfer *t, const struct http_request *req)
{
    SET(CURLOPT_HTTPHEADER, t->headers);
    SET(CURLOPT_CONNECTTIMEOUT_MS,
        (long)(req->connect_timeout_ms ? req->connect_timeout_ms : CONNECT_TIMEOUT_MS));
    SET(CURLOPT_TIMEOUT_MS, (long)req->timeout_ms);
    if (t->has_body && strcmp(req->method, "HEAD") != 0) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
        SET(CURLOPT_POSTFIELDS, req->body_len ? (const char *)req->body : "");
    }
    return CURLE_OK;
}

static void start_over(struct http_transfer *t)
{
    t->why[0] = '\0';
    t->sent = t->too_large = false;
}

int http_transfer_prepare(struct http_transfer *t, const struct http_request *req,
                          struct http_response *resp, const char *hashed, struct error *err)
{
    response_empty(resp, req->max_response ? req->max_response : MAX_RESPONSE);
    if (!method_valid(req->method))
        return error_set(err, ERR_INVALID, 0, "not a method");
    bool known = t->ready && t->tls == tls(req->url); /* there are certificates, or none needed */
    if (known ? !url_valid(req->url) : http_check_url(req->url, err) < 0)
        return known ? error_set(err, ERR_INVALID, 0, "%s", not_a_url) : -1;
    t->resp = resp;
    t->once = req->once;
    start_over(t);
    if (build_headers(req, &t->headers, err) < 0) {
        forget_headers(t);
        return -1;
    }
    CURLcode code = set_kind(t, req, hashed);
    if (code == CURLE_OK)
        code = set_url(t, req->url);
    if (code == CURLE_OK)
        code = set_request(t, req);
    if (code == CURLE_OK)
        return 0;
    forget_headers(t);
    t->ready = false;
    return error_set(err, ERR_INTERNAL, (int)code, "libcurl: %s", curl_easy_strerror(code));
}

bool http_transfer_again(struct http_transfer *t, CURLcode code)
{
    if (code != CURLE_PEER_FAILED_VERIFICATION || !t->hashed || set_trust(t, NULL) != CURLE_OK)
        return false;
    response_empty(t->resp, t->resp->body.max);
    start_over(t);
    return true;
}

/* ---- end ------------------------------------------------------------------------------------- */

static int fail(const struct http_transfer *t, CURLcode code, struct error *err)
{
    const char *why = t->why[0] ? t->why : curl_easy_strerror(code);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(err, ERR_TIMEOUT, (int)code, "%s", why);
    case CURLE_URL_MALFORMAT:
        return error_set(err, ERR_INVALID, (int)code, "not a URL: %s", why);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        error_set(err, ERR_NET, (int)code, "%s", why);
        if (err)
            err->retryable = false; /* another try meets the same certificate */
        return -1;
    case CURLE_ABORTED_BY_CALLBACK:
        return error_set(err, ERR_NET, (int)code, "the connection was closed without an answer");
    default:
        return error_set(err, ERR_NET, (int)code, "%s", why);
    }
}

int http_transfer_finish(struct http_transfer *t, CURLcode code, struct error *err)
{
    long status = 0;
    forget_headers(t);
    if (t->too_large)
        error_set(err, ERR_TOO_LARGE, 0, "the answer is over %zu bytes", t->resp->body.max);
    else if (code != CURLE_OK)
        fail(t, code, err);
    if (code == CURLE_OK || t->too_large)
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    t->resp->status = (int)status;
    return code == CURLE_OK && !t->too_large ? 0 : -1;
}

int http_transfer_cancelled(struct http_transfer *t, struct error *err)
{
    forget_headers(t);
    return error_set(err, ERR_CANCELLED, 0, "the request was given up");
}

#include "shared/aws/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/aws/http_trust.h"
#include "shared/base/backoff.h"

#define CONNECT_TIMEOUT_MS 5000
#define MAX_RESPONSE       (8U << 20)
#define MAX_HEADERS        (64U << 10)
#define CANCEL_POLL_MS     100 /* how soon a cancelled transfer or wait is noticed */
#define IDLE_POLL_MS       1000
#define RETRY_AFTER_MAX_MS (24 * 3600 * INT64_C(1000))

/* The multi handle drives the one easy handle: curl_easy_perform looks at its callbacks once a
 * second only, which is too slow for `cancel`. It also owns the open connections. */
struct http_client {
    CURL *easy;
    CURLM *multi;
    const char *hashed; /* where certificates are looked for first; NULL: not there */
    char why[CURL_ERROR_SIZE];
};

/* What a running transfer writes to. */
struct transfer {
    struct http_response *resp;
    bool too_large;
    bool once;
    bool sent;
};

void http_global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void http_global_cleanup(void)
{
    curl_global_cleanup();
}

struct http_client *http_client_new(struct error *err)
{
    struct http_client *c = mem_alloc(sizeof(*c));
    c->hashed = http_trust_hashed(environ);
    c->easy = curl_easy_init();
    c->multi = curl_multi_init();
    if (!c->easy || !c->multi) {
        error_set(err, ERR_INTERNAL, 0, "libcurl does not start");
        http_client_free(c);
        return NULL;
    }
    return c;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    if (c->easy)
        curl_easy_cleanup(c->easy);
    if (c->multi)
        curl_multi_cleanup(c->multi);
    free(c);
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * count;
    if (buf_add(&t->resp->body, data, len) == 0)
        return len;
    t->too_large = true;
    return 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
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
    struct transfer *t = arg;
    if (t->once && t->sent)
        return CURL_PREREQFUNC_ABORT;
    t->sent = true;
    return CURL_PREREQFUNC_OK;
}

/* ---- request --------------------------------------------------------------------------------- */

static bool method_valid(const char *s)
{
    size_t len = strlen(s);
    return len > 0 && len <= 32 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == len;
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

int http_check_url(const char *url, struct error *err)
{
    struct http_trust trust;
    if (!url_valid(url))
        return error_set(err, ERR_INVALID, 0, "not an http or https URL");
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

static int build_headers(const struct http_request *req, struct curl_slist **list,
                         struct error *err)
{
    bool typed = false;
    for (const struct http_header *h = req->headers; h && h->name; h++) {
        if (!header_valid(h))
            return error_set(err, ERR_INVALID, 0, "header %zu cannot be sent",
                             (size_t)(h - req->headers) + 1);
        typed = typed || strcasecmp(h->name, "Content-Type") == 0;
        /* libcurl takes "Name;" for a header without a value: "Name:" would drop it. */
        auto_free char *line =
            h->value[0] ? mem_printf("%s: %s", h->name, h->value) : mem_printf("%s;", h->name);
        int rc = list_add(list, line, err);
        mem_wipe(line, strlen(line)); /* it may carry credentials */
        if (rc < 0)
            return -1;
    }
    /* Headers that libcurl would add by itself. */
    if (list_add(list, "Expect:", err) < 0)
        return -1;
    return typed ? 0 : list_add(list, "Content-Type:", err);
}

#define SET(option, value)                                                                         \
    do {                                                                                           \
        CURLcode set_ = curl_easy_setopt(c->easy, option, value);                                  \
        if (set_ != CURLE_OK)                                                                      \
            return set_;                                                                           \
    } while (0)

/* A program that the caller starts must not inherit the connection. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *at)
{
    (void)arg, (void)purpose;
    return socket(at->family, at->socktype | SOCK_CLOEXEC, at->protocol);
}

static CURLcode set_policy(struct http_client *c)
{
    SET(CURLOPT_ERRORBUFFER, c->why);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
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
    return CURLE_OK;
}

static CURLcode set_trust(struct http_client *c)
{
    struct http_trust trust = { .dir = c->hashed };
    if (!c->hashed && !http_trust_find(environ, &trust))
        return CURLE_OK; /* libcurl's own */
    SET(CURLOPT_CAINFO, trust.file);
    SET(CURLOPT_CAPATH, trust.dir);
    return CURLE_OK;
}

static CURLcode set_method(struct http_client *c, const struct http_request *req)
{
    bool fixed_length = req->body_len > 0 || strcmp(req->method, "POST") == 0 ||
                        strcmp(req->method, "PUT") == 0 || strcmp(req->method, "PATCH") == 0;
    if (strcmp(req->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (fixed_length) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
        SET(CURLOPT_POSTFIELDS, req->body_len ? (const char *)req->body : "");
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
    SET(CURLOPT_CUSTOMREQUEST, req->method);
    return CURLE_OK;
}

static CURLcode set_request(struct http_client *c, const struct http_request *req,
                            struct curl_slist *headers, struct transfer *t)
{
    SET(CURLOPT_URL, req->url);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_CONNECTTIMEOUT_MS,
        (long)(req->connect_timeout_ms ? req->connect_timeout_ms : CONNECT_TIMEOUT_MS));
    SET(CURLOPT_TIMEOUT_MS, (long)req->timeout_ms);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_PREREQFUNCTION, before_sending);
    SET(CURLOPT_PREREQDATA, t);
    if (tls(req->url)) {
        CURLcode code = set_trust(c);
        if (code != CURLE_OK)
            return code;
    }
    return set_method(c, req);
}

/* ---- transfer -------------------------------------------------------------------------------- */

static bool cancelled(const atomic_bool *cancel)
{
    return cancel && atomic_load(cancel);
}

/* Runs the easy handle to its end; false where `cancel` came first. */
static bool run(struct http_client *c, const atomic_bool *cancel, CURLcode *result)
{
    int wait_ms = cancel ? CANCEL_POLL_MS : IDLE_POLL_MS;
    *result = CURLE_FAILED_INIT;
    for (;;) {
        int running = 0;
        if (cancelled(cancel))
            return false;
        if (curl_multi_perform(c->multi, &running) != CURLM_OK)
            return true;
        if (!running)
            break;
        if (curl_multi_poll(c->multi, NULL, 0, wait_ms, NULL) != CURLM_OK)
            return true;
    }
    int left = 0;
    const CURLMsg *msg = curl_multi_info_read(c->multi, &left);
    if (msg && msg->msg == CURLMSG_DONE)
        *result = msg->data.result;
    return true;
}

static int fail(const struct http_client *c, CURLcode code, struct error *err)
{
    const char *why = c->why[0] ? c->why : curl_easy_strerror(code);
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

/* One transfer with the certificates that are being looked at now. */
static int attempt(struct http_client *c, const struct http_request *req,
                   struct curl_slist *headers, struct transfer *t, CURLcode *code,
                   struct error *err)
{
    curl_easy_reset(c->easy); /* keeps the connections */
    c->why[0] = '\0';
    *code = set_policy(c);
    if (*code == CURLE_OK)
        *code = set_request(c, req, headers, t);
    if (*code != CURLE_OK)
        return error_set(err, ERR_INTERNAL, (int)*code, "libcurl: %s", curl_easy_strerror(*code));
    if (curl_multi_add_handle(c->multi, c->easy) != CURLM_OK)
        return error_set(err, ERR_INTERNAL, 0, "libcurl: curl_multi_add_handle");
    bool ended = run(c, req->cancel, code);
    long status = 0;
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(c->multi, c->easy);
    if (!ended)
        return error_set(err, ERR_CANCELLED, 0, "the request was given up");
    t->resp->status = (int)status;
    return 0;
}

static int transfer(struct http_client *c, const struct http_request *req,
                    struct curl_slist *headers, struct transfer *t, struct error *err)
{
    CURLcode code;
    int rc = attempt(c, req, headers, t, &code, err);
    if (rc == 0 && code == CURLE_PEER_FAILED_VERIFICATION && c->hashed) {
        c->hashed = NULL; /* nothing was sent: once more, by the whole bundle */
        rc = attempt(c, req, headers, t, &code, err);
    }
    if (rc < 0)
        return -1;
    if (t->too_large)
        return error_set(err, ERR_TOO_LARGE, 0, "the answer is over %zu bytes", t->resp->body.max);
    if (code != CURLE_OK) {
        t->resp->status = 0;
        return fail(c, code, err);
    }
    return 0;
}

int http_send(struct http_client *c, const struct http_request *req, struct http_response *resp,
              struct error *err)
{
    http_response_release(resp);
    buf_init(&resp->body, req->max_response ? req->max_response : MAX_RESPONSE);
    buf_init(&resp->headers, MAX_HEADERS);
    if (!method_valid(req->method))
        return error_set(err, ERR_INVALID, 0, "not a method");
    if (http_check_url(req->url, err) < 0)
        return -1;
    struct curl_slist *headers = NULL;
    struct transfer t = { .resp = resp, .once = req->once };
    int rc = build_headers(req, &headers, err);
    if (rc == 0)
        rc = transfer(c, req, headers, &t, err);
    for (struct curl_slist *h = headers; h; h = h->next)
        mem_wipe(h->data, strlen(h->data));
    curl_slist_free_all(headers);
    return rc;
}

/* ---- response -------------------------------------------------------------------------------- */

void http_response_release(struct http_response *resp)
{
    buf_release(&resp->body);
    buf_release(&resp->headers);
    resp->status = 0;
}

bool http_response_header(const struct http_response *resp, const char *name, char *out,
                          size_t size)
{
    size_t name_len = strlen(name);
    for (const char *line = buf_str(&resp->headers); *line;) {
        const char *end = strchr(line, '\n');
        if (!end)
            end = line + strlen(line);
        if ((size_t)(end - line) > name_len && line[name_len] == ':' &&
            strncasecmp(line, name, name_len) == 0) {
            const char *value = line + name_len + 1;
            while (value < end && (*value == ' ' || *value == '\t'))
                value++;
            while (end > value && strchr(" \t\r", end[-1]))
                end--;
            size_t len = (size_t)(end - value);
            if (len >= size)
                return false;
            memcpy(out, value, len);
            out[len] = '\0';
            return true;
        }
        line = *end ? end + 1 : end;
    }
    return false;
}

void http_response_each_header(const struct http_response *resp, http_visit_fn *visit, void *arg)
{
    for (const char *line = buf_str(&resp->headers); *line;) {
        size_t whole = strcspn(line, "\n"), len = whole;
        while (len > 0 && strchr(" \t\r", line[len - 1]))
            len--;
        const char *colon = memchr(line, ':', len);
        if (colon && colon > line && memcmp(line, "HTTP/", 5) != 0) {
            const char *value = colon + 1;
            while (value < line + len && (*value == ' ' || *value == '\t'))
                value++;
            auto_free char *name = mem_dup_len(line, (size_t)(colon - line));
            auto_free char *text = mem_dup_len(value, (size_t)(line + len - value));
            visit(arg, name, text);
        }
        line += whole + (line[whole] == '\n');
    }
}

int64_t http_retry_after_ms(const struct http_response *resp, const struct clock *clock)
{
    char value[64];
    if (!http_response_header(resp, "Retry-After", value, sizeof(value)) || !value[0])
        return -1;
    int64_t ms = 0;
    if (value[strspn(value, "0123456789")] == '\0') {
        for (const char *p = value; *p && ms < RETRY_AFTER_MAX_MS; p++)
            ms = ms * 10 + (*p - '0') * 1000;
    } else {
        time_t at = curl_getdate(value, NULL);
        if (at == -1)
            return -1;
        ms = (int64_t)at * 1000 - clock_wall_ms(clock);
    }
    if (ms < 0)
        return 0;
    return ms < RETRY_AFTER_MAX_MS ? ms : RETRY_AFTER_MAX_MS;
}

/* ---- retry ----------------------------------------------------------------------------------- */

static bool status_retryable(int status)
{
    return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

int http_wait(const struct clock *clock, int64_t ms, const atomic_bool *cancel)
{
    int64_t until = clock_mono_ms(clock) + ms;
    for (;;) {
        if (cancelled(cancel))
            return -1;
        int64_t left = until - clock_mono_ms(clock);
        if (left <= 0)
            return 0;
        clock_sleep_ms(clock, cancel && left > CANCEL_POLL_MS ? CANCEL_POLL_MS : left);
    }
}

/* One try, whose time limit is cut to what the deadline leaves. */
static int try_once(struct http_client *c, const struct http_request *req,
                    const struct http_retry *retry, struct http_response *resp, struct error *err)
{
    struct http_request cut = *req;
    if (retry->deadline_ms) {
        int64_t left = retry->deadline_ms - clock_mono_ms(retry->clock);
        if (left <= 0)
            return error_set(err, ERR_TIMEOUT, 0, "the deadline has passed");
        if (!cut.timeout_ms || cut.timeout_ms > left)
            cut.timeout_ms = left;
    }
    return http_send(c, &cut, resp, err);
}

int http_send_retry(struct http_client *c, const struct http_request *req,
                    const struct http_retry *retry, struct http_response *resp, struct error *err)
{
    struct error last = { 0 };
    for (unsigned n = 1;; n++) {
        last = (struct error){ 0 };
        int rc = try_once(c, req, retry, resp, &last);
        bool again = rc < 0 ? last.retryable : status_retryable(resp->status);
        int64_t wait_ms = backoff_full_jitter_ms(retry->base_ms, retry->cap_ms, n);
        int64_t asked_ms = rc == 0 ? http_retry_after_ms(resp, retry->clock) : -1;
        if (wait_ms < asked_ms)
            wait_ms = asked_ms;
        if (again && retry->deadline_ms &&
            clock_mono_ms(retry->clock) + wait_ms >= retry->deadline_ms)
            again = false;
        if (!again || n >= retry->attempts) {
            if (rc < 0 && err)
                *err = last;
            return rc;
        }
        if (http_wait(retry->clock, wait_ms, req->cancel) < 0)
            return error_set(err, ERR_CANCELLED, 0, "given up between two tries");
    }
}

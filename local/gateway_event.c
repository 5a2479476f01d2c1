#include "local/gateway_event.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "shared/base/digest.h"
#include "shared/base/encode.h"
#include "shared/base/utf8.h"

#define API_ID      "local"
#define HEADERS_MAX 100

static size_t host_len(const char *host)
{
    size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    return len <= strlen(host) ? len : 0;
}

bool gateway_host_is_ours(const char *host, const char *own)
{
    const char *const names[] = { "localhost", "127.0.0.1", "[::1]", own };
    size_t len = host ? host_len(host) : 0;
    const char *port = host ? host + len : "";
    if (len == 0 || (*port && (*port != ':' || port[1 + strspn(port + 1, "0123456789")])))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (host_len(names[i]) == len && strncasecmp(host, names[i], len) == 0)
            return true;
    return false;
}

/* ---- routes -----------------------------------------------------------------------------------*/

static bool dot_segment(const char *segment, size_t len)
{
    auto_free char *plain = decode_percent(segment, len);
    return plain && (strcmp(plain, ".") == 0 || strcmp(plain, "..") == 0);
}

const struct config_route *gateway_route(const struct config *c, const char *path)
{
    const struct config_route *best = NULL;
    size_t best_len = 0;
    for (const char *p = path; *p; p += strcspn(p, "/")) {
        p += *p == '/';
        if (dot_segment(p, strcspn(p, "/")))
            return NULL;
    }
    for (size_t i = 0; i < c->route_count; i++) {
        const struct config_route *r = &c->routes[i];
        size_t len = strlen(r->path);
        while (len > 0 && r->path[len - 1] == '/')
            len--; /* "/" fits everything */
        if (strncmp(path, r->path, len) == 0 && (path[len] == '\0' || path[len] == '/') &&
            (!best || len > best_len)) {
            best = r;
            best_len = len;
        }
    }
    return best;
}

/* ---- the event --------------------------------------------------------------------------------*/

static bool is_type(const char *type, const char *wanted)
{
    size_t len = strcspn(type, "; \t");
    return len == strlen(wanted) && strncasecmp(type, wanted, len) == 0;
}

/* Bodies of these types go as text, all others as base64. */
static bool is_text(const char *type)
{
    return type && (strncasecmp(type, "text/", 5) == 0 || is_type(type, "application/json") ||
                    is_type(type, "application/xml") || is_type(type, "application/javascript"));
}

static const char *find_header(const struct gateway_request *g, const char *name)
{
    for (const struct httpd_header *h = g->headers; h->name; h++)
        if (strcasecmp(h->name, name) == 0)
            return h->value;
    return NULL;
}

/* Text of a client's choice: what is not UTF-8 cannot be in JSON. */
static void add_text(struct json_object *o, const char *key, const char *value, bool join)
{
    auto_buf struct buf b = BUF_INIT(1U << 20);
    const char *before = join ? json_get_str(o, key) : NULL;
    if (before)
        buf_printf(&b, "%s,", before);
    for (const char *p = value; *p;) {
        size_t n = utf8_sequence(p, strlen(p));
        if (n == 0) {
            buf_add_str(&b, "\xef\xbf\xbd");
            p++;
            continue;
        }
        buf_add(&b, p, n);
        p += n;
    }
    json_add_str(o, key, buf_str(&b));
}

static void add_cookies(struct json_object *event, const char *value)
{
    struct json_object *list = json_get_arr(event, "cookies");
    if (!list) {
        list = json_object_new_array();
        json_add(event, "cookies", list);
    }
    while (*value) {
        value += strspn(value, "; ");
        size_t len = strcspn(value, ";");
        auto_free char *cookie = mem_dup_len(value, len);
        if (len > 0 && utf8_valid(cookie, len))
            json_push(list, json_new_str(cookie));
        value += len;
    }
}

/* What API Gateway adds by itself. */
static void add_forwarding(struct json_object *headers, const struct gateway_request *g)
{
    uint8_t random[12];
    char hex[2 * sizeof(random) + 1];
    random_bytes(random, sizeof(random));
    encode_hex(hex, random, sizeof(random));
    auto_free char *length = mem_printf("%zu", g->body_len);
    auto_free char *port = mem_printf("%d", g->port);
    auto_free char *trace = mem_printf("Root=1-%08llx-%s", (long long)(g->time_ms / 1000), hex);
    add_text(headers, "x-forwarded-for", g->source_ip, true);
    json_add_str(headers, "x-forwarded-port", port);
    json_add_str(headers, "x-forwarded-proto", "http");
    json_add_str(headers, "content-length", length);
    if (!json_get(headers, "x-amzn-trace-id"))
        json_add_str(headers, "x-amzn-trace-id", trace);
}

static bool header_safe(const char *name, const char *value)
{
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("!#$%&'*+-.^_`|~", *p))
            return false;
    return *name && !strpbrk(value, "\r\n");
}

static void add_headers(struct json_object *event, const struct gateway_request *g)
{
    struct json_object *headers = json_object_new_object();
    for (const struct httpd_header *h = g->headers; h->name; h++) {
        if (!header_safe(h->name, "")) /* the server hands on names of any bytes */
            continue;
        auto_free char *name = mem_dup(h->name);
        for (char *p = name; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        if (strcmp(name, "cookie") == 0)
            add_cookies(event, h->value);
        else if (strcmp(name, "x-forwarded-proto") != 0 && strcmp(name, "x-forwarded-port") != 0)
            add_text(headers, name, h->value, true);
    }
    add_forwarding(headers, g);
    json_add(event, "headers", headers);
}

static char *decode_form(const char *s, size_t len)
{
    auto_free char *plain = mem_dup_len(s, len);
    for (char *p = plain; *p; p++)
        if (*p == '+')
            *p = ' ';
    return decode_percent(plain, len);
}

static int add_query(struct json_object *event, const char *query, struct error *err)
{
    struct json_object *map = NULL;
    for (const char *p = query; *p;) {
        size_t len = strcspn(p, "&"), key_len = strcspn(p, "=&");
        auto_free char *key = decode_form(p, key_len);
        auto_free char *value =
            key_len < len ? decode_form(p + key_len + 1, len - key_len - 1) : mem_dup("");
        if (!key || !value)
            return error_set(err, ERR_INVALID, 0, "the query string is broken");
        if (*key) {
            if (!map) {
                map = json_object_new_object();
                json_add(event, "queryStringParameters", map);
            }
            auto_free char *safe = mem_dup(utf8_valid(key, strlen(key)) ? key : "\xef\xbf\xbd");
            add_text(map, safe, value, true);
        }
        p += len + (p[len] == '&');
    }
    return 0;
}

/* "12/Mar/2020:19:03:58 +0000" */
static void add_time(struct json_object *context, int64_t time_ms)
{
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm))
        return;
    auto_free char *text =
        mem_printf("%02d/%s/%d:%02d:%02d:%02d +0000", tm.tm_mday, months[tm.tm_mon],
                   tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    json_add_str(context, "time", text);
    json_add_int(context, "timeEpoch", time_ms);
}

static void add_context(struct json_object *event, const struct gateway_request *g,
                        const char *path, const char *route_key)
{
    struct json_object *context = json_object_new_object();
    struct json_object *http = json_object_new_object();
    const char *host = find_header(g, "Host"), *agent = find_header(g, "User-Agent");
    auto_free char *domain = mem_dup_len(host ? host : "", host ? strlen(host) : 0);
    if (domain[0] != '[')
        domain[strcspn(domain, ":")] = '\0';
    add_text(http, "method", g->method, false); /* of any bytes: nobody has checked it */
    json_add_str(http, "path", path);
    json_add_str(http, "protocol", "HTTP/1.1");
    json_add_str(http, "sourceIp", g->source_ip);
    add_text(http, "userAgent", agent ? agent : "", false);
    json_add_str(context, "accountId", g->account_id);
    json_add_str(context, "apiId", API_ID);
    add_text(context, "domainName", domain, false);
    domain[strcspn(domain, ".")] = '\0';
    add_text(context, "domainPrefix", domain, false);
    json_add(context, "http", http);
    json_add_str(context, "requestId", g->request_id);
    json_add_str(context, "routeKey", route_key);
    json_add_str(context, "stage", "$default");
    add_time(context, g->time_ms);
    json_add(event, "requestContext", context);
}

static void add_body(struct json_object *event, const struct gateway_request *g)
{
    bool text = is_text(find_header(g, "Content-Type")) && utf8_valid(g->body, g->body_len);
    json_add_bool(event, "isBase64Encoded", g->body_len > 0 && !text);
    if (g->body_len == 0)
        return;
    if (text) {
        json_add(event, "body", json_new_str_len(g->body, g->body_len));
        return;
    }
    auto_buf struct buf b = BUF_INIT(g->body_len * 2 + 8);
    encode_base64(&b, g->body, g->body_len);
    json_add(event, "body", json_new_str_len(buf_str(&b), b.len));
}

int gateway_event(const struct gateway_request *g, struct buf *out, struct error *err)
{
    auto_json struct json_object *event = json_object_new_object();
    /* An HTTP API decodes the path, in rawPath as well. */
    auto_free char *path = decode_percent(g->path, strlen(g->path));
    size_t prefix = strlen(g->route_path);
    while (prefix > 0 && g->route_path[prefix - 1] == '/')
        prefix--;
    auto_free char *base = mem_dup_len(g->route_path, prefix);
    bool below = g->path[prefix] == '/';
    auto_free char *key =
        below ? mem_printf("ANY %s/{proxy+}", base) : mem_printf("ANY %s", g->route_path);
    if (!path || !utf8_valid(path, strlen(path)))
        return error_set(err, ERR_NOT_FOUND, 0, "the path is broken");
    json_add_str(event, "version", "2.0");
    json_add_str(event, "routeKey", key);
    json_add_str(event, "rawPath", path);
    add_text(event, "rawQueryString", g->query, false);
    add_headers(event, g);
    if (add_query(event, g->query, err) < 0)
        return -1;
    add_context(event, g, path, key);
    if (below) {
        struct json_object *parameters = json_object_new_object();
        json_add_str(parameters, "proxy", path + prefix + 1);
        json_add(event, "pathParameters", parameters);
    }
    add_body(event, g);
    size_t len = 0;
    const char *text = json_text(event, &len);
    if (buf_add(out, text, len) < 0)
        return error_set(err, ERR_TOO_LARGE, 0, "the event has %zu bytes", len);
    return 0;
}

/* ---- the answer -------------------------------------------------------------------------------*/

void gateway_answer_release(struct gateway_answer *a)
{
    for (size_t i = 0; i < a->header_count; i++) {
        free((void *)(uintptr_t)a->headers[i].name);
        free((void *)(uintptr_t)a->headers[i].value);
    }
    free(a->headers);
    free(a->type);
    free(a->body);
    *a = (struct gateway_answer){ 0 };
}

/* Those that say how the body travels are this server's own. */
static bool header_is_ours(const char *name)
{
    static const char *const ours[] = {
        "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive",
        "Upgrade",        "Trailer",           "Date"
    };
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (strcasecmp(ours[i], name) == 0)
            return true;
    return false;
}

int gateway_answer_add(struct gateway_answer *a, const char *name, const char *value,
                       struct error *err)
{
    if (!header_safe(name, value))
        return error_set(err, ERR_PROTOCOL, 0, "header %.50s cannot be sent", name);
    if (header_is_ours(name))
        return 0;
    if (strcasecmp(name, "Content-Type") == 0) {
        free(a->type);
        a->type = mem_dup(value);
        return 0;
    }
    if (!a->headers)
        a->headers = mem_array(HEADERS_MAX + 1, sizeof(*a->headers));
    if (a->header_count == HEADERS_MAX)
        return error_set(err, ERR_PROTOCOL, 0, "more than %d headers", HEADERS_MAX);
    a->headers[a->header_count++] = (struct httpd_header){ mem_dup(name), mem_dup(value) };
    return 0;
}

static int read_headers(struct json_object *o, struct gateway_answer *a, struct error *err)
{
    struct json_object *headers = json_get(o, "headers"), *cookies = json_get(o, "cookies");
    if ((headers && !json_object_is_type(headers, json_type_object)) ||
        (cookies && !json_object_is_type(cookies, json_type_array)))
        return error_set(err, ERR_PROTOCOL, 0, "headers or cookies are of the wrong type");
    if (headers) {
        json_object_object_foreach(headers, name, value)
        {
            const char *text = value ? json_object_get_string(value) : "";
            if (gateway_answer_add(a, name, text, err) < 0)
                return -1;
        }
    }
    for (size_t i = 0; cookies && i < json_object_array_length(cookies); i++) {
        const char *text = json_object_get_string(json_object_array_get_idx(cookies, i));
        if (text && gateway_answer_add(a, "Set-Cookie", text, err) < 0)
            return -1;
    }
    return 0;
}

static int read_body(struct json_object *o, struct gateway_answer *a, struct error *err)
{
    struct json_object *body = json_get(o, "body");
    if (!body) {
        a->body = mem_dup("");
        return 0;
    }
    if (!json_object_is_type(body, json_type_string))
        return error_set(err, ERR_PROTOCOL, 0, "body is not a string");
    const char *text = json_object_get_string(body);
    size_t len = (size_t)json_object_get_string_len(body);
    if (json_get_bool(o, "isBase64Encoded", false))
        a->body = (char *)decode_base64(text, len, &a->body_len);
    else {
        a->body = mem_dup_len(text, len);
        a->body_len = len;
    }
    return a->body ? 0 : error_set(err, ERR_PROTOCOL, 0, "body is not base64");
}

int gateway_answer(const char *payload, size_t len, struct gateway_answer *out, struct error *err)
{
    auto_json struct json_object *o = NULL;
    *out = (struct gateway_answer){ .status = 200 };
    out->type = mem_dup("application/json");
    if (json_parse(payload, len, JSON_DEPTH, &o, err) < 0)
        return error_set(err, ERR_PROTOCOL, 0, "the function's answer is not JSON");
    struct json_object *status =
        json_object_is_type(o, json_type_object) ? json_get(o, "statusCode") : NULL;
    if (!status) { /* any other JSON value is the body itself */
        out->body = mem_dup_len(payload, len);
        out->body_len = len;
        return 0;
    }
    int64_t code = json_object_get_int64(status);
    if (code < 200 || code > 599)
        return error_set(err, ERR_PROTOCOL, 0, "statusCode is not a status");
    out->status = (int)code;
    free(out->type);
    out->type = mem_dup("text/plain; charset=utf-8");
    return read_headers(o, out, err) < 0 ? -1 : read_body(o, out, err);
}

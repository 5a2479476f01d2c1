#include "shared/aws/sigv4.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/encode.h"

#define HEAD_MAX   (1U << 20)
#define HEAD_USUAL 1000
#define ALGORITHM  "AWS4-HMAC-SHA256"

/* ---- path ------------------------------------------------------------------------------------ */

/* `path` without empty, "." and ".." segments; a '/' at its end stays. */
static void normalize(struct buf *out, const char *path)
{
    buf_add_char(out, '/');
    while (*path) {
        size_t len = strcspn(path, "/");
        bool dot = len == 1 && path[0] == '.';
        bool dots = len == 2 && path[0] == '.' && path[1] == '.';
        bool slash = path[len] == '/';
        if (dots && out->len > 1) {
            out->len--; /* the '/' behind the segment that goes */
            while (out->data[out->len - 1] != '/')
                out->len--;
        } else if (len > 0 && !dot && !dots) {
            buf_add(out, path, len);
            if (slash)
                buf_add_char(out, '/');
        }
        path += len + slash;
    }
}

static void canonical_path(struct buf *out, const char *path, unsigned flags)
{
    auto_buf struct buf clean = BUF_INIT(HEAD_MAX);
    if (flags & SIGV4_NORMALIZE)
        normalize(&clean, path);
    else
        buf_add_str(&clean, path[0] ? path : "/");
    if (buf_overflowed(&clean))
        out->overflowed = true;
    if (!(flags & SIGV4_DOUBLE_ENCODE))
        buf_add(out, clean.data, clean.len);
    for (size_t i = 0, len; flags & SIGV4_DOUBLE_ENCODE && i < clean.len; i += len + 1) {
        const char *slash = memchr(clean.data + i, '/', clean.len - i);
        len = slash ? (size_t)(slash - clean.data) - i : clean.len - i;
        encode_percent(out, clean.data + i, len);
        if (slash)
            buf_add_char(out, '/');
    }
}

/* ---- query ----------------------------------------------------------------------------------- */

struct param {
    char *name;
    char *value;
};

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* What is encoded already stays so, in the one right form; what is not is encoded. */
static char *encode_component(const char *s, size_t len)
{
    auto_buf struct buf out = BUF_INIT(HEAD_MAX);
    for (size_t i = 0; i < len; i++) {
        int high = s[i] == '%' && i + 2 < len ? hex_value(s[i + 1]) : -1;
        int low = high >= 0 ? hex_value(s[i + 2]) : -1;
        char c = s[i];
        if (low >= 0) {
            c = (char)(high * 16 + low);
            i += 2;
        }
        encode_percent(&out, &c, 1);
    }
    return buf_take(&out, NULL);
}

static int param_order(const void *a, const void *b)
{
    const struct param *x = a;
    const struct param *y = b;
    int by_name = strcmp(x->name, y->name);
    return by_name ? by_name : strcmp(x->value, y->value);
}

static void canonical_query(struct buf *out, const char *query)
{
    size_t most = 1;
    for (const char *p = query; *p; p++)
        most += *p == '&';
    struct param *params = mem_array(most, sizeof(*params));
    size_t count = 0;
    while (*query) {
        size_t len = strcspn(query, "&");
        if (len > 0) {
            size_t name_len = strcspn(query, "=&");
            const char *value = name_len < len ? query + name_len + 1 : query + len;
            params[count].name = encode_component(query, name_len);
            params[count].value = encode_component(value, (size_t)(query + len - value));
            count++;
        }
        query += len + (query[len] == '&');
    }
    qsort(params, count, sizeof(*params), param_order);
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s%s=%s", i ? "&" : "", params[i].name, params[i].value);
        free(params[i].name);
        free(params[i].value);
    }
    free(params);
}

/* ---- headers --------------------------------------------------------------------------------- */

struct signed_header {
    char *name; /* lower case */
    const char *value;
    size_t index; /* repeated ones keep their order */
};

static int header_order(const void *a, const void *b)
{
    const struct signed_header *x = a;
    const struct signed_header *y = b;
    int by_name = strcmp(x->name, y->name);
    if (by_name)
        return by_name;
    return x->index < y->index ? -1 : 1;
}

/* Without white space around, and each run of it inside as one space. */
static void add_folded(struct buf *out, const char *value)
{
    static const char space[] = " \t\r\n";
    for (value += strspn(value, space); *value;) {
        size_t len = strcspn(value, space);
        buf_add(out, value, len);
        value += len;
        size_t gap = strspn(value, space);
        if (gap && value[gap])
            buf_add_char(out, ' ');
        value += gap;
    }
}

static char *lower(const char *s)
{
    char *out = mem_dup(s);
    for (char *p = out; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return out;
}

/* Appends "name:value\n" a header to `out` and the names to `names`. */
static void canonical_headers(struct buf *out, struct buf *names, const struct http_header *headers)
{
    size_t count = 0;
    while (headers[count].name)
        count++;
    struct signed_header *list = mem_array(count, sizeof(*list));
    for (size_t i = 0; i < count; i++)
        list[i] = (struct signed_header){ lower(headers[i].name), headers[i].value, i };
    qsort(list, count, sizeof(*list), header_order);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(list[i].name, list[i - 1].name) == 0) {
            buf_add_char(out, ',');
        } else {
            if (i)
                buf_add_char(out, '\n');
            buf_add_str(out, list[i].name);
            buf_add_char(out, ':');
            if (i)
                buf_add_char(names, ';');
            buf_add_str(names, list[i].name);
        }
        add_folded(out, list[i].value);
    }
    if (count)
        buf_add_char(out, '\n');
    for (size_t i = 0; i < count; i++)
        free(list[i].name);
    free(list);
}

/* ---- stages ---------------------------------------------------------------------------------- */

int sigv4_canonical_request(struct sigv4 *s, const struct sigv4_request *req, unsigned flags,
                            struct error *err)
{
    struct buf *out = &s->canonical;
    buf_init(out, HEAD_MAX);
    buf_init(&s->signed_headers, HEAD_MAX);
    buf_reserve(out, HEAD_USUAL);
    buf_add_str(out, req->method);
    buf_add_char(out, '\n');
    canonical_path(out, req->path, flags);
    buf_add_char(out, '\n');
    canonical_query(out, req->query ? req->query : "");
    buf_add_char(out, '\n');
    canonical_headers(out, &s->signed_headers, req->headers);
    buf_add_char(out, '\n');
    buf_add_str(out, buf_str(&s->signed_headers));
    buf_add_char(out, '\n');
    buf_add_str(out, req->body_hash);
    if (buf_overflowed(out))
        return error_set(err, ERR_TOO_LARGE, 0, "the request's path and headers are over %u bytes",
                         HEAD_MAX);
    return 0;
}

void sigv4_string_to_sign(struct sigv4 *s, const struct sigv4_scope *scope)
{
    char hash[DIGEST_SHA256_HEX];
    digest_sha256_hex(buf_str(&s->canonical), s->canonical.len, hash);
    sigv4_date_format(scope->time_ms, s->date);
    buf_init(&s->scope, HEAD_MAX);
    buf_printf(&s->scope, "%.8s/%s/%s/aws4_request", s->date, scope->region, scope->service);
    buf_init(&s->string_to_sign, HEAD_MAX);
    buf_reserve(&s->string_to_sign, HEAD_USUAL / 4);
    buf_printf(&s->string_to_sign, ALGORITHM "\n%s\n%s\n%s", s->date, buf_str(&s->scope), hash);
}

/* The signing key is the secret, hashed with each part of the scope in turn. */
static void derive_key(const struct sigv4 *s, const struct sigv4_scope *scope,
                       uint8_t key[DIGEST_SHA256])
{
    const char *parts[] = { scope->region, scope->service, "aws4_request" };
    auto_secret char *first = mem_printf("AWS4%s", scope->secret_key);
    uint8_t next[DIGEST_SHA256];
    digest_hmac_sha256(first, strlen(first), s->date, 8, key);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        digest_hmac_sha256(key, DIGEST_SHA256, parts[i], strlen(parts[i]), next);
        memcpy(key, next, sizeof(next));
    }
    mem_wipe(next, sizeof(next));
}

/* The kept key, derived anew where it is of another scope or secret. */
static const uint8_t *kept_key(struct sigv4 *s, const struct sigv4_scope *scope)
{
    struct sigv4_key *k = scope->key;
    const char *text = buf_str(&s->scope); /* day, region and service */
    size_t text_len = s->scope.len, secret_len = strlen(scope->secret_key);
    if (k->made_of && strncmp(k->made_of, text, text_len) == 0 && k->made_of[text_len] == ' ' &&
        strlen(k->made_of + text_len + 1) == secret_len &&
        digest_equal(k->made_of + text_len + 1, scope->secret_key, secret_len))
        return k->key;
    sigv4_key_release(k);
    k->made_of = mem_printf("%s %s", text, scope->secret_key);
    derive_key(s, scope, k->key);
    return k->key;
}

void sigv4_key_release(struct sigv4_key *k)
{
    mem_free_secret(k->made_of);
    k->made_of = NULL;
    mem_wipe(k->key, sizeof(k->key));
}

void sigv4_signature(struct sigv4 *s, const struct sigv4_scope *scope)
{
    uint8_t derived[DIGEST_SHA256], raw[DIGEST_SHA256];
    const uint8_t *key = derived;
    if (scope->key)
        key = kept_key(s, scope);
    else
        derive_key(s, scope, derived);
    digest_hmac_sha256(key, DIGEST_SHA256, buf_str(&s->string_to_sign), s->string_to_sign.len, raw);
    encode_hex(s->signature, raw, sizeof(raw));
    mem_wipe(derived, sizeof(derived));
}

void sigv4_authorization(struct sigv4 *s, const struct sigv4_scope *scope)
{
    buf_init(&s->authorization, HEAD_MAX);
    buf_reserve(&s->authorization, HEAD_USUAL / 2);
    buf_printf(&s->authorization, ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s",
               scope->access_key, buf_str(&s->scope), buf_str(&s->signed_headers), s->signature);
}

int sigv4_sign(struct sigv4 *s, const struct sigv4_scope *scope, const struct sigv4_request *req,
               unsigned flags, struct error *err)
{
    sigv4_release(s);
    sigv4_date_format(scope->time_ms, s->date);
    size_t count = 0;
    while (req->headers[count].name)
        count++;
    struct http_header *headers = mem_array(count + 3, sizeof(*headers));
    memcpy(headers, req->headers, count * sizeof(*headers));
    headers[count++] = (struct http_header){ "X-Amz-Date", s->date };
    if (scope->session_token)
        headers[count++] = (struct http_header){ "X-Amz-Security-Token", scope->session_token };
    struct sigv4_request whole = *req;
    whole.headers = headers;
    int rc = sigv4_canonical_request(s, &whole, flags, err);
    free(headers);
    if (rc < 0)
        return -1;
    sigv4_string_to_sign(s, scope);
    sigv4_signature(s, scope);
    sigv4_authorization(s, scope);
    return 0;
}

static void wipe_buf(struct buf *b)
{
    if (b->data)
        mem_wipe(b->data, b->cap);
    buf_release(b);
}

void sigv4_release(struct sigv4 *s)
{
    wipe_buf(&s->signed_headers);
    wipe_buf(&s->canonical);
    wipe_buf(&s->scope);
    wipe_buf(&s->string_to_sign);
    wipe_buf(&s->authorization);
    mem_wipe(s->signature, sizeof(s->signature));
}

/* ---- date ------------------------------------------------------------------------------------ */

void sigv4_date_format(int64_t time_ms, char out[SIGV4_DATE])
{
    char text[CLOCK_TEXT];
    clock_format(time_ms, text); /* 2015-08-30T12:36:00.000Z */
    snprintf(out, SIGV4_DATE, "%.4s%.2s%.2sT%.2s%.2s%.2sZ", text, text + 5, text + 8, text + 11,
             text + 14, text + 17);
}

int sigv4_date_parse(const char *text, int64_t *time_ms)
{
    if (strlen(text) != SIGV4_DATE - 1)
        return -1;
    char plain[CLOCK_TEXT];
    snprintf(plain, sizeof(plain), "%.4s-%.2s-%.2s%c%.2s:%.2s:%.2s%c", text, text + 4, text + 6,
             text[8], text + 9, text + 11, text + 13, text[15]);
    return text[8] == 'T' && text[15] == 'Z' ? clock_parse(plain, time_ms) : -1;
}

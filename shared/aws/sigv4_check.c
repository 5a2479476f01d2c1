#include "shared/aws/sigv4_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ALGORITHM "AWS4-HMAC-SHA256"

__attribute__((format(printf, 3, 4))) static int deny(struct error *err, const char *type,
                                                      const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    error_set(err, ERR_DENIED, 403, "%s", text);
    error_set_type(err, type);
    return -1;
}

static int incomplete(struct error *err, const char *what)
{
    return deny(err, "IncompleteSignatureException", "the Authorization header has no valid %s",
                what);
}

/* Copies what comes before any of `stop` and moves *p to it; -1 where it is empty or too long. */
static int take(const char **p, const char *stop, char *out, size_t size)
{
    size_t len = strcspn(*p, stop);
    if (len == 0 || len >= size)
        return -1;
    memcpy(out, *p, len);
    out[len] = '\0';
    *p += len;
    return 0;
}

static int expect(const char **p, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(*p, word, len) != 0)
        return -1;
    *p += len;
    return 0;
}

static int parse_credential(const char *p, struct sigv4_claim *out)
{
    if (take(&p, "/, ", out->access_key, sizeof(out->access_key)) < 0 || expect(&p, "/") < 0 ||
        take(&p, "/, ", out->date, sizeof(out->date)) < 0 || expect(&p, "/") < 0 ||
        take(&p, "/, ", out->region, sizeof(out->region)) < 0 || expect(&p, "/") < 0 ||
        take(&p, "/, ", out->service, sizeof(out->service)) < 0 || expect(&p, "/aws4_request") < 0)
        return -1;
    return *p == '\0' || *p == ',' || *p == ' ' ? 0 : -1;
}

int sigv4_claim_parse(const char *authorization, struct sigv4_claim *out, struct error *err)
{
    memset(out, 0, sizeof(*out));
    if (!authorization || !authorization[0])
        return deny(err, "MissingAuthenticationTokenException", "the request is not signed");
    const char *p = authorization;
    if (expect(&p, ALGORITHM " ") < 0)
        return incomplete(err, "algorithm (" ALGORITHM ")");
    while (*p) {
        p += strspn(p, " ,");
        const char *field = p;
        size_t len = strcspn(p, ", ");
        if (expect(&field, "Credential=") == 0) {
            if (parse_credential(field, out) < 0)
                return incomplete(err, "Credential");
        } else if (expect(&field, "SignedHeaders=") == 0) {
            if (take(&field, ", ", out->signed_headers, sizeof(out->signed_headers)) < 0)
                return incomplete(err, "SignedHeaders");
        } else if (expect(&field, "Signature=") == 0) {
            if (take(&field, ", ", out->signature, sizeof(out->signature)) < 0 ||
                strspn(out->signature, "0123456789abcdef") != DIGEST_SHA256_HEX - 1)
                return incomplete(err, "Signature");
        }
        p += len;
    }
    if (!out->access_key[0])
        return incomplete(err, "Credential");
    if (!out->signed_headers[0])
        return incomplete(err, "SignedHeaders");
    return out->signature[0] ? 0 : incomplete(err, "Signature");
}

/* `name` is one of the claim's signed headers. */
static bool is_signed(const struct sigv4_claim *claim, const char *name)
{
    size_t name_len = strlen(name);
    for (const char *p = claim->signed_headers; *p;) {
        size_t len = strcspn(p, ";");
        if (len == name_len && strncasecmp(p, name, len) == 0)
            return true;
        p += len + (p[len] == ';');
    }
    return false;
}

static int check_time(const struct sigv4_claim *claim, const struct sigv4_request *req,
                      int64_t now_ms, int64_t *time_ms, struct error *err)
{
    const char *date = NULL;
    for (const struct http_header *h = req->headers; h->name && !date; h++)
        if (strcasecmp(h->name, "X-Amz-Date") == 0)
            date = h->value;
    if (!date || sigv4_date_parse(date, time_ms) < 0)
        return deny(err, "IncompleteSignatureException", "X-Amz-Date is missing or not a date");
    if (strncmp(date, claim->date, 8) != 0)
        return deny(err, "InvalidSignatureException",
                    "the credential's date is not that of X-Amz-Date");
    if (*time_ms < now_ms - SIGV4_SKEW_MS)
        return deny(err, "InvalidSignatureException", "Signature expired: %s is over 5 min ago",
                    date);
    if (*time_ms > now_ms + SIGV4_SKEW_MS)
        return deny(err, "InvalidSignatureException",
                    "Signature not yet current: %s is over 5 min ahead", date);
    return 0;
}

int sigv4_check(const struct sigv4_claim *claim, const char *secret_key,
                const struct sigv4_request *req, unsigned flags, int64_t now_ms,
                struct sigv4 *stages, struct error *err)
{
    if (!is_signed(claim, "host") || !is_signed(claim, "x-amz-date"))
        return incomplete(err, "SignedHeaders: host and x-amz-date must be among them");
    struct sigv4_scope scope = { .access_key = claim->access_key,
                                 .secret_key = secret_key,
                                 .region = claim->region,
                                 .service = claim->service };
    if (check_time(claim, req, now_ms, &scope.time_ms, err) < 0)
        return -1;
    size_t count = 0;
    while (req->headers[count].name)
        count++;
    struct http_header *headers = mem_array(count + 1, sizeof(*headers));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (is_signed(claim, req->headers[i].name))
            headers[kept++] = req->headers[i];
    struct sigv4_request named = *req;
    named.headers = headers;
    int rc = sigv4_canonical_request(stages, &named, flags, err);
    free(headers);
    if (rc < 0)
        return -1;
    sigv4_string_to_sign(stages, &scope);
    sigv4_signature(stages, &scope);
    if (strcmp(buf_str(&stages->signed_headers), claim->signed_headers) != 0)
        return deny(err, "InvalidSignatureException",
                    "the signed headers did not all come, or are not in order");
    if (!digest_equal(stages->signature, claim->signature, DIGEST_SHA256_HEX - 1))
        return deny(err, "InvalidSignatureException",
                    "The request signature we calculated does not match the signature you "
                    "provided. Check your AWS Secret Access Key and signing method.");
    return 0;
}

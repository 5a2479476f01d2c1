#include "local/aws/signature.h"

#include <string.h>

#include "shared/aws/sigv4_check.h"

#define MAX_HEADERS 64

struct collection {
    struct http_header items[MAX_HEADERS + 1];
    size_t count;
    bool too_many;
};

static void collect(void *arg, const char *name, const char *value)
{
    struct collection *c = arg;
    if (c->count == MAX_HEADERS)
        c->too_many = true;
    else
        c->items[c->count++] = (struct http_header){ name, value };
}

static int deny(struct error *err, const char *type, const char *message)
{
    error_set(err, ERR_DENIED, 403, "%s", message);
    error_set_type(err, type);
    return -1;
}

int signature_check(const struct local *local, const struct httpd_request *http,
                    const char *service, struct error *err)
{
    struct sigv4_claim claim;
    struct collection headers = { .count = 0 };
    if (sigv4_claim_parse(httpd_header(http, "Authorization"), &claim, err) < 0)
        return -1;
    const char *secret = config_secret(local->config, claim.access_key);
    if (!secret)
        return deny(err, "UnrecognizedClientException",
                    "The security token included in the request is invalid.");
    if (strcmp(claim.region, local->config->region) != 0 || strcmp(claim.service, service) != 0)
        return deny(err, "InvalidSignatureException",
                    "Credential should be scoped to this region and service.");
    httpd_each_header(http, collect, &headers);
    if (headers.too_many)
        return deny(err, "InvalidSignatureException", "The request has too many headers.");
    size_t len;
    const char *body = httpd_body(http, &len);
    char hash[DIGEST_SHA256_HEX];
    digest_sha256_hex(body, len, hash);
    const struct sigv4_request req = { .method = httpd_method(http),
                                       .path = httpd_path(http),
                                       .query = httpd_query(http),
                                       .headers = headers.items,
                                       .body_hash = hash };
    auto_sigv4 struct sigv4 stages = { 0 };
    return sigv4_check(&claim, secret, &req, SIGV4_USUAL, clock_wall_ms(clock_system()), &stages,
                       err);
}

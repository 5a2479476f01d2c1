#include "callback-receiver/redis_tls.h"

#ifdef HAVE_HIREDIS_SSL

#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

bool redis_tls_available(void)
{
    return true;
}

/* SSL_set1_host wants a name; an address is checked by another call. */
static int expect_host(SSL *ssl, const char *host)
{
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
        return 1;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int redis_tls_start(struct redisContext *c, const char *host, struct error *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;
    int rc = -1;
    if (ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_default_verify_paths(ctx) == 1) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        ssl = SSL_new(ctx);
    }
    if (!ssl || !expect_host(ssl, host)) {
        SSL_free(ssl);
        error_set(err, ERR_INTERNAL, 0, "OpenSSL cannot be set up");
    } else if (redisInitiateSSL(c, ssl) != REDIS_OK) { /* takes ssl over */
        error_set(err, ERR_NET, 0, "TLS: %s", c->errstr);
    } else {
        rc = 0;
    }
    SSL_CTX_free(ctx); /* ssl keeps it alive */
    return rc;
}

#else

bool redis_tls_available(void)
{
    return false;
}

int redis_tls_start(struct redisContext *c, const char *host, struct error *err)
{
    (void)c, (void)host;
    return error_set(err, ERR_INVALID, 0, "this build has no TLS for Redis");
}

#endif

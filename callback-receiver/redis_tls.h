/* redis_tls.h - TLS below hiredis, where hiredis has it (1.0 and later, with hiredis_ssl). */
#ifndef RECEIVER_REDIS_TLS_H
#define RECEIVER_REDIS_TLS_H

#include <stdbool.h>

#include "shared/base/error.h"

struct redisContext;

/* Whether this build can. */
bool redis_tls_available(void);
/* The handshake on a fresh connection; the certificate must be valid for `host` by the system's
 * trust store (or SSL_CERT_FILE, SSL_CERT_DIR). */
int redis_tls_start(struct redisContext *c, const char *host, struct error *err) CHECKED;

#endif

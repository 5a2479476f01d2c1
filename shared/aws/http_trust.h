/* http_trust.h - where the certificates of the authorities are that a TLS server is checked
 * against. For http.c; any thread.
 *
 * SSL_CERT_FILE and SSL_CERT_DIR (as OpenSSL has them) are taken as they are. Otherwise the first
 * of the places that distributions use and that is there: Debian, Ubuntu, Alpine and distroless
 * images; Fedora, RHEL, Amazon Linux; openSUSE. A library that is linked statically cannot know
 * what image it will run in. */
#ifndef AWS_HTTP_TRUST_H
#define AWS_HTTP_TRUST_H

#include <stdbool.h>

/* NULL: none. Borrowed from `env` or static. */
struct http_trust {
    const char *file; /* a bundle in PEM form */
    const char *dir;  /* certificates under the hashes of their names */
};

/* false where there is nothing. `env` is a list ended by NULL. */
bool http_trust_find(char *const *env, struct http_trust *out);
/* A folder in which the certificate that is needed can be found by the hash of its name, as
 * Debian's and Alpine's ca-certificates make it, or NULL. To read a whole bundle takes OpenSSL 20
 * to 80 ms of a processor, one certificate a fraction of one. It may lack what somebody has put
 * into the bundle: where a server's certificate is not accepted by it, http_trust_find has the last
 * word. NULL where the environment says where to look. */
const char *http_trust_hashed(char *const *env);
/* The nth place that is looked at, for tests; NULL behind the last. */
const char *http_trust_place(unsigned n);

#endif

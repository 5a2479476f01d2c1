/* sigv4_check.h - the other side of sigv4.h: is a request's signature right? For servers.
 * Pure; any thread. */
#ifndef AWS_SIGV4_CHECK_H
#define AWS_SIGV4_CHECK_H

#include "shared/aws/sigv4.h"

#define SIGV4_SKEW_MS (5 * 60 * 1000) /* how far a request's clock may be off */

/* An Authorization header, taken apart. */
struct sigv4_claim {
    char access_key[129];
    char date[9]; /* "20150830" */
    char region[65];
    char service[65];
    char signed_headers[1025]; /* "host;x-amz-date" */
    char signature[DIGEST_SHA256_HEX];
};

/* -1 with ERR_DENIED and AWS's name in err->type: MissingAuthenticationTokenException (NULL or
 * empty) or IncompleteSignatureException. */
int sigv4_claim_parse(const char *authorization, struct sigv4_claim *out,
                      struct error *err) CHECKED;

/* Checks `claim`, whose access key the caller has looked up, against the request: `req->headers`
 * are all headers that came, `now_ms` is the wall clock. Host and X-Amz-Date must be among the
 * signed ones. -1 with ERR_DENIED and type InvalidSignatureException or
 * IncompleteSignatureException. *stages (zeroed by the caller, who releases it) is filled as far as
 * it came, for a debug log: its texts may hold a session token, the hash of `canonical` is safe. */
int sigv4_check(const struct sigv4_claim *claim, const char *secret_key,
                const struct sigv4_request *req, unsigned flags, int64_t now_ms,
                struct sigv4 *stages, struct error *err) CHECKED;

#endif

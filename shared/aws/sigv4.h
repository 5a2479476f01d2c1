/* sigv4.h - AWS Signature Version 4 for requests whose signature is a header.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 *
 * Pure: time and keys are arguments. Signing goes through four stages, each of which leaves its
 * text in `struct sigv4`, so that each can be looked at: canonical request, string to sign,
 * signature, Authorization header. sigv4_sign runs them all. Any thread, but one at a time for a
 * struct sigv4_key. */
#ifndef AWS_SIGV4_H
#define AWS_SIGV4_H

#include <stdint.h>

#include "shared/aws/http.h"
#include "shared/base/digest.h"

enum sigv4_flags {
    /* The path, encoded once on the wire, is encoded a second time in the canonical request, so
     * that %3A becomes %253A: every service but S3. */
    SIGV4_DOUBLE_ENCODE = 1 << 0,
    /* The canonical path has no empty, "." and ".." segments: every service but S3. */
    SIGV4_NORMALIZE = 1 << 1,
    SIGV4_USUAL = SIGV4_DOUBLE_ENCODE | SIGV4_NORMALIZE,
};

/* The signing key of the last signature: it is the same for a day, and to derive it is half of the
 * work. Zero it before the first use; release it after. Private. */
struct sigv4_key {
    char *made_of; /* NULL: none yet */
    uint8_t key[DIGEST_SHA256];
};
/* Wipes and frees. Safe on zeroed memory and twice. */
void sigv4_key_release(struct sigv4_key *k);

/* Who signs, for what, and when. Everything borrowed. */
struct sigv4_scope {
    const char *access_key;
    const char *secret_key;
    const char *session_token; /* NULL: none */
    const char *region;
    const char *service;
    int64_t time_ms;       /* wall clock */
    struct sigv4_key *key; /* kept from signature to signature; NULL: derived for this one */
};

/* What is signed. Everything borrowed. */
struct sigv4_request {
    const char *method;
    const char *path;                  /* as it is on the wire, without the query */
    const char *query;                 /* as it is on the wire, without '?'; NULL: none */
    const struct http_header *headers; /* all of them are signed; ended by a NULL name */
    const char *body_hash;             /* SHA-256 of the body, 64 lower-case digits */
};

#define SIGV4_DATE 17 /* "20150830T123600Z" with its NUL */

/* The stages' results. Zero it before the first use; release it after. It holds the session token
 * (a signed header): nothing of it belongs into a log but `signed_headers`. */
struct sigv4 {
    char date[SIGV4_DATE];
    struct buf signed_headers; /* "host;x-amz-date" */
    struct buf canonical;      /* the canonical request */
    struct buf scope;          /* "20150830/us-east-1/lambda/aws4_request" */
    struct buf string_to_sign;
    char signature[DIGEST_SHA256_HEX];
    struct buf authorization; /* the header's value */
};

/* Signs `req` and, besides its headers, X-Amz-Date (s->date, for the caller to send) and, where
 * there is a token, X-Amz-Security-Token. -1 with ERR_TOO_LARGE where the request's head is over
 * 1 MiB. */
int sigv4_sign(struct sigv4 *s, const struct sigv4_scope *scope, const struct sigv4_request *req,
               unsigned flags, struct error *err) CHECKED;
/* Wipes and frees. Safe on zeroed memory and twice. */
void sigv4_release(struct sigv4 *s);
#define auto_sigv4 __attribute__((cleanup(sigv4_release)))

/* The stages, in this order. The first signs the headers of `req` only. */
int sigv4_canonical_request(struct sigv4 *s, const struct sigv4_request *req, unsigned flags,
                            struct error *err) CHECKED;
void sigv4_string_to_sign(struct sigv4 *s, const struct sigv4_scope *scope);
void sigv4_signature(struct sigv4 *s, const struct sigv4_scope *scope);
void sigv4_authorization(struct sigv4 *s, const struct sigv4_scope *scope);

/* "20150830T123600Z"; and back: 0, or -1 where it is not one. */
void sigv4_date_format(int64_t time_ms, char out[SIGV4_DATE]);
int sigv4_date_parse(const char *text, int64_t *time_ms);

#endif

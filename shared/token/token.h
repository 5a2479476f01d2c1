/* token.h - sealed capabilities: who holds one may act on one callback, in one scope, until it
 * expires.
 *
 *     v1.KID.BASE64URL(nonce[12] || ciphertext || tag[16])
 *
 * AES-256-GCM over callback id, scope and expiry, with "v1.KID" as associated data. The key of KID
 * is HKDF-SHA256 of the configured secret; the nonce is derived from key and content (HMAC-SHA256,
 * cut), so the same content gives the same token, and no nonce serves two contents. The callback id
 * is inside and cannot be read without the key. Tokens and callback ids are secrets: never logged,
 * wiped after use. A token_keys may be used by any thread once it is made. */
#ifndef TOKEN_TOKEN_H
#define TOKEN_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/error.h"

enum token_scope {
    TOKEN_SCOPE_JOB = 1,
    TOKEN_SCOPE_LAUNCHER = 2
};

#define TOKEN_MAX         2048 /* bytes of a token, 1024 of callback id included */
#define TOKEN_CALLBACK_ID 1024 /* bytes of a callback id (Lambda's limit) */
#define TOKEN_SECRET_MIN  43   /* characters of a configured secret */
#define TOKEN_PUBLIC_ID   25   /* a public id with its NUL */

struct token_keys;

/* `json` is {"KID": "secret", ...}: KID 1 to 32 of A-Z a-z 0-9 _ -, secrets of at least
 * TOKEN_SECRET_MIN characters and at most 1,024, at most 16 keys. `kid` names the key that seals;
 * NULL is allowed where there is only one. NULL with ERR_INVALID (the message never contains a
 * secret). */
struct token_keys *token_keys_new(const char *json, const char *kid, struct error *err) CHECKED;
/* The same where tokens are only opened: no key is named, token_seal is refused. So a key can come,
 * be the one that seals elsewhere, and go, while this side knows of nothing but the keys. */
struct token_keys *token_keys_opener(const char *json, struct error *err) CHECKED;
void token_keys_free(struct token_keys *k);

struct token_content {
    char callback_id[TOKEN_CALLBACK_ID + 1];
    enum token_scope scope;
    int64_t expires_s; /* wall clock, seconds */
};
void token_content_wipe(struct token_content *c);

/* Appends the token to `out`. ERR_INVALID for a callback id that is empty, too long or not base64.
 */
int token_seal(const struct token_keys *k, const struct token_content *c, struct buf *out,
               struct error *err) CHECKED;
/* Opens and checks. ERR_DENIED: malformed, of an unknown key or forged (type "invalid_token").
 * ERR_GONE: genuine, but expired at now_s; *out is filled then too. */
int token_open(const struct token_keys *k, const char *token, size_t len, int64_t now_s,
               struct token_content *out, struct error *err) CHECKED;
/* The public name of a callback: 24 characters of base64url, the front of an HMAC-SHA256 over
 * it. It tells nothing of the id and may be logged. */
void token_public_id(const char *callback_id, char out[TOKEN_PUBLIC_ID]);

#endif

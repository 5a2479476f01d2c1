/* auth.h - who may ask what. Pure; any thread. */
#ifndef RECEIVER_AUTH_H
#define RECEIVER_AUTH_H

#include "shared/token/token.h"

enum auth {
    AUTH_OK,
    AUTH_MISSING,  /* 401: no token, or not one of ours */
    AUTH_EXPIRED,  /* 401 */
    AUTH_MISMATCH, /* 403: of another callback */
    AUTH_SCOPE     /* 403: this scope may not */
};

/* Checks the Authorization header's value (NULL: none) against the public id of the path and the
 * scopes allowed (bits 1 << enum token_scope). For AUTH_OK *out is filled; wipe it. */
enum auth auth_check(const struct token_keys *keys, const char *authorization, const char *id,
                     unsigned scopes, int64_t now_s, struct token_content *out);
/* The token behind "Bearer" (RFC 6750 2.1, any case), or NULL. Borrowed. */
const char *auth_bearer(const char *authorization);
/* One sentence for people. */
const char *auth_text(enum auth a);

#endif

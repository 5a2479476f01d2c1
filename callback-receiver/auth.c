#include "callback-receiver/auth.h"

#include <string.h>
#include <strings.h>

#include "shared/base/digest.h"

const char *auth_bearer(const char *authorization)
{
    static const char scheme[] = "Bearer ";
    if (!authorization || strncasecmp(authorization, scheme, strlen(scheme)) != 0)
        return NULL;
    authorization += strlen(scheme);
    return authorization + strspn(authorization, " ");
}

enum auth auth_check(const struct token_keys *keys, const char *authorization, const char *id,
                     unsigned scopes, int64_t now_s, struct token_content *out)
{
    struct error err;
    char own[TOKEN_PUBLIC_ID];
    const char *token = auth_bearer(authorization);
    memset(out, 0, sizeof(*out));
    if (!token)
        return AUTH_MISSING;
    enum auth verdict = AUTH_OK;
    if (token_open(keys, token, strlen(token), now_s, out, &err) < 0)
        verdict = err.code == ERR_GONE ? AUTH_EXPIRED : AUTH_MISSING;
    else
        token_public_id(out->callback_id, own);
    if (verdict == AUTH_OK &&
        (strlen(id) != sizeof(own) - 1 || !digest_equal(own, id, sizeof(own) - 1)))
        verdict = AUTH_MISMATCH;
    if (verdict == AUTH_OK && !(scopes & 1U << out->scope))
        verdict = AUTH_SCOPE;
    if (verdict != AUTH_OK)
        token_content_wipe(out);
    return verdict;
}

const char *auth_text(enum auth a)
{
    switch (a) {
    case AUTH_EXPIRED:
        return "The token has expired.";
    case AUTH_MISMATCH:
        return "The token is of another callback.";
    case AUTH_SCOPE:
        return "The token does not allow this.";
    default:
        return "A valid token is needed: Authorization: Bearer $CALLBACK_TOKEN";
    }
}

#include "launcher/keys.h"

#include "shared/aws/secrets_client.h"

static struct token_keys *from_secret(const struct config *c, struct aws *aws, struct error *err)
{
    auto_secret char *keys = NULL;
    if (secrets_get_string(aws, c->token_keys_secret, &keys, err) < 0)
        return NULL;
    return token_keys_new(keys, c->token_kid, err);
}

struct token_keys *keys_load(const struct config *c, struct aws *aws, struct error *err)
{
    bool direct = c->token_keys != NULL;
    struct token_keys *k =
        direct ? token_keys_new(c->token_keys, c->token_kid, err) : from_secret(c, aws, err);
    if (!k)
        error_wrap(err, direct ? "CALLBACK_TOKEN_KEYS" : "CALLBACK_TOKEN_KEYS_SECRET");
    return k;
}

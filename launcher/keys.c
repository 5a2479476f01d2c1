#include "launcher/keys.h"

#include <string.h>

#include "shared/base/json.h"

static struct token_keys *from_secret(const struct config *c, struct aws *aws, struct error *err)
{
    auto_json struct json_object *answer = NULL;
    auto_buf struct buf request = BUF_INIT(4096);
    buf_add_str(&request, "{\"SecretId\":");
    buf_add_json_str(&request, c->token_keys_secret);
    buf_add_char(&request, '}');
    if (aws_send_json11(aws, AWS_SECRETS_MANAGER, "secretsmanager.GetSecretValue",
                        buf_str(&request), &answer, err) < 0)
        return NULL;
    const char *secret = json_get_str(answer, "SecretString");
    if (!secret) {
        error_set(err, ERR_INVALID, 0, "the secret has no SecretString");
        return NULL;
    }
    auto_secret char *keys = mem_dup(secret);
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

#include "shared/aws/secrets_client.h"

#include "shared/base/json.h"

int secrets_get_string(struct aws *a, const char *secret, char **out, struct error *err)
{
    auto_json struct json_object *answer = NULL;
    auto_buf struct buf request = BUF_INIT(4096);
    *out = NULL;
    buf_add_str(&request, "{\"SecretId\":");
    buf_add_json_str(&request, secret);
    buf_add_char(&request, '}');
    if (buf_overflowed(&request))
        return error_set(err, ERR_INVALID, 0, "the secret's name is too long");
    if (aws_send_json11(a, AWS_SECRETS_MANAGER, "secretsmanager.GetSecretValue", buf_str(&request),
                        &answer, err) < 0)
        return -1;
    const char *text = json_get_str(answer, "SecretString");
    if (!text)
        return error_set(err, ERR_INVALID, 0, "the secret has no SecretString");
    *out = mem_dup(text);
    return 0;
}

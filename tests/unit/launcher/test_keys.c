#include "launcher/keys.h"

#include <criterion/criterion.h>

#include "tests/unit/launcher/fake_aws.h"

#define SECRET "0123456789012345678901234567890123456789012"

Test(keys, come_from_the_environment)
{
    static char json[] = "{\"k\":\"" SECRET "\"}";
    const struct config c = { .token_keys = json };
    struct error err = { 0 };
    struct token_keys *k = keys_load(&c, NULL, &err);
    cr_expect_not_null(k, "%s", err.msg);
    token_keys_free(k);
}

Test(keys, are_not_shown_where_they_are_wrong)
{
    static char json[] = "{\"k\":\"tooshort-secret\"}";
    const struct config c = { .token_keys = json };
    struct error err = { 0 };
    cr_expect_null(keys_load(&c, NULL, &err));
    cr_expect_eq(strncmp(err.msg, "CALLBACK_TOKEN_KEYS: ", 21), 0, "%s", err.msg);
    cr_expect_null(strstr(err.msg, "tooshort"));
}

Test(keys, come_from_secrets_manager)
{
    static const struct {
        struct fake_rule rules[2];
        const char *error; /* NULL: good */
    } table[] = {
        { { { "GetSecretValue", 200, "{\"SecretString\":\"{\\\"k\\\":\\\"" SECRET "\\\"}\"}" } },
          NULL },
        { { { "GetSecretValue", 200, "{\"SecretBinary\":\"AAAA\"}" } }, "no SecretString" },
        { { { "GetSecretValue", 200, "{\"SecretString\":\"x\"}" } },
          "CALLBACK_TOKEN_KEYS_SECRET: " },
        { { { "GetSecretValue", 400,
              "{\"__type\":\"ResourceNotFoundException\",\"message\":\"m\"}" } },
          "CALLBACK_TOKEN_KEYS_SECRET: " },
    };
    static char arn[] = "arn:aws:secretsmanager:us-east-1:123456789012:secret:keys";
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct config c = { .token_keys_secret = arn };
        struct aws_options o;
        struct error err = { 0 };
        struct fake_aws *f = fake_start(table[i].rules);
        struct aws *a = fake_client(f, &o);
        struct token_keys *k = keys_load(&c, a, &err);
        cr_expect_eq(!k, table[i].error != NULL, "%s", err.msg);
        if (table[i].error)
            cr_expect_not_null(strstr(err.msg, table[i].error), "%s", err.msg);
        cr_expect_str_eq(f->asked[0].body, "{\"SecretId\":\"arn:aws:secretsmanager:us-east-1:"
                                           "123456789012:secret:keys\"}");
        token_keys_free(k);
        fake_client_free(a, &o);
        fake_stop(f);
    }
}

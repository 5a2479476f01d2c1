/* Secrets Manager's answers, and what the secret is taken for: the tokens' keys. */
#include <string.h>

#include "shared/aws/secrets_client.h"
#include "shared/token/token.h"
#include "tests/fuzz/answers.h"

#define CALLBACK "Y2FsbGJhY2s="

static void check_keys(const struct token_keys *seal, const struct token_keys *open)
{
    struct token_content c = { .scope = TOKEN_SCOPE_JOB, .expires_s = 4102444800 }, back;
    struct error err = { 0 };
    auto_buf struct buf token = BUF_INIT(TOKEN_MAX);
    memcpy(c.callback_id, CALLBACK, sizeof(CALLBACK));
    FUZZ_MUST(token_seal(seal, &c, &token, &err) == 0);
    FUZZ_MUST(token_open(open, buf_str(&token), token.len, 0, &back, &err) == 0);
    FUZZ_MUST(token_seal(open, &c, &token, &err) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    struct answers *a = answers_of(data, size);
    auto_secret char *text = NULL;
    if (secrets_get_string(answers_aws(a), "secret", &text, &err) < 0) {
        FUZZ_MUST(!text && err.code != ERR_NONE && err.msg[0]);
        return 0;
    }
    struct token_keys *open = token_keys_opener(text, &err);
    FUZZ_MUST(open || (err.code == ERR_INVALID && err.msg[0]));
    struct token_keys *seal = token_keys_new(text, NULL, &err);
    FUZZ_MUST(open || !seal);
    if (seal)
        check_keys(seal, open);
    token_keys_free(open);
    token_keys_free(seal);
    return 0;
}

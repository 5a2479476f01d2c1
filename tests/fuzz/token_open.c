/* Tokens: whatever opens is what sealing its content gives; what is sealed opens. */
#include <string.h>

#include "shared/token/token.h"
#include "tests/fuzz/fuzz.h"

#define KEYS "{\"k1\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"

static struct token_keys *keys;

static void open_any(const char *token, size_t len)
{
    struct token_content c;
    struct error err;
    auto_buf struct buf again = BUF_INIT(TOKEN_MAX);
    if (token_open(keys, token, len, 0, &c, &err) < 0)
        return;
    FUZZ_MUST(token_seal(keys, &c, &again, &err) == 0);
    FUZZ_MUST(again.len == len && memcmp(buf_str(&again), token, len) == 0);
}

static void seal_any(const uint8_t *data, size_t size)
{
    struct token_content c = { .scope = TOKEN_SCOPE_JOB, .expires_s = 4102444800 }, back;
    struct error err;
    auto_buf struct buf token = BUF_INIT(TOKEN_MAX);
    if (size > TOKEN_CALLBACK_ID)
        return;
    memcpy(c.callback_id, data, size);
    if (token_seal(keys, &c, &token, &err) < 0)
        return;
    FUZZ_MUST(token_open(keys, buf_str(&token), token.len, 0, &back, &err) == 0);
    FUZZ_MUST(strcmp(back.callback_id, c.callback_id) == 0 && back.expires_s == c.expires_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    if (!keys)
        keys = token_keys_new(KEYS, NULL, &err);
    FUZZ_MUST(keys);
    open_any((const char *)data, size);
    seal_any(data, size);
    return 0;
}

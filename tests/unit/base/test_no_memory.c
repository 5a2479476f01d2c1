#include "tests/unit/no_memory.h"

#include "shared/aws/sigv4.h"
#include "shared/base/json.h"
#include "shared/token/token.h"

static char *build(struct error *err)
{
    (void)err;
    auto_json struct json_object *o = json_object_new_object();
    auto_json struct json_object *list = json_object_new_array();
    json_add_str(o, "string", "a long enough string, so that it is not inside of the object");
    json_add_int(o, "int", 7);
    for (int i = 0; i < 40; i++) {
        char key[8];
        snprintf(key, sizeof(key), "k%d", i);
        json_add_int(o, key, i);
        json_push(list, json_new_str("x"));
    }
    json_add(o, "list", MOVE(list));
    no_memory_over(); /* the printer */
    return mem_dup(json_text(o, NULL));
}

Test(no_memory, of_json_that_is_built)
{
    no_memory(build, NO_MEMORY_ENDS);
}

static struct token_keys *keys; /* json-c reads them, and does not outlive a lack of memory */

static char *seal_and_open(struct error *err)
{
    const struct token_content content = {
        .callback_id = "QQ==", .scope = TOKEN_SCOPE_JOB, .expires_s = 4102444800
    };
    struct token_content back;
    auto_buf struct buf token = BUF_INIT(4096);
    int rc = token_seal(keys, &content, &token, err);
    if (rc == 0)
        rc = token_open(keys, buf_str(&token), token.len, 1, &back, err);
    return rc == 0 ? mem_printf("%s %s", buf_str(&token), back.callback_id) : NULL;
}

Test(no_memory, of_tokens)
{
    struct error err = { 0 };
    keys = token_keys_new("{\"k\":\"0123456789012345678901234567890123456789012\"}", NULL, &err);
    cr_assert_not_null(keys, "%s", err.msg);
    no_memory(seal_and_open, NO_MEMORY_FAILS);
    token_keys_free(keys);
}

static char *sign(struct error *err)
{
    const struct http_header headers[] = { { "Host", "lambda" },
                                           { "X-Thing", "  a   b " },
                                           { NULL, NULL } };
    const struct sigv4_request req = {
        .method = "POST",
        .path = "/a b/c",
        .query = "b=2&a=1",
        .headers = headers,
        .body_hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    };
    const struct sigv4_scope scope = { .access_key = "AK",
                                       .secret_key = "SK",
                                       .session_token = "T",
                                       .region = "r",
                                       .service = "s",
                                       .time_ms = 1767225600000 };
    auto_sigv4 struct sigv4 s = { 0 };
    return sigv4_sign(&s, &scope, &req, 0, err) == 0 ? mem_dup(buf_str(&s.authorization)) : NULL;
}

Test(no_memory, of_signatures)
{
    no_memory(sign, NO_MEMORY_FAILS);
}

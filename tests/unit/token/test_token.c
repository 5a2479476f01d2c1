#include "shared/token/token.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SECRET_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ID       "Ab9hZXjGYXJuOmF3czpsYW1iZGE6+/=="

static struct token_keys *keys(const char *json, const char *kid)
{
    struct error err;
    struct token_keys *k = token_keys_new(json, kid, &err);
    cr_assert_not_null(k, "%s", err.msg);
    return k;
}

static struct token_content content(const char *id, enum token_scope scope, int64_t expires_s)
{
    struct token_content c = { .scope = scope, .expires_s = expires_s };
    memcpy(c.callback_id, id, strlen(id) + 1);
    return c;
}

static char *seal(const struct token_keys *k, const struct token_content *c)
{
    struct buf b = BUF_INIT(TOKEN_MAX);
    struct error err;
    cr_assert_eq(token_seal(k, c, &b, &err), 0, "%s", err.msg);
    return buf_take(&b, NULL);
}

static int open_at(const struct token_keys *k, const char *token, int64_t now_s,
                   struct token_content *out, struct error *err)
{
    return token_open(k, token, strlen(token), now_s, out, err);
}

Test(token, what_is_sealed_is_opened)
{
    struct token_keys *k = keys("{\"k1\":\"" SECRET_A "\"}", NULL);
    static const enum token_scope scopes[] = { TOKEN_SCOPE_JOB, TOKEN_SCOPE_LAUNCHER };
    char longest[TOKEN_CALLBACK_ID + 1];
    memset(longest, 'x', sizeof(longest));
    longest[TOKEN_CALLBACK_ID] = '\0';
    const char *ids[] = { "A", ID, longest };
    for (size_t s = 0; s < ARRAY_LEN(scopes); s++) {
        for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
            struct token_content in = content(ids[i], scopes[s], 4102444800), out;
            struct error err;
            auto_free char *token = seal(k, &in);
            cr_assert_eq(open_at(k, token, 1000, &out, &err), 0, "%s", err.msg);
            cr_assert_str_eq(out.callback_id, ids[i]);
            cr_assert_eq(out.scope, scopes[s]);
            cr_assert_eq(out.expires_s, 4102444800);
            cr_assert_null(strstr(token, ids[i] + strlen(ids[i]) / 2 * (i == 1)));
        }
    }
    token_keys_free(k);
}

Test(token, equal_content_gives_equal_tokens_and_any_difference_another_nonce)
{
    struct token_keys *k = keys("{\"k1\":\"" SECRET_A "\"}", NULL);
    struct token_content a = content(ID, TOKEN_SCOPE_JOB, 5000);
    struct token_content others[] = { content("QQ==", TOKEN_SCOPE_JOB, 5000),
                                      content(ID, TOKEN_SCOPE_LAUNCHER, 5000),
                                      content(ID, TOKEN_SCOPE_JOB, 5001) };
    auto_free char *first = seal(k, &a);
    auto_free char *again = seal(k, &a);
    cr_assert_str_eq(first, again);
    cr_assert_eq(strncmp(first, "v1.k1.", 6), 0);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        auto_free char *other = seal(k, &others[i]);
        cr_assert_neq(strncmp(first + 6, other + 6, 16), 0, "the nonce of case %zu repeats", i);
    }
    token_keys_free(k);
}

Test(token, a_change_of_any_byte_is_refused)
{
    struct token_keys *k = keys("{\"k1\":\"" SECRET_A "\",\"k2\":\"" SECRET_B "\"}", "k1");
    struct token_content in = content(ID, TOKEN_SCOPE_JOB, 5000), out;
    auto_free char *token = seal(k, &in);
    size_t len = strlen(token);
    for (size_t i = 0; i < len; i++) {
        static const char changes[] = "AZz09_-.=\x01\x80";
        for (size_t c = 0; c < sizeof(changes) - 1; c++) {
            struct error err;
            auto_free char *bad = mem_dup(token);
            if (bad[i] == changes[c])
                continue;
            bad[i] = changes[c];
            cr_assert_eq(token_open(k, bad, len, 10, &out, &err), -1, "byte %zu as %d", i,
                         changes[c]);
            cr_assert_eq(err.code, ERR_DENIED);
            cr_assert_str_eq(err.type, "invalid_token");
        }
    }
    token_keys_free(k);
}

Test(token, a_token_that_is_cut_or_longer_is_refused)
{
    struct token_keys *k = keys("{\"k1\":\"" SECRET_A "\"}", NULL);
    struct token_content in = content(ID, TOKEN_SCOPE_JOB, 5000), out;
    struct error err;
    auto_free char *token = seal(k, &in);
    for (size_t len = 0; len < strlen(token); len++) {
        cr_assert_eq(token_open(k, token, len, 10, &out, &err), -1, "%zu bytes", len);
        cr_assert_eq(err.code, ERR_DENIED);
    }
    auto_free char *longer = mem_printf("%sAAAA", token);
    cr_assert_eq(open_at(k, longer, 10, &out, &err), -1);
    char *huge = mem_alloc(TOKEN_MAX + 2);
    memset(huge, 'A', TOKEN_MAX + 1);
    memcpy(huge, "v1.k1.", 6);
    cr_assert_eq(open_at(k, huge, 10, &out, &err), -1);
    cr_assert_eq(err.code, ERR_DENIED);
    free(huge);
    cr_assert_eq(token_open(k, "v1.k1.\0abc", 10, 10, &out, &err), -1);
    token_keys_free(k);
}

Test(token, expiry_is_told_apart_from_forgery)
{
    struct token_keys *k = keys("{\"k1\":\"" SECRET_A "\"}", NULL);
    struct token_content in = content(ID, TOKEN_SCOPE_JOB, 5000), out;
    struct error err;
    auto_free char *token = seal(k, &in);
    cr_assert_eq(open_at(k, token, 4999, &out, &err), 0);
    cr_assert_eq(open_at(k, token, 5000, &out, &err), -1);
    cr_assert_eq(err.code, ERR_GONE);
    cr_assert_str_eq(out.callback_id, ID, "what is genuine is handed out");
    token_keys_free(k);
}

Test(token, all_configured_keys_open_and_one_seals)
{
    static const char both[] = "{\"old\":\"" SECRET_A "\",\"new\":\"" SECRET_B "\"}";
    struct token_keys *before = keys("{\"old\":\"" SECRET_A "\"}", "old");
    struct token_keys *during = keys(both, "new");
    struct token_keys *after = keys("{\"new\":\"" SECRET_B "\"}", NULL);
    struct token_keys *swapped = keys("{\"old\":\"" SECRET_B "\"}", NULL);
    struct token_content in = content(ID, TOKEN_SCOPE_JOB, 5000), out;
    struct error err;
    auto_free char *old = seal(before, &in);
    auto_free char *new = seal(during, &in);
    cr_assert_eq(strncmp(new, "v1.new.", 7), 0);
    cr_assert_eq(open_at(during, old, 10, &out, &err), 0);
    cr_assert_eq(open_at(during, new, 10, &out, &err), 0);
    cr_assert_eq(open_at(after, new, 10, &out, &err), 0);
    cr_assert_eq(open_at(after, old, 10, &out, &err), -1, "its key is gone");
    cr_assert_eq(err.code, ERR_DENIED);
    cr_assert_eq(open_at(swapped, old, 10, &out, &err), -1, "the same name, another secret");
    cr_assert_eq(err.code, ERR_DENIED);
    token_keys_free(before);
    token_keys_free(during);
    token_keys_free(after);
    token_keys_free(swapped);
}

Test(token, content_out_of_range_is_not_sealed)
{
    struct token_keys *k = keys("{\"k1\":\"" SECRET_A "\"}", NULL);
    struct token_content cases[] = {
        content("", TOKEN_SCOPE_JOB, 1),         content("=", TOKEN_SCOPE_JOB, 1),
        content("ab===", TOKEN_SCOPE_JOB, 1),    content("a=b", TOKEN_SCOPE_JOB, 1),
        content("a b", TOKEN_SCOPE_JOB, 1),      content("a-b_", TOKEN_SCOPE_JOB, 1),
        content("QQ==", (enum token_scope)3, 1), content("QQ==", TOKEN_SCOPE_JOB, -1),
        content("QQ==", TOKEN_SCOPE_JOB, 1),
    };
    memset(cases[8].callback_id, 'x', sizeof(cases[8].callback_id)); /* no NUL: too long */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_buf struct buf b = BUF_INIT(TOKEN_MAX);
        struct error err;
        cr_assert_eq(token_seal(k, &cases[i], &b, &err), -1, "case %zu", i);
        cr_assert_eq(err.code, ERR_INVALID);
        cr_assert_eq(b.len, 0);
    }
    struct token_content fine = content("QQ==", TOKEN_SCOPE_JOB, 1);
    auto_buf struct buf small = BUF_INIT(20);
    struct error err;
    cr_assert_eq(token_seal(k, &fine, &small, &err), -1);
    cr_assert_eq(err.code, ERR_TOO_LARGE);
    token_keys_free(k);
}

Test(token, bad_key_configurations_are_refused_without_showing_a_secret)
{
    static const struct {
        const char *json, *kid;
    } cases[] = {
        { "", NULL },
        { "[]", NULL },
        { "null", NULL },
        { "{}", NULL },
        { "{\"k1\":\"" SECRET_A "\"", NULL },
        { "{\"k1\":\"too short\"}", NULL },
        { "{\"k1\":5}", NULL },
        { "{\"k1\":{\"x\":\"" SECRET_A "\"}}", NULL },
        { "{\"\":\"" SECRET_A "\"}", NULL },
        { "{\"k.1\":\"" SECRET_A "\"}", NULL },
        { "{\"k1234567890123456789012345678901234567890\":\"" SECRET_A "\"}", NULL },
        { "{\"k1\":\"" SECRET_A "\",\"k2\":\"" SECRET_B "\"}", NULL },
        { "{\"k1\":\"" SECRET_A "\"}", "k2" },
        { "{\"k1\":\"" SECRET_A "\"}", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err;
        cr_assert_null(token_keys_new(cases[i].json, cases[i].kid, &err), "case %zu", i);
        cr_assert_eq(err.code, ERR_INVALID, "case %zu: %s", i, err.msg);
        cr_assert_null(strstr(err.msg, "aaaa"), "case %zu: %s", i, err.msg);
        cr_assert_null(strstr(err.msg, "too short"), "case %zu: %s", i, err.msg);
    }
    auto_buf struct buf many = BUF_INIT(4096);
    for (int i = 0; i < 17; i++)
        buf_printf(&many, "%s\"k%d\":\"" SECRET_A "\"", i ? "," : "{", i);
    buf_add_str(&many, "}");
    struct error err;
    cr_assert_null(token_keys_new(buf_str(&many), "k1", &err));
    token_keys_free(NULL);
}

Test(token, public_ids_are_stable_short_and_safe_in_a_path)
{
    char a[TOKEN_PUBLIC_ID], again[TOKEN_PUBLIC_ID], b[TOKEN_PUBLIC_ID];
    token_public_id(ID, a);
    token_public_id(ID, again);
    token_public_id("QQ==", b);
    cr_assert_str_eq(a, again);
    cr_assert_str_neq(a, b);
    cr_assert_eq(strlen(a), 24);
    cr_assert_eq(strspn(a, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"), 24);
}

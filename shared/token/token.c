#include "shared/token/token.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/digest.h"
#include "shared/base/encode.h"
#include "shared/base/json.h"

#define VERSION_PREFIX "v1."
#define KEYS_MAX       16
#define KID_MAX        32
#define SECRET_MAX     1024
#define KEY_LEN        32
#define NONCE_LEN      12
#define TAG_LEN        16
/* Scope, expiry (big endian), callback id. */
#define PLAIN_HEAD 9
#define PLAIN_MAX  (PLAIN_HEAD + TOKEN_CALLBACK_ID)
#define JSON_MAX   (KEYS_MAX * (SECRET_MAX + KID_MAX + 16))

struct key {
    char kid[KID_MAX + 1];
    uint8_t seal[KEY_LEN];
    uint8_t nonce[KEY_LEN]; /* a key of its own for HMAC */
};

struct token_keys {
    struct key keys[KEYS_MAX];
    size_t count;
    size_t sealer; /* KEYS_MAX: none */
};

/* Looked up by its name once: that costs more than to open a token. */
static const EVP_CIPHER *cipher;

static void fetch_cipher(void)
{
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
}

/* NULL where libcrypto has none. */
static const EVP_CIPHER *get_cipher(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fetch_cipher);
    return cipher;
}

static const char kid_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
static const char id_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool valid_kid(const char *kid)
{
    size_t len = strlen(kid);
    return len > 0 && len <= KID_MAX && strspn(kid, kid_chars) == len;
}

/* Lambda's own pattern for a CallbackId: [A-Za-z0-9+/]+={0,2}, 1 to 1024 characters. */
static bool valid_callback_id(const char *id, size_t len)
{
    size_t body = strspn(id, id_chars);
    size_t tail = strspn(id + body, "=");
    return body > 0 && tail <= 2 && body + tail == len && len <= TOKEN_CALLBACK_ID;
}

/* RFC 5869. `info` keeps the two keys that come from one secret apart. */
static int derive(const char *secret, size_t len, const char *info, uint8_t out[KEY_LEN],
                  struct error *err)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret, len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info,
                                          strlen(info)),
        OSSL_PARAM_construct_end(),
    };
    int ok = ctx && EVP_KDF_derive(ctx, out, KEY_LEN, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok ? 0 : error_set(err, ERR_INTERNAL, 0, "libcrypto has no HKDF-SHA256");
}

static int add_key(struct token_keys *k, const char *kid, struct json_object *value,
                   struct error *err)
{
    if (!valid_kid(kid))
        return error_set(err, ERR_INVALID, 0, "a key's name must be 1 to %d of A-Z a-z 0-9 _ and -",
                         KID_MAX);
    if (k->count == KEYS_MAX)
        return error_set(err, ERR_INVALID, 0, "at most %d keys", KEYS_MAX);
    size_t len = 0;
    const char *secret = "";
    if (json_object_is_type(value, json_type_string)) {
        len = (size_t)json_object_get_string_len(value);
        secret = json_object_get_string(value);
    }
    if (len < TOKEN_SECRET_MIN || len > SECRET_MAX)
        return error_set(err, ERR_INVALID, 0, "key %s: must be a string of %d to %d characters",
                         kid, TOKEN_SECRET_MIN, SECRET_MAX);
    struct key *key = &k->keys[k->count];
    memcpy(key->kid, kid, strlen(kid));
    if (derive(secret, len, "callback token v1 seal", key->seal, err) < 0 ||
        derive(secret, len, "callback token v1 nonce", key->nonce, err) < 0)
        return -1;
    k->count++;
    return 0;
}

static int choose_sealer(struct token_keys *k, const char *kid, struct error *err)
{
    if (!kid && k->count != 1)
        return error_set(err, ERR_INVALID, 0, "several keys: name the one that seals");
    for (k->sealer = 0; kid && k->sealer < k->count; k->sealer++)
        if (strcmp(k->keys[k->sealer].kid, kid) == 0)
            return 0;
    return kid ? error_set(err, ERR_INVALID, 0, "the key that is to seal is not among the keys")
               : 0;
}

static void wipe_json(struct json_object *o)
{
    if (!json_object_is_type(o, json_type_object))
        return;
    json_object_object_foreach(o, kid, value)
    {
        (void)kid;
        if (json_object_is_type(value, json_type_string))
            mem_wipe((void *)(uintptr_t)json_object_get_string(value),
                     (size_t)json_object_get_string_len(value));
    }
}

static int add_keys(struct token_keys *k, struct json_object *o, struct error *err)
{
    if (!json_object_is_type(o, json_type_object))
        return error_set(err, ERR_INVALID, 0, "must be a JSON object");
    json_object_object_foreach(o, name, value)
    {
        if (add_key(k, name, value, err) < 0)
            return -1;
    }
    return 0;
}

static struct token_keys *read_keys(const char *json, struct error *err)
{
    auto_json struct json_object *o = NULL;
    size_t len = strlen(json);
    struct error parse;
    if (len > JSON_MAX || json_parse(json, len, 2, &o, &parse) < 0) {
        error_set(err, ERR_INVALID, 0,
                  "token keys: must be a JSON object {\"kid\": \"secret\", ...}");
        return NULL;
    }
    struct token_keys *k = mem_alloc(sizeof(*k));
    int rc = add_keys(k, o, err);
    wipe_json(o);
    k->sealer = KEYS_MAX;
    if (rc == 0 && k->count == 0)
        rc = error_set(err, ERR_INVALID, 0, "no keys");
    if (rc == 0)
        return k;
    error_wrap(err, "token keys");
    token_keys_free(k);
    return NULL;
}

struct token_keys *token_keys_opener(const char *json, struct error *err)
{
    return read_keys(json, err);
}

struct token_keys *token_keys_new(const char *json, const char *kid, struct error *err)
{
    struct token_keys *k = read_keys(json, err);
    if (!k || choose_sealer(k, kid, err) == 0)
        return k;
    error_wrap(err, "token keys");
    token_keys_free(k);
    return NULL;
}

void token_keys_free(struct token_keys *k)
{
    if (!k)
        return;
    mem_wipe(k, sizeof(*k));
    free(k);
}

void token_content_wipe(struct token_content *c)
{
    mem_wipe(c, sizeof(*c));
}

static void make_nonce(const struct key *key, const uint8_t *plain, size_t len,
                       uint8_t nonce[NONCE_LEN])
{
    uint8_t mac[DIGEST_SHA256];
    digest_hmac_sha256(key->nonce, sizeof(key->nonce), plain, len, mac);
    memcpy(nonce, mac, NONCE_LEN);
}

static size_t pack(const struct token_content *c, uint8_t plain[PLAIN_MAX])
{
    uint64_t expires = (uint64_t)c->expires_s;
    size_t len = strlen(c->callback_id);
    plain[0] = (uint8_t)c->scope;
    for (int i = 0; i < 8; i++)
        plain[1 + i] = (uint8_t)(expires >> (56 - 8 * i));
    memcpy(plain + PLAIN_HEAD, c->callback_id, len);
    return PLAIN_HEAD + len;
}

static bool unpack(const uint8_t *plain, size_t len, struct token_content *c)
{
    uint64_t expires = 0;
    for (int i = 0; i < 8; i++)
        expires = expires << 8 | plain[1 + i];
    memset(c, 0, sizeof(*c));
    memcpy(c->callback_id, plain + PLAIN_HEAD, len - PLAIN_HEAD);
    c->expires_s = (int64_t)expires;
    c->scope = plain[0] == TOKEN_SCOPE_JOB ? TOKEN_SCOPE_JOB : TOKEN_SCOPE_LAUNCHER;
    return (plain[0] == TOKEN_SCOPE_JOB || plain[0] == TOKEN_SCOPE_LAUNCHER) && c->expires_s >= 0 &&
           valid_callback_id(c->callback_id, len - PLAIN_HEAD);
}

/* out = nonce | ciphertext | tag; `plain` of `len` bytes; associated data is `head`. */
static bool encrypt(const struct key *key, const char *head, size_t head_len, const uint8_t *plain,
                    size_t len, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;
    make_nonce(key, plain, len, out);
    bool ok = ctx && get_cipher() && EVP_EncryptInit_ex(ctx, cipher, NULL, key->seal, out) == 1 &&
              EVP_EncryptUpdate(ctx, NULL, &n, (const uint8_t *)head, (int)head_len) == 1 &&
              EVP_EncryptUpdate(ctx, out + NONCE_LEN, &n, plain, (int)len) == 1 && n == (int)len &&
              EVP_EncryptFinal_ex(ctx, out + NONCE_LEN + len, &n) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, out + NONCE_LEN + len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

/* `sealed` is nonce | ciphertext of `len` bytes | tag. */
static bool decrypt(const struct key *key, const char *head, size_t head_len, const uint8_t *sealed,
                    size_t len, uint8_t *plain)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t tag[TAG_LEN], nonce[NONCE_LEN];
    int n = 0;
    memcpy(tag, sealed + NONCE_LEN + len, TAG_LEN);
    bool ok = ctx && get_cipher() &&
              EVP_DecryptInit_ex(ctx, cipher, NULL, key->seal, sealed) == 1 &&
              EVP_DecryptUpdate(ctx, NULL, &n, (const uint8_t *)head, (int)head_len) == 1 &&
              EVP_DecryptUpdate(ctx, plain, &n, sealed + NONCE_LEN, (int)len) == 1 &&
              n == (int)len && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) == 1 &&
              EVP_DecryptFinal_ex(ctx, plain + len, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!ok)
        return false;
    make_nonce(key, plain, len, nonce); /* one content has one token */
    return digest_equal(nonce, sealed, NONCE_LEN);
}

int token_seal(const struct token_keys *k, const struct token_content *c, struct buf *out,
               struct error *err)
{
    size_t id_len = strnlen(c->callback_id, sizeof(c->callback_id));
    if (id_len > TOKEN_CALLBACK_ID || !valid_callback_id(c->callback_id, id_len))
        return error_set(err, ERR_INVALID, 0, "the callback id is not 1 to %d bytes of base64",
                         TOKEN_CALLBACK_ID);
    if ((c->scope != TOKEN_SCOPE_JOB && c->scope != TOKEN_SCOPE_LAUNCHER) || c->expires_s < 0)
        return error_set(err, ERR_INVALID, 0, "the token's scope or expiry is out of range");
    if (k->sealer == KEYS_MAX)
        return error_set(err, ERR_INVALID, 0, "these keys only open tokens");
    const struct key *key = &k->keys[k->sealer];
    uint8_t plain[PLAIN_MAX], sealed[NONCE_LEN + PLAIN_MAX + TAG_LEN];
    char head[sizeof(VERSION_PREFIX) + KID_MAX];
    size_t len = pack(c, plain);
    size_t head_len = strlen(VERSION_PREFIX) + strlen(key->kid);
    memcpy(head, VERSION_PREFIX, strlen(VERSION_PREFIX));
    memcpy(head + strlen(VERSION_PREFIX), key->kid, strlen(key->kid));
    bool ok = encrypt(key, head, head_len, plain, len, sealed);
    mem_wipe(plain, sizeof(plain));
    if (!ok)
        return error_set(err, ERR_INTERNAL, 0, "libcrypto cannot seal with AES-256-GCM");
    buf_add(out, head, head_len);
    buf_add_char(out, '.');
    encode_base64url(out, sealed, NONCE_LEN + len + TAG_LEN);
    return buf_overflowed(out) ? error_set(err, ERR_TOO_LARGE, 0, "the token does not fit") : 0;
}

static int denied(struct error *err, const char *why)
{
    error_set(err, ERR_DENIED, 0, "%s", why);
    error_set_type(err, "invalid_token");
    return -1;
}

static const struct key *find_key(const struct token_keys *k, const char *kid, size_t len)
{
    for (size_t i = 0; i < k->count; i++)
        if (strlen(k->keys[i].kid) == len && memcmp(k->keys[i].kid, kid, len) == 0)
            return &k->keys[i];
    return NULL;
}

int token_open(const struct token_keys *k, const char *token, size_t len, int64_t now_s,
               struct token_content *out, struct error *err)
{
    const size_t prefix = strlen(VERSION_PREFIX);
    memset(out, 0, sizeof(*out));
    if (len > TOKEN_MAX || len <= prefix || memcmp(token, VERSION_PREFIX, prefix) != 0)
        return denied(err, "the token is malformed");
    const char *dot = memchr(token + prefix, '.', len - prefix);
    if (!dot)
        return denied(err, "the token is malformed");
    size_t head_len = (size_t)(dot - token), sealed_len = 0;
    const struct key *key = find_key(k, token + prefix, head_len - prefix);
    if (!key)
        return denied(err, "the token is of an unknown key");
    auto_free uint8_t *sealed = decode_base64url(dot + 1, len - head_len - 1, &sealed_len);
    if (!sealed || sealed_len <= NONCE_LEN + PLAIN_HEAD + TAG_LEN ||
        sealed_len > NONCE_LEN + PLAIN_MAX + TAG_LEN)
        return denied(err, "the token is malformed");
    uint8_t plain[PLAIN_MAX];
    size_t plain_len = sealed_len - NONCE_LEN - TAG_LEN;
    bool ok =
        decrypt(key, token, head_len, sealed, plain_len, plain) && unpack(plain, plain_len, out);
    mem_wipe(plain, sizeof(plain));
    if (!ok) {
        token_content_wipe(out);
        return denied(err, "the token is forged");
    }
    if (now_s >= out->expires_s)
        return error_set(err, ERR_GONE, 0, "the token has expired");
    return 0;
}

void token_public_id(const char *callback_id, char out[TOKEN_PUBLIC_ID])
{
    static const char label[] = "callback public id v1";
    uint8_t hash[DIGEST_SHA256];
    auto_buf struct buf b = BUF_INIT(64);
    /* Keyed by a label, so that it is no plain hash of the id that others may use as well. */
    digest_hmac_sha256(label, strlen(label), callback_id, strlen(callback_id), hash);
    encode_base64url(&b, hash, 18);
    memcpy(out, buf_str(&b), TOKEN_PUBLIC_ID - 1);
    out[TOKEN_PUBLIC_ID - 1] = '\0';
}

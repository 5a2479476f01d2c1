#include "shared/base/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "shared/base/encode.h"

#define HMAC_BLOCK 64

/* libcrypto looks an algorithm up by its name each time, which costs more than a short digest:
 * once is enough. */
static const EVP_MD *sha256;

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!sha256)
        abort(); /* a libcrypto without SHA-256 */
}

static const EVP_MD *get_sha256(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fetch_sha256);
    return sha256;
}

void digest_sha256(const void *p, size_t len, uint8_t out[DIGEST_SHA256])
{
    unsigned n = DIGEST_SHA256;
    if (!EVP_Digest(p, len, out, &n, get_sha256(), NULL))
        abort(); /* only out of memory */
}

void digest_sha256_hex(const void *p, size_t len, char out[DIGEST_SHA256_HEX])
{
    uint8_t raw[DIGEST_SHA256];
    digest_sha256(p, len, raw);
    encode_hex(out, raw, sizeof(raw));
}

/* RFC 2104. libcrypto's HMAC() sets up more than it computes where the text is short. */
void digest_hmac_sha256(const void *key, size_t key_len, const void *p, size_t len,
                        uint8_t out[DIGEST_SHA256])
{
    uint8_t block[HMAC_BLOCK] = { 0 };
    uint8_t inner[HMAC_BLOCK], outer[HMAC_BLOCK];
    unsigned n = DIGEST_SHA256;
    if (key_len > sizeof(block))
        digest_sha256(key, key_len, block);
    else if (key_len)
        memcpy(block, key, key_len);
    for (size_t i = 0; i < sizeof(block); i++) {
        inner[i] = block[i] ^ 0x36;
        outer[i] = block[i] ^ 0x5c;
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, get_sha256(), NULL) &&
              EVP_DigestUpdate(ctx, inner, sizeof(inner)) && EVP_DigestUpdate(ctx, p, len) &&
              EVP_DigestFinal_ex(ctx, out, &n) && EVP_DigestInit_ex(ctx, get_sha256(), NULL) &&
              EVP_DigestUpdate(ctx, outer, sizeof(outer)) && EVP_DigestUpdate(ctx, out, n) &&
              EVP_DigestFinal_ex(ctx, out, &n);
    EVP_MD_CTX_free(ctx);
    OPENSSL_cleanse(block, sizeof(block));
    OPENSSL_cleanse(inner, sizeof(inner));
    OPENSSL_cleanse(outer, sizeof(outer));
    if (!ok)
        abort(); /* only out of memory */
}

void digest_md5_hex(const void *p, size_t len, char out[DIGEST_MD5_HEX])
{
    uint8_t raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!EVP_Digest(p, len, raw, &n, EVP_md5(), NULL) || n != 16)
        abort();
    encode_hex(out, raw, 16);
}

bool digest_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void random_bytes(void *out, size_t len)
{
    uint8_t *p = out;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort(); /* no kernel that we run on lacks it */
        p += n;
        len -= (size_t)n;
    }
}

uint64_t random_u64(void)
{
    uint64_t v;
    random_bytes(&v, sizeof(v));
    return v;
}

void random_uuid(char out[RANDOM_UUID])
{
    uint8_t b[16];
    random_bytes(b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    char hex[33];
    encode_hex(hex, b, sizeof(b));
    snprintf(out, RANDOM_UUID, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
             hex + 20);
}

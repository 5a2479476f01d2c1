#include "shared/base/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "shared/base/encode.h"

void digest_sha256(const void *p, size_t len, uint8_t out[DIGEST_SHA256])
{
    SHA256(p, len, out);
}

void digest_sha256_hex(const void *p, size_t len, char out[DIGEST_SHA256_HEX])
{
    uint8_t raw[DIGEST_SHA256];
    digest_sha256(p, len, raw);
    encode_hex(out, raw, sizeof(raw));
}

void digest_hmac_sha256(const void *key, size_t key_len, const void *p, size_t len,
                        uint8_t out[DIGEST_SHA256])
{
    unsigned n = DIGEST_SHA256;
    if (!HMAC(EVP_sha256(), key, (int)key_len, p, len, out, &n))
        abort(); /* only out of memory, or a libcrypto without SHA-256 */
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

/* digest.h - hashes and random bytes, by OpenSSL's libcrypto and the kernel. Any thread. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SHA256     32
#define DIGEST_SHA256_HEX 65 /* with the NUL */
#define DIGEST_MD5_HEX    33

void digest_sha256(const void *p, size_t len, uint8_t out[DIGEST_SHA256]);
void digest_sha256_hex(const void *p, size_t len, char out[DIGEST_SHA256_HEX]);
void digest_hmac_sha256(const void *key, size_t key_len, const void *p, size_t len,
                        uint8_t out[DIGEST_SHA256]);
/* For identifiers only, where a wire format asks for it. */
void digest_md5_hex(const void *p, size_t len, char out[DIGEST_MD5_HEX]);
/* Compares in constant time. */
bool digest_equal(const void *a, const void *b, size_t len);

/* From getrandom(2). */
void random_bytes(void *out, size_t len);
uint64_t random_u64(void);
/* A random UUID (RFC 9562 version 4) into out[37]. */
#define RANDOM_UUID 37
void random_uuid(char out[RANDOM_UUID]);

#endif

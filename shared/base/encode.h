/* encode.h - base64, base64url, hexadecimal and percent encoding. Any thread.
 * RFC 4648 sections 4 and 5, RFC 3986 section 2.1. */
#ifndef BASE_ENCODE_H
#define BASE_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"

/* Appends; base64 with padding, base64url without. */
void encode_base64(struct buf *out, const void *p, size_t len);
void encode_base64url(struct buf *out, const void *p, size_t len);
/* Strict: no white space, canonical bits, padding only where it belongs (base64: required,
 * base64url: refused). New memory of *out_len bytes (NUL-terminated), or NULL. */
uint8_t *decode_base64(const char *s, size_t len, size_t *out_len) CHECKED;
uint8_t *decode_base64url(const char *s, size_t len, size_t *out_len) CHECKED;
/* Lower case; `out` takes 2 * len + 1 bytes. */
void encode_hex(char *out, const void *p, size_t len);
/* Each byte that is not A-Z a-z 0-9 - . _ ~ becomes %XX, upper case. */
void encode_percent(struct buf *out, const char *s, size_t len);
/* New string, or NULL for a broken % sequence or an encoded NUL. '+' stays '+'. */
char *decode_percent(const char *s, size_t len) CHECKED;

#endif

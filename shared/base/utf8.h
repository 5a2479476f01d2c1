/* utf8.h - UTF-8 as RFC 3629 has it: shortest forms only, no surrogates, up to U+10FFFF. Any
 * thread. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Length (1 to 4) of the valid sequence that `s` begins with, or 0 where it does not begin with
 * one. */
size_t utf8_sequence(const char *s, size_t len);
/* All of it is valid UTF-8; NUL bytes count as valid. */
bool utf8_valid(const char *s, size_t len);
/* The largest n <= max such that the first n bytes of `s` do not end inside a character. */
size_t utf8_cut(const char *s, size_t len, size_t max);

#endif

/* api_cache.h - what Lambda need not be asked twice: it allows 30 reads of an execution and 15 of a
 * history a second in an account. Answers about closed workflows never change again, others are
 * kept for a moment. Bounded in number and in bytes; the least recently used goes first. Texts are
 * wiped when they go: callback ids are among them. One thread at a time. */
#ifndef LAUNCHER_API_CACHE_H
#define LAUNCHER_API_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "shared/base/mem.h"

struct api_cache;

struct api_cache *api_cache_new(size_t max_entries, size_t max_bytes) CHECKED;
void api_cache_free(struct api_cache *c);
/* The text of `key`, borrowed until the next call, or NULL; `now_ms` is of the monotonic clock. */
const char *api_cache_get(struct api_cache *c, const char *key, int64_t now_ms);
/* Copies both; a text that takes more than an eighth of max_bytes is not kept. From `expires_ms` on
 * it is not there any more; 0: no such time. */
void api_cache_put(struct api_cache *c, const char *key, const char *text, int64_t expires_ms);

#endif

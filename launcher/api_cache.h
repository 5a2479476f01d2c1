/* api_cache.h - answers about closed workflows, which never change again: Lambda allows 30 reads a
 * second in an account. Bounded in number and in bytes; the least recently used goes first. One
 * thread at a time. */
#ifndef LAUNCHER_API_CACHE_H
#define LAUNCHER_API_CACHE_H

#include <stddef.h>

#include "shared/base/mem.h"

struct api_cache;

struct api_cache *api_cache_new(size_t max_entries, size_t max_bytes) CHECKED;
void api_cache_free(struct api_cache *c);
/* The text of `key`, borrowed until the next api_cache_put, or NULL. */
const char *api_cache_get(struct api_cache *c, const char *key);
/* Copies both; a text that takes more than an eighth of max_bytes is not kept. */
void api_cache_put(struct api_cache *c, const char *key, const char *text);

#endif

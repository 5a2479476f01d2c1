/* backoff.h - how long to wait before the next try: exponential with full jitter.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ Any thread. */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

/* A random time from 0 to min(cap_ms, base_ms * 2^(failures - 1)); `failures` counts from 1. */
int64_t backoff_full_jitter_ms(int64_t base_ms, int64_t cap_ms, unsigned failures);

#endif

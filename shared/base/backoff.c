#include "shared/base/backoff.h"

#include "shared/base/digest.h"

int64_t backoff_full_jitter_ms(int64_t base_ms, int64_t cap_ms, unsigned failures)
{
    int64_t most = base_ms;
    for (unsigned i = 1; i < failures && most < cap_ms; i++)
        most *= 2;
    if (most > cap_ms)
        most = cap_ms;
    return most > 0 ? (int64_t)(random_u64() % (uint64_t)(most + 1)) : 0;
}

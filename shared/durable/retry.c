#include "shared/durable/retry.h"

#include <math.h>
#include <string.h>

/* The defaults that AWS's SDKs share (durable-protocol 6.1). */
#define DEFAULT_ATTEMPTS 6
#define DEFAULT_FIRST_S  5
#define DEFAULT_MAX_S    60
#define DEFAULT_RATE     2.0

static bool type_is_listed(const struct durable_retry *r, const char *type)
{
    if (!r->only_types)
        return true;
    for (const char *const *t = r->only_types; *t; t++)
        if (strcmp(*t, type ? type : "") == 0)
            return true;
    return false;
}

static double jittered(double delay, enum durable_jitter jitter, uint64_t random)
{
    double share = (double)(random >> 11) / 9007199254740992.0; /* 0 <= share < 1, 53 bits */
    switch (jitter) {
    case DURABLE_JITTER_HALF:
        return delay / 2 + share * delay / 2;
    case DURABLE_JITTER_NONE:
        return delay;
    case DURABLE_JITTER_FULL:
        break;
    }
    return share * delay;
}

int64_t retry_delay_limit(double delay)
{
    if (!(delay > 1)) /* NaN too */
        return 1;
    return delay < RETRY_DELAY_MAX_S ? (int64_t)ceil(delay) : RETRY_DELAY_MAX_S;
}

int64_t retry_delay_s(const struct durable_retry *r, unsigned attempt, uint64_t random)
{
    double first = (double)r->first_delay_s;
    double n = (double)attempt - 1;
    double delay = r->increment_s ? first + (double)r->increment_s * n : first * pow(r->rate, n);
    return retry_delay_limit(jittered(fmin(delay, (double)r->max_delay_s), r->jitter, random));
}

struct durable_decision retry_decide(const struct durable_retry *r, const struct durable_error *err,
                                     unsigned attempt, uint64_t random)
{
    struct durable_decision d = { 0 };
    if (r->decide) {
        d = r->decide(err, attempt, r->arg);
        d.delay_s = retry_delay_limit((double)d.delay_s);
        return d;
    }
    unsigned max_attempts = r->max_attempts ? r->max_attempts : DEFAULT_ATTEMPTS;
    if (attempt >= max_attempts || !type_is_listed(r, err->type))
        return d;
    struct durable_retry full = *r;
    full.first_delay_s = r->first_delay_s ? r->first_delay_s : DEFAULT_FIRST_S;
    full.max_delay_s = r->max_delay_s ? r->max_delay_s : DEFAULT_MAX_S;
    full.rate = r->rate != 0 ? r->rate : DEFAULT_RATE;
    d.retry = true;
    d.delay_s = retry_delay_s(&full, attempt, random);
    return d;
}

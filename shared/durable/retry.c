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

static int64_t within_limits(double delay)
{
    if (!(delay > 1)) /* NaN too */
        return 1;
    return delay < RETRY_DELAY_MAX_S ? (int64_t)ceil(delay) : RETRY_DELAY_MAX_S;
}

struct durable_decision retry_decide(const struct durable_retry *r, const struct durable_error *err,
                                     unsigned attempt, uint64_t random)
{
    struct durable_decision d = { 0 };
    if (r->decide) {
        d = r->decide(err, attempt, r->arg);
        d.delay_s = within_limits((double)d.delay_s);
        return d;
    }
    unsigned max_attempts = r->max_attempts ? r->max_attempts : DEFAULT_ATTEMPTS;
    if (attempt >= max_attempts || !type_is_listed(r, err->type))
        return d;
    double first = (double)(r->first_delay_s ? r->first_delay_s : DEFAULT_FIRST_S);
    double most = (double)(r->max_delay_s ? r->max_delay_s : DEFAULT_MAX_S);
    double rate = r->rate != 0 ? r->rate : DEFAULT_RATE;
    double delay = fmin(first * pow(rate, (double)attempt - 1), most);
    d.retry = true;
    d.delay_s = within_limits(jittered(delay, r->jitter, random));
    return d;
}

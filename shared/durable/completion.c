#include "shared/durable/completion.h"

#include <math.h>

static bool whole(const struct durable_limit *l, double min)
{
    return !l->set || (l->value >= min && l->value <= 1e9 && floor(l->value) == l->value);
}

const char *completion_check(const struct durable_completion *c,
                             const struct durable_limit *max_concurrency, size_t branches)
{
    const struct durable_limit *percentage = &c->tolerated_failure_percentage;
    if (!whole(max_concurrency, 1))
        return "max_concurrency must be a whole number of at least 1 (or not set: no limit)";
    if (!whole(&c->min_successful, 1))
        return "min_successful must be a whole number of at least 1";
    if (c->min_successful.set && branches && c->min_successful.value > (double)branches)
        return "min_successful is more than there are branches";
    if (!whole(&c->tolerated_failure_count, 0))
        return "tolerated_failure_count must be a whole number of at least 0";
    if (percentage->set && !(percentage->value >= 0 && percentage->value <= 100))
        return "tolerated_failure_percentage must be from 0 to 100";
    if (c->should_complete &&
        (c->min_successful.set || c->tolerated_failure_count.set || percentage->set))
        return "should_complete does not go together with limits";
    return NULL;
}

static bool too_many_failures(const struct durable_completion *c, const struct tally *t)
{
    const struct durable_limit *count = &c->tolerated_failure_count;
    const struct durable_limit *percentage = &c->tolerated_failure_percentage;
    if (!count->set && !percentage->set)
        return !c->min_successful.set && !c->should_complete && t->failed > 0;
    if (count->set && (double)t->failed > count->value)
        return true;
    return percentage->set && (double)t->failed * 100 > percentage->value * (double)t->branches;
}

bool completion_reached(const struct durable_completion *c, const struct tally *t,
                        enum durable_reason *reason)
{
    if (too_many_failures(c, t))
        *reason = DURABLE_FAILURE_TOLERANCE_EXCEEDED;
    else if (t->succeeded + t->failed == t->branches)
        *reason = DURABLE_ALL_COMPLETED;
    else if (c->min_successful.set && (double)t->succeeded >= c->min_successful.value)
        *reason = DURABLE_MIN_SUCCESSFUL_REACHED;
    else
        return false;
    return true;
}

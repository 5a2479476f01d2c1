/* dice.h - numbers that follow from a seed alone (splitmix64), so that a storm can be run again.
 * One thread at a time each. */
#ifndef CHAOS_DICE_H
#define CHAOS_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

static inline uint64_t dice_next(struct dice *d)
{
    uint64_t z = (d->state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/* 0 to n - 1; n is at least 1. */
static inline unsigned dice_below(struct dice *d, unsigned n)
{
    return (unsigned)(dice_next(d) % n);
}

/* True `percent` times of a hundred. */
static inline bool dice_hit(struct dice *d, unsigned percent)
{
    return dice_below(d, 100) < percent;
}

#endif

/* clock.h - time, through a struct that a test can fill. Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

struct clock {
    /* Milliseconds since 1970-01-01T00:00:00Z. */
    int64_t (*wall_ms)(void *arg);
    /* Milliseconds of a clock that never jumps; only differences mean something. */
    int64_t (*mono_ms)(void *arg);
    /* Sleeps for `ms`. */
    void (*sleep_ms)(void *arg, int64_t ms);
    void *arg;
};

/* The machine's clock; static. */
const struct clock *clock_system(void);

int64_t clock_wall_ms(const struct clock *c);
int64_t clock_mono_ms(const struct clock *c);
void clock_sleep_ms(const struct clock *c, int64_t ms);
/* The machine's monotonic clock in microseconds, for measuring. */
int64_t clock_mono_us(void);

/* "2026-01-23T17:57:58.103Z" (RFC 3339, UTC) into out[CLOCK_TEXT]. */
#define CLOCK_TEXT 32
void clock_format(int64_t wall_ms, char *out);
/* Reads RFC 3339 with any offset and fraction; 0, or -1 where it is not one. */
int clock_parse(const char *text, int64_t *wall_ms);

#endif

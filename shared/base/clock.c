#include "shared/base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t system_wall(void *arg)
{
    (void)arg;
    return read_ms(CLOCK_REALTIME);
}

static int64_t system_mono(void *arg)
{
    (void)arg;
    return read_ms(CLOCK_MONOTONIC);
}

static void system_sleep(void *arg, int64_t ms)
{
    (void)arg;
    if (ms <= 0)
        return;
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000 };
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
        ;
}

const struct clock *clock_system(void)
{
    static const struct clock c = { system_wall, system_mono, system_sleep, NULL };
    return &c;
}

int64_t clock_wall_ms(const struct clock *c)
{
    return c->wall_ms(c->arg);
}

int64_t clock_mono_ms(const struct clock *c)
{
    return c->mono_ms(c->arg);
}

void clock_sleep_ms(const struct clock *c, int64_t ms)
{
    c->sleep_ms(c->arg, ms);
}

void clock_format(int64_t wall_ms, char *out)
{
    int64_t seconds = wall_ms / 1000;
    int64_t ms = wall_ms % 1000;
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    time_t t = (time_t)seconds;
    struct tm tm = { 0 };
    gmtime_r(&t, &tm);
    /* Four digits whatever the C library makes of a year before 1000. */
    size_t n = (size_t)snprintf(out, CLOCK_TEXT, "%04ld", 1900L + tm.tm_year);
    n += strftime(out + n, CLOCK_TEXT - n, "-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, CLOCK_TEXT - n, ".%03dZ", (int)ms);
}

static int digits(const char **p, int count, int *out)
{
    *out = 0;
    for (int i = 0; i < count; i++, (*p)++) {
        if (!isdigit((unsigned char)**p))
            return -1;
        *out = *out * 10 + (**p - '0');
    }
    return 0;
}

static int expect(const char **p, char c)
{
    return *(*p)++ == c ? 0 : -1;
}

/* "Z" or "+hh:mm" to the end of the text. */
static int parse_offset(const char *p, int *minutes)
{
    *minutes = 0;
    if (*p == 'Z' || *p == 'z')
        return p[1] ? -1 : 0;
    int sign = *p == '-' ? -1 : *p == '+' ? 1 : 0;
    int h, m;
    p++;
    if (!sign || digits(&p, 2, &h) < 0 || expect(&p, ':') < 0 || digits(&p, 2, &m) < 0 || *p ||
        h > 23 || m > 59)
        return -1;
    *minutes = sign * (h * 60 + m);
    return 0;
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (leap && month == 2);
}

int clock_parse(const char *text, int64_t *wall_ms)
{
    const char *p = text;
    struct tm tm = { 0 };
    if (digits(&p, 4, &tm.tm_year) < 0 || expect(&p, '-') < 0 || digits(&p, 2, &tm.tm_mon) < 0 ||
        expect(&p, '-') < 0 || digits(&p, 2, &tm.tm_mday) < 0)
        return -1;
    if (*p != 'T' && *p != 't' && *p != ' ')
        return -1;
    p++;
    if (digits(&p, 2, &tm.tm_hour) < 0 || expect(&p, ':') < 0 || digits(&p, 2, &tm.tm_min) < 0 ||
        expect(&p, ':') < 0 || digits(&p, 2, &tm.tm_sec) < 0)
        return -1;
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
        tm.tm_mday > days_in_month(tm.tm_year, tm.tm_mon) || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return -1;
    int64_t ms = 0;
    if (*p == '.') {
        int64_t scale = 100;
        p++;
        if (!isdigit((unsigned char)*p))
            return -1;
        for (; isdigit((unsigned char)*p); p++, scale /= 10)
            ms += (*p - '0') * scale;
    }
    int offset;
    if (parse_offset(p, &offset) < 0)
        return -1;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *wall_ms = ((int64_t)timegm(&tm) - (int64_t)offset * 60) * 1000 + ms;
    return 0;
}

int64_t clock_mono_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

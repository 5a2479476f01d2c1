/* weather.h - what goes wrong in a storm, and when: a list that follows from the seed. */
#ifndef CHAOS_WEATHER_H
#define CHAOS_WEATHER_H

#include <stdio.h>

#include "tests/chaos/cast.h"
#include "tests/chaos/dice.h"

enum gust_kind {
    GUST_KILL,   /* a part dies ... */
    GUST_REVIVE, /* ... and comes again */
    GUST_REDIS,  /* Redis dies and comes again at once */
    GUST_FAULT,  /* an order to local-aws (docs/faults.md) */
    GUST_NET,    /* bad weather on a road, for a time */
    GUST_FULL,   /* a disk is full ... */
    GUST_ROOM,   /* ... and has room again */
    GUST_KINDS
};

struct gust {
    int64_t at_ms; /* since the storm's start */
    enum gust_kind kind;
    enum cast_part part;
    enum cast_disk disk;
    enum cast_road road;
    struct relay_weather net;
    char *fault;        /* JSON */
    bool strikes_tasks; /* the fault ends a task that did nothing wrong */
};

struct weather {
    struct gust *gusts; /* by time */
    size_t count;
};

void weather_draw(struct weather *w, struct dice *d, int64_t duration_ms);
void weather_release(struct weather *w);
/* How much of what, a few lines on standard output. */
void weather_print(const struct weather *w);
/* Does what `g` says; a fault that strikes tasks is also written to `orders`, one a line. */
int weather_blow(const struct gust *g, struct cast *c, FILE *orders, struct error *err) CHECKED;

#endif

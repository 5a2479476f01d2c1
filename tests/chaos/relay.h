/* relay.h - a bad network on one road (from containers to receivers, from a receiver to Redis), on
 * a thread of its own: what connects to its port is passed on to one of the targets that are up.
 *
 * Weather comes over the whole road for a time: over the connections that it finds and those that
 * are made meanwhile. Beside it, some connections of a fickle road suffer whatever the weather:
 * they are late, or cut off in the middle of a request or of an answer. */
#ifndef CHAOS_RELAY_H
#define CHAOS_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

struct relay;

enum relay_weather_kind {
    RELAY_CLEAR,
    RELAY_SLOW,   /* each piece takes delay_ms and up to jitter_ms more */
    RELAY_NARROW, /* bytes_per_s for each direction of each connection */
    RELAY_STILL,  /* nothing passes; what was sent comes when it is over */
    RELAY_LOST,   /* half open: the other end of each connection is gone, and it is never told */
    RELAY_RESET,  /* every second piece of an answer breaks off in its middle, with a reset */
    RELAY_WEATHERS
};

struct relay_weather {
    enum relay_weather_kind kind;
    int64_t for_ms;
    unsigned delay_ms, jitter_ms, bytes_per_s;
};

struct relay_options {
    int port; /* on 127.0.0.1 */
    const int *targets;
    size_t target_count;
    uint64_t seed; /* with the order in which things come it decides who suffers, and how */
    bool fickle;
};

struct relay *relay_start(const struct relay_options *o, struct error *err) CHECKED;
/* From now on; what was before is over. Any thread. */
void relay_weather(struct relay *r, const struct relay_weather *w);
/* It is clear from now on, and no further connection suffers. Connections that were lost stay so.
 * Any thread. */
void relay_calm(struct relay *r);
/* From now on a success that the job `key` reports is answered as accepted by the relay itself and
 * goes nowhere: a report that is lost although it was answered. Returns soon; any thread. */
void relay_swallow(struct relay *r, const char *url_part);
/* How many connections it has cut off or made half open. Any thread. */
unsigned relay_broken(struct relay *r);
void relay_stop(struct relay *r); /* takes NULL */

#endif

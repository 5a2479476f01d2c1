/* relay.h - a bad network between containers and receivers, on a thread of its own: what connects
 * to its port is passed on to one of the receivers that are up, at times late, and at times cut off
 * in the middle of a request or of an answer. */
#ifndef CHAOS_RELAY_H
#define CHAOS_RELAY_H

#include <stdint.h>

#include "shared/base/error.h"

struct relay;

/* Listens on 127.0.0.1:port and passes on to the target ports. Which connections suffer follows
 * from the seed and the order in which they come. */
struct relay *relay_start(int port, const int *targets, size_t target_count, uint64_t seed,
                          struct error *err) CHECKED;
/* No further connection suffers. */
void relay_calm(struct relay *r);
/* From now on a success that the job `key` reports is answered as accepted by the relay itself and
 * goes nowhere: a report that is lost although it was answered. Returns soon; any thread. */
void relay_swallow(struct relay *r, const char *url_part);
/* How many were. */
unsigned relay_swallowed(struct relay *r);
void relay_stop(struct relay *r); /* takes NULL */

#endif

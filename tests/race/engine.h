/* engine.h - for drivers of the receiver: a Lambda in this process that takes the first report of
 * each callback "job N", and on the way throttles, breaks, loses answers and closes callbacks by
 * itself, as N and the number of the call have it. Any thread. */
#ifndef RACE_ENGINE_H
#define RACE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

struct engine;

/* For `jobs` callbacks. Ends the program where it cannot be had. */
struct engine *engine_start(size_t jobs);
void engine_stop(struct engine *e);
/* "http://127.0.0.1:PORT", lives as long as the engine. */
const char *engine_url(const struct engine *e);
/* The callback id of job `n`. */
#define ENGINE_ID 32
void engine_id(size_t n, char id[ENGINE_ID]);

/* What became of job `n`: after the calls have ended. */
struct engine_record {
    unsigned calls;
    bool taken;
    bool closed; /* by itself, before it took anything */
    bool other;  /* a later call said something else than the first */
    bool failure;
};
struct engine_record engine_record(struct engine *e, size_t n);

#endif

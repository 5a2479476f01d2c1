/* stop.h - the times by which things must be over once a stop was asked for. Pure; one thread.
 *
 *     SIGTERM           kill_ms              report_ms     deadline_ms
 *        |  the command's  |  the report's       |  margin  |  here the container is killed
 *        +-----------------+---------------------+----------+
 * The report has a third of the time, at most three seconds. */
#ifndef CONTAINER_STOP_H
#define CONTAINER_STOP_H

#include <stdbool.h>
#include <stdint.h>

#define STOP_NEVER INT64_MAX

/* Monotonic times, STOP_NEVER where there is no such. */
struct stop {
    int signal;     /* what asked for it; 0: nothing has */
    bool term_sent; /* by us: the workflow no longer waits */
    bool killed;    /* the command was sent SIGKILL */
    int64_t kill_ms;
    int64_t report_ms;
    int64_t deadline_ms;
};

void stop_init(struct stop *s);
/* `signal` came. A second one changes nothing: the time runs from the first. */
void stop_asked(struct stop *s, int signal, int64_t now_ms, int64_t timeout_ms);
/* The workflow no longer waits: the command has as long as it would have when stopped. */
void stop_gone(struct stop *s, int64_t now_ms, int64_t timeout_ms);

#endif

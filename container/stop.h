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

/* Why the command was sent SIGTERM by callback-run itself. */
enum stop_cause {
    STOP_NO_CAUSE,
    STOP_GONE,    /* the workflow no longer waits */
    STOP_TIMEOUT, /* --timeout */
    STOP_OUTPUT,  /* --max-output */
};

/* Monotonic times, STOP_NEVER where there is no such. */
struct stop {
    int signal;            /* what asked for it; 0: nothing has */
    enum stop_cause cause; /* the first of them */
    bool killed;           /* the command was sent SIGKILL */
    int64_t kill_ms;
    int64_t report_ms;
    int64_t deadline_ms;
};

void stop_init(struct stop *s);
/* `signal` came. A second one changes nothing: the time runs from the first. */
void stop_asked(struct stop *s, int signal, int64_t now_ms, int64_t timeout_ms);
/* The command is to end for a reason of callback-run's: it has as long as it would have when
 * stopped. Whether SIGTERM is to be sent now: not a second time. */
bool stop_command(struct stop *s, enum stop_cause cause, int64_t now_ms, int64_t timeout_ms);

#endif

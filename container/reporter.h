/* reporter.h - the thread that talks to the receiver: heartbeats, the input, the final report.
 *
 * It has the only HTTP client, so that a receiver that is slow or away delays nothing else. Three
 * things may be due at the same time and are done one after the other: heartbeats from the start to
 * the end (also between the tries of the final report), the input at the start, and the report,
 * which ends a heartbeat in flight. The owner learns what happened through a file descriptor for
 * its event loop. Calls come from one thread, the owner's. */
#ifndef CONTAINER_REPORTER_H
#define CONTAINER_REPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "container/delivery.h"
#include "container/report.h"
#include "shared/base/error.h"
#include "shared/base/log.h"

struct reporter;

struct reporter_config {
    const char *url, *token; /* borrowed until reporter_stop, as is log */
    int64_t heartbeat_ms;    /* from one to the next; 0: none */
    bool want_input;
    int64_t input_wait_ms; /* how long the start may be held up */
    struct log *log;
};

/* The first heartbeat, then the input. */
struct reporter *reporter_start(const struct reporter_config *cfg, struct error *err) CHECKED;
/* Gives up what is in flight, joins the thread and frees it; takes NULL. */
void reporter_stop(struct reporter *r);

/* Readable when reporter_news has something new. */
int reporter_fd(const struct reporter *r);

enum input_state {
    INPUT_PENDING,
    INPUT_PRESENT,
    INPUT_ABSENT,      /* there is none for this job */
    INPUT_UNAVAILABLE, /* the receiver did not give it */
};

struct reporter_news {
    bool prepared; /* the first heartbeat was sent, `input` is no longer pending */
    bool gone;     /* the workflow no longer waits */
    enum input_state input;
    enum delivery_end end; /* DELIVERY_PENDING: no report yet, or not at its end */
    struct error why;      /* where `input` or `end` is a failure */
};

/* What is so now; empties reporter_fd. */
void reporter_news(struct reporter *r, struct reporter_news *news);
/* The input's text (for free()), once; NULL where there is none. */
char *reporter_take_input(struct reporter *r, size_t *len) CHECKED;
/* Sends a copy of `report` until its end or `deadline_ms` on the monotonic clock. Again only after
 * the end of the one before. */
void reporter_deliver(struct reporter *r, const struct report *report, int64_t deadline_ms);
/* There is less time than that: an earlier deadline for the report. */
void reporter_hurry(struct reporter *r, int64_t deadline_ms);

#endif

/* strand.h - a line of execution that suspends and resumes by itself: the handler, or a branch of a
 * batch. It knows what it waits for at the service, so that whoever runs it can tell when it may go
 * on, and when to ask (waiting.h). With the execution's lock held. */
#ifndef DURABLE_STRAND_H
#define DURABLE_STRAND_H

#include "shared/durable/journal.h"
#include "shared/durable/opid.h"

struct awaited {
    char id[OPID_WIRE];
    int64_t ask_ms; /* wall clock: when to ask the service */
    unsigned asked; /* how often it has been asked in vain */
    /* of the index in which it is */
    struct awaited *next;
    size_t place;
    size_t branch;
};

struct run;

struct strand {
    const struct strand *parent; /* that of the batch's caller; NULL for the handler's */
    bool abandoned;              /* nobody wants to know any more */
    struct run *home;            /* whose thread runs it, which has nothing else to do; NULL: it
                                    is somebody's who has */
    struct awaited *await;
    size_t count;
    size_t room;
};

void strand_release(struct strand *s);
/* Or one that it belongs to is. */
bool strand_abandoned(const struct strand *s);
/* It waits for operation `id`. `scheduled_ms` is when that is due, 0 where nobody knows. */
void strand_await(struct strand *s, const char *id, int64_t scheduled_ms, int64_t now_ms);
/* It waits for what `a` says, which is copied. */
void strand_add(struct strand *s, const struct awaited *a);
/* Something that it waits for has ended or become READY. */
bool strand_moved(const struct strand *s, const struct journal *j);
/* It runs (again). */
void strand_reset(struct strand *s);

#endif

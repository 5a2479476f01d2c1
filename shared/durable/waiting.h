/* waiting.h - the branches of a batch that wait for the service, to be found by the operation that
 * has moved and by when the service is to be asked, however many they are.
 *
 * The entries are those of the branches' strands: a strand stays as it is from waiting_add to
 * waiting_remove. With the execution's lock held. */
#ifndef DURABLE_WAITING_H
#define DURABLE_WAITING_H

#include "shared/durable/strand.h"

#define WAITING_NOBODY SIZE_MAX

/* All zero: nobody waits. */
struct waiting {
    struct awaited **bucket; /* by id, chained */
    size_t bucket_count;     /* a power of two, or 0 */
    struct awaited **heap;   /* the one to ask for first is on top */
    size_t count;
    size_t room; /* in heap */
};

void waiting_release(struct waiting *w);
/* `branch` waits for all that `s` does. */
void waiting_add(struct waiting *w, struct strand *s, size_t branch);
/* Takes back what was added. */
void waiting_remove(struct waiting *w, struct strand *s);
/* One of the branches that wait for operation `id`, or WAITING_NOBODY. */
size_t waiting_find(const struct waiting *w, const char *id);
/* `to` waits for everything that is waited for here. */
void waiting_await_all(const struct waiting *w, struct strand *to);
/* When to ask the service next; INT64_MAX: never. */
int64_t waiting_next_ask(const struct waiting *w);
/* The service has been asked: what was due is due again, later each time. */
void waiting_asked(struct waiting *w, int64_t now_ms);

#endif

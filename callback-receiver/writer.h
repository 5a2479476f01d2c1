/* writer.h - the threads that own the store.
 *
 * Operations queue up; a thread takes all that wait, runs them in one transaction (group commit)
 * and only then tells each caller. Nothing is answered before its commit.
 *
 * SQLite has one such thread. With a store that several may share there are three, each with a
 * connection of its own: while one waits for the server's disk, the others decide what comes next.
 * What begins beside another transaction is as large as it, or has 64 operations: smaller ones wait
 * and grow.
 *
 * The queue has limits, which writer_has_room tells: ask before an operation of a client is
 * submitted, refuse the client when there is none. The receiver's own operations are few and are
 * always taken. Any thread, except where it says otherwise. */
#ifndef RECEIVER_WRITER_H
#define RECEIVER_WRITER_H

#include <stdint.h>

#include "callback-receiver/metrics.h"
#include "callback-receiver/store.h"
#include "shared/base/log.h"

struct writer;

#define WRITER_STORES 3

/* Called on a writer's thread when the operation is committed (err NULL) or has not happened
 * (*err). Must not block. Operations of one batch are told in the order they were submitted. */
typedef void writer_done_fn(struct store_op *op, const struct error *err, void *arg);

struct writer_limits {
    size_t max_ops;   /* that wait; 0: 4,096 */
    size_t max_bytes; /* of payload that waits; 0: 64 MiB */
    size_t batch;     /* operations of one transaction; 0: 256 */
};

/* Takes over `count` stores (1 to WRITER_STORES) of the same callbacks: writer_stop closes them.
 * `log` is borrowed. NULL with *err where no thread can be had (the stores are the caller's then).
 */
struct writer *writer_start(struct store *const *stores, size_t count,
                            const struct writer_limits *limits, struct log *log,
                            struct error *err) CHECKED;
/* Runs what is queued, ends the thread, closes the store; takes NULL. Nobody may submit any more.
 */
void writer_stop(struct writer *w);

/* False: the queue is full. A guard, not a reservation: threads that ask at once may all pass. */
bool writer_has_room(struct writer *w);
/* `op` is the caller's again in `done`, which may free it. */
void writer_submit(struct writer *w, struct store_op *op, writer_done_fn *done, void *arg);
/* The same for `count` operations (1 to the limit of a batch) at once, which then run in one
 * transaction; args[i] goes with ops[i]. The lists themselves are copied. */
void writer_submit_all(struct writer *w, struct store_op *const *ops, void *const *args,
                       size_t count, writer_done_fn *done);
/* Submits `count` operations, which then run in one transaction of the first store, and waits for
 * its end. -1: none has happened. Not on a writer's thread. */
int writer_call(struct writer *w, struct store_op *const *ops, size_t count,
                struct error *err) CHECKED;
/* Times each transaction into `h` (borrowed); before the first operation. */
void writer_observe(struct writer *w, struct metrics_histogram *h);
/* Operations that wait, and transactions that were committed. */
void writer_counts(struct writer *w, size_t *queued, uint64_t *commits, uint64_t *ops);

#endif

/* store.h - where callbacks are kept.
 *
 * A store carries out operations, each of them one whole transition: what it reads, decides
 * (callback.h) and writes happens at once or not at all. store_run takes a batch, commits it and
 * only then returns: what it answers is durable. An implementation is a struct store_driver;
 * store_open chooses it by the URL's scheme.
 *
 * One thread at a time for a store (writer.h owns it). */
#ifndef RECEIVER_STORE_H
#define RECEIVER_STORE_H

#include "callback-receiver/callback.h"
#include "shared/base/error.h"

enum store_action {
    /* By the public id, on behalf of a token's holder: `who` and `now_ms` are read. */
    STORE_REGISTER,  /* registration, payload: the input */
    STORE_REPORT,    /* report, payload: what is delivered */
    STORE_HEARTBEAT, /* payload: the progress, or none */
    STORE_CLOSE,     /* text: the outcome */
    STORE_READ,      /* want: payloads to hand out */
    /* By the receiver itself. */
    STORE_CLAIM,     /* up to `limit` due deliveries begin, each for lease_ms; items with bodies */
    STORE_FINISH,    /* attempt */
    STORE_REDELIVER, /* by id */
    STORE_JUDGE,  /* up to `limit` silent jobs are reported; items without bodies. Then those with
                     a heartbeat to Lambda until ahead_ms from now: items with at_ms */
    STORE_UNBEAT, /* by id: no more of those */
    STORE_GRACE,  /* nobody is judged before its heartbeat period has passed from now on */
    STORE_START,  /* GRACE, and what was in flight when the last receiver died is due again */
    STORE_LIST,   /* up to `limit` items behind `after`: later states first, each oldest first */
    STORE_COUNT,  /* counts of all states, oldest_ms */
    STORE_PROBE,  /* writes, so that one knows whether it can */
    STORE_PURGE   /* forgets up to `limit` callbacks whose life is over; more */
};

enum store_payload {
    STORE_INPUT,
    STORE_BODY, /* of the report, as it is delivered */
    STORE_PROGRESS,
    STORE_PAYLOADS
};

/* A callback is kept for longer than any of its tokens can live (one that was never seen here may
 * last a day longer than those that were), so that no report finds it forgotten. Dead ones are also
 * kept for so long after their end, so that somebody sees them. A store may be an hour late. */
#define STORE_KEEP_S      (2 * 86400)
#define STORE_KEEP_DEAD_S (14 * 86400)

#define STORE_BEATS 1000 /* heartbeats that one JUDGE hands out */

struct store_text {
    char *text; /* NULL: none */
    size_t len;
};

struct store_item {
    struct callback record;
    struct store_text body;
    int64_t at_ms; /* JUDGE: when its heartbeat is due; 0: none, it was silent */
};

/* Where a list goes on. */
struct store_cursor {
    unsigned state; /* 0: at its beginning */
    int64_t created_ms;
    char id[TOKEN_PUBLIC_ID];
};

struct store_op {
    enum store_action action;
    int64_t now_ms;
    char id[TOKEN_PUBLIC_ID];
    struct callback_holder who;
    struct callback_registration registration;
    struct callback_report report;
    struct callback_attempt attempt;
    struct store_text payload;
    const char *text;
    unsigned want;   /* bits 1 << enum store_payload */
    unsigned states; /* bits 1 << enum callback_state */
    size_t limit;
    struct store_cursor after;
    int64_t lease_ms;
    int64_t ahead_ms;

    /* The answer. */
    enum callback_verdict verdict;
    struct store_text out[STORE_PAYLOADS];
    struct store_item *items;
    size_t count;
    int64_t next_ms; /* CLAIM: when the next delivery is due; 0: none waits. JUDGE, of a store that
                        several receivers share: the same */
    int64_t counts[CALLBACK_STATES];
    bool more;                /* PURGE: it went to the limit, others may be over as well */
    struct store_cursor last; /* LIST: where this page ends; state 0: it is the last one */
    int64_t oldest_ms; /* COUNT: when the oldest report that is not delivered came; 0: none waits */
    struct callback record; /* as it is now; where its state is ABSENT, nothing else of it counts */
};

/* Empties an operation that may hold anything: as good as zeroing it, but `record`, which is most
 * of it, is left for the store to fill. */
void store_op_init(struct store_op *op);

/* Frees what the operation owns (payload, out, items) and wipes callback ids. What `who`, `text`,
 * `registration` and `attempt` point at stays the caller's. */
void store_op_release(struct store_op *op);
/* Behind `c` in the list of `state`. */
void store_cursor_at(struct store_cursor *at, const struct callback *c, unsigned state);
/* Empties the answer, for another try. */
void store_op_clear(struct store_op *op);

struct store;

struct store_driver {
    int (*run)(struct store *s, struct store_op *const *ops, size_t count, struct error *err);
    void (*close)(struct store *s);
};

struct store {
    const struct store_driver *driver;
};

/* "sqlite:FILE", "redis://..." or "rediss://..." (redis_url.h). NULL with *err: ERR_INVALID for a
 * URL that this build cannot serve, ERR_CONFLICT where another process has it open or where it was
 * written by a newer version, ERR_DENIED, ERR_NET, ERR_IO. */
struct store *store_open(const char *url, struct error *err) CHECKED;
/* May several processes have it open at once? */
bool store_shared(const char *url);
/* 0: all are done and durable. -1: none has happened, and their answers are empty. */
int store_run(struct store *s, struct store_op *const *ops, size_t count,
              struct error *err) CHECKED;
/* Takes NULL. */
void store_close(struct store *s);

/* store_sqlite.c, store_redis.c */
struct store *store_sqlite_open(const char *file, struct error *err) CHECKED;
struct store *store_redis_open(const char *url, struct error *err) CHECKED;

#endif

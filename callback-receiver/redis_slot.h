/* redis_slot.h - the callbacks that one batch of operations deals with, read from Redis and changed
 * in memory; redis_commit.h writes them back. One thread at a time. */
#ifndef RECEIVER_REDIS_SLOT_H
#define RECEIVER_REDIS_SLOT_H

#include "callback-receiver/redis_conn.h"
#include "callback-receiver/store.h"

enum redis_change {
    REDIS_KEEP,
    REDIS_PUT,
    REDIS_DROP
};

struct redis_text {
    const char *text; /* NULL: none */
    size_t len;
};

/* Sorted sets that a callback is in while its time there is not 0. */
enum redis_index {
    REDIS_JUDGE,
    REDIS_EXPIRES,
    REDIS_BEAT,
    REDIS_REPORTED,
    REDIS_INDEXES
};

/* What becomes of its place in the queue. */
enum redis_queue {
    REDIS_STAYS,
    REDIS_UNQUEUED,
    REDIS_LEASED, /* due again at due_ms, should nobody settle it */
    REDIS_DUE,    /* now */
    REDIS_LATER   /* at due_ms */
};

/* Of a callback as it was read. */
struct redis_before {
    enum callback_state state;
    bool in_flight;
    int64_t due_ms;
    int64_t index_ms[REDIS_INDEXES];
};

struct redis_slot {
    char id[TOKEN_PUBLIC_ID];
    char key[sizeof(REDIS_PREFIX "r:") + TOKEN_PUBLIC_ID];
    size_t key_len;
    unsigned want; /* bits 1 << enum store_payload to read */
    bool loaded;
    char version[24]; /* "0" where there is none */
    char entry[48];   /* of the stream, or "" */
    struct redis_before before;
    bool dirty;
    bool requeue; /* due now, whatever stood for it before */
    int64_t now_ms;
    int64_t index_ms[REDIS_INDEXES];        /* redis_slot_plan: as they are to be */
    enum redis_queue queue;                 /* the same */
    struct redis_text have[STORE_PAYLOADS]; /* as read, or as put; borrowed */
    enum redis_change change[STORE_PAYLOADS];
    redisReply *reply; /* what `have` points into */
    struct buf judged; /* the report of a silent job */
    struct callback c; /* where its state is ABSENT, nothing else of it counts */
};

struct redis_slots {
    struct redis_slot **all;
    size_t count;
    size_t room;
    size_t *table; /* open addressing: index + 1 */
    size_t table_size;
};

void redis_slots_release(struct redis_slots *s);
/* The slot of `id`; made where there is none. */
struct redis_slot *redis_slots_of(struct redis_slots *s, const char *id);
/* Reads those that are not yet read. -1 as redis_conn_collect. */
int redis_slots_load(struct redis_slots *s, struct redis_conn *r, bool *again,
                     struct error *err) CHECKED;
/* The payload is written with the slot. Borrowed until then. */
void redis_slot_put(struct redis_slot *slot, enum store_payload kind, const char *text, size_t len);
void redis_slot_drop(struct redis_slot *slot, enum store_payload kind);

/* Says what a slot that is dirty changes beside its own hash: index_ms, queue. */
void redis_slot_plan(struct redis_slot *slot);

/* The hash's field for a payload. Static. */
const char *redis_payload_field(enum store_payload kind);

#endif

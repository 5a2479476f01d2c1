/* The store on Redis, which several receivers may share.
 *
 * Transactions are optimistic: a batch reads its callbacks in one round trip, callback.c decides in
 * memory, and one script writes all of them back, provided that none has changed since (each has a
 * version that counts its writes); else the batch starts over. So there is one state machine, the
 * one that SQLite has too, and no second one in Lua that would have to agree with it. Two receivers
 * seldom have the same callback at the same time, so starting over is rare. What a batch costs is
 * two round trips and, with appendfsync always, one fsync, however many operations it has.
 *
 * What is due waits in a stream, which hands each entry to one receiver (redis_scripts.h has the
 * layout). A claim is first held for HOLD_MS, until its commit leases it. Where a receiver is not
 * seen for DEAD_MS, the leader makes what it had claimed due again; where that fails too, the lease
 * ends. The leader is who holds a key that expires; its commits name its fence and fail without it.
 *
 * Durable is what Redis makes durable: appendonly yes and appendfsync always, and an answer is on
 * the disk; less, and it is as safe as that. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callback-receiver/redis_commit.h"
#include "callback-receiver/store.h"
#include "shared/base/digest.h"
#include "shared/base/mem.h"

#define TRIES        50   /* of a batch that others cross */
#define RECONNECTS   2    /* of one batch */
#define HOLD_MS      5000 /* longer than a batch takes */
#define LEADER_MS    5000 /* liveness.c asks every 500 ms */
#define DEAD_MS      "5000"
#define UNSETTLED_MS (3600 * 1000) /* until one that cannot be forgotten yet is looked at again */
#define LEAD_LIMIT   "1000"        /* callbacks to look at in one go */
#define LOST_MAX     1024

/* An entry of the stream that this receiver has taken. */
struct claimed {
    size_t op;
    char id[TOKEN_PUBLIC_ID];
    char entry[48];
};

struct claims {
    struct claimed *all;
    size_t count;
};

struct store_redis {
    struct store base;
    struct redis_conn *conn;
    char name[RANDOM_UUID];
    struct claims lost; /* taken by batches that failed: no call has been made for them */
};

/* One try of a batch. */
struct attempt {
    struct store_redis *s;
    struct store_op *const *ops;
    size_t count;
    redisReply **replies; /* the first answer to each operation; NULL for those on one callback */
    struct redis_slots slots;
    struct claims *claims; /* of this try and earlier ones */
    bool *taken;           /* the claims of this operation are there already */
    bool reconnected;      /* an earlier try may have been committed */
    const char *fence;
    bool ask_next;
    int64_t next_ms;
    int64_t now_ms;
    bool again;
    struct error *err;
};

static bool on_one(enum store_action action)
{
    return action == STORE_REGISTER || action == STORE_REPORT || action == STORE_HEARTBEAT ||
           action == STORE_CLOSE || action == STORE_READ || action == STORE_FINISH ||
           action == STORE_REDELIVER || action == STORE_UNBEAT;
}

static void claims_add(struct claims *c, size_t op, const char *id, const char *entry)
{
    c->all = mem_resize(c->all, c->count + 1, sizeof(*c->all));
    struct claimed *one = &c->all[c->count++];
    one->op = op;
    snprintf(one->id, sizeof(one->id), "%s", id);
    snprintf(one->entry, sizeof(one->entry), "%s", entry);
}

/* ---- first round trip: what each operation asks ---------------------------------------------- */

static size_t send_words(struct redis_conn *r, const char *const *words, size_t count)
{
    const char *argv[8];
    size_t lens[8];
    for (size_t i = 0; i < count; i++) {
        argv[i] = words[i];
        lens[i] = SIZE_MAX;
    }
    redis_conn_send(r, (int)count, argv, lens);
    return 1;
}

static size_t send_script(struct redis_conn *r, enum redis_script which, const char *const *args,
                          size_t count)
{
    const char *argv[12] = { [3] = REDIS_PREFIX };
    size_t lens[12];
    lens[3] = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        argv[4 + i] = args[i];
        lens[4 + i] = SIZE_MAX;
    }
    redis_conn_send_script(r, which, (int)count + 4, argv, lens);
    return 1;
}

static bool lists(const struct store_op *op, unsigned state)
{
    return op->states & 1U << state && op->limit > 0 &&
           (op->after.state == 0 || state <= op->after.state);
}

/* Two answers: those of the cursor's very ms (run_list leaves out the ones before it), the rest. */
static size_t send_list(struct redis_conn *r, const struct store_op *op, unsigned state,
                        const char *key)
{
    bool here = op->after.state == state;
    auto_free char *at = mem_printf("%lld", here ? (long long)op->after.created_ms : -1LL);
    auto_free char *behind = mem_printf("(%s", at);
    auto_free char *limit = mem_printf("%zu", op->limit);
    return send_words(r, (const char *[]){ "ZRANGEBYSCORE", key, at, at }, 4) +
           send_words(
               r, (const char *[]){ "ZRANGEBYSCORE", key, behind, "+inf", "LIMIT", "0", limit }, 7);
}

/* Some commands for each state; answers are in their order. */
static size_t send_states(struct redis_conn *r, const struct store_op *op)
{
    size_t n = 0;
    for (unsigned s = CALLBACK_STATES - 1; s > CALLBACK_ABSENT; s--) {
        char key[sizeof(REDIS_PREFIX "state:") + 8];
        snprintf(key, sizeof(key), REDIS_PREFIX "state:%u", s);
        if (op->action == STORE_COUNT)
            n += send_words(r, (const char *[]){ "ZCARD", key }, 2);
        else if (lists(op, s))
            n += send_list(r, op, s, key);
    }
    static const char reported[] = REDIS_PREFIX "reported";
    if (op->action == STORE_COUNT)
        n += send_words(r, (const char *[]){ "ZRANGE", reported, "0", "0", "WITHSCORES" }, 5);
    return n;
}

/* Returns how many answers there will be. */
static size_t send_op(struct attempt *t, size_t i)
{
    const struct store_op *op = t->ops[i];
    struct redis_conn *r = t->s->conn;
    auto_free char *now = mem_printf("%lld", (long long)op->now_ms);
    auto_free char *limit = mem_printf("%zu", op->limit);
    auto_free char *hold = mem_printf("%lld", (long long)op->now_ms + HOLD_MS);
    auto_free char *lease = mem_printf("%d", LEADER_MS);
    auto_free char *later = mem_printf("%lld", (long long)op->now_ms + UNSETTLED_MS);
    auto_free char *ahead = mem_printf("%lld", (long long)op->now_ms + op->ahead_ms);
    const char *mode = op->action == STORE_START   ? "start"
                       : op->action == STORE_GRACE ? "grace"
                                                   : "judge";
    switch (op->action) {
    case STORE_CLAIM:
        return t->taken[i] ? 0
                           : send_script(r, REDIS_CLAIM,
                                         (const char *[]){ t->s->name, now, limit, hold }, 4);
    case STORE_START:
    case STORE_GRACE:
    case STORE_JUDGE:
        return send_script(
            r, REDIS_LEAD,
            (const char *[]){ t->s->name, now, mode, lease, DEAD_MS, LEAD_LIMIT, ahead }, 7);
    case STORE_PURGE:
        return op->limit ? send_script(r, REDIS_PURGE, (const char *[]){ now, limit, later }, 3)
                         : 0;
    case STORE_PROBE:
        return send_words(r, (const char *[]){ "SET", REDIS_PREFIX "probe", now }, 3);
    case STORE_LIST:
    case STORE_COUNT:
        return send_states(r, op);
    default:
        return 0;
    }
}

static const char *text_at(const redisReply *list, size_t i)
{
    return i < list->elements && list->element[i]->str ? list->element[i]->str : "";
}

static void each_slot(struct attempt *t, const redisReply *list)
{
    for (size_t i = 0; list && i < list->elements; i++)
        if (list->element[i]->str)
            (void)redis_slots_of(&t->slots, list->element[i]->str);
}

/* The callbacks that an answer names must be read too. */
static int take_reply(struct attempt *t, size_t i, redisReply **replies)
{
    struct store_op *op = t->ops[i];
    const redisReply *reply = replies[0];
    if (op->action == STORE_CLAIM) {
        op->next_ms = strtoll(text_at(reply, 0), NULL, 10);
        for (size_t k = 1; k + 1 < reply->elements; k += 2)
            claims_add(t->claims, i, text_at(reply, k), text_at(reply, k + 1));
        t->taken[i] = reply->elements > 1;
    } else if (op->action == STORE_JUDGE || op->action == STORE_START) {
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 6)
            return error_set(t->err, ERR_PROTOCOL, 0, "Redis: no answer to a script");
        each_slot(t, reply->element[3]);
        each_slot(t, reply->element[4]);
        each_slot(t, reply->element[5]);
        for (size_t k = 0; k < t->s->lost.count; k++)
            (void)redis_slots_of(&t->slots, t->s->lost.all[k].id);
        op->next_ms = strtoll(text_at(reply, 2), NULL, 10);
        if (op->action == STORE_JUDGE && text_at(reply, 0)[0])
            t->fence = reply->element[0]->str;
    } else if (op->action == STORE_PURGE) {
        op->more = reply->integer == (long long)op->limit;
    } else if (op->action == STORE_COUNT) {
        for (unsigned s = CALLBACK_STATES - 1; s > CALLBACK_ABSENT; s--)
            op->counts[s] = replies[CALLBACK_STATES - 1 - s]->integer;
        op->oldest_ms = strtoll(text_at(replies[CALLBACK_STATES - 1], 1), NULL, 10);
    }
    return 0;
}

/* ---- operations on one callback -------------------------------------------------------------- */

static void run_read(struct store_op *op, struct redis_slot *slot)
{
    bool changed = false;
    op->verdict = callback_read(&slot->c, &op->who, op->now_ms, &changed);
    slot->dirty |= changed;
    for (size_t i = 0; op->verdict == CALLBACK_DONE && i < STORE_PAYLOADS; i++)
        if (op->want & 1U << i && slot->have[i].text) {
            op->out[i].len = slot->have[i].len;
            op->out[i].text = mem_dup_len(slot->have[i].text, slot->have[i].len);
        }
}

/* As run_* of store_sqlite.c. */
static void run_one(struct store_op *op, struct redis_slot *slot)
{
    struct callback *c = &slot->c;
    const struct store_text *payload = &op->payload;
    switch (op->action) {
    case STORE_REGISTER:
        op->verdict = callback_register(c, &op->who, &op->registration, op->now_ms);
        if (op->verdict != CALLBACK_CREATED)
            break;
        slot->dirty = true;
        redis_slot_put(slot, STORE_INPUT, payload->text, payload->len);
        break;
    case STORE_REPORT:
        op->verdict = callback_report(c, &op->who, &op->report, op->now_ms);
        slot->dirty = true;
        if (op->verdict == CALLBACK_TAKEN)
            redis_slot_put(slot, STORE_BODY, payload->text, payload->len);
        break;
    case STORE_HEARTBEAT:
        op->verdict = callback_heartbeat(c, &op->who, op->now_ms);
        slot->dirty = true;
        if (op->verdict == CALLBACK_DONE && payload->text)
            redis_slot_put(slot, STORE_PROGRESS, payload->text, payload->len);
        break;
    case STORE_CLOSE:
        op->verdict = callback_close(c, &op->who, op->text ? op->text : "", op->now_ms);
        slot->dirty = true;
        redis_slot_drop(slot, STORE_INPUT);
        break;
    case STORE_FINISH:
        op->verdict = c->state == CALLBACK_ABSENT ? CALLBACK_NONE
                                                  : callback_finish(c, &op->attempt, op->now_ms);
        slot->dirty |= op->verdict != CALLBACK_NONE;
        break;
    case STORE_REDELIVER:
        op->verdict = callback_redeliver(c, op->now_ms);
        slot->dirty |= op->verdict == CALLBACK_DONE;
        break;
    case STORE_UNBEAT:
        op->verdict = CALLBACK_DONE;
        slot->dirty |= c->state != CALLBACK_ABSENT && callback_unbeat(c);
        break;
    default:
        run_read(op, slot);
        break;
    }
    if (c->state != CALLBACK_ABSENT)
        op->record = *c;
}

/* ---- operations on many ---------------------------------------------------------------------- */

static struct store_item *add_item(struct store_op *op, const struct redis_slot *slot)
{
    op->items = mem_resize(op->items, op->count + 1, sizeof(*op->items));
    struct store_item *item = &op->items[op->count++];
    *item = (struct store_item){ .record = slot->c };
    return item;
}

/* Begins the delivery that an entry of the stream stands for. */
static bool claim(struct attempt *t, const struct store_op *op, struct redis_slot *slot)
{
    struct callback *c = &slot->c;
    /* The answer to an earlier try was lost, but it was committed. */
    if (t->reconnected && c->state == CALLBACK_ACCEPTED && c->in_flight && c->due_ms > op->now_ms)
        return true;
    /* The queue says that it is due; the clock of the receiver that put it there may be ahead. */
    int64_t now_ms = !c->in_flight && c->due_ms > op->now_ms ? c->due_ms : op->now_ms;
    if (!callback_claim(c, now_ms, op->lease_ms))
        return false;
    slot->dirty = true;
    return true;
}

static void run_claim(struct attempt *t, size_t index)
{
    struct store_op *op = t->ops[index];
    for (size_t i = 0; i < t->claims->count; i++) {
        const struct claimed *one = &t->claims->all[i];
        if (one->op != index)
            continue;
        struct redis_slot *slot = redis_slots_of(&t->slots, one->id);
        if (strcmp(slot->entry, one->entry) != 0 || !claim(t, op, slot))
            continue;
        struct store_item *item = add_item(op, slot);
        const struct redis_text *body = &slot->have[STORE_BODY];
        if (body->text) {
            item->body.len = body->len;
            item->body.text = mem_dup_len(body->text, body->len);
        }
    }
    t->ask_next |= op->count > 0;
}

/* *left is how many more this page may look at. */
static void list_one(struct attempt *t, struct store_op *op, unsigned state, const char *id,
                     size_t *left)
{
    const struct redis_slot *slot = redis_slots_of(&t->slots, id);
    if (*left == 0)
        return;
    if (slot->c.state == state) /* it may have gone on since */
        add_item(op, slot);
    if (--*left == 0)
        store_cursor_at(&op->last, &slot->c, state);
}

static void run_list(struct attempt *t, struct store_op *op, redisReply **replies)
{
    size_t left = op->limit;
    for (unsigned s = CALLBACK_STATES - 1; s > CALLBACK_ABSENT && op->limit > 0; s--) {
        if (!lists(op, s))
            continue;
        const redisReply *same = *replies++, *rest = *replies++;
        for (size_t i = 0; i < same->elements; i++)
            if (strcmp(text_at(same, i), op->after.id) > 0)
                list_one(t, op, s, text_at(same, i), &left);
        for (size_t i = 0; i < rest->elements; i++)
            list_one(t, op, s, text_at(rest, i), &left);
    }
}

/* Dead receivers had claimed these: perhaps Lambda has heard of them. */
static void take_over(struct attempt *t, const struct store_op *op, const redisReply *ids)
{
    for (size_t i = 0; i < ids->elements; i++) {
        struct redis_slot *slot = redis_slots_of(&t->slots, text_at(ids, i));
        struct callback *c = &slot->c;
        if (c->state != CALLBACK_ACCEPTED)
            continue;
        c->unanswered |= c->in_flight;
        c->in_flight = false;
        c->due_ms = op->now_ms;
        slot->dirty = slot->requeue = true;
    }
}

/* Nobody has called for these: they are as they were. */
static void give_back_lost(struct attempt *t, const struct store_op *op)
{
    for (size_t i = 0; i < t->s->lost.count; i++) {
        const struct claimed *one = &t->s->lost.all[i];
        struct redis_slot *slot = redis_slots_of(&t->slots, one->id);
        struct callback *c = &slot->c;
        if (c->state != CALLBACK_ACCEPTED || strcmp(slot->entry, one->entry) != 0)
            continue;
        c->attempts -= c->in_flight;
        c->in_flight = false;
        c->due_ms = op->now_ms;
        slot->dirty = slot->requeue = true;
    }
}

static void judge(struct attempt *t, struct store_op *op, const redisReply *reply)
{
    int64_t grace_ms = strtoll(text_at(reply, 1), NULL, 10);
    const redisReply *ids = reply->element[4];
    for (size_t i = 0; i < ids->elements && op->count < op->limit; i++) {
        struct redis_slot *slot = redis_slots_of(&t->slots, text_at(ids, i));
        if (slot->c.state == CALLBACK_ABSENT) /* forgotten meanwhile */
            continue;
        slot->dirty |= callback_grace(&slot->c, grace_ms);
        buf_reset(&slot->judged);
        if (callback_judge(&slot->c, op->now_ms, &slot->judged) != CALLBACK_TAKEN)
            continue;
        slot->dirty = true;
        redis_slot_put(slot, STORE_BODY, slot->judged.data, slot->judged.len);
        add_item(op, slot);
    }
    ids = reply->element[5];
    for (size_t i = 0; i < ids->elements; i++) {
        struct redis_slot *slot = redis_slots_of(&t->slots, text_at(ids, i));
        int64_t at_ms;
        if (slot->c.state == CALLBACK_ABSENT ||
            !callback_beat(&slot->c, op->now_ms + op->ahead_ms, &at_ms))
            continue;
        slot->dirty = true;
        add_item(op, slot)->at_ms = at_ms;
    }
}

static void run_op(struct attempt *t, size_t i, redisReply **replies)
{
    struct store_op *op = t->ops[i];
    if (op->now_ms > t->now_ms)
        t->now_ms = op->now_ms;
    if (on_one(op->action)) {
        struct redis_slot *slot = redis_slots_of(&t->slots, op->id);
        run_one(op, slot);
    } else if (op->action == STORE_CLAIM) {
        run_claim(t, i);
    } else if (op->action == STORE_LIST) {
        run_list(t, op, replies);
    } else if (op->action == STORE_JUDGE || op->action == STORE_START) {
        take_over(t, op, replies[0]->element[3]);
        give_back_lost(t, op);
        if (op->action == STORE_JUDGE)
            judge(t, op, replies[0]);
    }
}

/* ---- a batch --------------------------------------------------------------------------------- */

/* The first round trips: what is asked, and the callbacks that it is about. `starts` gets where
 * each operation's answers begin. */
static int read_all(struct attempt *t, size_t *starts)
{
    size_t n = 0;
    for (size_t i = 0; i < t->count; i++) {
        store_op_clear(t->ops[i]);
        starts[i] = n;
        n += send_op(t, i);
        if (on_one(t->ops[i]->action))
            redis_slots_of(&t->slots, t->ops[i]->id)->want |= t->ops[i]->want;
    }
    starts[t->count] = n;
    t->replies = mem_array(n + 1, sizeof(redisReply *));
    if (n && redis_conn_collect(t->s->conn, t->replies, n, &t->again, t->err) < 0)
        return -1;
    t->again = false;
    for (size_t i = 0; i < t->count; i++) {
        redisReply **replies = &t->replies[starts[i]];
        if (starts[i + 1] > starts[i] && take_reply(t, i, replies) < 0)
            return -1;
        for (size_t k = starts[i]; t->ops[i]->action == STORE_LIST && k < starts[i + 1]; k++)
            each_slot(t, t->replies[k]);
    }
    for (size_t i = 0; i < t->claims->count; i++)
        redis_slots_of(&t->slots, t->claims->all[i].id)->want |= 1U << STORE_BODY;
    return redis_slots_load(&t->slots, t->s->conn, &t->again, t->err);
}

/* 1: done. 0: others were faster. -1: not done; t->again tells whether a new connection may help.
 */
static int try_once(struct attempt *t)
{
    size_t *starts = mem_array(t->count + 1, sizeof(*starts));
    enum redis_written written = REDIS_CROSSED;
    int rc = read_all(t, starts);
    for (size_t i = 0; rc == 0 && i < t->count; i++)
        run_op(t, i, &t->replies[starts[i]]);
    for (size_t i = 0; i < t->slots.count; i++)
        t->slots.all[i]->now_ms = t->now_ms;
    if (rc == 0)
        rc = redis_commit(&t->slots, t->s->conn, t->fence, t->now_ms,
                          t->ask_next ? &t->next_ms : NULL, &written, &t->again, t->err);
    for (size_t i = 0; rc == 0 && t->ask_next && i < t->count; i++)
        if (t->ops[i]->action == STORE_CLAIM)
            t->ops[i]->next_ms = t->next_ms;
    for (size_t i = 0; t->replies && i < starts[t->count]; i++)
        if (t->replies[i])
            freeReplyObject(t->replies[i]);
    free(t->replies);
    free(starts);
    redis_slots_release(&t->slots);
    return rc < 0 ? -1 : written == REDIS_WRITTEN;
}

static bool has(struct store_op *const *ops, size_t count, enum store_action action)
{
    for (size_t i = 0; i < count; i++)
        if (ops[i]->action == action)
            return true;
    return false;
}

static int run_batch(struct store_redis *s, struct store_op *const *ops, size_t count,
                     struct claims *claims, bool *taken, struct error *err)
{
    int reconnects = 0;
    for (int tries = 0; tries < TRIES; tries++) {
        struct attempt t = { .s = s,
                             .ops = ops,
                             .count = count,
                             .claims = claims,
                             .taken = taken,
                             .reconnected = reconnects > 0,
                             .fence = "",
                             .err = err };
        if (redis_conn_ready(s->conn, err) < 0)
            return -1;
        int rc = try_once(&t);
        if (rc > 0)
            return 0;
        if (rc < 0 && (!t.again || reconnects++ == RECONNECTS))
            return -1;
    }
    return error_set(err, ERR_UNAVAILABLE, 0, "Redis: others write the same all the time");
}

static int redis_run(struct store *base, struct store_op *const *ops, size_t count,
                     struct error *err)
{
    struct store_redis *s = (struct store_redis *)base;
    struct claims claims = { 0 };
    bool *taken = mem_array(count, sizeof(*taken));
    int rc = run_batch(s, ops, count, &claims, taken, err);
    if (rc == 0 && (has(ops, count, STORE_JUDGE) || has(ops, count, STORE_START)))
        s->lost.count = 0;
    for (size_t i = 0; rc < 0 && i < claims.count && s->lost.count < LOST_MAX; i++)
        claims_add(&s->lost, 0, claims.all[i].id, claims.all[i].entry);
    free(claims.all);
    free(taken);
    return rc;
}

static void redis_close(struct store *base)
{
    struct store_redis *s = (struct store_redis *)base;
    struct error ignored;
    redisReply *reply = NULL;
    bool again;
    /* Others need not wait until it counts as dead. */
    if (redis_conn_ready(s->conn, &ignored) == 0) {
        (void)send_script(s->conn, REDIS_LEAVE, (const char *[]){ s->name }, 1);
        if (redis_conn_collect(s->conn, &reply, 1, &again, &ignored) == 0)
            freeReplyObject(reply);
    }
    redis_conn_free(s->conn);
    free(s->lost.all);
    free(s);
}

static const struct store_driver driver = { .run = redis_run, .close = redis_close };

struct store *store_redis_open(const char *url, struct error *err)
{
    struct store_redis *s = mem_alloc(sizeof(*s));
    s->base.driver = &driver;
    random_uuid(s->name);
    s->conn = redis_conn_new(url, err);
    if (s->conn && redis_conn_ready(s->conn, err) == 0)
        return &s->base;
    error_wrap(err, "store");
    redis_conn_free(s->conn);
    free(s);
    return NULL;
}

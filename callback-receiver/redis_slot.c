#include "callback-receiver/redis_slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callback-receiver/redis_record.h"
#include "shared/base/mem.h"

#define TABLE_FIRST 64
#define HOUR_MS     (3600 * INT64_C(1000))

static void slot_free(struct redis_slot *slot)
{
    if (slot->reply)
        freeReplyObject(slot->reply);
    buf_release(&slot->judged);
    mem_wipe(slot->c.callback_id, strlen(slot->c.callback_id));
    free(slot);
}

void redis_slots_release(struct redis_slots *s)
{
    for (size_t i = 0; i < s->count; i++)
        slot_free(s->all[i]);
    free(s->all);
    free(s->table);
    *s = (struct redis_slots){ 0 };
}

/* Ids are hashes in text: their own bytes are as good as any hash. */
static size_t *find(const struct redis_slots *s, const char *id)
{
    size_t hash = 0;
    for (size_t i = 0; i < 8 && id[i]; i++)
        hash = hash * 65 + (unsigned char)id[i];
    for (size_t at = hash % s->table_size;; at = (at + 1) % s->table_size)
        if (s->table[at] == 0 || strcmp(s->all[s->table[at] - 1]->id, id) == 0)
            return &s->table[at];
}

static void grow(struct redis_slots *s)
{
    s->table_size = s->table_size ? 4 * s->table_size : TABLE_FIRST;
    s->room = s->table_size / 2;
    s->all = mem_resize(s->all, s->room, sizeof(*s->all));
    free(s->table);
    s->table = mem_array(s->table_size, sizeof(*s->table));
    for (size_t i = 0; i < s->count; i++)
        *find(s, s->all[i]->id) = i + 1;
}

struct redis_slot *redis_slots_of(struct redis_slots *s, const char *id)
{
    if (s->count == s->room)
        grow(s);
    size_t *at = find(s, id);
    if (*at == 0) {
        struct redis_slot *slot = mem_resize(NULL, 1, sizeof(*slot));
        memset(slot, 0, offsetof(struct redis_slot, c));
        slot->c.state = CALLBACK_ABSENT;
        slot->c.callback_id[0] = '\0';
        snprintf(slot->id, sizeof(slot->id), "%s", id);
        slot->key_len =
            (size_t)snprintf(slot->key, sizeof(slot->key), REDIS_PREFIX "r:%s", slot->id);
        buf_init(&slot->judged, CALLBACK_JUDGED_MAX);
        s->all[s->count++] = slot;
        *at = s->count;
    }
    return s->all[*at - 1];
}

void redis_slot_put(struct redis_slot *slot, enum store_payload kind, const char *text, size_t len)
{
    slot->change[kind] = REDIS_PUT;
    slot->have[kind] = (struct redis_text){ len ? text : "", len };
}

void redis_slot_drop(struct redis_slot *slot, enum store_payload kind)
{
    slot->change[kind] = REDIS_DROP;
    slot->have[kind] = (struct redis_text){ 0 };
}

/* ---- reading ------------------------------------------------------------------------------- */

const char *redis_payload_field(enum store_payload kind)
{
    static const char *const fields[STORE_PAYLOADS] = { "0", "1", "2" };
    return fields[kind];
}

static void send_load(struct redis_slot *slot, struct redis_conn *r)
{
    const char *argv[5 + STORE_PAYLOADS] = { "HMGET", slot->key, "v", "r", "q" };
    size_t lens[5 + STORE_PAYLOADS] = { 5, slot->key_len, 1, 1, 1 };
    int argc = 5;
    for (unsigned i = 0; i < STORE_PAYLOADS; i++)
        if (slot->want & 1U << i) {
            lens[argc] = 1;
            argv[argc++] = redis_payload_field(i);
        }
    redis_conn_send(r, argc, argv, lens);
}

/* From when on it may be forgotten; what is dead, not before somebody had the time to see it. What
 * is accepted is in this index too, since it comes from it and goes back to it, but stays until it
 * is settled (REDIS_PURGE). At full hours, the next one: a token that ends a little later than
 * those before it moves nothing, which would cost more than all else that a report changes here. */
static int64_t expires_ms(const struct callback *c)
{
    int64_t over = (c->expires_s + STORE_KEEP_S + 1) * 1000;
    int64_t seen = c->ended_ms + STORE_KEEP_DEAD_S * INT64_C(1000) + 1;
    int64_t at = c->state == CALLBACK_DEAD && seen > over ? seen : over;
    return (at + HOUR_MS - 1) / HOUR_MS * HOUR_MS;
}

static void index_times(const struct callback *c, int64_t out[REDIS_INDEXES])
{
    out[REDIS_JUDGE] = c->judge_ms;
    out[REDIS_EXPIRES] = expires_ms(c);
    out[REDIS_BEAT] = c->beat_ms;
    out[REDIS_REPORTED] = c->state == CALLBACK_ACCEPTED ? c->reported_ms : 0;
}

static int read_loaded(struct redis_slot *slot, struct error *err)
{
    const redisReply *reply = slot->reply;
    size_t at = 3;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3)
        return error_set(err, ERR_PROTOCOL, 0, "Redis: no answer to HMGET");
    const redisReply *version = reply->element[0], *record = reply->element[1],
                     *entry = reply->element[2];
    snprintf(slot->version, sizeof(slot->version), "%s", version->str ? version->str : "0");
    bool queued = entry->str && strcmp(entry->str, REDIS_NO_ENTRY) != 0;
    snprintf(slot->entry, sizeof(slot->entry), "%s", queued ? entry->str : "");
    if (record->str && redis_record_read(record->str, record->len, slot->id, &slot->c, err) < 0)
        return -1;
    const struct callback *c = &slot->c;
    if (c->state != CALLBACK_ABSENT) {
        slot->before = (struct redis_before){ .state = c->state,
                                              .in_flight = c->in_flight,
                                              .due_ms = c->due_ms };
        index_times(c, slot->before.index_ms);
    }
    for (size_t i = 0; i < STORE_PAYLOADS; i++) {
        if (!(slot->want & 1U << i) || at >= reply->elements)
            continue;
        const redisReply *payload = reply->element[at++];
        slot->have[i] = (struct redis_text){ payload->str, payload->str ? payload->len : 0 };
    }
    slot->loaded = true;
    return 0;
}

int redis_slots_load(struct redis_slots *s, struct redis_conn *r, bool *again, struct error *err)
{
    size_t n = 0;
    redisReply **replies = mem_array(s->count, sizeof(redisReply *));
    for (size_t i = 0; i < s->count; i++) {
        if (s->all[i]->loaded)
            continue;
        send_load(s->all[i], r);
        n++;
    }
    int rc = n ? redis_conn_collect(r, replies, n, again, err) : 0;
    n = 0;
    for (size_t i = 0; rc == 0 && i < s->count; i++)
        if (!s->all[i]->loaded)
            s->all[i]->reply = replies[n++];
    *again = rc < 0 && *again;
    for (size_t i = 0; rc == 0 && i < s->count; i++)
        if (!s->all[i]->loaded)
            rc = read_loaded(s->all[i], err);
    free(replies);
    return rc;
}

/* ---- what changes ---------------------------------------------------------------------------- */

static enum redis_queue queue_change(const struct redis_slot *slot)
{
    const struct callback *c = &slot->c;
    const struct redis_before *b = &slot->before;
    bool same = c->due_ms == b->due_ms && c->in_flight == b->in_flight;
    if (slot->requeue)
        return REDIS_DUE;
    if (c->due_ms == 0)
        return b->due_ms == 0 ? REDIS_STAYS : REDIS_UNQUEUED;
    if (same)
        return REDIS_STAYS;
    if (c->in_flight)
        return REDIS_LEASED;
    return c->due_ms <= slot->now_ms ? REDIS_DUE : REDIS_LATER;
}

void redis_slot_plan(struct redis_slot *slot)
{
    index_times(&slot->c, slot->index_ms);
    slot->queue = queue_change(slot);
}

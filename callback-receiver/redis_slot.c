#include "callback-receiver/redis_slot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callback-receiver/redis_record.h"
#include "shared/base/mem.h"

#define KEY_MAX     (sizeof(REDIS_PREFIX "r:") + TOKEN_PUBLIC_ID)
#define NUMBER      24 /* bytes of a number as text */
#define HEAD_ARGS   7  /* EVALSHA, sha, 1, prefix, fence, now, n */
#define SLOT_ARGS   (13 + 2 * STORE_PAYLOADS)
#define SLOT_NUMS   9
#define TABLE_FIRST 64

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

static void send_load(struct redis_slot *slot, struct redis_conn *r)
{
    static const char *const fields[STORE_PAYLOADS] = { "0", "1", "2" };
    char key[KEY_MAX];
    const char *argv[5 + STORE_PAYLOADS] = { "HMGET", key, "v", "r", "q" };
    size_t lens[5 + STORE_PAYLOADS];
    int argc = 5;
    snprintf(key, sizeof(key), REDIS_PREFIX "r:%s", slot->id);
    for (size_t i = 0; i < STORE_PAYLOADS; i++)
        if (slot->want & 1U << i)
            argv[argc++] = fields[i];
    for (int i = 0; i < argc; i++)
        lens[i] = SIZE_MAX;
    redis_conn_send(r, argc, argv, lens);
}

/* From when on it may be forgotten; 0: never. What is accepted stays until it is settled, what is
 * dead until somebody had the time to see it. */
static int64_t expires_ms(const struct callback *c)
{
    if (c->state == CALLBACK_ABSENT || c->state == CALLBACK_ACCEPTED)
        return 0;
    int64_t over = (c->expires_s + STORE_KEEP_S + 1) * 1000;
    int64_t seen = c->ended_ms + STORE_KEEP_DEAD_S * INT64_C(1000) + 1;
    return c->state == CALLBACK_DEAD && seen > over ? seen : over;
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
    snprintf(slot->entry, sizeof(slot->entry), "%s", entry->str ? entry->str : "");
    if (record->str && redis_record_read(record->str, record->len, slot->id, &slot->c, err) < 0)
        return -1;
    const struct callback *c = &slot->c;
    if (c->state != CALLBACK_ABSENT)
        slot->before = (struct redis_before){ .state = c->state,
                                              .in_flight = c->in_flight,
                                              .due_ms = c->due_ms,
                                              .judge_ms = c->judge_ms,
                                              .beat_ms = c->beat_ms,
                                              .expires_ms = expires_ms(c) };
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

/* ---- writing ------------------------------------------------------------------------------- */

/* What the script does with its place in the queue. */
static const char *queue_change(const struct redis_slot *slot)
{
    const struct callback *c = &slot->c;
    const struct redis_before *b = &slot->before;
    bool same = c->due_ms == b->due_ms && c->in_flight == b->in_flight;
    if (slot->requeue)
        return "q";
    if (c->due_ms == 0)
        return b->due_ms == 0 ? "n" : "d";
    if (same)
        return "n";
    if (c->in_flight)
        return "l";
    return c->due_ms <= slot->now_ms ? "q" : "s";
}

struct args {
    const char **argv;
    size_t *lens;
    int argc;
    char (*numbers)[NUMBER];
    size_t numbers_used;
};

static void add(struct args *a, const char *p, size_t len)
{
    a->argv[a->argc] = p;
    a->lens[a->argc++] = len;
}

static void add_number(struct args *a, int64_t number)
{
    char *text = a->numbers[a->numbers_used++];
    snprintf(text, NUMBER, "%" PRId64, number);
    add(a, text, SIZE_MAX);
}

/* "" where nothing changes. */
static void add_index(struct args *a, int64_t before, int64_t now)
{
    if (before == now)
        add(a, "", 0);
    else
        add_number(a, now);
}

static void add_slot(struct args *a, const struct redis_slot *slot, const char *record, size_t len)
{
    static const char *const put[STORE_PAYLOADS] = { "0", "1", "2" };
    static const char *const drop[STORE_PAYLOADS] = { "-0", "-1", "-2" };
    const struct callback *c = &slot->c;
    const struct redis_before *b = &slot->before;
    int64_t changes = 0;
    add(a, record, len);
    add_number(a, b->state);
    add_number(a, c->state);
    add_number(a, c->created_ms);
    add_index(a, b->judge_ms, c->judge_ms);
    add_index(a, b->expires_ms, expires_ms(c));
    add_index(a, b->beat_ms, c->beat_ms);
    /* Also where nothing changes: receivers before format 2 did not keep this one. */
    if (c->state == CALLBACK_ACCEPTED)
        add_number(a, c->reported_ms);
    else
        add(a, b->state == CALLBACK_ACCEPTED ? "0" : "", SIZE_MAX);
    add(a, queue_change(slot), SIZE_MAX);
    add_number(a, c->due_ms);
    for (size_t i = 0; i < STORE_PAYLOADS; i++)
        changes += slot->change[i] != REDIS_KEEP;
    add_number(a, changes);
    for (size_t i = 0; i < STORE_PAYLOADS; i++) {
        if (slot->change[i] == REDIS_KEEP)
            continue;
        bool puts = slot->change[i] == REDIS_PUT;
        add(a, puts ? put[i] : drop[i], SIZE_MAX);
        add(a, puts ? slot->have[i].text : "", puts ? slot->have[i].len : 0);
    }
}

/* `lens` of the records, which are one after another in `records`. */
static void add_all(struct args *a, const struct redis_slots *s, const char *records,
                    const size_t *lens)
{
    for (size_t i = 0; i < s->count; i++) {
        if (!s->all[i]->dirty)
            continue;
        add(a, s->all[i]->id, SIZE_MAX);
        add(a, s->all[i]->version, SIZE_MAX);
    }
    for (size_t i = 0; i < s->count; i++) {
        if (!s->all[i]->dirty)
            continue;
        add_slot(a, s->all[i], records, lens[i]);
        records += lens[i];
    }
}

static size_t write_records(const struct redis_slots *s, struct buf *records, size_t *lens)
{
    size_t dirty = 0;
    for (size_t i = 0; i < s->count; i++) {
        size_t at = records->len;
        if (s->all[i]->dirty)
            redis_record_write(records, &s->all[i]->c);
        lens[i] = records->len - at;
        dirty += s->all[i]->dirty;
    }
    return dirty;
}

static int read_written(const redisReply *reply, int64_t *next, enum redis_written *written,
                        struct error *err)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        reply->element[0]->type != REDIS_REPLY_INTEGER)
        return error_set(err, ERR_PROTOCOL, 0, "Redis: no answer to a commit");
    *written = reply->element[0]->integer == 0 ? REDIS_WRITTEN : REDIS_CROSSED;
    if (next && reply->elements > 1 && reply->element[1]->str)
        *next = strtoll(reply->element[1]->str, NULL, 10);
    return 0;
}

int redis_slots_write(struct redis_slots *s, struct redis_conn *r, const char *fence,
                      int64_t now_ms, int64_t *next, enum redis_written *written, bool *again,
                      struct error *err)
{
    struct buf records = BUF_INIT((s->count + 1) * REDIS_RECORD_MAX);
    size_t *lens = mem_array(s->count + 1, sizeof(*lens));
    size_t dirty = write_records(s, &records, lens);
    struct args a = { .argv = mem_array(HEAD_ARGS + dirty * (2 + SLOT_ARGS), sizeof(char *)),
                      .lens = mem_array(HEAD_ARGS + dirty * (2 + SLOT_ARGS), sizeof(size_t)),
                      .argc = 3,
                      .numbers = mem_array(2 + dirty * SLOT_NUMS, NUMBER) };
    redisReply *reply = NULL;
    add(&a, REDIS_PREFIX, SIZE_MAX);
    add(&a, fence, SIZE_MAX);
    if (next)
        add_number(&a, now_ms);
    else
        add(&a, "", 0);
    add_number(&a, (int64_t)dirty);
    add_all(&a, s, buf_str(&records), lens);
    *again = false;
    *written = REDIS_WRITTEN;
    int rc = 0;
    if (dirty > 0) {
        redis_conn_send_script(r, REDIS_COMMIT, a.argc, a.argv, a.lens);
        rc = redis_conn_collect(r, &reply, 1, again, err);
        if (rc == 0)
            rc = read_written(reply, next, written, err);
        freeReplyObject(reply);
    }
    mem_wipe(records.data, records.len);
    buf_release(&records);
    free(lens);
    free(a.argv);
    free(a.lens);
    free(a.numbers);
    return rc;
}

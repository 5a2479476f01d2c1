#include "callback-receiver/redis_commit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callback-receiver/redis_record.h"
#include "shared/base/mem.h"

#define NUMBER      24   /* bytes of a number as text */
#define MEMBERS_MAX 1000 /* of one command: Lua unpacks so many at once, and more */

/* The words of one script call. Numbers are texts of their own, in blocks that stay where they are.
 */
struct words {
    const char **argv;
    size_t *lens;
    size_t count, room;
    char (**blocks)[NUMBER];
    size_t block_count, used; /* of the last block */
};

#define BLOCK 512

static void add(struct words *w, const char *p, size_t len)
{
    if (w->count == w->room) {
        w->room = w->room ? 2 * w->room : 1024;
        w->argv = mem_resize(w->argv, w->room, sizeof(*w->argv));
        w->lens = mem_resize(w->lens, w->room, sizeof(*w->lens));
    }
    w->argv[w->count] = p;
    w->lens[w->count++] = len;
}

static void add_str(struct words *w, const char *text)
{
    add(w, text, strlen(text));
}

/* Puts a number where a word is. */
static void set_number(struct words *w, size_t at, int64_t number)
{
    if (w->block_count == 0 || w->used == BLOCK) {
        w->blocks = mem_resize(w->blocks, w->block_count + 1, sizeof(*w->blocks));
        w->blocks[w->block_count++] = mem_array(BLOCK, NUMBER);
        w->used = 0;
    }
    char *text = w->blocks[w->block_count - 1][w->used++];
    w->lens[at] = (size_t)snprintf(text, NUMBER, "%" PRId64, number);
    w->argv[at] = text;
}

static void add_number(struct words *w, int64_t number)
{
    add(w, "", 0);
    set_number(w, w->count - 1, number);
}

static void words_release(struct words *w)
{
    for (size_t i = 0; i < w->block_count; i++)
        free(w->blocks[i]);
    free(w->blocks);
    free(w->argv);
    free(w->lens);
}

/* ---- commands on keys that many callbacks share ---------------------------------------------- */

/* Adds what the callback is in a command: nothing, its id, or its score and its id. */
typedef void member_fn(struct words *w, const struct redis_slot *slot, unsigned which);

static void add_id(struct words *w, const struct redis_slot *slot)
{
    add_str(w, slot->id);
}

static void left_state(struct words *w, const struct redis_slot *slot, unsigned state)
{
    if (slot->before.state == state && slot->c.state != state)
        add_id(w, slot);
}

static void new_state(struct words *w, const struct redis_slot *slot, unsigned state)
{
    if (slot->c.state != state || slot->before.state == state)
        return;
    add_number(w, slot->c.created_ms);
    add_id(w, slot);
}

static const char *const indexes[REDIS_INDEXES] = { [REDIS_JUDGE] = "judge",
                                                    [REDIS_EXPIRES] = "expires",
                                                    [REDIS_BEAT] = "beat",
                                                    [REDIS_REPORTED] = "reported" };

static void off_index(struct words *w, const struct redis_slot *slot, unsigned which)
{
    if (slot->before.index_ms[which] != 0 && slot->index_ms[which] == 0)
        add_id(w, slot);
}

static void on_index(struct words *w, const struct redis_slot *slot, unsigned which)
{
    /* Receivers before format 2 did not keep this one: a claim puts it there where it is missing.
     */
    bool claimed = which == REDIS_REPORTED && slot->c.in_flight && !slot->before.in_flight;
    bool same = slot->index_ms[which] == slot->before.index_ms[which] && !claimed;
    if (same || slot->index_ms[which] == 0)
        return;
    add_number(w, slot->index_ms[which]);
    add_id(w, slot);
}

static bool leaves_queue(const struct redis_slot *slot)
{
    return slot->before.state == CALLBACK_ACCEPTED &&
           (slot->queue == REDIS_UNQUEUED || slot->queue == REDIS_DUE ||
            slot->queue == REDIS_LATER);
}

static void off_due(struct words *w, const struct redis_slot *slot, unsigned unused)
{
    (void)unused;
    if (leaves_queue(slot) && slot->queue != REDIS_LATER)
        add_id(w, slot);
}

static void on_due(struct words *w, const struct redis_slot *slot, unsigned unused)
{
    (void)unused;
    if (slot->queue != REDIS_LEASED && slot->queue != REDIS_LATER)
        return;
    add_number(w, slot->c.due_ms);
    add_id(w, slot);
}

static void old_entry(struct words *w, const struct redis_slot *slot, unsigned unused)
{
    (void)unused;
    if (leaves_queue(slot) && slot->entry[0])
        add_str(w, slot->entry);
}

struct command {
    const char *name;
    const char *key; /* behind the prefix */
    const char *option;
    member_fn *member;
    unsigned which;
};

/* As many commands as its members need. Each is the number of its words, then the words. */
static void add_command(struct words *w, const struct redis_slots *s, const struct command *c)
{
    for (size_t i = 0; i < s->count;) {
        size_t at = w->count;
        add(w, "", 0);
        add_str(w, c->name);
        add_str(w, c->key);
        if (c->option)
            add_str(w, c->option);
        size_t first = w->count;
        for (; i < s->count && w->count - first < MEMBERS_MAX; i++)
            if (s->all[i]->dirty)
                c->member(w, s->all[i], c->which);
        if (w->count == first)
            w->count = at; /* nobody is in it */
        else
            set_number(w, at, (int64_t)(w->count - at - 1));
    }
}

static void add_shared(struct words *w, const struct redis_slots *s)
{
    static const char *const states[CALLBACK_STATES] = { "",        "state:1", "state:2", "state:3",
                                                         "state:4", "state:5", "state:6" };
    for (unsigned i = CALLBACK_ABSENT + 1; i < CALLBACK_STATES; i++) {
        add_command(w, s, &(struct command){ "ZREM", states[i], NULL, left_state, i });
        add_command(w, s, &(struct command){ "ZADD", states[i], NULL, new_state, i });
    }
    for (unsigned i = 0; i < REDIS_INDEXES; i++) {
        add_command(w, s, &(struct command){ "ZREM", indexes[i], NULL, off_index, i });
        add_command(w, s, &(struct command){ "ZADD", indexes[i], NULL, on_index, i });
    }
    add_command(w, s, &(struct command){ "ZREM", "due", NULL, off_due, 0 });
    add_command(w, s, &(struct command){ "ZADD", "due", NULL, on_due, 0 });
    add_command(w, s, &(struct command){ "XACK", "work", REDIS_GROUP, old_entry, 0 });
    add_command(w, s, &(struct command){ "XDEL", "work", NULL, old_entry, 0 });
}

/* ---- each callback itself -------------------------------------------------------------------- */

static void add_dropped(struct words *w, const struct redis_slot *slot)
{
    size_t at = w->count;
    add(w, "", 0);
    add_str(w, "HDEL");
    add(w, slot->key + strlen(REDIS_PREFIX), slot->key_len - strlen(REDIS_PREFIX));
    for (size_t i = 0; i < STORE_PAYLOADS; i++)
        if (slot->change[i] == REDIS_DROP)
            add_str(w, redis_payload_field((enum store_payload)i));
    if (w->count == at + 3)
        w->count = at;
    else
        set_number(w, at, (int64_t)(w->count - at - 1));
}

/* Its fields, behind the id where the queue is to have it. */
static void add_record(struct words *w, const struct redis_slot *slot, const char *record,
                       size_t len)
{
    size_t at = w->count;
    add(w, "", 0);
    add_str(w, slot->queue == REDIS_DUE ? slot->id : "");
    add_str(w, "v");
    add_number(w, strtoll(slot->version, NULL, 10) + 1);
    add_str(w, "r");
    add(w, record, len);
    if (leaves_queue(slot) && slot->queue != REDIS_DUE) {
        add_str(w, "q");
        add_str(w, REDIS_NO_ENTRY);
    }
    for (size_t i = 0; i < STORE_PAYLOADS; i++)
        if (slot->change[i] == REDIS_PUT) {
            add_str(w, redis_payload_field((enum store_payload)i));
            add(w, slot->have[i].text, slot->have[i].len);
        }
    set_number(w, at, (int64_t)(w->count - at - 1));
}

static size_t prepare(struct redis_slots *s, struct words *w)
{
    size_t dirty = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct redis_slot *slot = s->all[i];
        if (!slot->dirty)
            continue;
        redis_slot_plan(slot);
        add(w, slot->key, slot->key_len);
        add_str(w, slot->version);
        dirty++;
    }
    return dirty;
}

/* `records` is filled first, since it moves as it grows. */
static void add_records(struct words *w, const struct redis_slots *s, struct buf *records)
{
    size_t *ends = mem_array(s->count + 1, sizeof(*ends));
    for (size_t i = 0; i < s->count; i++) {
        if (s->all[i]->dirty)
            redis_record_write(records, &s->all[i]->c);
        ends[i + 1] = records->len;
    }
    for (size_t i = 0; i < s->count; i++)
        if (s->all[i]->dirty)
            add_record(w, s->all[i], buf_str(records) + ends[i], ends[i + 1] - ends[i]);
    free(ends);
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

int redis_commit(struct redis_slots *s, struct redis_conn *r, const char *fence, int64_t now_ms,
                 int64_t *next, enum redis_written *written, bool *again, struct error *err)
{
    struct buf records = BUF_INIT((s->count + 1) * REDIS_RECORD_MAX);
    struct words w = { 0 };
    redisReply *reply = NULL;
    int rc = 0;
    *again = false;
    *written = REDIS_WRITTEN;
    for (int i = 0; i < 3; i++) /* EVALSHA, sha, 1 */
        add(&w, "", 0);
    add_str(&w, REDIS_PREFIX);
    add_str(&w, fence);
    add(&w, "", 0);
    if (next)
        set_number(&w, w.count - 1, now_ms);
    size_t counts = w.count;
    add(&w, "", 0);
    size_t dirty = prepare(s, &w);
    set_number(&w, counts, (int64_t)dirty);
    if (dirty > 0) {
        add_shared(&w, s);
        for (size_t i = 0; i < s->count; i++)
            if (s->all[i]->dirty)
                add_dropped(&w, s->all[i]);
        add_str(&w, "0"); /* no more commands */
        add_records(&w, s, &records);
        redis_conn_send_script(r, REDIS_COMMIT, (int)w.count, w.argv, w.lens);
        rc = redis_conn_collect(r, &reply, 1, again, err);
        if (rc == 0)
            rc = read_written(reply, next, written, err);
        freeReplyObject(reply);
    }
    mem_wipe(records.data, records.len);
    buf_release(&records);
    words_release(&w);
    return rc;
}

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/durable/waiting.h"

#define BRANCHES 300
#define IDS      200 /* fewer than there is to wait for: several branches wait for the same */
#define NOW_MS   1764700000000

/* ---- against the obvious way: a walk over all branches --------------------------------------- */

struct world {
    struct waiting waiting;
    struct strand strand[BRANCHES];
    bool in[BRANCHES];
    uint64_t random;
};

static uint64_t dice(struct world *w, uint64_t sides)
{
    w->random = w->random * 6364136223846793005U + 1442695040888963407U;
    return (w->random >> 33) % sides;
}

static void random_id(struct world *w, char id[OPID_WIRE])
{
    snprintf(id, OPID_WIRE, "%016llx", (unsigned long long)dice(w, IDS));
}

static void add(struct world *w, size_t i)
{
    size_t count = dice(w, 4);
    strand_reset(&w->strand[i]);
    for (size_t k = 0; k < count; k++) {
        char id[OPID_WIRE];
        random_id(w, id);
        strand_await(&w->strand[i], id, dice(w, 2) ? NOW_MS + (int64_t)dice(w, 100000) : 0,
                     NOW_MS + (int64_t)dice(w, 1000));
    }
    waiting_add(&w->waiting, &w->strand[i], i);
    w->in[i] = true;
}

static void take_out(struct world *w, size_t i)
{
    waiting_remove(&w->waiting, &w->strand[i]);
    w->in[i] = false;
}

static bool waits_for(const struct strand *s, const char *id)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->await[i].id, id) == 0)
            return true;
    return false;
}

static void wake(struct world *w)
{
    char id[OPID_WIRE];
    random_id(w, id);
    for (size_t i; (i = waiting_find(&w->waiting, id)) != WAITING_NOBODY;) {
        cr_assert(w->in[i] && waits_for(&w->strand[i], id));
        take_out(w, i);
    }
    for (size_t i = 0; i < BRANCHES; i++)
        cr_assert(!w->in[i] || !waits_for(&w->strand[i], id), "branch %zu is forgotten", i);
}

static int64_t earliest(const struct world *w, size_t *count)
{
    int64_t next = INT64_MAX;
    *count = 0;
    for (size_t i = 0; i < BRANCHES; i++)
        for (size_t k = 0; w->in[i] && k < w->strand[i].count; k++, ++*count)
            if (w->strand[i].await[k].ask_ms < next)
                next = w->strand[i].await[k].ask_ms;
    return next;
}

static void ask(struct world *w)
{
    size_t ignored;
    int64_t now_ms = waiting_next_ask(&w->waiting) + (int64_t)dice(w, 2000);
    if (waiting_next_ask(&w->waiting) == INT64_MAX)
        return;
    waiting_asked(&w->waiting, now_ms);
    cr_assert_gt(earliest(w, &ignored), now_ms, "what was due has been asked about");
}

Test(waiting, finds_whom_a_walk_over_all_would_find)
{
    struct world w = { .random = 7 };
    for (int round = 0; round < 50000; round++) {
        size_t i = dice(&w, BRANCHES), count;
        switch (dice(&w, 8)) {
        case 0:
            wake(&w);
            break;
        case 1:
            ask(&w);
            break;
        default:
            if (w.in[i])
                take_out(&w, i);
            else
                add(&w, i);
        }
        cr_assert_eq(waiting_next_ask(&w.waiting), earliest(&w, &count));
        cr_assert_eq(w.waiting.count, count);
    }
    waiting_release(&w.waiting);
    for (size_t i = 0; i < BRANCHES; i++)
        strand_release(&w.strand[i]);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void await_one(struct strand *s, const char *name, int64_t scheduled_ms, int64_t now_ms)
{
    char id[OPID_WIRE] = { 0 };
    snprintf(id, sizeof(id), "%s", name);
    strand_await(s, id, scheduled_ms, now_ms);
}

Test(waiting, nobody_waits_at_first)
{
    struct waiting w = { 0 };
    struct strand to = { 0 };
    cr_assert_eq(waiting_find(&w, "0000000000000000"), WAITING_NOBODY);
    cr_assert_eq(waiting_next_ask(&w), INT64_MAX);
    waiting_asked(&w, INT64_MAX);
    waiting_await_all(&w, &to);
    cr_assert_eq(to.count, 0);
    waiting_release(&w);
}

Test(waiting, asks_ever_more_rarely)
{
    struct waiting w = { 0 };
    struct strand s = { 0 };
    await_one(&s, "a", 0, NOW_MS);
    waiting_add(&w, &s, 0);
    int64_t now_ms = NOW_MS;
    for (int64_t asked = 0; asked < 100; asked++) {
        int64_t pause_ms = asked == 0   ? 1000
                           : asked > 95 ? 60000
                           : asked < 10 ? 1000 * asked
                                        : 10000;
        cr_assert_eq(waiting_next_ask(&w), now_ms + pause_ms, "after %lld", (long long)asked);
        waiting_asked(&w, now_ms + pause_ms - 1);
        cr_assert_eq(waiting_next_ask(&w), now_ms + pause_ms, "it was not due");
        now_ms += pause_ms;
        waiting_asked(&w, now_ms);
    }
    waiting_release(&w);
    strand_release(&s);
}

Test(waiting, hands_everything_on_with_its_times)
{
    struct waiting w = { 0 };
    struct strand s[2] = { { 0 }, { 0 } }, to = { 0 };
    await_one(&s[0], "a", NOW_MS + 5, NOW_MS);
    await_one(&s[1], "b", NOW_MS + 3, NOW_MS);
    await_one(&s[1], "c", NOW_MS + 4, NOW_MS);
    waiting_add(&w, &s[0], 0);
    waiting_add(&w, &s[1], 1);
    await_one(&to, "z", NOW_MS + 9, NOW_MS);
    waiting_await_all(&w, &to);
    cr_assert_eq(to.count, 4);
    cr_assert(waits_for(&to, "a") && waits_for(&to, "b") && waits_for(&to, "c"));
    struct waiting outer = { 0 };
    waiting_add(&outer, &to, 6);
    cr_assert_eq(waiting_next_ask(&outer), NOW_MS + 3);
    cr_assert_eq(waiting_find(&outer, "c"), 6);
    cr_assert_eq(waiting_find(&w, "c"), 1, "the one inside is as it was");
    waiting_release(&outer);
    waiting_release(&w);
    strand_release(&to);
    strand_release(&s[0]);
    strand_release(&s[1]);
}

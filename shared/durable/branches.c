#include "shared/durable/branches.h"

#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/durable/branch.h"
#include "shared/durable/completion.h"
#include "shared/durable/waiting.h"

#define NOBODY            WAITING_NOBODY
#define DEADLINE_SPARE_MS 1000 /* a question that comes later is not asked */
#define FIRST_THREADS     4
#define PACE_MS           1

/* Branches that wait for somebody to take them, first come, first served. */
struct queue {
    size_t first;
    size_t last;
    size_t length;
};

struct run {
    const struct branch_set *set;
    struct op *op;
    struct execution *x;
    struct durable_ctx inside; /* the batch's context, which branches copy */
    struct branch *branch;
    size_t begun;                /* the first so many branches */
    size_t limit;                /* unfinished branches at a time */
    bool alone;                  /* the calling thread runs everything */
    struct durable_batch *batch; /* what is known; its total is the set's until the end */
    bool complete;
    /* guarded by the monitor */
    struct queue ready;
    struct queue done;
    size_t running; /* branches */
    size_t workers; /* threads that are not buried */
    size_t threads; /* of them, those that have not ended */
    struct pace {
        size_t limit; /* of threads, for now */
        size_t ends;  /* of branches, so far */
        int64_t looked_us;
        size_t ends_then;
    } pace;
    bool stopping; /* no branch is to be taken any more */
    bool starving; /* branches are ready, and no thread is to be had */
    struct worker *dead;
    struct waiting waiting; /* the suspended ones */
    size_t seen_moves;
    /* batches in each other's branches, see stay() */
    struct run *up;     /* whose thread this batch's caller is; NULL: none that may wait */
    struct run *idlers; /* the batches in branches of this one that stay */
    size_t idle;
    bool staying;
    bool recalled; /* it is to suspend once there is nothing else to do */
    struct run *prev;
    struct run *next;
};

struct worker {
    struct run *run;
    size_t first;
    pthread_t thread;
    struct worker *next;
};

/* ---- queues ---------------------------------------------------------------------------------- */

static void push(struct run *r, struct queue *q, size_t i)
{
    r->branch[i].next = NOBODY;
    if (q->length++ == 0)
        q->first = i;
    else
        r->branch[q->last].next = i;
    q->last = i;
}

static size_t pop(struct run *r, struct queue *q)
{
    size_t i = q->first;
    if (q->length == 0)
        return NOBODY;
    q->length--;
    q->first = r->branch[i].next;
    return i;
}

static void make_ready(struct run *r, size_t i)
{
    r->branch[i].state = BRANCH_READY;
    push(r, &r->ready, i);
}

/* ---- running, with the monitor held ---------------------------------------------------------- */

static size_t take(struct run *r)
{
    size_t i = r->stopping ? NOBODY : pop(r, &r->ready);
    if (i == NOBODY)
        return NOBODY;
    strand_reset(&r->branch[i].strand);
    r->branch[i].state = BRANCH_RUNNING;
    r->running++;
    return i;
}

/* `home`: whose thread this is, if it has nothing else to do. */
static void run_taken(struct run *r, size_t i, struct run *home)
{
    struct branch *b = &r->branch[i];
    b->strand.home = home;
    monitor_unlock(&r->x->monitor);
    branch_run(b, &r->inside, false);
    monitor_lock(&r->x->monitor);
    b->state = BRANCH_DONE;
    r->running--;
    r->pace.ends++;
    push(r, &r->done, i);
    monitor_changed(&r->x->monitor);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct run *r = w->run;
    struct execution *x = r->x;
    monitor_lock(&x->monitor);
    for (size_t i = w->first; i != NOBODY; i = take(r))
        run_taken(r, i, r);
    x->threads--;
    r->threads--;
    w->next = r->dead;
    r->dead = w;
    monitor_changed(&x->monitor);
    monitor_unlock(&x->monitor);
    return NULL;
}

/* False where no thread is to be had. */
static bool spawn(struct run *r)
{
    struct worker *w = mem_alloc(sizeof(*w));
    w->run = r;
    w->first = take(r);
    r->x->threads++;
    r->threads++;
    r->workers++;
    if (pthread_create(&w->thread, NULL, work, w) == 0)
        return true;
    r->workers--;
    r->threads--;
    r->x->threads--;
    r->running--;
    make_ready(r, w->first);
    free(w);
    return false;
}

/* Branches that re-live their records need few threads, and less time than it takes to make one;
 * those that work or wait need one each. So a run has few at first, and may have twice as many
 * whenever they have not brought a branch each to its end within PACE_MS while others waited. */
static void keep_pace(struct run *r)
{
    struct pace *p = &r->pace;
    int64_t now_us = clock_mono_us(), took_us = now_us - p->looked_us;
    bool full = r->ready.length > 0 && r->threads >= p->limit;
    if (full && took_us < PACE_MS * 1000)
        return;
    if (full && (int64_t)(p->ends - p->ends_then) * PACE_MS * 1000 < (int64_t)p->limit * took_us)
        p->limit *= 2;
    p->looked_us = now_us;
    p->ends_then = p->ends;
}

static bool may_spawn(const struct run *r)
{
    return !r->alone && r->threads < r->pace.limit && r->x->threads < r->x->edge->max_threads;
}

/* Batches that stay give their threads up for one that has none. */
static void starve(struct run *r, bool yes)
{
    if (r->starving == yes)
        return;
    r->starving = yes;
    if (!yes) {
        r->x->starving--;
        return;
    }
    r->x->starving++;
    monitor_changed(&r->x->monitor);
}

static void dispatch(struct run *r)
{
    bool refused = false;
    keep_pace(r);
    while (r->ready.length > 0 && !refused && may_spawn(r))
        refused = !spawn(r);
    if (r->ready.length > 0 && r->running == 0)
        run_taken(r, take(r), r->limit <= 1 ? r->up : NULL);
    starve(r, r->ready.length > 0 && !r->alone &&
                  (refused || r->x->threads >= r->x->edge->max_threads));
}

/* Collects workers that have ended; the monitor is released meanwhile. */
static void bury(struct run *r)
{
    while (r->dead) {
        struct worker *w = r->dead;
        r->dead = w->next;
        r->workers--;
        monitor_unlock(&r->x->monitor);
        pthread_join(w->thread, NULL);
        free(w);
        monitor_lock(&r->x->monitor);
    }
}

/* ---- ends, without the monitor --------------------------------------------------------------- */

static bool limit_reached(struct run *r)
{
    const struct tally t = { r->set->count, r->batch->succeeded, r->batch->failed };
    return completion_reached(&r->set->opts->completion, &t, &r->batch->reason);
}

static bool custom_rule(struct run *r)
{
    const struct durable_completion *c = &r->set->opts->completion;
    if (!c->should_complete)
        return false;
    size_t all = r->batch->total;
    r->batch->total = r->begun;
    enum durable_verdict verdict = c->should_complete(r->batch, c->arg);
    r->batch->total = all;
    if (verdict == DURABLE_GO_ON)
        return false;
    r->batch->reason = verdict == DURABLE_COMPLETE_SUCCEEDED ? DURABLE_CUSTOM_COMPLETION_SUCCEEDED
                                                             : DURABLE_CUSTOM_COMPLETION_FAILED;
    return true;
}

/* Branch `i` has suspended (or FATAL has ended the execution). What it waits for may have moved
 * before it was known to wait. */
static void rest(struct run *r, size_t i)
{
    monitor_lock(&r->x->monitor);
    r->branch[i].state = BRANCH_SUSPENDED;
    if (strand_moved(&r->branch[i].strand, r->x->journal))
        make_ready(r, i);
    else
        waiting_add(&r->waiting, &r->branch[i].strand, i);
    monitor_unlock(&r->x->monitor);
}

/* Looks at what branch `i` came to; not any more once the batch is complete. */
static void look_at(struct run *r, size_t i)
{
    struct branch *b = &r->branch[i];
    if (b->rc != DURABLE_OK && b->rc != DURABLE_FAILED) {
        rest(r, i);
        return;
    }
    if (r->complete)
        return;
    b->state = BRANCH_ENDED;
    branch_outcome(b, r->x, r->batch);
    r->complete = limit_reached(r) || custom_rule(r);
}

static void look_at_all(struct run *r)
{
    monitor_lock(&r->x->monitor);
    for (size_t i; (i = pop(r, &r->done)) != NOBODY;) {
        monitor_unlock(&r->x->monitor);
        look_at(r, i);
        monitor_lock(&r->x->monitor);
    }
    monitor_unlock(&r->x->monitor);
}

/* Begins branches in order. One whose end is recorded takes no thread. */
static enum durable_rc begin_more(struct run *r, struct durable_error *err)
{
    while (!r->complete && r->begun < r->set->count &&
           r->begun - (r->batch->succeeded + r->batch->failed) < r->limit) {
        size_t i = r->begun;
        struct branch *b = &r->branch[i];
        DURABLE_TRY(branch_begin(b, &r->inside, err));
        r->begun++;
        if (b->recorded) {
            branch_run(b, &r->inside, false);
            look_at(r, i);
            continue;
        }
        monitor_lock(&r->x->monitor);
        make_ready(r, i);
        if (!r->alone)
            dispatch(r);
        monitor_unlock(&r->x->monitor);
    }
    return DURABLE_OK;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* With the monitor held: whose awaited operation has moved, can run. */
static void wake(struct run *r)
{
    const struct journal *j = r->x->journal;
    for (; r->seen_moves < journal_moves(j); r->seen_moves++) {
        const char *id = journal_move(j, r->seen_moves)->id;
        for (size_t i; (i = waiting_find(&r->waiting, id)) != NOBODY;) {
            waiting_remove(&r->waiting, &r->branch[i].strand);
            make_ready(r, i);
        }
    }
}

/* With the monitor held: no branch runs or can, other than those whose own batches stay and have
 * nothing to do either. */
static bool quiet(struct run *r)
{
    wake(r);
    if (r->ready.length > 0 || r->done.length > 0 || r->running > r->idle)
        return false;
    for (struct run *inner = r->idlers; inner; inner = inner->next)
        if (!quiet(inner))
            return false;
    return true;
}

/* With the monitor held. INT64_MAX: there is nothing to ask before the invocation's end. */
static int64_t next_ask(const struct run *r)
{
    int64_t next = waiting_next_ask(&r->waiting);
    int64_t deadline_ms = r->x->deadline_ms;
    return deadline_ms && next > deadline_ms - DEADLINE_SPARE_MS ? INT64_MAX : next;
}

/* One answer is for all batches: who is due by the time that another has asked need not. */
static enum durable_rc ask(struct run *r, int64_t now_ms, struct durable_error *err)
{
    struct execution *x = r->x;
    struct error why = { 0 };
    monitor_lock(&x->monitor);
    bool asked = waiting_next_ask(&r->waiting) <= x->asked_ms;
    monitor_unlock(&x->monitor);
    if (!asked) {
        enum checkpoint_result result = checkpoint_poll(x->checkpoint, &why);
        DURABLE_TRY(ctx_checkpointed(r->op->ctx, result, &why, err));
    }
    monitor_lock(&x->monitor);
    if (!asked && x->asked_ms < now_ms)
        x->asked_ms = now_ms;
    waiting_asked(&r->waiting, asked ? x->asked_ms : now_ms);
    monitor_unlock(&x->monitor);
    return DURABLE_OK;
}

/* Branches run: until something happens, or until it is time to ask for those that do not. */
static enum durable_rc wait_or_ask(struct run *r, struct durable_error *err)
{
    struct execution *x = r->x;
    int64_t now_ms = x->edge->now_ms(x->edge->arg);
    monitor_lock(&x->monitor);
    int64_t next = next_ask(r);
    bool idle =
        r->done.length == 0 && !x->ended && journal_moves(x->journal) == r->seen_moves && !quiet(r);
    bool full = r->ready.length > 0; /* some wait for a thread, and there is none */
    if (idle && full && r->running > 0)
        monitor_wait(&x->monitor, x->threads < x->edge->max_threads ? PACE_MS : -1);
    else if (idle && r->running > 0 && next > now_ms)
        monitor_wait(&x->monitor, next == INT64_MAX ? -1 : next - now_ms);
    bury(r);
    monitor_unlock(&x->monitor);
    return idle && !full && next <= now_ms ? ask(r, now_ms, err) : DURABLE_OK;
}

/* ---- batches in branches --------------------------------------------------------------------- */

static void begin_stay(struct run *r)
{
    r->staying = true;
    r->prev = NULL;
    r->next = r->up->idlers;
    if (r->next)
        r->next->prev = r;
    r->up->idlers = r;
    if (++r->up->idle == r->up->running)
        monitor_changed(&r->x->monitor);
}

static void end_stay(struct run *r)
{
    if (!r->staying)
        return;
    r->staying = false;
    r->up->idle--;
    *(r->prev ? &r->prev->next : &r->up->idlers) = r->next;
    if (r->next)
        r->next->prev = r->prev;
}

/* With the monitor held: the batches that stay are to suspend. */
static void recall(struct run *r)
{
    if (!r->idlers)
        return;
    while (r->idlers) {
        r->idlers->recalled = true;
        end_stay(r->idlers);
    }
    monitor_changed(&r->x->monitor);
}

static bool may_stay(const struct run *r)
{
    return r->up && !r->up->stopping && !r->recalled && !r->x->starving && !r->x->ended &&
           !strand_abandoned(r->op->ctx->strand);
}

/* This batch is in a branch of another one, and none of its own can go on. Suspending it would have
 * the branch begin anew, with all that it has, for each thing that happens. So while others run it
 * waits where it is; until it is recalled, because nobody runs any more or threads are short. */
static enum durable_rc stay(struct run *r, struct durable_error *err)
{
    struct execution *x = r->x;
    int64_t now_ms = x->edge->now_ms(x->edge->arg);
    int64_t until_ms = 0, left_ms = -1;
    bool due = false;
    monitor_lock(&x->monitor);
    int64_t next = next_ask(r);
    if (next != INT64_MAX)
        until_ms = clock_mono_ms(clock_system()) + (next > now_ms ? next - now_ms : 0);
    begin_stay(r);
    while (!due && r->staying && may_stay(r) && quiet(r)) {
        if (until_ms)
            left_ms = until_ms - clock_mono_ms(clock_system());
        due = until_ms && left_ms <= 0;
        if (!due)
            monitor_wait(&x->monitor, left_ms);
    }
    r->recalled = r->recalled || x->starving;
    end_stay(r);
    monitor_unlock(&x->monitor);
    return due ? ask(r, next > now_ms ? next : now_ms, err) : DURABLE_OK;
}

/* No branch runs or can: unless the last answer has brought what one of them waits for, the batch
 * waits for all that they do. */
static enum durable_rc suspend(struct run *r, struct durable_error *err)
{
    struct durable_ctx *ctx = r->op->ctx;
    struct error why = { 0 };
    enum checkpoint_result result = checkpoint_settle(r->x->checkpoint, &why);
    enum durable_rc rc = ctx_checkpointed(ctx, result, &why, err);
    if (rc == DURABLE_FATAL)
        return rc;
    monitor_lock(&r->x->monitor);
    bool goes_on = rc == DURABLE_OK && !quiet(r);
    bool stays = rc == DURABLE_OK && !goes_on && may_stay(r);
    if (rc == DURABLE_OK && !goes_on && !stays && r->idle > 0) {
        recall(r);
        goes_on = true;
    }
    if (!goes_on && !stays)
        waiting_await_all(&r->waiting, ctx->strand);
    monitor_unlock(&r->x->monitor);
    if (stays)
        return stay(r, err);
    return goes_on ? DURABLE_OK : ctx_park(ctx);
}

/* One round of the coordinator. */
static enum durable_rc go_on(struct run *r, struct durable_error *err)
{
    struct execution *x = r->x;
    look_at_all(r);
    if (r->complete)
        return DURABLE_OK;
    DURABLE_TRY(begin_more(r, err));
    if (r->complete)
        return DURABLE_OK;
    monitor_lock(&x->monitor);
    bool gone = x->ended || strand_abandoned(r->op->ctx->strand);
    if (!gone) {
        wake(r);
        dispatch(r);
    }
    bool stuck = quiet(r);
    monitor_unlock(&x->monitor);
    if (gone)
        return execution_ended(x, err) ? (r->op->ctx->latch = DURABLE_FATAL) : ctx_park(r->op->ctx);
    return stuck ? suspend(r, err) : wait_or_ask(r, err);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Whoever still runs is told, and waited for. */
static void abandon(struct run *r)
{
    monitor_lock(&r->x->monitor);
    r->stopping = true;
    for (size_t i = 0; i < r->begun; i++)
        if (r->branch[i].state != BRANCH_ENDED)
            r->branch[i].strand.abandoned = true;
    monitor_changed(&r->x->monitor);
    monitor_unlock(&r->x->monitor);
}

static void join(struct run *r)
{
    monitor_lock(&r->x->monitor);
    r->stopping = true;
    starve(r, false);
    recall(r);
    bury(r);
    while (r->workers > 0) {
        monitor_wait(&r->x->monitor, -1);
        bury(r);
    }
    monitor_unlock(&r->x->monitor);
}

/* Branches that an earlier invocation has begun belong to the batch as well. */
static void cut(struct run *r)
{
    size_t total = r->set->count;
    while (total > r->begun && !branch_has_record(&r->branch[total - 1], r->x))
        total--;
    r->batch->total = total;
}

static void run_init(struct run *r, const struct branch_set *set, struct op *op)
{
    const struct durable_limit *limit = &set->opts->max_concurrency;
    *r = (struct run){ .set = set, .op = op, .x = op->ctx->x, .up = op->ctx->strand->home };
    r->limit = limit->set && limit->value < (double)set->count ? (size_t)limit->value : set->count;
    r->pace.limit = FIRST_THREADS;
    r->alone = r->limit <= 1 || r->x->edge->max_threads == 0;
    r->batch = batch_new(set->count);
    r->branch = mem_array(set->count ? set->count : 1, sizeof(*r->branch));
    ctx_init_child(&r->inside, op, false, false);
    for (size_t i = 0; i < set->count; i++)
        branch_init(&r->branch[i], set, i, op);
    r->complete = limit_reached(r);
    monitor_lock(&r->x->monitor);
    r->seen_moves = journal_moves(r->x->journal);
    monitor_unlock(&r->x->monitor);
}

static void run_release(struct run *r)
{
    for (size_t i = 0; i < r->set->count; i++)
        branch_release(&r->branch[i]);
    free(r->branch);
    waiting_release(&r->waiting);
}

enum durable_rc branches_run(const struct branch_set *set, struct op *op,
                             enum durable_rc (*completed)(void *arg, struct durable_batch *b,
                                                          struct durable_error *err),
                             void *arg, struct durable_batch **out, struct durable_error *err)
{
    struct run r;
    enum durable_rc rc = DURABLE_OK;
    run_init(&r, set, op);
    op->ctx->busy = true;
    while (rc == DURABLE_OK && !r.complete)
        rc = go_on(&r, err);
    if (rc != DURABLE_OK) {
        op->ctx->latch = rc; /* it may be a branch's place that has latched */
    } else {
        cut(&r);
        abandon(&r);
        rc = completed(arg, r.batch, err);
    }
    join(&r);
    op->ctx->busy = false;
    run_release(&r);
    if (rc == DURABLE_OK)
        *out = r.batch;
    else
        durable_batch_free(r.batch);
    return rc;
}

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
    struct worker *dead;
    struct waiting waiting; /* the suspended ones */
    size_t seen_moves;
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

static void run_taken(struct run *r, size_t i)
{
    struct branch *b = &r->branch[i];
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
        run_taken(r, i);
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

static void dispatch(struct run *r)
{
    keep_pace(r);
    while (r->ready.length > 0 && may_spawn(r))
        if (!spawn(r))
            break;
    if (r->ready.length > 0 && r->running == 0)
        run_taken(r, take(r));
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

/* With the monitor held. INT64_MAX: there is nothing to ask before the invocation's end. */
static int64_t next_ask(const struct run *r)
{
    int64_t next = waiting_next_ask(&r->waiting);
    int64_t deadline_ms = r->x->deadline_ms;
    return deadline_ms && next > deadline_ms - DEADLINE_SPARE_MS ? INT64_MAX : next;
}

static enum durable_rc ask(struct run *r, int64_t now_ms, struct durable_error *err)
{
    struct error why = { 0 };
    enum checkpoint_result result = checkpoint_poll(r->x->checkpoint, &why);
    DURABLE_TRY(ctx_checkpointed(r->op->ctx, result, &why, err));
    monitor_lock(&r->x->monitor);
    waiting_asked(&r->waiting, now_ms);
    monitor_unlock(&r->x->monitor);
    return DURABLE_OK;
}

/* Branches run: until something happens, or until it is time to ask for those that do not. */
static enum durable_rc wait_or_ask(struct run *r, struct durable_error *err)
{
    struct execution *x = r->x;
    int64_t now_ms = x->edge->now_ms(x->edge->arg);
    monitor_lock(&x->monitor);
    int64_t next = next_ask(r);
    bool idle = r->done.length == 0 && !x->ended && journal_moves(x->journal) == r->seen_moves;
    bool full = r->ready.length > 0; /* some wait for a thread, and there is none */
    if (idle && full && r->running > 0)
        monitor_wait(&x->monitor, x->threads < x->edge->max_threads ? PACE_MS : -1);
    else if (idle && r->running > 0 && next > now_ms)
        monitor_wait(&x->monitor, next == INT64_MAX ? -1 : next - now_ms);
    bury(r);
    monitor_unlock(&x->monitor);
    return idle && !full && next <= now_ms ? ask(r, now_ms, err) : DURABLE_OK;
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
    wake(r);
    bool moved = rc == DURABLE_OK && r->ready.length > 0;
    if (!moved)
        waiting_await_all(&r->waiting, ctx->strand);
    monitor_unlock(&r->x->monitor);
    return moved ? DURABLE_OK : ctx_park(ctx);
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
    bool stuck = r->running == 0 && r->ready.length == 0 && r->done.length == 0;
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
    *r = (struct run){ .set = set, .op = op, .x = op->ctx->x };
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

/* A branch that is recorded as ended comes to the same end again, or the program has changed. */
static enum durable_rc rebuild_one(const struct branch_set *set, struct op *op,
                                   struct durable_ctx *inside, size_t i,
                                   struct durable_batch *known, struct durable_error *err)
{
    struct branch b;
    bool succeeded = known->item[i].status == DURABLE_ITEM_SUCCEEDED;
    branch_init(&b, set, i, op);
    b.started = true;
    set->name(set, i, b.name);
    branch_run(&b, inside, true);
    enum durable_rc rc = b.rc;
    if (rc == DURABLE_OK || rc == DURABLE_FAILED) {
        branch_outcome(&b, op->ctx->x, known);
        rc = b.succeeded == succeeded
                 ? DURABLE_OK
                 : ctx_fatal(op->ctx, CHECKPOINT_EXECUTION, err, NON_DETERMINISM_TYPE,
                             "Non-deterministic execution detected: the branch \"%s\" %s and now "
                             "it does not",
                             b.raw, succeeded ? "succeeded" : "failed");
    } else if (rc == DURABLE_SUSPENDED) {
        ctx_park(op->ctx);
    } else {
        execution_ended(op->ctx->x, err);
        op->ctx->latch = DURABLE_FATAL;
    }
    branch_release(&b);
    return rc;
}

enum durable_rc branches_rebuild(const struct branch_set *set, struct op *op,
                                 struct durable_batch *known, struct durable_error *err)
{
    struct durable_ctx inside;
    enum durable_rc rc = DURABLE_OK;
    if (known->total > set->count)
        return ctx_fatal(op->ctx, CHECKPOINT_EXECUTION, err, NON_DETERMINISM_TYPE,
                         "Non-deterministic execution detected: the batch \"%s\" had %zu branches "
                         "and now has %zu",
                         op->raw, known->total, set->count);
    ctx_init_child(&inside, op, true, false);
    op->ctx->busy = true;
    for (size_t i = 0; rc == DURABLE_OK && i < known->total; i++)
        if (known->item[i].status != DURABLE_ITEM_STARTED)
            rc = rebuild_one(set, op, &inside, i, known, err);
    op->ctx->busy = false;
    return rc;
}

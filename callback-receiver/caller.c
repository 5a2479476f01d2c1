#include "callback-receiver/caller.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shared/aws/http_pool.h"
#include "shared/aws/lambda_client.h"
#include "shared/base/clock.h"
#include "shared/base/mem.h"

#define CALL_TIMEOUT_MS 15000
#define IDLE_MS         1000
#define HOLD_MS         1500 /* in which another receiver looks for what is due (liveness.c) */

/* Reports that were claimed together. */
struct load {
    struct store_item *items;
    size_t count;
    size_t next; /* the first that was not taken yet */
    size_t left; /* that have not ended */
    struct load *after;
};

struct call {
    struct caller *caller;
    struct load *load;
    struct store_item *item;
    int64_t began_us;
    struct lambda_callback lambda;
    struct call *next; /* the next free one */
};

struct caller {
    struct caller_config cfg;
    const struct clock *clock;
    struct aws *aws;
    struct http_pool *pool;
    pthread_t thread;
    atomic_size_t queued;  /* reports that wait for a call */
    atomic_size_t calling; /* reports that have one */
    atomic_llong hold_ms;  /* nothing is called before; wall clock, 0: never held */
    atomic_llong stop_ms;  /* 0: it does not stop */
    pthread_mutex_t lock;
    /* Under lock. */
    struct load *given;
    struct load **given_end;
    bool closing; /* no more is given */
    /* The thread's alone. */
    struct load *first;
    struct load **end;
    struct call *calls;
    struct call *free;
    struct caller_outcome *ended;
    struct caller_outcome **ended_end;
};

/* ---- any thread ------------------------------------------------------------------------------ */

void caller_give(struct caller *c, struct store_item *items, size_t count)
{
    if (count == 0) {
        free(items);
        return;
    }
    struct load *l = mem_alloc(sizeof(*l));
    *l = (struct load){ .items = items, .count = count, .left = count };
    pthread_mutex_lock(&c->lock);
    atomic_fetch_add(&c->queued, count);
    *c->given_end = l;
    c->given_end = &l->after;
    pthread_mutex_unlock(&c->lock);
    http_pool_wake(c->pool);
}

size_t caller_room(const struct caller *c, bool limited)
{
    size_t calls = c->cfg.calls, queued = atomic_load(&c->queued);
    if (!limited) /* as many again as are called: a claim takes the time of some calls */
        return queued > calls ? 0 : 2 * calls - queued;
    size_t have = queued + atomic_load(&c->calling);
    return queued > calls / 2 || have >= calls ? 0 : calls - have;
}

int64_t caller_held_until(const struct caller *c, int64_t now_ms)
{
    int64_t hold = atomic_load(&c->hold_ms);
    /* Further ahead than it can be: the wall clock was set back. */
    return hold > now_ms && hold <= now_ms + HOLD_MS ? hold : 0;
}

/* ---- what has ended -------------------------------------------------------------------------- */

/* An outcome for the report, which is forgotten here. */
static struct caller_outcome *conclude(struct caller *c, const struct store_item *item)
{
    struct caller_outcome *o = mem_resize(NULL, 1, sizeof(*o)); /* the record need not be zeroed */
    store_op_init(&o->op);
    o->op.action = STORE_FINISH;
    o->op.now_ms = clock_wall_ms(c->clock);
    memcpy(o->op.id, item->record.id, sizeof(o->op.id));
    o->text[0] = '\0';
    o->owner = NULL;
    o->next = NULL;
    *c->ended_end = o;
    c->ended_end = &o->next;
    return o;
}

static void item_end(struct load *l, struct store_item *item)
{
    mem_wipe(item->record.callback_id, strlen(item->record.callback_id));
    free(item->body.text);
    if (--l->left > 0)
        return;
    free(l->items);
    free(l);
}

static void give_back(struct caller *c, struct load *l, struct store_item *item)
{
    struct caller_outcome *o = conclude(c, item);
    o->op.attempt =
        (struct callback_attempt){ .outcome = CALLBACK_ATTEMPT_UNCALLED, .error = o->text };
    pace_return(c->cfg.pace);
    item_end(l, item);
}

/* No call came to be: from here none may, while another receiver can. */
static void hold_back(struct caller *c, const struct error *err,
                      enum callback_attempt_outcome outcome)
{
    bool here = (err->code == ERR_NET && outcome == CALLBACK_ATTEMPT_RETRY) ||
                (err->code == ERR_DENIED && err->detail == 0); /* no credentials to be had */
    if (c->cfg.shared && here)
        atomic_store(&c->hold_ms, clock_wall_ms(c->clock) + HOLD_MS);
}

/* `err` is looked at where rc is -1. */
static void call_end(struct call *call, int rc, const struct error *err)
{
    static const struct error taken = { 0 };
    struct caller *c = call->caller;
    struct store_item *item = call->item;
    const struct error *e = rc < 0 ? err : &taken;
    int64_t after_ms = rc < 0 ? aws_retry_after_ms(c->aws) : -1;
    struct caller_outcome *o = conclude(c, item);
    metrics_time(&c->cfg.policy.metrics->call_time, clock_mono_us() - call->began_us);
    /* Where access is denied, all that waits need not ask in one go either. */
    pace_answered(c->cfg.pace, e->code == ERR_THROTTLED || e->code == ERR_DENIED, after_ms,
                  clock_mono_ms(c->clock));
    attempt_judge(&c->cfg.policy, &item->record, e, after_ms, &o->op.attempt, o->text);
    hold_back(c, e, o->op.attempt.outcome);
    item_end(call->load, item);
    call->next = c->free;
    c->free = call;
}

static void on_end(void *arg, int rc, struct http_response *resp, struct error *err)
{
    (void)resp;
    call_end(arg, rc, err);
}

static bool hand_out(struct caller *c)
{
    struct caller_outcome *first = c->ended;
    c->ended = NULL;
    c->ended_end = &c->ended;
    if (first)
        c->cfg.ended(c->cfg.arg, first);
    return first != NULL;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void call_begin(struct caller *c, struct load *l, struct store_item *item)
{
    struct call *call = c->free;
    const struct callback *record = &item->record;
    struct error err = { 0 };
    c->free = call->next;
    call->load = l;
    call->item = item;
    call->began_us = clock_mono_us();
    call->lambda = (struct lambda_callback){ .callback_id = record->callback_id,
                                             .failed = record->report_kind != CALLBACK_SUCCESS,
                                             .body = item->body.text,
                                             .len = item->body.text ? item->body.len : 0,
                                             .done = on_end,
                                             .arg = call };
    aws_set_traceparent(c->aws, record->traceparent);
    if (lambda_callback_start(c->aws, c->pool, &call->lambda, &err) < 0)
        call_end(call, -1, &err);
}

/* Must a claimed report go back? */
static bool not_now(const struct caller *c, const struct store_item *item, int64_t now_ms)
{
    return atomic_load(&c->stop_ms) || caller_held_until(c, now_ms) > 0 ||
           item->record.due_ms - now_ms < CALLER_LEASE_MS / 2;
}

/* Begins what can be called and gives back what must not. Returns how many waited for it before. */
static size_t begin_calls(struct caller *c)
{
    size_t before = atomic_load(&c->queued), taken = 0;
    int64_t now = clock_wall_ms(c->clock);
    while (c->first) {
        struct load *l = c->first;
        struct store_item *item = &l->items[l->next];
        bool back = not_now(c, item, now);
        if (!back && !c->free)
            break;
        if (++l->next == l->count)
            c->first = l->after;
        if (!c->first)
            c->end = &c->first;
        taken++;
        if (back)
            give_back(c, l, item);
        else
            call_begin(c, l, item);
    }
    atomic_store(&c->calling, http_pool_running(c->pool));
    atomic_fetch_sub(&c->queued, taken);
    return before;
}

/* False: nothing more will come. */
static bool take_given(struct caller *c)
{
    pthread_mutex_lock(&c->lock);
    bool open = !c->closing;
    if (c->given) {
        *c->end = c->given;
        c->end = c->given_end;
        c->given = NULL;
        c->given_end = &c->given;
    }
    pthread_mutex_unlock(&c->lock);
    return open;
}

static void drive(struct caller *c)
{
    int64_t stop = atomic_load(&c->stop_ms), wait = IDLE_MS;
    if (stop && http_pool_running(c->pool) > 0) {
        int64_t left = stop - clock_mono_ms(c->clock);
        wait = left < wait ? left : wait;
    }
    if (wait > 0)
        http_pool_drive(c->pool, wait);
    else
        http_pool_cancel(c->pool);
    atomic_store(&c->calling, http_pool_running(c->pool));
}

/* Has the queue become so short that there is room again (caller_room, either way)? */
static bool shorter(const struct caller *c, size_t before)
{
    size_t calls = c->cfg.calls, now = atomic_load(&c->queued);
    return (before > calls && now <= calls) || (before > calls / 2 && now <= calls / 2);
}

static void *loop(void *arg)
{
    struct caller *c = arg;
    for (;;) {
        bool open = take_given(c);
        size_t before = begin_calls(c);
        bool ended = hand_out(c);
        if (!open && !c->first && http_pool_running(c->pool) == 0)
            return NULL;
        if (shorter(c, before))
            c->cfg.room(c->cfg.arg);
        if (http_pool_running(c->pool) > 0 || !ended)
            drive(c);
        ended = hand_out(c) || ended;
        if (ended && pace_rate(c->cfg.pace) > 0) /* there is room for one more */
            c->cfg.room(c->cfg.arg);
    }
}

/* ---- start and stop -------------------------------------------------------------------------- */

static void release(struct caller *c)
{
    http_pool_free(c->pool);
    aws_free(c->aws);
    pthread_mutex_destroy(&c->lock);
    free(c->calls);
    free(c);
}

struct caller *caller_start(const struct caller_config *cfg, struct error *err)
{
    struct caller *c = mem_alloc(sizeof(*c));
    c->cfg = *cfg;
    c->clock = clock_system();
    pthread_mutex_init(&c->lock, NULL);
    c->given_end = &c->given;
    c->end = &c->first;
    c->ended_end = &c->ended;
    c->calls = mem_array(cfg->calls, sizeof(*c->calls));
    for (unsigned i = 0; i < cfg->calls; i++) {
        c->calls[i].caller = c;
        c->calls[i].next = c->free;
        c->free = &c->calls[i];
    }
    c->aws = aws_new(cfg->aws, c->clock, err);
    c->pool = c->aws ? http_pool_new(cfg->calls, err) : NULL;
    if (c->pool) {
        aws_set_timeout(c->aws, CALL_TIMEOUT_MS);
        int rc = pthread_create(&c->thread, NULL, loop, c);
        if (rc == 0)
            return c;
        error_set_errno(err, rc, "cannot start a thread");
    }
    release(c);
    return NULL;
}

void caller_stop(struct caller *c, int64_t until_ms)
{
    atomic_store(&c->stop_ms, until_ms);
    http_pool_wake(c->pool);
}

void caller_free(struct caller *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    pthread_mutex_unlock(&c->lock);
    http_pool_wake(c->pool);
    pthread_join(c->thread, NULL);
    release(c);
}

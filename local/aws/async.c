#include "local/aws/async.h"

#include <stdlib.h>

#include "local/service_time.h"

#define TRIES       3
#define FIRST_MS    60000 /* before the second try; twice that before the third */
#define THROTTLE_MS 1000
#define AGE_MAX_MS  (INT64_C(6) * 3600000)

struct async_call {
    struct lambda *lambda;
    char *function, *version, *payload, *trace, *tenant;
    size_t len;
    unsigned tries; /* that were made */
    int64_t begun_ms;
    int64_t due_ms;
    struct loop_timer *timer; /* NULL: it runs */
    struct async_call *prev, *next;
};

static void call_free(struct async_call *c)
{
    struct lambda *l = c->lambda;
    if (c->prev)
        c->prev->next = c->next;
    else
        l->async = c->next;
    if (c->next)
        c->next->prev = c->prev;
    loop_cancel(l->local->loop, c->timer);
    free(c->function);
    free(c->version);
    free(c->payload);
    free(c->trace);
    free(c->tenant);
    free(c);
}

static void on_due(void *arg);

static void set_timer(struct async_call *c)
{
    const struct local *local = c->lambda->local;
    int64_t left_ms = c->due_ms - lambda_now_ms(c->lambda);
    loop_cancel(local->loop, c->timer);
    c->timer = loop_after(local->loop, left_ms > 0 ? service_time_real_ms(local->time, left_ms) : 0,
                          on_due, c);
}

/* Later, unless it is too old then. */
static void put_off(struct async_call *c, int64_t delay_ms)
{
    struct lambda *l = c->lambda;
    c->due_ms = lambda_now_ms(l) + delay_ms;
    bool over = c->tries == TRIES || c->due_ms - c->begun_ms > AGE_MAX_MS;
    if (over) {
        log_warn(l->local->log, log_event("async_given_up"), log_str("function", c->function),
                 log_int("tries", c->tries));
        call_free(c);
        return;
    }
    set_timer(c);
}

static void on_done(void *arg, const struct lambda_outcome *o)
{
    struct async_call *c = arg;
    if (o->failed && !c->lambda->stopping)
        put_off(c, FIRST_MS * (int64_t)c->tries);
    else
        call_free(c);
}

static int call(struct async_call *c, struct error *err)
{
    const struct lambda_request req = { .function = c->function,
                                        .version = c->version,
                                        .payload = c->payload,
                                        .len = c->len,
                                        .trace = c->trace,
                                        .tenant = c->tenant };
    if (lambda_call(c->lambda, &req, on_done, c, err) < 0)
        return -1;
    c->tries++;
    return 0;
}

static void on_due(void *arg)
{
    struct async_call *c = arg;
    struct error err;
    c->timer = NULL;
    if (lambda_now_ms(c->lambda) < c->due_ms)
        set_timer(c);
    else if (call(c, &err) < 0)
        put_off(c, THROTTLE_MS);
}

int async_invoke(struct lambda *l, const struct lambda_request *req, struct error *err)
{
    struct async_call *c = mem_alloc(sizeof(*c));
    *c = (struct async_call){ .lambda = l,
                              .function = mem_dup(req->function),
                              .version = mem_dup(req->version),
                              .payload = mem_dup_len(req->payload, req->len),
                              .len = req->len,
                              .trace = mem_dup(req->trace),
                              .tenant = mem_dup(req->tenant),
                              .begun_ms = lambda_now_ms(l),
                              .next = l->async };
    if (c->next)
        c->next->prev = c;
    l->async = c;
    if (call(c, err) == 0)
        return 0;
    call_free(c);
    return -1;
}

void async_time_changed(struct lambda *l)
{
    for (struct async_call *c = l->async; c; c = c->next)
        if (c->timer)
            set_timer(c);
}

void async_free(struct lambda *l)
{
    while (l->async)
        /* call_free() moves the head on. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        call_free(l->async);
}

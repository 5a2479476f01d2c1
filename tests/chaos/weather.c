#include "tests/chaos/weather.h"

#include <stdlib.h>

#define EVERY_MS  900 /* on average one gust in this time */
#define OUTAGE_MS 4000

static const char *const lossy[] = {
    "RunTask",
    "CheckpointDurableExecution",
    "CheckpointDurableExecution",
    "SendDurableExecutionCallbackSuccess",
    "SendDurableExecutionCallbackSuccess",
    "SendDurableExecutionCallbackFailure",
    "DescribeTasks",
    "StopTask",
    "ListTasks",
    "Invoke",
    "GetDurableExecutionState",
};

static struct gust *add(struct weather *w, int64_t at_ms, enum gust_kind kind)
{
    w->gusts = mem_resize(w->gusts, w->count + 1, sizeof(*w->gusts));
    w->gusts[w->count] = (struct gust){ .at_ms = at_ms, .kind = kind };
    return &w->gusts[w->count++];
}

/* What goes wrong between the programs. */
static char *draw_fault(struct dice *d)
{
    const char *operation = lossy[dice_below(d, ARRAY_LEN(lossy))];
    unsigned times = 1 + dice_below(d, 6), skip = dice_below(d, 4);
    switch (dice_below(d, 8)) {
    case 0:
    case 1:
        return mem_printf("{\"operation\":\"%s\",\"action\":\"drop\",\"times\":%u,\"skip\":%u}",
                          operation, times, skip);
    case 2:
        return mem_printf("{\"operation\":\"%s\",\"action\":\"error\",\"status\":429,"
                          "\"code\":\"TooManyRequestsException\",\"message\":\"Rate Exceeded.\","
                          "\"times\":%u,\"skip\":%u}",
                          operation, times * 3, skip);
    case 3:
        return mem_printf("{\"operation\":\"%s\",\"action\":\"error\",\"status\":500,"
                          "\"code\":\"ServiceException\",\"times\":%u,\"skip\":%u}",
                          operation, times, skip);
    case 4:
        return mem_printf("{\"operation\":\"%s\",\"action\":\"delay\",\"delayMs\":%u,\"times\":%u}",
                          operation, 100 + dice_below(d, 1500), times);
    case 5:
        return mem_printf("{\"operation\":\"PutEvents\",\"action\":\"%s\",\"times\":%u}",
                          dice_hit(d, 50) ? "drop" : "double", times);
    case 6:
        return mem_printf("{\"operation\":\"PutEvents\",\"action\":\"delay\",\"delayMs\":%u,"
                          "\"times\":%u}",
                          200 + dice_below(d, 3000), times);
    default:
        return mem_printf("{\"operation\":\"%s\",\"action\":\"kill-function\",\"when\":\"%s\","
                          "\"function\":\"launcher\",\"skip\":%u}",
                          dice_hit(d, 30) ? "RunTask" : "CheckpointDurableExecution",
                          dice_hit(d, 50) ? "before" : "after", skip);
    }
}

/* What goes wrong with a task. Capacity comes back, the others end it. */
static void draw_strike(struct gust *g, struct dice *d)
{
    static const char *const outcomes[] = { "no-capacity",   "no-capacity", "no-capacity", "spot",
                                            "out-of-memory", "image-pull",  "no-container" };
    unsigned which = dice_below(d, ARRAY_LEN(outcomes));
    g->strikes_tasks = which > 2;
    g->fault = mem_printf("{\"operation\":\"RunTask\",\"action\":\"task\",\"outcome\":\"%s\","
                          "\"delayMs\":%u,\"times\":%u}",
                          outcomes[which], which > 2 ? 50 + dice_below(d, 400) : 0,
                          which > 2 ? 1 : 1 + dice_below(d, 3));
}

static void draw_outage(struct weather *w, struct dice *d, int64_t at_ms, enum cast_part part)
{
    add(w, at_ms, GUST_KILL)->part = part;
    add(w, at_ms + 100 + dice_below(d, OUTAGE_MS), GUST_REVIVE)->part = part;
}

static int by_time(const void *a, const void *b)
{
    const struct gust *x = a, *y = b;
    return x->at_ms < y->at_ms ? -1 : x->at_ms > y->at_ms;
}

void weather_draw(struct weather *w, struct dice *d, int64_t duration_ms)
{
    *w = (struct weather){ 0 };
    for (int64_t at = 1000; at < duration_ms; at += dice_below(d, 2 * EVERY_MS)) {
        unsigned kind = dice_below(d, 100);
        if (kind < 8)
            draw_outage(w, d, at, CAST_RECEIVER_A);
        else if (kind < 16)
            draw_outage(w, d, at, CAST_RECEIVER_B);
        else if (kind < 22)
            draw_outage(w, d, at, CAST_LOCAL_AWS);
        else if (kind < 27)
            add(w, at, GUST_REDIS);
        else if (kind < 45)
            draw_strike(add(w, at, GUST_FAULT), d);
        else
            add(w, at, GUST_FAULT)->fault = draw_fault(d);
    }
    qsort(w->gusts, w->count, sizeof(*w->gusts), by_time);
}

void weather_release(struct weather *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->gusts[i].fault);
    free(w->gusts);
    *w = (struct weather){ 0 };
}

/* An order that finds local-aws down is no order. */
static int order(const struct gust *g, struct cast *c, FILE *orders, struct error *err)
{
    auto_answer struct api_answer a = { 0 };
    struct error away = { 0 };
    if (c->down[CAST_LOCAL_AWS] ||
        api_send(c->local, "POST", "/_local/faults", NULL, g->fault, &a, &away) < 0)
        return 0;
    if (a.status != 201)
        return error_set(err, ERR_PROTOCOL, a.status, "%s: %d %s", g->fault, a.status, a.text);
    if (g->strikes_tasks && (fprintf(orders, "%s\n", g->fault) < 0 || fflush(orders) != 0))
        return error_set(err, ERR_IO, 0, "cannot write the orders");
    return 0;
}

int weather_blow(const struct gust *g, struct cast *c, FILE *orders, struct error *err)
{
    switch (g->kind) {
    case GUST_KILL:
        cast_kill(c, g->part);
        return 0;
    case GUST_REVIVE:
        return cast_revive(c, g->part, err);
    case GUST_REDIS:
        return redis_server_bounce(c->redis, err);
    case GUST_FAULT:
        return order(g, c, orders, err);
    }
    return 0;
}

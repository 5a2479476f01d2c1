#include "tests/chaos/weather.h"

#include <stdlib.h>

#define EVERY_MS  700 /* on average one gust in this time */
#define OUTAGE_MS 4000
#define FULL_MS   3000
#define STILL_MS  6000 /* longer than a receiver waits for Redis */

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

/* What goes wrong on the roads. */
static void draw_net(struct gust *g, struct dice *d)
{
    static const enum relay_weather_kind kinds[] = { RELAY_SLOW,  RELAY_SLOW, RELAY_NARROW,
                                                     RELAY_STILL, RELAY_LOST, RELAY_RESET };
    g->road = (enum cast_road)dice_below(d, CAST_ROADS);
    g->net.kind = kinds[dice_below(d, ARRAY_LEN(kinds))];
    g->net.for_ms = 500 + dice_below(d, STILL_MS);
    g->net.delay_ms = 5 + dice_below(d, 150);
    g->net.jitter_ms = dice_below(d, 300);
    g->net.bytes_per_s = 5000 + dice_below(d, 100000);
    if (g->net.kind == RELAY_LOST) /* it outlives its weather by far */
        g->net.for_ms = 200 + dice_below(d, 1000);
}

static void draw_full(struct weather *w, struct dice *d, int64_t at_ms)
{
    enum cast_disk disk = dice_hit(d, 40) ? DISK_REDIS : DISK_STATE;
    add(w, at_ms, GUST_FULL)->disk = disk;
    add(w, at_ms + 500 + dice_below(d, FULL_MS), GUST_ROOM)->disk = disk;
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
        if (kind < 6)
            draw_outage(w, d, at, CAST_RECEIVER_A);
        else if (kind < 12)
            draw_outage(w, d, at, CAST_RECEIVER_B);
        else if (kind < 17)
            draw_outage(w, d, at, CAST_LOCAL_AWS);
        else if (kind < 21)
            add(w, at, GUST_REDIS);
        else if (kind < 28)
            draw_full(w, d, at);
        else if (kind < 55)
            draw_net(add(w, at, GUST_NET), d);
        else if (kind < 68)
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

void weather_print(const struct weather *w)
{
    unsigned gusts[GUST_KINDS] = { 0 }, nets[RELAY_WEATHERS] = { 0 };
    for (size_t i = 0; i < w->count; i++) {
        gusts[w->gusts[i].kind]++;
        nets[w->gusts[i].net.kind]++;
    }
    printf("  %u programs and %u times Redis killed, %u times a disk full, %u faults ordered\n"
           "  roads: %u times slow, %u narrow, %u still, %u half open, %u with resets\n",
           gusts[GUST_KILL], gusts[GUST_REDIS], gusts[GUST_FULL], gusts[GUST_FAULT],
           nets[RELAY_SLOW], nets[RELAY_NARROW], nets[RELAY_STILL], nets[RELAY_LOST],
           nets[RELAY_RESET]);
}

/* An order that finds local-aws down, or about to end, is no order. */
static int order(const struct gust *g, struct cast *c, FILE *orders, struct error *err)
{
    auto_answer struct api_answer a = { 0 };
    struct error away = { 0 };
    if (c->down[CAST_LOCAL_AWS] ||
        api_send(c->local, "POST", "/_local/faults", NULL, g->fault, &a, &away) < 0 ||
        a.status == 503)
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
        return cast_bounce_redis(c, err);
    case GUST_FAULT:
        return order(g, c, orders, err);
    case GUST_NET:
        relay_weather(c->relays[g->road], &g->net);
        return 0;
    case GUST_FULL:
        return cast_fill(c, g->disk, err);
    case GUST_ROOM:
        return cast_room(c, g->disk, err);
    case GUST_KINDS:
        break;
    }
    return 0;
}

#include "callback-receiver/pace.h"

#include <pthread.h>
#include <stdlib.h>

#include "shared/base/mem.h"

#define WINDOW_MS       1000
#define THROTTLED_LEAST 3
#define RETRY_AFTER_MAX 60000
#define WAITING_MS      200 /* a report that was sent away counts as waiting for so long */

struct pace {
    pthread_mutex_t lock;
    /* Under lock. */
    double rate; /* 0: no limit */
    double next_ms;
    int64_t not_before_ms; /* Retry-After */
    int64_t report_waits_ms;
    int64_t window_ms; /* when the window began; 0: none yet */
    unsigned answered, throttled;
};

struct pace *pace_new(void)
{
    struct pace *p = mem_alloc(sizeof(*p));
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void pace_free(struct pace *p)
{
    if (!p)
        return;
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* Judges the window that is over. */
static void turn(struct pace *p, int64_t now_ms)
{
    int64_t passed = now_ms - p->window_ms;
    if (p->window_ms == 0)
        p->window_ms = now_ms;
    if (p->window_ms == now_ms || passed < WINDOW_MS)
        return;
    double reached = p->answered * 1000.0 / (double)passed;
    if (p->throttled >= THROTTLED_LEAST && p->throttled * 4 >= p->answered) {
        double from = p->rate > 0 && p->rate < reached ? p->rate : reached;
        p->rate = from / 2 < PACE_MIN ? PACE_MIN : from / 2;
    } else if (p->rate > 0) {
        int64_t windows = passed / WINDOW_MS; /* whole ones */
        p->rate += PACE_STEP * (double)windows;
        if (p->rate >= PACE_MAX)
            p->rate = 0;
    }
    p->window_ms = now_ms;
    p->answered = p->throttled = 0;
}

static int64_t take(struct pace *p, int64_t now_ms)
{
    turn(p, now_ms);
    if (now_ms < p->not_before_ms)
        return p->not_before_ms - now_ms;
    if (p->rate == 0)
        return 0;
    double now = (double)now_ms;
    /* A millisecond is the clock's grain: what is due within it may go. */
    if (p->next_ms >= now + 1)
        return (int64_t)(p->next_ms - now);
    p->next_ms = (p->next_ms > now - 1 ? p->next_ms : now) + 1000.0 / p->rate;
    return 0;
}

int64_t pace_take(struct pace *p, int64_t now_ms)
{
    pthread_mutex_lock(&p->lock);
    int64_t wait = take(p, now_ms);
    if (wait > 0)
        p->report_waits_ms = now_ms;
    pthread_mutex_unlock(&p->lock);
    return wait;
}

void pace_return(struct pace *p)
{
    pthread_mutex_lock(&p->lock);
    if (p->rate > 0)
        p->next_ms -= 1000.0 / p->rate;
    pthread_mutex_unlock(&p->lock);
}

bool pace_take_heartbeat(struct pace *p, int64_t now_ms)
{
    pthread_mutex_lock(&p->lock);
    bool waits = p->report_waits_ms && now_ms - p->report_waits_ms < WAITING_MS;
    bool taken = !waits && take(p, now_ms) == 0;
    pthread_mutex_unlock(&p->lock);
    return taken;
}

void pace_answered(struct pace *p, bool throttled, int64_t retry_after_ms, int64_t now_ms)
{
    pthread_mutex_lock(&p->lock);
    p->answered++;
    p->throttled += throttled;
    if (throttled && retry_after_ms > 0) {
        int64_t until =
            now_ms + (retry_after_ms < RETRY_AFTER_MAX ? retry_after_ms : RETRY_AFTER_MAX);
        if (until > p->not_before_ms)
            p->not_before_ms = until;
    }
    turn(p, now_ms);
    pthread_mutex_unlock(&p->lock);
}

double pace_rate(struct pace *p)
{
    pthread_mutex_lock(&p->lock);
    double rate = p->rate;
    pthread_mutex_unlock(&p->lock);
    return rate;
}

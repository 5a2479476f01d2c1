#include "container/delivery.h"

#include "shared/base/backoff.h"

#define BASE_MS       250
#define CAP_MS        10000
#define TRY_MS        20000 /* for one try */
#define TRY_DOUBLINGS 5     /* from a period of a second that is more than TRY_MS */
#define LAST_MS       1000  /* before the deadline, in which Retry-After no longer counts */
#define PAUSE_MS      20    /* at least between two tries: full jitter may give 0 */
#define ENOUGH_MS     50    /* left for a try to make sense */

int64_t delivery_deadline(int64_t now_ms, int64_t seconds)
{
    return seconds > 0 ? now_ms + seconds * 1000 : INT64_MAX / 2; /* far, and safe to add to */
}

int64_t delivery_timeout_ms(const struct delivery *d, int64_t now_ms)
{
    int64_t left = d->deadline_ms - now_ms, most = TRY_MS;
    if (d->period_ms > 0 && d->failures < TRY_DOUBLINGS && d->period_ms << d->failures < most)
        most = d->period_ms << d->failures;
    return left < most ? left : most;
}

static int64_t pause_ms(unsigned failures)
{
    int64_t ms = backoff_full_jitter_ms(BASE_MS, CAP_MS, failures);
    return ms < PAUSE_MS ? PAUSE_MS : ms;
}

int64_t delivery_before_deadline(const struct delivery *d, int64_t due_ms, int64_t now_ms)
{
    int64_t last_ms = d->deadline_ms - LAST_MS;
    if (due_ms <= last_ms)
        return due_ms;
    if (now_ms >= last_ms)
        last_ms = now_ms + pause_ms(1);
    return last_ms < due_ms ? last_ms : due_ms;
}

enum delivery_end delivery_next(struct delivery *d, const struct reply *reply, int64_t now_ms,
                                int64_t *due_ms)
{
    switch (reply->answer) {
    case ANSWER_OK:
        return DELIVERY_ACCEPTED;
    case ANSWER_TAKEN:
        return DELIVERY_TAKEN;
    case ANSWER_GONE:
        return DELIVERY_GONE;
    case ANSWER_TOO_LARGE:
        return DELIVERY_TOO_LARGE;
    case ANSWER_DENIED:
    case ANSWER_ABSENT:
    case ANSWER_REFUSED:
        return DELIVERY_REFUSED;
    case ANSWER_CANCELLED:
    case ANSWER_LATER:
        break;
    }
    d->failures++;
    int64_t wait_ms = pause_ms(d->failures);
    if (wait_ms < reply->retry_after_ms)
        wait_ms = reply->retry_after_ms;
    *due_ms = delivery_before_deadline(d, now_ms + wait_ms, now_ms);
    return *due_ms < d->deadline_ms - ENOUGH_MS ? DELIVERY_PENDING : DELIVERY_TIMED_OUT;
}

#include "container/delivery.h"

#include "shared/base/backoff.h"

#define BASE_MS     250
#define CAP_MS      10000
#define TRY_MS      20000
#define LAST_TRY_MS 1000 /* before the deadline */
#define AT_LEAST_MS 20   /* between two tries: full jitter may give 0 */
#define LEFT_ENOUGH 100  /* ms before the deadline in which a try still makes sense */

int64_t delivery_timeout_ms(const struct delivery *d, int64_t now_ms)
{
    int64_t left = d->deadline_ms - now_ms;
    return left < TRY_MS ? left : TRY_MS;
}

int64_t delivery_before_deadline(struct delivery *d, int64_t due_ms, int64_t now_ms)
{
    if (due_ms <= d->deadline_ms - LAST_TRY_MS)
        return due_ms;
    d->last_try = true;
    int64_t last = d->deadline_ms - LAST_TRY_MS;
    if (last < now_ms + AT_LEAST_MS)
        last = now_ms + AT_LEAST_MS;
    return last < due_ms ? last : due_ms;
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
    if (d->last_try || now_ms >= d->deadline_ms - LEFT_ENOUGH)
        return DELIVERY_TIMED_OUT;
    int64_t wait_ms = backoff_full_jitter_ms(BASE_MS, CAP_MS, d->failures);
    if (wait_ms < AT_LEAST_MS)
        wait_ms = AT_LEAST_MS;
    if (wait_ms < reply->retry_after_ms)
        wait_ms = reply->retry_after_ms;
    *due_ms = delivery_before_deadline(d, now_ms + wait_ms, now_ms);
    return DELIVERY_PENDING;
}

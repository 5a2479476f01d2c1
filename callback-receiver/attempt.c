#include "callback-receiver/attempt.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "callback-receiver/hush.h"
#include "shared/base/backoff.h"

#define RETRY_AFTER_MAX_MS (15 * 60 * 1000)

enum callback_attempt_outcome attempt_classify(const struct error *err)
{
    switch (err->code) {
    case ERR_NONE:
        return CALLBACK_ATTEMPT_OK;
    /* Only Lambda's own word is final, which has a name: not a 404 of a proxy or of a wrong
     * address, nor an error of this side. */
    case ERR_GONE:
    case ERR_NOT_FOUND:
        return err->type[0] ? CALLBACK_ATTEMPT_GONE : CALLBACK_ATTEMPT_RETRY;
    case ERR_INVALID:
    case ERR_TOO_LARGE:
    case ERR_CONFLICT:
        return err->type[0] && err->detail >= 400 && err->detail < 500 ? CALLBACK_ATTEMPT_REFUSED
                                                                       : CALLBACK_ATTEMPT_RETRY;
    case ERR_NET: /* where no connection came to be, nothing was sent */
        return err->detail == CURLE_COULDNT_RESOLVE_HOST || err->detail == CURLE_COULDNT_CONNECT ||
                       err->detail == CURLE_SSL_CONNECT_ERROR ||
                       err->detail == CURLE_PEER_FAILED_VERIFICATION
                   ? CALLBACK_ATTEMPT_RETRY
                   : CALLBACK_ATTEMPT_LOST;
    case ERR_UNAVAILABLE: /* a gateway's: what is behind it may have heard it */
        return (err->detail == 502 || err->detail == 504) && strncmp(err->type, "KMS", 3) != 0
                   ? CALLBACK_ATTEMPT_LOST
                   : CALLBACK_ATTEMPT_RETRY;
    case ERR_TIMEOUT:
    case ERR_CANCELLED:
    case ERR_PROTOCOL:
        return CALLBACK_ATTEMPT_LOST;
    default:
        return CALLBACK_ATTEMPT_RETRY;
    }
}

static int64_t delay_ms(const struct attempt_policy *p, const struct callback *c,
                        const struct error *err, int64_t retry_after_ms)
{
    if (err->code == ERR_CANCELLED)
        return 0;
    int64_t ms = backoff_full_jitter_ms(p->retry_base_ms, p->retry_cap_ms,
                                        (unsigned)(c->failures < 30 ? c->failures + 1 : 30));
    if (err->code == ERR_DENIED) /* only a person can help */
        ms = p->retry_cap_ms / 2 + ms / 2;
    int64_t after = retry_after_ms < RETRY_AFTER_MAX_MS ? retry_after_ms : RETRY_AFTER_MAX_MS;
    return ms > after ? ms : after;
}

/* What is kept and shown as last_error. */
static void describe(const struct callback *c, const struct error *err,
                     enum callback_attempt_outcome outcome, char out[ATTEMPT_TEXT])
{
    const char *why = outcome == CALLBACK_ATTEMPT_GONE      ? "closed by the engine: "
                      : outcome == CALLBACK_ATTEMPT_REFUSED ? "refused by the engine: "
                                                            : "";
    snprintf(out, ATTEMPT_TEXT, "%s%s%s%s", why, err->type, err->type[0] ? ": " : "",
             hush(err, c->callback_id));
}

static void count(struct metrics *m, enum callback_attempt_outcome outcome, const struct error *err)
{
    static const enum metric metrics[] = {
        [CALLBACK_ATTEMPT_OK] = METRIC_DELIVERIES_OK,
        [CALLBACK_ATTEMPT_GONE] = METRIC_DELIVERIES_GONE,
        [CALLBACK_ATTEMPT_REFUSED] = METRIC_DELIVERIES_REFUSED,
        [CALLBACK_ATTEMPT_RETRY] = METRIC_DELIVERIES_RETRY,
        [CALLBACK_ATTEMPT_LOST] = METRIC_DELIVERIES_LOST,
    };
    enum metric which = metrics[outcome];
    if (outcome == CALLBACK_ATTEMPT_RETRY && err->code == ERR_DENIED)
        which = METRIC_DELIVERIES_DENIED;
    if (outcome == CALLBACK_ATTEMPT_RETRY && err->code == ERR_THROTTLED)
        which = METRIC_DELIVERIES_THROTTLED;
    metrics_add(m, which);
}

static void complain(struct log *log, const struct callback *c, const struct error *err,
                     const struct callback_attempt *a)
{
    if (err->code == ERR_DENIED)
        log_error(log, log_event("delivery_denied"), log_str("id", c->id),
                  log_str("error", a->error), log_int("retryInMs", a->delay_ms),
                  log_str("hint", "the receiver's credentials must allow "
                                  "lambda:SendDurableExecutionCallbackSuccess and -Failure"));
    else if (err->code != ERR_CANCELLED)
        log_warn(log, log_event("delivery_failed"), log_str("id", c->id),
                 log_int("attempt", c->attempts), log_str("error", a->error),
                 log_int("retryInMs", a->delay_ms));
}

void attempt_judge(const struct attempt_policy *p, const struct callback *c,
                   const struct error *err, int64_t retry_after_ms, struct callback_attempt *out,
                   char text[ATTEMPT_TEXT])
{
    text[0] = '\0';
    *out = (struct callback_attempt){ .outcome = attempt_classify(err), .error = text };
    if (err->code != ERR_NONE) {
        out->delay_ms = delay_ms(p, c, err, retry_after_ms);
        describe(c, err, out->outcome, text);
        complain(p->log, c, err, out);
    }
    count(p->metrics, out->outcome, err);
}

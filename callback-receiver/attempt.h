/* attempt.h - what the end of a call to Lambda means for the report that it carried. Any thread. */
#ifndef RECEIVER_ATTEMPT_H
#define RECEIVER_ATTEMPT_H

#include "callback-receiver/callback.h"
#include "callback-receiver/metrics.h"
#include "shared/base/error.h"
#include "shared/base/log.h"

#define ATTEMPT_TEXT (CALLBACK_ERROR + 128) /* the record keeps what fits */

struct attempt_policy {
    int64_t retry_base_ms;
    int64_t retry_cap_ms; /* also the pace of retries where access is denied */
    struct metrics *metrics;
    struct log *log;
};

/* What an error means. Pure. */
enum callback_attempt_outcome attempt_classify(const struct error *err);

/* Judges the attempt on `c` that ended with `err` (code ERR_NONE: taken), counts it and logs what
 * failed. retry_after_ms: what the answer asked to wait, or -1. The error's text goes to `text`,
 * which `out` points to. */
void attempt_judge(const struct attempt_policy *p, const struct callback *c,
                   const struct error *err, int64_t retry_after_ms, struct callback_attempt *out,
                   char text[ATTEMPT_TEXT]);

#endif

#include "launcher/policy.h"

#include <math.h>
#include <string.h>

#include "shared/base/digest.h"

#define START_FIRST_S 4
#define LOOK_FIRST_S  1
#define LOOK_MAX_S    60

/* From 0 to below 1, the same for the same words. */
static double share(const char *seed, const char *what, unsigned n)
{
    uint8_t hash[DIGEST_SHA256];
    auto_free char *text = mem_printf("%s\n%s\n%u", seed, what, n);
    digest_sha256(text, strlen(text), hash);
    return (double)(((unsigned)hash[0] << 8) | hash[1]) / 65536.0;
}

static int64_t half_jitter(double delay, double share_)
{
    double s = ceil(delay / 2 + delay / 2 * share_);
    return s > 1 ? (int64_t)s : 1;
}

static double grown(int64_t first_s, int64_t max_s, double rate, unsigned n)
{
    return fmin((double)first_s * pow(rate, (double)n - 1), (double)max_s);
}

static bool listed(const struct input_retry *r, const char *type)
{
    static const char *const defaults[] = { "Task.Capacity", "Task.SpotInterruption",
                                            "Task.HeartbeatLost", "Task.Infrastructure", NULL };
    const char *const *list = r->on ? r->on : defaults;
    for (; *list; list++)
        if (strcmp(*list, type) == 0 || strcmp(*list, "*") == 0)
            return true;
    return false;
}

/* The data of a start that was asked for until its deadline says how long. */
static bool waited_out(const struct durable_error *err)
{
    struct error not_json;
    auto_json struct json_object *data = NULL;
    if (!err->data || json_parse_str(err->data, &data, &not_json) < 0)
        return false;
    return json_get(data, "waitedSeconds") != NULL;
}

bool policy_retries(const struct input *in, const struct durable_error *err, unsigned attempt)
{
    if (attempt >= in->retry.max_attempts || !err->type || !listed(&in->retry, err->type))
        return false;
    return in->retry.on || !waited_out(err);
}

int64_t policy_delay_s(const struct input *in, const char *execution_arn, unsigned attempt)
{
    const struct input_retry *r = &in->retry;
    return half_jitter(grown(r->first_delay_s, r->max_delay_s, r->backoff_rate, attempt),
                       share(execution_arn, "attempt", attempt));
}

int64_t policy_start_delay_s(const struct input *in, const char *seed, unsigned tries,
                             int64_t elapsed_s)
{
    int64_t most = in->timeout_s < POLICY_START_S ? in->timeout_s : POLICY_START_S;
    int64_t left_s = (in->start_timeout_s ? in->start_timeout_s : most) - elapsed_s;
    if (left_s <= 0 || tries >= POLICY_STARTS)
        return 0;
    int64_t delay_s = half_jitter(grown(START_FIRST_S, POLICY_START_MAX_S, 2, tries),
                                  share(seed, "start", tries));
    return delay_s < left_s ? delay_s : left_s;
}

int64_t policy_look_delay_s(const struct input *in, int64_t elapsed_s)
{
    int64_t most_s = in->timeout_s / 100 > LOOK_MAX_S ? in->timeout_s / 100 : LOOK_MAX_S;
    int64_t delay_s = elapsed_s / 8 > LOOK_FIRST_S ? elapsed_s / 8 : LOOK_FIRST_S;
    return delay_s < most_s ? delay_s : most_s;
}

/* The longest that `attempts` attempts may take. */
static int64_t longest_s(const struct input *in, unsigned attempts)
{
    const struct input_retry *r = &in->retry;
    double s = (double)attempts * (double)(in->timeout_s + POLICY_RESERVE_S);
    for (unsigned n = 1; n < attempts; n++)
        s += ceil(grown(r->first_delay_s, r->max_delay_s, r->backoff_rate, n));
    return (int64_t)s;
}

int policy_fit(const struct config *c, struct input *in, struct json_object **faults)
{
    int64_t most_s = c->execution_timeout_s;
    if (most_s == 0)
        return 0;
    while (!in->retry.asked && in->retry.max_attempts > 1 &&
           longest_s(in, in->retry.max_attempts) > most_s)
        in->retry.max_attempts--;
    int64_t need_s = longest_s(in, in->retry.max_attempts);
    if (need_s <= most_s)
        return 0;
    if (in->retry.max_attempts > 1)
        input_fault(faults, "/retry/maxAttempts",
                    "%u attempts of timeoutSeconds %lld with the waits between them may take %lld "
                    "seconds, more than the %lld that a workflow has",
                    in->retry.max_attempts, (long long)in->timeout_s, (long long)need_s,
                    (long long)most_s);
    else
        input_fault(faults, "/timeoutSeconds",
                    "must be at most %lld: a workflow has %lld seconds in all",
                    (long long)(most_s - POLICY_RESERVE_S), (long long)most_s);
    return -1;
}

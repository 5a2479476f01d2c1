#include "callback-receiver/callback.h"

#include <string.h>

#include "shared/base/utf8.h"

static void copy(char *out, size_t size, const char *s)
{
    size_t len = utf8_cut(s, strlen(s), size - 1);
    memcpy(out, s, len);
    memset(out + len, 0, size - len);
}

/* Until when the job may be silent. A job that never sent a heartbeat is judged by its first
 * contact only, and by that only where the workflow asked for it. */
static void rearm(struct callback *c)
{
    c->judge_ms = 0;
    if (c->state != CALLBACK_PENDING)
        return;
    if (c->first_heartbeat_ms > 0)
        c->judge_ms = c->last_contact_ms + c->heartbeat_s * 1000;
    else if (c->first_contact_ms == 0 && c->start_timeout_s > 0)
        c->judge_ms = c->created_ms + c->start_timeout_s * 1000;
}

static int64_t third_ms(const struct callback *c)
{
    return c->engine_heartbeat_s * 1000 / 3;
}

static uint32_t mirrored(uint32_t n)
{
    uint32_t out = 0;
    for (int i = 0; i < 32; i++)
        out |= (n >> i & 1U) << (31 - i);
    return out;
}

/* The first heartbeat to Lambda, within a third of the period. Turns go round the slots; within a
 * slot each next round halves the largest gap. */
static int64_t first_beat_ms(const struct callback *c, uint32_t turn, int64_t now_ms)
{
    int64_t third = third_ms(c);
    int64_t slots = third < 2000 ? 1 : third / 1000;
    double within = mirrored((uint32_t)(turn / slots)) / 4294967296.0;
    int64_t phase = (int64_t)(((double)(turn % slots) + within) * (double)third / (double)slots);
    int64_t at = now_ms - now_ms % third + phase;
    return at > now_ms ? at : at + third;
}

/* Every event of a token's holder begins here. */
static void meet(struct callback *c, const struct callback_holder *who, int64_t now_ms)
{
    if (c->state == CALLBACK_ABSENT) {
        memset(c, 0, sizeof(*c));
        token_public_id(who->callback_id, c->id);
        copy(c->callback_id, sizeof(c->callback_id), who->callback_id);
        c->state = CALLBACK_PENDING;
        c->heartbeat_s = CALLBACK_HEARTBEAT_S;
        c->created_ms = now_ms;
    }
    if (who->expires_s > c->expires_s)
        c->expires_s = who->expires_s;
    if (who->traceparent)
        copy(c->traceparent, sizeof(c->traceparent), who->traceparent);
    if (who->by == CALLBACK_BY_JOB) {
        if (c->first_contact_ms == 0)
            c->first_contact_ms = now_ms;
        if (now_ms > c->last_contact_ms)
            c->last_contact_ms = now_ms;
        rearm(c);
    }
}

enum callback_verdict callback_register(struct callback *c, const struct callback_holder *who,
                                        const struct callback_registration *r, int64_t now_ms)
{
    if (c->state == CALLBACK_CLOSED)
        return CALLBACK_OVER;
    if (c->state != CALLBACK_ABSENT && c->registered)
        return memcmp(c->registration, r->sha, sizeof(r->sha)) == 0 ? CALLBACK_SAME
                                                                    : CALLBACK_OTHER;
    meet(c, who, now_ms);
    c->registered = true;
    memcpy(c->registration, r->sha, sizeof(r->sha));
    copy(c->workflow, sizeof(c->workflow), r->workflow);
    copy(c->job, sizeof(c->job), r->job);
    c->heartbeat_s = r->heartbeat_s;
    c->start_timeout_s = r->start_timeout_s;
    c->engine_heartbeat_s = r->engine_heartbeat_s;
    if (r->engine_heartbeat_s > 0 &&
        (c->state == CALLBACK_PENDING || c->state == CALLBACK_ACCEPTED))
        c->beat_ms = first_beat_ms(c, r->turn, now_ms);
    rearm(c);
    return CALLBACK_CREATED;
}

static void take(struct callback *c, const struct callback_report *r, enum callback_by by,
                 int64_t now_ms)
{
    c->state = CALLBACK_ACCEPTED;
    c->report_kind = r->kind;
    c->report_media = r->media;
    memcpy(c->report_sha, r->sha, sizeof(r->sha));
    c->report_by = by;
    c->reported_ms = now_ms;
    c->due_ms = now_ms;
    c->failures = 0;
    rearm(c);
}

enum callback_verdict callback_report(struct callback *c, const struct callback_holder *who,
                                      const struct callback_report *r, int64_t now_ms)
{
    meet(c, who, now_ms);
    if (c->state == CALLBACK_CLOSED)
        return CALLBACK_OVER;
    if (c->report_kind == 0) {
        take(c, r, who->by, now_ms);
        return CALLBACK_TAKEN;
    }
    if (c->report_kind != r->kind || c->report_media != r->media ||
        memcmp(c->report_sha, r->sha, sizeof(r->sha)) != 0)
        return CALLBACK_OTHER;
    return c->state == CALLBACK_DEAD ? CALLBACK_OVER : CALLBACK_SAME;
}

enum callback_verdict callback_heartbeat(struct callback *c, const struct callback_holder *who,
                                         int64_t now_ms)
{
    meet(c, who, now_ms);
    if (c->state == CALLBACK_CLOSED || c->state == CALLBACK_DEAD)
        return CALLBACK_OVER;
    if (c->state != CALLBACK_PENDING)
        return c->report_by == CALLBACK_BY_JOB ? CALLBACK_DONE : CALLBACK_OVER;
    if (c->first_heartbeat_ms == 0)
        c->first_heartbeat_ms = now_ms;
    rearm(c);
    return CALLBACK_DONE;
}

enum callback_verdict callback_close(struct callback *c, const struct callback_holder *who,
                                     const char *outcome, int64_t now_ms)
{
    meet(c, who, now_ms);
    if (c->state == CALLBACK_CLOSED)
        return CALLBACK_DONE;
    c->state = CALLBACK_CLOSED;
    c->ended_ms = now_ms;
    c->due_ms = 0;
    c->beat_ms = 0;
    copy(c->outcome, sizeof(c->outcome), outcome);
    rearm(c);
    return CALLBACK_DONE;
}

enum callback_verdict callback_read(struct callback *c, const struct callback_holder *who,
                                    int64_t now_ms, bool *changed)
{
    *changed = false;
    if (c->state == CALLBACK_ABSENT)
        return CALLBACK_NONE;
    if (who->by == CALLBACK_BY_JOB) {
        meet(c, who, now_ms);
        *changed = true;
    }
    return CALLBACK_DONE;
}

bool callback_claim(struct callback *c, int64_t now_ms, int64_t lease_ms)
{
    if (c->state != CALLBACK_ACCEPTED || c->due_ms > now_ms)
        return false;
    c->unanswered |= c->in_flight;
    c->in_flight = true;
    c->attempts++;
    c->due_ms = now_ms + lease_ms;
    return true;
}

static void settle(struct callback *c, enum callback_state state, int64_t now_ms)
{
    c->state = state;
    c->due_ms = 0;
    c->beat_ms = 0;
    if (state != CALLBACK_DELIVERED)
        c->ended_ms = now_ms;
}

enum callback_verdict callback_finish(struct callback *c, const struct callback_attempt *a,
                                      int64_t now_ms)
{
    c->in_flight = false;
    if (a->outcome == CALLBACK_ATTEMPT_UNCALLED)
        c->attempts -= c->attempts > 0;
    else
        copy(c->last_error, sizeof(c->last_error), a->error);
    if (a->outcome == CALLBACK_ATTEMPT_OK)
        c->delivered_ms = now_ms;
    if (c->state != CALLBACK_ACCEPTED)
        return CALLBACK_OVER;
    switch (a->outcome) {
    case CALLBACK_ATTEMPT_OK:
        settle(c, CALLBACK_DELIVERED, now_ms);
        break;
    case CALLBACK_ATTEMPT_GONE:
        settle(c, c->unanswered ? CALLBACK_UNCONFIRMED : CALLBACK_DEAD, now_ms);
        break;
    case CALLBACK_ATTEMPT_REFUSED:
        settle(c, CALLBACK_DEAD, now_ms);
        break;
    case CALLBACK_ATTEMPT_LOST:
        c->unanswered = true;
        __attribute__((fallthrough));
    case CALLBACK_ATTEMPT_RETRY:
        c->failures++;
        c->due_ms = now_ms + a->delay_ms;
        if (now_ms >= c->expires_s * 1000)
            settle(c, CALLBACK_DEAD, now_ms);
        break;
    case CALLBACK_ATTEMPT_UNCALLED:
        c->due_ms = now_ms;
        break;
    }
    return CALLBACK_DONE;
}

enum callback_verdict callback_redeliver(struct callback *c, int64_t now_ms)
{
    if (c->state == CALLBACK_ABSENT)
        return CALLBACK_NONE;
    if (c->state == CALLBACK_CLOSED)
        return CALLBACK_OVER;
    if (c->state != CALLBACK_DEAD && c->state != CALLBACK_UNCONFIRMED)
        return CALLBACK_OTHER;
    c->state = CALLBACK_ACCEPTED;
    c->failures = 0;
    c->ended_ms = 0;
    c->due_ms = now_ms;
    return CALLBACK_DONE;
}

enum callback_verdict callback_judge(struct callback *c, int64_t now_ms, struct buf *body)
{
    if (c->state != CALLBACK_PENDING || c->judge_ms == 0 || c->judge_ms > now_ms)
        return CALLBACK_DONE;
    if (c->first_heartbeat_ms > 0)
        buf_printf(body,
                   "{\"ErrorType\":\"Task.HeartbeatLost\",\"ErrorMessage\":"
                   "\"The job has sent nothing for %lld s; it was to send a heartbeat at least "
                   "every %lld s.\"}",
                   (long long)((now_ms - c->last_contact_ms) / 1000), (long long)c->heartbeat_s);
    else
        buf_printf(body,
                   "{\"ErrorType\":\"Task.StartTimeout\",\"ErrorMessage\":"
                   "\"The job has not been heard of within %lld s of its registration.\"}",
                   (long long)c->start_timeout_s);
    struct callback_report r = { .kind = CALLBACK_FAILURE, .media = CALLBACK_JSON };
    digest_sha256(buf_str(body), body->len, r.sha);
    take(c, &r, CALLBACK_BY_RECEIVER, now_ms);
    return CALLBACK_TAKEN;
}

bool callback_beat(struct callback *c, int64_t until_ms, int64_t *at_ms)
{
    int64_t third = third_ms(c);
    if (c->beat_ms == 0 || c->beat_ms > until_ms || third <= 0)
        return false;
    *at_ms = c->beat_ms + (until_ms - c->beat_ms) / third * third;
    c->beat_ms = *at_ms + third;
    return true;
}

bool callback_unbeat(struct callback *c)
{
    bool beats = c->beat_ms > 0;
    c->beat_ms = 0;
    return beats;
}

bool callback_grace(struct callback *c, int64_t from_ms)
{
    int64_t s = c->heartbeat_s;
    if (c->first_heartbeat_ms == 0 && c->start_timeout_s < s)
        s = c->start_timeout_s;
    if (c->judge_ms == 0 || from_ms + s * 1000 <= c->judge_ms)
        return false;
    c->judge_ms = from_ms + s * 1000;
    return true;
}

const char *callback_state_name(enum callback_state s)
{
    static const char *const names[CALLBACK_STATES] = {
        [CALLBACK_ABSENT] = "absent",           [CALLBACK_PENDING] = "pending",
        [CALLBACK_ACCEPTED] = "accepted",       [CALLBACK_DELIVERED] = "delivered",
        [CALLBACK_UNCONFIRMED] = "unconfirmed", [CALLBACK_DEAD] = "dead",
        [CALLBACK_CLOSED] = "closed",
    };
    return s < CALLBACK_STATES ? names[s] : "absent";
}

#include "container/stop.h"

#define REPORT_MAX_MS 3000
#define MARGIN_MAX_MS 500

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void stop_init(struct stop *s)
{
    *s = (struct stop){ .kill_ms = STOP_NEVER, .report_ms = STOP_NEVER, .deadline_ms = STOP_NEVER };
}

void stop_asked(struct stop *s, int signal, int64_t now_ms, int64_t timeout_ms)
{
    if (s->signal)
        return;
    s->signal = signal;
    s->deadline_ms = now_ms + timeout_ms;
    s->report_ms = s->deadline_ms - least(MARGIN_MAX_MS, timeout_ms / 10);
    s->kill_ms = least(s->kill_ms, s->deadline_ms - least(REPORT_MAX_MS, timeout_ms / 3));
}

bool stop_command(struct stop *s, enum stop_cause cause, int64_t now_ms, int64_t timeout_ms)
{
    if (s->cause != STOP_NO_CAUSE)
        return false;
    s->cause = cause;
    s->kill_ms = least(s->kill_ms, now_ms + timeout_ms);
    return true;
}

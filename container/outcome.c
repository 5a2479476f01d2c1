#include "container/outcome.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "container/exits.h"
#include "container/text.h"
#include "shared/base/buf.h"
#include "shared/base/signals.h"

#define DETAIL_MAX 600

const char *outcome_signal_name(int number)
{
    const char *name = signals_name(number);
    return name ? name : "signal";
}

static bool stopped(const struct outcome *o)
{
    if (o->end == OUTCOME_NEVER_STARTED)
        return true;
    if (o->end != OUTCOME_SIGNALED || o->stop_signal == 0)
        return false;
    return o->number == o->stop_signal || (o->killed && o->number == SIGKILL);
}

/* Whether lack of memory is behind the end: it was killed, and not by us, or it failed after one of
 * its processes was. */
static bool out_of_memory(const struct outcome *o)
{
    if (o->oom_kills == 0)
        return false;
    return o->end == OUTCOME_SIGNALED ? o->number == SIGKILL && !stopped(o)
                                      : o->end == OUTCOME_EXITED && o->number != 0;
}

static const char *error_type(const struct outcome *o)
{
    if (o->timeout_s > 0)
        return "Task.Timeout";
    if (o->max_output > 0)
        return "Task.OutputTooLarge";
    if (out_of_memory(o))
        return "Task.OutOfMemory";
    if (stopped(o))
        return "Task.Stopped";
    switch (o->end) {
    case OUTCOME_EXITED:
        return "Task.ExitCode";
    case OUTCOME_NOT_FOUND:
        return "Task.NotFound";
    case OUTCOME_NOT_EXECUTABLE:
        return "Task.NotExecutable";
    case OUTCOME_START_FAILED:
        return "Task.StartFailed";
    case OUTCOME_NO_INPUT:
        return "Task.InputUnavailable";
    case OUTCOME_SIGNALED:
    case OUTCOME_NEVER_STARTED:
        break;
    }
    return "Task.Signal";
}

static char *error_message(const struct outcome *o)
{
    const char *stop = outcome_signal_name(o->stop_signal);
    if (o->timeout_s > 0)
        return mem_printf("stopped because it ran longer than %lld s%s", (long long)o->timeout_s,
                          o->killed ? "; SIGTERM did not end it" : "");
    if (o->max_output > 0)
        return mem_printf("stopped because it wrote more than %lld bytes",
                          (long long)o->max_output);
    if (out_of_memory(o) && o->end == OUTCOME_SIGNALED)
        return mem_dup("killed by the kernel: the container has no more memory");
    if (out_of_memory(o))
        return mem_printf("exit status %d after the kernel killed a process of the container: it "
                          "has no more memory",
                          o->number);
    switch (o->end) {
    case OUTCOME_EXITED:
        return mem_printf("exit status %d", o->number);
    case OUTCOME_NEVER_STARTED:
        return mem_printf("stopped by %s before the command was started", stop);
    case OUTCOME_SIGNALED:
        if (stopped(o) && o->killed)
            return mem_printf("killed by signal %d (%s): %s did not end it in time", o->number,
                              outcome_signal_name(o->number), stop);
        return mem_printf("%skilled by signal %d (%s)", stopped(o) ? "stopped: " : "", o->number,
                          outcome_signal_name(o->number));
    case OUTCOME_NOT_FOUND:
    case OUTCOME_NOT_EXECUTABLE:
    case OUTCOME_START_FAILED:
    case OUTCOME_NO_INPUT:
        break;
    }
    return mem_printf("%.*s", DETAIL_MAX, o->detail ? o->detail : "the command was not started");
}

/* The JSON text that errorData carries, with the last `errors_max` bytes of standard error. `size`
 * is of a result that was too large, or 0. */
static char *error_data(const struct outcome *o, size_t size, size_t errors_max)
{
    auto_buf struct buf b = BUF_INIT(1U << 20);
    buf_add_char(&b, '{');
    if (o->end == OUTCOME_EXITED)
        buf_printf(&b, "\"exitCode\":%d,", o->number);
    else if (o->end == OUTCOME_SIGNALED)
        buf_printf(&b, "\"signal\":%d,", o->number);
    else if (o->end == OUTCOME_NEVER_STARTED)
        buf_printf(&b, "\"signal\":%d,", o->stop_signal);
    else
        buf_printf(&b, "\"exitCode\":%d,", outcome_exit_status(o));
    if (o->oom_kills > 0)
        buf_printf(&b, "\"oomKills\":%lld,", (long long)o->oom_kills);
    if (size > 0)
        buf_printf(&b, "\"resultBytes\":%zu,", size);
    if (o->errors_len > 0 && errors_max > 0) {
        size_t at = text_last(o->errors, o->errors_len, errors_max);
        auto_buf struct buf clean = BUF_INIT(4 * o->errors_len);
        text_clean(&clean, o->errors + at, o->errors_len - at);
        buf_add_str(&b, "\"stderr\":");
        buf_add_json(&b, buf_str(&clean), clean.len);
        buf_add_char(&b, ',');
    }
    buf_printf(&b, "\"durationMs\":%lld", (long long)o->duration_ms);
    if (o->max_rss_bytes > 0)
        buf_printf(&b, ",\"maxRssBytes\":%lld", (long long)o->max_rss_bytes);
    if (o->job) {
        buf_add_str(&b, ",\"job\":");
        buf_add_json_str(&b, o->job);
    }
    buf_add_char(&b, '}');
    return buf_take(&b, NULL);
}

static void fail(const struct outcome *o, const char *type, const char *message, size_t size,
                 struct report *out)
{
    /* Each level of quoting may lengthen the text, so the size is known only when it is written. */
    for (size_t errors_max = o->errors_len;; errors_max /= 2) {
        auto_free char *data = error_data(o, size, errors_max);
        report_failure(out, type, message, data);
        if (out->len <= REPORT_FAILURE_MAX || errors_max == 0)
            return;
        report_release(out);
    }
}

void outcome_too_large(const struct outcome *o, size_t size, struct report *out)
{
    auto_free char *message = mem_printf("the result has %zu bytes, which is too large", size);
    fail(o, "Task.ResultTooLarge", message, size, out);
}

void outcome_report(const struct outcome *o, const struct result *result, struct report *out)
{
    if (o->end != OUTCOME_EXITED || o->number != 0 || o->timeout_s > 0 || o->max_output > 0) {
        auto_free char *message = error_message(o);
        fail(o, error_type(o), message, 0, out);
    } else if (result->state == RESULT_PRESENT) {
        report_success(out, result->p, result->len);
    } else if (result->state == RESULT_TOO_LARGE) {
        outcome_too_large(o, result->size, out);
    } else if (result->state == RESULT_UNREADABLE) {
        auto_free char *message = mem_printf("the result was written, but %s", result->p);
        fail(o, "Task.ResultUnreadable", message, 0, out);
    } else {
        report_success_null(out);
    }
}

int outcome_exit_status(const struct outcome *o)
{
    if (o->timeout_s > 0)
        return EXIT_TIMEOUT;
    if (o->max_output > 0)
        return 128 + SIGXFSZ;
    switch (o->end) {
    case OUTCOME_EXITED:
        return o->number;
    case OUTCOME_SIGNALED:
        return 128 + o->number;
    case OUTCOME_NEVER_STARTED:
        return 128 + o->stop_signal;
    case OUTCOME_NOT_FOUND:
        return 127;
    case OUTCOME_NOT_EXECUTABLE:
        return 126;
    case OUTCOME_START_FAILED:
        return EXIT_START_FAILED;
    case OUTCOME_NO_INPUT:
        break;
    }
    return EXIT_NOT_DELIVERED;
}

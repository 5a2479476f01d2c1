/* run_end.c - REPORTING: what is told to the receiver, and the exit status. */
#include "container/run_state.h"

#include <string.h>

#include "container/exits.h"
#include "shared/base/clock.h"

/* ---- the end --------------------------------------------------------------------------------- */

void run_finish(struct run *r, int exit_status)
{
    r->exit_status = exit_status;
    r->phase = PHASE_FLUSHING;
}

static void deliver(struct run *r)
{
    int64_t deadline_ms = delivery_deadline(run_now_ms(), r->cfg->report_deadline_s);
    if (r->stop.report_ms < deadline_ms)
        deadline_ms = r->stop.report_ms;
    r->abandon_ms = deadline_ms + RUN_ABANDON_MS;
    r->news.end = DELIVERY_PENDING;
    reporter_deliver(r->reporter, &r->report, deadline_ms);
    r->phase = PHASE_REPORTING;
}

/* The result file where it counts and was written, else what was captured. *err is why it cannot be
 * read: another result in its place would be a wrong one. */
static void find_result(struct run *r, struct buf *bytes, struct result *out, struct error *err)
{
    *out = (struct result){ .state = RESULT_ABSENT };
    if (result_mode_reads_file(r->cfg->result) &&
        workspace_read_result(&r->files, bytes, out, err) < 0) {
        log_warn(r->log, log_event("result_file_unreadable"), log_err(err));
        *out = (struct result){ .state = RESULT_UNREADABLE, .p = err->msg };
    }
    if (out->state == RESULT_ABSENT && r->capture)
        capture_result(r->capture, out);
}

void run_conclude(struct run *r)
{
    struct outcome *o = &r->outcome;
    o->job = r->cfg->job;
    o->detail = r->detail[0] ? r->detail : NULL;
    o->stop_signal = r->stop.signal;
    o->killed = r->stop.killed;
    o->timeout_s = r->stop.cause == STOP_TIMEOUT ? r->cfg->timeout_s : 0;
    o->max_output = run_output_over(r) ? r->cfg->max_output : 0;
    o->errors = tail_text(&r->errors, &o->errors_len);
    if (r->news.gone) {
        run_finish(r, EXIT_GONE);
    } else if (!r->reporter) {
        run_finish(r, outcome_exit_status(o));
    } else {
        auto_buf struct buf bytes = BUF_INIT(REPORT_RESULT_MAX);
        struct result result;
        struct error err = { 0 };
        find_result(r, &bytes, &result, &err);
        outcome_report(o, &result, &r->report);
        deliver(r);
    }
}

/* An end without a process. */
void run_conclude_unstarted(struct run *r, enum outcome_end end, const char *detail)
{
    r->outcome = (struct outcome){ .end = end };
    strncpy(r->detail, detail, sizeof(r->detail) - 1);
    log_error(r->log, log_event("command_not_started"), log_str("reason", detail));
    run_conclude(r);
}

static void keep_report(struct run *r)
{
    struct error err = { 0 };
    auto_free char *path = report_save(&r->report, r->cfg->temp_dir, &err);
    if (path)
        log_error(r->log, log_event("report_not_delivered"), log_str("savedTo", path),
                  log_err(&r->news.why));
    else
        log_error(r->log, log_event("report_not_delivered"), log_str("notSaved", err.msg),
                  log_err(&r->news.why));
    run_finish(r, EXIT_NOT_DELIVERED);
}

void run_reporting(struct run *r)
{
    switch (r->news.end) {
    case DELIVERY_PENDING:
        if (run_now_ms() < r->abandon_ms)
            return;
        r->abandoned = true; /* looking up a name, for one, cannot be broken off */
        error_set(&r->news.why, ERR_TIMEOUT, 0, "the receiver could not be reached in time");
        keep_report(r);
        return;
    case DELIVERY_ACCEPTED:
        log_info(r->log, log_event("report_accepted"),
                 log_str("kind", r->report.kind == REPORT_SUCCESS ? "success" : "failure"));
        run_finish(r, outcome_exit_status(&r->outcome));
        return;
    case DELIVERY_TAKEN:
        log_warn(r->log, log_event("reported_before"), log_err(&r->news.why));
        run_finish(r, outcome_exit_status(&r->outcome));
        return;
    case DELIVERY_GONE:
        log_warn(r->log, log_event("workflow_no_longer_waits"));
        run_finish(r, EXIT_GONE);
        return;
    case DELIVERY_TOO_LARGE:
        if (r->report.kind == REPORT_SUCCESS) {
            size_t size = r->report.len;
            report_release(&r->report);
            outcome_too_large(&r->outcome, size, &r->report);
            deliver(r);
            return;
        }
        break;
    case DELIVERY_REFUSED:
    case DELIVERY_TIMED_OUT:
        break;
    }
    keep_report(r);
}

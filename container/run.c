#include "container/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container/command.h"
#include "container/environment.h"
#include "container/exits.h"
#include "container/outcome.h"
#include "container/relay.h"
#include "container/reporter.h"
#include "container/signalbox.h"
#include "container/stop.h"
#include "container/tail.h"
#include "container/workspace.h"
#include "shared/base/clock.h"

#define GROUP_GRACE_MS  2000 /* for what the command left behind, between SIGTERM and SIGKILL */
#define GROUP_KILLED_MS 1000 /* after SIGKILL: what cannot die now is not waited for */
#define GROUP_POLL_MS   10   /* processes that are not our children end without a word */
#define ABANDON_MS      300  /* after the report's deadline */

/*  PREPARING --input, first heartbeat--> RUNNING --command ended--> DRAINING --its group is gone,
 * all output read--> REPORTING --accepted or given up--> FLUSHING --output written--> DONE A stop
 * before the start and a command that cannot be started go to REPORTING at once; without anybody to
 * report to, and when the workflow no longer waits, REPORTING is left out. */
enum phase {
    PHASE_PREPARING,
    PHASE_RUNNING,
    PHASE_DRAINING,
    PHASE_REPORTING,
    PHASE_FLUSHING,
    PHASE_DONE
};

struct run {
    const struct config *cfg;
    char *const *env;
    const struct fds *fds;
    struct log *log;
    enum phase phase;
    int signal_fd;
    struct reporter *reporter; /* NULL: nobody to report to */
    struct reporter_news news;
    struct workspace files;
    struct command command;
    struct relay *out, *err;
    struct capture *capture;
    struct tail errors;
    struct stop stop;
    int64_t started_ms, ended_ms;
    int64_t group_ms; /* when what is left of the group is killed, and then given up */
    bool group_killed;
    struct outcome outcome;
    char detail[sizeof(((struct error *)0)->msg)];
    struct report report;
    int64_t abandon_ms;
    bool abandoned;
    int exit_status;
};

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

/* ---- the end --------------------------------------------------------------------------------- */

static void finish(struct run *r, int exit_status)
{
    r->exit_status = exit_status;
    r->phase = PHASE_FLUSHING;
}

static void deliver(struct run *r)
{
    int64_t deadline_ms = now_ms() + r->cfg->report_deadline_s * 1000;
    if (r->stop.report_ms < deadline_ms)
        deadline_ms = r->stop.report_ms;
    r->abandon_ms = deadline_ms + ABANDON_MS;
    r->news.end = DELIVERY_PENDING;
    reporter_deliver(r->reporter, &r->report, deadline_ms);
    r->phase = PHASE_REPORTING;
}

/* The result file where it counts and was written, else what was captured. */
static void find_result(struct run *r, struct buf *bytes, struct result *out)
{
    struct error err = { 0 };
    *out = (struct result){ .state = RESULT_ABSENT };
    if (result_mode_reads_file(r->cfg->result) &&
        workspace_read_result(&r->files, bytes, out, &err) < 0)
        log_warn(r->log, log_event("result_file_unreadable"), log_err(&err));
    if (out->state == RESULT_ABSENT && r->capture)
        capture_result(r->capture, out);
}

static void conclude(struct run *r)
{
    struct outcome *o = &r->outcome;
    o->job = r->cfg->job;
    o->detail = r->detail[0] ? r->detail : NULL;
    o->stop_signal = r->stop.signal;
    o->killed = r->stop.killed;
    o->errors = tail_text(&r->errors, &o->errors_len);
    if (r->news.gone) {
        finish(r, EXIT_GONE);
    } else if (!r->reporter) {
        finish(r, outcome_exit_status(o));
    } else {
        auto_buf struct buf bytes = BUF_INIT(REPORT_RESULT_MAX);
        struct result result;
        find_result(r, &bytes, &result);
        outcome_report(o, &result, &r->report);
        deliver(r);
    }
}

/* An end without a process. */
static void conclude_unstarted(struct run *r, enum outcome_end end, const char *detail)
{
    r->outcome = (struct outcome){ .end = end };
    strncpy(r->detail, detail, sizeof(r->detail) - 1);
    log_error(r->log, log_event("command_not_started"), log_str("reason", detail));
    conclude(r);
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
    finish(r, EXIT_NOT_DELIVERED);
}

static void reporting(struct run *r)
{
    switch (r->news.end) {
    case DELIVERY_PENDING:
        if (now_ms() < r->abandon_ms)
            return;
        r->abandoned = true; /* looking up a name, for one, cannot be broken off */
        error_set(&r->news.why, ERR_TIMEOUT, 0, "the receiver could not be reached in time");
        keep_report(r);
        return;
    case DELIVERY_ACCEPTED:
        log_info(r->log, log_event("report_accepted"),
                 log_str("kind", r->report.kind == REPORT_SUCCESS ? "success" : "failure"));
        finish(r, outcome_exit_status(&r->outcome));
        return;
    case DELIVERY_TAKEN:
        log_warn(r->log, log_event("reported_before"), log_err(&r->news.why));
        finish(r, outcome_exit_status(&r->outcome));
        return;
    case DELIVERY_GONE:
        log_warn(r->log, log_event("workflow_no_longer_waits"));
        finish(r, EXIT_GONE);
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

static void flushing(struct run *r)
{
    if ((relay_pending(r->out) || relay_pending(r->err)) && now_ms() < r->stop.deadline_ms)
        return;
    r->phase = PHASE_DONE;
}

/* ---- the command ----------------------------------------------------------------------------- */

static void on_output(void *arg, const char *p, size_t len)
{
    struct run *r = arg;
    capture_add(r->capture, p, len);
}

static void on_errors(void *arg, const char *p, size_t len)
{
    struct run *r = arg;
    tail_add(&r->errors, p, len);
}

static int open_relays(struct run *r, struct command_spec *spec, struct error *err)
{
    if (!r->reporter) /* nothing is captured, so nothing is in the way */
        return 0;
    if (result_mode_reads_stdout(r->cfg->result) && r->fds->given[STDOUT_FILENO]) {
        r->capture = capture_new(r->cfg->result);
        r->out = relay_open(STDOUT_FILENO, on_output, r, &spec->stdout_fd, err);
        if (!r->out)
            return -1;
    }
    if (r->cfg->stderr_tail > 0 && r->fds->given[STDERR_FILENO]) {
        tail_init(&r->errors, (size_t)r->cfg->stderr_tail);
        r->err = relay_open(STDERR_FILENO, on_errors, r, &spec->stderr_fd, err);
        if (!r->err)
            return -1;
    }
    return 0;
}

static int start_command(struct run *r, struct error *err)
{
    static char self[] = "/proc/self/exe", sample[] = "sample";
    char *const sample_argv[] = { self, sample, NULL };
    struct environment env;
    environment_init(&env, r->env);
    environment_set(&env, "CALLBACK_INPUT_FILE", r->files.input_path);
    environment_set(&env, "CALLBACK_RESULT_FILE",
                    result_mode_reads_file(r->cfg->result) ? r->files.result_path : NULL);
    struct command_spec spec = { .argv = r->cfg->arg_count ? r->cfg->args : sample_argv,
                                 .env = env.vars,
                                 .fds = r->fds,
                                 .stdout_fd = -1,
                                 .stderr_fd = -1 };
    int rc = open_relays(r, &spec, err);
    r->started_ms = now_ms();
    if (rc == 0)
        rc = command_start(&r->command, &spec, err);
    mem_close_fd(&spec.stdout_fd);
    mem_close_fd(&spec.stderr_fd);
    environment_release(&env);
    return rc;
}

/* Puts the input where the command finds it. false where it is required and not there. */
static bool place_input(struct run *r)
{
    struct error err = r->news.why;
    if (r->news.input == INPUT_PRESENT) {
        size_t len = 0;
        auto_free char *text = reporter_take_input(r->reporter, &len);
        if (text && workspace_write_input(&r->files, text, len, &err) == 0)
            return true;
    } else if (r->news.input == INPUT_ABSENT) {
        if (!r->cfg->require_input)
            return true;
        error_set(&err, ERR_NOT_FOUND, 0, "there is no input for this job");
    }
    error_wrap(&err, "input");
    if (r->cfg->require_input) {
        conclude_unstarted(r, OUTCOME_NO_INPUT, err.msg);
        return false;
    }
    log_warn(r->log, log_event("started_without_input"), log_err(&err));
    return true;
}

static void preparing(struct run *r)
{
    if (r->news.gone) {
        finish(r, EXIT_GONE);
        return;
    }
    if (r->stop.signal) {
        conclude_unstarted(r, OUTCOME_NEVER_STARTED, "asked to stop before");
        return;
    }
    if (r->reporter && (!r->news.prepared || !place_input(r)))
        return;
    struct error err = { 0 };
    if (start_command(r, &err) == 0) {
        log_debug(r->log, log_event("command_started"), log_int("pid", r->command.pid));
        r->phase = PHASE_RUNNING;
        return;
    }
    conclude_unstarted(r,
                       err.code == ERR_NOT_FOUND ? OUTCOME_NOT_FOUND
                       : err.code == ERR_DENIED  ? OUTCOME_NOT_EXECUTABLE
                                                 : OUTCOME_START_FAILED,
                       err.msg);
}

static void command_ended(struct run *r)
{
    int status = r->command.wait_status;
    bool exited = WIFEXITED(status);
    r->ended_ms = now_ms();
    r->outcome.end = exited ? OUTCOME_EXITED : OUTCOME_SIGNALED;
    r->outcome.number = exited ? WEXITSTATUS(status) : WTERMSIG(status);
    r->outcome.duration_ms = r->ended_ms - r->started_ms;
    r->outcome.max_rss_bytes = r->command.max_rss_bytes;
    command_signal(&r->command, SIGTERM); /* what it left behind */
    r->group_ms = r->ended_ms + GROUP_GRACE_MS;
    if (r->stop.kill_ms < r->group_ms)
        r->group_ms = r->stop.kill_ms;
    r->phase = PHASE_DRAINING;
}

static void running(struct run *r)
{
    if (r->command.ended) {
        command_ended(r);
        return;
    }
    if (r->news.gone && !r->stop.term_sent) {
        stop_gone(&r->stop, now_ms(), r->cfg->stop_timeout_s * 1000);
        command_signal(&r->command, SIGTERM);
    }
    if (!r->stop.killed && now_ms() >= r->stop.kill_ms) {
        r->stop.killed = true;
        log_warn(r->log, log_event("command_killed"));
        command_signal(&r->command, SIGKILL);
    }
}

static void draining(struct run *r)
{
    if (command_group_alive(&r->command)) {
        if (now_ms() < r->group_ms)
            return;
        if (!r->group_killed) {
            r->group_killed = true;
            r->group_ms = now_ms() + GROUP_KILLED_MS;
            command_signal(&r->command, SIGKILL);
            return;
        }
    }
    relay_finish(r->out);
    relay_finish(r->err);
    log_info(r->log, log_event("command_ended"),
             log_int(r->outcome.end == OUTCOME_EXITED ? "exitCode" : "signal", r->outcome.number),
             log_int("durationMs", r->outcome.duration_ms));
    int failure = relay_failure(r->out) ? relay_failure(r->out) : relay_failure(r->err);
    if (failure)
        log_warn(r->log, log_event("output_lost"), log_str("reason", strerror(failure)));
    conclude(r);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void advance(struct run *r)
{
    enum phase before;
    do {
        before = r->phase;
        switch (r->phase) {
        case PHASE_PREPARING:
            preparing(r);
            break;
        case PHASE_RUNNING:
            running(r);
            break;
        case PHASE_DRAINING:
            draining(r);
            break;
        case PHASE_REPORTING:
            reporting(r);
            break;
        case PHASE_FLUSHING:
            flushing(r);
            break;
        case PHASE_DONE:
            break;
        }
    } while (r->phase != before);
}

static void on_signal(struct run *r, int number)
{
    if (number == SIGCHLD) {
        command_reap(&r->command);
        return;
    }
    if (r->phase == PHASE_RUNNING)
        command_signal(&r->command, number);
    if ((number != SIGTERM && number != SIGINT) || r->stop.signal)
        return;
    stop_asked(&r->stop, number, now_ms(), r->cfg->stop_timeout_s * 1000);
    if (r->phase == PHASE_REPORTING) {
        reporter_hurry(r->reporter, r->stop.report_ms);
        if (r->stop.report_ms + ABANDON_MS < r->abandon_ms)
            r->abandon_ms = r->stop.report_ms + ABANDON_MS;
    }
    if (r->phase == PHASE_DRAINING && r->stop.kill_ms < r->group_ms)
        r->group_ms = r->stop.kill_ms;
}

/* How long poll may sleep: until the next time that the phase waits for. */
static int timeout_ms(const struct run *r)
{
    int64_t at = STOP_NEVER;
    if (r->phase == PHASE_RUNNING && !r->stop.killed)
        at = r->stop.kill_ms;
    else if (r->phase == PHASE_DRAINING)
        return GROUP_POLL_MS;
    else if (r->phase == PHASE_REPORTING)
        at = r->abandon_ms;
    else if (r->phase == PHASE_FLUSHING)
        at = r->stop.deadline_ms;
    if (at == STOP_NEVER)
        return -1;
    int64_t left = at - now_ms();
    return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static void wait_for_events(struct run *r)
{
    struct pollfd fds[] = {
        { .fd = r->signal_fd, .events = POLLIN },
        { .fd = r->reporter ? reporter_fd(r->reporter) : -1, .events = POLLIN },
        relay_poll(r->out),
        relay_poll(r->err),
    };
    if (poll(fds, ARRAY_LEN(fds), timeout_ms(r)) <= 0)
        return;
    if (fds[0].revents)
        for (int number; (number = signalbox_next(r->signal_fd)) != 0;)
            on_signal(r, number);
    if (fds[1].revents)
        reporter_news(r->reporter, &r->news);
    relay_run(r->out, fds[2].revents);
    relay_run(r->err, fds[3].revents);
}

static int open_all(struct run *r, struct error *err)
{
    const struct config *cfg = r->cfg;
    r->signal_fd = signalbox_open(err); /* before any thread */
    if (r->signal_fd < 0 || command_adopt_orphans(err) < 0)
        return -1;
    bool wants_input = !cfg->no_input && !cfg->no_callback;
    if (wants_input || result_mode_reads_file(cfg->result)) {
        struct error why = { 0 };
        if (workspace_open(&r->files, cfg->temp_dir, cfg->result_file, &why) < 0)
            log_warn(r->log, log_event("no_temporary_folder"), log_err(&why));
    }
    if (cfg->no_callback)
        return 0;
    struct reporter_config rc = {
        .url = cfg->url,
        .token = cfg->token,
        .heartbeat_ms = cfg->heartbeat_s * 1000 / 3,
        .want_input = wants_input,
        .input_wait_ms = cfg->input_timeout_s * 1000,
        .log = r->log,
    };
    r->reporter = reporter_start(&rc, err);
    return r->reporter ? 0 : -1;
}

static void close_all(struct run *r)
{
    if (!r->abandoned)
        reporter_stop(r->reporter);
    relay_close(r->out);
    relay_close(r->err);
    capture_free(r->capture);
    tail_release(&r->errors);
    report_release(&r->report);
    workspace_close(&r->files);
    mem_close_fd(&r->signal_fd);
}

int run(const struct config *cfg, char *const *env, const struct fds *fds, struct log *log,
        bool *abandoned)
{
    struct error err = { 0 };
    struct run r = { .cfg = cfg,
                     .env = env,
                     .fds = fds,
                     .log = log,
                     .signal_fd = -1,
                     .exit_status = EXIT_START_FAILED };
    stop_init(&r.stop);
    if (open_all(&r, &err) < 0) {
        log_error(log, log_event("cannot_start"), log_err(&err));
    } else {
        while (advance(&r), r.phase != PHASE_DONE)
            wait_for_events(&r);
    }
    close_all(&r);
    *abandoned = r.abandoned;
    return r.exit_status;
}

#include "container/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container/exits.h"
#include "container/orphans.h"
#include "container/run_state.h"
#include "container/signalbox.h"
#include "shared/base/clock.h"

#define REST_GRACE_MS  2000 /* for what the command left behind, between SIGTERM and SIGKILL */
#define REST_KILLED_MS 1000 /* after SIGKILL: what cannot die now is not waited for */
#define REST_POLL_MS   10   /* while it is being killed: its children become ours then */

int64_t run_now_ms(void)
{
    return clock_mono_ms(clock_system());
}

bool run_output_over(const struct run *r)
{
    return r->cfg->max_output > 0 && r->output_bytes > r->cfg->max_output;
}

static void flushing(struct run *r)
{
    if ((relay_pending(r->out) || relay_pending(r->err)) && run_now_ms() < r->stop.deadline_ms)
        return;
    r->phase = PHASE_DONE;
}

/* ---- the command ----------------------------------------------------------------------------- */

/* To all that the command is and has left behind. */
static void signal_rest(struct run *r, int number)
{
    command_signal(&r->command, number);
    orphans_signal(number);
}

static void command_ended(struct run *r)
{
    int status = r->command.wait_status;
    bool exited = WIFEXITED(status);
    r->ended_ms = run_now_ms();
    r->outcome.end = exited ? OUTCOME_EXITED : OUTCOME_SIGNALED;
    r->outcome.number = exited ? WEXITSTATUS(status) : WTERMSIG(status);
    r->outcome.duration_ms = r->ended_ms - r->started_ms;
    r->outcome.max_rss_bytes = r->command.max_rss_bytes;
    r->outcome.oom_kills = oom_kills(&r->oom);
    command_reap(&r->command);
    if (!r->command.alone)
        signal_rest(r, SIGTERM);
    r->rest_ms = r->ended_ms + REST_GRACE_MS;
    if (r->stop.kill_ms < r->rest_ms)
        r->rest_ms = r->stop.kill_ms;
    r->phase = PHASE_DRAINING;
}

static int64_t timeout_at(const struct run *r)
{
    return r->cfg->timeout_s > 0 ? r->started_ms + r->cfg->timeout_s * 1000 : STOP_NEVER;
}

static void running(struct run *r)
{
    if (r->command.ended) {
        command_ended(r);
        return;
    }
    int64_t now = run_now_ms();
    enum stop_cause cause = r->news.gone           ? STOP_GONE
                            : now >= timeout_at(r) ? STOP_TIMEOUT
                            : run_output_over(r)   ? STOP_OUTPUT
                                                   : STOP_NO_CAUSE;
    if (cause != STOP_NO_CAUSE && stop_command(&r->stop, cause, now, r->cfg->stop_timeout_s * 1000))
        command_signal(&r->command, SIGTERM);
    if (!r->stop.killed && now >= r->stop.kill_ms) {
        r->stop.killed = true;
        log_warn(r->log, log_event("command_killed"));
        command_signal(&r->command, SIGKILL);
    }
}

/* Whether something of the command's is left that is worth waiting for. */
static bool rest_holds(struct run *r)
{
    command_reap(&r->command);
    if (r->command.alone)
        return false;
    int64_t now = run_now_ms();
    if (!r->rest_killed && now >= r->rest_ms) {
        r->rest_killed = true;
        r->rest_ms = now + REST_KILLED_MS;
    }
    if (r->rest_killed)
        signal_rest(r, SIGKILL);
    return !r->rest_killed || now < r->rest_ms;
}

static void draining(struct run *r)
{
    if (rest_holds(r))
        return;
    relay_finish(r->out);
    relay_finish(r->err);
    log_info(r->log, log_event("command_ended"),
             log_int(r->outcome.end == OUTCOME_EXITED ? "exitCode" : "signal", r->outcome.number),
             log_int("durationMs", r->outcome.duration_ms));
    int failure = relay_failure(r->out) ? relay_failure(r->out) : relay_failure(r->err);
    if (failure)
        log_warn(r->log, log_event("output_lost"), log_str("reason", strerror(failure)));
    run_conclude(r);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void advance(struct run *r)
{
    enum phase before;
    do {
        before = r->phase;
        switch (r->phase) {
        case PHASE_PREPARING:
            run_preparing(r);
            break;
        case PHASE_RUNNING:
            running(r);
            break;
        case PHASE_DRAINING:
            draining(r);
            break;
        case PHASE_REPORTING:
            run_reporting(r);
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
    stop_asked(&r->stop, number, run_now_ms(), r->cfg->stop_timeout_s * 1000);
    if (r->phase == PHASE_REPORTING) {
        reporter_hurry(r->reporter, r->stop.report_ms);
        if (r->stop.report_ms + RUN_ABANDON_MS < r->abandon_ms)
            r->abandon_ms = r->stop.report_ms + RUN_ABANDON_MS;
    }
    if (r->phase == PHASE_DRAINING && r->stop.kill_ms < r->rest_ms)
        r->rest_ms = r->stop.kill_ms;
}

/* How long poll may sleep: until the next time that the phase waits for. */
static int timeout_ms(const struct run *r)
{
    int64_t at = STOP_NEVER;
    if (r->phase == PHASE_RUNNING && !r->stop.killed)
        at = r->stop.cause == STOP_NO_CAUSE && timeout_at(r) < r->stop.kill_ms ? timeout_at(r)
                                                                               : r->stop.kill_ms;
    else if (r->phase == PHASE_DRAINING)
        return REST_POLL_MS;
    else if (r->phase == PHASE_REPORTING)
        at = r->abandon_ms;
    else if (r->phase == PHASE_FLUSHING)
        at = r->stop.deadline_ms;
    if (at == STOP_NEVER)
        return -1;
    int64_t left = at - run_now_ms();
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
    if (r->signal_fd < 0)
        return -1;
    struct error alone = { 0 };
    if (command_adopt_orphans(&alone) < 0)
        log_warn(r->log, log_event("orphans_not_adopted"), log_err(&alone));
    bool wants_input = !cfg->no_input && !cfg->no_callback;
    if (wants_input || result_mode_reads_file(cfg->result) || cfg->hide_token) {
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
    if (!r->reporter)
        return -1;
    reporter_news(r->reporter, &r->news); /* with nothing to prepare there is no other news */
    return 0;
}

static void close_all(struct run *r)
{
    if (!r->abandoned) {
        broker_stop(r->broker);
        reporter_stop(r->reporter);
    }
    oom_release(&r->oom);
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

/* run_start.c - PREPARING: the input, the command's environment and streams, its start. */
#include "container/run_state.h"

#include <stdlib.h>
#include <unistd.h>

#include "container/environment.h"
#include "container/exits.h"

/* ---- the command ----------------------------------------------------------------------------- */

/* How much of `len` more bytes of output is within --max-output. */
static size_t admit(struct run *r, size_t len)
{
    int64_t max = r->cfg->max_output;
    int64_t room = r->output_bytes < max ? max - r->output_bytes : 0;
    r->output_bytes += (int64_t)len;
    return max == 0 || (int64_t)len <= room ? len : (size_t)room;
}

static size_t on_output(void *arg, const char *p, size_t len)
{
    struct run *r = arg;
    if (r->capture)
        capture_add(r->capture, p, len);
    return admit(r, len);
}

static size_t on_errors(void *arg, const char *p, size_t len)
{
    struct run *r = arg;
    tail_add(&r->errors, p, len);
    return admit(r, len);
}

/* A stream that nobody has to look at is the command's own, as it was given. */
static int open_relays(struct run *r, struct command_spec *spec, struct error *err)
{
    bool counted = r->cfg->max_output > 0;
    bool result = r->reporter && result_mode_reads_stdout(r->cfg->result);
    bool tail = r->reporter && r->cfg->stderr_tail > 0;
    if (result)
        r->capture = capture_new(r->cfg->result);
    if (tail)
        tail_init(&r->errors, (size_t)r->cfg->stderr_tail);
    if ((result || counted) && r->fds->given[STDOUT_FILENO]) {
        r->out = relay_open(STDOUT_FILENO, on_output, r, &spec->stdout_fd, err);
        if (!r->out)
            return -1;
    }
    if ((tail || counted) && r->fds->given[STDERR_FILENO]) {
        r->err = relay_open(STDERR_FILENO, on_errors, r, &spec->stderr_fd, err);
        if (!r->err)
            return -1;
    }
    return 0;
}

/* The command's variables. With --hide-token it has a socket in place of the token. */
static int set_environment(struct run *r, struct environment *env, struct error *err)
{
    auto_free char *socket = NULL;
    if (r->cfg->hide_token && r->reporter) {
        if (!r->files.folder)
            return error_set(err, ERR_IO, 0, "there is no temporary folder for the socket");
        socket = mem_printf("%s/socket", r->files.folder);
        r->broker = broker_start(socket, r->cfg->url, r->cfg->token, err);
        if (!r->broker)
            return error_wrap(err, "--hide-token");
    }
    if (r->cfg->hide_token)
        environment_set(env, "CALLBACK_TOKEN", NULL);
    environment_set(env, "CALLBACK_SOCKET", socket);
    environment_set(env, "CALLBACK_INPUT_FILE", r->files.input_path);
    environment_set(env, "CALLBACK_RESULT_FILE",
                    result_mode_reads_file(r->cfg->result) ? r->files.result_path : NULL);
    return 0;
}

static int start_command(struct run *r, struct error *err)
{
    static char self[] = "/proc/self/exe", sample[] = "sample";
    char *const sample_argv[] = { self, sample, NULL };
    struct environment env;
    environment_init(&env, r->env);
    int rc = set_environment(r, &env, err);
    struct command_spec spec = { .argv = r->cfg->arg_count ? r->cfg->args : sample_argv,
                                 .env = env.vars,
                                 .fds = r->fds,
                                 .stdout_fd = -1,
                                 .stderr_fd = -1 };
    if (rc == 0)
        rc = open_relays(r, &spec, err);
    oom_open(&r->oom, "/proc/self/cgroup", "/sys/fs/cgroup");
    r->started_ms = run_now_ms();
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
        run_conclude_unstarted(r, OUTCOME_NO_INPUT, err.msg);
        return false;
    }
    log_warn(r->log, log_event("started_without_input"), log_err(&err));
    return true;
}

void run_preparing(struct run *r)
{
    if (r->news.gone) {
        run_finish(r, EXIT_GONE);
        return;
    }
    if (r->stop.signal) {
        run_conclude_unstarted(r, OUTCOME_NEVER_STARTED, "asked to stop before");
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
    run_conclude_unstarted(r,
                           err.code == ERR_NOT_FOUND ? OUTCOME_NOT_FOUND
                           : err.code == ERR_DENIED  ? OUTCOME_NOT_EXECUTABLE
                                                     : OUTCOME_START_FAILED,
                           err.msg);
}

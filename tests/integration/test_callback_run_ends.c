/* Every way in which a run can end: what is reported, how often, and the exit status. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local/stack/program.h"
#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "tests/integration/fake_receiver.h"

#define LIST(...)  ((const char *const[]){ __VA_ARGS__, NULL })
#define QUIET      LIST("--heartbeat=0", "--no-input")
#define PATIENCE   60000
#define MOMENT_MS  300
#define CGROUP_MEM "/sys/fs/cgroup/memory"

static void pause_ms(int64_t ms)
{
    clock_sleep_ms(clock_system(), ms);
}

/* The last report that came. */
static const struct fake_request *last_report(struct fake *f)
{
    int n = fake_count(f, NULL);
    return n > 0 ? fake_get(f, NULL, n - 1) : NULL;
}

static void assert_failure(struct fake *f, const char *type, const char *says, const char *what)
{
    auto_json struct json_object *body = NULL;
    const struct fake_request *req = last_report(f);
    cr_assert_not_null(req, "%s: no report", what);
    cr_assert_str_eq(req->path, "failure", "%s", what);
    cr_assert(req->authorized);
    cr_assert_eq(json_parse(req->body, req->len, JSON_DEPTH, &body, NULL), 0, "%s", req->body);
    cr_assert_str_eq(json_get_str(body, "errorType"), type, "%s: %s", what, req->body);
    cr_assert(strstr(req->body, says), "%s: %s", what, req->body);
}

/* ---- exit statuses and signals --------------------------------------------------------------- */

static void run_once(const char *script, int status, struct fake *f)
{
    struct job j;
    job_start(&j, &(struct job_setup){ .port = fake_port(f), .options = QUIET }, script);
    job_wait(&j, PATIENCE);
    cr_assert_eq(j.status, status, "%s: %d %s", script, j.status, j.err);
    cr_assert_eq(fake_count(f, NULL), 1, "%s: it is reported once", script);
    job_release(&j);
}

Test(callback_run_ends, every_exit_status)
{
    for (int status = 0; status <= 255; status++) {
        struct fake *f = fake_start(0, NULL, NULL);
        auto_free char *script = mem_printf("exit %d", status);
        auto_free char *says = mem_printf("exit status %d\"", status);
        auto_free char *data = mem_printf("{\\\"exitCode\\\":%d,\\\"durationMs\\\":", status);
        run_once(script, status, f);
        if (status > 0) {
            assert_failure(f, "Task.ExitCode", says, script);
            assert_failure(f, "Task.ExitCode", data, script);
            assert_failure(f, "Task.ExitCode", "maxRssBytes", script);
        } else {
            cr_assert_str_eq(last_report(f)->path, "success");
            cr_assert_str_eq(last_report(f)->body, "null");
        }
        fake_stop(f);
    }
}

/* By signal(7): the default action of these is not to end the process. */
static bool harmless(int number)
{
    return number == SIGCHLD || number == SIGCONT || number == SIGSTOP || number == SIGTSTP ||
           number == SIGTTIN || number == SIGTTOU || number == SIGURG || number == SIGWINCH;
}

Test(callback_run_ends, every_signal)
{
    for (int number = 1; number < 32; number++) {
        struct fake *f = fake_start(0, NULL, NULL);
        auto_free char *script = mem_printf("ulimit -c 0; kill -%d $$; echo alive", number);
        auto_free char *says = mem_printf("killed by signal %d (SIG", number);
        auto_free char *data = mem_printf("{\\\"signal\\\":%d,", number);
        if (number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU) {
            fake_stop(f);
            continue; /* it stops, see below */
        }
        if (harmless(number)) {
            run_once(script, 0, f);
            cr_assert_str_eq(last_report(f)->body, "alive", "%s", script);
        } else {
            run_once(script, 128 + number, f);
            assert_failure(f, "Task.Signal", says, script);
            assert_failure(f, "Task.Signal", data, script);
        }
        fake_stop(f);
    }
    static const int real_time[] = { 34, 50, 64 };
    for (size_t i = 0; i < ARRAY_LEN(real_time); i++) {
        struct fake *f = fake_start(0, NULL, NULL);
        auto_free char *script = mem_printf("kill -%d $$", real_time[i]);
        auto_free char *says = mem_printf("killed by signal %d (signal)", real_time[i]);
        run_once(script, 128 + real_time[i], f);
        assert_failure(f, "Task.Signal", says, script);
        fake_stop(f);
    }
}

/* ---- the table ------------------------------------------------------------------------------- */

struct ending {
    const char *name;
    const char *script;
    const char *options[5];
    struct fake_rule rules[3];
    int signal;      /* sent once the command has made the file "up"; 0: none */
    int status;      /* the exit status */
    const char *end; /* "success", "failure" or NULL: nothing is reported */
    const char *says;
    int times;       /* how often it was sent; 0 with an end: at least twice */
    const char *log; /* on standard error, or NULL */
};

#define UP      "touch $FOLDER/up; "
#define FOREVER "while :; do sleep 0.05; done"
#define KEPT    "\"savedTo\":\"/"

static const struct ending endings[] = {
    { .name = "a command that is not there",
      .options = { "--", "no-such-command" },
      .status = 127,
      .end = "failure",
      .says = "Task.NotFound",
      .times = 1 },
    { .name = "one that is a folder",
      .options = { "--", "/" },
      .status = 126,
      .end = "failure",
      .says = "Task.NotExecutable",
      .times = 1 },
    { .name = "one without the permission",
      .options = { "--", "/etc/passwd" },
      .status = 126,
      .end = "failure",
      .says = "Task.NotExecutable",
      .times = 1 },

    { .name = "longer than it may",
      .script = "exec sleep 600",
      .options = { "--timeout=1" },
      .status = 124,
      .end = "failure",
      .says = "Task.Timeout",
      .times = 1 },
    { .name = "the same, and it heeds SIGTERM",
      .script = "trap 'exit 0' TERM; " FOREVER,
      .options = { "--timeout=1" },
      .status = 124,
      .end = "failure",
      .says = "ran longer than 1 s\"",
      .times = 1 },
    { .name = "the same, and it ignores SIGTERM",
      .script = "trap '' TERM; " FOREVER,
      .options = { "--timeout=1", "--stop-timeout=1" },
      .status = 124,
      .end = "failure",
      .says = "ran longer than 1 s; SIGTERM did not end it",
      .times = 1,
      .log = "command_killed" },
    { .name = "within its time",
      .script = "echo 1",
      .options = { "--timeout=600" },
      .end = "success",
      .says = "1",
      .times = 1 },
    { .name = "more than it may write",
      .script = "yes",
      .options = { "--max-output=1000" },
      .status = 153,
      .end = "failure",
      .says = "Task.OutputTooLarge",
      .times = 1 },
    { .name = "the same on both streams, and it ends by itself",
      .script = "head -c 600 /dev/zero; head -c 600 /dev/zero >&2",
      .options = { "--max-output=1000" },
      .status = 153,
      .end = "failure",
      .says = "wrote more than 1000 bytes",
      .times = 1 },
    { .name = "as much as it may write",
      .script = "echo 12345; echo 123 >&2",
      .options = { "--max-output=10" },
      .end = "success",
      .says = "12345",
      .times = 1 },

    { .name = "stopped",
      .script = UP "exec sleep 600",
      .signal = SIGTERM,
      .status = 143,
      .end = "failure",
      .says = "Task.Stopped",
      .times = 1 },
    { .name = "interrupted",
      .script = UP "exec sleep 600",
      .signal = SIGINT,
      .status = 130,
      .end = "failure",
      .says = "Task.Stopped",
      .times = 1 },
    { .name = "stopped, and it ends in time with a result",
      .script = "trap 'echo saved; exit 0' TERM; " UP FOREVER,
      .signal = SIGTERM,
      .end = "success",
      .says = "saved",
      .times = 1 },
    { .name = "stopped, and it ends in time with a status",
      .script = "trap 'exit 9' TERM; " UP FOREVER,
      .signal = SIGTERM,
      .status = 9,
      .end = "failure",
      .says = "Task.ExitCode",
      .times = 1 },
    { .name = "stopped, and it does not end",
      .script = "trap '' TERM; " UP FOREVER,
      .options = { "--stop-timeout=2" },
      .signal = SIGTERM,
      .status = 137,
      .end = "failure",
      .says = "SIGTERM did not end it in time",
      .times = 1 },
    { .name = "stopped while it is suspended",
      .script = UP "kill -STOP $$; echo on",
      .signal = SIGTERM,
      .status = 143,
      .end = "failure",
      .says = "Task.Stopped",
      .times = 1 },
    { .name = "stopped while the receiver is away",
      .script = UP "exec sleep 600",
      .options = { "--stop-timeout=2" },
      .rules = { { "failure", 1, 0, FAKE_ABORT, NULL } },
      .signal = SIGTERM,
      .status = 74,
      .end = "failure",
      .says = "Task.Stopped",
      .times = 0,
      .log = KEPT },

    { .name = "410 before the start",
      .script = "echo 1",
      .rules = { { "heartbeat", 1, 0, 410, NULL } },
      .status = 75,
      .log = "no_longer_waits" },
    { .name = "410 to the question for the input",
      .script = "echo 1",
      .rules = { { "input", 1, 0, 410, NULL } },
      .status = 75,
      .log = "no_longer_waits" },
    { .name = "410 while it runs",
      .script = "exec sleep 600",
      .options = { "--heartbeat=1" },
      .rules = { { "heartbeat", 4, 0, 410, NULL } },
      .status = 75,
      .log = "no_longer_waits" },
    { .name = "410 while it runs, and it ends with 0",
      .script = "trap 'exit 0' TERM; " FOREVER,
      .options = { "--heartbeat=1" },
      .rules = { { "heartbeat", 4, 0, 410, NULL } },
      .status = 75 },
    { .name = "410 while it runs, and it ignores SIGTERM",
      .script = "trap '' TERM; " FOREVER,
      .options = { "--heartbeat=1", "--stop-timeout=1" },
      .rules = { { "heartbeat", 4, 0, 410, NULL } },
      .status = 75,
      .log = "command_killed" },
    { .name = "410 to the report",
      .script = "echo 1",
      .rules = { { "success", 1, 0, 410, NULL } },
      .status = 75,
      .end = "success",
      .says = "1",
      .times = 1,
      .log = "no_longer_waits" },
    { .name = "another report came first",
      .script = "exit 3",
      .rules = { { "failure", 1, 0, 409, NULL } },
      .status = 3,
      .end = "failure",
      .says = "Task.ExitCode",
      .times = 1,
      .log = "reported_before" },
    { .name = "an expired token",
      .script = "echo 1",
      .rules = { { "success", 1, 2, 503, NULL }, { "success", 3, 0, 401, NULL } },
      .status = 74,
      .end = "success",
      .says = "1",
      .times = 3,
      .log = KEPT },

    { .name = "500 to the report, twice",
      .script = "echo 1",
      .rules = { { "success", 1, 2, 500, NULL } },
      .end = "success",
      .says = "1",
      .times = 3 },
    { .name = "502, then cut off, then accepted",
      .script = "exit 4",
      .rules = { { "failure", 1, 1, 502, NULL }, { "failure", 2, 1, FAKE_ABORT, NULL } },
      .status = 4,
      .end = "failure",
      .says = "Task.ExitCode",
      .times = 3 },
    { .name = "429 with Retry-After",
      .script = "echo 1",
      .rules = { { "success", 1, 1, 429, "1" } },
      .end = "success",
      .says = "1",
      .times = 2 },
    { .name = "503 to everything but the report",
      .script = "echo 1",
      .options = { "--input-timeout=1" },
      .rules = { { "heartbeat", 1, 0, 503, "1" }, { "input", 1, 0, 503, NULL } },
      .end = "success",
      .says = "1",
      .times = 1,
      .log = "heartbeat_failed" },
    { .name = "heartbeats cut off",
      .script = "echo 1",
      .options = { "--heartbeat=1" },
      .rules = { { "heartbeat", 1, 0, FAKE_ABORT, NULL } },
      .end = "success",
      .says = "1",
      .times = 1,
      .log = "heartbeat_failed" },
    { .name = "500 to the report for ever",
      .script = "echo 1",
      .options = { "--report-deadline=2" },
      .rules = { { "success", 1, 0, 500, NULL } },
      .status = 74,
      .end = "success",
      .says = "1",
      .times = 0,
      .log = KEPT },
    { .name = "429 that asks for more time than there is",
      .script = "echo 1",
      .options = { "--report-deadline=2" },
      .rules = { { "success", 1, 0, 429, "3600" } },
      .status = 74,
      .end = "success",
      .says = "1",
      .times = 0,
      .log = KEPT },
    { .name = "a result that is too large",
      .script = "head -c 300000 /dev/zero | tr '\\0' x",
      .end = "failure",
      .says = "300000 bytes",
      .times = 1 },
    { .name = "one that the receiver finds too large",
      .script = "head -c 250000 /dev/zero | tr '\\0' x",
      .rules = { { "success", 1, 0, 413, NULL } },
      .end = "failure",
      .says = "250000 bytes",
      .times = 2 },
    { .name = "even the failure is too large for it",
      .script = "exit 1",
      .rules = { { "failure", 1, 0, 413, NULL } },
      .status = 74,
      .end = "failure",
      .says = "Task.ExitCode",
      .times = 1,
      .log = KEPT },
    { .name = "a report that it does not understand",
      .script = "echo 1",
      .rules = { { "success", 1, 0, 400, NULL } },
      .status = 74,
      .end = "success",
      .says = "1",
      .times = 1,
      .log = KEPT },
};

Test(callback_run_ends, of_every_kind)
{
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        const struct ending *e = &endings[i];
        struct fake *f = fake_start(0, e->rules, NULL);
        const struct job_setup setup = { .port = fake_port(f), .options = e->options };
        struct job j;
        if (e->script)
            job_start(&j, &setup, e->script);
        else
            job_start_args(&j, &setup, NULL);
        if (e->signal) {
            job_await_file(&j, "up");
            if (strstr(e->script, "STOP"))
                pause_ms(MOMENT_MS);
            kill(j.pid, e->signal);
        }
        job_wait(&j, PATIENCE);
        cr_assert_eq(j.status, e->status, "%s: %d %s", e->name, j.status, j.err);
        int times = fake_count(f, NULL);
        const struct fake_request *last = last_report(f);
        if (!e->end) {
            cr_assert_eq(times, 0, "%s: reported", e->name);
        } else {
            cr_assert(e->times ? times == e->times : times >= 2, "%s: %d times", e->name, times);
            cr_assert_str_eq(last->path, e->end, "%s", e->name);
            cr_assert(strstr(last->body, e->says), "%s: %s", e->name, last->body);
            cr_assert(last->authorized);
        }
        cr_assert(!e->log || strstr(j.err, e->log), "%s: %s", e->name, j.err);
        if (!e->log || strcmp(e->log, KEPT) != 0)
            cr_assert_null(strstr(j.err, KEPT), "%s: %s", e->name, j.err);
        job_release(&j);
        fake_stop(f);
    }
}

/* ---- a receiver that is away ----------------------------------------------------------------- */

static const char waits_for_go[] =
    "touch $FOLDER/up; while [ ! -e $FOLDER/go ]; do sleep 0.02; done; rm $FOLDER/go $FOLDER/up; "
    "echo '\"done\"'";

static void assert_done_once(struct fake *f, const struct job *j)
{
    cr_assert_eq(j->status, 0, "%s", j->err);
    cr_assert_eq(fake_count(f, NULL), 1);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "\"done\"");
}

Test(callback_run_away, at_the_start)
{
    int port = program_free_port();
    struct job j;
    job_start(
        &j,
        &(struct job_setup){ .port = port, .options = LIST("--input-timeout=1", "--heartbeat=1") },
        waits_for_go);
    job_await_file(&j, "up"); /* it runs all the same */
    struct fake *f = fake_start(port, NULL, NULL);
    fake_wait(f, "heartbeat", 2, PATIENCE);
    job_let_go(&j);
    job_wait(&j, PATIENCE);
    assert_done_once(f, &j);
    cr_assert(strstr(j.err, "heartbeat_accepted_again"), "%s", j.err);
    job_release(&j);
    fake_stop(f);
}

Test(callback_run_away, in_the_middle)
{
    struct fake *before = fake_start(0, NULL, NULL);
    int port = fake_port(before);
    struct job j;
    job_start(&j, &(struct job_setup){ .port = port, .options = LIST("--heartbeat=1") },
              waits_for_go);
    job_await_file(&j, "up");
    cr_assert_geq(fake_count(before, "heartbeat"), 1, "before the command");
    fake_stop(before);
    pause_ms(3 * MOMENT_MS); /* heartbeats are lost */
    struct fake *after = fake_start(port, NULL, NULL);
    fake_wait(after, "heartbeat", 2, PATIENCE);
    job_let_go(&j);
    job_wait(&j, PATIENCE);
    assert_done_once(after, &j);
    cr_assert(strstr(j.err, "heartbeat_failed") && strstr(j.err, "heartbeat_accepted_again"));
    job_release(&j);
    fake_stop(after);
}

Test(callback_run_away, at_the_end)
{
    struct fake *before = fake_start(0, NULL, NULL);
    int port = fake_port(before);
    struct job j;
    job_start(&j, &(struct job_setup){ .port = port }, waits_for_go);
    job_await_file(&j, "up");
    fake_stop(before);
    job_let_go(&j);
    for (int64_t until = monotonic_ms() + PATIENCE; access(j.folder, F_OK) == 0;) {
        auto_free char *err = job_file(&j, "stderr");
        cr_assert_lt(monotonic_ms(), until);
        if (err && strstr(err, "report_delayed"))
            break;
        pause_ms(5);
    }
    struct fake *after = fake_start(port, NULL, NULL);
    job_wait(&j, PATIENCE);
    assert_done_once(after, &j);
    job_release(&j);
    fake_stop(after);
}

Test(callback_run_away, for_longer_than_the_command_runs)
{
    int port = program_free_port();
    struct job j;
    job_start(
        &j,
        &(struct job_setup){ .port = port, .options = LIST("--input-timeout=1", "--heartbeat=1") },
        "echo '\"done\"'");
    pause_ms(5 * MOMENT_MS);
    struct fake *f = fake_start(port, NULL, NULL);
    job_wait(&j, PATIENCE);
    assert_done_once(f, &j);
    job_release(&j);
    fake_stop(f);
}

Test(callback_run_away, for_ever)
{
    struct job j;
    job_start(&j,
              &(struct job_setup){ .port = program_free_port(),
                                   .options = LIST("--no-input", "--report-deadline=1") },
              "exit 5");
    job_wait(&j, PATIENCE);
    cr_assert_eq(j.status, 74, "%s", j.err);
    cr_assert(strstr(j.err, KEPT), "%s", j.err);
    job_release(&j);
}

/* ---- out of memory --------------------------------------------------------------------------- */

Test(callback_run_ends, out_of_memory)
{
    static const struct {
        const char *script;
        int status;
        const char *says;
    } cases[] = {
        { "exec tail /dev/zero", 137, "killed by the kernel: the container has no more memory" },
        { "tail /dev/zero; exit 3", 3, "exit status 3 after the kernel killed a process" },
    };
    auto_free char *cgroup = mem_printf(CGROUP_MEM "/test-callback-run-%d", (int)getpid());
    if (mkdir(cgroup, 0700) < 0) {
        fprintf(stderr, "skipped: out_of_memory: no memory cgroup can be made here\n");
        return;
    }
    auto_free char *shell =
        mem_printf("echo 40000000 >%s/memory.limit_in_bytes && echo 40000000 2>/dev/null "
                   ">%s/memory.memsw.limit_in_bytes; echo $$ >%s/cgroup.procs && exec \"$@\"",
                   cgroup, cgroup, cgroup);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake *f = fake_start(0, NULL, NULL);
        struct job j;
        job_start(&j, &(struct job_setup){ .port = fake_port(f), .shell = shell }, cases[i].script);
        job_wait(&j, PATIENCE);
        cr_assert_eq(j.status, cases[i].status, "%s: %d %s", cases[i].script, j.status, j.err);
        cr_assert_eq(fake_count(f, NULL), 1);
        assert_failure(f, "Task.OutOfMemory", cases[i].says, cases[i].script);
        assert_failure(f, "Task.OutOfMemory", "oomKills\\\":1", cases[i].script);
        job_release(&j);
        fake_stop(f);
    }
    cr_assert_eq(rmdir(cgroup), 0);
}

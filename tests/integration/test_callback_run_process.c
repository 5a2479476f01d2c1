#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "shared/base/opts.h"
#include "tests/integration/fake_receiver.h"

#define LIST(...)  ((const char *const[]){ __VA_ARGS__, NULL })
#define RULES(...) ((const struct fake_rule[]){ __VA_ARGS__, { NULL, 0, 0, 0, NULL } })

static void pause_ms(int64_t ms)
{
    clock_sleep_ms(clock_system(), ms);
}

/* `run` returns how long it took. Less than `limit_ms`: a busy machine may be late, but not five
 * times over. */
static void in_time(int64_t (*run)(const void *what), const void *what, int64_t limit_ms)
{
    int64_t took_ms = 0;
    for (int tries = 0; tries < 5; tries++)
        if ((took_ms = run(what)) < limit_ms)
            return;
    cr_assert_fail("it takes %lld ms, and may take %lld", (long long)took_ms, (long long)limit_ms);
}

/* A process id that the command wrote into a file. */
static pid_t pid_in(const struct job *j, const char *name)
{
    int64_t pid = 0;
    auto_free char *text = job_file(j, name);
    cr_assert_not_null(text);
    text[strcspn(text, "\n")] = '\0';
    cr_assert_eq(opts_int(text, 2, INT32_MAX, &pid), 0, "%s", text);
    return (pid_t)pid;
}

struct stopped {
    const char *script;
    int signal;
    int status;
    const char *path, *says;
    int64_t at_least_ms;
};

static int64_t stop_it(const void *what)
{
    const struct stopped *c = what;
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f), .vars = LIST("STOP_TIMEOUT_SECONDS=6") };
    job_start(&j, &setup, c->script);
    job_await_file(&j, "up");
    int64_t asked_ms = monotonic_ms();
    kill(j.pid, c->signal);
    job_wait(&j, 60000);
    int64_t took_ms = monotonic_ms() - asked_ms;
    cr_assert_eq(j.status, c->status, "%s: %d %s", c->script, j.status, j.err);
    cr_assert_geq(took_ms, c->at_least_ms, "%s: %lld ms", c->script, (long long)took_ms);
    cr_assert_eq(fake_count(f, NULL), 1);
    cr_assert(strstr(fake_get(f, c->path, 0)->body, c->says), "%s: %s", c->script,
              fake_get(f, c->path, 0)->body);
    job_release(&j);
    fake_stop(f);
    return took_ms;
}

Test(callback_run_stop, passes_signals_on_and_reports_in_time)
{
    static const struct stopped cases[] = {
        /* Handled: its own outcome. */
        { "trap 'echo bye; exit 0' TERM; touch $FOLDER/up; while :; do sleep 0.05; done", SIGTERM,
          0, "success", "bye", 0 },
        { "trap 'exit 7' TERM; touch $FOLDER/up; while :; do sleep 0.05; done", SIGTERM, 7,
          "failure", "\"errorType\":\"Task.ExitCode\",\"errorMessage\":\"exit status 7\"", 0 },
        { "trap 'exit 8' INT; touch $FOLDER/up; while :; do sleep 0.05; done", SIGINT, 8, "failure",
          "exit status 8", 0 },
        /* Not handled: it dies of it. */
        { "touch $FOLDER/up; exec sleep 30", SIGTERM, 143, "failure",
          "\"errorType\":\"Task.Stopped\",\"errorMessage\":\"stopped: killed by signal 15 "
          "(SIGTERM)\"",
          0 },
        /* Ignored: killed when two thirds of the six seconds are over. */
        { "trap '' TERM; touch $FOLDER/up; while :; do sleep 0.05; done", SIGTERM, 137, "failure",
          "\"errorType\":\"Task.Stopped\",\"errorMessage\":\"killed by signal 9 (SIGKILL): SIGTERM "
          "did not end it in time\"",
          3900 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        in_time(stop_it, &cases[i], 6000);
}

Test(callback_run_stop, other_signals_are_passed_on_and_stop_nothing)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f) };
    job_start(&j, &setup,
              "trap 'hup=1' HUP; trap 'echo \"$hup usr1\"; exit 0' USR1; touch $FOLDER/up; while "
              ":; do sleep 0.02; done");
    job_await_file(&j, "up");
    kill(j.pid, SIGHUP);
    pause_ms(200);
    kill(j.pid, SIGUSR1);
    job_wait(&j, 60000);
    cr_assert_eq(j.status, 0, "%s", j.err);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "1 usr1");
    job_release(&j);
    fake_stop(f);
}

Test(callback_run_stop, before_the_command_has_started)
{
    struct fake *f = fake_start(0, RULES({ "heartbeat", 1, 1, FAKE_SILENT, NULL }), NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f) };
    job_start(&j, &setup, "touch $FOLDER/ran");
    fake_wait(f, "heartbeat", 1, 60000);
    kill(j.pid, SIGTERM);
    job_wait(&j, 60000);
    cr_assert_eq(j.status, 143, "%s", j.err);
    cr_assert_null(job_file(&j, "ran"));
    cr_assert(strstr(fake_get(f, "failure", 0)->body, "before the command was started"));
    job_release(&j);
    fake_stop(f);
}

/* Stopped while it reports to a receiver that obeys `what`, a rule; it has three seconds. */
static int64_t stop_while_it_reports(const void *what)
{
    const struct fake_rule *rule = what;
    struct fake *f = fake_start(0, RULES(*rule), NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f), .vars = LIST("STOP_TIMEOUT_SECONDS=3") };
    job_start(&j, &setup, "echo 1");
    fake_wait(f, "success", 1, 60000);
    int64_t asked_ms = monotonic_ms();
    kill(j.pid, SIGTERM);
    job_wait(&j, 60000);
    int64_t took_ms = monotonic_ms() - asked_ms;
    cr_assert_eq(j.status, 74, "%s", j.err);
    cr_assert(strstr(j.err, "savedTo"));
    if (rule->status != FAKE_SILENT && took_ms < 3000)
        cr_assert_geq(fake_count(f, "success"), 2, "it is tried again before the time is over");
    job_release(&j);
    fake_stop(f);
    return took_ms;
}

Test(callback_run_stop, a_report_under_way_gets_what_is_left_of_the_time)
{
    in_time(stop_while_it_reports, &(struct fake_rule){ "success", 1, 0, 503, "60" }, 3000);
}

Test(callback_run_stop, a_receiver_that_never_answers_holds_up_nothing)
{
    in_time(stop_while_it_reports, &(struct fake_rule){ "success", 1, 0, FAKE_SILENT, NULL }, 3000);
}

/* With a period of a second; the longest time between two of the first four. */
static int64_t beat(const void *what)
{
    (void)what;
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f), .vars = LIST("HEARTBEAT_SECONDS=1") };
    job_start(&j, &setup,
              "touch $FOLDER/up; while [ ! -e $FOLDER/go ]; do sleep 0.02; done; rm $FOLDER/go");
    job_await_file(&j, "up");
    cr_assert_geq(fake_count(f, "heartbeat"), 1, "before the command");
    fake_wait(f, "heartbeat", 4, 60000);
    job_let_go(&j);
    job_wait(&j, 60000);
    cr_assert_str_eq(fake_get(f, "heartbeat", 0)->body, "");
    cr_assert(fake_get(f, "heartbeat", 0)->authorized);
    int64_t longest_ms = 0;
    for (int i = 1; i < fake_count(f, "heartbeat"); i++) {
        int64_t at_ms = fake_get(f, "heartbeat", i)->at_ms;
        int64_t gap_ms = at_ms - fake_get(f, "heartbeat", i - 1)->at_ms;
        /* The one before may have been on its way for long, but none is sent before it is due. */
        cr_assert_geq(at_ms - j.started_ms, 333 * i, "heartbeat %d", i);
        longest_ms = i < 4 && gap_ms > longest_ms ? gap_ms : longest_ms;
    }
    job_release(&j);
    fake_stop(f);
    return longest_ms;
}

Test(callback_run_heartbeat, a_third_of_the_period_from_before_the_start)
{
    in_time(beat, NULL, 500);
}

Test(callback_run_heartbeat, a_failing_one_never_disturbs_the_command)
{
    static const int statuses[] = { 401, 403, 404, 429, 500, 503, FAKE_ABORT, FAKE_SILENT };
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        struct fake *f = fake_start(0, RULES({ "heartbeat", 1, 0, statuses[i], NULL }), NULL);
        struct job j;
        const struct job_setup setup = { .port = fake_port(f),
                                         .options = LIST("--input-timeout=1"),
                                         .vars = LIST("HEARTBEAT_SECONDS=1") };
        job_start(&j, &setup, "sleep 0.2; echo fine");
        job_wait(&j, 60000);
        cr_assert_eq(j.status, 0, "%d: %s", statuses[i], j.err);
        cr_assert_str_eq(fake_get(f, "success", 0)->body, "fine");
        cr_assert(strstr(j.err, "heartbeat_failed"), "%d: %s", statuses[i], j.err);
        job_release(&j);
        fake_stop(f);
    }
}

Test(callback_run_heartbeat, none_where_none_is_wanted)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    job_start(&j, &(struct job_setup){ .port = fake_port(f), .options = LIST("--heartbeat=0") },
              "echo 1");
    job_wait(&j, 60000);
    cr_assert_eq(fake_count(f, "heartbeat"), 0);
    cr_assert_eq(fake_count(f, "success"), 1);
    job_release(&j);
    fake_stop(f);
}

struct unwanted {
    const char *script;
    int from;            /* the heartbeat that is answered 410 */
    int64_t at_least_ms; /* until the end */
    bool starts;
};

static int64_t run_unwanted(const void *what)
{
    const struct unwanted *c = what;
    struct fake *f = fake_start(0, RULES({ "heartbeat", c->from, 0, 410, NULL }), NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f),
                                     .vars =
                                         LIST("HEARTBEAT_SECONDS=3", "STOP_TIMEOUT_SECONDS=1") };
    job_start(&j, &setup, c->script);
    job_wait(&j, 60000);
    int64_t took_ms = monotonic_ms() - j.started_ms;
    cr_assert_eq(j.status, 75, "%s: %d %s", c->script, j.status, j.err);
    cr_assert_eq(fake_count(f, NULL), 0, "nobody waits for a report");
    cr_assert_geq(took_ms, c->at_least_ms, "%s: %lld ms", c->script, (long long)took_ms);
    auto_free char *up = job_file(&j, "up");
    cr_assert_eq(up != NULL, c->starts);
    job_release(&j);
    fake_stop(f);
    return took_ms;
}

Test(callback_run_heartbeat, a_workflow_that_no_longer_waits_stops_the_command)
{
    static const struct unwanted cases[] = {
        { "touch $FOLDER/up; sleep 30", 1, 0, false },
        { "touch $FOLDER/up; sleep 30", 2, 1000, true },
        { "trap '' TERM; touch $FOLDER/up; while :; do sleep 0.05; done", 2, 2000, true },
        { "trap 'exit 0' TERM; touch $FOLDER/up; while :; do sleep 0.05; done", 2, 1000, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        in_time(run_unwanted, &cases[i], 3500);
}

Test(callback_run_streams, pass_ten_megabytes_unchanged)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f) };
    job_start(&j, &setup,
              "head -c 10000000 /dev/urandom >$FOLDER/bytes; cat $FOLDER/bytes; echo; seq 1 150000 "
              ">&2; echo '\"end\"'");
    job_wait(&j, 60000);
    cr_assert_eq(j.status, 0);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "\"end\"");
    auto_free char *bytes = job_file(&j, "bytes");
    cr_assert_eq(j.out_len, 10000000 + 1 + 6);
    cr_assert_eq(memcmp(j.out, bytes, 10000000), 0);
    /* Beside the command's lines there are callback-run's own, each whole. */
    int64_t next = 1;
    for (char *p = j.err; *p;) {
        char *end = strchr(p, '\n');
        cr_assert_not_null(end);
        *end = '\0';
        int64_t n;
        if (*p != '{') {
            cr_assert_eq(opts_int(p, next, next, &n), 0, "%s where %lld is due", p,
                         (long long)next);
            next++;
        }
        p = end + 1;
    }
    cr_assert_eq(next, 150001);
    job_release(&j);
    fake_stop(f);
}

Test(callback_run_streams, a_slow_reader_gets_every_byte)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f),
                                     .shell = "\"$@\" -- seq 1 60000 | { sleep 1; cat; }" };
    job_start_args(&j, &setup, NULL);
    fake_wait(f, "success", 1, 60000);
    job_wait(&j, 60000);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "60000");
    cr_assert_eq(j.out_len, 348894);
    cr_assert(strncmp(j.out, "1\n2\n3\n", 6) == 0);
    cr_assert_str_eq(j.out + j.out_len - 12, "59999\n60000\n");
    job_release(&j);
    fake_stop(f);
}

Test(callback_run_streams, arrive_as_they_were_given)
{
    static const struct {
        const char *shell, *script;
        int status;
        const char *path, *says;
    } cases[] = {
        { "echo to stdin | \"$@\"", "cat", 0, "success", "to stdin" },
        { "\"$@\" <&-", "test -e /proc/self/fd/0 || echo closed", 0, "success", "closed" },
        { "\"$@\" >&-", "test -e /proc/self/fd/1 || echo closed >$CALLBACK_RESULT_FILE", 0,
          "success", "closed\n" },
        { "\"$@\" 2>&-", "test -e /proc/self/fd/2 || echo closed", 0, "success", "closed" },
        { "\"$@\" <&- >&- 2>&-",
          "for fd in 0 1 2; do test -e /proc/$$/fd/$fd && exit 1; done; echo closed "
          ">$CALLBACK_RESULT_FILE",
          0, "success", "closed\n" },
        /* Nothing of callback-run's own is open: no socket, signalfd or eventfd. */
        { "\"$@\"", "ls -l /proc/$$/fd | grep -c 'anon_inode\\|socket'; true", 0, "success", "0" },
        { "\"$@\" >/dev/full", "echo one; echo two", 0, "success", "two" },
        { "{ \"$@\"; echo $? >$FOLDER/status; } | true; exit $(cat $FOLDER/status)",
          "sleep 0.1; while :; do echo y; done", 141, "failure", "killed by signal 13 (SIGPIPE)" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake *f = fake_start(0, NULL, NULL);
        struct job j;
        const struct job_setup setup = { .port = fake_port(f), .shell = cases[i].shell };
        job_start(&j, &setup, cases[i].script);
        job_wait(&j, 60000);
        cr_assert_eq(j.status, cases[i].status, "case %zu: %d %s", i, j.status, j.err);
        const struct fake_request *req = fake_get(f, cases[i].path, 0);
        cr_assert_not_null(req, "case %zu: %s", i, j.err);
        cr_assert(strstr(req->body, cases[i].says), "case %zu: %s %s", i, req->body, j.err);
        job_release(&j);
        fake_stop(f);
    }
}

Test(callback_run_streams, are_not_touched_where_nothing_is_captured)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f),
                                     .options = LIST("--result=none", "--stderr-tail=0") };
    job_start(&j, &setup,
              "readlink /proc/self/fd/1 /proc/self/fd/2 >$FOLDER/links; readlink "
              "/proc/$$/fd/1 /proc/$$/fd/2");
    job_wait(&j, 60000);
    auto_free char *expected = mem_printf("%s/stdout\n%s/stderr\n", j.folder, j.folder);
    cr_assert_str_eq(j.out, expected);
    job_release(&j);
    fake_stop(f);
}

/* The children of `parent` that are dead and not reaped. */
static int zombies_of(pid_t parent)
{
    int n = 0;
    DIR *dir = opendir("/proc");
    cr_assert_not_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        auto_free char *path = mem_printf("/proc/%s/stat", e->d_name);
        FILE *file = fopen(path, "r");
        char line[512] = "", state = 0;
        int ppid = 0;
        if (file && fgets(line, sizeof(line), file) && strrchr(line, ')') &&
            sscanf(strrchr(line, ')') + 1, " %c %d", &state, &ppid) == 2)
            n += ppid == parent && state == 'Z';
        if (file)
            fclose(file);
    }
    closedir(dir);
    return n;
}

Test(callback_run_children, orphans_are_reaped)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f) };
    job_start(&j, &setup,
              "i=0; while [ $i -lt 300 ]; do (sleep 0 &); i=$((i+1)); done; touch "
              "$FOLDER/up; while [ ! -e $FOLDER/go ]; do sleep 0.02; done; rm $FOLDER/go");
    job_await_file(&j, "up");
    for (int64_t until = monotonic_ms() + 60000; zombies_of(j.pid) > 0; pause_ms(10))
        cr_assert_lt(monotonic_ms(), until, "%d zombies", zombies_of(j.pid));
    job_let_go(&j);
    job_wait(&j, 60000);
    cr_assert_eq(j.status, 0, "%s", j.err);
    job_release(&j);
    fake_stop(f);
}

static int64_t leave_behind(const void *what)
{
    const char *left = what;
    bool deaf = strstr(left, "trap") != NULL;
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f) };
    auto_free char *script =
        mem_printf("%s & echo $! >$FOLDER/pid; while [ %d = 1 ] && [ ! -e $FOLDER/up ]; do "
                   "sleep 0.02; done; echo result",
                   left, deaf);
    job_start(&j, &setup, script);
    job_wait(&j, 60000);
    int64_t took_ms = monotonic_ms() - j.started_ms;
    cr_assert_eq(j.status, 0, "%s", j.err);
    cr_assert_geq(took_ms, deaf ? 2000 : 0, "%lld ms", (long long)took_ms);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "result");
    cr_assert_not(alive(pid_in(&j, "pid")));
    job_release(&j);
    fake_stop(f);
    return took_ms;
}

Test(callback_run_children, what_the_command_leaves_behind_is_ended)
{
    in_time(leave_behind, "sleep 30", 2000);
    in_time(leave_behind, "sh -c 'trap \"\" TERM; touch $FOLDER/up; while :; do sleep 0.1; done'",
            3500);
}

Test(callback_run_children, a_daemon_ends_with_the_command)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f) };
    job_start(&j, &setup,
              "setsid sh -c 'echo $$ >$FOLDER/pid; exec sleep 30' & while [ ! -s $FOLDER/pid ]; do "
              "sleep 0.02; done; echo result");
    job_wait(&j, 60000);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "result");
    cr_assert_not(alive(pid_in(&j, "pid")), "it left the group, and was found all the same");
    job_release(&j);
    fake_stop(f);
}

Test(callback_run_children, the_command_dies_with_callback_run)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    const struct job_setup setup = { .port = fake_port(f),
                                     .options = LIST("--no-input", "--result=none") };
    job_start(&j, &setup,
              "echo $$ >$FOLDER/pid.new; mv $FOLDER/pid.new $FOLDER/pid; exec sleep 30");
    job_await_file(&j, "pid");
    pid_t pid = pid_in(&j, "pid");
    kill(j.pid, SIGKILL);
    job_wait(&j, 60000);
    cr_assert_eq(j.status, 137);
    int64_t until = monotonic_ms() + 60000;
    while (alive(pid) && monotonic_ms() < until)
        pause_ms(5);
    cr_assert_not(alive(pid));
    job_release(&j);
    fake_stop(f);
}

Test(callback_run_terminal, belongs_to_the_command_while_it_runs)
{
    int terminal;
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        const char *dir = getenv("BIN_DIR");
        auto_free char *binary = mem_printf("%s/callback-run", dir ? dir : "build/bin");
        execl(binary, binary, "--no-callback", "--log-level=error", "--", "sh", "-c",
              "read line; echo \"got $line\"; exit 5", NULL);
        _exit(98);
    }
    cr_assert_eq(write(terminal, "hello\n", 6), 6);
    struct buf out = BUF_INIT(4096);
    char chunk[256];
    for (ssize_t n; (n = read(terminal, chunk, sizeof(chunk))) > 0;)
        buf_add(&out, chunk, (size_t)n);
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 5, "%x", status);
    cr_assert(strstr(buf_str(&out), "got hello"), "%s", buf_str(&out));
    buf_release(&out);
    close(terminal);
}

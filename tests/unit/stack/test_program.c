#include "local/stack/program.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char log_file[64];

static struct program *start(const char *script)
{
    struct error err = { 0 };
    snprintf(log_file, sizeof(log_file), "/tmp/test-program-%d.log", (int)getpid());
    unlink(log_file);
    const char *argv[] = { "/bin/sh", "-c", script, NULL };
    const char *env[] = { "PATH=/usr/bin:/bin", "GREETING=hello", NULL };
    struct program *p = program_start(argv, env, log_file, &err);
    cr_assert_not_null(p, "%s", err.msg);
    return p;
}

static void end(struct program *p)
{
    program_free(p);
    unlink(log_file);
}

Test(program, waits_until_it_is_ready_and_tells_where_it_listens)
{
    struct error err = { 0 };
    struct program *p = start(
        "echo noise; echo '{\"event\":\"listening\",\"service\":\"a\",\"url\":\"http://x:1\"}'; "
        "echo \"{\\\"event\\\":\\\"ready\\\",\\\"g\\\":\\\"$GREETING\\\"}\" >&2; exec sleep 60");
    cr_assert_eq(program_wait_ready(p, 10000, &err), 0, "%s", err.msg);
    auto_free char *url = program_url(p, "a");
    auto_free char *other = program_url(p, "b");
    cr_assert_str_eq(url, "http://x:1");
    cr_assert_null(other);
    cr_assert(program_running(p));
    cr_assert_eq(program_stop(p, 5000), 128 + SIGTERM);
    cr_assert(!program_running(p));
    end(p);
}

Test(program, says_where_to_look_when_it_ends_early)
{
    struct error err = { 0 };
    struct program *p = start("exit 3");
    cr_assert_eq(program_wait_ready(p, 10000, &err), -1);
    cr_assert(strstr(err.msg, log_file), "%s", err.msg);
    cr_assert_eq(program_stop(p, 0), 3);
    end(p);
}

Test(program, kills_what_ignores_the_stop)
{
    struct error err = { 0 };
    struct program *p =
        start("trap '' TERM; echo '{\"event\":\"ready\"}'; while :; do sleep 0.05; done");
    cr_assert_eq(program_wait_ready(p, 10000, &err), 0, "%s", err.msg);
    cr_assert_eq(program_stop(p, 200), 128 + SIGKILL);
    end(p);
}

Test(program, a_restart_does_not_believe_the_last_runs_log)
{
    struct error err = { 0 };
    struct program *p = start("echo '{\"event\":\"ready\"}'; exec sleep 60");
    cr_assert_eq(program_wait_ready(p, 10000, &err), 0);
    cr_assert_eq(program_restart(p, &err), -1, "it is running");
    program_kill(p);
    cr_assert_eq(program_restart(p, &err), 0, "%s", err.msg);
    cr_assert_eq(program_wait_ready(p, 10000, &err), 0);
    end(p);
}

Test(program, a_path_that_is_not_there_is_an_error)
{
    struct error err = { 0 };
    const char *argv[] = { "/nonexistent/program", NULL };
    const char *env[] = { NULL };
    cr_assert_null(program_start(argv, env, "/tmp/test-program-none.log", &err));
    cr_assert(strstr(err.msg, "/nonexistent/program"));
    unlink("/tmp/test-program-none.log");
}

#define PICKERS 4
#define PICKS   400

/* Each is given once, whoever asks, as long as who has it lives. */
Test(program, free_ports_are_free_and_differ)
{
    static bool given[65536];
    int ports[2], hold[2];
    pid_t pids[PICKERS];
    cr_assert_eq(pipe(ports), 0);
    cr_assert_eq(pipe(hold), 0);
    for (int i = 0; i < PICKERS; i++) {
        pids[i] = fork();
        if (pids[i] != 0)
            continue;
        close(hold[1]);
        for (int n = 0; n < PICKS; n++) {
            int port = program_free_port();
            if (write(ports[1], &port, sizeof(port)) != (ssize_t)sizeof(port))
                _exit(1);
        }
        char end;
        _exit(read(hold[0], &end, 1) == 0 ? 0 : 1); /* until all have theirs */
    }
    for (int n = 0; n < PICKERS * PICKS; n++) {
        int port;
        cr_assert_eq(read(ports[0], &port, sizeof(port)), (ssize_t)sizeof(port));
        cr_assert(port >= 20000 && port < 32000, "%d", port);
        cr_assert_not(given[port], "%d is given twice", port);
        given[port] = true;
    }
    close(hold[1]);
    for (int i = 0; i < PICKERS; i++) {
        int status;
        cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
        cr_assert_eq(status, 0);
    }
}

#include "local/shim.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/clock.h"

/* A task's folder with a shim in a child, as the driver starts it. */
struct rig {
    char folder[64];
    pid_t shim;
    int events;
};

static int fifo(const struct rig *r, const char *name, int flags)
{
    auto_free char *path = mem_printf("%s/%s", r->folder, name);
    mkfifo(path, 0600);
    return open(path, flags | O_CLOEXEC);
}

static void begin(struct rig *r, const char *spec)
{
    snprintf(r->folder, sizeof(r->folder), "/tmp/shim-test-XXXXXX");
    cr_assert_not_null(mkdtemp(r->folder));
    cr_assert_eq(shim_file_write(r->folder, "spec.json", spec, strlen(spec), NULL), 0);
    r->events = fifo(r, "events", O_RDONLY | O_NONBLOCK);
    int events = fifo(r, "events", O_WRONLY), control = fifo(r, "control", O_RDWR);
    r->shim = fork();
    if (r->shim == 0) {
        int high = fcntl(control, F_DUPFD, 20);
        dup2(fcntl(events, F_DUPFD, 20), SHIM_EVENTS_FD);
        dup2(high, SHIM_CONTROL_FD);
        close_range(SHIM_CONTROL_FD + 1, ~0U, 0);
        setsid();
        _exit(shim_run(r->folder, NULL) == 0 ? 0 : 1);
    }
    close(events);
    close(control);
}

static void ask_to_stop(const struct rig *r)
{
    auto_close int fd = fifo(r, "control", O_WRONLY | O_NONBLOCK);
    cr_assert_eq(write(fd, "!", 1), 1);
}

static void finish(struct rig *r, struct shim_status *out)
{
    int status = 0;
    cr_assert_eq(waitpid(r->shim, &status, 0), r->shim);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the shim ended with %d", status);
    cr_assert_eq(shim_status_read(r->folder, out, NULL), 1);
    cr_assert(out->over);
    char bytes[64];
    ssize_t n;
    do
        n = read(r->events, bytes, sizeof(bytes));
    while (n > 0);
    cr_assert_eq(n, 0, "the events end with the shim");
    close(r->events);
}

/* Waits until the output holds `text`. */
static void wait_output(const struct rig *r, const char *text)
{
    for (int i = 0; i < 6000; i++) {
        auto_free char *got = shim_file_read(r->folder, "output.log", 1 << 16, NULL, NULL);
        if (got && strstr(got, text))
            return;
        clock_sleep_ms(clock_system(), 10);
    }
    cr_assert(false, "no \"%s\" in the output", text);
}

static void drop(struct rig *r)
{
    static const char *const names[] = { "spec.json",  "status.json", "events", "control",
                                         "output.log", "pid",         "ready" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        auto_free char *path = mem_printf("%s/%s", r->folder, names[i]);
        unlink(path);
    }
    rmdir(r->folder);
}

#define SH(script)                                                                                 \
    "{\"containers\":[{\"name\":\"job\",\"argv\":[\"/bin/sh\",\"-c\",\"" script                    \
    "\"],\"environment\":{\"PATH\":\"/usr/bin:/bin\",\"WORD\":\"w o r d\"},"                       \
    "\"stopTimeoutSeconds\":1}]}"

Test(shim, keeps_the_exit_code_and_the_output)
{
    struct rig r;
    struct shim_status s = { 0 };
    begin(&r, SH("echo out $WORD; echo err >&2; env | sort; pwd; exit 3"));
    finish(&r, &s);
    cr_assert_eq(s.count, 1);
    cr_assert_str_eq(s.containers[0].name, "job");
    cr_assert_eq(s.containers[0].exit_code, 3);
    cr_assert_gt(s.containers[0].pid, 0);
    cr_assert_geq(s.containers[0].ended_ms, s.containers[0].started_ms);
    auto_free char *output = shim_file_read(r.folder, "output.log", 1 << 16, NULL, NULL);
    auto_free char *expected =
        mem_printf("out w o r d\nerr\nPATH=/usr/bin:/bin\nPWD=%s\nWORD=w o r d\n", r.folder);
    cr_assert_eq(strncmp(output, expected, strlen("out w o r d\nerr\n")), 0, "%s", output);
    cr_assert_not_null(strstr(output, "PATH=/usr/bin:/bin\n"));
    cr_assert_not_null(strstr(output, r.folder));
    cr_assert_null(strstr(output, "HOME="), "nothing of the shim's own environment");
    shim_status_release(&s);
    drop(&r);
}

Test(shim, tells_128_and_the_signal)
{
    struct rig r;
    struct shim_status s = { 0 };
    begin(&r, SH("kill -KILL $$"));
    finish(&r, &s);
    cr_assert_eq(s.containers[0].exit_code, 128 + SIGKILL);
    shim_status_release(&s);
    drop(&r);
}

Test(shim, says_why_a_command_could_not_be_started)
{
    struct rig r;
    struct shim_status s = { 0 };
    begin(&r, "{\"containers\":[{\"name\":\"job\",\"argv\":[\"/no/such\"],\"environment\":{}}]}");
    finish(&r, &s);
    cr_assert_eq(s.containers[0].pid, 0);
    cr_assert_not_null(strstr(s.containers[0].error, "/no/such"), "%s", s.containers[0].error);
    cr_assert_not_null(strstr(s.containers[0].error, strerror(ENOENT)));
    shim_status_release(&s);
    drop(&r);
}

Test(shim, stops_with_sigterm_when_asked)
{
    struct rig r;
    struct shim_status s = { 0 };
    begin(&r, SH("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done"));
    wait_output(&r, "ready");
    ask_to_stop(&r);
    finish(&r, &s);
    cr_assert_eq(s.containers[0].exit_code, 7);
    shim_status_release(&s);
    drop(&r);
}

Test(shim, kills_what_ignores_sigterm_after_its_stop_timeout)
{
    struct rig r;
    struct shim_status s = { 0 };
    begin(&r, SH("trap '' TERM; echo ready; while :; do sleep 0.05; done"));
    wait_output(&r, "ready");
    int64_t before = clock_mono_ms(clock_system());
    kill(r.shim, SIGTERM); /* the same as asking */
    finish(&r, &s);
    cr_assert_eq(s.containers[0].exit_code, 128 + SIGKILL);
    cr_assert_geq(clock_mono_ms(clock_system()) - before, 990);
    shim_status_release(&s);
    drop(&r);
}

Test(shim, kills_what_the_command_leaves_behind)
{
    struct rig r;
    struct shim_status s = { 0 };
    begin(&r, SH("setsid sh -c 'setsid sleep 300 & echo $! > pid; wait' & while ! [ -s pid ]; do "
                 "sleep 0.02; done; exit 0"));
    finish(&r, &s);
    auto_free char *pid = shim_file_read(r.folder, "pid", 64, NULL, NULL);
    cr_assert_eq(kill((pid_t)atoi(pid), 0), -1, "the orphan still lives");
    shim_status_release(&s);
    drop(&r);
}

Test(shim, ends_the_task_when_its_folder_is_removed)
{
    struct rig r;
    begin(&r, SH("echo ready; exec sleep 300"));
    wait_output(&r, "ready");
    drop(&r);
    int status = 0;
    cr_assert_eq(waitpid(r.shim, &status, 0), r.shim);
    close(r.events);
    drop(&r); /* what the shim wrote meanwhile */
}

Test(shim, stops_the_others_when_an_essential_container_ends)
{
    struct rig r;
    struct shim_status s = { 0 };
    begin(&r, "{\"containers\":["
              "{\"name\":\"side\",\"argv\":[\"/bin/sleep\",\"300\"],\"essential\":false},"
              "{\"name\":\"brief\",\"argv\":[\"/bin/true\"],\"essential\":false},"
              "{\"name\":\"main\",\"argv\":[\"/bin/sleep\",\"0.1\"]}]}");
    finish(&r, &s);
    cr_assert_eq(s.containers[0].exit_code, 128 + SIGTERM);
    cr_assert_eq(s.containers[1].exit_code, 0);
    cr_assert_eq(s.containers[2].exit_code, 0);
    shim_status_release(&s);
    drop(&r);
}

Test(shim, a_status_that_is_not_there_is_no_error_and_a_broken_one_is)
{
    struct rig r;
    struct shim_status s = { 0 };
    snprintf(r.folder, sizeof(r.folder), "/tmp/shim-test-XXXXXX");
    cr_assert_not_null(mkdtemp(r.folder));
    struct error err = { 0 };
    cr_assert_eq(shim_status_read(r.folder, &s, &err), 0);
    cr_assert_eq(shim_file_write(r.folder, "status.json", "{", 1, &err), 0);
    cr_assert_eq(shim_status_read(r.folder, &s, &err), -1);
    cr_assert_eq(err.code, ERR_INVALID);
    drop(&r);
}

/* The bytes in the events FIFO: one a change that was told. */
static size_t told(const struct rig *r)
{
    char bytes[4096];
    size_t all = 0;
    for (ssize_t n; (n = read(r->events, bytes, sizeof(bytes))) > 0;)
        all += (size_t)n;
    return all;
}

Test(shim, says_nothing_while_nothing_changes)
{
    struct rig r;
    struct shim_status s = { 0 };
    begin(&r, SH("echo ready; exec sleep 2"));
    wait_output(&r, "ready");
    size_t first = 0;
    for (int i = 0; i < 6000 && first == 0; i++) {
        clock_sleep_ms(clock_system(), 10);
        first = told(&r);
    }
    clock_sleep_ms(clock_system(), 200);
    cr_assert_eq(first, 1, "the start is told once, not %zu times", first);
    cr_assert_eq(told(&r), 0);
    finish(&r, &s);
    shim_status_release(&s);
    drop(&r);
}

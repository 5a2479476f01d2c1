#include "tests/chaos/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/signals.h"

#define LOOK_MS  200
#define SWEEP_MS 30000
#define PAUSE_MS 10

/* The parent of a process, or 0. */
static pid_t parent_of(const char *pid)
{
    char text[1024];
    auto_free char *path = mem_printf("/proc/%s/stat", pid);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = '\0';
    /* "PID (COMMAND) STATE PPID ...": the command may hold anything, parentheses too. */
    const char *rest = strrchr(text, ')');
    return rest && strlen(rest) > 4 ? (pid_t)strtol(rest + 4, NULL, 10) : 0;
}

static void kill_children(void)
{
    DIR *proc = opendir("/proc");
    if (!proc)
        return;
    for (const struct dirent *e = readdir(proc); e; e = readdir(proc))
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && parent_of(e->d_name) == getpid())
            kill((pid_t)strtol(e->d_name, NULL, 10), SIGKILL);
    closedir(proc);
}

/* The children of those that are killed become children of this process. */
static int sweep(struct error *err)
{
    int64_t until = clock_mono_ms(clock_system()) + SWEEP_MS;
    for (;;) {
        pid_t got = waitpid(-1, NULL, WNOHANG);
        if (got > 0)
            continue;
        if (got < 0)
            return 0; /* there is none */
        if (clock_mono_ms(clock_system()) >= until)
            return error_set(err, ERR_IO, 0,
                             "something that the storm has started does not end: "
                             "see ps, children of %d",
                             (int)getpid());
        kill_children();
        clock_sleep_ms(clock_system(), PAUSE_MS);
    }
}

static bool is_stop(int number)
{
    return number == SIGINT || number == SIGTERM || number == SIGHUP;
}

/* Waits for the storm's end, or kills it when it is told to stop. */
static void await(pid_t storm, int *status, int *told)
{
    int raw = 0;
    for (pid_t got = 0; got != storm;) {
        got = waitpid(-1, &raw, WNOHANG);
        if (got != 0)
            continue; /* its end, or an orphan's */
        int number = signals_wait_ms(LOOK_MS);
        if (number == 0)
            continue;
        *told = number;
        kill(storm, SIGKILL);
    }
    *status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
    if (!*told && WIFSIGNALED(raw) && is_stop(WTERMSIG(raw)))
        *told = WTERMSIG(raw); /* a terminal tells all of them */
}

int keeper_run(keeper_fn *storm, void *arg, int *status, int *told, struct error *err)
{
    pid_t keeper = getpid();
    *told = 0;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return error_set_errno(err, errno, "prctl");
    signals_block();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return error_set_errno(err, errno, "cannot fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signals_unblock();
        exit(getppid() == keeper ? storm(arg) : EXIT_FAILURE);
    }
    await(pid, status, told);
    return sweep(err);
}

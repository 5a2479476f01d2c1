#include "container/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/signals.h"

int command_adopt_orphans(struct error *err)
{
    if (getpid() == 1 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
        return 0;
    return error_set_errno(err, errno, "PR_SET_CHILD_SUBREAPER");
}

static bool owns_terminal(void)
{
    return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/* SIGTTOU is blocked or ignored by the caller: a group in the background may then do this. */
static void give_terminal(pid_t group)
{
    if (tcsetpgrp(STDIN_FILENO, group) < 0)
        return; /* the terminal is gone; there is nothing to own */
}

/* Between fork and exec in a process that has threads: async-signal-safe calls only. Writes errno
 * to `report_fd`, which closes by itself where exec succeeds. */
static _Noreturn void child(const struct command_spec *spec, bool terminal, pid_t parent,
                            int report_fd)
{
    setpgid(0, 0);
    if (terminal)
        give_terminal(getpid());
    int eno = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(128 + SIGKILL);
    if ((spec->stdout_fd >= 0 && dup2(spec->stdout_fd, STDOUT_FILENO) < 0) ||
        (spec->stderr_fd >= 0 && dup2(spec->stderr_fd, STDERR_FILENO) < 0))
        eno = errno;
    if (!eno) {
        fds_keep_given(spec->fds);
        signals_unblock();
        execvpe(spec->argv[0], spec->argv, spec->env);
        eno = errno;
    }
    signal(SIGPIPE, SIG_IGN);
    ssize_t n = write(report_fd, &eno, sizeof(eno));
    _exit(n == (ssize_t)sizeof(eno) ? 127 : 126);
}

/* errno of a failed exec, 0 where it succeeded. */
static int exec_result(int report_fd)
{
    int eno = 0;
    ssize_t n;
    do
        n = read(report_fd, &eno, sizeof(eno));
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(eno) ? eno : 0;
}

static int not_executed(const char *name, int eno, struct error *err)
{
    if (eno == ENOENT) /* also an interpreter or a dynamic loader that is not there */
        return error_set(err, ERR_NOT_FOUND, eno, "command not found: %.200s", name);
    return error_set(err, ERR_DENIED, eno, "cannot execute %.200s: %s", name, strerror(eno));
}

int command_start(struct command *c, const struct command_spec *spec, struct error *err)
{
    *c = (struct command){ .has_terminal = owns_terminal() };
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_errno(err, errno, "cannot make a pipe");
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        child(spec, c->has_terminal, parent, ends[1]);
    int fork_errno = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return error_set_errno(err, fork_errno, "cannot start a process");
    }
    setpgid(pid, pid); /* whoever is first; after exec it fails, and is done */
    int eno = exec_result(ends[0]);
    close(ends[0]);
    if (eno == 0) {
        c->pid = pid;
        return 0;
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (c->has_terminal)
        give_terminal(getpgrp());
    return not_executed(spec->argv[0], eno, err);
}

void command_signal(const struct command *c, int number)
{
    if (c->pid <= 0)
        return;
    kill(-c->pid, number);
    if (number == SIGTERM || number == SIGINT)
        kill(-c->pid, SIGCONT);
}

void command_reap(struct command *c)
{
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid <= 0) {
            c->alone = pid < 0 && errno == ECHILD;
            return;
        }
        if (pid != c->pid || c->ended)
            continue;
        c->ended = true;
        c->wait_status = status;
        c->max_rss_bytes = (int64_t)usage.ru_maxrss * 1024; /* getrusage(2): kilobytes */
        if (c->has_terminal)
            give_terminal(getpgrp());
    }
}

#include "local/shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/buf.h"
#include "shared/base/clock.h"
#include "shared/base/json.h"

#define SPEC_MAX        (1U << 20)
#define STOP_DEFAULT_S  30
#define LEFTOVER_MAX_MS 5000
#define RETRY_MS        1000
#define RETRIES         60

struct container {
    char **argv;
    char **env;
    bool essential;
    bool running;
    int64_t stop_timeout_ms;
};

struct shim {
    const char *folder;
    const struct clock *clock;
    struct container *containers;
    struct shim_status status; /* in the same order */
    sigset_t before;           /* the signal mask that containers get */
    int signals, watch, output;
    bool stopping;
    int64_t stopping_ms; /* monotonic */
    bool changed;        /* status.json is to be written */
    bool behind;         /* it could not be written */
};

/* ---- the spec ---------------------------------------------------------------------------------*/

static char **read_argv(struct json_object *list)
{
    size_t n = list ? json_object_array_length(list) : 0;
    char **argv = mem_array(n + 1, sizeof(*argv));
    for (size_t i = 0; i < n; i++) {
        const char *s = json_object_get_string(json_object_array_get_idx(list, i));
        argv[i] = mem_dup(s ? s : "");
    }
    return argv;
}

static char **read_env(struct json_object *o)
{
    size_t n = o ? (size_t)json_object_object_length(o) : 0, i = 0;
    char **env = mem_array(n + 1, sizeof(*env));
    if (!o)
        return env;
    json_object_object_foreach(o, key, value)
    {
        const char *s = json_object_get_string(value);
        env[i++] = mem_printf("%s=%s", key, s ? s : "");
    }
    return env;
}

static int read_spec(struct shim *s, struct error *err)
{
    size_t len = 0;
    auto_free char *text = shim_file_read(s->folder, "spec.json", SPEC_MAX, &len, err);
    auto_json struct json_object *o = NULL;
    if (!text || json_parse(text, len, JSON_DEPTH, &o, err) < 0)
        return -1;
    struct json_object *list = json_get_arr(o, "containers");
    size_t n = list ? json_object_array_length(list) : 0;
    if (n == 0)
        return error_set(err, ERR_INVALID, 0, "spec.json: /containers: must name at least one");
    s->containers = mem_array(n, sizeof(*s->containers));
    s->status.containers = mem_array(n, sizeof(*s->status.containers));
    s->status.count = n;
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        struct container *c = &s->containers[i];
        const char *name = json_get_str(item, "name");
        s->status.containers[i].name = mem_dup(name ? name : "");
        c->argv = read_argv(json_get_arr(item, "argv"));
        c->env = read_env(json_get_obj(item, "environment"));
        c->essential = json_get_bool(item, "essential", true);
        c->stop_timeout_ms = json_get_int(item, "stopTimeoutSeconds", STOP_DEFAULT_S) * 1000;
    }
    return 0;
}

/* ---- what is told -----------------------------------------------------------------------------*/

/* A change that cannot be written is written with the next one. */
static void tell(struct shim *s)
{
    struct error err = { 0 };
    s->changed = false;
    s->behind = shim_status_write(s->folder, &s->status, &err) < 0;
    if (s->behind)
        dprintf(STDERR_FILENO, "shim: %s\n", err.msg);
    /* Full means that nobody reads and that there is enough to read. */
    (void)!write(SHIM_EVENTS_FD, "!", 1);
}

/* ---- containers -------------------------------------------------------------------------------*/

/* In the child: never returns. Why it failed goes through `report`, which a successful exec closes.
 */
static void become(const struct shim *s, const struct container *c, pid_t parent, int report)
{
    int null = open("/dev/null", O_RDONLY);
    int why = 0;
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &s->before, NULL);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(s->output, STDOUT_FILENO) < 0 ||
        dup2(s->output, STDERR_FILENO) < 0) {
        why = errno;
    } else {
        environ = c->env; /* execvp looks for the command along the container's own PATH */
        execvp(c->argv[0], c->argv);
        why = errno;
    }
    (void)!write(report, &why, sizeof(why));
    _exit(127);
}

static void failed_to_start(struct shim_container *c, const char *what, int why)
{
    struct error err = { 0 };
    error_set_errno(&err, why, "%s", what);
    c->error = mem_dup(err.msg);
}

static int start(struct shim *s, size_t i)
{
    struct container *c = &s->containers[i];
    struct shim_container *told = &s->status.containers[i];
    int report[2];
    if (!c->argv[0]) {
        told->error = mem_dup("no command specified");
        return -1;
    }
    if (pipe2(report, O_CLOEXEC) < 0) {
        failed_to_start(told, "pipe", errno);
        return -1;
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(s, c, parent, report[1]);
    int why = pid < 0 ? errno : 0;
    close(report[1]);
    ssize_t n = 0;
    do
        n = read(report[0], &why, sizeof(why));
    while (n < 0 && errno == EINTR);
    close(report[0]);
    if (why != 0) {
        auto_free char *what = mem_printf("exec \"%s\"", c->argv[0]);
        failed_to_start(told, what, why);
        if (pid > 0)
            waitpid(pid, NULL, 0);
        return -1;
    }
    told->pid = pid;
    told->started_ms = clock_wall_ms(s->clock);
    c->running = true;
    return 0;
}

static void signal_running(const struct shim *s, int sig)
{
    for (size_t i = 0; i < s->status.count; i++)
        if (s->containers[i].running)
            kill(s->status.containers[i].pid, sig);
}

static void stop(struct shim *s)
{
    if (s->stopping)
        return;
    s->stopping = true;
    s->stopping_ms = clock_mono_ms(s->clock);
    signal_running(s, SIGTERM);
}

static bool any_running(const struct shim *s)
{
    for (size_t i = 0; i < s->status.count; i++)
        if (s->containers[i].running)
            return true;
    return false;
}

static bool essential_running(const struct shim *s)
{
    for (size_t i = 0; i < s->status.count; i++)
        if (s->containers[i].essential && !s->containers[i].running)
            return false;
    return true;
}

static void ended(struct shim *s, size_t i, int status)
{
    s->changed = true;
    struct shim_container *told = &s->status.containers[i];
    s->containers[i].running = false;
    told->ended_ms = clock_wall_ms(s->clock);
    told->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void reap(struct shim *s)
{
    siginfo_t info;
    for (;;) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            break;
        for (size_t i = 0; i < s->status.count; i++)
            if (s->containers[i].running && s->status.containers[i].pid == info.si_pid) {
                /* Not reaped yet, so that the number cannot mean another group. */
                kill(-info.si_pid, SIGKILL);
                int status = 0;
                waitpid(info.si_pid, &status, 0);
                ended(s, i, status);
                info.si_pid = 0;
                break;
            }
        if (info.si_pid != 0)
            waitpid(info.si_pid, NULL, 0);
    }
}

/* ---- what is left behind ----------------------------------------------------------------------*/

/* The parent of process `name` (a number) of /proc, or 0. */
static pid_t parent_of(const char *name)
{
    auto_free char *folder = mem_printf("/proc/%s", name);
    auto_free char *text = shim_file_read(folder, "stat", 4096, NULL, NULL);
    /* "PID (COMMAND) STATE PPID ...": the command may hold anything, parentheses too. */
    const char *p = text ? strrchr(text, ')') : NULL;
    if (!p || strlen(p) < 5)
        return 0;
    return (pid_t)strtol(p + 4, NULL, 10);
}

/* Kills each child of ours; orphans become our children as their parents die. */
static void kill_children(void)
{
    DIR *proc = opendir("/proc");
    if (!proc)
        return;
    for (struct dirent *e = readdir(proc); e; e = readdir(proc))
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && parent_of(e->d_name) == getpid())
            kill((pid_t)strtol(e->d_name, NULL, 10), SIGKILL);
    closedir(proc);
}

static void kill_leftover(struct shim *s)
{
    int64_t until = clock_mono_ms(s->clock) + LEFTOVER_MAX_MS;
    for (;;) {
        pid_t got = waitpid(-1, NULL, WNOHANG);
        if (got > 0)
            continue;
        if (got < 0 || clock_mono_ms(s->clock) >= until)
            return;
        kill_children();
        clock_sleep_ms(s->clock, 2);
    }
}

/* ---- the loop ---------------------------------------------------------------------------------*/

/* Kills what has had its time; ms until the next deadline, or -1. */
static int enforce_deadlines(const struct shim *s)
{
    int64_t next = -1;
    if (!s->stopping)
        return -1;
    int64_t gone = clock_mono_ms(s->clock) - s->stopping_ms;
    for (size_t i = 0; i < s->status.count; i++) {
        const struct container *c = &s->containers[i];
        if (!c->running)
            continue;
        if (gone >= c->stop_timeout_ms)
            kill(s->status.containers[i].pid, SIGKILL);
        else if (next < 0 || c->stop_timeout_ms - gone < next)
            next = c->stop_timeout_ms - gone;
    }
    return next > 0x7fffffff ? 0x7fffffff : (int)next;
}

static void on_signals(struct shim *s)
{
    struct signalfd_siginfo info[8];
    ssize_t n = read(s->signals, info, sizeof(info));
    for (ssize_t i = 0; i < n / (ssize_t)sizeof(info[0]); i++)
        if (info[i].ssi_signo == SIGTERM)
            stop(s);
}

static void on_control(struct shim *s)
{
    char bytes[64];
    ssize_t n = read(SHIM_CONTROL_FD, bytes, sizeof(bytes));
    if (n <= 0)
        return;
    if (memchr(bytes, SHIM_KILL, (size_t)n))
        signal_running(s, SIGKILL);
    else
        stop(s);
}

/* True where the spec, and with it the folder, has been removed. */
static bool folder_gone(const struct shim *s)
{
    _Alignas(struct inotify_event) char bytes[4096];
    bool gone = false;
    for (;;) {
        ssize_t n = read(s->watch, bytes, sizeof(bytes));
        if (n <= 0)
            return gone;
        for (char *p = bytes; p < bytes + n;) {
            struct inotify_event e;
            memcpy(&e, p, sizeof(e));
            gone = gone || (e.len > 0 && strcmp(p + sizeof(e), "spec.json") == 0);
            p += sizeof(e) + e.len;
        }
    }
}

static void run(struct shim *s)
{
    struct pollfd fds[] = { { s->signals, POLLIN, 0 },
                            { SHIM_CONTROL_FD, POLLIN, 0 },
                            { s->watch, POLLIN, 0 } };
    while (any_running(s)) {
        int timeout = enforce_deadlines(s);
        if (s->behind && (timeout < 0 || timeout > RETRY_MS))
            timeout = RETRY_MS;
        if (poll(fds, ARRAY_LEN(fds), timeout) < 0 && errno != EINTR)
            return;
        if (fds[0].revents)
            on_signals(s);
        if (fds[1].revents)
            on_control(s);
        if (fds[2].revents && folder_gone(s))
            signal_running(s, SIGKILL);
        reap(s);
        if (!essential_running(s))
            stop(s);
        /* Only then: writing it wakes this loop once more, by the watch on the folder. */
        if (any_running(s) && (s->changed || s->behind))
            tell(s);
    }
}

static int prepare(struct shim *s, struct error *err)
{
    sigset_t mine;
    sigemptyset(&mine);
    sigaddset(&mine, SIGCHLD);
    sigaddset(&mine, SIGTERM);
    sigemptyset(&s->before);
    sigprocmask(SIG_SETMASK, &mine, NULL);
    signal(SIGPIPE, SIG_IGN);
    auto_free char *output = mem_printf("%s/output.log", s->folder);
    s->signals = signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK);
    s->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    s->output = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (s->signals < 0 || s->output < 0 || chdir(s->folder) < 0)
        return error_set_errno(err, errno, "prepare the task's folder");
    /* Inotify instances are few a user; without one only the removal of the folder goes unseen. */
    if (s->watch >= 0 && inotify_add_watch(s->watch, s->folder, IN_DELETE | IN_MOVED_FROM) < 0) {
        close(s->watch);
        s->watch = -1;
    }
    for (int fd = SHIM_EVENTS_FD; fd <= SHIM_CONTROL_FD; fd++)
        if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            return error_set_errno(err, errno, "the shim is started by local-aws alone");
    /* Emulators of another processor do not know it. */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        fprintf(stderr,
                "local-aws shim: orphans of a task outlive it: PR_SET_CHILD_SUBREAPER: %s\n",
                strerror(errno));
    return 0;
}

static void free_texts(char **texts)
{
    for (size_t i = 0; texts && texts[i]; i++)
        free(texts[i]);
    free(texts);
}

static void release(struct shim *s)
{
    for (size_t i = 0; s->containers && i < s->status.count; i++) {
        free_texts(s->containers[i].argv);
        free_texts(s->containers[i].env);
    }
    free(s->containers);
    shim_status_release(&s->status);
    mem_close_fd(&s->signals);
    mem_close_fd(&s->watch);
    mem_close_fd(&s->output);
}

int shim_run(const char *folder, struct error *err)
{
    struct shim s = { .clock = clock_system(), .signals = -1, .watch = -1, .output = -1 };
    auto_free char *whole = realpath(folder, NULL);
    s.folder = whole;
    if (!whole)
        return error_set_errno(err, errno, "%s", folder);
    int rc = read_spec(&s, err) < 0 || prepare(&s, err) < 0 ? -1 : 0;
    /* From here on a restarted local-aws must take it that the commands may have been started. */
    if (rc == 0)
        rc = shim_status_write(s.folder, &s.status, err);
    if (rc == 0) {
        for (size_t i = 0; i < s.status.count && !s.stopping; i++)
            if (start(&s, i) < 0)
                stop(&s);
        if (any_running(&s))
            tell(&s);
        run(&s);
        kill_leftover(&s);
        s.status.over = true;
        tell(&s);
        for (int i = 0; s.behind && i < RETRIES && access(s.folder, F_OK) == 0; i++) {
            clock_sleep_ms(s.clock, RETRY_MS);
            tell(&s);
        }
    }
    release(&s);
    return rc;
}

#include "local/aws/ecs_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/buf.h"

/* Above the numbers that the shim's own descriptors are moved to. */
#define FD_ABOVE 16

struct process_driver;

struct watched {
    struct process_driver *driver;
    char *task;
    int fd; /* the reading end of `events` */
    struct watched *next;
};

struct process_driver {
    struct ecs_driver base; /* first: a driver is cast to it and back */
    struct loop *loop;
    char *folder;
    char *program;
    ecs_driver_fn *changed;
    void *arg;
    struct watched *watched;
};

static struct process_driver *self(struct ecs_driver *d)
{
    return (struct process_driver *)d;
}

static char *task_path(const struct process_driver *p, const char *task, const char *name)
{
    return name ? mem_printf("%s/%s/%s", p->folder, task, name)
                : mem_printf("%s/%s", p->folder, task);
}

static void unwatch(struct watched *w)
{
    struct watched **at = &w->driver->watched;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    loop_unwatch(w->driver->loop, w->fd);
    close(w->fd);
    free(w->task);
    free(w);
}

/* Reads what is there: false at the end of file, when no shim lives. */
static bool drain(int fd)
{
    char bytes[256];
    for (;;) {
        ssize_t n = read(fd, bytes, sizeof(bytes));
        if (n == 0)
            return false;
        if (n < 0 && errno != EINTR)
            return true;
    }
}

static void on_event(void *arg)
{
    struct watched *w = arg;
    struct process_driver *p = w->driver;
    bool lives = drain(w->fd);
    auto_free char *task = mem_dup(w->task);
    if (!lives)
        unwatch(w);
    p->changed(p->arg, task, lives);
}

static int watch(struct process_driver *p, const char *task, int fd, struct error *err)
{
    struct watched *w = mem_alloc(sizeof(*w));
    w->driver = p;
    w->fd = fd;
    if (loop_watch(p->loop, fd, on_event, w, err) < 0) {
        free(w);
        return -1;
    }
    w->task = mem_dup(task);
    w->next = p->watched;
    p->watched = w;
    return 0;
}

static int open_fifo(const struct process_driver *p, const char *task, const char *name, int flags)
{
    auto_free char *path = task_path(p, task, name);
    return open(path, flags | O_CLOEXEC | O_NONBLOCK);
}

/* ---- start ------------------------------------------------------------------------------------*/

struct launch {
    int events, control, null, log;
    char **argv;
};

/* Between fork and exec of a process with threads: only what is async-signal-safe. Never returns.
 */
static void become_shim(const struct launch *l)
{
    char *none[] = { NULL };
    if (setsid() < 0)
        _exit(127);
    /* Twice, so that the shim is nobody's child here and needs not be reaped. */
    pid_t pid = fork();
    if (pid != 0)
        _exit(pid < 0 ? 127 : 0);
    if (dup2(l->null, STDIN_FILENO) < 0 || dup2(l->log, STDOUT_FILENO) < 0 ||
        dup2(l->log, STDERR_FILENO) < 0 || dup2(l->events, SHIM_EVENTS_FD) < 0 ||
        dup2(l->control, SHIM_CONTROL_FD) < 0)
        _exit(127);
    /* What the libraries opened without O_CLOEXEC, where the kernel has the call (5.9). */
    (void)!close_range(SHIM_CONTROL_FD + 1, ~0U, 0);
    sigset_t nothing;
    sigemptyset(&nothing);
    sigprocmask(SIG_SETMASK, &nothing, NULL);
    execve(l->argv[0], l->argv, none);
    _exit(127);
}

static int above(int fd)
{
    if (fd < 0)
        return -1;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, FD_ABOVE);
    int why = errno;
    close(fd);
    errno = why;
    return moved;
}

static int launch(struct process_driver *p, const char *task, struct error *err)
{
    auto_free char *folder = task_path(p, task, NULL);
    auto_free char *log_path = task_path(p, task, "shim.log");
    char word[] = "shim";
    char *argv[] = { p->program, word, folder, NULL };
    auto_close int events = above(open_fifo(p, task, "events", O_WRONLY));
    auto_close int control = above(open_fifo(p, task, "control", O_RDWR));
    auto_close int null = above(open("/dev/null", O_RDONLY | O_CLOEXEC));
    auto_close int log = above(open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (events < 0 || control < 0 || null < 0 || log < 0)
        return error_set_errno(err, errno, "open the task's files");
    struct launch l = { events, control, null, log, argv };
    pid_t pid = fork();
    if (pid < 0)
        return error_set_errno(err, errno, "fork");
    if (pid == 0)
        become_shim(&l);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_set_errno(err, errno, "wait for the shim's parent");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return error_set(err, ERR_IO, status, "the shim could not be started");
    return 0;
}

static int make_folder(struct process_driver *p, const char *task, struct json_object *spec,
                       struct error *err)
{
    auto_free char *folder = task_path(p, task, NULL);
    auto_free char *events = task_path(p, task, "events");
    auto_free char *control = task_path(p, task, "control");
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "make the folder");
    if ((mkfifo(events, 0600) < 0 && errno != EEXIST) ||
        (mkfifo(control, 0600) < 0 && errno != EEXIST))
        return error_set_errno(err, errno, "make the FIFOs");
    size_t len = 0;
    const char *text = json_text(spec, &len);
    return shim_file_write(folder, "spec.json", text, len, err);
}

static int start(struct ecs_driver *d, const char *task, struct json_object *spec,
                 struct error *err)
{
    struct process_driver *p = self(d);
    int fd = -1;
    if (make_folder(p, task, spec, err) < 0)
        goto fail;
    fd = open_fifo(p, task, "events", O_RDONLY);
    if (fd < 0) {
        error_set_errno(err, errno, "open the events");
        goto fail;
    }
    if (launch(p, task, err) < 0 || watch(p, task, fd, err) < 0)
        goto fail;
    return 0;
fail:
    mem_close_fd(&fd);
    return error_wrap(err, "task %s", task);
}

/* ---- the rest ---------------------------------------------------------------------------------*/

static int attach(struct ecs_driver *d, const char *task, struct error *err)
{
    struct process_driver *p = self(d);
    int fd = open_fifo(p, task, "events", O_RDONLY);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return error_set_errno(err, errno, "task %s: open the events", task);
    if (!drain(fd)) {
        close(fd);
        return 0;
    }
    if (watch(p, task, fd, err) < 0) {
        close(fd);
        return error_wrap(err, "task %s", task);
    }
    return 1;
}

static void ask(struct ecs_driver *d, const char *task, char what)
{
    /* ENXIO: no shim lives, so there is nothing to stop. A full FIFO has asked often enough. */
    auto_close int fd = open_fifo(self(d), task, "control", O_WRONLY);
    if (fd >= 0)
        (void)!write(fd, &what, 1);
}

static void stop(struct ecs_driver *d, const char *task)
{
    ask(d, task, '!');
}

static void kill_now(struct ecs_driver *d, const char *task)
{
    ask(d, task, SHIM_KILL);
}

static int status(struct ecs_driver *d, const char *task, struct shim_status *out,
                  struct error *err)
{
    auto_free char *folder = task_path(self(d), task, NULL);
    return shim_status_read(folder, out, err);
}

static void driver_free(struct ecs_driver *d)
{
    struct process_driver *p = self(d);
    while (p->watched)
        /* unwatch() moves the head on. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        unwatch(p->watched);
    free(p->folder);
    free(p->program);
    free(p);
}

struct ecs_driver *ecs_process_new(struct loop *loop, const char *folder, const char *program,
                                   ecs_driver_fn *changed, void *arg, struct error *err)
{
    if (mkdir(folder, 0700) < 0 && errno != EEXIST) {
        error_set_errno(err, errno, "make %s", folder);
        return NULL;
    }
    struct process_driver *p = mem_alloc(sizeof(*p));
    p->base = (struct ecs_driver){ start, attach, stop, kill_now, status, NULL, driver_free };
    p->loop = loop;
    p->folder = mem_dup(folder);
    p->program = mem_dup(program);
    p->changed = changed;
    p->arg = arg;
    return &p->base;
}

#include "local/stack/program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/digest.h"
#include "shared/base/json.h"
#include "shared/base/signals.h"

#define POLL_MS 5
#define LOG_MAX (64U << 20)

struct program {
    char **argv;
    char **env;
    char *log_file;
    off_t log_start; /* where this run's lines begin */
    pid_t pid;       /* 0: it has ended */
    int status;      /* as waitpid gave it */
};

static char **copy_list(const char *const *list)
{
    size_t n = 0;
    while (list[n])
        n++;
    char **copy = mem_array(n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = mem_dup(list[i]);
    return copy;
}

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

/* Between fork and exec: only what is async-signal-safe. */
static void run_child(const struct program *p, int log_fd, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        _exit(127);
    signals_unblock();
    if (dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0)
        _exit(127);
    execve(p->argv[0], p->argv, p->env);
    static const char text[] = "{\"event\":\"exec_failed\"}\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)ignored;
    _exit(127);
}

int program_restart(struct program *p, struct error *err)
{
    if (p->pid)
        return error_set(err, ERR_CONFLICT, 0, "%s is running", p->argv[0]);
    auto_close int fd = open(p->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open %s", p->log_file);
    if (access(p->argv[0], X_OK) < 0)
        return error_set_errno(err, errno, "cannot run %s", p->argv[0]);
    p->log_start = lseek(fd, 0, SEEK_END);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return error_set_errno(err, errno, "cannot fork for %s", p->argv[0]);
    if (pid == 0)
        run_child(p, fd, parent);
    p->pid = pid;
    return 0;
}

struct program *program_start(const char *const *argv, const char *const *env, const char *log_file,
                              struct error *err)
{
    struct program *p = mem_alloc(sizeof(*p));
    p->argv = copy_list(argv);
    p->env = copy_list(env);
    p->log_file = mem_dup(log_file);
    if (program_restart(p, err) < 0) {
        program_free(p);
        return NULL;
    }
    return p;
}

pid_t program_pid(const struct program *p)
{
    return p->pid;
}

bool program_running(struct program *p)
{
    if (p->pid && waitpid(p->pid, &p->status, WNOHANG) == p->pid)
        p->pid = 0;
    return p->pid != 0;
}

/* What the program has logged since it was started last. */
static char *read_log(const struct program *p)
{
    auto_close int fd = open(p->log_file, O_RDONLY | O_CLOEXEC);
    auto_buf struct buf b = BUF_INIT(LOG_MAX);
    char chunk[8192];
    off_t at = p->log_start;
    ssize_t n;
    while (fd >= 0 && (n = pread(fd, chunk, sizeof(chunk), at)) > 0) {
        at += n;
        if (buf_add(&b, chunk, (size_t)n) < 0)
            break;
    }
    return buf_take(&b, NULL);
}

/* Calls `match` with each whole line that is a JSON object, until it returns true. */
typedef bool match_fn(struct json_object *line, void *arg);

static bool find_line(const struct program *p, match_fn *match, void *arg)
{
    auto_free char *text = read_log(p);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        auto_json struct json_object *o = NULL;
        if (*line != '{' || json_parse(line, (size_t)(end - line), JSON_DEPTH, &o, NULL) < 0)
            continue;
        if (match(o, arg))
            return true;
    }
    return false;
}

static bool is_event(struct json_object *line, void *arg)
{
    const char *event = json_get_str(line, "event");
    return event && strcmp(event, arg) == 0;
}

/* "... its log ends: LAST LINES", so that the reason is seen even when the log is gone later. */
static int not_ready(const struct program *p, enum error_code code, const char *what,
                     struct error *err)
{
    auto_free char *text = read_log(p);
    size_t len = strlen(text);
    const char *tail = len > 300 ? text + len - 300 : text;
    return error_set(err, code, 0, "%s %s; its log %s ends: %s", p->argv[0], what, p->log_file,
                     tail);
}

int program_wait_ready(struct program *p, int64_t timeout_ms, struct error *err)
{
    char ready[] = "ready";
    const struct clock *clock = clock_system();
    int64_t until = clock_mono_ms(clock) + timeout_ms;
    for (;;) {
        bool running = program_running(p);
        if (find_line(p, is_event, ready))
            return 0;
        if (!running)
            return not_ready(p, ERR_IO, "ended before it was ready", err);
        if (clock_mono_ms(clock) > until)
            return not_ready(p, ERR_TIMEOUT, "was not ready in time", err);
        clock_sleep_ms(clock, POLL_MS);
    }
}

struct wanted {
    const char *service;
    char *url;
};

static bool is_listening(struct json_object *line, void *arg)
{
    struct wanted *w = arg;
    char listening[] = "listening";
    const char *service = json_get_str(line, "service");
    if (!is_event(line, listening) || !service || strcmp(service, w->service) != 0)
        return false;
    w->url = mem_dup(json_get_str(line, "url"));
    return true;
}

char *program_url(const struct program *p, const char *service)
{
    struct wanted w = { .service = service };
    find_line(p, is_listening, &w);
    return w.url;
}

static int exit_status(const struct program *p)
{
    return WIFSIGNALED(p->status) ? 128 + WTERMSIG(p->status) : WEXITSTATUS(p->status);
}

void program_kill(struct program *p)
{
    if (!program_running(p))
        return;
    kill(p->pid, SIGKILL);
    while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
        ;
    p->pid = 0;
}

int program_stop(struct program *p, int64_t timeout_ms)
{
    const struct clock *clock = clock_system();
    int64_t until = clock_mono_ms(clock) + timeout_ms;
    if (program_running(p))
        kill(p->pid, SIGTERM);
    while (program_running(p) && clock_mono_ms(clock) < until)
        clock_sleep_ms(clock, POLL_MS);
    program_kill(p);
    return exit_status(p);
}

void program_free(struct program *p)
{
    if (!p)
        return;
    program_kill(p);
    free_list(p->argv);
    free_list(p->env);
    free(p->log_file);
    free(p);
}

/* Between here and the program's own bind() another test may ask: a name that lives as long as this
 * process, of the abstract namespace, keeps the port for its caller. */
static bool reserve(int port)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "lambda-ecs-durable.%d", port);
    auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&name,
                       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) < 0)
        return fd < 0; /* without such names it goes by luck */
    fd = -1;           /* so that it stays open. NOLINT(clang-analyzer-deadcode.DeadStores) */
    return true;
}

int program_free_port(void)
{
    /* Linux takes ports for outgoing connections from 32768 on (net.ipv4.ip_local_port_range). */
    for (int tries = 0; tries < 1000; tries++) {
        int port = 20000 + (int)(random_u64() % 12000);
        struct sockaddr_in at = { .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = { htonl(INADDR_LOOPBACK) } };
        auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && reserve(port))
            return port;
    }
    return -1;
}

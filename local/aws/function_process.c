#include "local/aws/function_process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/signals.h"

#define OWN_VARIABLES 16

/* What the child needs, made before the fork: behind it nothing may allocate. */
struct launch {
    char *const *argv;
    char **env;
    int output, null, report;
    pid_t parent;
};

static void free_list(char **list)
{
    for (char **p = list; p && *p; p++)
        mem_free_secret(*p);
    free(list);
}

static char *task_root(const char *command)
{
    const char *slash = strrchr(command, '/');
    if (slash && slash != command)
        return mem_dup_len(command, (size_t)(slash - command));
    char *cwd = getcwd(NULL, 0);
    return cwd ? cwd : mem_dup("/");
}

/* The function's own variables, then Lambda's, which it can't override; the caller's. */
static char **make_environment(const struct local *local, const struct config_function *f,
                               const char *runtime_api)
{
    const struct config *c = local->config;
    auto_free char *root = task_root(f->command[0]);
    char *own[OWN_VARIABLES] = {
        mem_printf("AWS_LAMBDA_RUNTIME_API=%s", runtime_api),
        mem_printf("AWS_LAMBDA_FUNCTION_NAME=%s", f->name),
        mem_printf("AWS_LAMBDA_FUNCTION_VERSION=%s", f->version),
        mem_printf("AWS_LAMBDA_FUNCTION_MEMORY_SIZE=%" PRId64, f->memory_mb),
        mem_printf("LAMBDA_TASK_ROOT=%s", root),
        mem_printf("AWS_REGION=%s", c->region),
        mem_printf("AWS_DEFAULT_REGION=%s", c->region),
        mem_printf("AWS_ENDPOINT_URL=%s", local->aws_url),
        mem_printf("AWS_ACCESS_KEY_ID=%s", c->credentials[0].access_key),
        mem_printf("AWS_SECRET_ACCESS_KEY=%s", c->credentials[0].secret_key),
        mem_printf("AWS_SESSION_TOKEN=%s", f->name), /* record.h */
        f->handler ? mem_printf("_HANDLER=%s", f->handler) : NULL,
        mem_printf("AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/%s", f->name),
        mem_dup("AWS_LAMBDA_LOG_STREAM_NAME=local"),
        config_variable(f->environment, "PATH") ? NULL : mem_printf("PATH=%s", local->path),
    };
    size_t given = 0, n = 0;
    while (f->environment[given])
        given++;
    char **env = mem_array(given + OWN_VARIABLES + 1, sizeof(*env));
    for (size_t i = 0; i < OWN_VARIABLES; i++)
        if (own[i])
            env[n++] = own[i];
    size_t own_count = n;
    for (size_t i = 0; i < given; i++) {
        size_t len = strcspn(f->environment[i], "=") + 1;
        bool taken = false;
        for (size_t k = 0; k < own_count && !taken; k++)
            taken = strncmp(env[k], f->environment[i], len) == 0;
        if (!taken)
            env[n++] = mem_dup(f->environment[i]);
    }
    return env;
}

static void complain(const char *text)
{
    ssize_t n = write(2, text, strlen(text));
    (void)n; /* there is nobody else to tell */
}

static _Noreturn void child(const struct launch *l)
{
    setpgid(0, 0);
    /* The parent may have gone before the call took effect. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != l->parent)
        _exit(126);
    if (dup2(l->null, 0) < 0 || dup2(l->output, 1) < 0 || dup2(l->output, 2) < 0)
        _exit(126);
    signals_unblock();
    execvpe(l->argv[0], l->argv, l->env);
    int why = errno;
    (void)!write(l->report, &why, sizeof(why)); /* what is lost is in the output, too */
    complain("local-aws: cannot execute ");
    complain(l->argv[0]);
    complain(": ");
    complain(strerrordesc_np(why));
    complain("\n");
    _exit(127);
}

int function_process_start(const struct local *local, const struct config_function *function,
                           const char *runtime_api, int output, struct function_process *out,
                           struct error *err)
{
    auto_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0)
        return error_set_errno(err, errno, "cannot open /dev/null");
    int report[2];
    if (pipe2(report, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_set_errno(err, errno, "cannot make a pipe");
    struct launch launch = { .argv = function->command,
                             .env = make_environment(local, function, runtime_api),
                             .output = output,
                             .null = null,
                             .report = report[1],
                             .parent = getpid() };
    pid_t pid = fork();
    if (pid == 0)
        child(&launch);
    int eno = errno;
    close(report[1]);
    free_list(launch.env);
    if (pid < 0) {
        close(report[0]);
        return error_set_errno(err, eno, "cannot start %s", function->command[0]);
    }
    setpgid(pid, pid); /* whoever is first: a kill of the group must find it */
    out->pid = pid;
    out->report = report[0];
    out->pidfd = pidfd_open(pid, 0);
    if (out->pidfd >= 0)
        return 0;
    error_set_errno(err, errno, "pidfd_open");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    mem_close_fd(&out->report);
    out->pid = 0;
    return -1;
}

void function_process_kill(const struct function_process *p)
{
    if (kill(-p->pid, SIGKILL) < 0)
        kill(p->pid, SIGKILL);
}

int function_process_reap(struct function_process *p, char *how, size_t size)
{
    int status = 0, why = 0;
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        snprintf(how, size, "signal: killed");
    else if (WIFSIGNALED(status))
        snprintf(how, size, "signal: %s", sigdescr_np(WTERMSIG(status)));
    else
        snprintf(how, size, "exit status %d", WEXITSTATUS(status));
    if (read(p->report, &why, sizeof(why)) != (ssize_t)sizeof(why))
        why = 0;
    mem_close_fd(&p->report);
    mem_close_fd(&p->pidfd);
    return why;
}

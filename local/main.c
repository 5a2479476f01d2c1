/* local-aws: Lambda, ECS and the HTTP API on one machine, for development and tests. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local/aws/aws_api.h"
#include "local/aws/docker_api.h"
#include "local/aws/ecs.h"
#include "local/aws/ecs_driver.h"
#include "local/aws/lambda.h"
#include "local/aws/outbox.h"
#include "local/commands.h"
#include "local/console.h"
#include "local/faults.h"
#include "local/gateway.h"
#include "local/inspect.h"
#include "local/local.h"
#include "local/service_time.h"
#include "local/record.h"
#include "local/shim.h"
#include "shared/aws/http.h"
#include "shared/base/opts.h"
#include "shared/base/signals.h"

#define MAX_BODY      (8U << 20)
#define HOSTS_MAX     8
#define LEAVE_LOOK_MS 50
#define LEAVE_MAX_MS  60000

struct settings {
    char *config;
    char *state;
    char *aws_listen;
    char *http_listen;
    char *allowed_hosts;
    char *ecs_driver;
    char *record;
    char *docker_socket;
    char *docker_network;
    char *log_level;
    bool no_verify;
    char *path;
};

struct program {
    struct settings settings;
    struct config *config;
    struct local local;
    struct httpd *aws;
    struct ecs *ecs;
    struct inspect *inspect;
    struct console *console;
    struct gateway *gateway;
    char *aws_url;
    int signals;
    struct ecs_docker_config docker;
    struct loop_timer *leaving; /* told to stop, it waits for its containers */
    int64_t leave_ms;           /* monotonic: not beyond this */
};

/* Tasks that are processes have shims, which see to their end; the network and the socket that
 * containers are seen by go with this program. */
static void leave(void *arg)
{
    struct program *p = arg;
    const struct clock *clock = p->local.clock;
    p->leaving = NULL;
    if (!p->local.docker || !p->ecs || ecs_tasks_live(ecs_tasks(p->ecs)) == 0 ||
        clock_mono_ms(clock) >= p->leave_ms)
        loop_stop(p->local.loop);
    else
        p->leaving = loop_after(p->local.loop, LEAVE_LOOK_MS, leave, p);
}

static void on_signal(void *arg)
{
    struct program *p = arg;
    struct signalfd_siginfo info;
    if (read(p->signals, &info, sizeof(info)) != sizeof(info))
        return;
    log_info(p->local.log, log_event("stopping"), log_int("signal", info.ssi_signo));
    if (p->leaving) { /* asked twice: at once */
        loop_stop(p->local.loop);
        return;
    }
    if (p->ecs)
        ecs_tasks_shut_down(ecs_tasks(p->ecs));
    p->leave_ms = clock_mono_ms(p->local.clock) + LEAVE_MAX_MS;
    leave(p);
}

static void on_store_failed(void *arg)
{
    struct program *p = arg;
    log_error(p->local.log, log_event("store_failed"), log_err(store_failed(p->local.store)));
    loop_stop(p->local.loop);
}

static int watch_signals(struct program *p, struct error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    p->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (p->signals < 0)
        return error_set_errno(err, errno, "signalfd");
    return loop_watch(p->local.loop, p->signals, on_signal, p, err);
}

static int choose_driver(struct program *p, struct error *err)
{
    const struct settings *s = &p->settings;
    struct stat st;
    bool there = stat(s->docker_socket, &st) == 0 && S_ISSOCK(st.st_mode) &&
                 access(s->docker_socket, R_OK | W_OK) == 0;
    if (strcmp(s->ecs_driver, "docker") != 0 && strcmp(s->ecs_driver, "process") != 0 &&
        strcmp(s->ecs_driver, "auto") != 0)
        return error_set(err, ERR_INVALID, 0, "--ecs-driver: process, docker or auto");
    if (strcmp(s->ecs_driver, "docker") == 0 || (strcmp(s->ecs_driver, "auto") == 0 && there))
        p->local.docker = &p->docker;
    return 0;
}

static int allow_hosts(struct aws_api *api, const char *list, struct error *err)
{
    int count = 0;
    for (const char *at = list ? list : ""; *at;) {
        size_t len = strcspn(at, ",");
        auto_free char *host = mem_dup_len(at, len);
        if (len > 0 && ++count > HOSTS_MAX)
            return error_set(err, ERR_INVALID, 0, "--allowed-hosts: at most %d", HOSTS_MAX);
        if (len > 0)
            aws_api_allow_host(api, host);
        at += len + (at[len] == ',');
    }
    return 0;
}

static bool is_loopback(const char *listen)
{
    return strncmp(listen, "127.", 4) == 0 || strncmp(listen, "[::1]:", 6) == 0 ||
           strncmp(listen, "localhost:", 10) == 0;
}

static int load(struct program *p, int argc, char **argv, struct error *err)
{
    struct settings *s = &p->settings;
    const struct opt table[] = {
        { "config", "LOCAL_AWS_CONFIG", OPT_STR, &s->config, NULL, 0, 0, "FILE",
          "functions, task definitions and routes (JSON)" },
        { "state", "LOCAL_AWS_STATE", OPT_STR, &s->state, NULL, 0, 0, "DIR",
          "folder of the database and the log files" },
        { "aws-listen", "LOCAL_AWS_LISTEN", OPT_STR, &s->aws_listen, "127.0.0.1:4566", 0, 0,
          "HOST:PORT", "where the AWS APIs are served" },
        { "http-listen", "LOCAL_AWS_HTTP_LISTEN", OPT_STR, &s->http_listen, "127.0.0.1:8080", 0, 0,
          "HOST:PORT", "where the HTTP API is served" },
        { "allowed-hosts", "LOCAL_AWS_ALLOWED_HOSTS", OPT_STR, &s->allowed_hosts, NULL, 0, 0,
          "LIST", "names besides localhost that the AWS port answers to" },
        { "ecs-driver", "LOCAL_AWS_ECS_DRIVER", OPT_STR, &s->ecs_driver, "process", 0, 0, "WORD",
          "what tasks are: process, docker, or auto (docker where its socket is there)" },
        { "docker-socket", "LOCAL_AWS_DOCKER_SOCKET", OPT_STR, &s->docker_socket, DOCKER_SOCKET, 0,
          0, "PATH", "of the Docker engine" },
        { "docker-network", "LOCAL_AWS_DOCKER_NETWORK", OPT_STR, &s->docker_network, NULL, 0, 0,
          "NAME", "that tasks are attached to; otherwise this container's own" },
        { "record", "LOCAL_AWS_RECORD", OPT_STR, &s->record, NULL, 0, 0, "FILE",
          "append each request to the AWS port to it, whole: for tests" },
        { "no-verify", "LOCAL_AWS_NO_VERIFY", OPT_BOOL, &s->no_verify, NULL, 0, 0, NULL,
          "accept requests whatever their signature; on a loopback address only" },
        { "log-level", "LOG_LEVEL", OPT_STR, &s->log_level, "info", 0, 0, "WORD",
          "debug, info, warn or error" },
        { NULL, "PATH", OPT_STR, &s->path, "/usr/local/bin:/usr/bin:/bin", 0, 0, "LIST",
          "handed to the functions" },
    };
    const struct opts opts = { .program = "local-aws",
                               .synopsis = "--config FILE --state DIR [options]",
                               .about = "Lambda with durable executions, ECS and an HTTP API on "
                                        "one machine, for development and tests. What it is told "
                                        "to run it runs as this user: keep it on the loopback "
                                        "interface.\n\n"
                                        "One that runs is asked by commands: local-aws functions, "
                                        "executions, history, stop, callback, console, each with "
                                        "--help.",
                               .table = table,
                               .count = ARRAY_LEN(table) };
    int rc = opts_load(&opts, argc, argv, environ, err);
    if (rc == OPTS_DONE)
        return OPTS_DONE;
    enum log_level level;
    if (rc < 0)
        return -1;
    if (rc != argc)
        return error_set(err, ERR_INVALID, 0,
                         "%s: is no command of local-aws: local-aws --help names them", argv[rc]);
    if (log_level_parse(s->log_level, &level) < 0)
        return error_set(err, ERR_INVALID, 0, "--log-level: debug, info, warn or error");
    if (choose_driver(p, err) < 0)
        return -1;
    if (s->no_verify && !is_loopback(s->aws_listen))
        return error_set(err, ERR_INVALID, 0,
                         "--no-verify: only where --aws-listen is a loopback address: whoever "
                         "reaches the port may run commands");
    if (!s->config || !s->state)
        return error_set(err, ERR_INVALID, 0, "--config and --state are needed");
    p->local.log = log_open(STDERR_FILENO, level, "local-aws");
    p->local.path = s->path;
    p->docker = (struct ecs_docker_config){ s->docker_socket, s->docker_network, p->local.log };
    p->local.clock = clock_system();
    p->config = config_load(s->config, err);
    p->local.config = p->config;
    return p->config ? 0 : -1;
}

static int start(struct program *p, struct error *err)
{
    struct local *local = &p->local;
    if (!(local->store = store_open(p->settings.state, err)) || !(local->loop = loop_new(err)) ||
        watch_signals(p, err) < 0)
        return -1;
    store_on_failed(local->store, on_store_failed, p);
    if (!(local->time = service_time_new(local->store, err)))
        return -1;
    local->clock = service_time_clock(local->time);
    local->api = aws_api_new(local, !p->settings.no_verify);
    if (p->settings.record && !(local->record = record_open(p->settings.record, err)))
        return -1;
    if (allow_hosts(local->api, p->settings.allowed_hosts, err) < 0)
        return -1;
    const struct httpd_config cfg = { .listen = p->settings.aws_listen,
                                      .max_body = MAX_BODY,
                                      .handler = aws_api_handle,
                                      .too_large = aws_api_too_large,
                                      .arg = local->api,
                                      .log = local->log };
    if (!(p->aws = httpd_start(&cfg, err)))
        return error_wrap(err, "--aws-listen");
    p->aws_url = mem_printf("http://%s", httpd_address(p->aws));
    local->aws_url = p->aws_url;
    local->faults = faults_new();
    if (!(local->outbox = outbox_new(local, err)) || !(local->lambda = lambda_new(local, err)) ||
        !(p->ecs = ecs_new(local, err)) || loop_serve(local->loop, p->aws, err) < 0)
        return -1;
    p->inspect = inspect_new(local, p->ecs);
    if (!(p->console = console_new(local, p->ecs, err)))
        return -1;
    if (!(p->gateway = gateway_new(local, p->settings.http_listen, err)))
        return error_wrap(err, "--http-listen");
    auto_free char *http_url = mem_printf("http://%s", gateway_address(p->gateway));
    log_info(local->log, log_event("listening"), log_str("service", "aws"),
             log_str("url", p->aws_url));
    log_info(local->log, log_event("listening"), log_str("service", "http-api"),
             log_str("url", http_url));
    log_info(local->log, log_event("ready"));
    return 0;
}

static void stop(struct program *p)
{
    struct local *local = &p->local;
    outbox_stop(local->outbox);
    lambda_free(local->lambda);
    gateway_free(p->gateway);
    inspect_free(p->inspect);
    console_free(p->console);
    if (p->aws) {
        loop_unserve(local->loop, p->aws);
        httpd_stop(p->aws);
    }
    ecs_free(p->ecs);
    aws_api_free(local->api);
    outbox_free(local->outbox);
    faults_free(local->faults);
    record_close(local->record);
    if (local->loop) {
        loop_unwatch(local->loop, p->signals);
        loop_cancel(local->loop, p->leaving);
    }
    mem_close_fd(&p->signals);
    loop_free(local->loop);
    service_time_free(local->time);
    store_close(local->store);
    config_free(p->config);
    log_close(local->log);
    free(p->aws_url);
    free(p->settings.config);
    free(p->settings.state);
    free(p->settings.aws_listen);
    free(p->settings.http_listen);
    free(p->settings.allowed_hosts);
    free(p->settings.ecs_driver);
    free(p->settings.record);
    free(p->settings.docker_socket);
    free(p->settings.docker_network);
    free(p->settings.log_level);
    free(p->settings.path);
}

/* `local-aws shim FOLDER`: not for people, it is how a task is started. */
static int run_shim(const char *folder)
{
    struct error err = { 0 };
    if (shim_run(folder, &err) == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "local-aws shim: %s\n", err.msg);
    return EXIT_FAILURE;
}

/* What people ask one that runs. */
static int run_command(int argc, char **argv)
{
    struct error err = { 0 };
    http_global_init();
    int rc = commands_run(argc, argv, &err);
    http_global_cleanup();
    if (rc == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "local-aws %s: %s\n", argv[1], err.msg);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "shim") == 0)
        return run_shim(argv[2]);
    if (argc >= 2 && commands_has(argv[1]))
        return run_command(argc, argv);
    struct program p = { .signals = -1 };
    struct error err = { 0 };
    int status = EXIT_FAILURE;
    signals_block();
    http_global_init();
    int rc = load(&p, argc, argv, &err);
    if (rc == OPTS_DONE) {
        status = EXIT_SUCCESS;
    } else if (rc == 0 && start(&p, &err) == 0) {
        if (!store_failed(p.local.store)) /* what it took up has been written */
            loop_run(p.local.loop);
        status = store_failed(p.local.store) ? EXIT_FAILURE : EXIT_SUCCESS;
    } else {
        fprintf(stderr, "local-aws: %s\n", err.msg);
    }
    stop(&p);
    http_global_cleanup();
    return status;
}
